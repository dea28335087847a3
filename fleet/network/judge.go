package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of what is judged of one host.
const (
	maxDoors = 1000
	maxRange = 16 // ports of a range that are looked at one by one
)

// judge tells for each listener, and for each port that is sent on, from where a new
// connection arrives.
func (s *ruleset) judge(f *fleet.Firewall, listeners []fleet.Listener) {
	j := judging{s: s, f: f, ways: waysIn(f.Links), known: map[question]arrival{}, listeners: listeners}
	j.sent()
	f.Listeners = []fleet.ListenerDoors{}
	for _, l := range listeners {
		if _, twice := f.Of(l); twice || l.Loopback() || len(f.Listeners) >= maxDoors {
			continue
		}
		d := fleet.ListenerDoors{Proto: l.Proto, Address: l.Address, Device: l.Device, Port: l.Port}
		for _, z := range []fleet.Zone{fleet.FromInternet, fleet.FromLAN, fleet.FromTailnet} {
			*d.From(z) = j.listener(l, z)
		}
		f.Listeners = append(f.Listeners, d)
	}
	f.Through6 = j.through6()
}

// judging is the work of one reading.
type judging struct {
	s         *ruleset
	f         *fleet.Firewall
	ways      []way
	known     map[question]arrival
	sends     []sending // what is sent to another port of the host's own
	listeners []fleet.Listener
}

// question is what was asked before: many listen at the same port.
type question struct {
	link, proto string
	dst         netip.Addr
	zone        fleet.Zone
	port        uint16
}

// sending is a port that is sent on to another one of the host's own, for what comes
// by one way.
type sending struct {
	by       question
	from, to uint16
}

// arrival is where a connection comes to, and whether it does.
type arrival struct {
	fleet.Door
	port uint16  // of the host, where it is for that
	to   *target // another one: of a container, or of somebody else
	own  bool    // a container of the host's
}

// reaches tells whether what comes by a way comes to a listener, by its address.
func reaches(l fleet.Listener, w way) bool {
	if l.Device != "" && l.Device != w.link {
		return false
	}
	switch l.Address {
	case "*", "::":
		return true
	case "0.0.0.0":
		return w.dst.Is4()
	}
	a, err := netip.ParseAddr(l.Address)
	return err == nil && (a.Unmap() == w.dst || a.IsMulticast() && w.zone == fleet.FromLAN && a.Is4() == w.dst.Is4())
}

// listener judges one listener from one zone.
func (j *judging) listener(l fleet.Listener, z fleet.Zone) fleet.Door {
	if z == fleet.FromTailnet && !slices.ContainsFunc(j.f.Links, func(l fleet.FirewallLink) bool { return l.Zone == fleet.FromTailnet }) &&
		slices.ContainsFunc(j.listeners, func(l fleet.Listener) bool { return l.Process == "tailscaled" }) {
		return fleet.Door{State: fleet.PassesUnknown, Why: "tailscaled has no interface here: it passes connections on by itself"}
	}
	var doors []fleet.Door
	several := j.several(z)
	for _, w := range j.ways {
		if w.zone != z || !reaches(l, w) {
			continue
		}
		if z == fleet.FromTailnet && l.Process == "tailscaled" && l.Proto == "tcp" {
			return fleet.Door{State: fleet.Passes, Why: "tailscaled takes it itself, before any rule"}
		}
		if a, err := netip.ParseAddr(l.Address); err == nil && a.IsMulticast() {
			w.dst = a
		}
		d := j.at(w, l)
		if several {
			d.Why = "by " + w.link + ": " + d.Why
		}
		doors = append(doors, d)
		for _, s := range j.sends {
			if s.by == asked(w, l.Proto, s.from) && s.to == l.Port && s.from != l.Port {
				doors = append(doors, j.arrives(w, l.Proto, s.from).Door)
			}
		}
	}
	if len(doors) == 0 {
		return fleet.Door{State: fleet.Stopped, Why: j.nowhere(l, z)}
	}
	return fleet.MostOpen(doors)
}

// several tells whether more than one link leads to a zone.
func (j *judging) several(z fleet.Zone) bool {
	first := ""
	for _, w := range j.ways {
		switch {
		case w.zone != z:
		case first == "":
			first = w.link
		case first != w.link:
			return true
		}
	}
	return false
}

// nowhere is why nothing comes from a zone, whatever the rules say.
func (j *judging) nowhere(l fleet.Listener, z fleet.Zone) string {
	if slices.ContainsFunc(j.ways, func(w way) bool { return w.zone == z }) {
		return "nothing from there comes to " + l.Address + strings.TrimSuffix("%"+l.Device, "%")
	}
	switch z {
	case fleet.FromInternet:
		return "the host has no address of the internet's"
	case fleet.FromLAN:
		return "the host is on no LAN"
	}
	return "the host is not on the tailnet"
}

// at is the door of a listener by one way. One whose port is published for a container
// stands for the container; what is sent on to others does not come to it.
func (j *judging) at(w way, l fleet.Listener) fleet.Door {
	a := j.arrives(w, l.Proto, l.Port)
	switch {
	case a.to != nil && !a.own:
		return fleet.Door{State: fleet.Stopped, Why: "what comes is sent on to " + a.to.String()}
	case a.to == nil && a.port != l.Port:
		return fleet.Door{State: fleet.Stopped, Why: fmt.Sprintf("what comes is sent on to port %d", a.port)}
	}
	return a.Door
}

func asked(w way, proto string, port uint16) question {
	return question{w.link, proto, w.dst, w.zone, port}
}

// arrives tells whether a connection to a port arrives by a way, and where.
func (j *judging) arrives(w way, proto string, port uint16) arrival {
	q := asked(w, proto, port)
	if a, ok := j.known[q]; ok {
		return a
	}
	a := j.arrival(w, proto, port)
	a.Door = j.s.clear(a.Door)
	j.known[q] = a
	return a
}

// clear is a door as far as all rules are known.
func (s *ruleset) clear(d fleet.Door) fleet.Door {
	if d.State == fleet.Passes && s.blind != "" {
		return fleet.Door{State: fleet.PassesUnknown, Why: "not read: " + s.blind}
	}
	if d.State == fleet.Passes && d.Why == "" {
		d.Why = "no rule forbids it"
	}
	return d
}

func (j *judging) arrival(w way, proto string, port uint16) arrival {
	here := func(d fleet.Door) arrival { return arrival{Door: d, port: port} }
	p := packet{family: w.family(), proto: proto, port: port, iif: w.link, dst: w.dst, src: w.src}
	first := j.s.pass(p, "ingress", "prerouting")
	if first.State == fleet.Stopped {
		return here(first)
	}
	to, surely, why := j.s.sent(p)
	switch {
	case !surely:
		return here(fleet.Door{State: fleet.PassesUnknown, Why: why})
	case to == nil:
		return here(both(first, j.s.pass(p, "input")))
	}
	p.sent = true
	if to.port != 0 {
		p.port, port = to.port, to.port
	}
	if !to.addr.IsValid() || j.own(to.addr) {
		if to.addr.IsValid() {
			p.dst = to.addr.Unmap()
		}
		return here(both(first, j.s.pass(p, "input")))
	}
	p.dst = to.addr.Unmap()
	return j.forwarded(p, to, first, why)
}

// forwarded is where a packet arrives that is for somebody else by now.
func (j *judging) forwarded(p packet, to *target, first fleet.Door, why string) arrival {
	out, ok := linkTo(j.f.Links, p.dst)
	a := arrival{to: to, own: ok && out.Zone == fleet.ToContainers}
	switch {
	case !ok:
		a.Door = fleet.Door{State: fleet.PassesUnknown, Why: "sent on to " + to.String() + ", which is in no network of the host: " + why}
		return a
	case !j.f.Forwards:
		a.Door = fleet.Door{State: fleet.Stopped, Why: "sent on to " + to.String() + ", but the host forwards nothing (net.ipv4.ip_forward)"}
		return a
	}
	p.oif = out.Name
	if a.Door = both(first, j.s.pass(p, "forward")); a.State == fleet.Passes && a.Why == "" {
		a.Why = why
	}
	return a
}

// own tells whether an address is the host's.
func (j *judging) own(a netip.Addr) bool {
	return a.IsLoopback() || j.f.Has(a.String())
}

// both is the door of two in a row.
func both(a, b fleet.Door) fleet.Door {
	if b.State == fleet.Stopped || a.State == fleet.Passes {
		return b
	}
	return a
}

// sent finds the ports that are sent on, and where to.
func (j *judging) sent() {
	j.f.Sent = []fleet.PortForward{}
	for _, q := range j.s.sentPorts() {
		for _, w := range j.ways {
			p := packet{family: w.family(), proto: q.proto, port: q.from, iif: w.link, dst: w.dst, src: w.src}
			to, _, _ := j.s.sent(p)
			if to == nil {
				continue
			}
			port := q.from
			if to.port != 0 {
				port = to.port
			}
			if !to.addr.IsValid() || j.own(to.addr) {
				j.sends = append(j.sends, sending{asked(w, q.proto, q.from), q.from, port})
				continue
			}
			j.forward(w, fleet.PortForward{Proto: q.proto, Port: q.from, To: to.addr.Unmap().String(), ToPort: port})
		}
	}
}

// forward notes a port that is sent on to another host or a container, with the door
// of one way.
func (j *judging) forward(w way, f fleet.PortForward) {
	f.Own = j.arrives(w, f.Proto, f.Port).own
	i := slices.IndexFunc(j.f.Sent, func(o fleet.PortForward) bool {
		return o.Proto == f.Proto && o.Port == f.Port && o.To == f.To && o.ToPort == f.ToPort
	})
	if i < 0 {
		for _, z := range []fleet.Zone{fleet.FromInternet, fleet.FromLAN, fleet.FromTailnet} {
			*f.From(z) = fleet.Door{State: fleet.Stopped, Why: "not sent on from there"}
		}
		i = len(j.f.Sent)
		j.f.Sent = append(j.f.Sent, f)
	}
	at := j.f.Sent[i].From(w.zone)
	*at = fleet.MostOpen([]fleet.Door{j.arrives(w, f.Proto, f.Port).Door, *at})
}

// sentPorts are the ports that rules of nat name.
func (s *ruleset) sentPorts() []target {
	var all []target
	add := func(proto string, port uint64) {
		for _, p := range []string{"tcp", "udp"} {
			t := target{proto: p, from: uint16(port)}
			if (proto == "" || proto == p) && port > 0 && port <= 65535 && len(all) < maxForward && !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	for _, c := range s.inOrder() {
		if !s.nat(c) {
			continue
		}
		for _, r := range c.rules {
			for _, t := range r.act.to {
				add(t.proto, uint64(t.from))
			}
			for _, k := range r.when {
				if len(k.keys) != 1 || k.not || !strings.HasSuffix(k.keys[0], ".dport") {
					continue
				}
				for _, row := range k.rows {
					for port := row[0].lo; port <= min(row[0].hi, row[0].lo+maxRange-1); port++ {
						add(strings.TrimPrefix(strings.TrimSuffix(k.keys[0], ".dport"), "th"), port)
					}
					if row[0].hi >= row[0].lo+maxRange {
						s.missed(fmt.Sprintf("all but the first of ports %d to %d, which rules of NAT name", row[0].lo, row[0].hi))
					}
				}
			}
		}
	}
	return all
}

// inOrder are all chains, always in the same order.
func (s *ruleset) inOrder() []*chain {
	var all []*chain
	for _, c := range s.chains {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *chain) int {
		return strings.Compare(a.family+" "+a.table+" "+a.name, b.family+" "+b.table+" "+b.name)
	})
	return all
}

// nat tells whether a chain is in a table in which packets are sent on.
func (s *ruleset) nat(c *chain) bool {
	return slices.ContainsFunc(s.bases, func(b *chain) bool {
		return b.kind == "nat" && b.hook == "prerouting" && b.family == c.family && b.table == c.table
	})
}

// through6 is what the internet may send by IPv6 to hosts behind this one, at any
// port.
func (j *judging) through6() fleet.Door {
	if !j.f.Forwards {
		return fleet.Door{State: fleet.Stopped, Why: "the host forwards nothing"}
	}
	var doors []fleet.Door
	for _, in := range j.ways {
		if in.zone != fleet.FromInternet || in.dst.Is4() {
			continue
		}
		for _, out := range j.f.Links {
			if out.Zone != fleet.FromLAN {
				continue
			}
			for _, proto := range []string{"tcp", "udp"} {
				p := packet{family: "ip6", proto: proto, iif: in.link, oif: out.Name, src: in.src}
				doors = append(doors, j.s.clear(both(j.s.pass(p, "ingress", "prerouting"), j.s.pass(p, "forward"))))
			}
		}
	}
	return fleet.MostOpen(doors)
}
