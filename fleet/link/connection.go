package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// connection is one living SSH connection.
type connection struct {
	d       *Dialer
	client  *ssh.Client
	host    fleet.Host
	user    string
	addr    string
	via     fleet.Via
	key     string       // the host's, authorized_keys form
	latency atomic.Int64 // nanoseconds of the last keep-alive; 0: none yet
	slots   chan struct{}
	ended   chan struct{}
	once    sync.Once
	why     error
	root    *rooter
}

func newConnection(d *Dialer, client *ssh.Client, h fleet.Host, set settings, addr fleet.Address, key ssh.PublicKey) *connection {
	c := &connection{
		key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), d: d, client: client, host: h, user: set.user, addr: addr.Join(set.port), via: addr.Via,
		slots: make(chan struct{}, maxSessions), ended: make(chan struct{}),
	}
	c.root = newRooter(d, h, set.user, c.run)
	go func() { // the transport ends when either side closes it
		err := client.Wait()
		c.close(fmt.Errorf("connection to %s lost: %w", h.Name, err))
	}()
	go c.keepAlive()
	return c
}

// alive tells whether nobody has seen the connection end.
func (c *connection) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

func (c *connection) close(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.ended)
		c.client.Close()
	})
}

// keepAlive asks for an answer every few seconds, which measures the latency,
// and ends a connection whose other end has silently gone.
func (c *connection) keepAlive() {
	for c.ping() {
		select {
		case <-c.ended:
			return
		case <-time.After(c.d.limits.keepAlive):
		}
	}
}

// ping waits for one answer, for as long as some may be lost.
func (c *connection) ping() bool {
	limit := c.d.limits.lostAfter
	late := time.AfterFunc(limit, func() {
		c.close(fleet.WithCure(fmt.Errorf("%s has not answered for %s", c.host.Name, limit), cureAway))
	})
	defer late.Stop()
	began := time.Now()
	if _, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		return false
	}
	c.latency.Store(int64(time.Since(began)))
	return true
}

func (c *connection) state() fleet.Reach {
	path := ""
	if p := c.host.Presence; c.via == fleet.ViaTailnet && p.HasValue() {
		path = p.Value.Path
	}
	return fleet.Reach{
		State: fleet.Up, Via: c.via, Path: path, Address: c.addr, User: c.user,
		Root: c.root.known(), HostKey: c.key, Latency: fleet.Seconds(time.Duration(c.latency.Load()).Seconds()),
	}
}

// dial opens a channel to an address as the host sees it.
func (c *connection) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := c.client.Dial(network, address)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		var open *ssh.OpenChannelError
		if errors.As(r.err, &open) {
			return nil, fleet.WithCure(fmt.Errorf("%w: %s on %s: %s", ErrForbidden, address, c.host.Name, fleet.Clean(open.Message)),
				"does its sshd allow forwarding (AllowTcpForwarding, AllowStreamLocalForwarding), and does something listen there?")
		} else if r.err != nil {
			return nil, c.dead(ctx, r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() { // take back what may still come
			if r := <-done; r.conn != nil {
				r.conn.Close()
			}
		}()
		return nil, fmt.Errorf("%s on %s: %w", address, c.host.Name, context.Cause(ctx))
	case <-c.ended:
		return nil, &deadError{c.why}
	}
}
