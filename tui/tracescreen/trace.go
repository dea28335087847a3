// Package tracescreen shows the way from a public name to what answers: the names
// that the fleet serves, and of one of them each step, to the first that is broken.
package tracescreen

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Screen is the list of names, or the way of one.
type Screen struct {
	all    context.Context
	life   context.Context // while the screen is shown
	stop   context.CancelFunc
	list   widget.List
	byID   map[string]name
	filter string
	open   string // the URL whose way is shown
	round  int
	asking bool
	trace  fleet.Trace
	err    error
	scroll widget.Scroll
}

// name is one that the fleet serves, and by whom.
type name struct {
	url   string
	hosts []string
	word  string // how it stands at the worst of them
	site  fleet.Site
}

// toldMsg brings a trace.
type toldMsg struct {
	of    *Screen
	round int
	trace fleet.Trace
	err   error
}

// New makes the screen; what is asked is asked for until ctx ends.
func New(ctx context.Context, p screen.Place) *Screen {
	return &Screen{all: ctx, open: p.Item, byID: map[string]name{}}
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Trace, Item: s.open} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string {
	if s.open != "" {
		return []string{"Trace", s.open}
	}
	return []string{"Trace"}
}

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string {
	if s.open != "" {
		return []string{"trace", "scroll", "host"}
	}
	return []string{"trace", "table", "list"}
}

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	if s.open != "" {
		return []string{"back", "menu", "refresh", "copy", "help"}
	}
	return []string{"back", "enter", "find", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect {
	s.life, s.stop = context.WithCancel(s.all)
	s.Fresh(c)
	if s.open != "" && s.trace.URL == "" {
		return s.ask(c)
	}
	return nil
}

// Close implements screen.Screen: nobody waits for what is asked any more.
func (s *Screen) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.round++
	s.asking = false
}

// Again implements screen.Asker.
func (s *Screen) Again(c *screen.Context) screen.Effect {
	if s.open == "" {
		return nil
	}
	return s.ask(c)
}

// ask has the way of the open URL gone.
func (s *Screen) ask(c *screen.Context) screen.Effect {
	s.round++
	s.asking = true
	round, url, console, life := s.round, s.open, c.Console, s.life
	return screen.Run{Cmd: func() tea.Msg {
		t, err := console.Trace(life, url)
		return toldMsg{s, round, t, err}
	}}
}

// Receive implements screen.Screen.
func (s *Screen) Receive(_ *screen.Context, msg tea.Msg) screen.Effect {
	if m, ok := msg.(toldMsg); ok && m.of == s && m.round == s.round {
		s.asking, s.trace, s.err = false, m.trace, m.err
	}
	return nil
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.byID = map[string]name{}
	for _, st := range c.Snap.Hosts {
		for _, p := range st.Sites.Value {
			for _, site := range p.Sites {
				s.add(c, st, site)
			}
		}
	}
	s.fill()
	return nil
}

// add takes in a site of a host. A wildcard is no name that can be traced.
func (s *Screen) add(c *screen.Context, st fleet.State, site fleet.Site) {
	if site.Name == "" || strings.Contains(site.Name, "*") {
		return
	}
	scheme, port := "http", ""
	if site.TLS {
		scheme = "https"
	}
	if site.Port != 0 && site.Port != 443 && site.Port != 80 {
		port = fmt.Sprintf(":%d", site.Port)
	}
	url := scheme + "://" + site.Name + port
	n, known := s.byID[url]
	word, _ := st.SiteWord(site, c.Now)
	if !known {
		n = name{url: url, site: site, word: word}
	}
	if rank(word) < rank(n.word) {
		n.word, n.site = word, site
	}
	n.hosts = append(n.hosts, st.Host.Name)
	s.byID[url] = n
}

// shown is a URL as it stands in the list: what nearly all have alike is left out.
func shown(url string) string { return strings.TrimPrefix(url, "https://") }

func rank(word string) int { return slices.Index([]string{"down", "certificate", "?", "ok"}, word) }

// fill makes the rows: what is broken first.
func (s *Screen) fill() {
	var ids []string
	for id, n := range s.byID {
		if strings.Contains(id+" "+strings.Join(n.hosts, " ")+" "+n.word, strings.ToLower(s.filter)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(rank(s.byID[a].word)-rank(s.byID[b].word), strings.Compare(s.byID[a].site.Name, s.byID[b].site.Name), strings.Compare(a, b))
	})
	s.list.Set(ids)
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	if s.open != "" {
		s.way(c, p.W-2).Draw(p.Sub(1, 0, p.W-2, p.H), &s.scroll)
		return
	}
	columns := []widget.Column{
		{Title: "name", Width: 20, Max: 60}, {Title: "state", Width: 6, Max: 11}, {Title: "served by", Width: 10, Max: 30},
		{Title: "certificate", Width: 11, Max: 40, Drop: 2},
	}
	if c.Snap.Public.Usable(c.Now) {
		columns = append(columns, widget.Column{Title: "public", Width: 8, Max: 20, Drop: 1})
	}
	widget.Table{
		Columns: columns,
		Tall:    c.W < screen.Narrow,
		Cells: func(id string) []widget.Line {
			n := s.byID[id]
			cells := []widget.Line{widget.T(shown(id)), word(n.word), widget.T(strings.Join(n.hosts, ", ")), widget.L(themes.Dim, until(c, n.site))}
			return append(cells, public(c, n.site))[:len(columns)]
		},
		Lines: func(id string) [2]widget.Line {
			n := s.byID[id]
			l := widget.T("  ").Join(word(n.word)).And(themes.Dim, "  "+strings.Join(n.hosts, ", "))
			if len(columns) > 4 {
				l = l.And(themes.Dim, "  ").Join(public(c, n.site))
			}
			return [2]widget.Line{widget.T(shown(id)), l}
		},
		Target: func(id string) any { return screen.TapRow{ID: id} },
		Empty:  s.empty(),
	}.Draw(p, &s.list)
}

func (s *Screen) empty() []widget.Line {
	if s.filter != "" {
		return []widget.Line{widget.T("No name that is served matches " + s.filter + "."), widget.L(themes.Dim, "Enter traces it all the same.")}
	}
	return []widget.Line{widget.T("No name is known that a host serves."), widget.L(themes.Dim, "/ and a name, and Enter traces it all the same.")}
}

// public is how the public comes to a site, where Cloudflare and public DNS were asked.
func public(c *screen.Context, site fleet.Site) widget.Line {
	if fleet.PrivateName(site.Name) {
		return widget.L(themes.Dim, c.Glyphs.None)
	}
	n, ok := c.Snap.Public.Value.Name(site.Name)
	if !ok { // served since it was asked
		return widget.L(themes.Unknown, "?")
	}
	way := n.Way()
	if n.Tunnel != nil {
		way += " " + n.Tunnel.Name
	}
	switch state, _, _ := n.Judge(); state {
	case fleet.HealthBroken:
		return widget.L(themes.Warn, way+"!")
	case fleet.HealthUnknown:
		return widget.L(themes.Unknown, way)
	}
	return widget.L(themes.Dim, way)
}

func until(c *screen.Context, site fleet.Site) string {
	if site.Cert == nil {
		return c.Glyphs.None
	}
	return site.Cert.Word(c.Now)
}

// word is a state in the colour of what it says.
func word(s string) widget.Line {
	switch s {
	case "ok":
		return widget.L(themes.OK, s)
	case "broken", "down":
		return widget.L(themes.Fail, s)
	case "certificate":
		return widget.L(themes.Warn, s)
	}
	return widget.L(themes.Unknown, s)
}

// label is the width of the steps' names.
const label = 12

// way is the ladder of a trace.
func (s *Screen) way(c *screen.Context, w int) widget.Doc {
	d := widget.Doc{}.Field(w, label, "trace", widget.L(themes.Title, s.open))
	switch {
	case s.asking && s.trace.URL == "":
		return d.Add(w, 0, widget.L(themes.Dim, c.Glyphs.Asking+" going the way"))
	case s.err != nil:
		return d.Field(w, label, "", widget.L(themes.Fail, s.err.Error()))
	}
	role := map[fleet.Health]themes.Role{fleet.HealthOK: themes.OK, fleet.HealthBroken: themes.Fail}[s.trace.State]
	if s.trace.State == fleet.HealthUnknown {
		role = themes.Unknown
	}
	d = d.Field(w, label, "verdict", widget.L(role, s.trace.Verdict))
	if s.trace.Help != nil {
		d = d.Field(w, label, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, s.trace.Help.Command+"   (. offers what can be done)"))
	}
	for _, h := range s.trace.Hops {
		d = hop(c, d, h, w)
	}
	at := words.AgoLong(s.trace.At, c.Now)
	if s.asking {
		at += ", " + c.Glyphs.Asking + " again"
	}
	return d.Field(w, label, "asked", widget.L(themes.Dim, at))
}

func hop(c *screen.Context, d widget.Doc, h fleet.Hop, w int) widget.Doc {
	if h.Skipped {
		return d.Field(w, label, h.Kind, widget.L(themes.Dim, "not asked: broken before it"))
	}
	l := word(string(h.State))
	if h.Host != "" {
		l = l.And(themes.Dim, "  "+h.Host)
	}
	if h.What != "" {
		l = l.And(themes.Text, "  "+h.What)
	}
	d = d.Field(w, label, h.Kind, l)
	if h.Why != "" {
		d = d.Field(w, label, "", widget.T(h.Why))
	}
	for _, seen := range h.Seen {
		d = d.Field(w, label, "", widget.L(themes.Dim, seen))
	}
	if h.Changed != nil {
		d = d.Field(w, label, "", widget.L(themes.Dim, "last change "+words.AgoLong(h.Changed.At, c.Now)+": "+h.Changed.Text))
	}
	if h.Cure != "" {
		d = d.Field(w, label, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, h.Cure))
	}
	return d
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.open != "" && s.scroll.Do(id) || s.open == "" && s.list.Do(id) {
		return nil
	}
	if id != "enter" || s.open != "" {
		return nil
	}
	url, ok := s.list.Selected()
	if !ok {
		if url = s.filter; url == "" {
			return nil
		}
	}
	s.open, s.trace, s.err = url, fleet.Trace{}, nil
	s.scroll.Reset()
	return s.ask(c)
}

// Tap implements screen.Screen.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if t, ok := target.(screen.TapRow); ok && s.list.Tap(t.ID) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen.
func (s *Screen) Back(c *screen.Context) bool {
	switch {
	case s.open != "":
		s.open, s.asking = "", false
		s.round++
	case s.filter != "":
		s.Find(c, "", true)
	default:
		return false
	}
	return true
}

// Target implements screen.Screen: the host and the unit that the way is broken at.
func (s *Screen) Target(c *screen.Context) fleet.Target {
	if s.open == "" || s.trace.Broken < 0 || s.trace.Broken >= len(s.trace.Hops) {
		return fleet.Target{}
	}
	st, ok := c.Snap.Host(s.trace.Hops[s.trace.Broken].HostID)
	if !ok {
		return fleet.Target{}
	}
	t := fleet.Target{Hosts: []fleet.State{st}}
	if s.trace.Help != nil {
		t.Unit = s.trace.Help.Unit
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{Tab: "trace"} }

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.byID))
}

// Find implements screen.Finder.
func (s *Screen) Find(_ *screen.Context, text string, _ bool) {
	s.filter = text
	s.fill()
}

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	if s.open != "" {
		return "verdict", s.open + ": " + s.trace.Verdict
	}
	url, _ := s.list.Selected()
	return "address", url
}
