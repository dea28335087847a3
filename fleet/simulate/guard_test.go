package simulate_test

import (
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestRollBackOfTheDemo goes back on a host that does not exist: what the guard
// says there must make sense to its client, and the host runs what was confirmed.
func TestRollBackOfTheDemo(t *testing.T) {
	f := begin(t, simulate.Options{})
	d := dialer(t, f)
	host := f.Host("vault")
	st := probed(t, d.Open(host))
	deployer := &nixops.Deployer{Links: d, Who: "ada", Client: "here", Differences: &nixops.Differences{}}
	earlier, err := nixops.Earlier(st)
	if err != nil {
		t.Fatal(err)
	}
	target := fleet.Target{Hosts: []fleet.State{st}}
	for _, a := range deployer.Actions() {
		if a.ID != "rollback" {
			continue
		}
		if why := a.Off(target); why != "" {
			t.Fatal(why)
		}
		plan, err := a.Plan(soon(t), target)
		if err != nil || len(plan.Lines) < 4 {
			t.Fatalf("%+v, %v", plan, err)
		}
	}
	dep, err := deployer.RollBack(soon(t), target, nixops.ConfirmAuto, nil)
	if err != nil || dep.State != fleet.Confirmed {
		t.Fatalf("%+v, %v", dep, err)
	}
	after := probed(t, d.Open(host)).System.Value
	if after.Running.Generation != earlier.Number || after.Default.Generation != earlier.Number {
		t.Errorf("running %+v, default %+v, want generation %d", after.Running, after.Default, earlier.Number)
	}
	list, err := nixops.Deploys(soon(t), d.Open(host))
	if err != nil || len(list) != 1 || list[0].Who != "ada" || time.Since(list[0].Started) > time.Minute {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestCancelFromElsewhere leaves a deploy waiting and calls it off as another client.
func TestCancelFromElsewhere(t *testing.T) {
	f := begin(t, simulate.Options{})
	d := dialer(t, f)
	host := f.Host("vault")
	st := probed(t, d.Open(host))
	one := &nixops.Deployer{Links: d, Who: "ada", Client: "laptop", Differences: &nixops.Differences{}}
	dep, err := one.RollBack(soon(t), fleet.Target{Hosts: []fleet.State{st}}, nixops.ConfirmNone, nil)
	if err != nil || dep.State != fleet.Awaiting || dep.Deadline.IsZero() {
		t.Fatalf("%+v, %v", dep, err)
	}
	two := &nixops.Deployer{Links: d, Who: "ada", Client: "phone"}
	if a, err := two.Cancel(soon(t), host, ""); err != nil || !a.Taken {
		t.Fatalf("%+v, %v", a, err)
	}
	if a, err := two.Confirm(soon(t), host, ""); err != nil || a.Taken {
		t.Errorf("a second answer: %+v, %v", a, err)
	}
	dep, err = two.Attach(soon(t), host, "", nixops.ConfirmElse, nil)
	if err != nil || dep.State != fleet.Cancelled {
		t.Errorf("%+v, %v", dep, err)
	}
	if after := probed(t, d.Open(host)).System.Value; after.Running.Path != st.System.Value.Running.Path {
		t.Errorf("it runs %s", after.Running.Path)
	}
}
