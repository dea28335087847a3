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

// Network is the screen of how one host is on its networks: links, WireGuard's peers,
// leases, queues and the firewall, one list at a time.
type Network struct {
	host  fleet.HostID
	state fleet.State
	lists *served
}

// networkNames are what the lists are called.
var networkNames = []string{"Links", "Peers", "Leases", "Queues", "Chains"}

// NewNetwork makes the screen of a place's host.
func NewNetwork(p screen.Place) *Network {
	return &Network{host: p.Host, lists: &served{names: networkNames, views: []*tableTab{netLinks(), netPeers(), netLeases(), netQueues(), netChains()}}}
}

// Place implements screen.Screen.
func (s *Network) Place() screen.Place { return screen.Place{Screen: screen.Network, Host: s.host} }

// Title implements screen.Screen.
func (s *Network) Title(*screen.Context) []string {
	t := []string{s.state.Host.Name, "Network"}
	if tt := s.lists.table(); tt.open != "" {
		t = append(t, tt.name(tt.open))
	}
	return t
}

// Scopes implements screen.Screen. What can be done to hosts is in the group of
// deploys, too.
func (s *Network) Scopes() []string { return append(s.lists.scopes(), "network", "deploys") }

// Hints implements screen.Screen.
func (s *Network) Hints(*screen.Context) []string {
	if s.lists.table().open != "" {
		return []string{"back", "menu", "copy", "shell", "help"}
	}
	return []string{"back", "enter", "view", "find", "menu", "shell", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Network) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Network) Close() {}

// Fresh implements screen.Screen.
func (s *Network) Fresh(c *screen.Context) screen.Effect {
	if st, ok := c.Snap.Host(s.host); ok {
		s.state = st
	}
	return s.lists.fresh(c, s.state)
}

// Receive implements screen.Screen.
func (s *Network) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return s.lists.receive(c, s.state, msg)
}

// Draw implements screen.Screen: how the WAN is stands above the lists.
func (s *Network) Draw(c *screen.Context, p widget.Pane) {
	if st := s.state; s.lists.table().open == "" && st.Networking.HasValue() {
		y := 0
		for _, l := range widget.WrapLine(wanLine(c, st), p.W-2, 2) {
			p.Line(1, y, p.W-2, l)
			y++
		}
		p = p.Sub(0, y, p.W, p.H-y)
	}
	s.lists.draw(c, s.state, p)
}

// wanLine is how the uplink of a host is, in a line.
func wanLine(c *screen.Context, st fleet.State) widget.Line {
	wan := st.Networking.Value.WAN()
	l := widget.L(themes.Dim, "WAN ").Join(Uplink(wan))
	if wan.Link != "" {
		rate := st.Rate(wan.Link)
		l = l.And(themes.Text, "  "+wan.Link).And(themes.Dim, "  in ").And(themes.Text, Rate(rate.Rx)).And(themes.Dim, "  out ").And(themes.Text, Rate(rate.Tx))
	}
	if wan.State == fleet.UplinkUp && c.W < screen.Narrow {
		return l
	}
	why := wan.Why
	if wan.Gateway != "" {
		why += " (" + wan.Gateway + ")"
	}
	return l.And(themes.Dim, "  "+why)
}

// Uplink is the state of an uplink in its colour.
func Uplink(u fleet.Uplink) widget.Line {
	switch u.State {
	case fleet.UplinkUp:
		return widget.L(themes.OK, "up")
	case fleet.UplinkDown:
		return widget.L(themes.Fail, "down")
	case fleet.UplinkNone:
		return widget.L(themes.Warn, "none")
	}
	return widget.L(themes.Unknown, "?")
}

// Rate is bytes a second, for people.
func Rate(v float64) string {
	if v < 0 {
		return "?"
	}
	return words.Bytes(uint64(v)) + "/s"
}

// Do implements screen.Screen.
func (s *Network) Do(c *screen.Context, id string) screen.Effect { return s.lists.do(c, s.state, id) }

// Tap implements screen.Screen: the first tap selects a row, one on the selected row
// opens it.
func (s *Network) Tap(c *screen.Context, target any) screen.Effect {
	return s.lists.tap(c, s.state, target)
}

// Back implements screen.Screen.
func (s *Network) Back(c *screen.Context) bool { return s.lists.back(c, s.state) }

// Target implements screen.Screen: the host.
func (s *Network) Target(*screen.Context) fleet.Target {
	return fleet.Target{Hosts: []fleet.State{s.state}}
}

// Focus implements screen.Screen: what passes through its links is measured.
func (s *Network) Focus(*screen.Context) fleet.Focus {
	return fleet.Focus{Host: s.host, Tab: fleet.TabNetwork}
}

// Finding implements screen.Finder.
func (s *Network) Finding() (text, label string) {
	t := s.lists.table()
	return t.filter, fmt.Sprintf("%d of %d", t.list.Len(), len(t.byID))
}

// Find implements screen.Finder.
func (s *Network) Find(c *screen.Context, text string, _ bool) { s.lists.table().find(c, text) }

// Copy implements screen.Copier: the address of a lease, the name of a link.
func (s *Network) Copy(*screen.Context) (what, text string) {
	if r, ok := s.lists.table().row(); ok {
		return "name", r.name
	}
	return "name", s.state.Host.Name
}
