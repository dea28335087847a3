package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Session is a command in a container on this program's terminal, or on its plain
// input and outputs where that is none. It fits [fleet.Session].
type Session struct {
	e          *Engines
	ctx        context.Context
	name, user string
	cmd        Command
	in         io.Reader
	out, errs  io.Writer
	status     int
}

// Session makes a session of a command; nothing is begun yet. cmd.TTY says that a
// terminal is wanted: it has one only where the input and the output are one. It
// ends with ctx, and the command with it.
func (e *Engines) Session(ctx context.Context, name, user string, cmd Command) *Session {
	return &Session{e: e, ctx: ctx, name: name, user: user, cmd: cmd, in: strings.NewReader(""), out: io.Discard, errs: io.Discard}
}

// SetStdin sets where input comes from.
func (s *Session) SetStdin(r io.Reader) { s.in = r }

// SetStdout sets where output goes.
func (s *Session) SetStdout(w io.Writer) { s.out = w }

// SetStderr sets where errors go.
func (s *Session) SetStderr(w io.Writer) { s.errs = w }

// Status is what the command ended with, once Run has given no error.
func (s *Session) Status() int { return s.status }

// User is whose container it is.
func (s *Session) User() string { return s.user }

// Run begins the command and stays with it to its end. The terminal is as it was
// when Run returns, however it ends. Where the connection is lost, or ctx ends, the
// command is ended on the host too, if that can be reached.
func (s *Session) Run() error {
	ctx, cancel := s.e.bound(s.ctx)
	defer cancel()
	file, onTerminal := link.TerminalOf(s.in)
	if _, shown := link.TerminalOf(s.out); !onTerminal || !shown {
		s.cmd.TTY = false
	}
	var now atomic.Pointer[Exec] // which has the size of the terminal
	in, release := s.in, func() {}
	if s.cmd.TTY {
		t, err := link.TakeTerminal(file, func(w, h int) {
			if x := now.Load(); x != nil {
				_ = x.Resize(ctx, w, h) // a size that is not taken is the command's to bear
			}
		})
		if err != nil {
			return err
		}
		release = sync.OnceFunc(t.Release)
		defer release()
		in, s.cmd.Width, s.cmd.Height = t, t.Width, t.Height
		s.cmd.Env = withTerm(s.cmd.Env, t.Kind)
	} else if r, err := link.NewInput(s.in); err == nil {
		release = sync.OnceFunc(r.Stop)
		defer release()
		in = r
	}
	x, err := s.e.Exec(ctx, s.name, s.user, s.cmd)
	if err != nil {
		return err
	}
	defer x.Close()
	if now.Store(x); s.cmd.TTY {
		_ = x.Resize(ctx, s.cmd.Width, s.cmd.Height) // engines before 5 take none at the beginning
	}
	err = s.carry(ctx, x, in)
	release() // what is said now is said on a terminal as it was
	return s.conclude(ctx, x, err)
}

// carry carries input there and output here, until that ends.
func (s *Session) carry(ctx context.Context, x *Exec, in io.Reader) error {
	go func() { // it ends when the input is released
		if _, err := io.Copy(x, in); err == nil {
			_ = x.CloseWrite()
			return
		}
		_, _ = io.Copy(io.Discard, in)
	}()
	defer context.AfterFunc(ctx, func() { x.Close() })()
	return x.Copy(s.out, s.errs)
}

// conclude finds out how the command ended, or ends it.
func (s *Session) conclude(ctx context.Context, x *Exec, err error) error {
	if err == nil && ctx.Err() == nil {
		if s.status, err = x.Status(ctx); err == nil {
			return nil
		}
	}
	what := fmt.Errorf("%s on %s: %w", s.name, s.e.link.Host().Name, s.broken(ctx, err))
	if serr := x.Stop(ctx); serr != nil {
		return fleet.WithCure(fmt.Errorf("%w; it may still run there: %w", what, told{serr}), "look with sextant ssh "+s.e.link.Host().Name)
	}
	return fmt.Errorf("%w; it was ended there", what)
}

// broken is why a command's connection ended before the command.
func (s *Session) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped")
	case err == nil, errors.Is(err, errStillRuns):
		return errors.New("the connection to it was lost")
	}
	return fmt.Errorf("the connection to it was lost: %w", told{err})
}

// knownTerms are the terminals that every image has a description of, if of any.
var knownTerms = []string{"xterm", "xterm-256color", "screen", "screen-256color", "tmux", "tmux-256color", "linux", "vt100", "vt220", "dumb"}

// withTerm adds TERM, where the person has not. Terminals that images do not know
// are as xterm with colours, all of those that there are now.
func withTerm(env []string, kind string) []string {
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "TERM=") }) {
		return env
	}
	if !slices.Contains(knownTerms, kind) {
		kind = "xterm-256color"
	}
	return append(slices.Clone(env), "TERM="+kind)
}
