//go:build lab

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestDeployToMarkedHosts marks two hosts and deploys to both with one key, then
// compares them with the flake, and deploys again what runs already.
func TestDeployToMarkedHosts(t *testing.T) {
	labtest.Load(t)
	hosts := []string{"desktop", "vault"}
	defer stay(t, hosts...)()
	flake := labtest.Changed(t)
	cmd := exec.Command(program(t))
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "TERM=xterm-256color")
	cmd.Dir = flake
	ui := tuitest.Start(t, cmd, 80, 40)
	answer(ui)
	ui.Press("g").WaitFor("> cloud").Press("j").WaitFor("> cottage").Press("j").WaitFor("> desktop").Press("space")
	ui.WaitFor("*desktop").Press("G").WaitFor("> vault").Press("space")
	ui.WaitFor("*desktop", "*vault")
	opens(ui, "D", "< switch >")
	ui.Press("enter").WaitFor("Deploy", "desktop", "vault", "free: /nix")
	time.Sleep(attention)
	before := []string{runs(t, "desktop"), runs(t, "vault")}
	ui.Send("2 hosts\r").WaitFor("desktop: awaiting").WaitFor("desktop: confirmed")
	ui.WaitFor("vault: awaiting").WaitFor("vault: confirmed").WaitFor("done after").Press("esc")
	for i, h := range hosts {
		if runs(t, h) == before[i] {
			t.Errorf("%s still runs %s", h, before[i])
		}
	}
	ui.Press("F").WaitFor("Compare with the flake", "desktop: ", "done after").Press("esc", "q")
	if err := ui.Wait(); err != nil {
		t.Error(err)
	}
	out, errs, code := sextant(t, "deploy", "desktop", "vault", "--flake", flake, "--yes", "--json")
	for _, d := range decode[deployed](t, out).Deploys {
		if d.State != "CONFIRMED" || d.Why != "it runs that system already" {
			t.Errorf("%+v", d)
		}
	}
	if code != 0 {
		t.Errorf("what runs already: %d: %s", code, errs)
	}
}

// TestDeployOfAnotherArchitecture is refused before anything changes.
func TestDeployOfAnotherArchitecture(t *testing.T) {
	before := runs(t, "r2s")
	out, _, _ := sextant(t, "generations", "r2s", "--json")
	if !strings.Contains(out, before) {
		t.Fatalf("%s is no generation: %s", before, out)
	}
	flake := labtest.Fork(t, `payload = "four"`, `payload = "other"`)
	other := labtest.Altered(t, labtest.Toplevel(t, flake, "r2s"), `echo aarch64-linux >"$1/system"`)
	out, errs, code := sextant(t, "deploy", "r2s", "--store-path", other, "--yes")
	if code != 10 || !strings.Contains(out+errs, "aarch64-linux") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if now := runs(t, "r2s"); now != before {
		t.Errorf("it runs %s, not %s", now, before)
	}
}
