// Package tailnetscreen shows the nodes of the tailnet: which host each is, how it is
// reached from here, and when its key ends.
package tailnetscreen

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Screen is the list of nodes, and all that is known of the one the cursor is on.
type Screen struct {
	*listing.Screen
	all   context.Context
	life  context.Context // while the screen is shown
	stop  context.CancelFunc
	nameW int // of the longest name

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
func New(ctx context.Context) *Screen {
	s := &Screen{all: ctx}
	s.Screen = listing.New(listing.Kind{
		Screen: screen.Tailnet, Title: "Tailnet", Group: "tailnet", What: "address",
		Hints:   []string{"back", "enter", "find", "mark", "node-remove", "refresh", "copy", "help"},
		Columns: s.columns, Rows: s.rows, Below: below, Empty: empty, Act: act, Target: s.target,
		Above: func(*screen.Context) widget.Line { return nil },
	})
	return s
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
	s.Screen.Fresh(c)
	return nil
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.Screen.Fresh(c)
	if !s.asked {
		return s.ping(c)
	}
	return nil
}

// rows are the nodes: hosts first, then all else, by name.
func (s *Screen) rows(c *screen.Context) []listing.Row {
	s.nameW = 4
	nodes := slices.Clone(c.Snap.Tailnet.Value.Nodes)
	slices.SortStableFunc(nodes, func(a, b fleet.Node) int {
		return cmp.Or(cmp.Compare(none(a), none(b)), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
	rows := make([]listing.Row, 0, len(nodes))
	for _, n := range nodes {
		if p, ok := s.paths[n.ID]; ok && n.Online {
			n.Path = p
		}
		s.nameW = max(s.nameW, min(24, widget.Width(n.Name)))
		rows = append(rows, s.row(c, n))
	}
	return rows
}

// none is 0 of a host and 1 of a node that is none.
func none(n fleet.Node) int {
	if n.Host == "" {
		return 1
	}
	return 0
}

// find is what the filter looks in.
func find(c *screen.Context, n fleet.Node) string {
	in := []string{n.Name, n.Is(), n.OS, n.Version, state(c, n).String(), strings.Join(n.Tags, " "), n.User}
	if n.Stale(c.Now, 0) != "" {
		in = append(in, "stale")
	}
	if n.Exit {
		in = append(in, "exit")
	}
	return strings.Join(in, "\n")
}

// act says why a node does not open where it is no host.
func act(_ *screen.Context, key string, r listing.Row) (screen.Effect, bool) {
	n, _ := r.Of.(fleet.Node)
	if key != "enter" || n.Host != "" {
		return nil, false
	}
	return screen.Flash{Level: fleet.Info, Text: n.Name + " is no host: " + n.Is()}, true
}

// target are the marked nodes, or the selected one.
func (s *Screen) target(_ *screen.Context, r listing.Row) fleet.Target {
	if marked := s.Marked(); len(marked) > 0 {
		return fleet.Target{Nodes: marked}
	}
	return fleet.Target{Nodes: []string{r.ID}}
}
