//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestDriftAgreesWithNix compares what hosts run with what the flake declares:
// the same as nix says, and otherwise as soon as the flake is another.
func TestDriftAgreesWithNix(t *testing.T) {
	lab := labtest.Load(t)
	type drift struct {
		Hosts []struct {
			Host, State, By, Declared string
			Running                   struct{ Path string }
		}
		Repository struct{ Value struct{ Revision string } }
	}
	home, _ := os.UserHomeDir()
	out, errs, code := sextant(t, "drift", "laptop", "vault", "--flake", filepath.Join(home, "fleet"), "--evaluate", "--json")
	got := decode[drift](t, out)
	if code != 0 || len(got.Hosts) != 2 || got.Repository.Value.Revision == "" {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	for _, h := range got.Hosts {
		run := strings.TrimSpace(labtest.Output(t, lab.Link(t, h.Host), "readlink", "-f", "/run/current-system"))
		if h.State != "same" || h.By != "path" || h.Declared != run || h.Running.Path != run {
			t.Errorf("it runs %s: %+v", run, h)
		}
	}
	other := labtest.Fork(t, `payload = "four"`, `payload = "drift"`)
	out, errs, code = sextant(t, "drift", "laptop", "--flake", other, "--evaluate", "--json")
	if got := decode[drift](t, out); code != 1 || len(got.Hosts) != 1 || got.Hosts[0].State != "differs" || got.Hosts[0].Declared == got.Hosts[0].Running.Path {
		t.Errorf("of a flake that declares another system: %d: %s %s", code, out, errs)
	}
}
