package nixops

import (
	"context"
	"errors"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Differences stands here only until diff.go has it: whoever writes that deletes this file.
type Differences struct{}

// Read is not there yet.
func (*Differences) Read(context.Context, link.Link, string, string) (fleet.Difference, error) {
	return fleet.Difference{}, errors.New("not there yet")
}
