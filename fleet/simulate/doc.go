// Package simulate makes hosts that do not exist but speak the real
// protocols: each is an SSH server on a loopback port, with commands that
// answer as those of a NixOS host do, Podman's REST API on its socket and
// Netdata's on its port. `sextant demo` shows them; the tests of links and
// screens run against them; a thousand of them fit into one process.
//
// Nothing is run, read or written on the machine it runs on, and nothing
// beyond loopback is ever dialled. It knows no other room's types: what it
// says was taken from recordings of real hosts, not from the code that reads it.
package simulate
