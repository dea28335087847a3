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

// page is a screen of its own that is made of what else is a tab: of one host, or of
// all hosts at once. A screen of that kind says what it is a page of.
type page struct {
	lists  pageTab
	place  screen.Place // with a host: of that one
	title  string
	groups []string                         // of keys, besides those of the lists
	hints  []string                         // while nothing is open
	opened []string                         // while a row is open in detail
	what   string                           // a row is called
	live   string                           // the tab whose facts are kept live
	where  func(r row) (screen.Place, bool) // where a row opens; nil or false: here

	state fleet.State // of its one host; nothing where it is of all
}

// pageTab is a tab that is a list, or several.
type pageTab interface {
	tab
	table() *tableTab
	receive(c *screen.Context, st fleet.State, msg tea.Msg) screen.Effect
}

// openedHints are those of a row in full.
var openedHints = []string{"back", "logs", "menu", "copy", "shell", "help"}

func (p *page) table() *tableTab { return p.lists.table() }

// Place implements screen.Screen.
func (p *page) Place() screen.Place { return p.place }

// Title implements screen.Screen.
func (p *page) Title(*screen.Context) []string {
	t := []string{p.title}
	if p.place.Host != "" {
		t = []string{p.state.Host.Name, p.title}
	}
	if list := p.table(); list.open != "" {
		t = append(t, list.name(list.open))
	}
	return t
}

// Scopes implements screen.Screen.
func (p *page) Scopes() []string { return append(p.lists.scopes(), p.groups...) }

// Hints implements screen.Screen.
func (p *page) Hints(*screen.Context) []string {
	if p.table().open != "" {
		return p.opened
	}
	return p.hints
}

// Open implements screen.Screen.
func (p *page) Open(c *screen.Context) screen.Effect { return p.Fresh(c) }

// Close implements screen.Screen.
func (p *page) Close() {}

// Fresh implements screen.Screen.
func (p *page) Fresh(c *screen.Context) screen.Effect {
	if st, ok := c.Snap.Host(p.place.Host); ok {
		p.state = st
	}
	return p.lists.fresh(c, p.state)
}

// Receive implements screen.Screen.
func (p *page) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return p.lists.receive(c, p.state, msg)
}

// Again implements screen.Asker.
func (p *page) Again(c *screen.Context) screen.Effect {
	if t, ok := p.lists.(asker); ok {
		return t.again(c, p.state)
	}
	return nil
}

// Draw implements screen.Screen.
func (p *page) Draw(c *screen.Context, pane widget.Pane) { p.lists.draw(c, p.state, pane) }

// Do implements screen.Screen. On a page of all hosts a tab's key opens that tab of
// the row's host, where the page has such keys.
func (p *page) Do(c *screen.Context, id string) screen.Effect {
	r, ok := p.table().row()
	tab, isTab := strings.CutPrefix(id, "tab-")
	switch {
	case ok && isTab && p.place.Host == "":
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: tab}}
	case ok && id == "enter" && p.where != nil:
		if place, elsewhere := p.where(r); elsewhere {
			return screen.Go{Place: place}
		}
	}
	return p.lists.do(c, p.state, id)
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected row
// opens it.
func (p *page) Tap(c *screen.Context, target any) screen.Effect {
	if r, ok := target.(screen.TapRow); ok {
		if selected, _ := p.table().list.Selected(); selected == r.ID {
			return p.Do(c, "enter")
		}
	}
	return p.lists.tap(c, p.state, target)
}

// Back implements screen.Screen: what is open goes first, then the filter, then the marks.
func (p *page) Back(c *screen.Context) bool { return p.lists.back(c, p.state) }

// Target implements screen.Screen: what the lists aim at; else the one host.
func (p *page) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	if p.place.Host != "" {
		t.Hosts = []fleet.State{p.state}
	}
	p.lists.target(p.state, &t)
	return t
}

// Focus implements screen.Screen.
func (p *page) Focus(*screen.Context) fleet.Focus {
	f := fleet.Focus{Host: p.place.Host, Tab: p.live}
	p.lists.focus(&f, p.state)
	return f
}

// Finding implements screen.Finder.
func (p *page) Finding() (text, label string) {
	t := p.table()
	return t.filter, fmt.Sprintf("%d of %d", t.list.Len(), len(t.byID))
}

// Find implements screen.Finder.
func (p *page) Find(c *screen.Context, text string, _ bool) { p.table().find(c, text) }

// Copy implements screen.Copier.
func (p *page) Copy(*screen.Context) (what, text string) {
	if r, ok := p.table().row(); ok {
		return p.what, r.name
	}
	if p.place.Host != "" {
		return "name", p.state.Host.Name
	}
	return "", ""
}

// Total is how many rows there are.
func (p *page) Total() int { return len(p.table().byID) }

// Shut closes the row that is open.
func (p *page) Shut() { p.table().open = "" }

// known is how a fact of any kind stands, without its value.
type known = fleet.Fact[struct{}]

func standingOf[T any](f fleet.Fact[T]) known {
	return fleet.Derive(f, func(T) struct{} { return struct{}{} })
}

// lacking has a list of all hosts say what it lacks: above it where of some hosts it
// knows nothing, in its place where there is no row. none is what is said where there
// is no row, of how what the list is made from stands on a host, and first what is
// said of hosts before that.
func (t *tableTab) lacking(none string, of func(fleet.State) known, first ...func([]fleet.State) naming) {
	one := t.age
	t.age = func(c *screen.Context, st fleet.State) widget.Line {
		if st.Host.ID != "" { // of the row that is open
			return one(c, st)
		}
		var l widget.Line
		for _, f := range first {
			l = named(l, f(t.states))
		}
		return named(l, holes(c, t.states, of)...)
	}
	t.missing = func(c *screen.Context, _ fleet.State) []widget.Line {
		lines := []widget.Line{widget.T(none)}
		if len(c.Snap.Hosts) == 0 {
			lines = []widget.Line{widget.T("There is no host yet.")}
		}
		if l := t.age(c, fleet.State{}); len(l) > 0 {
			lines = append(lines, l)
		}
		return lines
	}
}

// holes names the hosts of which something is not known, or only in part, or only from
// before.
func holes(c *screen.Context, states []fleet.State, of func(fleet.State) known) []naming {
	var missing, part, old, asked []string
	for _, st := range states {
		f, name := of(st), st.Host.Name
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
	return []naming{
		{themes.Unknown, "? not known: ", missing}, {themes.Unknown, "in part: ", part},
		{themes.Unknown, "from before: ", old}, {themes.Dim, c.Glyphs.Asking + " asking: ", asked},
	}
}

// naming is some names under one word.
type naming struct {
	role  themes.Role
	word  string
	names []string
}

// named adds names under their words to a line.
func named(l widget.Line, list ...naming) widget.Line {
	for _, n := range list {
		if len(n.names) == 0 {
			continue
		}
		if len(l) > 0 {
			l = l.And(themes.Dim, "  ")
		}
		l = l.And(n.role, n.word).And(themes.Text, strings.Join(n.names, ", "))
	}
	return l
}
