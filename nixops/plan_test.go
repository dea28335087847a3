package nixops

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestARollBackTellsOfTheLast deploy, where that did not end well.
func TestARollBackTellsOfTheLast(t *testing.T) {
	for state, want := range map[fleet.DeployState]string{
		fleet.Confirmed: "", fleet.Cancelled: "", fleet.RolledBack: "it went back by itself 20", fleet.RollbackFailed: "the last deploy could not go back 20",
		fleet.Conflict: "the last deploy met another change 20",
	} {
		list := []fleet.Deploy{{State: state, Why: "because", Changed: time.Now()}, {State: fleet.RolledBack}}
		got := strings.Join(tellLast(fleet.Known(list, time.Now(), "guard")), "\n")
		if (want == "") != (got == "") || !strings.HasPrefix(got, want) || want != "" && !strings.HasSuffix(got, ": because") {
			t.Errorf("%s: %q", state, got)
		}
	}
	if got := tellLast(fleet.Fact[[]fleet.Deploy]{}); got != nil {
		t.Errorf("nothing is known, and it tells %q", got)
	}
}

// TestWhatIsDeclinedIsNotKept: what was built for a plan is dropped when nobody
// agrees to it, but not what was built anew for the same hosts.
func TestWhatIsDeclinedIsNotKept(t *testing.T) {
	d := &Deployer{}
	kept := func() *planned {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.prepared["a"]
	}
	first, decline := context.WithCancel(t.Context())
	second, declineToo := context.WithCancel(t.Context())
	d.keep(first, "a", &planned{})
	newer := &planned{}
	d.keep(second, "a", newer)
	decline()
	time.Sleep(50 * time.Millisecond)
	if kept() != newer {
		t.Error("the newer plan went with the older one")
	}
	declineToo()
	for began := time.Now(); kept() != nil; time.Sleep(time.Millisecond) {
		if time.Since(began) > 5*time.Second {
			t.Fatal("a plan that was declined is kept")
		}
	}
}
