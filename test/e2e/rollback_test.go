//go:build lab

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestRollBackFromAPhone goes back a generation in three keystrokes at 40×20,
// there and back again, and asserts the host.
func TestRollBackFromAPhone(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "cloud")
	before := runs(t, "cloud")
	ui := screen(t, 40, 20)
	answer(ui)
	pick(ui, "cloud")
	opens(ui, "R", "Roll cloud back", "it goes back")
	time.Sleep(attention)
	ui.Press("y").WaitFor("done after")
	after := runs(t, "cloud")
	if after == before {
		t.Errorf("it still runs %s", before)
	}
	if def := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/nix/var/nix/profiles/system")); def != after {
		t.Errorf("the default is %s, running %s", def, after)
	}
	ui.Press("q")
	out, errs, code := sextant(t, "rollback", "cloud", "--to", number(t, "cloud", before), "--yes", "--json")
	if code != 0 {
		t.Errorf("back again: %d: %s %s", code, out, errs)
	}
	if now := runs(t, "cloud"); now != before {
		t.Errorf("it runs %s, not %s again", now, before)
	}
}

// number is the generation of a toplevel of a host.
func number(t *testing.T, host, path string) string {
	t.Helper()
	out, _, _ := sextant(t, "generations", host, "--json")
	got := decode[struct {
		Generations []struct {
			Generation int
			Path       string
		}
	}](t, out)
	for _, g := range got.Generations {
		if g.Path == path {
			return strconv.Itoa(g.Generation)
		}
	}
	t.Fatalf("no generation of %s is %s: %s", host, path, out)
	return ""
}
