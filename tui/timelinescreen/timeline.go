// Package timelinescreen shows what was done to all hosts and what happened to
// them, on one clock, newest first: what changed before it broke.
package timelinescreen

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Screen is the timeline of the fleet.
type Screen struct {
	list   widget.List
	filter string
	events map[string]fleet.Event
	nameW  int // of the longest host name
}

// New makes the screen.
func New() *Screen { return &Screen{} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Timeline} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Timeline"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"timeline", "table", "list"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "enter", "find", "palette", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	events := fleet.Timeline(c.Snap.Hosts, c.Snap.Audit, time.Time{})
	s.events, s.nameW = make(map[string]fleet.Event, len(events)), 4
	var shown []string
	for i, id := range sheet.EventIDs(events) {
		e := events[i]
		s.events[id] = e
		s.nameW = max(s.nameW, min(20, widget.Width(e.Host)))
		if s.passes(e) {
			shown = append(shown, id)
		}
	}
	s.list.Set(shown)
	return nil
}

// passes tells whether the filter lets an event through; "!" turns it round.
func (s *Screen) passes(e fleet.Event) bool {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	return want == "" || strings.Contains(strings.ToLower(sheet.EventText(e)), want) != not
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	table := widget.Table{
		Columns: sheet.EventColumns(s.nameW),
		Tall:    c.W < screen.Narrow,
		Cells:   func(id string) []widget.Line { return sheet.EventCells(s.events[id], true) },
		Lines:   func(id string) [2]widget.Line { return sheet.EventLines(s.events[id], true) },
		Target:  func(id string) any { return screen.TapRow{ID: id} },
		Empty:   s.empty(),
	}
	table.Draw(p, &s.list)
}

func (s *Screen) empty() []widget.Line {
	if s.filter != "" && len(s.events) > 0 {
		return []widget.Line{widget.T("Nothing matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	}
	return []widget.Line{widget.T("Nothing is known to have happened."), widget.L(themes.Dim, "Hosts tell of deploys, starts, failures, containers and backups once they are asked.")}
}

// Selected is the event the cursor is on.
func (s *Screen) Selected() (string, fleet.Event, bool) {
	id, ok := s.list.Selected()
	e, known := s.events[id]
	return id, e, ok && known
}

// Do implements screen.Screen: an event opens on its host's own timeline.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.list.Do(id) || id != "enter" {
		return nil
	}
	item, e, ok := s.Selected()
	if !ok {
		return nil
	}
	if _, in := c.Snap.Host(e.HostID); !in {
		return screen.Flash{Level: fleet.Info, Text: e.Host + " is in the fleet no more"}
	}
	return screen.Go{Place: screen.Place{Screen: screen.Host, Host: e.HostID, Tab: "timeline", Item: item}}
}

// Tap implements screen.Screen: the first tap selects a row, one on the
// selected row opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	t, ok := target.(screen.TapRow)
	if !ok {
		return nil
	}
	if s.list.Tap(t.ID) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen.
func (s *Screen) Back(c *screen.Context) bool {
	had := s.filter != ""
	s.Find(c, "", true)
	return had
}

// Target implements screen.Screen: the host of the event.
func (s *Screen) Target(c *screen.Context) fleet.Target {
	if _, e, ok := s.Selected(); ok {
		if st, in := c.Snap.Host(e.HostID); in {
			return fleet.Target{Hosts: []fleet.State{st}}
		}
	}
	return fleet.Target{}
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.events))
}

// Find implements screen.Finder.
func (s *Screen) Find(c *screen.Context, text string, _ bool) {
	s.filter = text
	s.Fresh(c)
}
