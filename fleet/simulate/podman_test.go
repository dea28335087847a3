//go:build remote

package simulate_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/podman"
)

func engines(t testing.TB, l link.Link) *podman.Engines {
	e := podman.New(l)
	t.Cleanup(func() { e.Close() })
	return e
}

func TestContainersOfTheWorld(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	for name, want := range map[string]int{"storage": 40, "cloud": 5, "vault": 2} {
		l := d.Open(f.Host(name))
		st := probed(t, l)
		list := joined(engines(t, l).Read(soon(t), given(st)), st.Units)
		if !list.Current() || len(list.Value) != want {
			t.Errorf("%s: %d containers, %s", name, len(list.Value), list.Err)
		}
		for _, c := range list.Value {
			broken := c.Name == "dex" || c.Name == "step-ca"
			if c.Broken() != broken || c.Unit == "" || c.State != fleet.Absent && (c.ImageAt.IsZero() || c.Created.IsZero()) {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
	for _, name := range []string{"r2s"} { // no Podman there
		l := d.Open(f.Host(name))
		if list := engines(t, l).Read(soon(t), given(probed(t, l))); !list.None {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

// TestPodmanTellsWhatHappens: a unit is restarted, and its container is another.
func TestPodmanTellsWhatHappens(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	l := dialer(t, f).Open(f.Host("vault"))
	e := engines(t, l)
	st := probed(t, l)
	before := joined(e.Read(soon(t), given(st)), st.Units).Value
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var seen atomic.Int32
	err := e.Watch(ctx, func() {
		if seen.Add(1) == 1 { // it listens now
			res, err := l.Run(ctx, link.Command{Args: []string{"systemctl", "restart", "podman-step-ca.service"}, Root: true})
			if err != nil || res.Status != 0 {
				t.Errorf("%+v, %v", res, err)
			}
			return
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	st = probed(t, l)
	after := joined(e.Read(soon(t), given(st)), st.Units).Value
	if before[1].State != fleet.Absent || after[1].State != "running" || len(st.FailedUnits().Value) != 1 {
		t.Errorf("%+v became %+v", before[1], after[1])
	}
}

func TestContainersInDetail(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	l := dialer(t, f).Open(f.Host("cloud"))
	e := engines(t, l)
	list := e.Read(soon(t), given(probed(t, l))).Value
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reports := 0
	err := e.Stats(ctx, []string{list[0].ID, list[1].ID}, func(s []fleet.ContainerStats) {
		if len(s) != 2 || s[0].Memory == 0 || s[0].PIDs == 0 || s[0].CPU < 0 || s[0].MemLimit != 0 {
			t.Errorf("%+v", s)
		}
		if reports++; reports == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if driver, err := e.LogDriver(soon(t), "authelia", ""); err != nil || driver != "journald" {
		t.Errorf("%q, %v", driver, err)
	}
	logs, err := e.Logs(soon(t), fleet.LogSource{Container: "authelia"}, fleet.LogQuery{Lines: 20, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	lines, err := logs.Next(soon(t))
	if err != nil || len(lines) == 0 || lines[0].Text == "" {
		t.Errorf("%v, %v", lines, err)
	}
}

// TestSocketClosedToTheUser: the socket is reached through `podman system dial-stdio`.
func TestSocketClosedToTheUser(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1, Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
	l := dialer(t, f).Open(f.Host("cloud"))
	list := engines(t, l).Read(soon(t), given(probed(t, l)))
	if !list.Current() || len(list.Value) != 5 {
		t.Errorf("%d containers, %s", len(list.Value), list.Err)
	}
}

func TestHostileContainers(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1, Faults: map[string]simulate.Fault{"storage": {Hostile: true}, "cloud": {NoForward: true}, "router": {NoPodman: true}}})
	d := dialer(t, f)
	l := d.Open(f.Host("storage"))
	list := engines(t, l).Read(soon(t), given(probed(t, l)))
	if err := dirty(list); err != nil || len(list.Value) != 10040 {
		t.Errorf("%d containers, %v, %s", len(list.Value), err, list.Err)
	}
	l = d.Open(f.Host("cloud")) // sshd forwards nothing: as root, a command does
	if list := engines(t, l).Read(soon(t), given(probed(t, l))); len(list.Value) != 5 {
		t.Errorf("without forwarding: %+v", list)
	}
	l = d.Open(f.Host("router"))
	if list := engines(t, l).Read(soon(t), given(probed(t, l))); list.Current() {
		t.Errorf("without Podman: %+v", list)
	}
}

// joined adds to what engines told what the units tell.
func joined(f fleet.Fact[[]fleet.Container], units fleet.Fact[[]fleet.Unit]) fleet.Fact[[]fleet.Container] {
	return fleet.Derive(f, func(list []fleet.Container) []fleet.Container { return podman.Join(list, units) })
}

// TestContainersOfAUser: a user's containers stand beside root's, with the units of
// the user's own systemd.
func TestContainersOfAUser(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	l := dialer(t, f).Open(f.Host("desktop"))
	st := probed(t, l)
	list := joined(engines(t, l).Read(soon(t), given(st)), st.Units)
	i := slices.IndexFunc(list.Value, func(c fleet.Container) bool { return c.User == "ada" })
	if !list.Current() || len(list.Value) != 3 || i < 0 {
		t.Fatalf("%+v", list)
	}
	if c := list.Value[i]; c.Name != "miniflux" || !c.UserUnit || c.Unit != "miniflux.service" || c.UnitSub != "active/running" {
		t.Errorf("%+v", c)
	}
	if !slices.ContainsFunc(st.Units.Value, func(u fleet.Unit) bool { return u.Label() == "ada: syncthing.service" }) {
		t.Errorf("%+v", st.Units.Value)
	}
}
