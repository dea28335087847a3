package link

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
)

// sshLink is the link to a host that is reached by SSH.
type sshLink struct {
	d    *Dialer
	mu   sync.Mutex
	host fleet.Host
	conn *connection // nil: none, or broken
	dial *attempt    // nil: nobody is dialling
	user string      // the login that worked, where none was named
	shut bool
}

// attempt is one go at connecting; all who wait share its end.
type attempt struct {
	done   chan struct{}
	cancel context.CancelFunc
	conn   *connection
	err    error
}

func newSSH(d *Dialer, h fleet.Host) *sshLink { return &sshLink{d: d, host: h} }

// Host is the host at the other end.
func (l *sshLink) Host() fleet.Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.host
}

// takes takes over what discovery says now, unless the link is closed or the
// host is another kind of host. A living connection stays where it would be
// made the same way again.
func (l *sshLink) takes(h fleet.Host) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut || h.Local {
		return false
	}
	before := l.host
	l.host = h
	if before.User == h.User && before.Port == h.Port && before.Jump == h.Jump && before.Identity == h.Identity && before.Become == h.Become {
		return true
	}
	l.user = ""
	if l.dial != nil {
		l.dial.cancel()
		l.dial = nil
	}
	if l.conn != nil {
		l.conn.close(fmt.Errorf("the way to %s has changed", h.Name))
	}
	return true
}

// Connect makes sure that there is a connection.
func (l *sshLink) Connect(ctx context.Context) (fleet.Reach, error) {
	c, err := l.connected(ctx)
	if err != nil {
		return fleet.Reach{State: fleet.Down}, err
	}
	return c.state(), nil
}

// connected gives the living connection, or waits for the attempt under way,
// or begins one. The attempt outlives a caller that stops waiting only as long
// as its own deadlines.
func (l *sshLink) connected(ctx context.Context) (*connection, error) {
	if ctx.Err() != nil { // nobody waits: nothing is begun
		return nil, fmt.Errorf("connecting to %s: %w", l.Host().Name, context.Cause(ctx))
	}
	l.mu.Lock()
	if l.shut {
		l.mu.Unlock()
		return nil, net.ErrClosed
	}
	if l.conn != nil && l.conn.alive() {
		defer l.mu.Unlock()
		return l.conn, nil
	}
	a := l.dial
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		var dctx context.Context
		dctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
		l.dial = a
		go l.attempt(dctx, a, l.host, l.user)
	}
	l.mu.Unlock()
	select {
	case <-a.done:
		return a.conn, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting to %s: %w", l.Host().Name, context.Cause(ctx))
	}
}

func (l *sshLink) attempt(ctx context.Context, a *attempt, h fleet.Host, user string) {
	defer a.cancel()
	a.conn, a.err = l.d.login(ctx, h, user)
	l.mu.Lock()
	if l.dial == a {
		l.dial = nil
	} else if a.conn != nil { // it was given up meanwhile
		a.conn.close(net.ErrClosed)
		a.conn, a.err = nil, fmt.Errorf("connecting to %s: %w", h.Name, net.ErrClosed)
	}
	if a.err == nil {
		l.conn, l.user = a.conn, a.conn.user
	}
	l.mu.Unlock()
	close(a.done)
}

// Close ends the connection and refuses further use.
func (l *sshLink) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = true
	if l.dial != nil {
		l.dial.cancel()
		l.dial = nil
	}
	if l.conn != nil {
		l.conn.close(net.ErrClosed)
	}
	return nil
}
