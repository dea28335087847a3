package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
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
	c, err := l.connected(ctx)
	if err != nil {
		return Result{}, err
	}
	if cmd, err = c.root.wrap(ctx, cmd); err != nil {
		return Result{}, err
	}
	return c.run(ctx, cmd)
}

// Start runs a command and gives its output as it comes.
func (l *sshLink) Start(ctx context.Context, cmd Command) (Process, error) {
	c, err := l.connected(ctx)
	if err != nil {
		return nil, err
	}
	if cmd, err = c.root.wrap(ctx, cmd); err != nil {
		return nil, err
	}
	return c.start(ctx, cmd)
}

// Dial connects to an address as the host sees it.
func (l *sshLink) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := l.connected(ctx)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, network, address)
}

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

// sshProcess is a command that runs over a connection.
type sshProcess struct {
	c       *connection
	session *ssh.Session
	stdout  io.Reader
	stderr  *head
	ctx     context.Context
	stop    func() bool
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
	p := &sshProcess{c: c, session: session, stderr: &head{limit: 64 << 10}, ctx: ctx, release: release}
	if cmd.Stdin != nil {
		session.Stdin = cmd.Stdin
	}
	session.Stderr = p.stderr
	if p.stdout, err = session.StdoutPipe(); err == nil {
		p.stop = context.AfterFunc(ctx, func() { p.end() })
		err = session.Start(line(cmd))
	}
	if err != nil {
		p.Close()
		return nil, c.blame(ctx, err)
	}
	return p, nil
}

// session opens a session channel within the context and the host's limit.
func (c *connection) session(ctx context.Context) (*ssh.Session, func(), error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, c.blame(ctx, ctx.Err())
	case <-c.ended:
		return nil, nil, c.why
	}
	release := sync.OnceFunc(func() { <-c.slots })
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
		if r.err != nil {
			release()
			return nil, nil, c.blame(ctx, r.err)
		}
		return r.s, release, nil
	case <-ctx.Done():
	case <-c.ended:
	}
	go func() {
		if r := <-done; r.s != nil {
			r.s.Close()
		}
		release()
	}()
	return nil, nil, c.blame(ctx, ctx.Err())
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
	n, err := p.stdout.Read(b)
	if err != nil && (p.ctx.Err() != nil || !p.c.alive()) {
		err = p.c.blame(p.ctx, err)
	}
	return n, err
}

// Wait waits for the end.
func (p *sshProcess) Wait() (Result, error) {
	err := p.session.Wait()
	defer p.Close()
	res := Result{Stderr: p.stderr.bytes()}
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return res, nil
	case errors.As(err, &exit):
		res.Status = exit.ExitStatus()
		if exit.Signal() != "" {
			res.Status = -1
		}
		return res, nil
	}
	return res, p.c.blame(p.ctx, err)
}

// end kills the command, as far as the host lets us.
func (p *sshProcess) end() {
	_ = p.session.Signal(ssh.SIGTERM) // sshd before 8.1 ignores it; closing ends the pipes
	p.session.Close()
}

// Close ends the command and gives its place to another.
func (p *sshProcess) Close() error {
	p.once.Do(func() {
		if p.stop != nil {
			p.stop()
		}
		p.session.Close()
		p.release()
	})
	return nil
}

// head keeps the first bytes written to it and drops the rest.
type head struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	limit int
}

// Write never fails: what is too much is dropped.
func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := h.limit - h.buf.Len(); room > 0 {
		h.buf.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.buf.Bytes())
}
