package fleet

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Zone is where a connection comes from, or where a link leads to.
type Zone string

// Zones. The last ones are of links only: nothing is judged from there.
const (
	FromInternet Zone = "internet"
	FromLAN      Zone = "lan"
	FromTailnet  Zone = "tailnet"
	ToContainers Zone = "containers" // a bridge for the host's own containers
	ToOthers     Zone = "other"      // WireGuard and other tunnels, loopback, what has no address
)

// Passage is whether a new connection arrives.
type Passage string

// Passages. Where a rule that Sextant does not understand could decide, it is
// unknown, never no.
const (
	Passes        Passage = "yes"
	Stopped       Passage = "no"
	PassesUnknown Passage = "unknown"
)

// Door is whether a new connection from a zone arrives, and what decides it.
type Door struct {
	State Passage `json:"state"`
	Why   string  `json:"why,omitempty"` // the rule that decides, or what is not known
}

// Doors are those of one listener, as far as its own host decides.
type Doors struct {
	Internet Door `json:"internet"`
	LAN      Door `json:"lan"`
	Tailnet  Door `json:"tailnet"`
}

// From gives the door of a zone.
func (d *Doors) From(z Zone) *Door {
	switch z {
	case FromInternet:
		return &d.Internet
	case FromLAN:
		return &d.LAN
	}
	return &d.Tailnet
}

// ListenerDoors are the doors of what listens at an address; those of one process
// are those of all there.
type ListenerDoors struct {
	Proto   string `json:"proto"`
	Address string `json:"address"`
	Device  string `json:"device,omitempty"`
	Port    uint16 `json:"port"`
	Doors
}

// PortForward is a port of the host that is sent on to another address.
type PortForward struct {
	Proto  string `json:"proto"`
	Port   uint16 `json:"port"`
	To     string `json:"to"`
	ToPort uint16 `json:"toPort"`
	Own    bool   `json:"own"` // to a container of the host's own
	Doors
}

// FirewallLink is a network interface with its addresses.
type FirewallLink struct {
	Name      string         `json:"name"`
	Zone      Zone           `json:"zone"`
	Addresses []netip.Prefix `json:"addresses"`
}

// FirewallChain is a chain that packets come to by themselves.
type FirewallChain struct {
	Family   string `json:"family"` // "inet", "ip", "ip6", …
	Table    string `json:"table"`
	Name     string `json:"name"`
	Type     string `json:"type"` // "filter", "nat", "route"
	Hook     string `json:"hook"`
	Priority int    `json:"priority"`
	Policy   string `json:"policy"` // what is done with what no rule decides on: "accept", "drop"
	Rules    int    `json:"rules"`  // its own, without those of chains that it leads to
}

// Firewall is what a host lets through, judged for each of its listeners when it was
// read. The rules themselves are not kept.
type Firewall struct {
	Kind      string          `json:"kind"`  // "nftables", "iptables", both, or "none": nothing is forbidden
	Rules     int             `json:"rules"` // how many there are
	Chains    []FirewallChain `json:"chains"`
	Forwards  bool            `json:"forwards"`
	Links     []FirewallLink  `json:"links"`
	Gateways  []string        `json:"gateways"` // of its default routes
	Listeners []ListenerDoors `json:"listeners"`
	Sent      []PortForward   `json:"sent"`             // ports that are sent on
	Through6  Door            `json:"through6"`         // what it lets in by IPv6 to those behind it, whatever the port
	Unread    []string        `json:"unread,omitempty"` // what could not be taken into account
}

// Of gives the doors of a listener.
func (f Firewall) Of(l Listener) (Doors, bool) {
	for _, d := range f.Listeners {
		if d.Proto == l.Proto && d.Port == l.Port && d.Address == l.Address && d.Device == l.Device {
			return d.Doors, true
		}
	}
	return Doors{}, false
}

// Public tells whether the host has an address of the internet's own on one of its
// links, of IPv4 or of IPv6.
func (f Firewall) Public() (v4, v6 bool) {
	for _, l := range f.Links {
		for _, a := range l.Addresses {
			if PublicAddress(a.Addr()) {
				v4, v6 = v4 || a.Addr().Is4(), v6 || a.Addr().Is6()
			}
		}
	}
	return v4, v6
}

// Has tells whether one of its links has an address.
func (f Firewall) Has(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(f.Links, func(l FirewallLink) bool {
		return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr() == a.Unmap() })
	})
}

// shared is the space that carriers use behind their own NAT, and Tailscale too.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// tailnet6 is where Tailscale takes its IPv6 addresses from.
var tailnet6 = netip.MustParsePrefix("fd7a:115c:a1e0::/48")

// PublicAddress tells whether the internet leads to an address.
func PublicAddress(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// TailnetAddress tells whether an address is one of a tailnet's.
func TailnetAddress(a netip.Addr) bool {
	a = a.Unmap()
	return shared.Contains(a) || tailnet6.Contains(a)
}

// MostOpen is the most open of several doors, as one way in is enough; "no" where
// there is none.
func MostOpen(doors []Door) Door {
	if len(doors) == 0 {
		return Door{State: Stopped}
	}
	order := []Passage{Passes, PassesUnknown, Stopped}
	return slices.MinFunc(doors, func(a, b Door) int { return slices.Index(order, a.State) - slices.Index(order, b.State) })
}

// ProtoPort is a port as people write it: "tcp/443".
func ProtoPort(proto string, port uint16) string {
	return strings.ToLower(proto) + "/" + strconv.Itoa(int(port))
}
