package hostscreen

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Exposure is the screen of who listens on all hosts and who reaches it: what is
// exposed and not meant to be is first.
type Exposure struct{ *tableTab }

// NewExposure makes the screen.
func NewExposure() *Exposure {
	s := &Exposure{listens(true)}
	one := s.age
	s.age = func(c *screen.Context, st fleet.State) widget.Line {
		if st.Host.ID != "" { // of the one that is open
			return one(c, st)
		}
		return s.holes(c)
	}
	s.missing = func(c *screen.Context, _ fleet.State) []widget.Line {
		lines := []widget.Line{widget.T("Nobody is known to listen on any host.")}
		if len(c.Snap.Hosts) == 0 {
			lines = []widget.Line{widget.T("There is no host yet.")}
		}
		if l := s.holes(c); len(l) > 0 {
			lines = append(lines, l)
		}
		return lines
	}
	return s
}

// holes names the hosts whose firewall is not known, or only from before.
func (s *Exposure) holes(c *screen.Context) widget.Line {
	var missing, old, asked []string
	for _, st := range s.states {
		f, name := st.Firewall, st.Host.Name
		switch {
		case f.Current() || f.None:
		case f.HasValue():
			old = append(old, name+" "+words.Ago(f.At, c.Now))
		case !f.Asked() && st.Reach.Err == "":
			asked = append(asked, name)
		default:
			missing = append(missing, name)
		}
	}
	return named(nil, c, []naming{{themes.Unknown, "? not known: ", missing}, {themes.Unknown, "from before: ", old}, {themes.Dim, c.Glyphs.Asking + " asking: ", asked}})
}

// Place implements screen.Screen.
func (s *Exposure) Place() screen.Place { return screen.Place{Screen: screen.Exposure} }

// Title implements screen.Screen.
func (s *Exposure) Title(*screen.Context) []string {
	t := []string{"Exposure"}
	if s.open != "" {
		t = append(t, s.name(s.open))
	}
	return t
}

// Scopes implements screen.Screen.
func (s *Exposure) Scopes() []string { return append(s.scopes(), "exposure") }

// Hints implements screen.Screen.
func (s *Exposure) Hints(*screen.Context) []string {
	if s.open != "" {
		return []string{"back", "logs", "menu", "copy", "shell", "help"}
	}
	return []string{"back", "enter", "logs", "find", "menu", "refresh", "shell", "help"}
}

// Open implements screen.Screen.
func (s *Exposure) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Exposure) Close() {}

// Fresh implements screen.Screen.
func (s *Exposure) Fresh(c *screen.Context) screen.Effect {
	s.take(c, c.Snap.Hosts)
	return nil
}

// Receive implements screen.Screen.
func (s *Exposure) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return s.receive(c, fleet.State{}, msg)
}

// Draw implements screen.Screen.
func (s *Exposure) Draw(c *screen.Context, p widget.Pane) { s.draw(c, fleet.State{}, p) }

// Do implements screen.Screen.
func (s *Exposure) Do(c *screen.Context, id string) screen.Effect {
	return s.do(c, fleet.State{}, id)
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected row
// opens it.
func (s *Exposure) Tap(c *screen.Context, target any) screen.Effect {
	return s.tap(c, fleet.State{}, target)
}

// Back implements screen.Screen: what is open goes first, then the filter.
func (s *Exposure) Back(c *screen.Context) bool { return s.back(c, fleet.State{}) }

// Target implements screen.Screen: the unit that listens.
func (s *Exposure) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	s.target(fleet.State{}, &t)
	return t
}

// Focus implements screen.Screen.
func (s *Exposure) Focus(*screen.Context) fleet.Focus { return fleet.Focus{Tab: "services"} }

// Finding implements screen.Finder.
func (s *Exposure) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.byID))
}

// Find implements screen.Finder.
func (s *Exposure) Find(c *screen.Context, text string, _ bool) { s.find(c, text) }

// Copy implements screen.Copier.
func (s *Exposure) Copy(*screen.Context) (what, text string) {
	r, ok := s.row()
	if !ok {
		return "", ""
	}
	return "port", r.name
}
