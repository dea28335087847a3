package hostscreen

import (
	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// views is a screen that is several lists, of which one is shown.
type views struct {
	list []view
	at   int
}

// view is one of them.
type view struct {
	name string
	lister
}

// lister is a screen that is a list.
type lister interface {
	screen.Screen
	screen.Finder
	screen.Copier
	Total() int // how many rows there are
	Shut()      // closes the row that is open in full
}

func (s *views) now() lister { return s.list[s.at].lister }

// Place implements screen.Screen.
func (s *views) Place() screen.Place { return s.now().Place() }

// Title implements screen.Screen.
func (s *views) Title(c *screen.Context) []string { return s.now().Title(c) }

// Scopes implements screen.Screen.
func (s *views) Scopes() []string { return s.now().Scopes() }

// Hints implements screen.Screen.
func (s *views) Hints(c *screen.Context) []string { return s.now().Hints(c) }

// Open implements screen.Screen.
func (s *views) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *views) Close() {}

// Fresh implements screen.Screen.
func (s *views) Fresh(c *screen.Context) screen.Effect {
	var all screen.All
	for _, v := range s.list {
		all = append(all, v.Fresh(c))
	}
	return all
}

// Receive implements screen.Screen.
func (s *views) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	var all screen.All
	for _, v := range s.list {
		all = append(all, v.Receive(c, msg))
	}
	return all
}

// Draw implements screen.Screen: the names of the lists are above the one that is shown.
func (s *views) Draw(c *screen.Context, p widget.Pane) {
	var names []string
	for _, v := range s.list {
		names = append(names, counted(v.name, v.Total()))
	}
	drawNames(p.Sub(1, 0, p.W-1, 1), names, s.at)
	s.now().Draw(c, p.Sub(0, 1, p.W, p.H-1))
}

// Do implements screen.Screen.
func (s *views) Do(c *screen.Context, id string) screen.Effect {
	if id == "view" {
		s.turn((s.at + 1) % len(s.list))
		return nil
	}
	return s.now().Do(c, id)
}

func (s *views) turn(to int) {
	s.now().Shut()
	s.at = to
}

// Tap implements screen.Screen: one on the name of a list shows it.
func (s *views) Tap(c *screen.Context, target any) screen.Effect {
	if v, ok := target.(tapView); ok {
		s.turn(v.n)
		return nil
	}
	return s.now().Tap(c, target)
}

// Back implements screen.Screen: what is open in the list goes first, then another
// list than the first.
func (s *views) Back(c *screen.Context) bool {
	switch {
	case s.now().Back(c):
	case s.at == 0:
		return false
	default:
		s.at = 0
	}
	return true
}

// Target implements screen.Screen.
func (s *views) Target(c *screen.Context) fleet.Target { return s.now().Target(c) }

// Focus implements screen.Screen.
func (s *views) Focus(c *screen.Context) fleet.Focus { return s.now().Focus(c) }

// Finding implements screen.Finder.
func (s *views) Finding() (text, label string) { return s.now().Finding() }

// Find implements screen.Finder.
func (s *views) Find(c *screen.Context, text string, done bool) { s.now().Find(c, text, done) }

// Copy implements screen.Copier.
func (s *views) Copy(c *screen.Context) (what, text string) { return s.now().Copy(c) }
