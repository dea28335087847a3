package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sextant-fleet/sextant/fleet"
)

// login reaches the host by one of its addresses, as the user that is named
// or, where none is, as root and then as the person's own name.
func (d *Dialer) login(ctx context.Context, h fleet.Host, worked string) (*connection, error) {
	set := d.settle(ctx, h)
	named := h.User != "" || set.user != "root"
	if worked != "" {
		set.user = worked
	}
	c, err := d.loginAs(ctx, h, set)
	if me := os.Getenv("USER"); errors.Is(err, ErrAuth) && !named && me != "" && me != set.user {
		set.user = me
		if c2, err2 := d.loginAs(ctx, h, set); err2 == nil {
			return c2, nil
		}
	}
	return c, err
}

func (d *Dialer) loginAs(ctx context.Context, h fleet.Host, set settings) (*connection, error) {
	if set.jump != "" {
		return d.loginJump(ctx, h, set)
	}
	if set.proxy.command != "" {
		return d.loginProxy(ctx, h, set)
	}
	addrs := d.candidates(h, set)
	if len(addrs) == 0 {
		return nil, fleet.WithCure(fmt.Errorf("no address of %s is known", h.Name),
			"name one: addresses for this host in config.toml, or HostName in ~/.ssh/config")
	}
	var errs []error
	for len(addrs) > 0 {
		conn, addr, err := d.race(ctx, addrs, set.port, d.patience(h))
		if err != nil {
			errs = append(errs, err)
			break
		}
		c, err := d.handshake(ctx, conn, h, set, addr)
		if err == nil {
			if d.Remember != nil {
				d.Remember(h.ID, addr)
			}
			return c, nil
		}
		errs = append(errs, err)
		if errors.Is(err, ErrRefused) {
			break
		}
		addrs = without(addrs, addr) // another machine may sit at this address
	}
	return nil, worst(errs)
}

// worst picks the error that tells most: a changed key before a refused login
// before an address that did not answer.
func worst(errs []error) error {
	for _, kind := range []error{ErrHostKey, ErrUnknown, ErrRefused, ErrAuth} {
		for _, err := range errs {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	return errs[0]
}

// handshake makes an SSH connection of a network connection, with a deadline
// on every step that stands still while a person is asked.
func (d *Dialer) handshake(ctx context.Context, conn net.Conn, h fleet.Host, set settings, addr fleet.Address) (*connection, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := newClock(d.limits.auth, func() {
		cancel(fleet.WithCure(fmt.Errorf("no progress in %s", d.limits.auth), cureSilent))
		conn.Close() // ends the handshake: not every connection knows deadlines
	})
	defer clock.stop()
	t, err := d.newTruster(ctx, h, set, addr, clock.pause)
	if err != nil {
		conn.Close()
		return nil, err
	}
	auth := &authenticator{d: d, ctx: ctx, host: h, set: set, wait: clock.pause, used: map[string]bool{}}
	says := d.banner(ctx, cancel, h, set.user, clock)
	cfg := &ssh.ClientConfig{
		User: set.user, Auth: auth.methods(), HostKeyCallback: t.check, HostKeyAlgorithms: t.algorithms(),
		ClientVersion: "SSH-2.0-sextant", BannerCallback: says.say,
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	wire := newWire(conn)
	sc, chans, reqs, err := ssh.NewClientConn(wire, addr.Join(set.port), cfg)
	stop()
	auth.close(err == nil)
	if t.no != nil {
		err = t.no // without the library's words around it
	}
	if err != nil {
		conn.Close()
		return nil, says.blame(handshakeError(ctx, h, set, err))
	}
	client := ssh.NewClient(sc, chans, reqs)
	wire.carries(client)
	return newConnection(d, client, h, set, addr, t.shown), nil
}

// handshakeError says why a login failed, and what to do.
func handshakeError(ctx context.Context, h fleet.Host, set settings, err error) error {
	switch {
	case fleet.Cure(err) != "", errors.Is(err, ErrHostKey):
		return err
	case errors.Is(err, ErrRefused), errors.Is(err, errNoReply):
		return fleet.WithCure(err, cureAgain)
	case context.Cause(ctx) != nil:
		return fmt.Errorf("logging in to %s: %w", h.Name, context.Cause(ctx))
	case strings.Contains(err.Error(), "unable to authenticate"):
		_, tried, _ := strings.Cut(err.Error(), "attempted methods ")
		tried, _, _ = strings.Cut(tried, ",")
		return fleet.WithCure(fmt.Errorf("%w: %s@%s refused %s", ErrAuth, set.user, h.Name, cmp.Or(fleet.Clean(tried), "everything")),
			fmt.Sprintf("add a key that %s has there to your agent (ssh-add), or name user and identity for this host in config.toml", set.user))
	case errors.Is(err, ErrNobody): // the host would take a key whose file is encrypted
		return fleet.WithCure(fmt.Errorf("logging in to %s: %w", h.Name, err), "add the key to your agent: ssh-add")
	}
	return fleet.WithCure(fmt.Errorf("logging in to %s: %s", h.Name, fleet.Clean(err.Error())),
		fmt.Sprintf("is it sshd that listens there? its log tells more (journalctl -u sshd), and so does `ssh -v %s@%s`", set.user, h.Name))
}

// What a person can do where a host does not answer, and where it does not get on.
const (
	cureAway   = "is it switched on, and are you on its network? `tailscale status` tells"
	cureSilent = "something listens there but does not answer as sshd should: is the port right, and is the host not stuck?"
	cureAgain  = "refresh to be asked again"
)

// clock ends something unless it is stopped in time; it stands still while
// paused.
type clock struct {
	mu     sync.Mutex
	timer  *time.Timer
	limit  time.Duration
	paused int
}

func newClock(limit time.Duration, late func()) *clock {
	return &clock{limit: limit, timer: time.AfterFunc(limit, late)}
}

// pause stops the clock and gives the function that starts it again.
func (c *clock) pause() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused++
	c.timer.Stop()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.paused--; c.paused == 0 {
			c.timer.Reset(c.limit)
		}
	}
}

func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused++ // never started again
	c.timer.Stop()
}
