// Package fleetscreen is the first screen: one row a host, what is wrong with
// the one the cursor is on, and what to do when there is no host at all.
package fleetscreen

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Screen is the fleet screen.
type Screen struct {
	list    widget.List
	filter  string
	summary widget.Scroll
	byID    map[string]fleet.State
	nameW   int                    // of the longest host name
	group   int                    // which of the groupings
	groups  int                    // how many there are, each with a line above it
	heads   map[string]widget.Line // what stands above the rows of each host's group; nil: they are not grouped
	waits   bool                   // a new system waits somewhere to be confirmed: its column is wider
}

// New makes the fleet screen.
func New() *Screen { return &Screen{} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Fleet} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Fleet"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"fleet", "list"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(c *screen.Context) []string {
	if len(c.Snap.Hosts) == 0 {
		return []string{"refresh", "messages", "palette", "help", "quit"}
	}
	return []string{"enter", "find", "palette", "menu", "shell", "logs", "refresh", "mark", "help", "quit"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.byID = make(map[string]fleet.State, len(c.Snap.Hosts))
	s.nameW, s.waits = 4, false
	for _, st := range c.Snap.Hosts {
		s.byID[string(st.Host.ID)] = st
		if _, waits := words.Waits(st, c.Now); waits {
			s.waits = true
		}
		s.nameW = max(s.nameW, min(24, widget.Width(st.Host.Name)))
	}
	s.apply(c)
	return nil
}

// apply sets the rows that the filter lets through.
func (s *Screen) apply(c *screen.Context) {
	var hosts []fleet.State
	for _, st := range c.Snap.Hosts {
		if s.passes(c, st) {
			hosts = append(hosts, st)
		}
	}
	ids := make([]string, 0, len(hosts))
	for _, st := range s.parted(hosts) {
		ids = append(ids, string(st.Host.ID))
	}
	s.list.Set(ids)
}

// passes tells whether a host matches the filter: its name fuzzily, or its
// state, tags, role, tier and problems in part. "!" turns it round.
func (s *Screen) passes(c *screen.Context, st fleet.State) bool {
	want, not := strings.CutPrefix(s.filter, "!")
	if want == "" {
		return true
	}
	j := c.Judge(st)
	rest := []string{st.Host.Name, j.Word, strings.Join(st.Host.Aliases, " "), strings.Join(st.Host.Tags, " "), roleOf(st), st.Host.Tier}
	for _, p := range j.Problems {
		rest = append(rest, p.What)
	}
	in := strings.Contains(strings.ToLower(strings.Join(rest, "\n")), strings.ToLower(want))
	if not {
		return !in
	}
	return in || len(fuzzy.Find(want, []string{st.Host.Name})) > 0
}

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.byID))
}

// Find implements screen.Finder. Whoever types a host's name means that host, though
// the filter finds others by what is told of them.
func (s *Screen) Find(c *screen.Context, text string, _ bool) {
	s.filter = text
	s.apply(c)
	for _, id := range s.list.All() {
		if text != "" && s.byID[id].Host.Name == text {
			s.list.Select(id)
		}
	}
}

// Selected is the host the cursor is on.
func (s *Screen) Selected() (fleet.State, bool) {
	id, ok := s.list.Selected()
	if !ok {
		return fleet.State{}, false
	}
	st, ok := s.byID[id]
	return st, ok
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	before := s.list.Cursor()
	if s.list.Do(id) {
		if s.list.Cursor() != before {
			s.summary.Reset()
		}
		return nil
	}
	st, ok := s.Selected()
	if !ok {
		return nil
	}
	if tab, ok := strings.CutPrefix(id, "tab-"); ok {
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: st.Host.ID, Tab: tab}}
	}
	switch id {
	case "enter":
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: st.Host.ID, Tab: "overview"}}
	case "logs":
		return logs(st)
	case "group":
		return s.regroup(c)
	}
	return nil
}

// logs opens the log of the host's failed unit if one failed, else the list of
// units to choose from.
func logs(st fleet.State) screen.Effect {
	if failed := st.Failed().Value; len(failed) == 1 {
		of := fleet.LogSource{Host: st.Host.ID, Unit: failed[0].Name, User: failed[0].User}
		return screen.Go{Place: screen.Place{Screen: screen.Logs, Host: st.Host.ID, Log: []fleet.LogSource{of}}}
	}
	return screen.All{
		screen.Go{Place: screen.Place{Screen: screen.Host, Host: st.Host.ID, Tab: "units"}},
		screen.Flash{Level: fleet.Info, Text: "choose a unit and press L for its log"},
	}
}

// Tap implements screen.Screen: the first tap selects a row, one on the
// selected row opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	row, ok := target.(screen.TapRow)
	if !ok {
		return nil
	}
	if s.list.Tap(row.ID) {
		return s.Do(c, "enter")
	}
	s.summary.Reset()
	return nil
}

// Back implements screen.Screen: the filter goes first, then the marks.
func (s *Screen) Back(c *screen.Context) bool {
	if s.filter != "" {
		s.Find(c, "", true)
		return true
	}
	return s.list.ClearMarks()
}

// Target implements screen.Screen: the marked hosts, or the selected one.
func (s *Screen) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	for _, id := range s.list.Marks() {
		t.Hosts = append(t.Hosts, s.byID[id])
	}
	if st, ok := s.Selected(); ok && len(t.Hosts) == 0 {
		t.Hosts = []fleet.State{st}
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	st, ok := s.Selected()
	if !ok {
		return "", ""
	}
	return "name", st.Host.Name
}
