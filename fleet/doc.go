// Package fleet is the vocabulary of Sextant: what a host is, what can be
// known about it, who knows it and since when, and what can be done to it.
//
// It does no input and no output. Rooms below it read hosts and fill a
// [Store]; screens and commands read the store. Nothing here may import
// another package of this module.
package fleet
