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

// Backups is the screen of the backup jobs of all hosts: the list of a host's tab,
// with the host as a column, what is broken first. One in full is on its host's
// screen.
type Backups struct {
	jobs  *tableTab
	repos repositories
	at    int // the view: jobs, repositories
}

// backupViews are what the lists are called.
var backupViews = []string{"Jobs", "Repositories"}

// NewBackups makes the screen.
func NewBackups() *Backups {
	s := &Backups{jobs: backups(true)}
	s.jobs.age = func(c *screen.Context, _ fleet.State) widget.Line { return s.holes(c) }
	s.jobs.missing = func(c *screen.Context, _ fleet.State) []widget.Line {
		lines := []widget.Line{widget.T("No backup job is known on any host.")}
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

// holes names the hosts that have no backup, and those of whose backups nothing is
// known, or only from before.
func (s *Backups) holes(c *screen.Context) widget.Line {
	var without, missing, old, asked []string
	for _, st := range s.jobs.states {
		f, name := st.Backups, st.Host.Name
		switch {
		case f.None || f.Current() && len(f.Value) == 0:
			without = append(without, name)
		case f.Current():
		case f.HasValue():
			old = append(old, name+" "+words.Ago(f.At, c.Now))
		case !f.Asked() && st.Reach.Err == "":
			asked = append(asked, name)
		default:
			missing = append(missing, name)
		}
	}
	return named(nil, c, []naming{
		{themes.Warn, "no backup: ", without}, {themes.Unknown, "? not known: ", missing}, {themes.Unknown, "from before: ", old}, {themes.Dim, c.Glyphs.Asking + " asking: ", asked},
	})
}

// naming is some names under one word.
type naming struct {
	role  themes.Role
	word  string
	names []string
}

// named adds names under their words to a line.
func named(l widget.Line, _ *screen.Context, list []naming) widget.Line {
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

// Place implements screen.Screen.
func (s *Backups) Place() screen.Place { return screen.Place{Screen: screen.Backups} }

// Title implements screen.Screen.
func (s *Backups) Title(*screen.Context) []string { return []string{"Backups"} }

// Scopes implements screen.Screen. What can be done to jobs and hosts is in the
// group of deploys, too.
func (s *Backups) Scopes() []string { return append(s.jobs.scopes(), "deploys") }

// Hints implements screen.Screen.
func (s *Backups) Hints(*screen.Context) []string {
	if s.at == 1 {
		return []string{"back", "view", "find", "copy", "refresh", "help"}
	}
	return []string{"back", "enter", "snapshots", "view", "logs", "sort", "find", "menu", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Backups) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Backups) Close() {}

// Fresh implements screen.Screen.
func (s *Backups) Fresh(c *screen.Context) screen.Effect {
	s.jobs.take(c, c.Snap.Hosts)
	s.repos.take(c.Snap.Hosts)
	return nil
}

// Receive implements screen.Screen.
func (s *Backups) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return s.jobs.receive(c, fleet.State{}, msg)
}

// Draw implements screen.Screen.
func (s *Backups) Draw(c *screen.Context, p widget.Pane) {
	drawNames(p.Sub(1, 0, p.W-1, 1), backupViews, s.at)
	p = p.Sub(0, 1, p.W, p.H-1)
	if s.at == 1 {
		s.repos.draw(c, p)
		return
	}
	s.jobs.draw(c, fleet.State{}, p)
}

// Do implements screen.Screen.
func (s *Backups) Do(c *screen.Context, id string) screen.Effect {
	switch {
	case id == "view":
		s.at = (s.at + 1) % len(backupViews)
		return nil
	case s.at == 1:
		s.repos.list.Do(id)
		return nil
	}
	if r, ok := s.jobs.row(); ok && id == "enter" {
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: "backups", Item: jobOf(r).Key()}}
	}
	return s.jobs.do(c, fleet.State{}, id)
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected
// row opens it.
func (s *Backups) Tap(c *screen.Context, target any) screen.Effect {
	if v, ok := target.(tapView); ok {
		s.at = v.n
		return nil
	}
	if r, ok := target.(screen.TapRow); ok && s.at == 1 {
		s.repos.list.Tap(r.ID)
		return nil
	}
	if r, ok := target.(screen.TapRow); ok {
		if sel, _ := s.jobs.list.Selected(); sel == r.ID {
			return s.Do(c, "enter")
		}
	}
	return s.jobs.tap(c, fleet.State{}, target)
}

// Back implements screen.Screen: the filter goes first.
func (s *Backups) Back(c *screen.Context) bool {
	switch {
	case s.at == 1 && s.repos.filter != "":
		s.Find(c, "", true)
	case s.at == 1:
		s.at = 0
	default:
		return s.jobs.back(c, fleet.State{})
	}
	return true
}

// Target implements screen.Screen: the selected job.
func (s *Backups) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	if s.at == 1 {
		return t
	}
	s.jobs.target(fleet.State{}, &t)
	return t
}

// Focus implements screen.Screen.
func (s *Backups) Focus(*screen.Context) fleet.Focus { return fleet.Focus{Tab: "backups"} }

// Finding implements screen.Finder.
func (s *Backups) Finding() (text, label string) {
	if s.at == 1 {
		return s.repos.filter, fmt.Sprintf("%d of %d", s.repos.list.Len(), len(s.repos.byID))
	}
	return s.jobs.filter, fmt.Sprintf("%d of %d", s.jobs.list.Len(), len(s.jobs.byID))
}

// Find implements screen.Finder.
func (s *Backups) Find(c *screen.Context, text string, _ bool) {
	if s.at == 1 {
		s.repos.filter = text
		s.repos.take(c.Snap.Hosts)
		return
	}
	s.jobs.find(c, text)
}

// Copy implements screen.Copier.
func (s *Backups) Copy(*screen.Context) (what, text string) {
	if id, ok := s.repos.list.Selected(); ok && s.at == 1 {
		return "repository", id
	}
	r, ok := s.jobs.row()
	if !ok {
		return "", ""
	}
	return "name", r.name
}
