//go:build lab

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// stay gives what sends hosts back to what they run now, without what was deployed since.
func stay(t *testing.T, hosts ...string) func() {
	t.Helper()
	before := map[string]string{}
	for _, h := range hosts {
		before[h] = runs(t, h)
	}
	return func() {
		for _, h := range hosts {
			if runs(t, h) == before[h] {
				continue
			}
			if out, errs, code := sextant(t, "rollback", h, "--to", number(t, h, before[h]), "--yes", "--json"); code != 0 {
				t.Errorf("%s back again: %d: %s %s", h, code, out, errs)
			}
			forget(t, h)
		}
	}
}

// forget deletes the generations that are newer than the default: the boot menu has
// room for a few only, and would lack the one that the host is to start.
func forget(t *testing.T, host string) {
	t.Helper()
	labtest.Output(t, labtest.Load(t).Link(t, host), "sh", "-c", `cd /nix/var/nix/profiles && now=$(readlink system) && now=${now#system-} && now=${now%-link} || exit
for l in system-*-link; do n=${l#system-} && n=${n%-link}; [ "$n" -le "$now" ] || nix-env -p $PWD/system --delete-generations "$n"; done
system/bin/switch-to-configuration boot >&2`)
}

// runs is the system that a host runs.
func runs(t *testing.T, host string) string {
	t.Helper()
	return strings.TrimSpace(labtest.Output(t, labtest.Load(t).Link(t, host), "readlink", "-f", "/run/current-system"))
}

// TestDeployBuiltOnAThirdHost evaluates here and builds on storage; the system
// goes from there to vault and r2s, and is never in this machine's store.
func TestDeployBuiltOnAThirdHost(t *testing.T) {
	lab := labtest.Load(t)
	hosts := []string{"vault", "r2s"}
	defer stay(t, hosts...)()
	flake := labtest.Changed(t)
	out, errs, code := sextant(t, append([]string{"deploy", "--build-on", "storage", "--flake", flake, "--yes", "--json"}, hosts...)...)
	got := decode[deployed](t, out)
	if code != 0 || len(got.Deploys) != len(hosts) {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	for _, d := range got.Deploys {
		if !strings.Contains(errs, d.Host+": building there") || !strings.Contains(errs, d.Host+": copying it from storage") {
			t.Errorf("it was not built on storage: %s", errs)
		}
		if run := runs(t, d.Host); d.State != "CONFIRMED" || run != d.To.Path {
			t.Errorf("%s: %s to %s, it runs %s", d.Host, d.State, d.To.Path, run)
		}
		labtest.Output(t, lab.Link(t, "storage"), "nix-store", "--check-validity", d.To.Path)
		if exec.Command("nix-store", "--check-validity", d.To.Path).Run() == nil {
			t.Errorf("%s is in the store of this machine", d.To.Path)
		}
	}
}

// TestBuildOnAHostThatIsNone tells what there is to build on, and changes nothing.
func TestBuildOnAHostThatIsNone(t *testing.T) {
	labtest.Load(t)
	out, errs, code := sextant(t, "deploy", "r2s", "--flake", labtest.Fork(t, `"four"`, `"five"`), "--build-on", "storag", "--yes")
	if code != 2 || !strings.Contains(errs, "--build-on storag: here, target, or a host") {
		t.Errorf("%d: %s %s", code, out, errs)
	}
}
