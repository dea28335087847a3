// Package deployscreen shows what is and was deployed to the hosts, as they tell
// it: what is under way and what went wrong on top, then the newest first.
package deployscreen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Screen is the list of deploys of all hosts.
type Screen struct {
	list   widget.List
	detail widget.Scroll
	filter string
	rows   map[string]row
	sums   sums
	nameW  int // of the longest host name
}

// row is a deploy of a host.
type row struct {
	fleet.Deploy
	of     fleet.State
	newest bool // nothing was deployed to its host since
	here   bool // it is done from here just now, and told of by us
}

// underWay is what is done to a host from here, as a row: of a deploy that the host
// tells of already it is the newest state and line.
func underWay(st fleet.State) (row, bool) {
	is := st.Doing
	if is.State == "" {
		return row{}, false
	}
	d := fleet.Deploy{ID: "here", Kind: is.Kind, Started: is.Since, Who: is.Who, Client: is.From}
	if list := st.Deploys.Value; st.Deploys.Current() && len(list) > 0 && !list[0].State.Over() {
		d = list[0]
	} else {
		d.From = st.System.Value.Running
	}
	d.State, d.Line = is.State, cmp.Or(is.Line, d.Line)
	return row{d, st, true, true}, true
}

// New makes the screen.
func New() *Screen { return &Screen{} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Deploys} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Deploys"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"deploys", "list"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "enter", "menu", "find", "rollback", "palette", "progress", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.rows, s.sums, s.nameW = map[string]row{}, sums{}, 4
	var ids []string
	for _, st := range c.Snap.Hosts {
		s.sums.add(st)
		list := make([]row, 0, len(st.Deploys.Value)+1)
		doing, has := underWay(st)
		if has {
			list = append(list, doing)
		}
		for i, d := range st.Deploys.Value {
			if !has || d.ID != doing.ID {
				list = append(list, row{d, st, i == 0 && !has, false})
			}
		}
		for _, r := range list {
			id := string(st.Host.ID) + " " + r.ID
			s.rows[id] = r
			s.nameW = max(s.nameW, min(20, widget.Width(st.Host.Name)))
			if s.passes(r) {
				ids = append(ids, id)
			}
		}
	}
	slices.SortStableFunc(ids, func(a, b string) int {
		x, y := s.rows[a], s.rows[b]
		return cmp.Or(cmp.Compare(x.urgency(), y.urgency()), y.Started.Compare(x.Started), cmp.Compare(a, b))
	})
	s.list.Set(ids)
	return nil
}

// passes tells whether the filter lets a row through; "!" turns it round.
func (s *Screen) passes(r row) bool {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	if want == "" {
		return true
	}
	word := words.Teller{}.Deploy(r.State).Text
	text := strings.Join([]string{r.of.Host.Name, word, string(r.State), r.Kind, r.Why, r.Line, r.Who + "@" + r.Client, r.Revision}, "\n")
	return strings.Contains(strings.ToLower(text), want) != not
}

// urgency is the place of a row in the list: smaller is above. What went wrong
// stays on top until something is deployed to that host again.
func (r row) urgency() int {
	switch {
	case r.State == fleet.RollbackFailed && r.newest:
		return 0
	case r.State == fleet.Awaiting:
		return 1
	case !r.State.Over():
		return 2
	case r.newest && (r.State == fleet.RolledBack || r.State == fleet.Conflict):
		return 3
	}
	return 4
}

// sums count hosts by the newest deploy of each.
type sums struct{ deploys, hosts, ok, failed, waits, running, other, unknown int }

func (n *sums) add(st fleet.State) {
	n.deploys += len(st.Deploys.Value)
	if doing, ok := underWay(st); ok {
		n.hosts++
		if doing.ID == "here" {
			n.deploys++
		}
		if doing.State == fleet.Awaiting {
			n.waits++
		} else {
			n.running++
		}
		return
	}
	if !st.Deploys.Current() {
		if !st.Deploys.None {
			n.unknown++ // never counted among those that are well
		}
		return
	}
	if len(st.Deploys.Value) == 0 {
		return
	}
	n.hosts++
	switch d := st.Deploys.Value[0]; {
	case d.State == fleet.Confirmed:
		n.ok++
	case d.State == fleet.RollbackFailed, d.State == fleet.RolledBack, d.State == fleet.Conflict:
		n.failed++
	case d.State == fleet.Awaiting:
		n.waits++
	case !d.State.Over():
		n.running++
	default: // refused, called off, waits for a reboot
		n.other++
	}
}

// Selected is the deploy the cursor is on.
func (s *Screen) Selected() (fleet.Deploy, fleet.State, bool) {
	id, ok := s.list.Selected()
	if !ok {
		return fleet.Deploy{}, fleet.State{}, false
	}
	r, ok := s.rows[id]
	return r.Deploy, r.of, ok
}

// Do implements screen.Screen.
func (s *Screen) Do(_ *screen.Context, id string) screen.Effect {
	before := s.list.Cursor()
	if s.list.Do(id) {
		if s.list.Cursor() != before {
			s.detail.Reset()
		}
		return nil
	}
	if _, st, ok := s.Selected(); ok && id == "enter" {
		return screen.Go{Place: screen.Place{Screen: screen.Host, Host: st.Host.ID, Tab: "overview"}}
	}
	return nil
}

// Tap implements screen.Screen: the first tap selects a row, one on the
// selected row opens its host.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if screen.OpensRow(target, &s.list, &s.detail) {
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

// Target implements screen.Screen: the host of the row.
func (s *Screen) Target(*screen.Context) fleet.Target {
	if _, st, ok := s.Selected(); ok {
		return fleet.Target{Hosts: []fleet.State{st}}
	}
	return fleet.Target{}
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus {
	if _, st, ok := s.Selected(); ok {
		return fleet.Focus{Host: st.Host.ID}
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
	d, _, ok := s.Selected()
	if !ok {
		return "", ""
	}
	return "the deploy's ID", d.ID
}
