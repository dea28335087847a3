package main

import (
	"context"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// How often the flake's repository is looked at while the UI is open: it is
// asked with git, and a flake that is elsewhere with nix, which may fetch it.
const (
	repositoryEvery = time.Minute
	remoteEvery     = 15 * time.Minute
)

// repository reads how the flake's repository stands to what the hosts run.
func (a *app) repository(ctx context.Context, f nixops.Flake, states []fleet.State) fleet.Fact[fleet.Repository] {
	const source = "the flake"
	r, err := f.Repository(ctx, revisions(states))
	if err != nil {
		return fleet.Unknown[fleet.Repository](err, time.Now(), source)
	}
	if a.history != nil && r.Revision != "" && !r.Dirty {
		if r.Systems, err = a.history.Systems(r.Revision); err != nil {
			a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: err.Error()})
		}
	}
	return fleet.Known(r, time.Now(), source)
}

// revisions are those that hosts run, each once.
func revisions(states []fleet.State) []string {
	var out []string
	for _, s := range states {
		if r := s.System.Value.Revision; s.System.HasValue() && r != "" {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// learn keeps which systems a commit declares.
func (a *app) learn(revision string, systems map[string]string) {
	if a.history == nil || len(systems) == 0 {
		return
	}
	if err := a.history.SaveSystems(revision, systems); err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: err.Error()})
	}
}

// followRepository keeps the store's view of the repository fresh until ctx ends.
func (a *app) followRepository(ctx context.Context) {
	flake := nixops.Flake{Ref: a.flake}
	if flake.Ref == "" {
		return
	}
	every, last := remoteEvery, time.Time{}
	if flake.Local() {
		every = repositoryEvery
	}
	var asked []string
	for tick := time.NewTicker(5 * time.Second); ; {
		states := a.store.Snapshot().Hosts
		now := revisions(states)
		if len(now) > 0 && (time.Since(last) >= every || !slices.Equal(now, asked)) {
			a.store.SetRepository(a.repository(ctx, flake, states))
			asked, last = now, time.Now()
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}
