// Package dnsscreen shows the DNS servers of the fleet, how they block, and the names
// of hosts in the local network.
package dnsscreen

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// row is what a line of the list stands for: a server, or a name of its host.
type row struct {
	st     fleet.State
	server *fleet.DNSServer
	name   *fleet.MDNS
}

// New makes the screen.
func New() *listing.Screen {
	return listing.New(listing.Kind{
		Screen: screen.DNS, Title: "DNS", Group: "dns", What: "address",
		Hints:   []string{"back", "menu", "dns-pause", "dns-resume", "dns-ask", "find", "refresh", "help"},
		Columns: columns, Rows: fill, Above: above, Below: below, Empty: empty, Target: target,
	})
}

func columns(*screen.Context) []widget.Column {
	return []widget.Column{
		{Title: "host", Width: 8, Max: 20}, {Title: "by", Width: 6, Max: 16}, {Title: "state", Width: 22, Max: 40},
		{Title: "queries", Width: 7, Right: true, Drop: 1}, {Title: "blocked", Width: 7, Right: true, Drop: 1}, {Title: "cache", Width: 5, Right: true, Drop: 3},
		{Title: "errors", Width: 6, Right: true, Drop: 4}, {Title: "span", Width: 4, Right: true, Drop: 4}, {Title: "entries", Width: 7, Right: true, Drop: 2},
		{Title: "refreshed", Width: 9, Right: true, Drop: 2}, {Title: "age", Width: 4, Right: true, Drop: 5},
	}
}

// target is the server that a row stands for, on its host.
func target(c *screen.Context, of listing.Row) fleet.Target {
	t := listing.HostOf(c, of)
	if r, ok := of.Of.(row); ok && r.server != nil && len(t.Hosts) > 0 {
		t.DNS = r.server.Key()
	}
	return t
}

// fill makes the rows: servers first, then names.
func fill(c *screen.Context) []listing.Row {
	var servers, names []listing.Row
	for _, st := range c.Snap.Hosts {
		for _, v := range st.DNS.Value {
			servers = append(servers, serverRow(c, st, v))
		}
		for _, m := range st.MDNS.Value {
			names = append(names, nameRow(c, st, m))
		}
	}
	return append(servers, names...)
}

func serverRow(c *screen.Context, st fleet.State, v fleet.DNSServer) listing.Row {
	state, n := state(c, st, v), words.DNS(v, c.Now)
	cell := func(text string) widget.Line {
		if strings.HasPrefix(text, "?") {
			return widget.L(themes.Unknown, text)
		}
		return widget.T(text)
	}
	failed := n.Refreshed
	second := widget.L(themes.Dim, "  ").Join(cell(n.Queries)).And(themes.Dim, " asked ").Join(cell(n.Blocked)).And(themes.Dim, " blocked  lists ").Join(cell(failed))
	return listing.Row{
		ID: string(st.Host.ID) + " " + v.Key(), Of: row{st: st, server: &v}, Host: st.Host.ID, Tab: "services", Copy: v.Address,
		Find: st.Host.Name + "\n" + v.Name() + "\n" + v.Kind + "\n" + state.String(),
		Cells: []widget.Line{
			widget.L(themes.Title, st.Host.Name), widget.T(v.Name()), state, cell(n.Queries), cell(n.Blocked), cell(n.Cache), cell(n.Errors), widget.L(themes.Dim, n.Span),
			cell(n.Entries), cell(failed), widget.L(themes.Dim, words.Ago(v.At, c.Now)),
		},
		Lines: [2]widget.Line{widget.L(themes.Title, words.Left(st.Host.Name, 10)).And(themes.Text, " ").Join(state), second},
	}
}

// state is how a server blocks: never as if it were so now where it was not read now.
func state(c *screen.Context, st fleet.State, v fleet.DNSServer) widget.Line {
	word, role := v.Word(c.Now), themes.OK
	switch {
	case v.None:
		return widget.L(themes.Dim, "- "+v.Err)
	case v.Err != "":
		return widget.L(themes.Unknown, "? ").And(themes.Text, v.Err)
	case !st.DNS.Current():
		return widget.L(themes.Unknown, "? ").And(themes.Dim, word)
	case v.Blocking == nil:
		return widget.L(themes.Unknown, "? unknown")
	case !v.Blocking.Enabled:
		role = themes.Warn
	}
	line := widget.L(role, word)
	if l := v.Lists; l != nil && v.NoLists == "" && (l.Failing() || l.Stale(c.Now.Sub(v.At))) {
		line = line.And(themes.Warn, " lists!")
	}
	return line
}

func nameRow(c *screen.Context, st fleet.State, m fleet.MDNS) listing.Row {
	name := nameState(st, m)
	return listing.Row{
		ID: string(st.Host.ID) + " mdns " + m.Responder, Of: row{st: st, name: &m}, Host: st.Host.ID, Tab: "overview", Copy: m.Name,
		Find: st.Host.Name + "\nmdns\n" + m.Responder + "\n" + m.Name + "\n" + m.Word(),
		Cells: []widget.Line{
			widget.L(themes.Title, st.Host.Name), widget.L(themes.Dim, m.Responder), name, nil, nil, nil, nil, nil, nil, nil, widget.L(themes.Dim, words.Ago(st.MDNS.At, c.Now)),
		},
		Lines: [2]widget.Line{widget.L(themes.Title, words.Left(st.Host.Name, 10)).And(themes.Text, " ").And(themes.Text, cmp.Or(m.Name, "?")), widget.L(themes.Dim, "  mDNS by "+m.Responder+", "+m.Word())},
	}
}

// nameState is a name, and a word where it is not simply published.
func nameState(st fleet.State, m fleet.MDNS) widget.Line {
	line := widget.T(cmp.Or(m.Name, "?"))
	if !st.MDNS.Current() {
		line = widget.L(themes.Unknown, "? ").And(themes.Dim, m.Name)
	}
	switch {
	case m.Conflict:
		return line.And(themes.Warn, " conflict")
	case m.Publishes == nil:
		return line.And(themes.Unknown, " ?")
	case !*m.Publishes:
		return line.And(themes.Dim, " not published")
	case m.State != "" && m.State != "running":
		return line.And(themes.Dim, " "+m.State)
	}
	return line
}

// above names the hosts of which it is not known whether they have a DNS server.
func above(c *screen.Context) widget.Line {
	var unread []string
	for _, st := range c.Snap.Hosts {
		if f := st.DNS; f.Failed() && f.Err != fleet.Remembered && !st.Sleeps() {
			unread = append(unread, st.Host.Name)
		}
	}
	if len(unread) == 0 {
		return nil
	}
	return widget.L(themes.Unknown, "? ").And(themes.Text, "not known of "+strings.Join(unread, ", "))
}

func empty(c *screen.Context) []widget.Line {
	if len(c.Snap.Hosts) == 0 {
		return []widget.Line{widget.T("There is no host yet.")}
	}
	for _, st := range c.Snap.Hosts {
		if !st.DNS.Asked() || st.DNS.Failed() {
			return []widget.Line{widget.T("No DNS server is known yet."), widget.L(themes.Dim, "Blocky is looked for on every host, as a unit and as a container.")}
		}
	}
	return []widget.Line{widget.T("No host has a DNS server that can be asked (Blocky), nor a name in mDNS.")}
}

const label = 10

// below is all that is known of a row.
func below(c *screen.Context, of listing.Row, w int) widget.Doc {
	r, _ := of.Of.(row)
	switch {
	case r.server != nil:
		return server(c, r.st, *r.server, w)
	case r.name != nil:
		return name(c, r.st, *r.name, w)
	}
	return nil
}

func server(c *screen.Context, st fleet.State, v fleet.DNSServer, w int) widget.Doc {
	var d widget.Doc
	field := func(name string, l widget.Line) {
		if len(l) > 0 && strings.TrimSpace(l.String()) != "" {
			d = d.Field(w, label, name, l)
		}
	}
	d = unread(d, w, c, st.DNS.Err, st.DNS.Cure, st.DNS.At)
	field("blocking", state(c, st, v))
	if v.Cure != "" {
		field("", widget.L(themes.Accent, v.Cure))
	}
	field("counted", counted(v, c.Now))
	field("lists", lists(v, c.Now))
	if s := v.Stats; s != nil {
		field("blocked", tops(s.TopBlocked))
		field("asked", tops(s.TopDomains))
		field("clients", tops(s.TopClients))
	}
	field("is", widget.T(strings.Join(nonempty(v.Title()+" "+v.Version, v.Container, v.Unit), "  ")))
	field("read", widget.L(themes.Dim, strings.Join(nonempty(v.Address, words.AgoLong(v.At, c.Now)), "  ")))
	return d
}

// unread says that what stands below was not read now, and why.
func unread(d widget.Doc, w int, c *screen.Context, why, cure string, at time.Time) widget.Doc {
	if why == "" {
		return d
	}
	d = d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, "told "+words.AgoLong(at, c.Now)+": "+why))
	if cure != "" {
		d = d.Add(w, 2, widget.L(themes.Accent, "  "+cure))
	}
	return d
}

// counted is what a server counted, or why that is not known.
func counted(v fleet.DNSServer, now time.Time) widget.Line {
	s := v.Stats
	if s == nil {
		return widget.L(themes.Unknown, "? ").And(themes.Text, cmp.Or(v.NoStats, v.Err))
	}
	n := words.DNS(v, now)
	l := widget.T(n.Queries+" queries").And(themes.Dim, ", ").And(themes.Text, n.Blocked+" blocked").And(themes.Dim, ", ").And(themes.Text, n.Cache+" from cache").And(themes.Dim, ", ").And(themes.Text, n.Errors+" errors")
	if s.AverageMs > 0 {
		l = l.And(themes.Dim, fmt.Sprintf(", %.0f ms", s.AverageMs))
	}
	if n.Span != "?" {
		l = l.And(themes.Dim, " in "+n.Span)
	}
	if v.NoStats != "" {
		l = l.And(themes.Dim, ", since it started ("+v.NoStats+")")
	}
	return l
}

// lists are the lists of a server, or why they are not known.
func lists(v fleet.DNSServer, now time.Time) widget.Line {
	l := v.Lists
	var line widget.Line
	switch {
	case l == nil:
		return widget.L(themes.Unknown, "? ").And(themes.Text, cmp.Or(v.NoLists, v.Err))
	case v.NoLists != "":
		line = widget.L(themes.Unknown, "? ").And(themes.Text, v.NoLists+"; before: ")
	case l.None():
		return widget.L(themes.Dim, "none")
	case len(l.Groups) == 0:
		line = widget.L(themes.Unknown, "? ").And(themes.Text, "no group is told")
	}
	for i, g := range l.Groups {
		if i > 0 {
			line = line.And(themes.Dim, ", ")
		}
		line = line.And(themes.Text, g.Name).And(themes.Dim, " "+words.Many(g.Deny))
	}
	n := words.DNS(v, now)
	if l.Unread != "" {
		return line.And(themes.Unknown, "; refreshed ? ").And(themes.Dim, l.Unread)
	}
	role := themes.Dim
	if l.Stale(now.Sub(v.At)) {
		role = themes.Warn
	}
	line = line.And(role, "; refreshed "+n.Refreshed+" ago")
	role = themes.Dim
	if l.Failing() {
		role = themes.Warn
	}
	return line.And(role, "; "+n.Failed+" failed attempts")
}

// tops are the first of a list that is counted.
func tops(list []fleet.NameCount) widget.Line {
	var l widget.Line
	for i, t := range list[:min(len(list), 5)] {
		if i > 0 {
			l = l.And(themes.Dim, ", ")
		}
		l = l.And(themes.Text, t.Name).And(themes.Dim, " "+words.Many(t.Count))
	}
	return l
}

func name(c *screen.Context, st fleet.State, m fleet.MDNS, w int) widget.Doc {
	d := unread(nil, w, c, st.MDNS.Err, st.MDNS.Cure, st.MDNS.At)
	d = d.Field(w, label, "name", nameState(st, m))
	d = d.Field(w, label, "is", widget.T(m.Word()))
	if len(m.Links) > 0 {
		d = d.Field(w, label, "on", widget.T(strings.Join(m.Links, ", ")))
	}
	if seen := st.Host.Seen(); len(seen) > 0 {
		d = d.Field(w, label, "seen here", widget.T(strings.Join(seen, ", ")))
	}
	return d.Field(w, label, "read", widget.L(themes.Dim, words.AgoLong(st.MDNS.At, c.Now)+", of "+m.Responder))
}

// nonempty leaves out what is empty.
func nonempty(list ...string) (out []string) {
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
