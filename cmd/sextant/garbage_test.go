package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestDemoGarbage shows and deletes what a simulated host has too much of, and holds
// the contract of the machine output and the exit codes.
func TestDemoGarbage(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		garbage := func(f garbageFlags, o options) (garbageOut, string, int) {
			states, err := a.pick([]string{"storage"})
			if err != nil {
				t.Fatal(err)
			}
			a.ask(t.Context(), states, only("deploys"))
			if states, err = a.pick([]string{"storage"}); err != nil {
				t.Fatal(err)
			}
			o.timeout = a.opts.timeout
			a.opts = o
			var out, errs bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetContext(t.Context())
			cmd.SetOut(&out)
			cmd.SetErr(&errs)
			exit := code(failed(f.run(cmd, a, states[0])))
			var got garbageOut
			if o.json {
				if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Schema != 1 || got.Host != "storage" {
					t.Errorf("%v in %.300s", err, out.String())
				}
			}
			return got, out.String() + errs.String(), exit
		}
		garbageIsShown(t, garbage)
		garbageIsRefused(t, garbage)
		garbageIsDeleted(t, garbage)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type garbageRun func(garbageFlags, options) (garbageOut, string, int)

func garbageIsShown(t *testing.T, garbage garbageRun) {
	got, _, exit := garbage(garbageFlags{}, options{json: true})
	if exit != 0 || got.Garbage == nil || len(got.Garbage.Generations) != 12 || got.Garbage.Dead == nil || got.Garbage.Boot == nil || got.Deleted != nil || got.Freed != nil {
		t.Errorf("%d: %+v", exit, got)
	}
	_, text, exit := garbage(garbageFlags{}, options{})
	for _, want := range []string{"storage: store 57 % full", "storage: boot  31 % full", "dead store paths", "is the default", "shared"} {
		if exit != 0 || !strings.Contains(text, want) {
			t.Errorf("%d: no %q in\n%s", exit, want, text)
		}
	}
}

func garbageIsRefused(t *testing.T, garbage garbageRun) {
	shown, _, _ := garbage(garbageFlags{}, options{json: true})
	must, may := 0, 0
	for _, u := range shown.Garbage.Generations {
		if len(u.Kept) > 0 {
			must = u.Number
		} else {
			may = u.Number
		}
	}
	for name, c := range map[string]struct {
		f    garbageFlags
		o    options
		want string
	}{
		"read-only":       {garbageFlags{deleted: []int{may}, yes: true}, options{json: true, readOnly: true}, "--read-only"},
		"collect, read":   {garbageFlags{collect: true, yes: true}, options{json: true, readOnly: true}, "--read-only"},
		"one that stays":  {garbageFlags{deleted: []int{may, must}, yes: true}, options{json: true}, "generation"},
		"one not there":   {garbageFlags{deleted: []int{may, 9999}, yes: true}, options{json: true}, "has no generation 9999"},
		"nobody to ask":   {garbageFlags{deleted: []int{may}}, options{json: true}, "nobody agreed"},
		"collect, nobody": {garbageFlags{collect: true}, options{json: true}, "nobody agreed"},
	} {
		if got, _, exit := garbage(c.f, c.o); exit != exitRefused || !strings.Contains(got.Error, c.want) || len(got.Deleted) != 0 || got.Freed != nil {
			t.Errorf("%s: %d, %+v", name, exit, got)
		}
	}
	if after, _, _ := garbage(garbageFlags{}, options{json: true}); len(after.Garbage.Generations) != 12 || after.Garbage.Dead.Paths != shown.Garbage.Dead.Paths {
		t.Errorf("something was deleted: %+v", after.Garbage)
	}
}

func garbageIsDeleted(t *testing.T, garbage garbageRun) {
	got, _, exit := garbage(garbageFlags{keep: 9, yes: true}, options{json: true})
	if exit != 0 || len(got.Deleted) != 3 || got.Freed != nil {
		t.Errorf("all but 9: %d, %+v", exit, got)
	}
	got, text, exit := garbage(garbageFlags{older: "30d", collect: true, yes: true}, options{json: true})
	if exit != 0 || len(got.Deleted) == 0 || got.Freed == nil || got.Freed.Paths == 0 || !strings.Contains(text, "storage: deleting path 1: ") {
		t.Errorf("the old, and collect: %d, %+v", exit, got)
	}
	got, _, _ = garbage(garbageFlags{}, options{json: true})
	for _, u := range got.Garbage.Generations {
		if time.Since(u.Date) > 30*24*time.Hour && len(u.Kept) == 0 {
			t.Errorf("%d is still there", u.Number)
		}
	}
	if got, _, exit := garbage(garbageFlags{keep: 50, yes: true}, options{json: true}); exit != 0 || len(got.Deleted) != 0 {
		t.Errorf("all but 50: %d, %+v", exit, got)
	}
	if _, text, exit := garbage(garbageFlags{keep: 50, collect: true, yes: true}, options{}); exit != 0 || !strings.Contains(text, "storage: generations deleted: none\nstorage: 0 store paths deleted, 0 B freed") {
		t.Errorf("%d: %s", exit, text)
	}
}

func TestChooseGenerations(t *testing.T) {
	now := time.Now()
	g := nixops.Garbage{}
	for n := 1; n <= 6; n++ {
		g.Generations = append(g.Generations, nixops.GenerationUse{Number: n, Date: now.Add(-time.Duration(7-n) * 24 * time.Hour)})
	}
	g.Generations[1].Kept = []string{"booted"}
	g.Generations = append(g.Generations, nixops.GenerationUse{Number: 7}) // its date cannot be read
	for _, c := range []struct {
		f    garbageFlags
		want []int
	}{
		{garbageFlags{keep: 3}, []int{1, 3, 4}},
		{garbageFlags{keep: 9}, nil},
		{garbageFlags{older: "3d"}, []int{1, 3}},
		{garbageFlags{older: "36h"}, []int{1, 3, 4, 5}},
		{garbageFlags{deleted: []int{5, 2, 5}}, []int{2, 5}},
	} {
		if got := c.f.choose(g, now); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
}

// TestGarbageUsage: what makes no sense is a mistake of the caller, before any host is asked.
func TestGarbageUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--keep", "0"}, {"--keep", "-1"}, {"--delete", "0"}, {"--delete", "x"}, {"--older-than", "soon"}, {"--older-than", "-1h"}, {"--older-than", "3"}, {"--older-than", ""}, {"--delete", "1", "--keep", "2"},
	} {
		if _, err := command(t, append([]string{"garbage", "cloud"}, args...)...); code(err) != exitUsage {
			t.Errorf("%v: %v", args, err)
		}
	}
}
