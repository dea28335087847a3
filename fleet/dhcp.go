package fleet

import (
	"slices"
	"strconv"
	"strings"
)

// ports are where a DHCP server may listen: dnsmasq serves IPv4 and IPv6, or one of
// them alone.
func (d DHCPServer) ports() []uint16 {
	if d.Program == "dnsmasq" {
		return []uint16{67, 547}
	}
	return []uint16{d.Port}
}

// TakeListens keeps where the DHCP servers listen, of a list that was read with them.
// One that is told to be of another unit or of a container is not theirs.
func (n *Networking) TakeListens(list []Listener) {
	for i, d := range n.DHCP {
		at := []Listener{}
		for _, l := range list {
			own := l.Container == "" && (l.Unit == "" || l.Unit == d.Unit && l.User == "")
			if l.Proto == "udp" && slices.Contains(d.ports(), l.Port) && own {
				at = append(at, l)
			}
		}
		n.DHCP[i].Bound = &at
	}
}

// Nowhere tells whether it is known that a DHCP server listens nowhere. A dnsmasq whose
// file is not known may only answer names.
func (d DHCPServer) Nowhere() bool {
	return d.Bound != nil && len(*d.Bound) == 0 && (d.Program != "dnsmasq" || d.Unread == "")
}

// BoundWord is where a DHCP server listens, in a few words.
func (n Networking) BoundWord(d DHCPServer) string {
	switch {
	case d.Nowhere():
		return "listens nowhere"
	case d.Bound == nil || len(*d.Bound) == 0:
		return "where it listens is not known"
	}
	if links := n.Serves(*d.Bound); len(links) > 0 {
		return "listens on " + strings.Join(links, ", ")
	}
	return "listens on all links"
}

// ActiveWord is how many of its leases hold, "8+" where not all of them were read.
func (d DHCPServer) ActiveWord() string {
	if d.Cut {
		return strconv.Itoa(d.Active) + "+"
	}
	return strconv.Itoa(d.Active)
}
