package simulate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// herd is several simulated hosts, ready to be deployed an older system of theirs.
type herd struct {
	*yard
	ready []nixops.Ready
}

func inHerd(t *testing.T, hosts ...string) *herd {
	y := inYard(t, hosts[0])
	h := &herd{yard: y}
	for _, name := range hosts {
		st := y.stateOf(name)
		earlier, err := nixops.Earlier(st)
		if err != nil {
			t.Fatal(err)
		}
		h.ready = append(h.ready, nixops.Ready{State: st, To: fleet.Toplevel{Path: earlier.Path}})
	}
	return h
}

// deploy deploys to all and gives what became of each.
func (h *herd) deploy(o nixops.Order) map[string]nixops.Outcome {
	h.t.Helper()
	out := map[string]nixops.Outcome{}
	for _, x := range h.Deploy(soon(h.t), o, h.ready, func(string, nixops.Progress) {}) {
		out[x.Host.Name] = x
	}
	if len(out) != len(h.ready) {
		h.t.Fatalf("%d of %d hosts are told of", len(out), len(h.ready))
	}
	return out
}

// begun tells whether a host has a deploy that was begun here.
func (h *herd) begun(host string) bool {
	return slices.ContainsFunc(h.stateOf(host).Deploys.Value, func(d fleet.Deploy) bool {
		return d.Who == h.Who && d.Client == "laptop" && d.From.Path != "" && d.Started.After(h.began)
	})
}

// runs tells whether a host runs, and has as its default, what was deployed (true)
// or what it had before (false); anything else is an error.
func (h *herd) runs(host string) bool {
	h.t.Helper()
	sys := h.stateOf(host).System.Value
	i := slices.IndexFunc(h.ready, func(r nixops.Ready) bool { return r.State.Host.Name == host })
	was := h.ready[i].State.System.Value
	switch {
	case sys.Running.Path == h.ready[i].To.Path && sys.Default.Path == sys.Running.Path:
		return true
	case sys.Running.Path == was.Running.Path && sys.Default.Path == was.Default.Path:
		return false
	}
	h.t.Errorf("%s runs %s and has %s as its default", host, sys.Running.Path, sys.Default.Path)
	return false
}

// TestAWaveWaitsForTheConfirmation: a host that waits to be confirmed keeps up the
// wave after it, where nobody stays; where somebody does, it begins once another
// client has confirmed.
func TestAWaveWaitsForTheConfirmation(t *testing.T) {
	h := inHerd(t, "vault", "cloud")
	out := h.deploy(nixops.Order{Confirm: nixops.ConfirmNone, Waves: []int{1}})
	if x := out["vault"]; x.Err != nil || x.Deploy.State != fleet.Awaiting {
		t.Fatalf("the first: %+v", x)
	}
	if x := out["cloud"]; !errors.Is(x.Err, nixops.ErrNotBegun) || !strings.Contains(x.Err.Error(), "vault waits to be confirmed") {
		t.Errorf("the second: %+v", x)
	}
	if h.begun("cloud") || h.runs("cloud") {
		t.Error("cloud was touched")
	}
}

func TestAWaveBeginsWhenAnotherClientConfirms(t *testing.T) {
	h := inHerd(t, "vault", "cloud")
	phone := &nixops.Deployer{Links: h.Links, Who: "ada", Client: "phone"}
	var first, second bool
	out := map[string]nixops.Outcome{}
	for _, x := range h.Deploy(soon(t), nixops.Order{Confirm: nixops.ConfirmElse, Waves: []int{1}}, h.ready, func(host string, p nixops.Progress) {
		switch {
		case p.Line != "" || p.Deploy.State != fleet.Awaiting:
			return
		case host == "vault" && !first:
			first = true
			second = h.begun("cloud")
		}
		if a, err := phone.Confirm(soon(t), h.fleet.Host(host), ""); err != nil || !a.Taken {
			t.Errorf("%s: %+v, %v", host, a, err)
		}
	}) {
		out[x.Host.Name] = x
	}
	if second {
		t.Error("cloud was begun while vault waited")
	}
	for name, x := range out {
		if x.Err != nil || x.Deploy.State != fleet.Confirmed || !h.runs(name) {
			t.Errorf("%s: %+v", name, x)
		}
	}
}

// TestOthersAreKeptOrTakenBack: where a host goes wrong, what was changed before is
// kept, or brought back where that was asked for; what comes after is not touched.
func TestOthersAreKeptOrTakenBack(t *testing.T) {
	for how, kept := range map[nixops.Failing]bool{"": true, nixops.KeepOthers: true, nixops.RollBackOthers: false} {
		t.Run("on failure "+string(how), func(t *testing.T) {
			h := inHerd(t, "vault", "raspi3", "cloud")
			out := h.deploy(nixops.Order{Confirm: nixops.ConfirmAuto, Waves: []int{1}, OnFailure: how})
			if got := h.runs("vault"); got != kept {
				t.Errorf("vault kept: %v, want %v; %+v", got, kept, out["vault"])
			}
			if want := map[bool]fleet.DeployState{true: fleet.Confirmed, false: fleet.RolledBack}[kept]; out["vault"].Deploy.State != want {
				t.Errorf("vault: %+v, want %s", out["vault"], want)
			}
			if h.runs("raspi3") || out["raspi3"].Deploy.State != fleet.Refused {
				t.Errorf("raspi3: %+v", out["raspi3"])
			}
			if h.begun("cloud") || !errors.Is(out["cloud"].Err, nixops.ErrNotBegun) {
				t.Errorf("cloud: %+v", out["cloud"])
			}
		})
	}
}

// TestOneBrokenHost does not stop the others, unless that was asked for.
func TestOneBrokenHost(t *testing.T) {
	for _, all := range []bool{false, true} {
		t.Run(map[bool]string{true: "all or none", false: "as many as can be"}[all], func(t *testing.T) {
			h := inHerd(t, "vault", "cloud")
			h.ready[0].Err = errors.New("it cannot be built")
			out := h.deploy(nixops.Order{Confirm: nixops.ConfirmAuto, AllOrNone: all, OnFailure: nixops.RollBackOthers})
			if x := out["vault"]; x.Err == nil || x.Err.Error() != "it cannot be built" {
				t.Errorf("vault: %+v", x)
			}
			if got := h.runs("cloud"); got == all {
				t.Errorf("all or none %v: cloud was changed: %v; %+v", all, got, out["cloud"])
			}
			if all && !strings.Contains(out["cloud"].Err.Error(), "vault is not ready") {
				t.Errorf("cloud: %+v", out["cloud"])
			}
		})
	}
}

// TestARestartIntoWhatWasDeployed: with "boot" each host is restarted, and must come
// up with it; one that comes up with another system is told, and keeps up the others.
func TestARestartIntoWhatWasDeployed(t *testing.T) {
	h := inHerd(t, "vault", "cloud")
	o := nixops.Order{Action: "boot", Restart: true, Confirm: nixops.ConfirmAuto, Waves: []int{1}}
	before := h.stateOf("vault").System.Value.BootID
	out := h.deploy(o)
	for name, x := range out {
		if x.Err != nil || x.Deploy.State != fleet.Confirmed || !h.runs(name) {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if after := h.stateOf("vault").System.Value.BootID; after == before || after == "" {
		t.Errorf("it was not restarted: boot %s, %s", before, after)
	}
}
