package fleetscreen

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// grouping is by what the hosts are parted.
type grouping struct {
	title string
	of    func(fleet.State) string   // "" is none
	order func(a, b fleet.State) int // of hosts of different groups
	none  string                     // what is said of hosts without one
}

// groupings are those there are; the first leaves the hosts by name.
var groupings = []grouping{
	{},
	{title: "by role", of: roleOf, none: "no role", order: func(a, b fleet.State) int {
		return cmp.Compare(fleet.Role(roleOf(a)).Weight(), fleet.Role(roleOf(b)).Weight())
	}},
	{title: "by tier", of: func(st fleet.State) string { return st.Host.Tier }, none: "no tier", order: func(a, b fleet.State) int {
		return fleet.CompareTiers(a.Host.Tier, b.Host.Tier)
	}},
}

func roleOf(st fleet.State) string {
	role, _ := st.Role()
	return string(role)
}

// parted puts the hosts of each group together, and notes what stands above them.
func (s *Screen) parted(hosts []fleet.State) []fleet.State {
	g := groupings[s.group]
	s.heads, s.groups = nil, 0
	if g.of == nil {
		return hosts
	}
	slices.SortStableFunc(hosts, g.order)
	count := map[string]int{}
	for _, st := range hosts {
		count[g.of(st)]++
	}
	s.groups = len(count)
	s.heads = make(map[string]widget.Line, len(hosts))
	for _, st := range hosts {
		s.heads[string(st.Host.ID)] = widget.L(themes.Title, cmp.Or(g.of(st), g.none)).And(themes.Dim, " "+strconv.Itoa(count[g.of(st)]))
	}
	return hosts
}

// regroup parts the hosts by the next of the groupings.
func (s *Screen) regroup(c *screen.Context) screen.Effect {
	s.group = (s.group + 1) % len(groupings)
	s.apply(c)
	return screen.Flash{Level: fleet.Info, Text: "hosts " + cmp.Or(groupings[s.group].title, "by name")}
}
