package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"
	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// streams are the terminal a session takes over.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// SetStdin sets where input comes from.
func (s *streams) SetStdin(r io.Reader) { s.in = r }

// SetStdout sets where output goes.
func (s *streams) SetStdout(w io.Writer) { s.out = w }

// SetStderr sets where errors go.
func (s *streams) SetStderr(w io.Writer) { s.err = w }

// Shell gives an interactive login, or an interactive command.
func (l *sshLink) Shell(cmd Command) (fleet.Session, error) {
	return &sshShell{l: l, cmd: cmd}, nil
}

// sshShell is a terminal on a host.
type sshShell struct {
	streams
	l   *sshLink
	cmd Command
}

// Run opens the terminal there, connects it with ours, and waits for its end.
// Our terminal is as it was when Run returns, however it ends.
func (s *sshShell) Run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dctx, done := context.WithTimeout(ctx, s.l.d.limits.dial+s.l.d.limits.auth)
	c, err := s.l.connected(dctx)
	done()
	if err != nil {
		return err
	}
	cmd, err := c.root.wrapShell(ctx, s.cmd)
	if err != nil {
		return err
	}
	session, err := c.client.NewSession() // outside the slots: a person waits
	if err != nil {
		return c.blame(ctx, err)
	}
	defer session.Close()
	restore, err := s.terminal(ctx, session)
	if err != nil {
		return err
	}
	defer restore()
	if len(cmd.Args) > 0 {
		err = session.Start(line(cmd))
	} else {
		err = session.Shell()
	}
	if err == nil {
		err = session.Wait()
	}
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return nil // the shell's own status is its business
	}
	if err != nil {
		return c.blame(ctx, err)
	}
	return nil
}

// terminal asks for a terminal like ours and connects the two. The function it
// gives puts ours back.
func (s *sshShell) terminal(ctx context.Context, session *ssh.Session) (func(), error) {
	session.Stdout, session.Stderr = s.out, s.err
	file, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		session.Stdin = s.in
		return func() {}, nil
	}
	width, height, err := term.GetSize(file.Fd())
	if err != nil {
		width, height = 80, 24
	}
	kind := os.Getenv("TERM")
	if kind == "" {
		kind = "xterm"
	}
	if err := session.RequestPty(kind, height, width, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		return nil, fmt.Errorf("asking %s for a terminal: %w", s.l.Host().Name, err)
	}
	in, err := cancelreader.NewReader(file) // the next key after the shell is ours again
	if err != nil {
		return nil, err
	}
	old, err := term.MakeRaw(file.Fd())
	if err != nil {
		return nil, err
	}
	keys := &lastRead{Reader: in, over: make(chan struct{})}
	session.Stdin = keys
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-resized:
				if w, h, err := term.GetSize(file.Fd()); err == nil {
					_ = session.WindowChange(h, w)
				}
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(resized)
		close(ended)
		if in.Cancel() {
			select { // nobody reads any more: what is typed next is ours
			case <-keys.over:
				in.Close()
			case <-time.After(time.Second):
			}
		}
		_ = term.Restore(file.Fd(), old)
	}, nil
}

// lastRead tells when its reader will be read no more.
type lastRead struct {
	io.Reader
	over chan struct{}
	once sync.Once
}

// Read reads on; after an error nobody does again.
func (l *lastRead) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if err != nil {
		l.once.Do(func() { close(l.over) })
	}
	return n, err
}

// Shell gives the person's own shell, or an interactive command.
func (l *localLink) Shell(cmd Command) (fleet.Session, error) {
	args := cmd.Args
	if len(args) == 0 {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "sh"
		}
		args = []string{shell}
	}
	return &localShell{l: l, cmd: Command{Args: args, Root: cmd.Root, User: cmd.User, Env: cmd.Env}}, nil
}

// localShell is a program on this machine's terminal.
type localShell struct {
	streams
	l   *localLink
	cmd Command
}

// Run runs it.
func (s *localShell) Run() error {
	cmd, err := s.l.root.wrapShell(context.Background(), s.cmd)
	if err != nil {
		return err
	}
	c := exec.Command("sh", append([]string{"-c", onPath, "sextant"}, withEnv(cmd.Args, cmd.Env)...)...)
	c.Stdin, c.Stdout, c.Stderr = s.in, s.out, s.err
	var exit *exec.ExitError
	if err := c.Run(); !errors.As(err, &exit) {
		return err
	}
	return nil
}
