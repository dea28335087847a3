//go:build lab

package e2e

import (
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// deployed is what deploy says with --json.
type deployed struct {
	Deploys []struct {
		Host, State, Why, Error string
		To                      struct{ Path string }
	}
}

// TestDeploy builds a changed flake and deploys it to a host of root's, to one
// reached with sudo and to one with nix 2.8 behind, and asserts each host.
func TestDeploy(t *testing.T) {
	lab := labtest.Load(t)
	flake := labtest.Changed(t)
	hosts := []string{"cloud", "desktop", "router"}
	out, errs, code := sextant(t, append(append([]string{"deploy"}, hosts...), "--flake", flake, "--yes", "--json")...)
	got := decode[deployed](t, out)
	if code != 0 || len(got.Deploys) != len(hosts) {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	for _, d := range got.Deploys {
		l := lab.Link(t, d.Host)
		run := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/run/current-system"))
		def := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/nix/var/nix/profiles/system"))
		if d.State != "CONFIRMED" || run != d.To.Path || def != d.To.Path {
			t.Errorf("%s: %s to %s: it runs %s, its default is %s", d.Host, d.State, d.To.Path, run, def)
		}
	}
	if out, errs, code := sextant(t, "deploy", "r2s", "--store-path", got.Deploys[0].To.Path, "--yes"); code != 10 || !strings.Contains(out, "the system is of "+got.Deploys[0].Host) {
		t.Errorf("a system of another host: %d: %s %s", code, out, errs)
	}
}

// TestDeployBuiltThere builds on the host, and only tells what would be done.
func TestDeployBuiltThere(t *testing.T) {
	labtest.Load(t)
	flake := labtest.Changed(t)
	out, errs, code := sextant(t, "deploy", "r2s", "--flake", flake, "--build-on", "target", "--action", "dry-activate")
	if code != 0 || !strings.Contains(errs, "building there") || !strings.Contains(errs, "would stop the following units: lab-web.service") {
		t.Errorf("%d: %s %s", code, out, errs)
	}
}

// TestDeployOfAFlakeThatIsWrong tells what is wrong in a few lines, before anything is changed.
func TestDeployOfAFlakeThatIsWrong(t *testing.T) {
	labtest.Load(t)
	flake := labtest.Fork(t, `payload = "four"`, `payload = nonsense`)
	out, errs, code := sextant(t, "deploy", "cloud", "--flake", flake, "--yes")
	all := out + errs
	if code == 0 || !strings.Contains(all, "nonsense") || strings.Count(all, "\n") > 30 {
		t.Errorf("%d, %d lines: %s", code, strings.Count(all, "\n"), all)
	}
}
