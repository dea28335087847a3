// Package listing is a screen that is one list over the whole fleet, with what is
// known of the row the cursor is on below it. A screen of that kind says what its
// rows are.
package listing

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Row is a line of the list.
type Row struct {
	ID    string // the same as long as it is there
	Find  string // what the filter looks in
	Cells []widget.Line
	Lines [2]widget.Line // on a narrow screen
	Host  fleet.HostID   // of whom it is; "" nobody of the fleet
	Tab   string         // of that host, in which it opens
	Copy  string
	Depth int // 1 belongs to the row of depth 0 above it, and so on
	Of    any // what it is a row of, for its kind
}

// Kind is what a list shows.
type Kind struct {
	Screen  string // its place
	Title   string
	Group   string // of keys, besides those of every list
	What    string // a row is called
	Hints   []string
	Columns func(*screen.Context) []widget.Column
	Rows    func(*screen.Context) []Row
	Above   func(*screen.Context) widget.Line                // a line above the list; empty: none
	Below   func(c *screen.Context, r Row, w int) widget.Doc // all that is known of a row
	Empty   func(*screen.Context) []widget.Line
	Do      func(id string) bool // keys of its own; true: the rows are others now
	Full    bool                 // a row opens here, with all that is known of it; else on its host

	// Act does what a key does to a row; false: what it does in every list. nil: nothing.
	Act func(c *screen.Context, key string, r Row) (screen.Effect, bool)
	// Target is what actions act on where the cursor is on a row. nil: the row's host.
	Target func(c *screen.Context, r Row) fleet.Target
	// Focus is what is kept live where the cursor is on a row. nil: nothing.
	Focus func(r Row) fleet.Focus
}

// Screen is the list.
type Screen struct {
	kind   Kind
	list   widget.List
	detail widget.Scroll
	filter string
	open   string // the row that is shown in full
	rows   map[string]Row
}

// New makes the screen of a kind.
func New(k Kind) *Screen { return &Screen{kind: k, rows: map[string]Row{}} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: s.kind.Screen} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string {
	if r, ok := s.row(); ok && s.open != "" {
		return []string{s.kind.Title, r.Copy}
	}
	return []string{s.kind.Title}
}

// Scopes implements screen.Screen. What can be done to hosts is in the group of
// deploys, too.
func (s *Screen) Scopes() []string {
	groups := []string{"table", "list", "deploys"}
	if s.open != "" {
		groups = []string{"scroll", "deploys"}
	}
	if s.kind.Group != "" {
		groups = append([]string{s.kind.Group}, groups...)
	}
	return groups
}

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	if s.open != "" {
		return []string{"back", "copy", "help"}
	}
	return s.kind.Hints
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Fresh implements screen.Screen. A row that the filter lets through shows what it
// belongs to, and, as all are wanted then, what belongs to it.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.rows = map[string]Row{}
	var shown []string
	var above []branch // what the row belongs to, outermost first
	for _, r := range s.kind.Rows(c) {
		above = above[:min(r.Depth, len(above))]
		wanted := s.passes(r) || slices.ContainsFunc(above, func(b branch) bool { return b.wanted })
		above = append(above, branch{id: s.take(r), wanted: wanted})
		for i := range above {
			if wanted && !above[i].shown {
				above[i].shown, shown = true, append(shown, above[i].id)
			}
		}
	}
	s.list.Set(shown)
	if id, _ := s.list.Selected(); s.open != "" && id != s.open {
		s.Shut() // it is there no more
	}
	return nil
}

// branch is a row to which those below it may belong.
type branch struct {
	id            string
	wanted, shown bool
}

// take gives a row its ID: two of one ID are told apart.
func (s *Screen) take(r Row) string {
	id := r.ID
	for n := 2; ; n++ {
		if _, taken := s.rows[id]; !taken {
			break
		}
		id = fmt.Sprintf("%s#%d", r.ID, n)
	}
	s.rows[id] = r
	return id
}

// passes tells whether the filter lets a row through; "!" turns it round.
func (s *Screen) passes(r Row) bool {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	return want == "" || strings.Contains(strings.ToLower(r.Find), want) != not
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	if r, ok := s.row(); ok && s.open != "" {
		s.kind.Below(c, r, p.W-2).Draw(p.Sub(1, 0, p.W-2, p.H), &s.detail)
		return
	}
	if l := s.kind.Above(c); len(l) > 0 {
		p.Line(1, 0, p.W-2, l)
		p = p.Sub(0, 1, p.W, p.H-1)
	}
	r, ok := s.row()
	if !ok {
		s.table(c).Draw(p, &s.list)
		return
	}
	d, t := s.kind.Below(c, r, p.W-2), s.table(c)
	below := min(len(d)+1, max(p.H*2/5+1, p.H-t.Height(&s.list)))
	t.Draw(p.Sub(0, 0, p.W, p.H-below), &s.list)
	p.Rule(p.H - below)
	d.Draw(p.Sub(1, p.H-below+1, p.W-2, below-1), &s.detail)
}

func (s *Screen) table(c *screen.Context) widget.Table {
	empty := s.kind.Empty(c)
	if s.filter != "" && len(s.rows) > 0 {
		empty = []widget.Line{widget.T("Nothing matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	}
	return widget.Table{
		Columns: s.kind.Columns(c),
		Tall:    c.W < screen.Narrow,
		Cells:   func(id string) []widget.Line { return s.rows[id].Cells },
		Lines:   func(id string) [2]widget.Line { return s.rows[id].Lines },
		Target:  func(id string) any { return screen.TapRow{ID: id} },
		Empty:   empty,
	}
}

// row is the row the cursor is on.
func (s *Screen) row() (Row, bool) {
	id, ok := s.list.Selected()
	r, known := s.rows[id]
	return r, ok && known
}

// Do implements screen.Screen: a row opens on its host, or in full.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.open != "" {
		s.detail.Do(id)
		return nil
	}
	if s.list.Do(id) {
		s.detail.Reset()
		return nil
	}
	if s.kind.Do != nil && s.kind.Do(id) {
		return s.Fresh(c)
	}
	r, ok := s.row()
	if ok && s.kind.Act != nil {
		if does, mine := s.kind.Act(c, id, r); mine {
			return does
		}
	}
	switch {
	case id != "enter" || !ok:
	case s.kind.Full:
		s.open, _ = s.list.Selected()
		s.detail.Reset()
	case r.Host == "":
		return screen.Flash{Level: fleet.Info, Text: "that machine is no host of the fleet"}
	default:
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.Host, Tab: r.Tab}}
	}
	return nil
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected
// row opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if screen.OpensRow(target, &s.list, &s.detail) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen: what is open goes first, then the filter, then the marks.
func (s *Screen) Back(c *screen.Context) bool {
	if s.open != "" {
		s.Shut()
		return true
	}
	if s.filter != "" {
		s.Find(c, "", true)
		return true
	}
	return s.list.ClearMarks()
}

// Marked are the IDs of the rows that are marked.
func (s *Screen) Marked() []string { return s.list.Marks() }

// Shut closes the row that is open in full.
func (s *Screen) Shut() {
	s.open = ""
	s.detail.Reset()
}

// Total is how many rows there are, those that the filter leaves out, too.
func (s *Screen) Total() int { return len(s.rows) }

// Target implements screen.Screen: the host of the row, where its kind says nothing else.
func (s *Screen) Target(c *screen.Context) fleet.Target {
	r, ok := s.row()
	switch {
	case !ok:
		return fleet.Target{}
	case s.kind.Target != nil:
		return s.kind.Target(c, r)
	}
	return HostOf(c, r)
}

// HostOf is a target that is the host of a row, where it is of the fleet.
func HostOf(c *screen.Context, r Row) fleet.Target {
	st, ok := c.Snap.Host(r.Host)
	if !ok {
		return fleet.Target{}
	}
	return fleet.Target{Hosts: []fleet.State{st}}
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus {
	if r, ok := s.row(); ok && s.kind.Focus != nil {
		return s.kind.Focus(r)
	}
	return fleet.Focus{}
}

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.rows))
}

// Find implements screen.Finder.
func (s *Screen) Find(c *screen.Context, text string, _ bool) {
	s.filter = text
	s.Fresh(c)
}

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	r, ok := s.row()
	if !ok {
		return "", ""
	}
	return s.kind.What, r.Copy
}
