package hostscreen

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// network is the screen of how one host is on its networks: links, WireGuard's peers,
// leases, queues and the firewall, one list at a time.
type network struct{ *page }

// networkNames are what the lists are called.
var networkNames = []string{"Links", "Peers", "Leases", "Queues", "Chains"}

// NewNetwork makes the screen of a place's host. While it is looked at, what passes
// through the host's links is measured.
func NewNetwork(p screen.Place) screen.Screen {
	return &network{&page{
		lists: &served{names: networkNames, views: []*tableTab{netLinks(), netPeers(), netLeases(), netQueues(), netChains()}},
		place: screen.Place{Screen: screen.Network, Host: p.Host}, title: "Network", groups: []string{"network", "deploys"},
		hints:  []string{"back", "enter", "view", "find", "menu", "shell", "refresh", "help"},
		opened: []string{"back", "menu", "copy", "shell", "help"}, what: "name", live: fleet.TabNetwork,
	}}
}

// Draw implements screen.Screen: how the WAN is stands above the lists.
func (s *network) Draw(c *screen.Context, p widget.Pane) {
	if st := s.state; s.table().open == "" && st.Networking.HasValue() {
		y := 0
		for _, l := range widget.WrapLine(wanLine(c, st), p.W-2, 2) {
			p.Line(1, y, p.W-2, l)
			y++
		}
		p = p.Sub(0, y, p.W, p.H-y)
	}
	s.page.Draw(c, p)
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
