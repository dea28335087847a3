//go:build lab

package podman_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/podman"
	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/test/pty"
)

// where are the containers that commands are tried in: Podman 5.4.2 and 4.3.1,
// root's and a user's own, through sudo, and Docker.
var where = []struct{ host, user, container string }{
	{"storage", "", "jellyfin"}, {"router", "", "blocky"}, {"desktop", "ada", "notes"}, {"media", "", "plex"},
}

// sh runs a script in a container on plain streams.
func sh(ctx context.Context, a *asked, container, user, stdin, script string) (s *podman.Session, out, errs string, err error) {
	var o, e bytes.Buffer
	s = a.engines.Session(ctx, container, user, podman.Command{Args: []string{"/bin/sh", "-c", script}, Env: []string{"WORD=a b"}, Dir: "/", User: "0"})
	s.SetStdin(strings.NewReader(stdin))
	s.SetStdout(&o)
	s.SetStderr(&e)
	err = s.Run()
	return s, o.String(), e.String(), err
}

// TestLabExec: outputs apart, input with its end, the exit code, the folder, the
// user, the environment, and commands that are not there.
func TestLabExec(t *testing.T) {
	for _, c := range where {
		t.Run(c.host+c.user, func(t *testing.T) {
			t.Parallel()
			a := open(t, labtest.Load(t).Link(t, c.host))
			s, out, errs, err := sh(t.Context(), a, c.container, c.user, "one\ntwo\n", `while read -r l; do echo "got $l"; done; echo "$WORD $PWD" >&2; exit 42`)
			if err != nil || out != "got one\ngot two\n" || errs != "a b /\n" || s.Status() != 42 {
				t.Errorf("%d %q %q %v", s.Status(), out, errs, err)
			}
			big := make([]byte, 3<<20)
			_, _ = rand.Read(big)
			if _, out, _, err = sh(t.Context(), a, c.container, c.user, string(big), "/bin/busybox cat || cat"); err != nil || out != string(big) {
				t.Errorf("%d of %d bytes came back: %v", len(out), len(big), err)
			}
			absent := a.engines.Session(t.Context(), c.container, c.user, podman.Command{Args: []string{"/not/there"}})
			err = absent.Run()
			t.Logf("not there: %v, status %d", err, absent.Status())
			if err == nil && absent.Status() != 126 && absent.Status() != 127 {
				t.Error("it was run")
			}
		})
	}
}

// TestLabExecOnATerminal: the shell that is there, with the size of our terminal,
// also after it has changed, and the terminal is ours again.
func TestLabExecOnATerminal(t *testing.T) {
	for _, c := range where {
		t.Run(c.host+c.user, func(t *testing.T) {
			t.Parallel()
			a := open(t, labtest.Load(t).Link(t, c.host))
			person, program, err := pty.Open(101, 33)
			if err != nil {
				t.Fatal(err)
			}
			defer person.Close()
			defer program.Close()
			s := a.engines.Session(t.Context(), c.container, c.user, podman.Command{TTY: true})
			s.SetStdin(program)
			s.SetStdout(program)
			done := make(chan error, 1)
			go func() { done <- s.Run() }()
			comes := reader(t, person)
			says := func(any ...string) {
				t.Helper()
				if !comes(time.Minute, any...) {
					t.FailNow()
				}
			}
			says("# ", "$ ")
			fmt.Fprint(person, "busybox stty size || stty size\r")
			says("33 101")
			_ = pty.Resize(person, 40, 20)
			_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
			labtest.Agree(t, time.Minute, func() string {
				fmt.Fprint(person, "busybox stty size || stty size\r")
				if !comes(time.Second, "20 40") {
					return "its terminal has another size"
				}
				return ""
			})
			mark := newMark()
			fmt.Fprint(person, "sleep "+mark+" || busybox sleep "+mark+"\r")
			begins(t, a, mark)
			fmt.Fprint(person, "\x03\rexit 9\r")
			select {
			case err := <-done:
				if err != nil || s.Status() != 9 {
					t.Errorf("%d %v", s.Status(), err)
				}
			case <-time.After(time.Minute):
				t.Fatal("Ctrl-C and exit did not end it")
			}
		})
	}
}

// newMark is how many seconds something sleeps that is looked for by them.
func newMark() string { return fmt.Sprint(100_000 + time.Now().UnixNano()%100_000) }

// sleeps are the processes of a host that sleep for so long.
func sleeps(t *testing.T, a *asked, mark string) string {
	t.Helper()
	return labtest.Output(t, a.link, "sh", "-c", "pgrep -fa 'sleep "+mark+"' | grep -v pgrep || true")
}

// begins waits until something on a host sleeps for so long.
func begins(t *testing.T, a *asked, mark string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(sleeps(t, a, mark), mark); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not run")
		}
	}
}

// reader gives what tells whether one of some texts is read within a while.
func reader(t *testing.T, r io.Reader) func(limit time.Duration, any ...string) bool {
	got := make(chan string, 1000)
	go func() {
		defer close(got)
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			got <- string(b[:n])
			if err != nil {
				return
			}
		}
	}()
	all := ""
	return func(limit time.Duration, any ...string) bool {
		t.Helper()
		late := time.After(limit)
		for {
			for _, text := range any {
				if _, after, ok := strings.Cut(all, text); ok {
					all = after
					return true
				}
			}
			select {
			case more := <-got:
				all += more
			case <-late:
				t.Logf("%q does not come: %q", any, all)
				return false
			}
		}
	}
}

// TestLabExecThatLosesItsHost: the connection ends under a command; that is said,
// and the command is ended on the host over a new one. So is one that is stopped.
func TestLabExecThatLosesItsHost(t *testing.T) {
	for _, c := range where {
		t.Run(c.host+c.user, func(t *testing.T) {
			t.Parallel()
			for _, how := range []string{"lost", "stopped"} {
				t.Run(how, func(t *testing.T) { losesItsHost(t, c.host, c.user, c.container, how) })
			}
		})
	}
}

func losesItsHost(t *testing.T, host, user, container, how string) {
	a := open(t, labtest.Load(t).Link(t, host))
	mark := newMark()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, _, err := sh(ctx, a, container, user, "", "exec /bin/busybox sleep "+mark)
		done <- err
	}()
	begins(t, a, mark)
	if how == "lost" {
		cut(t, a.link)
	} else {
		cancel()
	}
	select {
	case err := <-done:
		t.Log(err)
		if err == nil || !strings.Contains(err.Error(), how) || !strings.HasSuffix(err.Error(), "; it was ended there") {
			t.Errorf("%v", err)
		}
	case <-time.After(40 * time.Second):
		t.Fatal("it does not end")
	}
	if left := sleeps(t, a, mark); strings.Contains(left, mark) {
		t.Errorf("it was left running: %s", left)
	}
}
