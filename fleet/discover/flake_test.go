package discover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFlakeParsers(t *testing.T) {
	// As recorded from nix 2.8, and as applyDeploy and applyColmena give them.
	names, err := parseNames([]byte(`["galactica","router","dev.ldn","raider-niri"]`))
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := parseDeploy([]byte(`{"galactica":{"hostname":"galactica.ts.net","sshUser":null,"sshOpts":[]},
		"router":{"hostname":"root@router","sshUser":"deploy","sshOpts":["-A","-p","2222"]},"dev.ldn":{"hostname":null,"sshUser":"root","sshOpts":["-p22"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	hosts, others := Merge(fromFlake(names, nodes), Rules{}, nil)
	want := `galactica id=name:galactica from=flake at=config:galactica.ts.net flake=galactica
router id=name:router from=flake at=config:router user=deploy port=2222 flake=router
- dev.ldn: only in the flake: no address known (flake)
- raider-niri: only in the flake: no address known (flake)
`
	if got := render(hosts, others); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	hive, err := parseColmena([]byte(`{"galactica":{"targetHost":"10.0.0.1","targetUser":"root","targetPort":null,"tags":["tier1"]},"laptop":{"targetHost":null,"targetUser":null,"targetPort":2222,"tags":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	hosts, _ = Merge(fromFlake([]string{"galactica", "laptop"}, hive), Rules{}, nil)
	want = "galactica id=name:galactica from=flake at=config:10.0.0.1 tags=tier1 user=root flake=galactica\n"
	if got := render(hosts, nil); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	for _, bad := range []string{"", "{}", `["a"`, "warning: Git tree is dirty\n[]"} {
		if _, err := parseNames([]byte(bad)); err == nil {
			t.Errorf("%q was taken for names", bad)
		}
	}
}

// nix puts a shell script in the place of nix and gives the flake that uses it.
func nix(t *testing.T, script string) *flake {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nix"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	f := newFlake(&Config{}, dir)
	if f == nil || f.ref != dir {
		t.Fatalf("flake %+v", f)
	}
	return f
}

// answers is a script that answers as nix does, with its warnings on stderr.
const answers = `
echo "warning: Git tree '/x' is dirty" >&2
case "$*" in
*"#nixosConfigurations "*) echo '["storage","vm"]' ;;
*"#deploy "*) echo '{"storage":{"hostname":"storage.lan","sshUser":"root","sshOpts":[]}}' ;;
*) echo "error: flake 'git+file:///x' does not provide attribute 'colmenaHive'" >&2; exit 1 ;;
esac
`

func TestFlakeWatch(t *testing.T) {
	leaks(t)
	f := nix(t, answers)
	told := watch(t, f)
	if e := next(t, told); e.err != nil || len(e.list) != 2 || len(e.list[0].Addresses) != 0 {
		t.Errorf("the names first: %+v", e)
	}
	if e := next(t, told); e.err != nil || len(e.list) != 2 || e.list[0].Addresses[0].Host != "storage.lan" || e.list[0].User != "root" {
		t.Errorf("then what deploy-rs knows: %+v", e)
	}
}

func TestFlakeTroubles(t *testing.T) {
	leaks(t)
	fail := func(t *testing.T, f *flake) *Trouble {
		t.Helper()
		e := next(t, watch(t, f))
		trouble := (*Trouble)(nil)
		errors.As(e.err, &trouble)
		return trouble
	}
	broken := `echo "error:
       … while calling the 'head' builtin
       error: undefined variable 'x'
       at /x/flake.nix:3:1" >&2; exit 1`
	if got := fail(t, nix(t, broken)); got == nil || !strings.Contains(got.Error(), "undefined variable 'x'") || !strings.Contains(got.Help, "nix eval") {
		t.Errorf("a broken flake: %+v", got)
	}
	if got := fail(t, nix(t, "echo '{'")); got == nil || !strings.Contains(got.Error(), "nixosConfigurations") {
		t.Errorf("no JSON: %+v", got)
	}
	if got := fail(t, nix(t, "yes 0123456789 | head -c 9000000")); got == nil || !strings.Contains(got.Error(), "4 MiB") {
		t.Errorf("too much: %+v", got)
	}
	if got := fail(t, &flake{ref: "github:x/y"}); got == nil || !strings.Contains(got.Error(), "nix is not on PATH") {
		t.Errorf("no nix: %+v", got)
	}
	other := `echo "error: flake 'path:/x' does not provide attribute 'packages.x86_64-linux.nixosConfigurations', 'nixosConfigurations'" >&2; exit 1`
	if e := next(t, watch(t, nix(t, other))); e.err != nil || e.list == nil {
		t.Errorf("some project's flake: %+v", e)
	}
	f := nix(t, other)
	f.here = false
	if got := fail(t, f); got == nil {
		t.Error("a flake that was named and has no systems is no trouble")
	}
}

func TestFlakeEndsWithItsContext(t *testing.T) {
	leaks(t)
	f := nix(t, "sleep 60 & sleep 60")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := f.run(ctx, "x", "y"); err == nil || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestFlakeChoice(t *testing.T) {
	f := nix(t, "")
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
		got := newFlake(&Config{Path: "/etc/sextant/config.toml", Flake: c.conf}, c.dir)
		if (got == nil) != (c.ref == "") || got != nil && got.ref != c.ref {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	t.Setenv("PATH", empty)
	if newFlake(&Config{}, f.ref) != nil {
		t.Error("without nix nobody asked for, nothing should be said")
	}
	if newFlake(&Config{Flake: "x"}, "") == nil {
		t.Error("a flake that is configured should say that nix is missing")
	}
}

func FuzzFlake(f *testing.F) {
	f.Add([]byte(`["a","b.c"]`), []byte(`{"a":{"hostname":"root@x","sshOpts":["-p"]}}`))
	f.Add([]byte(`["\u001b"]`), []byte(`{"a":{"targetHost":"-o","targetPort":-1,"tags":[""]}}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		names, err := parseNames(a)
		if err != nil {
			return
		}
		nodes, err := parseDeploy(b)
		if err != nil {
			nodes = nil
		}
		hive, err := parseColmena(b)
		if err != nil {
			hive = nil
		}
		for _, n := range []map[string]deployNode{nil, nodes, hive} {
			list := fromFlake(names, n)
			checkClean(t, list)
			hosts, others := Merge(list, Rules{}, nil)
			checkInvariants(t, list, hosts, others)
			if !slices.IsSortedFunc(list, func(x, y Sighting) int { return strings.Compare(x.Name, y.Name) }) {
				t.Error("not sorted")
			}
		}
	})
}
