package network

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// netLink is a link while it is read.
type netLink struct {
	fleet.NetLink
	has bool // a default route
}

// ends are the names of the host's ends of links to containers and virtual machines.
var ends = regexp.MustCompile(`^(veth|vnet|tap|cali|lxc|ve-|vb-|vz-|fwpr|fwln)`)

// linkJSON is a link as "ip -j -d -s link" tells it.
type linkJSON struct {
	Name   string      `json:"ifname"`
	Flags  few[string] `json:"flags"`
	MTU    int         `json:"mtu"`
	State  string      `json:"operstate"`
	Type   string      `json:"link_type"`
	MAC    string      `json:"address"`
	Master string      `json:"master"`
	Info   struct {
		Kind string `json:"info_kind"`
	} `json:"linkinfo"`
	Stats struct {
		Rx counterJSON `json:"rx"`
		Tx counterJSON `json:"tx"`
	} `json:"stats64"`
}

type counterJSON struct {
	Bytes   uint64 `json:"bytes"`
	Errors  uint64 `json:"errors"`
	Dropped uint64 `json:"dropped"`
}

// links are all links of the host, with their addresses.
func (a answer) links() ([]netLink, error) {
	told, err := atMost[linkJSON]([]byte(a.text("links")), 2*maxLinks)
	if err != nil {
		return nil, errors.New("what ip says of links is not its JSON")
	}
	defaults, _ := readRoutes(a.text("route"), a.text("route6"))
	addressed, err := readLinks([]byte(a.text("addr")), defaults)
	if err != nil {
		return nil, err
	}
	var all []netLink
	for _, t := range told {
		l := fleet.NetLink{
			Name: linkName(t.Name), Kind: t.kind(), State: t.state(), Zone: fleet.ToOthers, MTU: t.MTU, Master: linkName(t.Master), Addresses: []netip.Prefix{},
			RxBytes: t.Stats.Rx.Bytes, TxBytes: t.Stats.Tx.Bytes, RxErrors: t.Stats.Rx.Errors, TxErrors: t.Stats.Tx.Errors,
			RxDropped: t.Stats.Rx.Dropped, TxDropped: t.Stats.Tx.Dropped, LinkRate: fleet.LinkRate{Rx: -1, Tx: -1},
		}
		if t.Type == "ether" {
			l.MAC = fleet.Short(fleet.Clean(t.MAC), 20)
		}
		if i := slices.IndexFunc(addressed, func(f fleet.FirewallLink) bool { return f.Name == l.Name }); i >= 0 {
			l.Zone, l.Addresses = addressed[i].Zone, addressed[i].Addresses[:min(len(addressed[i].Addresses), maxAddresses)]
		}
		all = append(all, netLink{l, slices.Contains(defaults, t.Name)})
	}
	return all, nil
}

// maxAddresses is how many are kept of one link.
const maxAddresses = 32

func (t linkJSON) kind() string {
	switch {
	case t.Info.Kind != "":
		return fleet.Short(fleet.Clean(t.Info.Kind), 20)
	case t.Type == "ether":
		return "ethernet"
	}
	return cmp.Or(fleet.Short(fleet.Clean(t.Type), 20), "?")
}

func (t linkJSON) state() fleet.LinkState {
	is := func(flag string) bool { return slices.Contains(t.Flags, flag) }
	switch {
	case !is("UP"):
		return fleet.LinkOff
	case t.State == "DORMANT":
		return fleet.LinkDormant
	case is("NO-CARRIER"), t.State == "DOWN", t.State == "LOWERLAYERDOWN", t.State == "NOTPRESENT", !is("LOWER_UP"):
		return fleet.LinkNoCarrier
	}
	return fleet.LinkUp
}

// behind tells whether a link is the host's end of one to a container or a virtual
// machine, which has nothing of its own.
func (l netLink) behind() bool {
	own := slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return !p.Addr().IsLinkLocalUnicast() })
	return !own && !l.has && (l.Kind == "veth" && l.Master != "" || ends.MatchString(l.Name))
}

// keepLinks puts the links into what is known: those with a default route first, then
// what is up; those of containers are counted alone.
func keepLinks(n *fleet.Networking, all []netLink) {
	kept := slices.DeleteFunc(slices.Clone(all), netLink.behind)
	n.Hidden = len(all) - len(kept)
	rank := func(l netLink) int {
		switch {
		case l.has:
			return 0
		case l.Name == "lo" || l.Kind == "loopback":
			return 4
		case l.State != fleet.LinkUp:
			return 3
		case len(l.Addresses) == 0:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(kept, func(a, b netLink) int { return cmp.Compare(rank(a), rank(b)) })
	if len(kept) > maxLinks {
		n.Cut = append(n.Cut, "only "+strconv.Itoa(maxLinks)+" links are kept")
		kept = kept[:maxLinks]
	}
	for _, l := range kept {
		n.Links = append(n.Links, l.NetLink)
	}
}

// routeJSON is a default route as ip tells it.
type routeJSON struct {
	Type    string       `json:"type"` // "" as "unicast"; "unreachable", "blackhole" and others lead nowhere
	To      string       `json:"dst"`
	Gateway string       `json:"gateway"`
	Via     viaJSON      `json:"via"`
	Link    string       `json:"dev"`
	Metric  int          `json:"metric"`
	Flags   few[string]  `json:"flags"`
	Next    few[hopJSON] `json:"nexthops"`
}

// leads tells whether it is a default route that leads anywhere.
func (r routeJSON) leads() bool { return r.To == "default" && (r.Type == "" || r.Type == "unicast") }

// hopJSON is one of several ways of a route.
type hopJSON struct {
	Gateway string      `json:"gateway"`
	Via     viaJSON     `json:"via"`
	Link    string      `json:"dev"`
	Flags   few[string] `json:"flags"`
}

// viaJSON is a gateway of the other family.
type viaJSON struct {
	Host string `json:"host"`
}

// maxUplinks is how many default routes are looked at; of the first of them the
// script asks the gateways.
const maxUplinks = 16

// maxRoutes is how many routes are read of each family.
const maxRoutes = 200

// uplinks are the default routes, and whether they lead anywhere.
func (a answer) uplinks(n *fleet.Networking, all []netLink) {
	asked := a.pings()
	near := a.neighbours()
	read := 0
	for _, f := range []struct{ family, section string }{{"IPv4", "route"}, {"IPv6", "route6"}} {
		text := a.text(f.section)
		routes, err := atMost[routeJSON]([]byte(text), maxRoutes)
		if !a.ok(f.section) || text != "" && err != nil {
			continue
		}
		read++
		for _, r := range routes {
			hops := slices.Concat(r.Next, []hopJSON{{r.Gateway, r.Via, r.Link, r.Flags}})
			for _, h := range hops {
				if !r.leads() || h.Link == "" || len(n.Uplinks) >= maxUplinks {
					continue
				}
				u := fleet.Uplink{Link: linkName(h.Link), Gateway: address(cmp.Or(h.Gateway, h.Via.Host)), Family: f.family, Metric: r.Metric}
				key := u.Link + " " + u.Gateway
				if yes, ok := asked[key]; ok {
					u.Answers = &yes
				}
				u.Neighbour = near[key]
				u.Unused = slices.Contains(h.Flags, "dead")
				judgeUplink(&u, all, slices.Concat(h.Flags, r.Flags))
				n.Uplinks = append(n.Uplinks, u)
			}
		}
	}
	if read > 0 && len(n.Uplinks) == 0 {
		a.otherTable(n)
	}
	if read == 0 {
		gap(n, fleet.NetGap{Part: fleet.PartRoutes, Why: "ip does not tell its routes"})
	}
}

// otherTable is the way that "ip route get" tells where the main table has none: rules
// may lead to others. Whether its gateway is there is not asked.
func (a answer) otherTable(n *fleet.Networking) {
	got, err := atMost[routeJSON]([]byte(a.text("get")), 1)
	if !a.ok("get") || err != nil || len(got) == 0 || got[0].Link == "" || got[0].Type != "" && got[0].Type != "unicast" {
		return
	}
	n.Uplinks = append(n.Uplinks, fleet.Uplink{
		Link: linkName(got[0].Link), Gateway: address(cmp.Or(got[0].Gateway, got[0].Via.Host)), Family: "IPv4", State: fleet.UplinkUnknown,
		Why: "the main table has no default route; a rule leads to another table",
	})
}

// address is an address as it is written, "" for what is none.
func address(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return ""
	}
	return a.WithZone("").String()
}

// judgeUplink tells whether a default route leads anywhere: up where its gateway has
// answered, down where there is surely nothing, else what is known.
func judgeUplink(u *fleet.Uplink, all []netLink, flags []string) {
	i := slices.IndexFunc(all, func(l netLink) bool { return l.Name == u.Link })
	say := func(s fleet.UplinkState, why string) { u.State, u.Why = s, why }
	switch {
	case i >= 0 && (all[i].State == fleet.LinkOff || all[i].State == fleet.LinkNoCarrier):
		say(fleet.UplinkDown, u.Link+" has no carrier")
		if all[i].State == fleet.LinkOff {
			u.Why = u.Link + " is switched off"
		}
	case slices.Contains(flags, "linkdown"), slices.Contains(flags, "dead"):
		say(fleet.UplinkDown, u.Link+" has no carrier")
	case u.Answers != nil && *u.Answers:
		say(fleet.UplinkUp, "its gateway answers a ping")
	case u.Neighbour == "REACHABLE":
		say(fleet.UplinkUp, "its gateway is there (REACHABLE)")
	case u.Neighbour == "FAILED" && u.Answers != nil: // it was asked just now
		say(fleet.UplinkDown, "nobody answers at the address of its gateway")
	case u.Gateway == "":
		say(fleet.UplinkUnknown, "it has no gateway that could be asked; "+u.Link+" is up")
	case u.Answers == nil:
		say(fleet.UplinkUnknown, strings.TrimSpace("its gateway was not asked "+neighbourWords(u.Neighbour)))
	default:
		say(fleet.UplinkUnknown, strings.TrimSpace("its gateway does not answer a ping "+neighbourWords(u.Neighbour)))
	}
}

func neighbourWords(state string) string {
	if state == "" {
		return ""
	}
	return "(the kernel calls it " + state + ")"
}

// pings are whether gateways answer, by "link gateway".
func (a answer) pings() map[string]bool {
	all := map[string]bool{}
	for _, line := range a["pings"] {
		if f := strings.Fields(line); len(f) == 3 && (f[2] == "yes" || f[2] == "no") {
			all[linkName(f[0])+" "+address(f[1])] = f[2] == "yes"
		}
	}
	return all
}

// states of neighbours, of which one may have several.
var neighbourStates = []string{"REACHABLE", "PERMANENT", "NOARP", "DELAY", "PROBE", "STALE", "INCOMPLETE", "FAILED"}

// neighbours are what the kernel knows of the gateways, by "link gateway": a line for
// each, with what ip says behind those.
func (a answer) neighbours() map[string]string {
	all := map[string]string{}
	for _, line := range a["neighbours"] {
		link, rest, _ := strings.Cut(line, " ")
		gateway, text, _ := strings.Cut(rest, " ")
		var told []struct {
			State []string `json:"state"`
		}
		if json.Unmarshal([]byte(text), &told) != nil || len(told) == 0 {
			continue
		}
		for _, s := range neighbourStates {
			if slices.Contains(told[0].State, s) {
				all[linkName(link)+" "+address(gateway)] = s
				break
			}
		}
	}
	return all
}
