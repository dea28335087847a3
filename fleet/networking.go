package fleet

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Networking is how a host is on its networks.
type Networking struct {
	Links   []NetLink    `json:"links"`
	Hidden  int          `json:"hidden"` // links of containers and virtual machines that are not among them
	Uplinks []Uplink     `json:"uplinks"`
	Tunnels []WGTunnel   `json:"wireguard"`
	Queues  []Queue      `json:"queues"`
	DHCP    []DHCPServer `json:"dhcp"`
	Unread  []NetGap     `json:"unread,omitempty"` // parts that could not be read
	Cut     []string     `json:"cut,omitempty"`    // of what there is more than is kept: "only 500 links are kept"
}

// NetGap is a part of what is known of a host's networks that could not be read.
type NetGap struct {
	Part string `json:"part"` // one of the parts below
	Why  string `json:"why"`
	Cure string `json:"cure,omitempty"`
}

// Parts of a [Networking] that may be unread while others are known.
const (
	PartRoutes    = "routes"
	PartRates     = "rates"
	PartWireGuard = "WireGuard"
	PartQueues    = "queues"
)

// Gap tells why a part could not be read.
func (n Networking) Gap(part string) (NetGap, bool) {
	i := slices.IndexFunc(n.Unread, func(g NetGap) bool { return g.Part == part })
	if i < 0 {
		return NetGap{}, false
	}
	return n.Unread[i], true
}

// LinkState is how a network interface stands.
type LinkState string

// States of links. One that the kernel calls UNKNOWN, as all tunnels, is up where its
// lower layer is.
const (
	LinkUp        LinkState = "up"
	LinkNoCarrier LinkState = "no carrier" // switched on, and nothing is at the other end
	LinkOff       LinkState = "off"        // not switched on
	LinkDormant   LinkState = "dormant"    // waits for something else, such as a sign-in
)

// LinkRate is how much goes through a link, in bytes a second; -1 is not known.
type LinkRate struct {
	Rx float64 `json:"rxRate"`
	Tx float64 `json:"txRate"`
}

// NetLink is a network interface with its addresses. Bytes, errors and drops are
// since it is there.
type NetLink struct {
	Name      string         `json:"name"`
	Kind      string         `json:"kind"` // "ethernet", "loopback", or as the kernel calls it: "bridge", "vlan", "wireguard", "tun", …
	State     LinkState      `json:"state"`
	Zone      Zone           `json:"zone"`
	MTU       int            `json:"mtu"`
	MAC       string         `json:"mac,omitempty"`
	Master    string         `json:"master,omitempty"` // the bridge or bond that it is a port of
	Addresses []netip.Prefix `json:"addresses"`
	RxBytes   uint64         `json:"rxBytes"`
	TxBytes   uint64         `json:"txBytes"`
	RxErrors  uint64         `json:"rxErrors"`
	TxErrors  uint64         `json:"txErrors"`
	RxDropped uint64         `json:"rxDropped"`
	TxDropped uint64         `json:"txDropped"`
	LinkRate
}

// Link gives a link by its name.
func (n Networking) Link(name string) (NetLink, bool) {
	i := slices.IndexFunc(n.Links, func(l NetLink) bool { return l.Name == name })
	if i < 0 {
		return NetLink{}, false
	}
	return n.Links[i], true
}

// UplinkState is whether a default route leads anywhere.
type UplinkState string

// States of uplinks. Up is said only where the gateway has answered.
const (
	UplinkUp      UplinkState = "up"
	UplinkDown    UplinkState = "down"
	UplinkUnknown UplinkState = "unknown"
	UplinkNone    UplinkState = "none" // there is no default route
)

// Uplink is a default route of a host: the way to everything that is not near.
type Uplink struct {
	Link      string      `json:"link"`
	Gateway   string      `json:"gateway,omitempty"` // "" a link without one, such as PPP
	Family    string      `json:"family"`            // "IPv4", "IPv6"
	Metric    int         `json:"metric"`            // the least is taken
	Neighbour string      `json:"neighbour,omitempty"`
	Answers   *bool       `json:"answers"`          // whether the gateway answered a ping; null: it was not asked
	Unused    bool        `json:"unused,omitempty"` // the kernel passes it over: nothing is at its link's other end
	State     UplinkState `json:"state"`
	Why       string      `json:"why"`
}

// WAN is the uplink of the host: the preferred one of IPv4, of IPv6 where it has none
// of that.
func (n Networking) WAN() Uplink {
	if g, ok := n.Gap(PartRoutes); ok {
		return Uplink{State: UplinkUnknown, Why: g.Why}
	}
	for _, family := range []string{"IPv4", "IPv6"} {
		if u, ok := n.Preferred(family); ok {
			return u
		}
	}
	return Uplink{State: UplinkNone, Why: "there is no default route"}
}

// Preferred is the uplink that the kernel takes in a family: that of the least metric,
// also where its link has no carrier, unless the kernel passes such over. Of several
// of one metric it is the one in the best state.
func (n Networking) Preferred(family string) (Uplink, bool) {
	order := []UplinkState{UplinkUp, UplinkUnknown, UplinkDown}
	of := slices.DeleteFunc(slices.Clone(n.Uplinks), func(u Uplink) bool { return u.Family != family })
	if len(of) == 0 {
		return Uplink{}, false
	}
	return slices.MinFunc(of, func(a, b Uplink) int {
		unused := 0
		if a.Unused != b.Unused {
			if unused = -1; a.Unused {
				unused = 1
			}
		}
		return cmp.Or(unused, cmp.Compare(a.Metric, b.Metric), cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)))
	}), true
}

// WGTunnel is a WireGuard interface. No key of it is ever read but the public ones of
// its peers, of which a beginning is kept.
type WGTunnel struct {
	Link  string   `json:"link"`
	Port  int      `json:"port"`
	Peers []WGPeer `json:"peers"`
}

// WGPeer is somebody at the other end of a WireGuard tunnel.
type WGPeer struct {
	Key       string         `json:"key"`                // the beginning of its public key
	Endpoint  string         `json:"endpoint,omitempty"` // "" not known yet: it has to come by itself
	Allowed   []netip.Prefix `json:"allowedIPs"`
	Handshake time.Time      `json:"handshake,omitzero"` // the last one, by our clock; zero: never, or at a time that cannot be
	Never     bool           `json:"never,omitempty"`    // there was none yet
	Rx        uint64         `json:"rxBytes"`
	Tx        uint64         `json:"txBytes"`
	KeepAlive int            `json:"keepalive,omitempty"` // seconds; 0 off
}

// Limits of a peer that is kept alive. WireGuard renews the keys of one that answers
// every two minutes, and forgets them after three; see its paper, 6.1. A first message
// has 148 bytes and is sent again every five seconds.
const (
	handshakeLate = 10 * time.Minute
	initiation    = 148
	triesEnough   = 60
)

// Lost tells whether a peer that is kept alive, and whose address is known, has
// not answered for long.
func (p WGPeer) Lost(now time.Time) bool {
	switch {
	case p.KeepAlive <= 0 || p.Endpoint == "":
		return false
	case p.Never:
		return p.Tx >= triesEnough*initiation
	}
	return !p.Handshake.IsZero() && now.Sub(p.Handshake) > handshakeLate
}

// Queue is how packets wait to leave a link. Its numbers are since it is there.
type Queue struct {
	Link       string `json:"link"`
	Kind       string `json:"kind"`           // "cake", "fq_codel", …
	Count      int    `json:"count"`          // how many of the kind the link has: one for each queue of its hardware
	Rate       uint64 `json:"rate,omitempty"` // to what it is held, in bytes a second; 0 no limit, or not told
	Bytes      uint64 `json:"bytes"`
	Packets    uint64 `json:"packets"`
	Drops      uint64 `json:"drops"`
	Overlimits uint64 `json:"overlimits"`      // how often a packet had to wait for the rate
	Backlog    uint64 `json:"backlog"`         // bytes that wait now
	Inner      bool   `json:"inner,omitempty"` // it is below another of the link, which counts its drops, too
}

// Shapes tells whether a queue holds its link to a rate, or is one that people choose
// for that: its drops are meant.
func (q Queue) Shapes() bool { return q.Rate > 0 || q.Kind == "cake" }

// Share is which part of the packets was dropped, 0…1.
func (q Queue) Share() float64 {
	if q.Packets+q.Drops == 0 {
		return 0
	}
	return float64(q.Drops) / float64(q.Packets+q.Drops)
}

// DHCPServer is one that runs on a host, with what it has leased.
type DHCPServer struct {
	Unit     string      `json:"unit"`
	Program  string      `json:"program"` // "kea", "dnsmasq"
	Port     uint16      `json:"port"`    // where it should listen: 67, of IPv6 547
	File     string      `json:"file,omitempty"`
	Leases   []Lease     `json:"leases"`
	Active   int         `json:"active"`           // leases that hold now
	Expired  int         `json:"expired"`          // those that do not any more; they are not in the list
	Declined int         `json:"declined"`         // addresses that somebody else has
	Cut      bool        `json:"cut,omitempty"`    // not all of its file was read: there may be more, and older ones may be over
	Unread   string      `json:"unread,omitempty"` // why its leases are not known
	UpFor    Seconds     `json:"upFor"`            // how long it runs
	Bound    *[]Listener `json:"bound"`            // who listens at its ports, read with it; null: that is not known
}

// LeaseState is how a lease stands.
type LeaseState string

// States of leases.
const (
	LeaseActive   LeaseState = "active"
	LeaseDeclined LeaseState = "declined" // the address was found to be somebody else's
)

// Lease is an address that was given to somebody by DHCP.
type Lease struct {
	Address string     `json:"address"`
	MAC     string     `json:"mac,omitempty"` // of IPv6: the DUID
	Name    string     `json:"name,omitempty"`
	Expires time.Time  `json:"expires,omitzero"` // by our clock; zero: never
	State   LeaseState `json:"state"`
}

// Peers are those of all tunnels.
func (n Networking) Peers() []WGPeer {
	var all []WGPeer
	for _, t := range n.Tunnels {
		all = append(all, t.Peers...)
	}
	return all
}

// Serves are the links on which a DHCP server listens; empty: nobody knows, or it is
// bound to all.
func (n Networking) Serves(at []Listener) []string {
	var links []string
	add := func(name string) {
		if name != "" && !slices.Contains(links, name) {
			links = append(links, name)
		}
	}
	for _, l := range at {
		add(l.Device)
		for _, link := range n.Links {
			if slices.ContainsFunc(link.Addresses, func(p netip.Prefix) bool { return p.Addr().String() == l.Address }) {
				add(link.Name)
			}
		}
	}
	return links
}

// Rate is how much goes through a link: just now where that is measured, else when
// its network was read.
func (s State) Rate(link string) LinkRate {
	if r, ok := s.Rates[link]; ok {
		return r
	}
	if l, ok := s.Networking.Value.Link(link); ok {
		return l.LinkRate
	}
	return LinkRate{Rx: -1, Tx: -1}
}

// PeersWord is how many peers have shaken hands of late, of how many: "2 of 3"; "-" no
// tunnel, "?" not known.
func (n Networking) PeersWord(now time.Time) string {
	peers := n.Peers()
	if _, unread := n.Gap(PartWireGuard); unread {
		return "?"
	}
	if len(n.Tunnels) == 0 {
		return "-"
	}
	live := 0
	for _, p := range peers {
		if !p.Handshake.IsZero() && now.Sub(p.Handshake) <= handshakeLate {
			live++
		}
	}
	return fmt.Sprintf("%d of %d", live, len(peers))
}

// LeasesWord is how many leases hold; "-" no DHCP server, "?" where those of one are
// not known, "8+" where not all was read.
func (n Networking) LeasesWord() string {
	if len(n.DHCP) == 0 {
		return "-"
	}
	all, more := 0, ""
	for _, d := range n.DHCP {
		if d.Cut {
			more = "+"
		}
		if d.Unread != "" {
			return "?"
		}
		all += d.Active
	}
	return strconv.Itoa(all) + more
}

// Drops are how many packets the queues of a link have dropped; false: it has none.
func (n Networking) Drops(link string) (drops uint64, ok bool) {
	for _, q := range n.Queues {
		if q.Link == link && !q.Inner {
			drops, ok = drops+q.Drops, true
		}
	}
	return drops, ok
}

// Bits are bytes a second as the bits a second in which links are sold: "250 Mbit/s".
func Bits(bytes uint64) string {
	v, unit := float64(bytes)*8, "bit/s"
	for _, u := range []string{"kbit/s", "Mbit/s", "Gbit/s"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) + " " + unit
}
