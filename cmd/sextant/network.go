package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// readNetworking asks after who listens too where there is a DHCP server: whether it is
// bound to anything is told by that.
func readNetworking(ctx context.Context, a watch.Ask) watch.Change {
	if _, err := a.Probed(ctx); err != nil {
		return nil // the probe has said why nothing is known
	}
	n := network.Networking(ctx, a.Link)
	if len(n.Value.DHCP) == 0 {
		return func(s *fleet.State) { s.TakeNetworking(n) }
	}
	listens := network.Listens(ctx, a.Link)
	if listens.Current() {
		n.Value.TakeListens(listens.Value)
	}
	return func(s *fleet.State) {
		s.TakeListens(listens)
		s.TakeNetworking(n)
	}
}

// networkScope is what is asked for the networks of hosts.
func networkScope(c watch.Collector) bool { return c.Name == "networking" || c.Name == "firewall" }

// networkList is one of the lists of a host's network.
type networkList struct {
	flag, help string
	show       bool
	fill       func(*table, []fleet.State)
}

func networkCommand(o *options) *cobra.Command {
	lists := networkLists()
	c := &cobra.Command{
		Use: "network [SEL…]", Short: "How hosts are on their networks: links and rates, WAN, WireGuard, queues, DHCP leases, firewall", Args: cobra.ArbitraryArgs,
		Long: "A line for each host; with one of the choices the list of that instead. --json has all of it. The WAN is up where the gateway of the default route has answered. " +
			"Of WireGuard no private or preshared key is read. Exit code 1 where something is wrong, 3 where something is not known.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, networkScope, func(_ *app, states []fleet.State) error {
				return printNetworking(cmd.OutOrStdout(), *o, states, lists)
			}))
		},
	}
	var names []string
	for i := range lists {
		c.Flags().BoolVar(&lists[i].show, lists[i].flag, false, lists[i].help)
		names = append(names, lists[i].flag)
	}
	c.MarkFlagsMutuallyExclusive(names...)
	return c
}

func networkLists() []*networkList {
	return []*networkList{
		{flag: "interfaces", help: "the links of the hosts, and what passes through them", fill: fillLinks},
		{flag: "peers", help: "WireGuard's peers", fill: fillPeers},
		{flag: "leases", help: "what DHCP servers have leased", fill: fillLeases},
		{flag: "queues", help: "queues and their drops", fill: fillQueues},
		{flag: "firewall", help: "chains of the firewall, and the ports that are sent on", fill: fillChains},
	}
}

// networkingRow is the network of a host.
type networkingRow struct {
	Host string       `json:"host"`
	WAN  fleet.Uplink `json:"wan"`
	fleet.Networking
}

// firewallRow is what the firewall of a host is made of.
type firewallRow struct {
	Host     string                `json:"host"`
	Kind     string                `json:"kind"`
	Rules    int                   `json:"rules"`
	Forwards bool                  `json:"forwards"`
	Chains   []fleet.FirewallChain `json:"chains"`
	Sent     []fleet.PortForward   `json:"portForwards"`
}

func printNetworking(w io.Writer, o options, states []fleet.State, lists []*networkList) error {
	now := time.Now()
	rows, hosts, errs := gather(states, networkingOf, func(s fleet.State, n fleet.Networking) networkingRow { return networkingRow{s.Host.Name, n.WAN(), n} })
	walls, _, unread := gather(states, firewallOf, func(s fleet.State, f fleet.Firewall) firewallRow {
		return firewallRow{s.Host.Name, f.Kind, f.Rules, f.Forwards, f.Chains, f.Sent}
	})
	out := struct {
		Schema    int             `json:"schema"`
		Networks  []networkingRow `json:"networks"`
		Firewalls []firewallRow   `json:"firewalls"`
		Problems  []fleet.Finding `json:"problems"`
		Errors    []hostError     `json:"errors"`
		Hosts     []hostFact      `json:"hosts"`
	}{1, rows, walls, networkProblems(states, now), append(errs, unreadWalls(errs, unread)...), hosts}
	fill, known := func(t *table, states []fleet.State) { fillNetworks(t, states, now) }, func(s fleet.State) bool { return s.Networking.Current() }
	list := ""
	if i := slices.IndexFunc(lists, func(l *networkList) bool { return l.show }); i >= 0 {
		fill, list = lists[i].fill, lists[i].flag
	}
	switch list {
	case "firewall":
		known, errs = func(s fleet.State) bool { return s.Firewall.HasValue() || s.Networking.Current() }, unread
	case "":
		errs = slices.Concat(errs, unread)
	}
	err := o.write(w, out, func(t *table) {
		fill(t, slices.DeleteFunc(slices.Clone(states), func(s fleet.State) bool { return !known(s) }))
		for _, f := range out.Problems {
			t.note(string(f.Severity) + " " + f.Host + ": " + f.What)
			cureNote(t, f.Cure)
		}
		gaps(t, states)
		holes(t, hosts, now)
	})
	if err == nil && slices.ContainsFunc(out.Problems, func(f fleet.Finding) bool { return f.Acked == nil }) {
		return exitCode(exitProblem)
	}
	if err == nil && list != "firewall" && slices.ContainsFunc(states, hasGap) {
		return exitCode(exitUnknown)
	}
	return cmp.Or(err, unknown(errs))
}

// hasGap tells whether a part of the host's networks is not known while the rest is.
func hasGap(s fleet.State) bool {
	n := s.Networking.Value
	return s.Networking.Current() && (len(n.Unread) > 0 || slices.ContainsFunc(n.DHCP, func(d fleet.DHCPServer) bool { return d.Unread != "" }))
}

func networkingOf(s fleet.State) fleet.Fact[[]fleet.Networking] {
	return fleet.Derive(s.Networking, func(n fleet.Networking) []fleet.Networking { return []fleet.Networking{n} })
}

func firewallOf(s fleet.State) fleet.Fact[[]fleet.Firewall] {
	return fleet.Derive(s.Firewall, func(f fleet.Firewall) []fleet.Firewall { return []fleet.Firewall{f} })
}

// unreadWalls are the firewalls that are not known of hosts of which the rest is.
func unreadWalls(errs, unread []hostError) []hostError {
	return slices.DeleteFunc(unread, func(e hostError) bool {
		return slices.ContainsFunc(errs, func(o hostError) bool { return o.Host == e.Host })
	})
}

// networkProblems are the problems of hosts that are of their networks.
func networkProblems(states []fleet.State, now time.Time) []fleet.Finding {
	list := []fleet.Finding{}
	for _, s := range states {
		for _, p := range s.Problems(now) {
			if p.Of.Kind == fleet.KindNetwork {
				list = append(list, fleet.Finding{Host: s.Host.Name, HostID: s.Host.ID, Problem: p})
			}
		}
	}
	return list
}

// gaps tells of what is not known of hosts of which the rest is.
func gaps(t *table, states []fleet.State) {
	for _, s := range states {
		if !s.Networking.Current() {
			continue
		}
		n := s.Networking.Value
		for _, g := range n.Unread {
			t.note("? " + s.Host.Name + ": " + g.Part + ": " + g.Why)
		}
		for _, d := range n.DHCP {
			if d.Unread != "" {
				t.note("? " + s.Host.Name + ": leases of " + d.Unit + ": " + d.Unread)
			}
		}
		for _, cut := range n.Cut {
			t.note("… " + s.Host.Name + ": " + cut)
		}
	}
}

func fillNetworks(t *table, states []fleet.State, now time.Time) {
	t.row("HOST", "WAN", "LINK", "GATEWAY", "IN", "OUT", "PEERS", "LEASES", "DROPS", "FIREWALL", "AGE")
	for _, s := range states {
		n := s.Networking.Value
		wan := n.WAN()
		rate := s.Rate(wan.Link)
		in, out := rateWord(rate.Rx), rateWord(rate.Tx)
		switch {
		case wan.State == fleet.UplinkNone:
			in, out = "-", "-"
		case wan.Link == "":
			in, out = "?", "?"
		}
		wall := "?"
		if s.Firewall.HasValue() {
			wall = s.Firewall.Value.Kind
		}
		t.row(s.Host.Name, string(wan.State), cmp.Or(wan.Link, "-"), cmp.Or(wan.Gateway, "-"), in, out,
			n.PeersWord(s.Networking.At), n.LeasesWord(), dropsWord(n), wall, age(s.Networking.At, now))
	}
	for _, s := range states {
		if wan := s.Networking.Value.WAN(); wan.State != fleet.UplinkUp {
			t.note(s.Host.Name + ": WAN " + string(wan.State) + ": " + wan.Why)
		}
	}
}

// dropsWord is how much the queues of the host's uplink have dropped.
func dropsWord(n fleet.Networking) string {
	if _, unread := n.Gap(fleet.PartQueues); unread {
		return "?"
	}
	wan := n.WAN()
	if wan.Link == "" && wan.State == fleet.UplinkUnknown {
		return "?"
	}
	drops, ok := n.Drops(wan.Link)
	if !ok {
		return "-"
	}
	return strconv.FormatUint(drops, 10)
}

// rateWord is bytes a second, in a word.
func rateWord(v float64) string {
	if v < 0 {
		return "?"
	}
	return size(uint64(v)) + "/s"
}

func fillLinks(t *table, states []fleet.State) {
	t.row("HOST", "LINK", "KIND", "STATE", "IN", "OUT", "ERRORS", "DROPS", "MTU", "MAC", "ADDRESSES")
	for _, s := range states {
		n := s.Networking.Value
		for _, l := range n.Links {
			rate := s.Rate(l.Name)
			t.row(s.Host.Name, l.Name, l.Kind, string(l.State), rateWord(rate.Rx), rateWord(rate.Tx), fmt.Sprint(l.RxErrors+l.TxErrors), fmt.Sprint(l.RxDropped+l.TxDropped),
				fmt.Sprint(l.MTU), cmp.Or(l.MAC, "-"), cmp.Or(prefixes(l.Addresses), "-"))
		}
	}
	for _, s := range states {
		if n := s.Networking.Value.Hidden; n > 0 {
			t.note(fmt.Sprintf("%s: and %d of containers and virtual machines", s.Host.Name, n))
		}
	}
}

func prefixes(list []netip.Prefix) string {
	var all []string
	for _, p := range list {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}

func fillPeers(t *table, states []fleet.State) {
	t.row("HOST", "LINK", "PEER", "ENDPOINT", "HANDSHAKE", "IN", "OUT", "KEEPALIVE", "ALLOWED")
	for _, s := range states {
		for _, tunnel := range s.Networking.Value.Tunnels {
			for _, p := range tunnel.Peers {
				alive := "off"
				if p.KeepAlive > 0 {
					alive = fmt.Sprint(p.KeepAlive, "s")
				}
				t.row(s.Host.Name, tunnel.Link, p.Key, cmp.Or(p.Endpoint, "-"), handshakeWord(p), size(p.Rx), size(p.Tx), alive, cmp.Or(prefixes(p.Allowed), "-"))
			}
		}
	}
}

// handshakeWord is how long the last handshake is over.
func handshakeWord(p fleet.WGPeer) string {
	switch {
	case p.Never:
		return "never"
	case p.Handshake.IsZero():
		return "?"
	}
	return age(p.Handshake, time.Now())
}

func fillLeases(t *table, states []fleet.State) {
	t.row("HOST", "ADDRESS", "MAC", "NAME", "STATE", "ENDS", "BY")
	for _, s := range states {
		for _, d := range s.Networking.Value.DHCP {
			for _, l := range d.Leases {
				ends := "never"
				if !l.Expires.IsZero() {
					ends = l.Expires.Local().Format("2006-01-02 15:04")
				}
				t.row(s.Host.Name, l.Address, cmp.Or(l.MAC, "-"), cmp.Or(l.Name, "-"), string(l.State), ends, d.Program)
			}
		}
	}
	for _, s := range states {
		for _, d := range s.Networking.Value.DHCP {
			t.note(s.Host.Name + ": " + d.Unit + ": " + s.Networking.Value.BoundWord(d))
		}
	}
}

func fillQueues(t *table, states []fleet.State) {
	t.row("HOST", "LINK", "QUEUE", "RATE", "PACKETS", "DROPS", "SHARE", "OVERLIMITS", "BACKLOG")
	for _, s := range states {
		for _, q := range s.Networking.Value.Queues {
			kind, rate := q.Kind, "-"
			if q.Count > 1 {
				kind += fmt.Sprintf(" ×%d", q.Count)
			}
			if q.Rate > 0 {
				rate = fleet.Bits(q.Rate)
			}
			t.row(s.Host.Name, q.Link, kind, rate, fmt.Sprint(q.Packets), fmt.Sprint(q.Drops), fmt.Sprintf("%.2f %%", 100*q.Share()), fmt.Sprint(q.Overlimits), size(q.Backlog))
		}
	}
}

func fillChains(t *table, states []fleet.State) {
	t.row("HOST", "HOOK", "CHAIN", "TYPE", "PRIORITY", "POLICY", "RULES")
	for _, s := range states {
		for _, c := range s.Firewall.Value.Chains {
			t.row(s.Host.Name, c.Hook, c.Family+" "+c.Table+" "+c.Name, c.Type, fmt.Sprint(c.Priority), c.Policy, fmt.Sprint(c.Rules))
		}
	}
	for _, s := range states {
		for _, f := range s.Firewall.Value.Sent {
			t.note(fmt.Sprintf("%s: %s is sent on to %s, port %d", s.Host.Name, fleet.ProtoPort(f.Proto, f.Port), f.To, f.ToPort))
		}
		if !s.Firewall.Current() {
			t.note("? " + s.Host.Name + ": firewall: " + cmp.Or(s.Firewall.Err, "not asked yet"))
		}
	}
}
