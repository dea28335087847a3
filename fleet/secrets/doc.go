// Package secrets reads which secrets there are and for whom they are encrypted:
// in a flake's repository by the files' own headers and the rules for them, and on
// a host over a link. No private key is used, and no value is ever read.
package secrets
