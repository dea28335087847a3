package fleet

import (
	"slices"
	"strings"
	"time"
)

// networkProblems are what is wrong with the host's networks. Whether a WAN is up and a
// DHCP server is bound is judged only by what was read just now: it is another soon.
func (s State) networkProblems(now time.Time, b *bench) {
	if !s.Networking.Usable(now) {
		return
	}
	n := s.Networking.Value
	if s.Networking.Current() {
		s.uplinkProblems(n, b)
		for _, d := range n.DHCP {
			d.bindProblem(b)
		}
	}
	for _, t := range n.Tunnels {
		if l, ok := n.Link(t.Link); ok && l.State == LinkOff {
			continue
		}
		for _, p := range t.Peers {
			if p.Lost(s.Networking.At) {
				s.peerProblem(t, p, b)
			}
		}
	}
	for _, d := range n.DHCP {
		if d.Declined > 0 && !d.Cut {
			b.add(Object{Kind: KindNetwork, Name: "declined " + d.Unit}, SeverityWarn, time.Time{}, "%s: %s", d.label(), declined(d)).Cure =
				"find who has such an address without having asked for it, or take it out of the pool"
		}
	}
}

// declined names the addresses that somebody else has.
func declined(d DHCPServer) string {
	var all []string
	for _, l := range d.Leases {
		if l.State == LeaseDeclined {
			all = append(all, l.Address)
		}
	}
	if len(all) > maxNamed {
		all = append(all[:maxNamed], "…")
	}
	return "somebody else has addresses of its pool: " + strings.Join(all, ", ")
}

// uplinkProblems are those of a router: the WAN, and links with addresses at whose
// other end there is nothing. Other hosts may be without.
func (s State) uplinkProblems(n Networking, b *bench) {
	if role, _ := s.Role(); role != RoleRouter {
		return
	}
	wan := n.WAN()
	alive := slices.ContainsFunc(n.Uplinks, func(u Uplink) bool { return u.State != UplinkDown })
	if !alive && (wan.State == UplinkDown || wan.State == UplinkNone) {
		b.add(Object{Kind: KindNetwork, Name: "wan"}, SeverityFail, time.Time{}, "the WAN is down: %s", wan.Why).Cure = "look at its link, its cable and the modem behind it: sextant network " + s.Host.Name + " --interfaces"
	}
	for _, family := range []string{"IPv4", "IPv6"} {
		if u, ok := n.Preferred(family); ok && alive && u.State == UplinkDown {
			b.add(Object{Kind: KindNetwork, Name: "wan " + family}, SeverityWarn, time.Time{}, "the preferred %s way is down, by %s: %s; another is there", family, u.Link, u.Why).Cure =
				"look at its link, its cable and the modem behind it: sextant network " + s.Host.Name + " --interfaces"
		}
	}
	for _, l := range n.Links {
		if l.Meant() && l.State == LinkNoCarrier && l.Name != wan.Link {
			b.add(Object{Kind: KindNetwork, Name: "link " + l.Name}, SeverityWarn, time.Time{}, "%s has addresses and no carrier: nothing is at its other end", l.Name)
		}
	}
}

// carriers are the kinds of links whose other end is a cable or a port.
var carriers = []string{"ethernet", "bridge", "bond", "vlan"}

// Meant tells whether a link is meant to lead somewhere: it has addresses of its own,
// and is none that is made for containers or virtual machines.
func (l NetLink) Meant() bool {
	if !slices.Contains(carriers, l.Kind) || l.Zone == ToContainers || l.Zone == ToOthers {
		return false
	}
	for _, a := range l.Addresses {
		if !a.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// justStarted is how long a DHCP server may take to find its links.
const justStarted = time.Minute

// bindProblem is that a DHCP server runs and nothing of the host listens at its port.
func (d DHCPServer) bindProblem(b *bench) {
	if !d.Nowhere() || d.UpFor.Duration() < justStarted {
		return
	}
	b.add(Object{Kind: KindNetwork, Name: "dhcp " + d.Unit}, SeverityFail, time.Time{}, "%s runs and listens nowhere: nobody gets an address by it", d.label()).Cure =
		"see its log for why it could not open its links, and restart " + d.Unit
}

func (d DHCPServer) label() string { return strings.TrimSuffix(d.Unit, ".service") }

func (s State) peerProblem(t WGTunnel, p WGPeer, b *bench) {
	of, cure := Object{Kind: KindNetwork, Name: "peer " + t.Link + " " + p.Key}, "see whether the other end runs, and is still at "+p.Endpoint
	if p.Never {
		b.add(of, SeverityWarn, time.Time{}, "WireGuard %s: %s at %s has never answered", t.Link, p.Label(), p.Endpoint).Cure = cure
		return
	}
	b.add(of, SeverityWarn, p.Handshake, "WireGuard %s: %s at %s does not answer any more", t.Link, p.Label(), p.Endpoint).Cure = cure
}

// Label names a peer, for people: by the beginning of its key, and its first network.
func (p WGPeer) Label() string {
	name := "peer " + Short(p.Key, 9)
	if len(p.Allowed) > 0 {
		name += " (" + p.Allowed[0].String() + ")"
	}
	return name
}
