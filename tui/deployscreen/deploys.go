// Package deployscreen shows what is and was deployed to the hosts, as they tell
// it: what is under way and what went wrong on top, then the newest first.
package deployscreen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Screen is the list of deploys of all hosts.
type Screen struct {
	scroll widget.Scroll
	filter string
}

// New makes the screen.
func New() *Screen { return &Screen{} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Deploys} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Deploys"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"messages", "scroll"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "find", "progress", "palette", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(*screen.Context) screen.Effect { return nil }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(*screen.Context) screen.Effect { return nil }

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Do implements screen.Screen.
func (s *Screen) Do(_ *screen.Context, id string) screen.Effect { s.scroll.Do(id); return nil }

// Tap implements screen.Screen.
func (s *Screen) Tap(*screen.Context, any) screen.Effect { return nil }

// Back implements screen.Screen.
func (s *Screen) Back(*screen.Context) bool {
	had := s.filter != ""
	s.filter = ""
	return had
}

// Target implements screen.Screen.
func (s *Screen) Target(*screen.Context) fleet.Target { return fleet.Target{} }

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) { return s.filter, "deploys" }

// Find implements screen.Finder.
func (s *Screen) Find(_ *screen.Context, text string, _ bool) { s.filter = text; s.scroll.Reset() }

// row is a deploy of a host.
type row struct {
	host string
	fleet.Deploy
}

// rows are the deploys that the filter lets through, in the order they are shown.
func (s *Screen) rows(c *screen.Context) []row {
	var list []row
	for _, st := range c.Snap.Hosts {
		for _, d := range st.Deploys.Value {
			text := strings.ToLower(st.Host.Name + " " + string(d.State) + " " + d.Why + " " + d.Who)
			if strings.Contains(text, strings.ToLower(s.filter)) {
				list = append(list, row{st.Host.Name, d})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b row) int {
		return cmp.Or(cmp.Compare(urgency(a.State), urgency(b.State)), b.Started.Compare(a.Started))
	})
	return list
}

// urgency is the place of a state in the list: smaller is above.
func urgency(s fleet.DeployState) int {
	switch s {
	case fleet.RollbackFailed:
		return 0
	case fleet.Awaiting:
		return 1
	}
	if !s.Over() {
		return 2
	}
	return 3
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	p = p.Sub(1, 0, p.W-2, p.H)
	list := s.rows(c)
	if len(list) == 0 {
		p.Text(0, 0, p.W, themes.Text, "Nothing was deployed by Sextant yet.")
		p.Text(0, 1, p.W, themes.Dim, "R on a host rolls it back, D deploys. What was done is read from the hosts.")
		return
	}
	d := widget.Doc{}.Add(p.W, 0, sums(list))
	for _, r := range list {
		d = d.Add(p.W, 2, line(c, r))
	}
	d.Draw(p, &s.scroll)
}

// sums tells how they ended.
func sums(list []row) widget.Line {
	counts := map[fleet.DeployState]int{}
	for _, r := range list {
		counts[r.State]++
	}
	l := widget.L(themes.Title, fmt.Sprintf("%d deploys", len(list)))
	for _, state := range []fleet.DeployState{fleet.RollbackFailed, fleet.Awaiting, fleet.Confirmed, fleet.RolledBack, fleet.Cancelled, fleet.Conflict, fleet.Refused, fleet.NeedsReboot} {
		if counts[state] > 0 {
			l = l.And(themes.Text, "  ").And(role(state), fmt.Sprintf("%d %s", counts[state], word(state)))
		}
	}
	return l
}

// line is a deploy: what became of it, where, from what to what, who and when.
func line(c *screen.Context, r row) widget.Line {
	l := widget.L(role(r.State), words.Left(word(r.State), 15)).And(themes.Title, r.host)
	l = l.And(themes.Text, "  "+system(r.From)+" "+c.Glyphs.Arrow+" "+system(r.To))
	if left := r.Deadline.Sub(c.Now); r.State == fleet.Awaiting && left > 0 {
		l = l.And(themes.Warn, fmt.Sprintf("  %.0f s left", left.Round(time.Second).Seconds()))
	}
	return l.And(themes.Dim, "  "+r.Who+"@"+r.Client+"  "+words.When(r.Started, c.Now)+"  ").And(themes.Text, r.Why)
}

// system is a toplevel in one word.
func system(t fleet.Toplevel) string {
	if t.Generation > 0 {
		return fmt.Sprint(t.Generation)
	}
	_, name, _ := strings.Cut(strings.TrimPrefix(t.Path, "/nix/store/"), "-")
	return cmp.Or(strings.TrimPrefix(name, "nixos-system-"), "?")
}

// word is a state as people say it.
func word(s fleet.DeployState) string {
	switch s {
	case fleet.RollbackFailed:
		return "ROLL-BACK FAILED"
	case fleet.Awaiting:
		return "waits"
	}
	return strings.ReplaceAll(strings.ToLower(string(s)), "_", " ")
}

// role is the colour of a state; its word says the same.
func role(s fleet.DeployState) themes.Role {
	switch s {
	case fleet.Confirmed:
		return themes.OK
	case fleet.RollbackFailed:
		return themes.Fail
	case fleet.Cancelled, fleet.Refused:
		return themes.Dim
	}
	return themes.Warn
}
