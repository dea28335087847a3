// Package e2e runs the program itself against the lab, as a person at the
// operator's machine does, and compares what it says with what the hosts' own
// commands say. Its tests carry the build tag "lab".
package e2e
