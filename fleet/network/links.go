package network

import (
	"cmp"
	"errors"
	"net/netip"
	"regexp"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxLinks bounds what is looked at of a host's links: one with a thousand containers
// has as many.
const maxLinks = 500

// ofContainers are the names of bridges that engines make for containers, and of
// their ends.
var ofContainers = regexp.MustCompile(`^(docker|podman|cni|lxcbr|lxdbr|incusbr|virbr|veth|cali|flannel|ve-|vb-|vz-)|^br-[0-9a-f]{12}$`)

// ofTunnels are the names of tunnels that lead to none of the zones.
var ofTunnels = regexp.MustCompile(`^(wg|tun|tap|ppp-|gre|sit|ip6tnl|vti|zt|nebula|dummy|ifb)`)

// readLinks reads "ip -j addr", and tells where each link leads.
func readLinks(text []byte, defaults []string) ([]fleet.FirewallLink, error) {
	type info struct {
		Local  string `json:"local"`
		Prefix int    `json:"prefixlen"`
	}
	all, err := atMost[struct {
		Name  string    `json:"ifname"`
		Type  string    `json:"link_type"`
		Infos few[info] `json:"addr_info"`
	}](text, maxLinks)
	if err != nil {
		return nil, errors.New("what ip says of addresses is not its JSON")
	}
	var links []fleet.FirewallLink
	for _, l := range all {
		link := fleet.FirewallLink{Name: linkName(l.Name), Addresses: []netip.Prefix{}}
		for _, info := range l.Infos {
			if a, err := netip.ParseAddr(info.Local); err == nil && info.Prefix >= 0 && info.Prefix <= a.BitLen() {
				link.Addresses = append(link.Addresses, netip.PrefixFrom(a, info.Prefix))
			}
		}
		link.Zone = zoneOf(link, l.Type == "loopback", slices.Contains(defaults, l.Name))
		links = append(links, link)
	}
	return links, nil
}

// zoneOf tells where a link leads, by its name and addresses.
func zoneOf(l fleet.FirewallLink, loopback, isDefault bool) fleet.Zone {
	has := func(of func(netip.Addr) bool) bool {
		return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return of(p.Addr()) })
	}
	v4 := func(a netip.Addr) bool { return a.Is4() }
	switch {
	case loopback || l.Name == "lo":
		return fleet.ToOthers
	case has(fleet.TailnetAddress) && !isDefault:
		return fleet.FromTailnet
	case ofContainers.MatchString(l.Name):
		return fleet.ToContainers
	case ofTunnels.MatchString(l.Name) && !isDefault:
		return fleet.ToOthers
	case has(func(a netip.Addr) bool { return a.Is4() && fleet.PublicAddress(a) }), has(fleet.PublicAddress) && !has(v4):
		return fleet.FromInternet
	case len(l.Addresses) > 0:
		return fleet.FromLAN
	}
	return fleet.ToOthers
}

// readRoutes reads "ip -j route": the links of default routes, and their gateways.
func readRoutes(texts ...string) (links, gateways []string) {
	for _, text := range texts {
		all, err := atMost[routeJSON]([]byte(text), maxRoutes)
		if err != nil {
			continue
		}
		add := func(link, gateway string) {
			if link != "" && !slices.Contains(links, link) {
				links = append(links, link)
			}
			if a := address(gateway); a != "" && !slices.Contains(gateways, a) && len(gateways) < 8 {
				gateways = append(gateways, a)
			}
		}
		for _, r := range all {
			if r.leads() {
				add(r.Link, r.Gateway)
				for _, n := range r.Next {
					add(n.Link, n.Gateway)
				}
			}
		}
	}
	return links, gateways
}

// way is how packets from a zone come to the host: by which link, from where, to
// which of its addresses.
type way struct {
	zone fleet.Zone
	link string
	src  []span
	dst  netip.Addr
}

func (w way) family() string {
	if w.dst.Is4() {
		return "ip"
	}
	return "ip6"
}

// everywhere are the addresses of the internet, without what is private, shared, or
// for other uses.
var everywhere = func() []span {
	var out []span
	for _, r := range [][2]string{
		{"1.0.0.0", "9.255.255.255"}, {"11.0.0.0", "100.63.255.255"}, {"100.128.0.0", "126.255.255.255"}, {"128.0.0.0", "169.253.255.255"},
		{"169.255.0.0", "172.15.255.255"}, {"172.32.0.0", "192.167.255.255"}, {"192.169.0.0", "223.255.255.255"}, {"2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		out = append(out, span{netip.MustParseAddr(r[0]), netip.MustParseAddr(r[1])})
	}
	return out
}()

// waysIn are all ways to the addresses of a host.
func waysIn(links []fleet.FirewallLink) []way {
	var ways []way
	for _, l := range links {
		for _, p := range l.Addresses {
			w := way{zone: l.Zone, link: l.Name, dst: p.Addr().Unmap()}
			switch {
			case l.Zone == fleet.ToContainers || l.Zone == fleet.ToOthers:
				continue
			case l.Zone == fleet.FromTailnet && fleet.TailnetAddress(w.dst):
				w.src = tailnet(w.dst.Is4())
			case fleet.PublicAddress(w.dst): // also by IPv6 where the link's IPv4 is private
				w.zone = fleet.FromInternet
				w.src = slices.DeleteFunc(slices.Clone(everywhere), func(s span) bool { return s.lo.Is4() != w.dst.Is4() })
				if l.Zone == fleet.FromLAN {
					ways = append(ways, way{fleet.FromLAN, l.Name, []span{spanOf(p)}, w.dst})
				}
			case l.Zone == fleet.FromLAN:
				w.src = []span{spanOf(p)}
			default:
				continue
			}
			ways = append(ways, w)
		}
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(a.dst.BitLen(), b.dst.BitLen()) })
	return ways
}

// tailnet are the addresses of its nodes.
func tailnet(v4 bool) []span {
	if v4 {
		return []span{spanOf(netip.MustParsePrefix("100.64.0.0/10"))}
	}
	return []span{spanOf(netip.MustParsePrefix("fd7a:115c:a1e0::/48"))}
}

// linkTo is the link in whose network an address is; "" none.
func linkTo(links []fleet.FirewallLink, a netip.Addr) (fleet.FirewallLink, bool) {
	best, found := fleet.FirewallLink{}, -1
	for _, l := range links {
		for _, p := range l.Addresses {
			if p.Contains(a) && p.Bits() > found {
				best, found = l, p.Bits()
			}
		}
	}
	return best, found >= 0
}
