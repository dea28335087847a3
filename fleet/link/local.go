package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"sync"
	"syscall"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// localLink is this machine: a host cannot log in to itself by Tailscale SSH,
// and needs no SSH.
type localLink struct {
	mu   sync.Mutex
	host fleet.Host
	root *rooter
	ctx  context.Context
	end  context.CancelFunc
}

func newLocal(d *Dialer, h fleet.Host) *localLink {
	l := &localLink{host: h}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.root = newRooter(d, h, me(), l.run)
	return l
}

// me is the login name of this process.
func me() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// Host is this machine as discovery told of it.
func (l *localLink) Host() fleet.Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.host
}

// takes takes over what discovery says now, unless the link is closed or the
// host turned out to be another machine.
func (l *localLink) takes(h fleet.Host) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil || !h.Local {
		return false
	}
	l.host = h
	return true
}

// Connect always succeeds.
func (l *localLink) Connect(context.Context) (fleet.Reach, error) {
	return fleet.Reach{State: fleet.Up, Via: fleet.ViaLocal, User: l.root.user, Root: l.root.known()}, nil
}

// Run runs a command and waits for its end.
func (l *localLink) Run(ctx context.Context, cmd Command) (Result, error) {
	cmd, err := l.root.wrap(ctx, cmd)
	if err != nil {
		return Result{}, err
	}
	return l.run(ctx, cmd)
}

func (l *localLink) run(ctx context.Context, cmd Command) (Result, error) {
	p, err := l.start(ctx, cmd)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return collect(p, cmd.Limit)
}

// Start runs a command and gives its output as it comes.
func (l *localLink) Start(ctx context.Context, cmd Command) (Process, error) {
	cmd, err := l.root.wrap(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return l.start(ctx, cmd)
}

// localProcess is a command on this machine, with everything it started.
type localProcess struct {
	cmd    *exec.Cmd
	out    *os.File
	stderr *head
	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
	done   chan struct{}
	err    error
}

func (l *localLink) start(ctx context.Context, cmd Command) (Process, error) {
	ctx, cancel := context.WithCancel(ctx)
	forget := context.AfterFunc(l.ctx, cancel)
	c := exec.CommandContext(ctx, "sh", append([]string{"-c", onPath, "sextant"}, withEnv(cmd.Args, cmd.Env)...)...)
	p := &localProcess{cmd: c, stderr: newHead(cmd), ctx: ctx, cancel: func() { forget(); cancel() }, done: make(chan struct{})}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = p.kill
	c.WaitDelay = killDelay
	r, w, err := os.Pipe()
	if err != nil {
		p.cancel()
		return nil, err
	}
	c.Stdout, c.Stderr, p.out = w, p.stderr, r
	feed := func() {}
	if cmd.Stdin != nil {
		feed, err = feeder(c, cmd.Stdin)
	}
	if err == nil {
		err = c.Start()
	}
	w.Close()
	if err != nil {
		r.Close()
		p.cancel()
		return nil, fmt.Errorf("this machine: %w", err)
	}
	go feed()
	go func() {
		p.err = c.Wait()
		close(p.done)
	}()
	context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now().Add(killDelay)) })
	return p, nil
}

// feeder gives a function that feeds the command. Handed to exec.Cmd itself,
// an input that says nothing would keep a command from ending.
func feeder(c *exec.Cmd, stdin io.Reader) (func(), error) {
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	return func() {
		_, _ = io.Copy(in, stdin)
		in.Close()
	}, nil
}

// killDelay is how long a command may take to end before it is killed.
const killDelay = time.Second

// kill ends the command and all it started: kindly, and then not.
func (p *localProcess) kill() error {
	group := -p.cmd.Process.Pid
	time.AfterFunc(killDelay, func() {
		select {
		case <-p.done:
			if syscall.Kill(group, 0) != nil {
				return // nobody is left
			}
		default:
		}
		_ = syscall.Kill(group, syscall.SIGKILL)
	})
	return syscall.Kill(group, syscall.SIGTERM)
}

// Read reads the standard output.
func (p *localProcess) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && p.ctx.Err() != nil {
		err = fmt.Errorf("this machine: %w", context.Cause(p.ctx))
	}
	return n, err
}

// Wait waits for the end.
func (p *localProcess) Wait() (Result, error) {
	<-p.done
	res := Result{Stderr: p.stderr.bytes()}
	var exit *exec.ExitError
	switch {
	case p.err == nil, errors.Is(p.err, exec.ErrWaitDelay): // it ended; only its input or output is still held open
		return res, nil
	case p.ctx.Err() != nil:
		return res, fmt.Errorf("this machine: %w", context.Cause(p.ctx))
	case errors.As(p.err, &exit):
		res.Status = exit.ExitCode()
		return res, nil
	}
	return res, p.err
}

// Close ends the command.
func (p *localProcess) Close() error {
	p.once.Do(func() {
		p.cancel()
		p.out.Close()
	})
	return nil
}

// Dial connects to an address of this machine.
func (l *localLink) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: l.root.d.limits.dial}).DialContext(ctx, network, address)
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return conn, err
}

// DialCommand gives the input and output of a command as a connection.
func (l *localLink) DialCommand(ctx context.Context, cmd Command) (net.Conn, error) {
	return dialCommand(ctx, l, cmd)
}

// Close ends the commands that still run.
func (l *localLink) Close() error {
	l.end()
	return nil
}
