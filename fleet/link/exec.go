package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// onPath finds the programs of NixOS also where the login shell sets no PATH,
// and the wrappers (sudo) before the programs they wrap.
const onPath = `PATH=/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/sbin:/sbin; export PATH; exec "$@"`

// line is what the login shell on the host is given to run.
func line(cmd Command) string {
	return Quote(append([]string{"sh", "-c", onPath, "sextant"}, withEnv(cmd.Args, cmd.Env)...))
}

// Run runs a command and waits for its end.
func (l *sshLink) Run(ctx context.Context, cmd Command) (Result, error) {
	p, err := l.Start(ctx, cmd)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return collect(p, cmd.Limit)
}

// Start runs a command and gives its output as it comes.
func (l *sshLink) Start(ctx context.Context, cmd Command) (Process, error) {
	return over(ctx, l, func(c *connection) (Process, error) {
		wrapped, err := c.root.wrap(ctx, cmd)
		if err != nil {
			return nil, err
		}
		return c.start(ctx, wrapped)
	})
}

// Dial connects to an address as the host sees it.
func (l *sshLink) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return over(ctx, l, func(c *connection) (net.Conn, error) { return c.dial(ctx, network, address) })
}

// over does something over the connection, and once more over a new one where
// the first turns out to have died before anything was asked over it.
func over[T any](ctx context.Context, l *sshLink, do func(*connection) (T, error)) (T, error) {
	for again := false; ; again = true {
		c, err := l.connected(ctx)
		if err != nil {
			var none T
			return none, err
		}
		out, err := do(c)
		var dead *deadError
		if again || !errors.As(err, &dead) || ctx.Err() != nil {
			return out, err
		}
	}
}

// deadError is why a connection had ended before it was used.
type deadError struct{ error }

// Unwrap gives the reason.
func (d *deadError) Unwrap() error { return d.error }

// DialCommand gives the input and output of a command as a connection.
func (l *sshLink) DialCommand(ctx context.Context, cmd Command) (net.Conn, error) {
	return dialCommand(ctx, l, cmd)
}

// run runs a command as the login user, or as it was wrapped.
func (c *connection) run(ctx context.Context, cmd Command) (Result, error) {
	p, err := c.start(ctx, cmd)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return collect(p, cmd.Limit)
}

// collect reads all of a process's output, up to its limit.
func collect(p Process, limit int) (Result, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	out, err := io.ReadAll(io.LimitReader(p, int64(limit)+1))
	if len(out) > limit {
		p.Close()
		return Result{}, fmt.Errorf("%w of %d bytes", ErrTooMuch, limit)
	}
	if err != nil {
		return Result{}, err
	}
	res, err := p.Wait()
	res.Stdout = out
	return res, err
}

// sshProcess is a command that runs over a connection. The library's calls
// block for as long as the host says nothing; they run beside, so that reading
// and waiting end with the context.
type sshProcess struct {
	c       *connection
	session *ssh.Session
	out     *io.PipeReader
	in      *io.PipeWriter // the other end of out
	stderr  *head
	ctx     context.Context
	stop    func() bool
	ended   chan struct{} // closed when err is set
	err     error         // how it ended
	once    sync.Once
	release func()
}

// start opens a session; of these a host allows few at once, so it may wait
// for another to end.
func (c *connection) start(ctx context.Context, cmd Command) (Process, error) {
	session, release, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	p := &sshProcess{c: c, session: session, stderr: newHead(cmd), ctx: ctx, ended: make(chan struct{}), release: release}
	p.out, p.in = io.Pipe()
	session.Stdin, session.Stderr = cmd.Stdin, p.stderr
	stdout, err := session.StdoutPipe()
	if err != nil {
		p.Close()
		return nil, c.blame(ctx, err)
	}
	p.stop = context.AfterFunc(ctx, p.end)
	started := make(chan error, 1)
	go p.live(line(cmd), stdout, started)
	select {
	case err = <-started:
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.ended:
		err = c.why
	}
	if err != nil {
		p.Close()
		return nil, c.blame(ctx, err)
	}
	return p, nil
}

// live starts the command and stays with it to its end.
func (p *sshProcess) live(line string, stdout io.Reader, started chan<- error) {
	defer close(p.ended)
	if p.err = p.session.Start(line); p.err != nil {
		if strings.HasPrefix(p.err.Error(), "ssh: command ") { // the library repeats the whole command
			p.err = fleet.WithCure(errors.New("sshd refuses to run commands for "+p.c.user),
				"look for ForceCommand in its sshd_config and for command= in the user's authorized_keys")
		} else {
			p.c.settle(p.ctx)
		}
		started <- p.err
		return
	}
	started <- nil
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, err := io.Copy(p.in, stdout)
		if err == nil {
			err = io.EOF
		}
		p.in.CloseWithError(err)
	}()
	if p.err = p.session.Wait(); errors.Is(p.err, io.EOF) {
		p.err = nil // it ended well and left some of its input unread: the library tells of the input then
	}
	var missing *ssh.ExitMissingError
	if errors.As(p.err, &missing) {
		p.c.settle(p.ctx)
	}
}

// aloneTries is how often a session is tried again when none of ours is open:
// the host may not have noticed yet that the last one ended.
const aloneTries = 3

// session opens a session channel within the context and the host's limit. A
// host whose sshd allows fewer sessions than most is waited for, as long as
// there are others of ours that will end.
func (c *connection) session(ctx context.Context) (*ssh.Session, func(), error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, c.blame(ctx, ctx.Err())
	case <-c.ended:
		return nil, nil, &deadError{c.why}
	}
	release := sync.OnceFunc(func() { <-c.slots })
	for alone := 0; ; {
		s, err := c.open(ctx, release)
		if len(c.slots) < 2 {
			alone++
		}
		var full *ssh.OpenChannelError
		switch {
		case err == nil:
			return s, release, nil
		case errors.Is(err, errAbandoned):
			return nil, nil, c.dead(ctx, err)
		case !errors.As(err, &full) || alone > aloneTries || ctx.Err() != nil:
			release()
			return nil, nil, c.dead(ctx, err)
		}
		select {
		case <-time.After(c.d.limits.sessionGap):
		case <-ctx.Done():
		case <-c.ended:
		}
	}
}

// errAbandoned is an opening that nobody waits for any more.
var errAbandoned = errors.New("abandoned")

// open opens one session channel. One that is abandoned gives its place back
// when the host has answered.
func (c *connection) open(ctx context.Context, release func()) (*ssh.Session, error) {
	type result struct {
		s   *ssh.Session
		err error
	}
	done := make(chan result, 1)
	go func() {
		s, err := c.client.NewSession()
		done <- result{s, err}
	}()
	select {
	case r := <-done:
		return r.s, r.err
	case <-ctx.Done():
	case <-c.ended:
	}
	go func() {
		if r := <-done; r.s != nil {
			r.s.Close()
		}
		release()
	}()
	return nil, errAbandoned
}

// dead is blame for what was not begun yet: where the connection has ended, it
// can be done over another.
func (c *connection) dead(ctx context.Context, err error) error {
	var full *ssh.OpenChannelError
	if !errors.As(err, &full) {
		c.settle(ctx)
	}
	if why := c.blame(ctx, err); ctx.Err() != nil || c.alive() {
		return why
	}
	return &deadError{c.why}
}

// settle waits a moment for the connection's end, which most errors of what
// runs over it are the first sign of.
func (c *connection) settle(ctx context.Context) {
	select {
	case <-c.ended:
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// blame gives the reason behind an error: the context's, or the connection's.
func (c *connection) blame(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", c.host.Name, context.Cause(ctx))
	case !c.alive():
		return c.why
	}
	return fmt.Errorf("%s: %w", c.host.Name, err)
}

// Read reads the standard output.
func (p *sshProcess) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err != nil && (p.ctx.Err() != nil || !p.c.alive()) {
		select {
		case <-p.ended:
			if errors.Is(err, io.EOF) && p.whole() {
				return n, err
			}
		default:
		}
		err = p.c.blame(p.ctx, err)
	}
	return n, err
}

// whole tells whether the command, which has ended, ended by itself.
func (p *sshProcess) whole() bool {
	var exit *ssh.ExitError
	return p.err == nil || errors.As(p.err, &exit)
}

// Wait waits for the end.
func (p *sshProcess) Wait() (Result, error) {
	defer p.Close()
	select {
	case <-p.ended:
	default:
		select {
		case <-p.ended:
		case <-p.ctx.Done():
			return Result{Stderr: p.stderr.bytes()}, p.c.blame(p.ctx, p.ctx.Err())
		case <-p.c.ended:
			return Result{Stderr: p.stderr.bytes()}, p.c.blame(p.ctx, p.c.why)
		}
	}
	res := Result{Stderr: p.stderr.bytes()}
	if !p.whole() {
		return res, p.c.blame(p.ctx, p.err)
	}
	var exit *ssh.ExitError
	if errors.As(p.err, &exit) {
		res.Status = exit.ExitStatus()
		if exit.Signal() != "" {
			res.Status = -1
		}
	}
	return res, nil
}

// end kills the command, as far as the host lets us, when nobody waits for it
// any more.
func (p *sshProcess) end() {
	p.in.CloseWithError(context.Cause(p.ctx))
	_ = p.session.Signal(ssh.SIGTERM) // sshd before 8.1 ignores it; closing ends the pipes
	p.session.Close()
}

// Close ends the command and gives its place to another.
func (p *sshProcess) Close() error {
	p.once.Do(func() {
		if p.stop != nil {
			p.stop()
		}
		p.in.CloseWithError(io.ErrClosedPipe)
		p.out.Close()
		go func() { // a host that has gone takes no more, not even an end
			p.session.Close()
			p.release()
		}()
	})
	return nil
}
