package main

import (
	"slices"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestStatusTellsOfADeployThatWaits: deploys are asked for only where the probe
// has seen that one needs somebody.
func TestStatusTellsOfADeployThatWaits(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	status := func(a *app) fleet.State {
		a.ask(t.Context(), a.store.Snapshot().Hosts, quick)
		states := a.askUnsettled(t.Context(), a.store.Snapshot().Hosts)
		return states[slices.IndexFunc(states, func(s fleet.State) bool { return s.Host.Name == "cloud" })]
	}
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		cloud := status(a)
		to := fleet.Target{Hosts: []fleet.State{cloud}}
		dep, err := a.deployer().RollBack(t.Context(), to, nixops.ConfirmNone, func(nixops.Progress) {})
		if err != nil || dep.State != fleet.Awaiting {
			t.Fatalf("%v, %v; want one that waits", dep, err)
		}
		waits := func(s fleet.State) bool {
			return slices.ContainsFunc(s.Problems(time.Now()), func(p fleet.Problem) bool { return p.What == "a new system waits to be confirmed" })
		}
		if waits(cloud) || !waits(status(a)) {
			t.Error("what waits to be confirmed is no problem of the host")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
