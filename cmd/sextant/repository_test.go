package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestAChangedFlakeIsRemembered: what was evaluated of a flake with changes that are
// not committed is known when the repository is looked at again, until they are others.
func TestAChangedFlakeIsRemembered(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "-qm", "one"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	a, flake := newApp(options{}, &discover.Config{}), nixops.Flake{Ref: dir}
	look := func() fleet.Repository {
		t.Helper()
		f := a.repository(t.Context(), flake, nil)
		if !f.Current() {
			t.Fatal(f.Err)
		}
		return f.Value
	}
	write("two")
	r := look()
	if !r.Dirty || len(r.Systems) > 0 {
		t.Fatalf("%+v", r)
	}
	a.changed.keep(r, map[string]string{"storage": "/nix/store/s"})
	a.changed.keep(r, map[string]string{"cloud": "/nix/store/c"})
	if got := look().Systems; len(got) != 2 || got["storage"] != "/nix/store/s" || got["cloud"] != "/nix/store/c" {
		t.Errorf("it was forgotten: %v", got)
	}
	write("three, longer")
	if got := look().Systems; len(got) > 0 {
		t.Errorf("the changes are others, and it is still told: %v", got)
	}
	write("one")
	if r := look(); r.Dirty || len(r.Systems) > 0 {
		t.Errorf("nothing is changed any more: %+v", r)
	}
}
