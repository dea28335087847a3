package tuitest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestChild is the program that the other tests drive.
func TestChild(t *testing.T) {
	if os.Getenv("SEXTANT_TUITEST_CHILD") == "" {
		t.Skip("only as a child")
	}
	err := tui.Run(context.Background(), tui.Options{Store: tuitest.Sample(), Console: &tuitest.Console{}, Now: func() time.Time { return tuitest.Now }})
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	os.Exit(0)
}

func child(env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), append(env, "SEXTANT_TUITEST_CHILD=1", "LANG=C.UTF-8")...)
	return cmd
}

func TestAnotherProcess(t *testing.T) {
	term := tuitest.Start(t, child(), 80, 24).WaitFor("7 hosts", "> cloud")
	term.Resize(40, 20).WaitFor("not reachable: ssh: handshake faile…")
	term.Resize(120, 40).WaitFor("path").Press("j").WaitFor("> desk")
	term.Resize(20, 5).WaitFor("sextant needs 32x10")
	term.Resize(80, 24).WaitFor("> desk").Press("q")
	if err := term.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestADumbTerminalIsRefused(t *testing.T) {
	cmd := child()
	cmd.Env = append(cmd.Env, "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "sextant status --plain") || strings.Contains(string(out), "\x1b") {
		t.Errorf("%v: %q", err, out)
	}
}

func TestAPoorLocaleGetsASCII(t *testing.T) {
	cmd := child()
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	term := tuitest.Start(t, cmd, 80, 24).WaitFor("sextant > Fleet", "7 hosts | ")
	term.Press("q")
	_ = term.Wait()
}

// TestIdleCostsNothing holds the goal of 1 % of a core while nothing happens.
func TestIdleCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	cmd := child()
	term := tuitest.Start(t, cmd, 120, 40).WaitFor("7 hosts").Settle(500 * time.Millisecond)
	const window = 4 * time.Second
	before := ticks(t, cmd.Process.Pid)
	time.Sleep(window)
	used := time.Duration(ticks(t, cmd.Process.Pid)-before) * 10 * time.Millisecond
	t.Logf("%v of CPU time in %v", used, window)
	if used > window*2/100 { // twice the goal: a tick is 10 ms, and machines are shared
		t.Errorf("idle takes %v of %v", used, window)
	}
	term.Press("q")
	_ = term.Wait()
}

// ticks is the processor time of a process in hundredths of a second.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return user + system
}
