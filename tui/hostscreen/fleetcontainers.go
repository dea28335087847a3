package hostscreen

import (
	"context"
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
type Containers struct{ *around }

// NewContainers makes the screen; what containers share is asked for until ctx ends.
func NewContainers(ctx context.Context) *Containers {
	s := &Containers{newAround(ctx, true)}
	for i, t := range s.views {
		t.age = func(c *screen.Context, st fleet.State) widget.Line {
			if st.Host.ID != "" { // of the one that is open
				return s.outdated(c, st)
			}
			return s.holes(c, i)
		}
		t.missing = func(c *screen.Context, _ fleet.State) []widget.Line { return s.nowhere(c, i) }
	}
	return s
}

// standing is how a part of the fleet's list stands: of the containers, or of
// what they share.
func (s *Containers) standing(st fleet.State, view int) fleet.Fact[struct{}] {
	if view == 0 || !s.asks(st) && !s.factOf(st).Asked() {
		return fleet.Derive(st.Containers, func([]fleet.Container) struct{} { return struct{}{} })
	}
	return fleet.Derive(s.factOf(st), func(fleet.Shared) struct{} { return struct{}{} })
}

// holes names the hosts of which a list is not known, or only from before.
func (s *Containers) holes(c *screen.Context, view int) widget.Line {
	var missing, part, old, asked []string
	for _, st := range s.views[0].states {
		f, name := s.standing(st, view), st.Host.Name
		switch {
		case f.Current() || f.None:
		case f.HasValue() && !f.ErrAt.After(f.At):
			part = append(part, name)
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
	}{{themes.Unknown, "? not known: ", missing}, {themes.Unknown, "in part: ", part}, {themes.Unknown, "from before: ", old}, {themes.Dim, c.Glyphs.Asking + " asking: ", asked}} {
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
func (s *Containers) nowhere(c *screen.Context, view int) []widget.Line {
	kind := strings.ToLower(strings.TrimSuffix(viewNames[view], "s"))
	lines := []widget.Line{widget.T("No " + kind + " is known on any host.")}
	if len(c.Snap.Hosts) == 0 {
		lines = []widget.Line{widget.T("There is no host yet.")}
	}
	if l := s.holes(c, view); len(l) > 0 {
		lines = append(lines, l)
	}
	return lines
}

// Place implements screen.Screen.
func (s *Containers) Place() screen.Place { return screen.Place{Screen: screen.Containers} }

// Title implements screen.Screen.
func (s *Containers) Title(*screen.Context) []string {
	t := []string{viewNames[s.at]}
	if open := s.table().open; open != "" {
		t = append(t, s.table().name(open))
	}
	return t
}

// Scopes implements screen.Screen.
func (s *Containers) Scopes() []string { return s.scopes() }

// Hints implements screen.Screen.
func (s *Containers) Hints(*screen.Context) []string {
	switch {
	case s.table().open != "":
		return []string{"back", "view", "menu", "copy", "shell", "help"}
	case s.at > 0:
		return []string{"back", "enter", "view", "find", "sort", "menu", "refresh", "shell", "help"}
	}
	return []string{"back", "enter", "logs", "find", "sort", "mark", "view", "menu", "refresh", "shell", "help"}
}

// Open implements screen.Screen.
func (s *Containers) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Containers) Close() {}

// Fresh implements screen.Screen.
func (s *Containers) Fresh(c *screen.Context) screen.Effect {
	return s.take(c, c.Snap.Hosts)
}

// Receive implements screen.Screen.
func (s *Containers) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return s.receive(c, fleet.State{}, msg)
}

// Again implements screen.Asker.
func (s *Containers) Again(c *screen.Context) screen.Effect { return s.again(c, fleet.State{}) }

// Draw implements screen.Screen.
func (s *Containers) Draw(c *screen.Context, p widget.Pane) { s.draw(c, fleet.State{}, p) }

// Do implements screen.Screen.
func (s *Containers) Do(c *screen.Context, id string) screen.Effect {
	r, ok := s.table().row()
	tab, isTab := strings.CutPrefix(id, "tab-")
	switch {
	case ok && id == "enter" && s.at == 0:
		item := strings.TrimPrefix(r.id, string(r.of.Host.ID)+" ")
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: "containers", Item: item}}
	case ok && isTab:
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: tab}}
	}
	return s.do(c, fleet.State{}, id)
}

// Tap implements screen.Screen: the first tap selects a row, one on the
// selected row opens it.
func (s *Containers) Tap(c *screen.Context, target any) screen.Effect {
	if r, ok := target.(screen.TapRow); ok {
		if sel, _ := s.table().list.Selected(); sel == r.ID {
			return s.Do(c, "enter")
		}
	}
	return s.tap(c, fleet.State{}, target)
}

// Back implements screen.Screen: the filter goes first, then the marks.
func (s *Containers) Back(c *screen.Context) bool { return s.back(c, fleet.State{}) }

// Target implements screen.Screen: the marked containers, or the selected one.
func (s *Containers) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	s.target(fleet.State{}, &t)
	return t
}

// Focus implements screen.Screen: what is visible is measured, on every host
// that has some of it.
func (s *Containers) Focus(*screen.Context) fleet.Focus {
	f := fleet.Focus{Tab: "containers"}
	s.focus(&f, fleet.State{})
	return f
}

// Finding implements screen.Finder.
func (s *Containers) Finding() (text, label string) {
	return s.table().filter, fmt.Sprintf("%d of %d", s.table().list.Len(), len(s.table().byID))
}

// Find implements screen.Finder.
func (s *Containers) Find(c *screen.Context, text string, _ bool) { s.table().find(c, text) }

// Copy implements screen.Copier.
func (s *Containers) Copy(*screen.Context) (what, text string) {
	r, ok := s.table().row()
	if !ok {
		return "", ""
	}
	return "name", r.name
}
