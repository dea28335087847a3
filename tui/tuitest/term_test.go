package tuitest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestChild is the program that the other tests drive.
func TestChild(t *testing.T) {
	if os.Getenv("SEXTANT_TUITEST_CHILD") == "" {
		return // only as a child
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
	term.Resize(40, 20).WaitFor("not reachable: no way to log in was…")
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
