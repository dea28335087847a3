package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

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
func (d *Dialer) patience(h fleet.Host) time.Duration {
	if h.Offline() {
		return d.limits.offline
	}
	return d.limits.dial
}

// race opens TCP connections to the addresses, each with a head start before
// the next, and keeps the first that answers. One that fails lets the next
// start at once.
func (d *Dialer) race(ctx context.Context, addrs []fleet.Address, port int, limit time.Duration) (net.Conn, fleet.Address, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		addr fleet.Address
		err  error
	}
	results := make(chan result, len(addrs))
	started := 0
	start := func() {
		if started < len(addrs) {
			a := addrs[started]
			started++
			go func() {
				conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "tcp", a.Join(port))
				results <- result{conn, a, err}
			}()
		}
	}
	start()
	next := time.NewTicker(d.limits.raceDelay)
	defer next.Stop()
	failed, first := 0, error(nil) // what is told is of the first address, whichever fails first
	for failed < len(addrs) {
		select {
		case <-next.C:
			start()
		case r := <-results:
			if r.err == nil {
				go func(open int) { // close those that answer too late
					for range open {
						if late := <-results; late.conn != nil {
							late.conn.Close()
						}
					}
				}(started - failed - 1)
				return r.conn, r.addr, nil
			}
			failed++
			if r.addr == addrs[0] {
				first = r.err
			}
			start()
		}
	}
	return nil, fleet.Address{}, fleet.WithCure(fmt.Errorf("no address answers: %w", plainer(first, limit)), cureDial(first))
}

// cureDial is what a person can do about an address that does not answer.
func cureDial(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return "the name is not known here: is MagicDNS on? or give addresses for this host in config.toml"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is sshd running there, and on this port? on NixOS: services.openssh.enable"
	}
	return cureAway
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
	via := d.hop(set.jump)
	if err := d.circle(ctx, h, via); err != nil {
		return nil, err
	}
	addrs := d.candidates(h, set)
	if len(addrs) == 0 {
		addrs = []fleet.Address{{Via: fleet.ViaConfig, Host: h.Name}}
	}
	var errs []error
	for _, a := range addrs {
		dctx, cancel := context.WithTimeout(ctx, d.limits.dial+d.limits.auth)
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

// circle tells where the way to a host leads through itself: each would wait
// for the other.
func (d *Dialer) circle(ctx context.Context, h, via fleet.Host) error {
	if via.ID == h.ID {
		return fleet.WithCure(fmt.Errorf("%s is named as its own jump host", h.Name), cureJump)
	}
	for way := []string{h.Name, via.Name}; len(way) < 10; way = append(way, via.Name) {
		jump := d.settle(ctx, via).jump
		if jump == "" {
			return nil
		}
		if via = d.hop(jump); via.ID == h.ID {
			return fleet.WithCure(fmt.Errorf("the jump hosts of %s lead in a circle: %s → %s", h.Name, strings.Join(way, " → "), h.Name), cureJump)
		}
	}
	return fleet.WithCure(fmt.Errorf("%s has too many jump hosts, or they lead in a circle", h.Name), cureJump)
}

// cureJump is what a person can do about jump hosts that lead nowhere.
const cureJump = "look at jump in config.toml and at ProxyJump in ~/.ssh/config"

// hop gives the last host that a ProxyJump names, reached through those before
// it: one of the fleet, or one known to ssh_config only.
func (d *Dialer) hop(jump string) fleet.Host {
	hops := strings.Split(jump, ",")
	name, before := hops[len(hops)-1], hops[:len(hops)-1]
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
		ID: fleet.HostID("jump:" + jump), Name: host, User: user, Addresses: []fleet.Address{addr},
		Jump: strings.Join(before, ","),
	}
}
