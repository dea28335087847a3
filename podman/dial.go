package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
)

// way is how an engine's socket is reached: through the link as the login
// user, or through a command such as `podman system dial-stdio`.
type way struct{ command *link.Command }

// direct tells whether no command stands between.
func (w way) direct() bool { return w.command == nil }

// find opens a first connection the quickest way that works: as the login
// user, else through a command, as root where no person need be asked for it.
func (e *engine) find(ctx context.Context, at place, known <-chan struct{}) (net.Conn, way, error) {
	soon, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if at.lent != nil {
		return e.borrow(soon, at, known)
	}
	conn, err := e.link.Dial(soon, "unix", at.path)
	if err == nil || !errors.Is(err, link.ErrForbidden) {
		return conn, way{}, err
	}
	cmd := at.command()
	switch {
	case e.rootAtHand(soon, known):
		conn, err = e.link.DialCommand(soon, cmd)
	case !at.seen: // as long as nobody knows that it is there, nobody is asked for a password
		return nil, way{}, err
	case at.open && at.login != "": // it is open to us, but sshd does not forward
		cmd.Root, cmd.User = false, at.login
		conn, err = e.link.DialCommand(soon, cmd)
	default:
		conn, err = e.beg(ctx, cmd)
	}
	return conn, way{&cmd}, err
}

// plea is a connection for which a person may be asked for a password, and
// that therefore waits longer than the reading that wanted it.
type plea struct {
	done chan struct{}
	conn net.Conn
	err  error
}

// errPlea is said while the question stands.
var errPlea = fmt.Errorf("%w until the password of sudo is given", link.ErrNoRoot)

// beg opens a connection as root, for which the link may ask a person. The
// question outlives the reading that it came from, so that it does not vanish
// while somebody types; only the first reading waits for the answer.
func (e *engine) beg(ctx context.Context, cmd link.Command) (net.Conn, error) {
	e.mu.Lock()
	p, first := e.plea, e.plea == nil
	if first {
		p = &plea{done: make(chan struct{})}
		e.plea = p
		go func() {
			p.conn, p.err = e.alive(e.link.DialCommand(e.life, cmd))
			close(p.done)
		}()
	}
	e.mu.Unlock()
	if first {
		select {
		case <-p.done:
		case <-ctx.Done():
		}
	}
	select {
	case <-p.done:
	default:
		return nil, errPlea
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.plea != p { // another took it
		return nil, errPlea
	}
	e.plea = nil
	return p.conn, p.err
}

// rootAtHand tells whether root can be had without asking a person. The probe
// finds out: it waits for that until known is closed, where that is not nil.
func (e *engine) rootAtHand(ctx context.Context, known <-chan struct{}) bool {
	for {
		reach, err := e.link.Connect(ctx)
		if err != nil || reach.Root != "" || reach.User == rootUser {
			return err == nil
		}
		if known == nil {
			return false
		}
		select {
		case <-known:
			known = nil // look once more
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// redial opens one more connection the known way. It outlives the request
// that asked for it, but neither its patience nor Engines.
func (e *engine) redial(ctx context.Context, way way, path string, stream bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	if way.direct() {
		return e.alive(e.link.Dial(ctx, "unix", path))
	}
	if !stream {
		return e.alive(e.link.DialCommand(ctx, *way.command))
	}
	select {
	case e.streams <- struct{}{}:
	default:
		return nil, errBusy
	}
	conn, err := e.alive(e.link.DialCommand(ctx, *way.command))
	if err != nil {
		<-e.streams
		return nil, err
	}
	return &counted{Conn: conn, release: sync.OnceFunc(func() { <-e.streams })}, nil
}

// alive takes back a connection that comes after Engines was closed: nobody
// would close it.
func (e *engine) alive(conn net.Conn, err error) (net.Conn, error) {
	if err == nil && e.life.Err() != nil {
		conn.Close()
		err = net.ErrClosed
	}
	return conn, err
}

// errBusy keeps streams through commands from taking every session that the
// host's sshd gives (MaxSessions, 10).
var errBusy = errors.New("too many streams through `system dial-stdio` on this host: let the login user open the socket")

// counted is a connection that holds a place until it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close closes the connection and gives its place back.
func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// CloseWrite ends what is sent.
func (c *counted) CloseWrite() error { return closeWrite(c.Conn) }

// closeWrite ends one half of a connection: nothing more is sent, what is sent
// to us still comes. A connection without halves is closed.
func closeWrite(c io.Closer) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
