package discover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// declares is what a flake with each shape of deployer declares.
var declares = []fleet.FlakeHost{
	{Attr: "galactica", Hostname: "galactica.ts.net", From: []string{fleet.FromSystems, fleet.FromDeploy}},
	{Attr: "router", Hostname: "router", User: "deploy", Port: 2222, Identity: "~/.ssh/fleet", Jump: "gate", Tags: []string{"tier1"}, From: []string{fleet.FromSystems, fleet.FromHive}},
	{Attr: "dev.ldn", From: []string{fleet.FromSystems}},
	{Attr: "hive-only", Hostname: "10.0.0.9", From: []string{fleet.FromColmena}},
	{Attr: "bad\x1b", Hostname: "10.0.0.8", From: []string{fleet.FromSystems}},
}

func TestFromFlake(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	list := fromFlake(declares)
	hosts, others := Merge(list, Rules{}, nil)
	want := `galactica id=name:galactica from=flake at=config:galactica.ts.net flake=galactica
router id=name:router from=flake at=config:router tags=tier1 user=deploy port=2222 jump=gate identity=/home/ada/.ssh/fleet flake=router
- dev.ldn: only in the flake: no address known (flake)
`
	if got := render(hosts, others); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// inFolder gives a flake that lies in a folder, with a nix on PATH, and who reads it.
func inFolder(t *testing.T, read FlakeReader) *flake {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"nix", "flake.nix"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	f := newFlake(&Config{}, dir, read)
	if f == nil || f.ref != dir {
		t.Fatalf("flake %+v", f)
	}
	return f
}

func TestFlakeWatch(t *testing.T) {
	leaks(t)
	f := inFolder(t, func(_ context.Context, _ string, tell func([]fleet.FlakeHost)) error {
		tell([]fleet.FlakeHost{{Attr: "storage", From: []string{fleet.FromSystems}}})
		tell([]fleet.FlakeHost{{Attr: "storage", Hostname: "storage.lan", User: "root", From: []string{fleet.FromSystems, fleet.FromDeploy}}})
		return nil
	})
	told := watch(t, f)
	if e := next(t, told); e.err != nil || len(e.list) != 1 || len(e.list[0].Addresses) != 0 {
		t.Errorf("the names first: %+v", e)
	}
	if e := next(t, told); e.err != nil || len(e.list) != 1 || e.list[0].Addresses[0].Host != "storage.lan" || e.list[0].User != "root" {
		t.Errorf("then what deploy-rs knows: %+v", e)
	}
}

func TestFlakeTroubles(t *testing.T) {
	leaks(t)
	fails := func(err error) FlakeReader {
		return func(context.Context, string, func([]fleet.FlakeHost)) error { return err }
	}
	fail := func(t *testing.T, f *flake) *Trouble {
		t.Helper()
		e := next(t, watch(t, f))
		trouble := (*Trouble)(nil)
		errors.As(e.err, &trouble)
		return trouble
	}
	if got := fail(t, inFolder(t, fails(errors.New("undefined variable 'x'")))); got == nil || !strings.Contains(got.Error(), "undefined variable 'x'") || !strings.Contains(got.Help, "nix eval") {
		t.Errorf("a broken flake: %+v", got)
	}
	if got := fail(t, &flake{ref: "github:x/y"}); got == nil || !strings.Contains(got.Error(), "nix is not on PATH") {
		t.Errorf("no nix: %+v", got)
	}
	f := inFolder(t, fails(fleet.ErrNoSystems))
	if e := next(t, watch(t, f)); e.err != nil || e.list == nil {
		t.Errorf("some project's flake: %+v", e)
	}
	f.here = false
	if got := fail(t, f); got == nil {
		t.Error("a flake that was named and has no systems is no trouble")
	}
}

func TestFlakeChoice(t *testing.T) {
	read := func(context.Context, string, func([]fleet.FlakeHost)) error { return nil }
	f := inFolder(t, read)
	empty := t.TempDir()
	t.Setenv("HOME", "/home/ada")
	for _, c := range []struct {
		name, conf, dir, ref string
	}{
		{"none", "", empty, ""},
		{"no folder", "", "", ""},
		{"in the folder", "", f.ref, f.ref},
		{"configured", "github:ada/nixos", f.ref, "github:ada/nixos"},
		{"configured below home", "~/nixos", f.ref, "/home/ada/nixos"},
		{"configured beside the configuration", "./nixos", f.ref, "/etc/sextant/nixos"},
	} {
		got := newFlake(&Config{Path: "/etc/sextant/config.toml", Flake: c.conf}, c.dir, read)
		if (got == nil) != (c.ref == "") || got != nil && got.ref != c.ref {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if newFlake(&Config{Flake: "x"}, "", nil) != nil {
		t.Error("a flake that nobody can read is asked")
	}
	t.Setenv("PATH", empty)
	if newFlake(&Config{}, f.ref, read) != nil {
		t.Error("without nix nobody asked for, nothing should be said")
	}
	if newFlake(&Config{Flake: "x"}, "", read) == nil {
		t.Error("a flake that is configured should say that nix is missing")
	}
}

func FuzzFlake(f *testing.F) {
	f.Add("a", "root@x", "ada", 22, "t")
	f.Add("\x1b", "-o", "", -1, "")
	f.Fuzz(func(t *testing.T, attr, host, user string, port int, tag string) {
		list := fromFlake([]fleet.FlakeHost{
			{Attr: attr, Hostname: fleet.Clean(host), User: fleet.Clean(user), Port: port, Tags: fleet.CleanAll([]string{tag}), From: []string{fleet.FromSystems}},
			{Attr: "b", Hostname: fleet.Clean(host), From: []string{fleet.FromSystems}},
		})
		checkClean(t, list)
		hosts, others := Merge(list, Rules{}, nil)
		checkInvariants(t, list, hosts, others)
		if !slices.IsSortedFunc(list, func(x, y Sighting) int { return strings.Compare(x.Name, y.Name) }) {
			t.Error("not sorted")
		}
	})
}
