package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

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

// setHost takes over what discovery says now; a living connection stays.
func (l *sshLink) setHost(h fleet.Host) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.host = h
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
	l.dial = nil
	if l.shut && a.conn != nil {
		a.conn.close(net.ErrClosed)
		a.conn, a.err = nil, net.ErrClosed
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
	}
	if l.conn != nil {
		l.conn.close(net.ErrClosed)
	}
	return nil
}

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
	addrs := d.candidates(h, set)
	if len(addrs) == 0 {
		return nil, fmt.Errorf("no address of %s is known: name one in the configuration or in ~/.ssh/config", h.Name)
	}
	var errs []error
	for len(addrs) > 0 {
		conn, addr, err := race(ctx, addrs, set.port, patience(h))
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

// candidates are the host's addresses: the one that worked last first, then
// tailnet, LAN, mDNS; what the person configured goes before all of these.
func (d *Dialer) candidates(h fleet.Host, set settings) []fleet.Address {
	var out []fleet.Address
	add := func(a fleet.Address) {
		for _, have := range out {
			if have.Join(set.port) == a.Join(set.port) {
				return
			}
		}
		if a.Host != "" {
			out = append(out, a)
		}
	}
	if d.Remembered != nil {
		last := d.Remembered(h.ID)
		for _, a := range h.Addresses {
			if a == last {
				add(a)
			}
		}
	}
	for _, via := range []fleet.Via{fleet.ViaConfig, fleet.ViaTailnet, fleet.ViaLAN, fleet.ViaMDNS} {
		for _, a := range h.Addresses {
			if a.Via == via {
				add(a)
			}
		}
		if via == fleet.ViaConfig {
			add(fleet.Address{Via: fleet.ViaConfig, Host: set.hostName})
		}
	}
	return out
}

func without(addrs []fleet.Address, a fleet.Address) []fleet.Address {
	var out []fleet.Address
	for _, x := range addrs {
		if x != a {
			out = append(out, x)
		}
	}
	return out
}

// patience is how long one address may take to answer: less where the tailnet
// says that the host is off, for it may be wrong, but seldom is.
func patience(h fleet.Host) time.Duration {
	if p := h.Presence; p.Current() && !p.Value.Online {
		return offlineTimeout
	}
	return dialTimeout
}

// race opens TCP connections to the addresses, each with a head start before
// the next, and keeps the first that answers.
func race(ctx context.Context, addrs []fleet.Address, port int, limit time.Duration) (net.Conn, fleet.Address, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+time.Duration(len(addrs))*raceDelay)
	defer cancel()
	type result struct {
		conn net.Conn
		addr fleet.Address
		err  error
	}
	results := make(chan result, len(addrs))
	failed := make(chan struct{}, len(addrs)) // lets the next start early
	for i, a := range addrs {
		go func() {
			for range i {
				select {
				case <-time.After(raceDelay):
				case <-failed:
				case <-ctx.Done():
				}
			}
			conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "tcp", a.Join(port))
			if err != nil {
				failed <- struct{}{}
			}
			results <- result{conn, a, err}
		}()
	}
	var errs []error
	for i := range addrs {
		r := <-results
		if r.err == nil {
			cancel()
			go func() { // close those that answered too late
				for range len(addrs) - i - 1 {
					if late := <-results; late.conn != nil {
						late.conn.Close()
					}
				}
			}()
			return r.conn, r.addr, nil
		}
		errs = append(errs, r.err)
	}
	return nil, fleet.Address{}, fmt.Errorf("no address answers: %w", plainer(errs[0], limit))
}

// plainer takes the noise out of a dial error: "10.0.0.1:22: connection refused".
func plainer(err error, limit time.Duration) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	switch {
	case op.Timeout():
		return fmt.Errorf("%s: no answer within %s", op.Addr, limit)
	case op.Addr != nil:
		return fmt.Errorf("%s: %w", op.Addr, cmp.Or(errors.Unwrap(op.Err), op.Err))
	}
	return err
}

// loginJump reaches the host through others, each over its own connection.
func (d *Dialer) loginJump(ctx context.Context, h fleet.Host, set settings) (*connection, error) {
	hops := strings.Split(set.jump, ",")
	via := d.hop(hops[len(hops)-1], hops[:len(hops)-1])
	if via.ID == h.ID {
		return nil, fmt.Errorf("%s is named as its own jump host", h.Name)
	}
	addrs := d.candidates(h, set)
	if len(addrs) == 0 {
		addrs = []fleet.Address{{Via: fleet.ViaConfig, Host: h.Name}}
	}
	var errs []error
	for _, a := range addrs {
		dctx, cancel := context.WithTimeout(ctx, dialTimeout+authTimeout)
		conn, err := d.Open(via).Dial(dctx, "tcp", a.Join(set.port))
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("through %s: %w", via.Name, err))
			continue
		}
		c, err := d.handshake(ctx, conn, h, set, a)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, worst(errs)
}

// hop gives the host that a ProxyJump names: one of the fleet, or one known
// to ssh_config only.
func (d *Dialer) hop(name string, before []string) fleet.Host {
	user, host, ok := strings.Cut(name, "@")
	if !ok {
		user, host = "", name
	}
	addr := fleet.Address{Via: fleet.ViaConfig, Host: host}
	if hn, port, err := net.SplitHostPort(host); err == nil {
		addr.Host, host = hn, hn
		addr.Port, _ = strconv.Atoi(port)
	}
	if d.Find != nil && len(before) == 0 {
		if h, ok := d.Find(host); ok && (user == "" || user == h.User || h.User == "") {
			if h.User == "" {
				h.User = user
			}
			return h
		}
	}
	return fleet.Host{
		ID: fleet.HostID("jump:" + name), Name: host, User: user, Addresses: []fleet.Address{addr},
		Jump: strings.Join(before, ","),
	}
}

// handshake makes an SSH connection of a network connection, with a deadline
// on every step that stands still while a person is asked.
func (d *Dialer) handshake(ctx context.Context, conn net.Conn, h fleet.Host, set settings, addr fleet.Address) (*connection, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := newClock(authTimeout, func() {
		cancel(fmt.Errorf("no progress in %s", authTimeout))
		conn.Close() // ends the handshake: not every connection knows deadlines
	})
	defer clock.stop()
	t, err := d.newTruster(ctx, h, set, addr, clock.pause)
	if err != nil {
		conn.Close()
		return nil, err
	}
	auth := &authenticator{d: d, ctx: ctx, host: h, set: set, wait: clock.pause, used: map[string]bool{}}
	cfg := &ssh.ClientConfig{
		User: set.user, Auth: auth.methods(), HostKeyCallback: t.check, HostKeyAlgorithms: t.algorithms(),
		ClientVersion: "SSH-2.0-sextant", BannerCallback: d.banner(ctx, h, clock),
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	sc, chans, reqs, err := ssh.NewClientConn(conn, addr.Join(set.port), cfg)
	stop()
	auth.close(err == nil)
	if t.no != nil {
		err = t.no // without the library's words around it
	}
	if err != nil {
		conn.Close()
		return nil, handshakeError(ctx, h, set, err)
	}
	return newConnection(d, ssh.NewClient(sc, chans, reqs), h, set, addr, t.shown), nil
}

// handshakeError says why a login failed, and what to do.
func handshakeError(ctx context.Context, h fleet.Host, set settings, err error) error {
	switch {
	case errors.Is(err, ErrHostKey), errors.Is(err, ErrUnknown), errors.Is(err, ErrRefused):
		return err
	case context.Cause(ctx) != nil:
		return fmt.Errorf("logging in to %s: %w", h.Name, context.Cause(ctx))
	case strings.Contains(err.Error(), "unable to authenticate"):
		_, tried, _ := strings.Cut(err.Error(), "attempted methods ")
		tried, _, _ = strings.Cut(tried, ",")
		return fmt.Errorf("%w: %s@%s refused %s; try `ssh %s@%s`, or name user and key in the configuration",
			ErrAuth, set.user, h.Name, cmp.Or(fleet.Clean(tried), "everything"), set.user, h.Name)
	}
	return fmt.Errorf("logging in to %s: %s", h.Name, fleet.Clean(err.Error()))
}

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
