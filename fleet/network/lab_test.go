//go:build lab

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// attempt is a connection that was tried, beside what was said of it before.
type attempt struct {
	host, from, to string
	port           uint16
	door           fleet.Door
	published      bool // of a container, in which perhaps nobody listens
	dial           func(ctx context.Context, address string) error
}

// connect makes it once, and tells why it did not pass.
func (a attempt) connect(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := a.dial(ctx, net.JoinHostPort(a.to, strconv.Itoa(int(a.port))))
	if a.published && errors.Is(err, syscall.ECONNREFUSED) { // by the container: it came there
		return nil
	}
	return err
}

// try makes all attempts at once, and holds them against what was said.
func try(t *testing.T, all []attempt) {
	t.Helper()
	var wg sync.WaitGroup
	slots, errs := make(chan struct{}, 16), make([]error, len(all))
	for i, a := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = a.connect(t.Context(), 4*time.Second)
		})
	}
	wg.Wait()
	for i, a := range all {
		err := errs[i]
		if a.door.State == fleet.Passes && err != nil { // among many, and soon: once more, alone
			err = a.connect(t.Context(), 20*time.Second)
		}
		switch {
		case a.door.State == fleet.PassesUnknown:
			t.Errorf("%s from %s tcp/%d at %s: not known: %s (it is %v)", a.host, a.from, a.port, a.to, a.door.Why, err)
		case (a.door.State == fleet.Passes) != (err == nil):
			t.Errorf("%s from %s tcp/%d at %s: said to be %s (%s), and it is: %v", a.host, a.from, a.port, a.to, a.door.State, a.door.Why, err)
		}
	}
	t.Logf("%d connections were tried", len(all))
}

// direct dials from where the test runs: the operator's machine, which is in the lab's
// LAN and on its tailnet.
func direct(ctx context.Context, address string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err == nil {
		c.Close()
	}
	return err
}

// fromSpace dials from another network namespace of this machine.
func fromSpace(space string) func(context.Context, string) error {
	return func(ctx context.Context, address string) error {
		host, port, _ := net.SplitHostPort(address)
		return exec.CommandContext(ctx, "ip", "netns", "exec", space, "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port).Run()
	}
}

// listening reads who listens on a host, and its firewall.
func listening(t *testing.T, l link.Link) ([]fleet.Listener, fleet.Firewall) {
	t.Helper()
	listens := Listens(t.Context(), l)
	f := Firewall(t.Context(), l, listens.Value)
	if !listens.Current() || !f.Current() {
		t.Fatalf("%s: %s %s", l.Host().Name, listens.Err, f.Err)
	}
	return listens.Value, f.Value
}

// attempts are those at each listener of TCP that takes what is sent to an address.
func attempts(host, from, to string, z fleet.Zone, listeners []fleet.Listener, f fleet.Firewall, dial func(context.Context, string) error) []attempt {
	var all []attempt
	told := map[uint16]bool{}
	for _, l := range listeners {
		d, ok := f.Of(l)
		v4 := l.Address == "*" || l.Address == "::" || l.Address == "0.0.0.0" || l.Address == to
		if !ok || l.Proto != "tcp" || !v4 || told[l.Port] || l.Device != "" {
			continue
		}
		told[l.Port] = true
		published := slices.ContainsFunc(f.Sent, func(s fleet.PortForward) bool { return s.Own && s.Proto == "tcp" && s.Port == l.Port })
		all = append(all, attempt{host, from, to, l.Port, *d.From(z), published, dial})
	}
	return all
}

// TestDoors: for every listener of every host of the lab, as they are with what
// Podman, Docker and tailscaled put into their firewalls, what is said of the LAN and
// the tailnet is what a connection from there finds.
func TestDoors(t *testing.T) {
	lab := labtest.Load(t)
	var all []attempt
	for _, h := range lab.Hosts {
		l := lab.Link(t, h.Name)
		if h.Name == "laptop" { // its sudo asks for a password, which only for an action is asked
			if f := Firewall(t.Context(), l, nil); !strings.Contains(f.Err, "root's to see") || f.Cure == "" {
				t.Errorf("without root: %+v", f)
			}
			continue
		}
		listeners, f := listening(t, l)
		t.Logf("%s: %s, %d rules, not read: %v", h.Name, f.Kind, f.Rules, f.Unread)
		lan := direct
		if h.Via != "" { // its LAN is another one: dialled from the host that leads there
			via := lab.Link(t, h.Via)
			lan = func(ctx context.Context, address string) error {
				c, err := via.Dial(ctx, "tcp", address)
				if err == nil {
					c.Close()
				}
				return err
			}
		}
		all = append(all, attempts(h.Name, "LAN", h.LAN, fleet.FromLAN, listeners, f, lan)...)
		if h.Tailnet != "" {
			all = append(all, attempts(h.Name, "tailnet", h.Tailnet, fleet.FromTailnet, listeners, f, direct)...)
		}
	}
	if len(all) < 20 {
		t.Errorf("only %d listeners were found to try", len(all))
	}
	try(t, all)
}

// listenAt has a unit of a host listen at ports until the test ends.
func listenAt(t *testing.T, l link.Link, ports ...int) {
	t.Helper()
	for _, p := range ports {
		unit := fmt.Sprint("lab-door-", p)
		labtest.Output(t, l, "systemd-run", "--quiet", "--unit="+unit, "nc", "-4", "-l", "-k", "0.0.0.0", strconv.Itoa(p))
		t.Cleanup(func() { later(l, "systemctl stop "+unit) })
	}
	for _, p := range ports {
		labtest.Output(t, l, "sh", "-c", fmt.Sprintf("for i in $(seq 50); do ss -Htln 'sport = :%d' | grep -q . && exit; sleep 0.1; done; exit 1", p))
	}
}

// later does something at the end of a test, when its context has ended.
func later(l link.Link, script string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, _ = l.Run(ctx, link.Command{Args: []string{"sh", "-c", script}, IfRoot: true})
}

// world gives a host a link to a namespace outside of the lab, with an address of the
// internet's own, and gives that namespace.
func world(t *testing.T, host, address, outside string) string {
	t.Helper()
	space := "world-" + host
	run := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	drop := func() { _ = exec.Command("ip", "netns", "del", space).Run() }
	drop()
	t.Cleanup(drop) // the cable goes with it
	run("netns", "add", space)
	run("link", "add", "wan", "netns", host, "type", "veth", "peer", "name", "out", "netns", space)
	run("-n", space, "addr", "add", outside+"/24", "dev", "out")
	run("-n", space, "link", "set", "out", "up")
	run("-n", host, "addr", "add", address+"/24", "dev", "wan")
	run("-n", host, "link", "set", "wan", "up")
	return space
}

// TestDoorsOfNFT: real nftables on the router, as NixOS writes them, with sets, maps and
// ports that are sent on: what is said of the internet, the LAN and the tailnet is
// what connections from there find.
func TestDoorsOfNFT(t *testing.T) {
	lab := labtest.Load(t)
	h, l := lab.Named(t, "router"), lab.Link(t, "router")
	space := world(t, "router", "203.0.113.2", "203.0.113.1")
	listenAt(t, l, 18081, 18082, 18083, 18084, 18085, 18086)
	rules := `table inet lab-door {
	set temp-ports { type inet_proto . inet_service; flags interval; auto-merge; elements = { tcp . 18083 } }
	set friends { type ipv4_addr; flags interval; elements = { 10.77.0.0/24 } }
	chain rpfilter {
		type filter hook prerouting priority mangle + 10; policy drop;
		meta nfproto ipv4 udp sport . udp dport { 67 . 68, 68 . 67 } accept
		fib saddr . mark oif exists accept
	}
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		ct state vmap { invalid : drop, established : accept, related : accept, new : jump input-allow, untracked : jump input-allow }
		tcp flags syn / fin,syn,rst,ack counter
	}
	chain input-allow {
		tcp dport { 22, 18081 } accept
		udp dport 41641 accept
		iifname "tailscale0" tcp dport 18082 accept
		meta l4proto . th dport @temp-ports accept
		ip saddr @friends tcp dport 18084 accept
		ct status dnat tcp dport 18086 accept
		icmp type echo-request accept
	}
}
table ip lab-door-nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		iifname "wan" tcp dport 18090 redirect to :18086
	}
}
`
	labtest.Output(t, l, "sh", "-c", "printf '%s' \"$1\" | nft -f -", "sh", rules)
	t.Cleanup(func() { later(l, "nft delete table inet lab-door; nft delete table ip lab-door-nat") })
	listeners, f := listening(t, l)
	all := attempts("router", "LAN", h.LAN, fleet.FromLAN, listeners, f, direct)
	all = append(all, attempts("router", "tailnet", h.Tailnet, fleet.FromTailnet, listeners, f, direct)...)
	for _, a := range attempts("router", "internet", "203.0.113.2", fleet.FromInternet, listeners, f, fromSpace(space)) {
		if a.port == 18086 { // by another port
			a.port = 18090
		}
		all = append(all, a)
	}
	try(t, all)
	for port, want := range map[uint16]string{18081: "yes yes yes", 18082: "no no yes", 18083: "yes yes yes", 18084: "no yes no", 18085: "no no no", 18086: "yes no no"} {
		d, _ := f.Of(fleet.Listener{Proto: "tcp", Address: "0.0.0.0", Port: port})
		if got := fmt.Sprint(d.Internet.State, " ", d.LAN.State, " ", d.Tailnet.State); got != want {
			t.Errorf("%d: %s, want %s: %+v", port, got, want, d)
		}
	}
}

// TestDoorsOfIPTables: rules of iptables on cloud, as NixOS writes them, beside those
// of tailscaled and Podman.
func TestDoorsOfIPTables(t *testing.T) {
	lab := labtest.Load(t)
	h, l := lab.Named(t, "cloud"), lab.Link(t, "cloud")
	space := world(t, "cloud", "198.51.100.3", "198.51.100.1")
	listenAt(t, l, 18081, 18082, 18083, 18084)
	allow := ""
	for _, rule := range []string{
		"-i lo -j nixos-fw-accept", "-m conntrack --ctstate ESTABLISHED,RELATED -j nixos-fw-accept", "-i tailscale0 -p tcp -m tcp --dport 18082 -j nixos-fw-accept",
		"-p tcp -m multiport --dports 22,80,443 -j nixos-fw-accept", "-p udp --dport 41641 -j nixos-fw-accept", "-p tcp --dport 18081:18081 -j nixos-fw-accept",
		"-s 10.77.0.0/24 -p tcp --dport 18083 -j nixos-fw-accept", "-j nixos-fw-log-refuse",
	} {
		allow += "iptables -A nixos-fw " + rule + "\n"
	}
	drop := "iptables -D INPUT -j nixos-fw; for c in nixos-fw nixos-fw-log-refuse nixos-fw-refuse nixos-fw-accept; do iptables -F $c; done; for c in nixos-fw nixos-fw-log-refuse nixos-fw-refuse nixos-fw-accept; do iptables -X $c; done"
	t.Cleanup(func() { later(l, drop) })
	labtest.Output(t, l, "sh", "-ec", `for c in nixos-fw nixos-fw-accept nixos-fw-refuse nixos-fw-log-refuse; do iptables -N $c; done
iptables -A nixos-fw-accept -j ACCEPT
iptables -A nixos-fw-refuse -j DROP
iptables -A nixos-fw-log-refuse -m pkttype ! --pkt-type unicast -j nixos-fw-refuse
iptables -A nixos-fw-log-refuse -j nixos-fw-refuse
`+allow+`iptables -A INPUT -j nixos-fw`)
	listeners, f := listening(t, l)
	all := attempts("cloud", "LAN", h.LAN, fleet.FromLAN, listeners, f, direct)
	all = append(all, attempts("cloud", "tailnet", h.Tailnet, fleet.FromTailnet, listeners, f, direct)...)
	all = append(all, attempts("cloud", "internet", "198.51.100.3", fleet.FromInternet, listeners, f, fromSpace(space))...)
	try(t, all)
	for port, want := range map[uint16]string{18081: "yes yes yes", 18082: "no no yes", 18083: "no yes no", 18084: "no no no"} {
		d, _ := f.Of(fleet.Listener{Proto: "tcp", Address: "0.0.0.0", Port: port})
		got := fmt.Sprint(d.Internet.State, " ", d.LAN.State, " ", d.Tailnet.State)
		if port >= 18083 && strings.HasSuffix(got, "yes") { // tailscaled lets its own link in before any other rule
			got = strings.TrimSuffix(got, "yes") + "no"
		}
		if got != want {
			t.Errorf("%d: %s, want %s: %+v", port, got, want, d)
		}
	}
}

// TestDoorsOfNone: where there is no rule, all is open.
func TestDoorsOfNone(t *testing.T) {
	lab := labtest.Load(t)
	h, l := lab.Named(t, "desktop"), lab.Link(t, "desktop")
	listenAt(t, l, 18081)
	listeners, f := listening(t, l)
	try(t, append(attempts("desktop", "LAN", h.LAN, fleet.FromLAN, listeners, f, direct), attempts("desktop", "tailnet", h.Tailnet, fleet.FromTailnet, listeners, f, direct)...))
	if d, _ := f.Of(fleet.Listener{Proto: "tcp", Address: "0.0.0.0", Port: 18081}); d.LAN.State != fleet.Passes {
		t.Errorf("%+v", d)
	}
}
