package link_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/test/pty"
)

// screen is a terminal as a person has it: what is shown, and keys.
type screen struct {
	t       *testing.T
	master  *os.File
	program *os.File // the other side: what a program has as its terminal
	mu      sync.Mutex
	shown   bytes.Buffer
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, program, err := pty.Open(80, 24)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, master: master, program: program}
	done := make(chan struct{})
	t.Cleanup(func() { program.Close(); master.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

func (s *screen) expect(text string) {
	s.t.Helper()
	eventually(s.t, "on the screen: "+text, func() bool { return strings.Contains(s.text(), text) })
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// modes are the terminal's settings.
func (s *screen) modes() *term.State {
	s.t.Helper()
	state, err := term.GetState(s.program.Fd())
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

// begin runs a session on the screen and gives its end.
func (s *screen) begin(session fleet.Session) <-chan error {
	s.mu.Lock()
	s.shown.Reset()
	s.mu.Unlock()
	session.SetStdin(s.program)
	session.SetStdout(s.program)
	session.SetStderr(s.program)
	end := make(chan error, 1)
	go func() { end <- session.Run() }()
	return end
}

func shell(t *testing.T, l link.Link, cmd link.Command) fleet.Session {
	t.Helper()
	s, err := l.Shell(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wait(t *testing.T, end <-chan error) error {
	t.Helper()
	select {
	case err := <-end:
		return err
	case <-time.After(5 * time.Second):
		t.Fatal("the shell does not come back")
		return nil
	}
}

// TestShell types into a shell on a host and comes back: the terminal is as it
// was, and the next key is ours.
func TestShell(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	s := newScreen(t)
	before := s.modes()
	for range 2 {
		end := s.begin(shell(t, l, link.Command{}))
		s.expect("[root@cloud:~]# ")
		s.press("size\r")
		s.expect("80×24")
		if err := pty.Resize(s.master, 132, 50); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new size on the host", func() bool {
			s.press("size\r")
			time.Sleep(20 * time.Millisecond)
			return strings.Contains(s.text(), "132×50")
		})
		s.press("exit\r")
		if err := wait(t, end); err != nil {
			t.Error(err)
		}
		if !reflect.DeepEqual(s.modes(), before) {
			t.Error("the terminal is not as it was")
		}
		s.press("x\n")
		key := make([]byte, 8)
		if n, err := s.program.Read(key); err != nil || string(key[:n]) != "x\n" {
			t.Errorf("the next key was %q, %v", key[:n], err)
		}
		_ = pty.Resize(s.master, 80, 24)
	}
}

// TestShellOnALostConnection: we come back by ourselves, with a reason.
func TestShellOnALostConnection(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	link.KeepAlive(d, 30*time.Millisecond, 300*time.Millisecond)
	l := d.Open(plainHost(f, "cloud"))
	s := newScreen(t)
	before := s.modes()
	for what, cut := range map[string]func(string){"broken": f.Break, "silent": f.Silence} {
		end := s.begin(shell(t, l, link.Command{}))
		s.expect("# ")
		cut("cloud")
		if err := wait(t, end); err == nil {
			t.Errorf("%s: no reason was given", what)
		}
		if !reflect.DeepEqual(s.modes(), before) {
			t.Errorf("%s: the terminal is not as it was", what)
		}
	}
}

func TestShellCommand(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	for want, cmd := range map[string]link.Command{
		"ada\n": {Args: []string{"id", "-un"}}, "root\n": {Args: []string{"id", "-un"}, IfRoot: true},
	} {
		var out, errs bytes.Buffer
		s := shell(t, l, cmd)
		s.SetStdin(strings.NewReader(""))
		s.SetStdout(&out)
		s.SetStderr(&errs)
		if err := s.Run(); err != nil || out.String() != want || errs.Len() != 0 {
			t.Errorf("%v: %q, %v; want %q", cmd, out.String(), err, want)
		}
	}
}

func TestShellOnAHostThatIsOff(t *testing.T) {
	f := simulated(t, simulate.Options{})
	s := newScreen(t)
	before := s.modes()
	if err := wait(t, s.begin(shell(t, known(t, f, nil).Open(plainHost(f, "laptop")), link.Command{}))); err == nil {
		t.Error("no reason was given")
	}
	if !reflect.DeepEqual(s.modes(), before) {
		t.Error("the terminal is not as it was")
	}
}
