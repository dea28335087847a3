package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

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
	restore, err := s.terminal(session)
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
func (s *sshShell) terminal(session *ssh.Session) (func(), error) {
	session.Stdout, session.Stderr = s.out, s.err
	file, ok := TerminalOf(s.in)
	if !ok {
		session.Stdin = s.in
		return func() {}, nil
	}
	t, err := TakeTerminal(file, func(w, h int) { _ = session.WindowChange(h, w) })
	if err != nil {
		return nil, err
	}
	if err := session.RequestPty(t.Kind, t.Height, t.Width, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		t.Release()
		return nil, fmt.Errorf("asking %s for a terminal: %w", s.l.Host().Name, err)
	}
	session.Stdin = t // the next key after the shell is ours again
	return t.Release, nil
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
