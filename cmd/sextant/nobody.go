package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// nobody ends a command that found no host at all: a fleet of which nothing is
// known is not one that is well. What the command prints is printed all the
// same, for programs that read it; where a host was named, that error is told.
func nobody(sources []fleet.SourceState, sel []string, picked error, then func() error) error {
	why := whyNobody(sources)
	if picked != nil && !slices.Equal(sel, []string{"all"}) {
		return usageError{errors.New(picked.Error() + ": " + why)}
	}
	if err := then(); err != nil && !isExit(err) {
		return err
	}
	fmt.Fprintln(os.Stderr, "sextant: "+why)
	return exitCode(exitUnknown)
}

// whyNobody tells which sources of hosts could not be asked, and what to do.
func whyNobody(sources []fleet.SourceState) string {
	said := []string{"no hosts were found"}
	for _, s := range sources {
		if s.Err == "" {
			continue
		}
		line := s.Source + ": " + s.Err
		if s.Help != "" {
			line += " (" + s.Help + ")"
		}
		said = append(said, line)
	}
	return strings.Join(append(said, "sextant hosts --all tells who was seen, and why a node is no host"), "; ")
}
