// Package metrics tells how busy a host is and what its monitoring calls wrong.
//
// Netdata is asked first: the one on the host, else the parent it streams to,
// over the connection to that other host. Without Netdata the kernel's own
// counters, which the probe reads, tell the same. Nothing is configured: which
// host mirrors which is found by asking.
//
// Everything Netdata says is bounded, checked and never trusted: rows that are
// too old, of another machine, or nonsense are refused, and what was refused
// is unknown, with the reason.
package metrics
