// Package hostscreen is one host and its tabs. It draws what the store knows;
// only charts are asked for, while they are on the screen.
package hostscreen

import (
	"cmp"
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Tab is one of the tabs of a host.
type Tab struct{ ID, Title string }

// Tabs are all tabs, in the order of their keys 1–8.
var Tabs = []Tab{
	{"overview", "Overview"}, {"generations", "Generations"}, {"containers", "Containers"}, {"units", "Units"},
	{"backups", "Backups"}, {"metrics", "Metrics"}, {"services", "Services"}, {"timeline", "Timeline"},
}

// tab is what is below the names of the tabs.
type tab interface {
	fresh(c *screen.Context, st fleet.State) screen.Effect
	draw(c *screen.Context, st fleet.State, p widget.Pane)
	do(c *screen.Context, st fleet.State, id string) screen.Effect
	tap(c *screen.Context, st fleet.State, target any) screen.Effect
	back(c *screen.Context, st fleet.State) bool
	target(st fleet.State, t *fleet.Target)
	focus(f *fleet.Focus, st fleet.State)
	item() string // what is open in detail
	scopes() []string
}

// asker is a tab that asks for more than the store knows.
type asker interface {
	again(c *screen.Context, st fleet.State) screen.Effect
}

// Screen is a host.
type Screen struct {
	host  fleet.HostID
	state fleet.State
	gone  bool // it is in the fleet no more
	open  int
	tabs  []tab
}

// New makes the screen of a place; charts are asked for until ctx ends.
func New(ctx context.Context, p screen.Place) *Screen {
	s := &Screen{host: p.Host, tabs: []tab{
		&overview{}, generations(), newAround(ctx, false), units(ctx), backups(false), newMetrics(ctx),
		newServed(),
		timeline(),
	}}
	s.show(p)
	return s
}

func (s *Screen) show(p screen.Place) {
	for i, t := range Tabs {
		if t.ID == p.Tab && i != s.open {
			s.leave()
			s.open = i
		}
	}
	if t, ok := s.tab().(*around); ok && p.Item != "" {
		t.at = 0 // a place is one of a container
	}
	if t := s.table(); t != nil && p.Item != "" {
		t.open = p.Item
		t.list.Select(p.Item)
	}
}

// Move changes the tab when the place is of the same host.
func (s *Screen) Move(c *screen.Context, p screen.Place) (screen.Effect, bool) {
	if p.Screen != screen.Host || p.Host != s.host {
		return nil, false
	}
	s.show(p)
	return s.Fresh(c), true
}

func (s *Screen) tab() tab { return s.tabs[s.open] }

// table is the list that the open tab shows; nil: it shows none.
func (s *Screen) table() *tableTab {
	if t, ok := s.tab().(interface{ table() *tableTab }); ok {
		return t.table()
	}
	return nil
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place {
	return screen.Place{Screen: screen.Host, Host: s.host, Tab: Tabs[s.open].ID, Item: s.tab().item()}
}

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string {
	t := []string{s.state.Host.Name, Tabs[s.open].Title}
	if tt := s.table(); tt != nil && tt.open != "" {
		t = append(t, cmp.Or(tt.name(tt.open), tt.open))
	}
	return t
}

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return append(s.tab().scopes(), "host") }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	if t := s.table(); t != nil {
		if t.open != "" {
			if h, ok := s.tab().(interface{ openHints() []string }); ok {
				return h.openHints()
			}
			if t.group != "" {
				return []string{"back", "snapshots", "logs", "menu", "copy", "shell", "help"}
			}
			return t.withLogs("back", "logs", "menu", "copy", "shell", "help")
		}
		if h, ok := s.tab().(interface{ hints() []string }); ok {
			return h.hints()
		}
		if t.group != "" {
			return []string{"back", "enter", "snapshots", "logs", "find", "sort", "menu", "shell", "refresh", "help"}
		}
		if t.sorts != nil {
			return []string{"back", "enter", "logs", "find", "view", "sort", "mark", "menu", "shell", "refresh", "help"}
		}
		return t.withLogs("back", "enter", "logs", "find", "menu", "shell", "refresh", "help")
	}
	if h, ok := s.tab().(interface{ hints() []string }); ok {
		return h.hints()
	}
	return []string{"back", "next-tab", "menu", "logs", "shell", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen. What is asked is asked for nobody from then on.
func (s *Screen) Close() {
	for _, t := range s.tabs {
		if t, ok := t.(interface{ close() }); ok {
			t.close()
		}
	}
}

// Again implements screen.Asker.
func (s *Screen) Again(c *screen.Context) screen.Effect {
	if t, ok := s.tab().(asker); ok {
		return t.again(c, s.state)
	}
	return nil
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	st, ok := c.Snap.Host(s.host)
	s.gone = !ok
	if ok {
		s.state = st
	}
	return s.tab().fresh(c, s.state)
}

// Receive implements screen.Screen: a tab knows what it asked for.
func (s *Screen) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	var all screen.All
	for _, t := range s.tabs {
		if r, ok := t.(interface {
			receive(*screen.Context, fleet.State, tea.Msg) screen.Effect
		}); ok {
			if e := r.receive(c, s.state, msg); e != nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	names := make([]string, len(Tabs))
	for i, t := range Tabs {
		names[i] = t.Title
	}
	widget.Tabs(p.Sub(0, 0, p.W, 1), 0, names, s.open, func(i int) any { return screen.TapKey{ID: "tab-" + Tabs[i].ID} })
	top := 1
	if c.H >= 24 {
		top = 2
	}
	body := p.Sub(0, top, p.W, p.H-top)
	if s.gone {
		n := body.Text(1, 0, body.W-2, themes.Warn, "This host is in the fleet no more.")
		_ = n
		body = body.Sub(0, 1, body.W, body.H-1)
	}
	s.tab().draw(c, s.state, body)
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	switch id {
	case "next-tab":
		return s.turn(c, s.open+1)
	case "previous-tab":
		return s.turn(c, s.open-1)
	}
	for i, t := range Tabs {
		if id == "tab-"+t.ID {
			return s.turn(c, i)
		}
	}
	return s.tab().do(c, s.state, id)
}

// turn opens a tab; opening the open one closes its detail.
func (s *Screen) turn(c *screen.Context, i int) screen.Effect {
	i = (i + len(Tabs)) % len(Tabs)
	if i == s.open {
		if t := s.table(); t != nil {
			t.open = ""
		}
		return s.tab().fresh(c, s.state)
	}
	s.leave()
	s.open = i
	return s.Fresh(c)
}

// leave ends what the open tab asks for, and hides what nobody looks at.
func (s *Screen) leave() {
	if t, ok := s.tab().(interface{ close() }); ok {
		t.close()
	}
}

// Tap implements screen.Screen.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	return s.tab().tap(c, s.state, target)
}

// Back implements screen.Screen.
func (s *Screen) Back(c *screen.Context) bool { return s.tab().back(c, s.state) }

// Target implements screen.Screen.
func (s *Screen) Target(*screen.Context) fleet.Target {
	t := fleet.Target{Hosts: []fleet.State{s.state}}
	s.tab().target(s.state, &t)
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus {
	f := fleet.Focus{Host: s.host, Tab: Tabs[s.open].ID}
	s.tab().focus(&f, s.state)
	return f
}

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	if t := s.table(); t != nil {
		return t.filter, fmt.Sprintf("%d of %d", t.list.Len(), len(t.byID))
	}
	return "", ""
}

// Find implements screen.Finder.
func (s *Screen) Find(c *screen.Context, text string, _ bool) {
	if t := s.table(); t != nil {
		t.find(c, text)
	}
}

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	if t := s.table(); t != nil {
		if id, ok := t.current(); ok {
			return "name", t.name(id)
		}
	}
	return "name", s.state.Host.Name
}

// logOf opens a log of the host.
func logOf(st fleet.State, of fleet.LogSource) screen.Effect {
	of.Host = st.Host.ID
	return screen.Go{Place: screen.Place{Screen: screen.Logs, Host: st.Host.ID, Log: []fleet.LogSource{of}}}
}
