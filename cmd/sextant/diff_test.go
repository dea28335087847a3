package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
)

// TestDemoDiff compares systems of simulated hosts and holds the contract of the
// machine output.
func TestDemoDiff(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		diff := func(o options, args ...string) (string, error) {
			states, err := a.pick(args[:1])
			if err != nil {
				return "", err
			}
			a.ask(t.Context(), states, probeOnly)
			if states, err = a.pick(args[:1]); err != nil {
				return "", err
			}
			var out bytes.Buffer
			o.timeout = a.opts.timeout
			a.opts = o
			err = compare(t.Context(), &out, a, states, args)
			return out.String(), err
		}
		diffsForPrograms(t, diff)
		diffsForPeople(t, diff)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func diffsForPrograms(t *testing.T, diff func(options, ...string) (string, error)) {
	out, err := diff(options{json: true}, "storage")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Schema     int
		Host       string
		From, To   fleet.Toplevel
		Difference fleet.Difference
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %.300s", err, out)
	}
	d := got.Difference
	if got.Schema != 1 || got.Host != "storage" || got.From.Generation == 0 || got.From.Generation >= got.To.Generation {
		t.Errorf("%.300s", out)
	}
	if d.From != got.From.Path || d.To != got.To.Path || d.Added == 0 || len(d.Packages) == 0 {
		t.Errorf("from %+v to %+v: %+v", got.From, got.To, d)
	}
	for _, key := range []string{`"packages":[`, `"units":[`, `"kernel":["`, `"added":`, `"removed":`, `"size":`} {
		if !strings.Contains(out, key) {
			t.Errorf("%s is not in %.300s", key, out)
		}
	}
	if same, err := diff(options{json: true}, "storage", "running", "running"); err != nil || !strings.Contains(same, `"packages":[],"added":0,"removed":0`) {
		t.Errorf("the same twice: %v in %.300s", err, same)
	}
}

func diffsForPeople(t *testing.T, diff func(options, ...string) (string, error)) {
	for _, o := range []options{{}, {plain: true}} {
		out, err := diff(o, "storage")
		if err != nil || !strings.Contains(out, "tailscale") || !strings.Contains(out, "store paths more") || strings.Contains(out, "\x1b") {
			t.Errorf("%v in %s", err, out)
		}
	}
	for args, want := range map[string]string{
		"storage 1":              "has no generation 1",
		"storage /nix/store/x-y": "storage: comparing two systems: no longer in its store: /nix/store/x-y",
		"laptop":                 "laptop: ",
	} {
		if _, err := diff(options{}, strings.Fields(args)...); code(failed(err)) != exitProblem || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := diff(options{}, "storage", "yesterday"); code(failed(err)) != exitUsage {
		t.Errorf("a word is no generation: %v", err)
	}
}

// TestDiffOfTwoHosts: systems of one host are compared.
func TestDiffOfTwoHosts(t *testing.T) {
	if err := compare(t.Context(), nil, nil, make([]fleet.State, 2), []string{"all"}); code(failed(err)) != exitUsage {
		t.Errorf("got %v", err)
	}
}

func TestEnds(t *testing.T) {
	at := func(n int) fleet.Toplevel {
		return fleet.Toplevel{Path: fmt.Sprintf("/nix/store/%d", n), Generation: n}
	}
	state := func(running, standard, booted int) fleet.State {
		s := fleet.State{Host: fleet.Host{Name: "storage"}}
		s.System = fleet.Known(fleet.System{Running: at(running), Default: at(standard), Booted: at(booted)}, time.Now(), "probe")
		var list []fleet.Generation
		for n := 1; n <= 5; n++ {
			list = append(list, fleet.Generation{Number: n, Path: at(n).Path})
		}
		s.Generations = fleet.Known(list, time.Now(), "probe")
		return s
	}
	other := fleet.Toplevel{Path: "/nix/store/x-other"}
	for _, c := range []struct {
		state    fleet.State
		args     string
		from, to fleet.Toplevel
	}{
		{state(4, 5, 3), "", at(4), at(5)},
		{state(5, 5, 3), "", at(4), at(5)},
		{state(4, 5, 3), "booted", at(3), at(5)},
		{state(4, 5, 3), "2", at(2), at(5)},
		{state(5, 5, 3), "running", at(5), at(5)},
		{state(4, 5, 3), "5 running", at(5), at(4)},
		{state(4, 5, 3), "1 /nix/store/x-other", at(1), other},
	} {
		from, to, err := ends(c.state, strings.Fields(c.args))
		if err != nil || from != c.from || to != c.to {
			t.Errorf("%q: %+v to %+v, %v", c.args, from, to, err)
		}
	}
	s := state(4, 5, 3)
	s.System.Value.Booted = fleet.Toplevel{}
	if _, _, err := ends(s, []string{"booted"}); err == nil || !strings.Contains(err.Error(), "booted") {
		t.Errorf("a system that is not told: %v", err)
	}
	s.System = fleet.Fact[fleet.System]{Err: "no route"}
	if _, _, err := ends(s, nil); err == nil || !strings.Contains(err.Error(), "storage: no route") {
		t.Errorf("a host that is not reached: %v", err)
	}
}

// TestDiffWithHoles: what was not told is no sameness, in words and exit code.
func TestDiffWithHoles(t *testing.T) {
	d := fleet.Difference{Packages: []fleet.PackageChange{{Name: "jq", New: []string{"1.7"}}}, Added: 2, Unseen: []string{"sizes of what differs"}}
	var out bytes.Buffer
	err := printDifference(&out, options{}, fleet.State{}, fleet.Toplevel{Generation: 1}, fleet.Toplevel{Generation: 2}, d)
	if !errors.Is(err, exitCode(exitUnknown)) || !strings.Contains(out.String(), "? not told: sizes") || strings.Contains(out.String(), "same size") ||
		!strings.Contains(out.String(), "1.7  ?") {
		t.Errorf("%v in %s", err, out.String())
	}
}
