package fleet

import (
	"cmp"
	"slices"
)

// Share is how much of something is in use.
type Share struct {
	What  string  `json:"what"`  // "cpu", "memory", "disk /srv", "pressure io"
	Share float64 `json:"share"` // 0…1
}

// Worst is of what the host has least left; of no measurement at all it is zero.
// Of memory and disks that is what they hold, of the cpu and of pressure the share
// of time.
func (m Metrics) Worst() Share {
	list := m.shares()
	if len(list) == 0 {
		return Share{}
	}
	return slices.MaxFunc(list, func(a, b Share) int { return cmp.Compare(a.Share, b.Share) })
}

func (m Metrics) shares() []Share {
	var list []Share
	if m.CPU >= 0 {
		list = append(list, Share{"cpu", m.CPU})
	}
	if m.Memory.Total > 0 {
		list = append(list, Share{"memory", float64(m.Memory.Used) / float64(m.Memory.Total)})
	}
	for _, d := range m.Disks {
		list = append(list, Share{"disk " + d.Mount, d.Fraction()})
	}
	for _, kind := range []string{"cpu", "memory", "io"} {
		if v, ok := m.Pressure[kind]; ok {
			list = append(list, Share{"pressure " + kind, v})
		}
	}
	return list
}

// Hottest is the highest temperature; false where none is told.
func (m Metrics) Hottest() (Temperature, bool) {
	if len(m.Temps) == 0 {
		return Temperature{}, false
	}
	return slices.MaxFunc(m.Temps, func(a, b Temperature) int { return cmp.Compare(a.Celsius, b.Celsius) }), true
}

// WorstFirst puts those hosts first that have least left of something, and last
// those that do not tell now.
func WorstFirst(states []State) []State {
	out := slices.Clone(states)
	slices.SortStableFunc(out, func(a, b State) int { return cmp.Compare(b.worst(), a.worst()) })
	return out
}

func (s State) worst() float64 {
	if !s.Metrics.Current() {
		return -1
	}
	return s.Metrics.Value.Worst().Share
}
