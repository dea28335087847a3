package main

import (
	"cmp"
	"os"
	"testing"

	"github.com/sextant-fleet/sextant/fleet/discover"
)

// TestDemoKnowsNoFlake: hosts that do not exist are of no flake, even where the
// demo is started in the folder of one.
func TestDemoKnowsNoFlake(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("flake.nix", []byte("{ outputs = _: { }; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := flakeOf(&discover.Config{}); got != "." {
		t.Fatalf("a folder with a flake: %q", got)
	}
	err := withDemo(t.Context(), options{}, &discover.Config{}, 1, func(a *app) error {
		if a.flake != "" || a.deployer().Flake.Ref != "" {
			t.Errorf("the demo deploys %q", cmp.Or(a.flake, a.deployer().Flake.Ref))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
