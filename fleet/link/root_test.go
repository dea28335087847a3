package link_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// user is a fleet in which cloud lets ada in, who becomes root as sudo says.
func user(t *testing.T, sudo simulate.Sudo) *simulate.Fleet {
	return simulated(t, simulate.Options{Record: true, Logins: map[string]simulate.Login{
		"cloud": {User: "ada", Password: "sesame", Sudo: sudo}}})
}

// who runs id and gives the name and what else was printed.
func who(t *testing.T, l link.Link, cmd link.Command) string {
	t.Helper()
	cmd.Args = []string{"id", "-un"}
	res, err := l.Run(within(t, 5*time.Second), cmd)
	if err != nil || res.Status != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	return string(res.Stdout) + string(res.Stderr)
}

func TestWaysToRoot(t *testing.T) {
	for sudo, want := range map[simulate.Sudo]string{
		simulate.SudoFree: "sudo", simulate.SudoDoas: "doas", simulate.SudoRun0: "run0", simulate.SudoPassword: "", simulate.SudoNone: "",
	} {
		t.Run("sudo "+string(sudo), func(t *testing.T) {
			f := user(t, sudo)
			p := &person{}
			l := known(t, f, p).Open(plainHost(f, "cloud"))
			name := map[bool]string{true: "root\n", false: "ada\n"}[want != ""]
			for range 3 {
				if got := who(t, l, link.Command{IfRoot: true}); got != name {
					t.Errorf("IfRoot ran as %q", got)
				}
			}
			if n := len(f.Heard("cloud")); n != 3 {
				t.Errorf("three commands took %d round trips", n)
			}
			if reach, _ := l.Connect(t.Context()); reach.Root != want {
				t.Errorf("reach says %q", reach.Root)
			}
			if len(p.questions("")) != 0 {
				t.Errorf("asked %+v", p.questions(""))
			}
			if got := who(t, l, link.Command{}); got != "ada\n" {
				t.Errorf("a plain command ran as %q", got)
			}
		})
	}
}

func TestRootIsRoot(t *testing.T) {
	f := simulated(t, simulate.Options{Record: true})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	if got := who(t, l, link.Command{Root: true}); got != "root\n" || len(f.Heard("cloud")) != 1 {
		t.Errorf("%q in %d round trips", got, len(f.Heard("cloud")))
	}
	if got := who(t, l, link.Command{User: "bob"}); got != "bob\n" {
		t.Errorf("as bob: %q", got)
	}
}

func TestNoRoot(t *testing.T) {
	for name, c := range map[string]struct {
		sudo   simulate.Sudo
		become fleet.Become
		asker  link.Asker
		want   error
	}{
		"no way":              {simulate.SudoNone, "", &person{answer: says("sesame")}, link.ErrNoRoot},
		"forbidden here":      {simulate.SudoFree, fleet.BecomeNone, nil, link.ErrNoRoot},
		"only another way":    {simulate.SudoFree, fleet.BecomeDoas, nil, link.ErrNoRoot},
		"nobody to ask":       {simulate.SudoPassword, "", nil, link.ErrNobody},
		"refused":             {simulate.SudoPassword, "", &person{}, link.ErrRefused},
		"wrong three times":   {simulate.SudoPassword, "", &person{answer: says("wrong")}, link.ErrRefused},
		"only by no password": {simulate.SudoPassword, fleet.BecomeRun0, &person{answer: says("sesame")}, link.ErrNoRoot},
	} {
		t.Run(name, func(t *testing.T) {
			f := user(t, c.sudo)
			h := plainHost(f, "cloud")
			h.Become = c.become
			l := known(t, f, c.asker).Open(h)
			for range 2 {
				_, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"id"}, Root: true})
				if !errors.Is(err, link.ErrNoRoot) || !errors.Is(err, c.want) || !strings.Contains(err.Error(), "cloud") {
					t.Errorf("got %v", err)
				}
			}
			if p, ok := c.asker.(*person); ok && c.sudo == simulate.SudoPassword && c.become == "" {
				if n := len(p.questions(fleet.AskSudo)); n > 3 {
					t.Errorf("asked %d times", n)
				}
			}
			if got := who(t, l, link.Command{IfRoot: true}); got != "ada\n" {
				t.Errorf("IfRoot ran as %q", got)
			}
		})
	}
}

// TestSudoPassword: asked once, kept over connections, never in a command
// line, and asked again when it was changed on the host.
func TestSudoPassword(t *testing.T) {
	f := user(t, simulate.SudoPassword)
	p := &person{answer: says("wrong", "sesame", "open")}
	l := known(t, f, p).Open(plainHost(f, "cloud"))
	input := "in it's\nsextant: input begins\n"
	for range 2 {
		res, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"cat"}, Stdin: strings.NewReader(input), Root: true})
		if err != nil || string(res.Stdout) != input {
			t.Errorf("%q, %s, %v", res.Stdout, res.Stderr, err)
		}
	}
	if got := who(t, l, link.Command{IfRoot: true}); got != "root\n" {
		t.Errorf("IfRoot with a kept password ran as %q", got)
	}
	f.Break("cloud")
	eventually(t, "the end of the connection", func() bool { return f.Connections("cloud") == 0 })
	if got := who(t, l, link.Command{IfRoot: true}); got != "root\n" {
		t.Errorf("IfRoot on a new connection ran as %q", got)
	}
	if n := len(p.questions(fleet.AskSudo)); n != 2 {
		t.Errorf("asked %d times", n)
	}
	f.SetLogin("cloud", simulate.Login{User: "ada", Password: "open", Sudo: simulate.SudoPassword})
	f.Break("cloud")
	eventually(t, "the end of the connection", func() bool { return f.Connections("cloud") == 0 })
	if got := who(t, l, link.Command{IfRoot: true}); got != "ada\n" {
		t.Errorf("IfRoot with a password of yesterday ran as %q", got)
	}
	if got := who(t, l, link.Command{Root: true}); got != "root\n" {
		t.Errorf("ran as %q", got)
	}
	for _, line := range f.Heard("cloud") {
		if strings.Contains(line, "sesame") {
			t.Errorf("the password is in a command line: %s", line)
		}
	}
}

// TestConnectDoesNotWaitForAPerson: while sudo's password is asked, all else
// goes on.
func TestConnectDoesNotWaitForAPerson(t *testing.T) {
	f := user(t, simulate.SudoPassword)
	p := &person{answer: says("sesame"), hold: make(chan struct{})}
	l := known(t, f, p).Open(plainHost(f, "cloud"))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { who(t, l, link.Command{Root: true}) })
	}
	eventually(t, "the question", func() bool { return len(p.questions("")) == 1 })
	quickly(t, time.Second, "what needs no root", func() {
		if _, err := l.Connect(t.Context()); err != nil {
			t.Error(err)
		}
		if got := who(t, l, link.Command{IfRoot: true}); got != "ada\n" {
			t.Errorf("IfRoot ran as %q", got)
		}
		_, err := l.Run(within(t, 100*time.Millisecond), link.Command{Args: []string{"id"}, Root: true})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another who waits for root: %v", err)
		}
	})
	close(p.hold)
	wg.Wait()
	if n := len(p.questions("")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// sudoScript plays sudo for a real shell: free, with a password, or with a
// rule that lets some commands pass without one.
const sudoScript = `#!/bin/sh
n=
while :; do case $1 in -n) n=1;; -p) shift;; --) shift; break;; -*) ;; *) break;; esac; shift; done
case $SUDO_MODE in
password|some)
	[ "$n" ] && { echo "sudo: a password is required" >&2; exit 1; }
	[ "$SUDO_MODE" = some ] && [ "$1" = sh ] && { FAKE=0; export FAKE; exec "$@"; }
	IFS= read -r p
	[ "$p" = sesame ] || { echo "sudo: 1 incorrect password attempt" >&2; exit 1; } ;;
esac
FAKE=0; export FAKE
exec "$@"
`

// freeScript plays doas and run0 that ask nothing. Options they do not have are
// an error.
const freeScript = `#!/bin/sh
while :; do case $1 in -n|--no-ask-password|--pipe) shift;; --) shift; break;; -*) echo "unrecognized option $1" >&2; exit 1;; *) break;; esac; done
FAKE=0; export FAKE
exec "$@"
`

// realShell makes the hosts of a fleet run commands with this machine's own
// shell, where sudo and id are played by scripts.
func realShell(t *testing.T, f *simulate.Fleet, mode string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sudo": sudoScript, "id": "#!/bin/sh\necho ${FAKE:-1000}\n",
		"doas": "#!/bin/sh\nexit 1\n", "run0": "#!/bin/sh\nexit 1\n",
	} {
		switch {
		case mode == "doas" && name == "doas", mode == "run0" && name == "run0":
			text = freeScript
		case mode == "run0 of systemd 256" && name == "run0": // it knows no --pipe
			text = strings.Replace(freeScript, "--pipe", "--no-pipe", 1)
		case !slices.Contains([]string{"free", "password", "some"}, mode) && name == "sudo":
			text = "#!/bin/sh\necho ada may not run sudo on this host >&2\nexit 1\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f.Program("", "sh", func(c simulate.Call) int {
		cmd := exec.CommandContext(c.Context, "/bin/sh", c.Args[1:]...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SUDO_MODE="+mode)
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.Stdin, c.Stdout, c.Stderr, time.Second
		var exit *exec.ExitError
		if err := cmd.Run(); errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	})
}

// TestRootByARealShell runs what is sent to hosts through a real shell.
func TestRootByARealShell(t *testing.T) {
	for mode, root := range map[string]bool{
		"free": true, "password": true, "some": true, "none": false, "doas": true, "run0": true, "run0 of systemd 256": false,
	} {
		t.Run(mode, func(t *testing.T) {
			f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
			realShell(t, f, mode)
			p := &person{answer: says("sesame")}
			l := known(t, f, p).Open(plainHost(f, "cloud"))
			for _, ifRoot := range []bool{true, false, true} {
				cmd := link.Script(`id; cat; echo to stderr >&2; echo "$1" "$GREETING"`, "it's ä")
				cmd.Stdin, cmd.Env = strings.NewReader("one\ntwo"), []string{"GREETING=good day"}
				cmd.IfRoot, cmd.Root = ifRoot, !ifRoot
				res, err := l.Run(within(t, 10*time.Second), cmd)
				if !root && !ifRoot {
					if !errors.Is(err, link.ErrNoRoot) {
						t.Errorf("got %v", err)
					}
					continue
				}
				id := "0"
				if !root || (mode == "password" || mode == "some") && len(p.questions("")) == 0 {
					id = "1000"
				}
				if want := id + "\none\ntwoit's ä good day\n"; err != nil || string(res.Stdout) != want || string(res.Stderr) != "to stderr\n" {
					t.Errorf("IfRoot %v: %q, stderr %q, %v; want %q", ifRoot, res.Stdout, res.Stderr, err, want)
				}
			}
			if n := len(p.questions("")); (mode == "free" || mode == "doas" || mode == "run0") && n != 0 || mode == "password" && n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestProgramsAreNotLogged: what sudo gets as arguments, and so writes down, is
// neither a program nor what it is told.
func TestProgramsAreNotLogged(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada", Sudo: simulate.SudoFree}}})
	var mu sync.Mutex
	var seen []string
	f.Program("", "sudo", func(c simulate.Call) int {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, strings.Join(c.Args, " "))
		return 0
	})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	for range 2 {
		cmd := link.Script("echo a program; # "+strings.Repeat("long ", 5000), "nonce-1234")
		cmd.Root = true
		if res, err := l.Run(within(t, 5*time.Second), cmd); err != nil || res.Status != 0 {
			t.Fatal(res, err)
		}
	}
	if len(seen) == 0 {
		t.Fatal("sudo was not used")
	}
	for _, args := range seen {
		if len(args) > 400 || strings.Contains(args, "nonce-1234") || strings.Contains(args, "a program;") {
			t.Errorf("sudo writes %d bytes down: %.500s", len(args), args)
		}
	}
}

// TestBrokenOffProgram: half a program is not begun.
func TestBrokenOffProgram(t *testing.T) {
	for _, text := range []string{"", "touch $DIR/begun\n", "touch $DIR/begun\n# end of the progra"} {
		dir := t.TempDir()
		cmd := exec.Command("sh", "-c", link.Receive, "sextant", "100")
		cmd.Env, cmd.Stdin = append(os.Environ(), "DIR="+dir), strings.NewReader(text)
		err := cmd.Run()
		if _, begun := os.Stat(filepath.Join(dir, "begun")); err == nil || begun == nil {
			t.Errorf("%q: %v, began: %v", text, err, begun == nil)
		}
	}
}

// TestNoiseBeforeElevation: what a person's shell says at login stays, what
// tells the way to root is taken out.
func TestNoiseBeforeElevation(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
	f.Script("sextant: root by", func(c simulate.Call) int {
		for _, part := range []string{"motd\nsextant: ro", "ot by sudo", "\nerr", "or\n"} {
			_, _ = io.WriteString(c.Stderr, part)
			time.Sleep(time.Millisecond)
		}
		return 0
	})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	res, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"true"}, IfRoot: true})
	if err != nil || string(res.Stderr) != "motd\nerror\n" {
		t.Errorf("%q, %v", res.Stderr, err)
	}
	if reach, _ := l.Connect(t.Context()); reach.Root != "sudo" {
		t.Errorf("reach says %q", reach.Root)
	}
}
