// Package nixops changes NixOS systems: deploy, confirm, roll back, reboot. What
// it changes it changes through the guard, a program that stays on the host until
// the host is in one of two states: the new system, running and the default after
// somebody reached it, or the one that ran before. Reading generations is the
// probe's part.
package nixops
