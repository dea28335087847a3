package main

import (
	"context"
	"maps"
	"slices"
	"sync"
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
	if r.Dirty {
		r.Systems = a.changed.of(r)
	}
	return fleet.Known(r, time.Now(), source)
}

// changedFlake is which systems a flake with changes that are not committed was found
// to declare. No commit names them: they are known for as long as the changes stay
// what they are, and this program runs.
type changedFlake struct {
	mu      sync.Mutex
	is      fleet.Repository // for which flake, commit and changes that is
	systems map[string]string
}

// same tells whether two looks at a repository found the same in it.
func same(a, b fleet.Repository) bool {
	return a.Ref == b.Ref && a.Revision == b.Revision && a.Dirty == b.Dirty && a.Changes == b.Changes
}

// of gives the systems that are known for a repository as it is now.
func (c *changedFlake) of(r fleet.Repository) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !same(c.is, r) {
		return nil
	}
	return maps.Clone(c.systems)
}

// keep takes in what a repository was found to declare.
func (c *changedFlake) keep(r fleet.Repository, found map[string]string) {
	if r.Changes == "" { // nobody could tell when they are others
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !same(c.is, r) {
		c.is, c.systems = r, map[string]string{}
	}
	maps.Copy(c.systems, found)
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
