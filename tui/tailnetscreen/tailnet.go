// Package tailnetscreen shows the nodes of the tailnet: which host each is, how it is
// reached from here, and when its key ends.
package tailnetscreen

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Screen is the list of nodes, and all that is known of the one the cursor is on.
type Screen struct {
	all    context.Context
	life   context.Context // while the screen is shown
	stop   context.CancelFunc
	list   widget.List
	detail widget.Scroll
	byID   map[string]fleet.Node
	filter string
	nameW  int // of the longest name

	paths  map[string]fleet.Fact[fleet.Path] // as they were asked last
	asking bool
	asked  bool // since the screen was opened
	round  int
}

// pathsMsg brings how nodes are reached.
type pathsMsg struct {
	of    *Screen
	round int
	paths map[string]fleet.Fact[fleet.Path]
}

// New makes the screen; nodes are asked until ctx ends.
func New(ctx context.Context) *Screen { return &Screen{all: ctx, byID: map[string]fleet.Node{}} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Tailnet} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Tailnet"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"tailnet", "table", "list"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "enter", "find", "mark", "node-remove", "refresh", "copy", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect {
	s.life, s.stop = context.WithCancel(s.all)
	s.asked = false
	return s.Fresh(c)
}

// Close implements screen.Screen: nobody waits for answers any more.
func (s *Screen) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.round++
	s.asking = false
}

// Again implements screen.Asker.
func (s *Screen) Again(c *screen.Context) screen.Effect { return s.ping(c) }

// ping asks how those that are online are reached.
func (s *Screen) ping(c *screen.Context) screen.Effect {
	var online []fleet.Node
	for _, n := range c.Snap.Tailnet.Value.Nodes {
		if n.Online && !n.Self {
			online = append(online, n)
		}
	}
	if len(online) == 0 || s.asking {
		return nil
	}
	s.round++
	s.asking, s.asked = true, true
	round, console, life := s.round, c.Console, s.life
	return screen.Run{Cmd: func() tea.Msg {
		var mu sync.Mutex
		paths := map[string]fleet.Fact[fleet.Path]{}
		console.Ping(life, online, func(id string, p fleet.Fact[fleet.Path]) {
			mu.Lock()
			defer mu.Unlock()
			paths[id] = p
		})
		mu.Lock()
		defer mu.Unlock()
		return pathsMsg{s, round, paths}
	}}
}

// Receive implements screen.Screen.
func (s *Screen) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	m, ok := msg.(pathsMsg)
	if !ok || m.of != s || m.round != s.round {
		return nil
	}
	s.asking, s.paths = false, m.paths
	s.fill(c)
	return nil
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.fill(c)
	if !s.asked {
		return s.ping(c)
	}
	return nil
}

// fill makes the rows: hosts first, then all else, by name.
func (s *Screen) fill(c *screen.Context) {
	s.byID, s.nameW = map[string]fleet.Node{}, 4
	var shown []fleet.Node
	for _, n := range c.Snap.Tailnet.Value.Nodes {
		if p, ok := s.paths[n.ID]; ok && n.Online {
			n.Path = p
		}
		s.byID[n.ID], s.nameW = n, max(s.nameW, min(24, widget.Width(n.Name)))
		if s.passes(c, n) {
			shown = append(shown, n)
		}
	}
	slices.SortStableFunc(shown, func(a, b fleet.Node) int {
		return cmp.Or(cmp.Compare(none(a), none(b)), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
	ids := make([]string, 0, len(shown))
	for _, n := range shown {
		ids = append(ids, n.ID)
	}
	s.list.Set(ids)
}

// none is 0 of a host and 1 of a node that is none.
func none(n fleet.Node) int {
	if n.Host == "" {
		return 1
	}
	return 0
}

// passes tells whether the filter lets a node through; "!" turns it round.
func (s *Screen) passes(c *screen.Context, n fleet.Node) bool {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	if want == "" {
		return true
	}
	words := []string{n.Name, n.Is(), n.OS, n.Version, state(c, n).String(), strings.Join(n.Tags, " "), n.User}
	if n.Stale(c.Now, 0) != "" {
		words = append(words, "stale")
	}
	if n.Exit {
		words = append(words, "exit")
	}
	return strings.Contains(strings.ToLower(strings.Join(words, "\n")), want) != not
}

// Selected is the node the cursor is on.
func (s *Screen) Selected() (fleet.Node, bool) {
	id, ok := s.list.Selected()
	n, known := s.byID[id]
	return n, ok && known
}

// Do implements screen.Screen: a node opens on the host that it is.
func (s *Screen) Do(_ *screen.Context, id string) screen.Effect {
	if s.list.Do(id) {
		s.detail.Reset()
		return nil
	}
	n, ok := s.Selected()
	switch {
	case !ok || id != "enter":
		return nil
	case n.Host == "":
		return screen.Flash{Level: fleet.Info, Text: n.Name + " is no host: " + n.Is()}
	}
	return screen.Go{Place: screen.Place{Screen: screen.Host, Host: n.HostID, Tab: "overview"}}
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected row
// opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if screen.OpensRow(target, &s.list, &s.detail) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen: the filter goes first, then the marks.
func (s *Screen) Back(c *screen.Context) bool {
	if s.filter != "" {
		s.Find(c, "", true)
		return true
	}
	return s.list.ClearMarks()
}

// Target implements screen.Screen: the marked nodes, or the selected one.
func (s *Screen) Target(*screen.Context) fleet.Target {
	t := fleet.Target{Nodes: s.list.Marks()}
	if n, ok := s.Selected(); ok && len(t.Nodes) == 0 {
		t.Nodes = []string{n.ID}
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.byID))
}

// Find implements screen.Finder.
func (s *Screen) Find(c *screen.Context, text string, _ bool) {
	s.filter = text
	s.fill(c)
}

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	n, ok := s.Selected()
	if !ok || len(n.Addresses) == 0 {
		return "", ""
	}
	return "address", n.Addresses[0]
}
