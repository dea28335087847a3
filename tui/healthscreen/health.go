// Package healthscreen shows the problems of all hosts as one list: what is worst
// first, each with what it explains.
package healthscreen

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

// row is a finding at its depth under those that explain it.
type row struct {
	fleet.Finding
	depth int
}

// Screen is the list.
type Screen struct {
	list   widget.List
	detail widget.Scroll
	filter string
	rows   map[string]row
	nameW  int // of the longest host name
}

// New makes the screen.
func New() *Screen { return &Screen{} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Health} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Health"} }

// Scopes implements screen.Screen. What can be done to hosts and to their things is
// in the group of deploys, too.
func (s *Screen) Scopes() []string { return []string{"health", "table", "list", "deploys"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "enter", "acknowledge", "logs", "menu", "find", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.rows, s.nameW = map[string]row{}, 4
	var shown []string
	s.add(c.Snap.Findings(c.Now), 0, false, &shown)
	s.list.Set(shown)
	return nil
}

// add takes findings into the rows. One that the filter lets through shows what it
// is folded into, and, as all are wanted then, what is folded into it.
func (s *Screen) add(list []fleet.Finding, depth int, all bool, shown *[]string) {
	for _, f := range list {
		id := s.take(row{f, depth})
		before := len(*shown)
		*shown = append(*shown, id)
		passes := all || s.passes(f)
		s.add(f.Folded, depth+1, passes, shown)
		if !passes && len(*shown) == before+1 {
			*shown = (*shown)[:before]
		}
	}
}

// take gives a row its ID: two of one key are told apart.
func (s *Screen) take(r row) string {
	id := r.FullKey()
	for n := 2; ; n++ {
		if _, taken := s.rows[id]; !taken {
			break
		}
		id = fmt.Sprintf("%s#%d", r.FullKey(), n)
	}
	s.rows[id], s.nameW = r, max(s.nameW, min(20, widget.Width(r.Host)))
	return id
}

// passes tells whether the filter lets a finding through; "!" turns it round.
func (s *Screen) passes(f fleet.Finding) bool {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	word, _ := words.Severity(f.Severity)
	return want == "" || strings.Contains(strings.ToLower(f.Host+"\n"+word+"\n"+f.What+"\n"+f.Key), want) != not
}

// Selected is the finding the cursor is on.
func (s *Screen) Selected() (fleet.Finding, bool) {
	id, ok := s.list.Selected()
	r, known := s.rows[id]
	return r.Finding, ok && known
}

// Do implements screen.Screen: a finding opens on what it is about.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.list.Do(id) {
		s.detail.Reset()
		return nil
	}
	f, ok := s.Selected()
	if !ok {
		return nil
	}
	switch id {
	case "enter":
		return screen.Go{Place: placeOf(c, f)}
	case "logs":
		return logs(f)
	}
	return nil
}

// placeOf is where the thing is that a finding is about.
func placeOf(c *screen.Context, f fleet.Finding) screen.Place {
	p := screen.Place{Screen: screen.Host, Host: f.HostID, Tab: "overview"}
	switch of := f.Of; of.Kind {
	case fleet.KindUnit:
		p.Tab, p.Item = "units", fleet.Unit{Name: of.Name, User: of.User}.Label()
	case fleet.KindContainer:
		p.Tab = "containers"
		if st, ok := c.Snap.Host(f.HostID); ok {
			if ct, ok := st.ContainerOf(of); ok {
				p.Item = ct.Engine + "/" + ct.User + "/" + ct.Name
			}
		}
	case fleet.KindBackup, fleet.KindBackupCheck, fleet.KindRestoreTest:
		p.Tab, p.Item = "backups", of.Name
	case fleet.KindSystem:
		p.Tab = "generations"
	case fleet.KindSite, fleet.KindCertificate, fleet.KindService:
		p.Tab = "services"
	case fleet.KindSecret:
		return screen.Place{Screen: screen.Secrets, Tab: "hosts"}
	case fleet.KindDNS:
		return screen.Place{Screen: screen.DNS}
	case fleet.KindPublic:
		return screen.Place{Screen: screen.Trace}
	case fleet.KindSealed:
		return screen.Place{Screen: screen.Secrets}
	case fleet.KindDisk, fleet.KindMemory, fleet.KindAlarm:
		p.Tab = "metrics"
	}
	return p
}

// logs opens the log of the unit or the container that a finding is about.
func logs(f fleet.Finding) screen.Effect {
	of := fleet.LogSource{Host: f.HostID, User: f.Of.User}
	switch f.Of.Kind {
	case fleet.KindUnit:
		of.Unit = f.Of.Name
	case fleet.KindContainer:
		of.Container = f.Of.Name
	default:
		return screen.Flash{Level: fleet.Info, Text: "it has no log of its own"}
	}
	return screen.Go{Place: screen.Place{Screen: screen.Logs, Host: f.HostID, Log: []fleet.LogSource{of}}}
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected
// row opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if screen.OpensRow(target, &s.list, &s.detail) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen: the filter goes first.
func (s *Screen) Back(c *screen.Context) bool {
	had := s.filter != ""
	s.Find(c, "", true)
	return had
}

// Target implements screen.Screen: what the finding is about, with its host.
func (s *Screen) Target(c *screen.Context) fleet.Target {
	f, ok := s.Selected()
	st, in := c.Snap.Host(f.HostID)
	switch {
	case !ok, !in && f.HostID != "":
		return fleet.Target{}
	case !in: // it is no host's
		return fleet.Target{Finding: f.Key}
	}
	t := fleet.Target{Hosts: []fleet.State{st}, Finding: f.Key}
	switch f.Of.Kind {
	case fleet.KindUnit:
		t.Unit, t.User = f.Of.Name, f.Of.User
	case fleet.KindContainer:
		t.Container, t.User = f.Of.Name, f.Of.User
	case fleet.KindSecret:
		t.Unit = st.UnitOfSecret(f.Of.Name)
	case fleet.KindBackup, fleet.KindBackupCheck, fleet.KindRestoreTest:
		t.Item = f.Of.Name
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

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
	f, ok := s.Selected()
	if !ok {
		return "", ""
	}
	return "finding", f.Host + ": " + f.What
}

// role is how a finding is shown: dim where it is acknowledged.
func role(f fleet.Finding) (string, themes.Role) {
	word, r := words.Severity(f.Severity)
	if f.Acked != nil {
		return word, themes.Dim
	}
	return word, r
}
