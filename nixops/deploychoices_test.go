package nixops

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// aStore is the path of a system.
const aStore = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-storage-26.05"

// on are hosts that something was chosen for.
func on(chosen map[string]string, hosts ...string) fleet.Target {
	t := fleet.Target{Chosen: chosen}
	for _, name := range hosts {
		t.Hosts = append(t.Hosts, fleet.State{Host: fleet.Host{ID: fleet.HostID(name), Name: name}})
	}
	return t
}

// ofThree is a deployer of a fleet of three.
func ofThree(flake string) *Deployer {
	return &Deployer{Flake: Flake{Ref: flake}, Fleet: func() fleet.Snapshot {
		return fleet.Snapshot{Hosts: on(nil, "storage", "vault", "r2s").Hosts}
	}}
}

// TestOrderOfWhatWasChosen: what is chosen on the screen is the order that the
// command line has flags for; where nothing is, it is what is usual.
func TestOrderOfWhatWasChosen(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	usual := Order{Flake: Flake{Ref: "."}, Action: "switch", Confirm: ConfirmAuto, OnFailure: KeepOthers}
	for _, c := range []struct {
		name   string
		chosen map[string]string
		want   func(*Order)
		fails  string
	}{
		{"nothing", nil, func(*Order) {}, ""},
		{"a flake of the home", map[string]string{"flake": " ~/fleet ", "attribute": "nas"}, func(o *Order) { o.Flake.Ref, o.Attribute = "/home/ada/fleet", "nas" }, ""},
		{"a flake from elsewhere", map[string]string{"flake": "github:me/fleet"}, func(o *Order) { o.Flake.Ref = "github:me/fleet" }, ""},
		{"a store path", map[string]string{"flake": aStore}, func(o *Order) { o.Store = aStore }, ""},
		{"a file of the store", map[string]string{"flake": aStore + "/flake"}, func(o *Order) { o.Flake.Ref = aStore + "/flake" }, ""},
		{"boot and restart", map[string]string{"action": "boot, reboot", "confirm": "ask"}, func(o *Order) { o.Action, o.Restart, o.Confirm = "boot", true, ConfirmAsk }, ""},
		{"on the target", map[string]string{"build": "target"}, func(o *Order) { o.BuildOn = BuildTarget }, ""},
		{"on another", map[string]string{"build": "on another host", "builder": "Vault "}, func(o *Order) {
			o.BuildOn, o.Builder = "vault", fleet.Host{ID: "vault", Name: "vault"}
		}, ""},
		{"on none", map[string]string{"build": "on another host", "builder": "valut"}, nil, `did you mean "vault"?`},
		{"waves", map[string]string{"waves": "1, 4", "on-failure": "roll-back"}, func(o *Order) { o.Waves, o.OnFailure = []int{1, 4}, RollBackOthers }, ""},
		{"no waves", map[string]string{"waves": "1,none"}, nil, `"none" is no number of hosts`},
	} {
		got, err := ofThree(".").order(on(c.chosen, "storage"))
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		want := usual
		c.want(&want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", c.name, got, err, want)
		}
	}
}

// offered are the IDs of what can be chosen, and what is wrong with what was.
func offered(d *Deployer, t fleet.Target) (ids, faults []string) {
	for _, c := range d.choices() {
		if c.Offered(t) {
			if ids = append(ids, c.ID); c.Fault(t) != "" {
				faults = append(faults, c.Fault(t))
			}
		}
	}
	return ids, faults
}

// TestChoicesOfADeploy: only what makes sense for the hosts is asked, and what
// cannot be meant is told before anything is built.
func TestChoicesOfADeploy(t *testing.T) {
	for _, c := range []struct {
		flake string
		on    fleet.Target
		ids   string
		fault string
	}{
		{".", on(nil, "storage"), "action build confirm flake attribute", ""},
		{".", on(nil, "storage", "vault"), "action build confirm flake waves on-failure", ""},
		{"", on(nil, "storage"), "action build confirm flake attribute", "flake: nothing is typed yet"},
		{"", on(map[string]string{"flake": aStore}, "storage"), "action build confirm flake attribute", ""},
		{".", on(map[string]string{"flake": aStore}, "storage", "vault"), "action build confirm flake waves on-failure", "a store path is for one host, not for 2"},
		{".", on(map[string]string{"flake": aStore, "attribute": "x"}, "storage"), "action build confirm flake attribute", "a store path of none"},
		{".", on(map[string]string{"build": "on another host"}, "storage"), "action build builder confirm flake attribute", "builder: nothing is typed yet"},
		{".", on(map[string]string{"build": "on another host", "builder": "stroage"}, "r2s"), "action build builder confirm flake attribute", `did you mean "storage"?`},
		{".", on(map[string]string{"waves": "0"}, "storage", "vault"), "action build confirm flake waves on-failure", `"0" is no number of hosts`},
	} {
		ids, faults := offered(ofThree(c.flake), c.on)
		if strings.Join(ids, " ") != c.ids {
			t.Errorf("%q %v: %v is asked, not %s", c.flake, c.on.Chosen, ids, c.ids)
		}
		if got := strings.Join(faults, "; "); (c.fault == "") != (got == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%q %v: %q, not %q", c.flake, c.on.Chosen, got, c.fault)
		}
	}
}
