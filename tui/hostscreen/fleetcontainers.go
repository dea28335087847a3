package hostscreen

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Containers is the screen of the containers of all hosts: the list of a host's
// tab, with the host as a column. One in full is on its host's screen.
type Containers struct{ list *tableTab }

// NewContainers makes the screen.
func NewContainers() *Containers {
	s := &Containers{list: containers(true)}
	s.list.age = func(c *screen.Context, _ fleet.State) widget.Line { return holes(c, s.list.states) }
	s.list.missing = func(c *screen.Context, _ fleet.State) []widget.Line { return nowhere(c, s.list.states) }
	return s
}

// holes names the hosts whose containers are not known, or only from before.
func holes(c *screen.Context, states []fleet.State) widget.Line {
	var missing, old, asked []string
	for _, st := range states {
		f, name := st.Containers, st.Host.Name
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
	var l widget.Line
	for _, part := range []struct {
		role  themes.Role
		word  string
		names []string
	}{{themes.Unknown, "? not known: ", missing}, {themes.Unknown, "from before: ", old}, {themes.Dim, c.Glyphs.Asking + " asking: ", asked}} {
		if len(part.names) == 0 {
			continue
		}
		if len(l) > 0 {
			l = l.And(themes.Dim, "  ")
		}
		l = l.And(part.role, part.word).And(themes.Text, strings.Join(part.names, ", "))
	}
	return l
}

// nowhere says why there is no row at all.
func nowhere(c *screen.Context, states []fleet.State) []widget.Line {
	lines := []widget.Line{widget.T("No container is known on any host.")}
	if len(states) == 0 {
		lines = []widget.Line{widget.T("There is no host yet.")}
	}
	if l := holes(c, states); len(l) > 0 {
		lines = append(lines, l)
	}
	return lines
}

// Place implements screen.Screen.
func (s *Containers) Place() screen.Place { return screen.Place{Screen: screen.Containers} }

// Title implements screen.Screen.
func (s *Containers) Title(*screen.Context) []string { return []string{"Containers"} }

// Scopes implements screen.Screen.
func (s *Containers) Scopes() []string { return s.list.scopes() }

// Hints implements screen.Screen.
func (s *Containers) Hints(*screen.Context) []string {
	return []string{"back", "enter", "logs", "find", "sort", "mark", "menu", "refresh", "shell", "help"}
}

// Open implements screen.Screen.
func (s *Containers) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Containers) Close() {}

// Fresh implements screen.Screen.
func (s *Containers) Fresh(c *screen.Context) screen.Effect {
	s.list.take(c, c.Snap.Hosts)
	return nil
}

// Receive implements screen.Screen.
func (s *Containers) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return s.list.receive(c, fleet.State{}, msg)
}

// Draw implements screen.Screen.
func (s *Containers) Draw(c *screen.Context, p widget.Pane) { s.list.draw(c, fleet.State{}, p) }

// Do implements screen.Screen.
func (s *Containers) Do(c *screen.Context, id string) screen.Effect {
	r, ok := s.list.row()
	tab, isTab := strings.CutPrefix(id, "tab-")
	switch {
	case ok && id == "enter":
		item := strings.TrimPrefix(r.id, string(r.of.Host.ID)+" ")
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: "containers", Item: item}}
	case ok && isTab:
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: tab}}
	}
	return s.list.do(c, fleet.State{}, id)
}

// Tap implements screen.Screen: the first tap selects a row, one on the
// selected row opens it.
func (s *Containers) Tap(c *screen.Context, target any) screen.Effect {
	if r, ok := target.(screen.TapRow); ok {
		if sel, _ := s.list.list.Selected(); sel == r.ID {
			return s.Do(c, "enter")
		}
	}
	return s.list.tap(c, fleet.State{}, target)
}

// Back implements screen.Screen: the filter goes first, then the marks.
func (s *Containers) Back(c *screen.Context) bool { return s.list.back(c, fleet.State{}) }

// Target implements screen.Screen: the marked containers, or the selected one.
func (s *Containers) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	s.list.target(fleet.State{}, &t)
	return t
}

// Focus implements screen.Screen: what is visible is measured, on every host
// that has some of it.
func (s *Containers) Focus(*screen.Context) fleet.Focus {
	f := fleet.Focus{Tab: "containers"}
	s.list.focus(&f, fleet.State{})
	return f
}

// Finding implements screen.Finder.
func (s *Containers) Finding() (text, label string) {
	return s.list.filter, fmt.Sprintf("%d of %d", s.list.list.Len(), len(s.list.byID))
}

// Find implements screen.Finder.
func (s *Containers) Find(c *screen.Context, text string, _ bool) { s.list.find(c, text) }

// Copy implements screen.Copier.
func (s *Containers) Copy(*screen.Context) (what, text string) {
	r, ok := s.list.row()
	if !ok {
		return "", ""
	}
	return "name", r.name
}
