// Package networkscreen shows how all hosts are on their networks.
package networkscreen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/hostscreen"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// New makes the screen. What passes through links is measured while it is open.
func New() *listing.Screen {
	return listing.New(listing.Kind{
		Screen: screen.Network, Title: "Networks", What: "network", Group: "network",
		Hints:   []string{"back", "enter", "find", "menu", "copy", "shell", "refresh", "help"},
		Columns: columns, Rows: rows, Below: below,
		Above: func(*screen.Context) widget.Line { return nil },
		Empty: func(*screen.Context) []widget.Line { return []widget.Line{widget.T("There is no host yet.")} },
		Act:   act, Focus: func(listing.Row) fleet.Focus { return fleet.Focus{Tab: fleet.TabNetwork} },
	})
}

// act opens the network of a host.
func act(_ *screen.Context, key string, r listing.Row) (screen.Effect, bool) {
	return screen.Go{Place: screen.Place{Screen: screen.Network, Host: r.Host}}, key == "enter"
}

func columns(*screen.Context) []widget.Column {
	return []widget.Column{
		{Title: "host", Width: 8, Max: 20}, {Title: "WAN", Width: 4}, {Title: "link", Width: 6, Max: 16}, {Title: "in", Width: 7, Right: true}, {Title: "out", Width: 7, Right: true},
		{Title: "peers", Width: 6, Max: 10, Right: true}, {Title: "leases", Width: 6, Right: true}, {Title: "drops", Width: 6, Max: 12, Right: true}, {Title: "", Width: 10, Max: 60, Drop: 4},
	}
}

// rows are the hosts: those with a problem first, then those that lead others anywhere.
func rows(c *screen.Context) []listing.Row {
	var bad, leading, others []listing.Row
	for _, st := range c.Snap.Hosts {
		n := st.Networking.Value
		switch r := row(c, st); {
		case len(problems(c, st)) > 0:
			bad = append(bad, r)
		case len(n.Tunnels) > 0, len(n.DHCP) > 0:
			leading = append(leading, r)
		default:
			others = append(others, r)
		}
	}
	return append(append(bad, leading...), others...)
}

// problems are those of the host's networks that nobody has acknowledged.
func problems(c *screen.Context, st fleet.State) []fleet.Problem {
	var list []fleet.Problem
	for _, p := range st.Problems(c.Now) {
		if p.Of.Kind == fleet.KindNetwork && p.Acked == nil {
			list = append(list, p)
		}
	}
	return list
}

func row(c *screen.Context, st fleet.State) listing.Row {
	r := listing.Row{ID: string(st.Host.ID), Host: st.Host.ID, Find: st.Host.Name}
	name := widget.L(themes.Title, st.Host.Name)
	if !st.Networking.Current() {
		missing := sheet.Missing(c, st, st.Networking)
		if st.LostWith(st.Networking.Err) {
			missing = widget.L(themes.Unknown, "? ").And(themes.Text, "not reachable")
		}
		dim := widget.L(themes.Dim, c.Glyphs.Unknown)
		r.Cells = []widget.Line{name, dim, dim, dim, dim, dim, dim, dim, missing}
		r.Lines, r.Copy = [2]widget.Line{name, widget.T("  ").Join(missing)}, st.Host.Name+": not known"
		return r
	}
	n := st.Networking.Value
	wan := n.WAN()
	rate, drops := st.Rate(wan.Link), dropsWord(c, n)
	in, out := widget.T(hostscreen.Rate(rate.Rx)), widget.T(hostscreen.Rate(rate.Tx))
	if wan.State == fleet.UplinkNone {
		in, out = word(c, "-"), word(c, "-")
	} else if wan.Link == "" {
		in, out = word(c, "?"), word(c, "?")
	}
	peers, leases := word(c, n.PeersWord(st.Networking.At)), word(c, n.LeasesWord())
	why := widget.Line(nil)
	if list := problems(c, st); len(list) > 0 {
		_, role := words.Severity(list[0].Severity)
		why = widget.L(role, list[0].What)
	}
	r.Find = strings.Join([]string{st.Host.Name, wan.Link, string(wan.State), why.String()}, "\n")
	r.Copy = fmt.Sprintf("%s: WAN %s, in %s, out %s", st.Host.Name, wan.State, hostscreen.Rate(rate.Rx), hostscreen.Rate(rate.Tx))
	r.Cells = []widget.Line{
		name, hostscreen.Uplink(wan), widget.T(cmp.Or(wan.Link, c.Glyphs.None)), in, out, peers, leases, drops, why,
	}
	r.Lines = [2]widget.Line{
		name.And(themes.Dim, "  WAN ").Join(hostscreen.Uplink(wan)).And(themes.Dim, " in ").Join(in).And(themes.Dim, " out ").Join(out),
		widget.L(themes.Dim, "  peers ").Join(peers).And(themes.Dim, " leases ").Join(leases).And(themes.Dim, " drops ").Join(drops),
	}
	return r
}

// word is a word of a part that may not be known, or that is not there.
func word(c *screen.Context, w string) widget.Line {
	switch w {
	case "?":
		return widget.L(themes.Unknown, w)
	case "-":
		return widget.L(themes.Dim, c.Glyphs.None)
	}
	return widget.T(w)
}

// dropsWord is how much the queues of the host's uplink have dropped.
func dropsWord(c *screen.Context, n fleet.Networking) widget.Line {
	if _, unread := n.Gap(fleet.PartQueues); unread {
		return word(c, "?")
	}
	wan := n.WAN()
	if wan.Link == "" && wan.State == fleet.UplinkUnknown {
		return word(c, "?")
	}
	drops, ok := n.Drops(wan.Link)
	if !ok {
		return word(c, "-")
	}
	return widget.T(fmt.Sprint(drops))
}

// below is how a host is on its networks, in full but for the lists.
func below(c *screen.Context, r listing.Row, w int) widget.Doc {
	st, ok := c.Snap.Host(r.Host)

	switch {
	case !ok:
		return nil
	case !st.Networking.HasValue():
		return widget.Doc{}.Add(w, 2, sheet.Missing(c, st, st.Networking))
	}
	n := st.Networking.Value
	d := widget.Doc{}
	if !st.Networking.Current() {
		d = d.Add(w, 2, widget.L(themes.Unknown, "from "+words.AgoLong(st.Networking.At, c.Now)+" ").Join(sheet.Missing(c, st, st.Networking)))
	}
	for _, p := range problems(c, st) {
		text, role := words.Severity(p.Severity)
		d = d.Field(w, sheet.Label, text, widget.L(role, p.What))
		if p.Cure != "" {
			d = d.Field(w, sheet.Label, "cure", widget.T(p.Cure))
		}
	}
	for _, u := range n.Uplinks {
		d = d.Field(w, sheet.Label, u.Family, hostscreen.Uplink(u).And(themes.Text, "  "+u.Link+"  "+cmp.Or(u.Gateway, "no gateway")).And(themes.Dim, "  "+u.Why))
	}
	if len(n.Uplinks) == 0 {
		d = d.Field(w, sheet.Label, "WAN", hostscreen.Uplink(n.WAN()).And(themes.Dim, "  "+n.WAN().Why))
	}
	for _, s := range n.DHCP {
		d = d.Field(w, sheet.Label, "DHCP", widget.T(s.Unit+" "+n.BoundWord(s)).And(themes.Dim, fmt.Sprintf("  %s leases, %d over", s.ActiveWord(), s.Expired)))
	}
	if f := st.Firewall; f.HasValue() {
		d = d.Field(w, sheet.Label, "firewall", widget.T(fmt.Sprintf("%s, %s, %s sent on", f.Value.Kind, fleet.Count(f.Value.Rules, "rule"), fleet.Count(len(f.Value.Sent), "port"))))
	}
	for _, g := range n.Unread {
		d = d.Field(w, sheet.Label, g.Part, widget.L(themes.Unknown, "? ").And(themes.Text, g.Why))
	}
	for _, cut := range n.Cut {
		d = d.Field(w, sheet.Label, "kept", widget.L(themes.Dim, cut))
	}
	return d.Field(w, sheet.Label, "source", widget.L(themes.Dim, st.Networking.Source+", "+words.AgoLong(st.Networking.At, c.Now)))
}
