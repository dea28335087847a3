package main

import (
	"context"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// declaredTime bounds a reading of what a host declares.
const declaredTime = 30 * time.Second

func readDeclared(ctx context.Context, a watch.Ask) watch.Change {
	if _, err := a.Probed(ctx); err != nil {
		return nil // the probe has said why nothing is known
	}
	f := services.Declares(ctx, a.Link)
	return func(s *fleet.State) { s.Declared = s.Declared.Refresh(f) }
}
