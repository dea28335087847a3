//go:build lab

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// command runs a command of the program in a terminal.
func command(t *testing.T, args ...string) *tuitest.Term {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "TERM=xterm-256color")
	cmd.Dir = t.TempDir()
	return tuitest.Start(t, cmd, 120, 40)
}

// TestRollBackWithASudoPassword: without the password, with a wrong one, and
// where nobody may become root, nothing changes and it is said why; with the right
// one it is asked for once.
func TestRollBackWithASudoPassword(t *testing.T) {
	before := runs(t, "laptop")
	same := func(t *testing.T) {
		t.Helper()
		if now := runs(t, "laptop"); now != before {
			t.Errorf("it runs %s, not %s", now, before)
		}
	}
	t.Run("absent", func(t *testing.T) {
		out, errs, code := sextant(t, "rollback", "laptop", "--yes")
		if code != 10 || !strings.Contains(out+errs, "laptop: sudo wants the password of ada") {
			t.Errorf("%d: %s%s", code, out, errs)
		}
		same(t)
	})
	t.Run("wrong", func(t *testing.T) {
		ui := command(t, "rollback", "laptop", "--yes")
		ui.WaitFor("sudo password of ada on laptop").Send("wrong1\r")
		ui.WaitFor("Not accepted").Send("\r")
		if err := ui.Wait(); err == nil {
			t.Error("it says that it went well")
		}
		if ui.WaitFor("cannot become root"); strings.Contains(ui.Raw(), "wrong1") {
			t.Error("the password was shown")
		}
		same(t)
	})
	t.Run("nobody may", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(file, []byte("[[host]]\nname = \"laptop\"\nbecome = \"none\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, code := sextant(t, "rollback", "laptop", "--yes", "--config", file)
		if code != 10 || !strings.Contains(out+errs, "cannot become root on laptop: the configuration says become") {
			t.Errorf("%d: %s%s", code, out, errs)
		}
		same(t)
	})
	t.Run("right", func(t *testing.T) {
		ui := command(t, "rollback", "laptop", "--yes")
		ui.WaitFor("sudo password of ada on laptop").Send(labtest.SudoPassword + "\r").WaitFor("confirmed")
		if err := ui.Wait(); err != nil {
			t.Errorf("%v: %s", err, ui.Screen())
		}
		if runs(t, "laptop") == before {
			t.Error("it still runs the system before")
		}
		ui = command(t, "rollback", "laptop", "--to", number(t, "laptop", before), "--yes")
		ui.WaitFor("sudo password").Send(labtest.SudoPassword + "\r").WaitFor("confirmed")
		same(t)
	})
}
