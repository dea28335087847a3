package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// leaks names the file into which the child writes what it left running.
const leaks = "SEXTANT_TEST_LEAKS"

// TestDemoChild is the program that TestDemoInATerminal drives: all of it, with
// a look at what still runs when it has ended.
func TestDemoChild(t *testing.T) {
	file := os.Getenv(leaks)
	if file == "" {
		return // only as a child
	}
	before := goleak.IgnoreCurrent()
	os.Args = []string{"sextant", "demo"}
	ended := run()
	// Bubble Tea leaves its reader behind when input comes while it ends; the
	// runtime keeps one goroutine for signals, for ever.
	err := goleak.Find(before, goleak.IgnoreAnyFunction("github.com/charmbracelet/ultraviolet.(*TerminalReader).sendEvents"), goleak.IgnoreTopFunction("os/signal.loop"))
	left := ""
	if err != nil {
		left = err.Error()
	}
	if err := os.WriteFile(file, []byte("ended\n"+left), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Exit(ended)
}

// TestDemoInATerminal drives what `make demo` starts as a person does, and
// finds nothing left of it: no goroutine, no process, no file.
func TestDemoInATerminal(t *testing.T) {
	tmp, file := t.TempDir(), filepath.Join(t.TempDir(), "leaks")
	term, child := startDemo(t, tmp, file)
	term.WaitFor("40/40").Press("g").WaitFor("> cloud").Press("j").WaitFor("> cottage").Press("/", "storage", "enter").WaitFor("3 of 9").Press("G").WaitFor("> storage").Press("enter")
	for _, step := range []struct{ key, see string }{
		{"1", "[1 Overview]"}, {"2", "running default"}, {"3", "[3 Containers]"}, {"4", "[4 Units]"}, {"5", "[5 Backups]"}, {"6", "[6 Metrics]"}, {"7", "grafana.fleet.example"}, {"8", "[8 Timeline]"},
	} {
		term.Press(step.key).WaitFor(step.see)
	}
	term.Press("6").WaitFor("[1h] 24h  7d", "highest").Press("w").WaitFor("[24h]", "highest", "now", "boot").Press("8").WaitFor("[8 Timeline]")
	term.Press("A").WaitFor("HostDown", "prometheus on router, alertmanager on router", "1 silenced (v)").Press("v").WaitFor("quiet", "CertificateEndsSoon").Press("esc").WaitFor("[8 Timeline]")
	term.Press("U").WaitFor("worst", "disk /mnt/storage 94%", "https://netdata.fleet.example/").Press("esc").WaitFor("[8 Timeline]")
	term.Press("?").WaitFor("┌─ Help").Press("esc").WaitGone("┌─ Help")
	term.Press("B").WaitFor("photos", "861G", "+4").Press("esc").WaitFor("[8 Timeline]")
	term.Press("3").WaitFor("[3 Containers]").Press("G", "enter").WaitFor("Processes", "/init --token (hidden)")
	term.Press("v").WaitGone("(hidden)").WaitFor("/init --token ").Press("v").WaitFor("/init --token (hidden)").Press("esc")
	term.Press("4").WaitFor("[4 Units]", "podman-grafana").Press("t").WaitFor("NOT ACTIVE").Press("a").WaitFor("[all kinds").Press("/", "multi-user", "enter", "enter").WaitFor("Its file").Press("esc", "esc")
	term.Press("a").WaitFor("podman-grafana").Press("L").WaitFor("Log").Press("esc").WaitFor("[4 Units]")
	term.Resize(40, 20).WaitFor("[4 Units]").Press("esc").WaitFor("3 of 9").Press("q")
	if err := term.Wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, term.Screen())
	}
	if term.AltScreen() {
		t.Error("the terminal is not given back")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "ended\n" {
		t.Errorf("it left %s %v", got, err)
	}
	if left := inSession(t, child); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if files, err := os.ReadDir(tmp); err != nil || len(files) > 0 {
		t.Errorf("files are left: %v %v", files, err)
	}
}

// startDemo starts it in a terminal, as a program of its own that tells in a file
// what it leaves behind.
func startDemo(t *testing.T, tmp, file string) (*tuitest.Term, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDemoChild$")
	cmd.Env = append(os.Environ(), leaks+"="+file, "TMPDIR="+tmp, "HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "LANG=C.UTF-8")
	term := tuitest.Start(t, cmd, 120, 40).WaitFor("9 hosts", "cottage", "vault")
	return term, cmd.Process.Pid
}

// TestDemoShellInAContainer: its terminal is as large as ours, and it comes back. It
// is not resized here: Bubble Tea itself reads the size then without a lock, which the
// race detector tells of; that is tried where the lab's containers are.
func TestDemoShellInAContainer(t *testing.T) {
	term, _ := startDemo(t, t.TempDir(), filepath.Join(t.TempDir(), "leaks"))
	term.WaitFor("40/40").Press("/", "storage", "enter").WaitFor("3 of 9").Press("G").WaitFor("> storage").Press("enter", "3").WaitFor("[3 Containers]")
	term.Press("/", "jellyfin", "enter").WaitFor("> jellyfin").Press("e").WaitFor("a shell in jellyfin on storage", "this container does not exist", "[root@jellyfin /]#")
	term.Send("size\r").WaitFor("120×40").Send("exit\r").WaitFor("[3 Containers]", "> jellyfin").Press("q")
	if err := term.Wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, term.Screen())
	}
}

// inSession are the processes of a session: a terminal has its own, and
// whatever a program starts in it belongs to it.
func inSession(t *testing.T, session int) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("this system does not tell of its processes in /proc")
	}
	var left []string
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		name, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest) // state, parent, group, session
		if len(f) > 3 && f[3] == strconv.Itoa(session) {
			left = append(left, name+")")
		}
	}
	return left
}
