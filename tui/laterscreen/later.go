// Package laterscreen stands where screens of a later version will be, and
// says so.
package laterscreen

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Planned are the screens of a later version and what they will show.
var Planned = []struct{ ID, Title, What string }{
}

// Screen says that it is not there yet.
type Screen struct{ id string }

// New makes the screen with an ID of Planned.
func New(id string) *Screen { return &Screen{id: id} }

func (s *Screen) title() (title, what string) {
	i := slices.IndexFunc(Planned, func(p struct{ ID, Title, What string }) bool { return p.ID == s.id })
	if i < 0 {
		return s.id, "more"
	}
	return Planned[i].Title, Planned[i].What
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Later, Tab: s.id} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { t, _ := s.title(); return []string{t} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"later"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string { return []string{"back", "palette", "help"} }

// Draw implements screen.Screen.
func (s *Screen) Draw(_ *screen.Context, p widget.Pane) {
	title, what := s.title()
	d := widget.Doc{}.Add(p.W-2, 0, widget.L(themes.Title, title+" is not in this version yet."))
	d = d.Add(p.W-2, 0, widget.L(themes.Dim, "It will show "+what+"."))
	d.Draw(p.Sub(1, 1, p.W-2, p.H-1), &widget.Scroll{})
}

// Do implements screen.Screen.
func (s *Screen) Do(*screen.Context, string) screen.Effect { return nil }

// Tap implements screen.Screen.
func (s *Screen) Tap(*screen.Context, any) screen.Effect { return nil }

// Fresh implements screen.Screen.
func (s *Screen) Fresh(*screen.Context) screen.Effect { return nil }

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Open implements screen.Screen.
func (s *Screen) Open(*screen.Context) screen.Effect { return nil }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Back implements screen.Screen.
func (s *Screen) Back(*screen.Context) bool { return false }

// Target implements screen.Screen.
func (s *Screen) Target(*screen.Context) fleet.Target { return fleet.Target{} }

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }
