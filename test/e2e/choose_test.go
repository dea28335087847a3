//go:build lab

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestDeployAsChosenOnTheScreen types a flake, the attribute of the host's system there
// and the host to build on, where no flake is known; a slip is told and kept.
func TestDeployAsChosenOnTheScreen(t *testing.T) {
	lab := labtest.Load(t)
	defer stay(t, "vault")()
	flake := labtest.Fork(t, "vault = now;", `attic = now // { host = "vault"; payload = "`+filepath.Base(t.TempDir())+t.Name()+`"; };`)
	cmd := exec.Command(program(t))
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "TERM=xterm-256color")
	cmd.Dir = t.TempDir()
	ui := tuitest.Start(t, cmd, 40, 20)
	answer(ui)
	before := runs(t, "vault")
	ui.Press("G").WaitFor("> vault").Press("D").WaitFor("< switch >").Press("j", "h").WaitFor("< on another host >")
	ui.Press("j").WaitFor("> builder").Send("storge\r").WaitFor("no host of the fleet").Send("\x7f\x7fage\t").WaitFor("builder  storage")
	ui.Press("j").WaitFor("> flake").Send(flake + "\t").WaitFor("> more").Press("enter").WaitFor("> attribute")
	ui.Send("attik\r").WaitFor("It cannot be planned")
	time.Sleep(attention)
	ui.Press("esc").WaitFor("attribute  attik").Press("k").WaitFor("> attribute").Send("\x7fc\r")
	ui.WaitFor("n No", "yes")
	time.Sleep(attention)
	ui.Press("y").WaitFor("confirmed").WaitFor("done after").Press("esc", "q")
	if err := ui.Wait(); err != nil {
		t.Error(err)
	}
	now := runs(t, "vault")
	if now == before {
		t.Errorf("it runs still %s", before)
	}
	labtest.Output(t, lab.Link(t, "storage"), "nix-store", "--check-validity", now)
	if exec.Command("nix-store", "--check-validity", now).Run() == nil {
		t.Errorf("%s is in the store of this machine", now)
	}
}
