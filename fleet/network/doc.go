// Package network reads what a host does on the network: who listens there. It
// reads over a link and changes nothing.
package network
