package main

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/units"
)

// onDemo asks one simulated host and hands over what it told.
func onDemo(t *testing.T, host string, then func(a *app, states []fleet.State)) {
	t.Helper()
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		states, err := a.pick([]string{host})
		if err != nil {
			return err
		}
		a.ask(t.Context(), states, probeOnly)
		if states, err = a.pick([]string{host}); err == nil {
			then(a, states)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDemoUnits: the lists and one unit of a host that does not exist.
func TestDemoUnits(t *testing.T) {
	onDemo(t, "storage", func(a *app, states []fleet.State) {
		states = a.readUnits(t.Context(), states)
		var out bytes.Buffer
		if err := printUnits(&out, options{json: true}, states, whichUnits{}); err != nil {
			t.Errorf("%v: %s", err, out.String())
		}
		var got struct{ Units []fleet.Unit }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		memory, since := 0, 0
		for _, u := range got.Units {
			if u.Memory != nil {
				memory++
			}
			if !u.Since.IsZero() {
				since++
			}
		}
		if len(got.Units) < 20 || memory < 10 || since < 15 {
			t.Errorf("%d units, of %d memory, of %d since when", len(got.Units), memory, since)
		}
		out.Reset()
		_ = printTimers(&out, options{}, states)
		for _, want := range []string{"TIMER", "logrotate.timer", "enabled, not active", "nix-gc.service"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
		l := a.links.Open(states[0].Host)
		d, err := units.Show(t.Context(), l, "sshd.service", "", false)
		out.Reset()
		_ = printUnit(&out, options{}, "storage", d, false)
		if err != nil || !strings.Contains(out.String(), "API_TOKEN=(hidden)") || !strings.Contains(out.String(), "# 2 values are hidden: --secrets shows them\n# read as root\n") {
			t.Errorf("%v: %s", err, out.String())
		}
		open, err := console{a}.Unit(t.Context(), states[0].Host.ID, "sshd.service", "", true)
		out.Reset()
		_ = printUnit(&out, options{}, "storage", open, false)
		if err != nil || !regexp.MustCompile(`"API_TOKEN=[0-9a-f]{24}"`).MatchString(out.String()) || strings.Contains(out.String(), "hidden") || !open.Secrets {
			t.Errorf("%v: %s", err, out.String())
		}
		if _, err := units.Show(t.Context(), l, "nothing.service", "", false); err == nil || !strings.Contains(err.Error(), "no such unit") {
			t.Error(err)
		}
		if o, err := units.Act(t.Context(), l, units.Start, "logrotate.timer", ""); err != nil || o.Active != "active" {
			t.Errorf("%v, %v", o, err)
		}
		if list, err := units.Read(t.Context(), l); err != nil || strings.Contains(idles(list), "logrotate") {
			t.Errorf("%s, %v", idles(list), err)
		}
	})
}

func idles(list fleet.UnitList) string {
	var names []string
	for _, x := range list.Timers {
		if x.Idle() {
			names = append(names, x.Name)
		}
	}
	return strings.Join(names, " ")
}

// TestDemoUnitsOfAUser: they are listed, and stopped.
func TestDemoUnitsOfAUser(t *testing.T) {
	onDemo(t, "desktop", func(a *app, states []fleet.State) {
		l := a.links.Open(states[0].Host)
		if o, err := units.Act(t.Context(), l, units.Stop, "syncthing.service", "ada"); err != nil || o.Active != "inactive" {
			t.Errorf("%v, %v", o, err)
		}
		list, err := units.Read(t.Context(), l)
		found := false
		for _, u := range list.Units {
			found = found || u.Label() == "ada: syncthing.service" && u.Active == "inactive"
		}
		if err != nil || !found {
			t.Errorf("%v, %v", list.Unseen, err)
		}
	})
}

// TestUnitsOfAHostThatIsAway are unknown, and said to be so.
func TestUnitsOfAHostThatIsAway(t *testing.T) {
	states := (&app{}).readUnits(context.Background(), []fleet.State{{Host: fleet.Host{Name: "away"}}})
	var out bytes.Buffer
	if err := printTimers(&out, options{}, states); code(err) != exitUnknown || !strings.Contains(out.String(), "? away: not asked yet") {
		t.Errorf("%v: %s", err, out.String())
	}
}
