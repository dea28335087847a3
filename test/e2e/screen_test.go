//go:build lab

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// sizes are those the screens are designed for.
var sizes = [][2]int{{120, 40}, {80, 24}, {40, 20}}

// screen starts the program in a terminal, as a person at the operator's
// machine does, with no configuration file.
func screen(t *testing.T, cols, rows int) *tuitest.Term {
	t.Helper()
	cmd := exec.Command(program(t))
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "TERM=xterm-256color")
	cmd.Dir = t.TempDir()
	return tuitest.Start(t, cmd, cols, rows)
}

// attention is how long a person looks at what has opened before it is answered;
// what is typed sooner is swallowed (tui/dialog).
const attention = 700 * time.Millisecond

// answer looks into laptop, which asks for its sudo password there, and gives it.
func answer(ui *tuitest.Term) {
	ui.WaitFor("laptop asks")
	pick(ui, "laptop")
	ui.Press("enter").WaitFor("sudo password of ada on laptop")
	time.Sleep(attention)
	ui.Send(labtest.SudoPassword).Press("enter").WaitGone("sudo password").Press("0", "esc")
}

// opens presses a key until what it leads to is there: an action is refused, with a word
// that goes again, as long as too little is known of the host.
func opens(ui *tuitest.Term, key string, texts ...string) {
	for range 10 {
		ui.Press(key)
		for range 50 {
			if time.Sleep(100 * time.Millisecond); strings.Contains(ui.Screen(), texts[0]) {
				ui.WaitFor(texts...)
				return
			}
		}
	}
	ui.WaitFor(texts...)
}

// TestScreenAgreesWithTheHosts opens a host and its tabs at every size, and
// finds there what the host's own commands say.
func TestScreenAgreesWithTheHosts(t *testing.T) {
	lab := labtest.Load(t)
	storage := lab.Link(t, "storage")
	link := strings.TrimSpace(labtest.Output(t, storage, "readlink", "/nix/var/nix/profiles/system"))
	generation := strings.TrimSuffix(strings.TrimPrefix(link, "system-"), "-link")
	names := strings.Fields(labtest.Output(t, storage, "podman", "ps", "--format", "{{.Names}}"))
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			ui := screen(t, size[0], size[1])
			for _, h := range lab.Hosts {
				if size[1] >= 24 { // at 40×20 two lines a host: not all fit
					ui.WaitFor(h.Name)
				}
			}
			answer(ui)
			pick(ui, "storage")
			ui.Press("enter").WaitFor("storage", "Overview", "FAIL", "podman-crashed")
			ui.Press("2").WaitFor("Generations", generation)
			ui.Press("3").WaitFor("Containers", "crashed", "absent")
			for _, n := range names[:min(3, len(names))] {
				ui.WaitFor(n)
			}
			ui.Press("5").WaitFor("Backups", "home", "offsite", "stale")
			ui.Press("6").WaitFor("Metrics", "memory")
			opens(ui, "G", "netdata") // the source, below the charts: alarms that come meanwhile make the page longer
			ui.Press("q")
			if err := ui.Wait(); err != nil {
				t.Errorf("leaving: %v", err)
			}
			if ui.AltScreen() {
				t.Error("the terminal is not given back")
			}
		})
	}
}

// TestLogIsFollowed reads the log of a container, live.
func TestLogIsFollowed(t *testing.T) {
	lab := labtest.Load(t)
	storage := lab.Link(t, "storage")
	ui := screen(t, 80, 24)
	answer(ui)
	pick(ui, "storage")
	ui.Press("enter").WaitFor("[1 Overview]")
	ui.Press("3").WaitFor("authelia").Press("/").Send("authelia").Press("enter", "L").WaitFor("Log", "tick")
	labtest.Output(t, storage, "sh", "-c", `printf 'MESSAGE=marker-%d\nCONTAINER_NAME=authelia\n' 42 | logger --journald`)
	ui.WaitFor("marker-42")
	ui.Press("esc").WaitFor("Containers").Press("q")
	if err := ui.Wait(); err != nil {
		t.Error(err)
	}
}

// TestShellComesBack opens a shell on a host and comes back to the screen.
func TestShellComesBack(t *testing.T) {
	labtest.Load(t)
	ui := screen(t, 80, 24)
	answer(ui)
	pick(ui, "storage")
	ui.WaitFor("> storage FAIL") // it is known
	ui.Press("S").WaitFor("root@storage")
	ui.Send("echo mark-$((6*7))\r").WaitFor("mark-42")
	ui.Send("exit\r").WaitFor("Fleet")
	ui.Press("q")
	if err := ui.Wait(); err != nil {
		t.Error(err)
	}
}
