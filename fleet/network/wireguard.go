package network

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// wireGuard reads what wg says of its links and their peers: see wg(8), "show".
func (a answer) wireGuard(n *fleet.Networking, all []netLink, c clock) {
	kernel := slices.ContainsFunc(all, func(l netLink) bool { return l.Kind == "wireguard" })
	names := strings.Fields(a.text("wg links"))
	switch {
	case a["wg links"] == nil && kernel:
		gap(n, noWG)
		return
	case !kernel && len(names) == 0:
		return
	case !a.ok("wg ports") && a.text("uid") != "0":
		gap(n, wgRoot)
		return
	case !a.ok("wg ports"):
		gap(n, fleet.NetGap{Part: fleet.PartWireGuard, Why: "wg does not tell of its peers"})
		return
	}
	for _, l := range all {
		if l.Kind == "wireguard" && !slices.ContainsFunc(names, func(name string) bool { return linkName(name) == l.Name }) {
			gap(n, fleet.NetGap{Part: fleet.PartWireGuard, Why: "wg does not tell of " + l.Name})
		}
	}
	left := maxPeers
	for _, name := range names[:min(len(names), maxLinks)] {
		t := fleet.WGTunnel{Link: linkName(name), Peers: []fleet.WGPeer{}}
		t.Port, _ = strconv.Atoi(a.field("wg ports", name, ""))
		for _, key := range a.peersOf(name) {
			if left--; left < 0 {
				n.Cut = append(n.Cut, "only "+strconv.Itoa(maxPeers)+" peers are kept")
				break
			}
			t.Peers = append(t.Peers, a.peer(name, key, c))
		}
		n.Tunnels = append(n.Tunnels, t)
	}
}

// peersOf are the beginnings of the public keys of a link's peers.
func (a answer) peersOf(link string) []string {
	var keys []string
	for _, line := range a["wg latest-handshakes"] {
		if f := strings.Split(line, "\t"); len(f) >= 3 && f[0] == link && f[1] != "" {
			keys = append(keys, f[1])
		}
	}
	return keys
}

// field is what a section says of a link, or of a peer of it; "" nothing.
func (a answer) field(section, link, key string) string {
	for _, line := range a[section] {
		name, rest, _ := strings.Cut(line, "\t")
		if name != link {
			continue
		}
		if key == "" {
			return rest
		}
		if of, value, ok := strings.Cut(rest, "\t"); ok && of == key {
			return value
		}
	}
	return ""
}

// maxAllowed is how many networks are kept of one peer.
const maxAllowed = 50

func (a answer) peer(link, key string, c clock) fleet.WGPeer {
	p := fleet.WGPeer{Key: fleet.Short(fleet.Clean(key), 13), Allowed: []netip.Prefix{}}
	if at, err := netip.ParseAddrPort(a.field("wg endpoints", link, key)); err == nil {
		p.Endpoint = netip.AddrPortFrom(at.Addr().WithZone(""), at.Port()).String() // a zone may hold any bytes
	}
	for _, s := range strings.Fields(a.field("wg allowed-ips", link, key)) {
		if net, err := netip.ParsePrefix(s); err == nil && len(p.Allowed) < maxAllowed {
			p.Allowed = append(p.Allowed, net)
		}
	}
	when, err := strconv.ParseInt(a.field("wg latest-handshakes", link, key), 10, 64)
	p.Never = err == nil && when == 0
	if p.Handshake = c.at(when); p.Handshake.After(c.ours.Add(time.Minute)) {
		p.Handshake = time.Time{} // its clock was set back since: when it was is not known
	}
	rx, tx, _ := strings.Cut(a.field("wg transfer", link, key), "\t")
	p.Rx, _ = strconv.ParseUint(rx, 10, 64)
	p.Tx, _ = strconv.ParseUint(tx, 10, 64)
	p.KeepAlive, _ = strconv.Atoi(a.field("wg persistent-keepalive", link, key))
	p.KeepAlive = max(0, p.KeepAlive)
	return p
}
