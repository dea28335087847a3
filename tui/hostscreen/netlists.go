package hostscreen

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// netList makes a list of a part of a host's network. what names what there is none
// of, part is what of it may be unread.
func netList(columns []widget.Column, what, part string, rows func(fleet.State) []row) *tableTab {
	return &tableTab{
		columns: columns,
		rows:    func(_ *screen.Context, st fleet.State) []row { return rows(st) },
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			if g, ok := st.Networking.Value.Gap(part); ok && st.Networking.HasValue() {
				lines := []widget.Line{widget.L(themes.Unknown, "? ").And(themes.Text, g.Part+": "+g.Why)}
				if g.Cure != "" {
					lines = append(lines, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, g.Cure))
				}
				return lines
			}
			return none(c, st, fleet.Derive(st.Networking, func(fleet.Networking) []string { return nil }), what)
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Networking) },
	}
}

// sourceField tells from where a part is, and how old.
func sourceField(c *screen.Context, d widget.Doc, st fleet.State, w int, by string) widget.Doc {
	return d.Field(w, label, "source", widget.L(themes.Dim, by+", "+words.AgoLong(st.Networking.At, c.Now)))
}

func prefixes(list []netip.Prefix) string {
	var all []string
	for _, p := range list {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}

// netLinks is the list of links.
func netLinks() *tableTab {
	at := func(st fleet.State, i int) fleet.NetLink { return st.Networking.Value.Links[i] }
	t := netList([]widget.Column{
		{Title: "link", Width: 8, Max: 16},
		{Title: "state", Width: 10},
		{Title: "in", Width: 7, Right: true},
		{Title: "out", Width: 7, Right: true},
		{Title: "addresses", Width: 18, Max: 60},
		{Title: "kind", Width: 9, Max: 12, Drop: 1},
		{Title: "drops", Width: 5, Right: true, Drop: 2},
		{Title: "errors", Width: 6, Right: true, Drop: 3},
	}, "no link", "", func(st fleet.State) []row {
		var rows []row
		for i, l := range st.Networking.Value.Links {
			rows = append(rows, row{id: l.Name, name: l.Name, more: l.Kind + " " + string(l.State) + " " + l.MAC + " " + prefixes(l.Addresses), at: i})
		}
		return rows
	})
	t.cells = func(_ *screen.Context, st fleet.State, i int) []widget.Line {
		l := at(st, i)
		r := st.Rate(l.Name)
		return []widget.Line{
			widget.T(l.Name), linkState(l), widget.T(Rate(r.Rx)), widget.T(Rate(r.Tx)), widget.L(themes.Dim, prefixes(l.Addresses)),
			widget.L(themes.Dim, l.Kind), widget.T(fmt.Sprint(l.RxDropped + l.TxDropped)), widget.T(fmt.Sprint(l.RxErrors + l.TxErrors)),
		}
	}
	t.lines = func(_ *screen.Context, st fleet.State, i int) [2]widget.Line {
		l := at(st, i)
		r := st.Rate(l.Name)
		return [2]widget.Line{
			widget.T(l.Name+"  ").Join(linkState(l)).And(themes.Dim, "  in ").And(themes.Text, Rate(r.Rx)).And(themes.Dim, " out ").And(themes.Text, Rate(r.Tx)),
			widget.L(themes.Dim, "  "+cmp.Or(prefixes(l.Addresses), l.Kind)),
		}
	}
	t.detail = func(c *screen.Context, st fleet.State, i, w int) widget.Doc { return linkDetail(c, st, at(st, i), w) }
	older := t.age
	t.age = func(c *screen.Context, st fleet.State) widget.Line {
		if l := older(c, st); len(l) > 0 {
			return l
		}
		if n := st.Networking.Value.Hidden; n > 0 && t.open == "" {
			return widget.L(themes.Dim, fmt.Sprintf("and %d of containers", n))
		}
		return nil
	}
	return t
}

func linkState(l fleet.NetLink) widget.Line {
	switch {
	case l.State == fleet.LinkUp:
		return widget.L(themes.OK, string(l.State))
	case l.State == fleet.LinkNoCarrier && l.Meant():
		return widget.L(themes.Warn, string(l.State))
	}
	return widget.L(themes.Dim, string(l.State))
}

func linkDetail(c *screen.Context, st fleet.State, l fleet.NetLink, w int) widget.Doc {
	r := st.Rate(l.Name)
	d := widget.Doc{}.Field(w, label, "link", widget.L(themes.Title, l.Name)).Field(w, label, "state", linkState(l)).Field(w, label, "kind", widget.T(l.Kind))
	if l.Master != "" {
		d = d.Field(w, label, "port of", widget.T(l.Master))
	}
	for _, a := range l.Addresses {
		d = d.Field(w, label, "address", widget.T(a.String()))
	}
	for _, u := range st.Networking.Value.Uplinks {
		if u.Link == l.Name {
			d = d.Field(w, label, "gateway", widget.T(cmp.Or(u.Gateway, "none")+" ("+u.Family+")  ").Join(Uplink(u)).And(themes.Dim, "  "+u.Why))
		}
	}
	d = d.Field(w, label, "in", widget.T(Rate(r.Rx)).And(themes.Dim, fmt.Sprintf("  %s in all, %d errors, %d dropped", words.Bytes(l.RxBytes), l.RxErrors, l.RxDropped)))
	d = d.Field(w, label, "out", widget.T(Rate(r.Tx)).And(themes.Dim, fmt.Sprintf("  %s in all, %d errors, %d dropped", words.Bytes(l.TxBytes), l.TxErrors, l.TxDropped)))
	d = d.Field(w, label, "mtu", widget.T(strconv.Itoa(l.MTU)))
	if l.MAC != "" {
		d = d.Field(w, label, "mac", widget.T(l.MAC))
	}
	return sourceField(c, d, st, w, st.Networking.Source)
}

// netPeers is the list of WireGuard's peers.
func netPeers() *tableTab {
	at := func(st fleet.State, i int) (fleet.WGTunnel, fleet.WGPeer) {
		for _, t := range st.Networking.Value.Tunnels {
			if i < len(t.Peers) {
				return t, t.Peers[i]
			}
			i -= len(t.Peers)
		}
		return fleet.WGTunnel{}, fleet.WGPeer{}
	}
	t := netList([]widget.Column{
		{Title: "peer", Width: 12, Max: 12},
		{Title: "link", Width: 6, Max: 12},
		{Title: "handshake", Width: 9, Right: true},
		{Title: "networks", Width: 14, Max: 50},
		{Title: "endpoint", Width: 20, Max: 46, Drop: 3},
		{Title: "in", Width: 5, Right: true, Drop: 1},
		{Title: "out", Width: 5, Right: true, Drop: 2},
	}, "no peer of WireGuard", fleet.PartWireGuard, func(st fleet.State) []row {
		var rows []row
		for i := range st.Networking.Value.Peers() {
			tunnel, p := at(st, i)
			rows = append(rows, row{id: tunnel.Link + " " + p.Key, name: p.Key, more: tunnel.Link + " " + p.Endpoint + " " + prefixes(p.Allowed), at: i})
		}
		return rows
	})
	t.cells = func(c *screen.Context, st fleet.State, i int) []widget.Line {
		tunnel, p := at(st, i)
		return []widget.Line{
			widget.T(p.Key), widget.T(tunnel.Link), handshake(c, st, p), widget.T(prefixes(p.Allowed)), widget.L(themes.Dim, cmp.Or(p.Endpoint, c.Glyphs.None)),
			widget.L(themes.Dim, words.Bytes(p.Rx)), widget.L(themes.Dim, words.Bytes(p.Tx)),
		}
	}
	t.lines = func(c *screen.Context, st fleet.State, i int) [2]widget.Line {
		tunnel, p := at(st, i)
		return [2]widget.Line{widget.T(p.Key + "  " + tunnel.Link + "  ").Join(handshake(c, st, p)), widget.L(themes.Dim, "  "+prefixes(p.Allowed))}
	}
	t.detail = func(c *screen.Context, st fleet.State, i, w int) widget.Doc {
		tunnel, p := at(st, i)
		alive := "off"
		if p.KeepAlive > 0 {
			alive = fmt.Sprintf("every %d s", p.KeepAlive)
		}
		d := widget.Doc{}.Field(w, label, "peer", widget.L(themes.Title, p.Key).And(themes.Dim, "  the beginning of its public key"))
		d = d.Field(w, label, "link", widget.T(fmt.Sprintf("%s, port %d", tunnel.Link, tunnel.Port))).Field(w, label, "handshake", handshake(c, st, p))
		d = d.Field(w, label, "endpoint", widget.T(cmp.Or(p.Endpoint, "not known: it has to come by itself"))).Field(w, label, "keepalive", widget.T(alive))
		d = d.Field(w, label, "networks", widget.T(prefixes(p.Allowed))).Field(w, label, "in", widget.T(words.Bytes(p.Rx))).Field(w, label, "out", widget.T(words.Bytes(p.Tx)))
		return sourceField(c, d, st, w, "wg")
	}
	return t
}

// handshake is how long the last one is over.
func handshake(c *screen.Context, st fleet.State, p fleet.WGPeer) widget.Line {
	role, text := themes.Text, words.Ago(p.Handshake, c.Now)
	switch {
	case p.Never:
		text = "never"
	case p.Handshake.IsZero():
		return widget.L(themes.Unknown, "?")
	}
	if p.Lost(st.Networking.At) {
		role = themes.Warn
	}
	return widget.L(role, text)
}

// netLeases is the list of what DHCP servers have leased.
func netLeases() *tableTab {
	at := func(st fleet.State, i int) (fleet.DHCPServer, fleet.Lease) {
		for _, d := range st.Networking.Value.DHCP {
			if i < len(d.Leases) {
				return d, d.Leases[i]
			}
			i -= len(d.Leases)
		}
		return fleet.DHCPServer{}, fleet.Lease{}
	}
	t := netList([]widget.Column{
		{Title: "address", Width: 15, Max: 40}, {Title: "name", Width: 14, Max: 30}, {Title: "ends", Width: 8, Right: true},
		{Title: "mac", Width: 17, Max: 40, Drop: 2}, {Title: "by", Width: 7, Drop: 1},
	}, "no lease", "", func(st fleet.State) []row {
		var rows []row
		for _, d := range st.Networking.Value.DHCP {
			for _, l := range d.Leases {
				rows = append(rows, row{id: d.Unit + " " + l.Address, name: l.Address, more: l.Name + " " + l.MAC + " " + string(l.State), at: len(rows)})
			}
		}
		return rows
	})
	t.cells = func(c *screen.Context, st fleet.State, i int) []widget.Line {
		d, l := at(st, i)
		return []widget.Line{widget.T(l.Address), widget.T(cmp.Or(l.Name, c.Glyphs.None)), leaseEnd(c, l), widget.L(themes.Dim, cmp.Or(l.MAC, c.Glyphs.None)), widget.L(themes.Dim, d.Program)}
	}
	t.lines = func(c *screen.Context, st fleet.State, i int) [2]widget.Line {
		_, l := at(st, i)
		return [2]widget.Line{widget.T(l.Address + "  " + l.Name + "  ").Join(leaseEnd(c, l)), widget.L(themes.Dim, "  "+l.MAC)}
	}
	t.detail = func(c *screen.Context, st fleet.State, i, w int) widget.Doc {
		d, l := at(st, i)
		doc := widget.Doc{}.Field(w, label, "address", widget.L(themes.Title, l.Address)).Field(w, label, "name", widget.T(cmp.Or(l.Name, "not told")))
		doc = doc.Field(w, label, "mac", widget.T(cmp.Or(l.MAC, "not told"))).Field(w, label, "state", widget.T(string(l.State))).Field(w, label, "ends", leaseEnd(c, l))
		return sourceField(c, doc.Field(w, label, "by", widget.T(d.Unit)), st, w, d.File)
	}
	t.log = func(st fleet.State, i int) (fleet.LogSource, string) { d, _ := at(st, i); return unitLog(d.Unit) }
	older, missing := t.age, t.missing
	t.age = func(c *screen.Context, st fleet.State) widget.Line {
		if l := older(c, st); len(l) > 0 || t.open != "" {
			return l
		}
		return dhcpLine(c, st)
	}
	t.missing = func(c *screen.Context, st fleet.State) []widget.Line {
		if l := dhcpLine(c, st); st.Networking.HasValue() && len(l) > 0 {
			return []widget.Line{l}
		}
		if st.Networking.Current() {
			return []widget.Line{widget.T("No Kea and no dnsmasq leases addresses on this host.")}
		}
		return missing(c, st)
	}
	return t
}

// dhcpLine is how the DHCP servers of a host are, in a line.
func dhcpLine(c *screen.Context, st fleet.State) widget.Line {
	var l widget.Line
	for _, d := range st.Networking.Value.DHCP {
		role := themes.Dim
		if d.Nowhere() {
			role = themes.Fail
		}
		if len(l) > 0 {
			l = l.And(themes.Dim, "  ")
		}
		l = l.And(themes.Text, strings.TrimSuffix(d.Unit, ".service")+" ").And(role, st.Networking.Value.BoundWord(d))
		switch {
		case d.Unread != "":
			l = l.And(themes.Unknown, "  ? ").And(themes.Text, d.Unread)
		case d.Declined > 0 && !d.Cut:
			l = l.And(themes.Warn, fmt.Sprintf("  %d declined", d.Declined))
		}
	}
	return l
}

func leaseEnd(c *screen.Context, l fleet.Lease) widget.Line {
	switch {
	case l.State == fleet.LeaseDeclined:
		return widget.L(themes.Warn, "declined")
	case l.Expires.IsZero():
		return widget.L(themes.Dim, "never")
	case !l.Expires.After(c.Now):
		return widget.L(themes.Dim, "over")
	}
	return widget.L(themes.Dim, "in "+words.Age(l.Expires.Sub(c.Now)))
}

// netQueues is the list of queues.
func netQueues() *tableTab {
	at := func(st fleet.State, i int) fleet.Queue { return st.Networking.Value.Queues[i] }
	t := netList([]widget.Column{
		{Title: "link", Width: 8, Max: 16}, {Title: "queue", Width: 10, Max: 16}, {Title: "rate", Width: 11, Right: true}, {Title: "drops", Width: 8, Right: true}, {Title: "share", Width: 7, Right: true},
		{Title: "waits", Width: 6, Right: true, Drop: 1}, {Title: "overlimits", Width: 10, Right: true, Drop: 2},
	}, "no queue", fleet.PartQueues, func(st fleet.State) []row {
		var rows []row
		for i, q := range st.Networking.Value.Queues {
			rows = append(rows, row{id: q.Link + " " + q.Kind, name: q.Link + " " + q.Kind, at: i})
		}
		return rows
	})
	t.cells = func(c *screen.Context, st fleet.State, i int) []widget.Line {
		q := at(st, i)
		return []widget.Line{
			widget.T(q.Link), widget.T(queueKind(q)), widget.L(themes.Dim, queueRate(c, q)), widget.T(fmt.Sprint(q.Drops)), widget.L(themes.Dim, fmt.Sprintf("%.2f %%", 100*q.Share())),
			widget.L(themes.Dim, words.Bytes(q.Backlog)), widget.L(themes.Dim, fmt.Sprint(q.Overlimits)),
		}
	}
	t.lines = func(c *screen.Context, st fleet.State, i int) [2]widget.Line {
		q := at(st, i)
		return [2]widget.Line{
			widget.T(q.Link+"  "+queueKind(q)).And(themes.Dim, "  "+queueRate(c, q)),
			widget.L(themes.Dim, fmt.Sprintf("  %d drops, %.2f %%, %s wait", q.Drops, 100*q.Share(), words.Bytes(q.Backlog))),
		}
	}
	t.detail = func(c *screen.Context, st fleet.State, i, w int) widget.Doc {
		q := at(st, i)
		d := widget.Doc{}.Field(w, label, "queue", widget.L(themes.Title, queueKind(q))).Field(w, label, "link", widget.T(q.Link)).Field(w, label, "rate", widget.T(queueRate(c, q)))
		d = d.Field(w, label, "drops", widget.T(fmt.Sprintf("%d of %d packets, %.2f %%", q.Drops, q.Packets+q.Drops, 100*q.Share())))
		d = d.Field(w, label, "overlimits", widget.T(fmt.Sprint(q.Overlimits)).And(themes.Dim, "  how often a packet had to wait for the rate"))
		d = d.Field(w, label, "waits", widget.T(words.Bytes(q.Backlog))).Field(w, label, "sent", widget.T(words.Bytes(q.Bytes)))
		return sourceField(c, d, st, w, "tc")
	}
	return t
}

func queueKind(q fleet.Queue) string {
	if q.Count > 1 {
		return fmt.Sprintf("%s ×%d", q.Kind, q.Count)
	}
	return q.Kind
}

func queueRate(c *screen.Context, q fleet.Queue) string {
	if q.Rate == 0 {
		return c.Glyphs.None
	}
	return fleet.Bits(q.Rate)
}

// netChains is the list of the firewall's chains, with the ports that are sent on
// behind them.
func netChains() *tableTab {
	forward := func(f fleet.PortForward) string { return netip.AddrPortFrom(addr(f.To), f.ToPort).String() }
	at := func(st fleet.State, i int) (chain fleet.FirewallChain, sent fleet.PortForward) {
		f := st.Firewall.Value
		if i < len(f.Chains) {
			return f.Chains[i], sent
		}
		return chain, f.Sent[i-len(f.Chains)]
	}
	t := netList([]widget.Column{
		{Title: "hook", Width: 11, Max: 12}, {Title: "chain", Width: 24, Max: 50}, {Title: "policy", Width: 7, Max: 30}, {Title: "rules", Width: 5, Right: true}, {Title: "type", Width: 6, Drop: 2}, {Title: "priority", Width: 8, Right: true, Drop: 1},
	}, "", "", func(st fleet.State) []row {
		var rows []row
		for _, ch := range st.Firewall.Value.Chains {
			name := ch.Family + " " + ch.Table + " " + ch.Name
			rows = append(rows, row{id: name, name: name, more: ch.Hook + " " + ch.Policy, at: len(rows)})
		}
		for _, f := range st.Firewall.Value.Sent {
			name := fleet.ProtoPort(f.Proto, f.Port)
			rows = append(rows, row{id: "sent " + name + " " + forward(f), name: name, more: forward(f), at: len(rows)})
		}
		return rows
	})
	t.cells = func(c *screen.Context, st fleet.State, i int) []widget.Line {
		ch, f := at(st, i)
		if ch.Hook == "" {
			return []widget.Line{widget.L(themes.Dim, "sent on"), widget.T(fleet.ProtoPort(f.Proto, f.Port) + " " + c.Glyphs.Arrow + " " + forward(f)), nil, nil, nil, nil}
		}
		return []widget.Line{widget.T(ch.Hook), widget.T(ch.Family + " " + ch.Table + " " + ch.Name), policy(ch), widget.T(fmt.Sprint(ch.Rules)), widget.L(themes.Dim, ch.Type), widget.L(themes.Dim, fmt.Sprint(ch.Priority))}
	}
	t.lines = func(c *screen.Context, st fleet.State, i int) [2]widget.Line {
		ch, f := at(st, i)
		if ch.Hook == "" {
			return [2]widget.Line{widget.T(fleet.ProtoPort(f.Proto, f.Port) + " is sent on"), widget.L(themes.Dim, "  "+c.Glyphs.Arrow+" "+forward(f))}
		}
		return [2]widget.Line{widget.T(ch.Hook+"  ").Join(policy(ch)).And(themes.Dim, fmt.Sprintf("  rules %d", ch.Rules)), widget.L(themes.Dim, "  "+ch.Family+" "+ch.Table+" "+ch.Name)}
	}
	t.detail = func(c *screen.Context, st fleet.State, i, w int) widget.Doc {
		ch, f := at(st, i)
		by := st.Firewall.Source + ", " + words.AgoLong(st.Firewall.At, c.Now)
		if ch.Hook == "" {
			d := widget.Doc{}.Field(w, label, "port", widget.L(themes.Title, fleet.ProtoPort(f.Proto, f.Port))).Field(w, label, "sent on to", widget.T(forward(f)))
			for _, z := range zones {
				door := f.From(z.zone)
				d = d.Field(w, label, z.name, passage(*door).And(themes.Dim, "  "+door.Why))
			}
			return d.Field(w, label, "source", widget.L(themes.Dim, by))
		}
		d := widget.Doc{}.Field(w, label, "chain", widget.L(themes.Title, ch.Name)).Field(w, label, "table", widget.T(ch.Family+" "+ch.Table)).Field(w, label, "hook", widget.T(fmt.Sprintf("%s, priority %d", ch.Hook, ch.Priority)))
		d = d.Field(w, label, "type", widget.T(ch.Type)).Field(w, label, "policy", policy(ch)).Field(w, label, "rules", widget.T(fmt.Sprint(ch.Rules)).And(themes.Dim, "  its own, without those of chains that it leads to"))
		return d.Field(w, label, "source", widget.L(themes.Dim, by))
	}
	t.missing = func(c *screen.Context, st fleet.State) []widget.Line {
		return none(c, st, fleet.Derive(st.Firewall, func(fleet.Firewall) []string { return nil }), "no chain of a firewall")
	}
	t.age = func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Firewall) }
	return t
}

func policy(ch fleet.FirewallChain) widget.Line { return widget.T(ch.Policy) }

func addr(s string) netip.Addr { a, _ := netip.ParseAddr(s); return a }
