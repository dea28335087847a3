// Package services asks the services of a host what they serve and how they are:
// the proxy at the way in, and those by which people sign in. It asks over the link,
// by GET alone, and changes nothing.
//
// What a configuration holds beyond sites and routes (tokens, hashes of passwords)
// is read past: it is neither kept nor put into errors.
package services
