package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

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
		states := a.askOpen(t.Context(), a.store.Snapshot().Hosts)
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
		onlyLooksOn(t, a, cloud.Host)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeploysReadOnceAreNoHole: what `deploys` has read is remembered; that `status` does
// not ask again where nothing waits makes nothing unknown.
func TestDeploysReadOnceAreNoHole(t *testing.T) {
	st := fleet.State{
		Reach: fleet.Known(fleet.Reach{State: fleet.Up}, time.Now(), "ssh"), System: fleet.Known(fleet.System{NixOS: true}, time.Now(), "probe"),
		Deploys: fleet.Known([]fleet.Deploy{{ID: "a", State: fleet.Confirmed}}, time.Now(), "guard"),
	}
	st.Deploys = st.Deploys.Remember(time.Now())
	hole := func() bool {
		return slices.ContainsFunc(st.Problems(time.Now()), func(p fleet.Problem) bool { return strings.HasPrefix(p.What, "deploys unknown") })
	}
	for _, c := range []struct {
		deployed fleet.DeployState
		hole     bool
	}{{fleet.Confirmed, false}, {"", false}, {"?", true}, {fleet.RolledBack, true}} {
		st.Inventory = fleet.Known(fleet.Inventory{Deployed: c.deployed}, time.Now(), "probe")
		if hole() != c.hole {
			t.Errorf("the newest is %q: unknown %v", c.deployed, !c.hole)
		}
	}
	st.Inventory = st.Inventory.Remember(time.Now())
	if !hole() {
		t.Error("nothing of the host is known, and its deploys are")
	}
}

// TestADeployThatIsOver: what is told again of one that ended long ago is said to be old.
func TestADeployThatIsOver(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		dep  fleet.Deploy
		want string
	}{
		{fleet.Deploy{State: fleet.Confirmed, Changed: now.Add(-3 * time.Hour)}, "it was over already, 3h ago: that is what it told then"},
		{fleet.Deploy{State: fleet.Confirmed, Changed: now.Add(time.Second)}, ""},
		{fleet.Deploy{State: fleet.Awaiting, Changed: now.Add(-3 * time.Hour)}, ""},
		{fleet.Deploy{State: fleet.Refused}, ""},
	} {
		if got := over(c.dep, now); got != c.want {
			t.Errorf("%+v: %q, want %q", c.dep, got, c.want)
		}
	}
}

// onlyLooksOn attaches to a deploy that waits where nothing may be changed: what
// would confirm it is refused, by the flag and by the configuration, and it waits on.
func onlyLooksOn(t *testing.T, a *app, h fleet.Host) {
	t.Helper()
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetErr(io.Discard)
	for _, by := range []*bool{&a.opts.readOnly, &a.cfg.ReadOnly} {
		*by = true
		for _, confirm := range []nixops.Confirmation{nixops.ConfirmAuto, nixops.ConfirmAsk} {
			dep, err := a.attach(cmd, a.deployer(), h, "", confirm)
			if code := deployCode(dep, err); code != exitRefused || !strings.Contains(err.Error(), "--read-only") {
				t.Errorf("attach --confirm %s: %v, %v, exit %d", confirm, dep.State, err, code)
			}
		}
		if dep, err := a.attach(cmd, a.deployer(), h, "", nixops.ConfirmNone); err != nil || dep.State != fleet.Awaiting {
			t.Errorf("looking on: %v, %v; want one that still waits", dep.State, err)
		}
		*by = false
	}
}
