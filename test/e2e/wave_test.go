//go:build lab

package e2e

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestSecondWaveAfterAFailedFirst: where a host of the first wave goes back,
// those of the second are not touched.
func TestSecondWaveAfterAFailedFirst(t *testing.T) {
	lab := labtest.Load(t)
	first, second := lab.Link(t, "desktop"), lab.Link(t, "storage")
	state := func(l link.Link) string {
		return labtest.Output(t, l, "readlink", "-f", "/run/current-system", "/nix/var/nix/profiles/system")
	}
	before := [2]string{state(first), state(second)}
	as := func(args ...string) {
		t.Helper()
		res, err := first.Run(t.Context(), link.Command{Args: args, Root: true})
		if err != nil || res.Status != 0 {
			t.Fatalf("%v: %v %s", args, err, res.Stderr)
		}
	}
	as("sh", "-c", "echo 2 once >/etc/lab/stc-fail")
	defer as("rm", "-f", "/etc/lab/stc-fail")
	flake := labtest.Changed(t)
	out, errs, code := sextant(t, "deploy", "storage", "desktop", "--wave", "1", "--flake", flake, "--yes", "--json")
	got := decode[deployed](t, out)
	if code != 20 || len(got.Deploys) != 2 {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	for _, d := range got.Deploys {
		if d.Host == "desktop" && d.State != "ROLLED_BACK" || d.Host == "storage" && !strings.Contains(d.Error, "not begun") {
			t.Errorf("%+v", d)
		}
	}
	if after := [2]string{state(first), state(second)}; after != before {
		t.Errorf("they were %q, and are %q", before, after)
	}
}

// TestTheFirstIsTakenBackWhereTheSecondFails: --on-failure roll-back, on real hosts. The
// desktop is the first: nothing depends on it.
func TestTheFirstIsTakenBackWhereTheSecondFails(t *testing.T) {
	lab := labtest.Load(t)
	first, second := lab.Link(t, "desktop"), lab.Link(t, "cloud")
	before := [2]string{runs(t, "desktop"), runs(t, "cloud")}
	labtest.Output(t, second, "sh", "-c", "echo 2 once >/etc/lab/stc-fail")
	defer labtest.Output(t, second, "rm", "-f", "/etc/lab/stc-fail")
	flake := labtest.Changed(t)
	out, errs, code := sextant(t, "deploy", "cloud", "desktop", "--wave", "1", "--on-failure", "roll-back", "--flake", flake, "--yes", "--json")
	got := decode[deployed](t, out)
	if code != 20 || len(got.Deploys) != 2 {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	for _, d := range got.Deploys {
		if d.State != "ROLLED_BACK" || d.Host == "desktop" && !strings.Contains(d.Why, "taken back") {
			t.Errorf("%+v", d)
		}
	}
	if after := [2]string{runs(t, "desktop"), runs(t, "cloud")}; after != before {
		t.Errorf("they ran %q, and run %q", before, after)
	}
	if def := strings.TrimSpace(labtest.Output(t, first, "readlink", "-f", "/nix/var/nix/profiles/system")); def != before[0] {
		t.Errorf("the default of desktop is %s", def)
	}
}
