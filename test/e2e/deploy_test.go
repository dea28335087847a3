//go:build lab

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// fork is a copy of the operator's flake in which a text is another.
func fork(t *testing.T, from, to string) string {
	t.Helper()
	home, _ := os.UserHomeDir()
	dir := filepath.Join(t.TempDir(), "fleet")
	if out, err := exec.Command("cp", "-r", filepath.Join(home, "fleet"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := filepath.Join(dir, "hosts.nix")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		t.Fatalf("no %q in %s: %v", from, path, err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

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
	flake := fork(t, `payload = "four"`, `payload = "`+filepath.Base(t.TempDir())+t.Name()+`"`)
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
	if out, errs, code := sextant(t, "deploy", "r2s", "--store-path", got.Deploys[0].To.Path, "--yes"); code != 10 || !strings.Contains(out, "the system is of cloud") {
		t.Errorf("a system of another host: %d: %s %s", code, out, errs)
	}
}

// TestDeployBuiltThere builds on the host, and only tells what would be done.
func TestDeployBuiltThere(t *testing.T) {
	labtest.Load(t)
	flake := fork(t, `payload = "four"`, `payload = "`+filepath.Base(t.TempDir())+t.Name()+`"`)
	out, errs, code := sextant(t, "deploy", "r2s", "--flake", flake, "--build-on", "target", "--action", "dry-activate")
	if code != 0 || !strings.Contains(errs, "building there") || !strings.Contains(errs, "would stop the following units: lab-web.service") {
		t.Errorf("%d: %s %s", code, out, errs)
	}
}

// TestDeployOfAFlakeThatIsWrong tells what is wrong in a few lines, before anything is changed.
func TestDeployOfAFlakeThatIsWrong(t *testing.T) {
	labtest.Load(t)
	flake := fork(t, `payload = "four"`, `payload = nonsense`)
	out, errs, code := sextant(t, "deploy", "cloud", "--flake", flake, "--yes")
	all := out + errs
	if code == 0 || !strings.Contains(all, "nonsense") || strings.Count(all, "\n") > 30 {
		t.Errorf("%d, %d lines: %s", code, strings.Count(all, "\n"), all)
	}
}
