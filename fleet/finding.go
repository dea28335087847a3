package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Finding is a problem with its host, and those that are likely its consequences.
type Finding struct {
	Host   string `json:"host"`
	HostID HostID `json:"hostId"`
	Problem
	Folded []Finding `json:"folded,omitempty"` // what it explains, worst first

	weight int // of the host's role
}

// FullKey names the finding in the whole fleet.
func (f Finding) FullKey() string { return FullKey(f.HostID, f.Key) }

// worst is where the finding stands among others, by the worst of what is in it.
func (f Finding) worst() int {
	r := f.rank()
	for _, c := range f.Folded {
		r = min(r, c.worst())
	}
	return r
}

// Findings are the problems of all hosts in one list, worst first, of those the hosts
// on which most depends and the newest, what is acknowledged last. What another problem explains is folded
// into that: a container into its unit, a host into the one that leads to it.
func (s Snapshot) Findings(now time.Time) []Finding { return fold(s.Listed(now)) }

// Listed are the same, one after the other: nothing is folded.
func (s Snapshot) Listed(now time.Time) []Finding {
	var list []Finding
	for _, st := range s.Hosts {
		way := s.wayTo(st)
		role, _ := st.Role()
		for _, p := range st.Problems(now) {
			if p.Of.Kind == KindHost && way != "" {
				p.Because = append(p.Because, way)
			}
			list = append(list, Finding{Host: st.Host.Name, HostID: st.Host.ID, Problem: p, weight: role.Weight()})
		}
	}
	return append(list, s.OfFleet(now)...)
}

// OfFleet are the findings that the facts of no single host tell.
func (s Snapshot) OfFleet(now time.Time) []Finding {
	list := append(s.sealedFindings(now), s.publicFindings(now)...)
	for i, f := range list {
		acks := s.Acks
		if st, ok := s.Host(f.HostID); ok {
			acks = st.Acks
		}
		if a, ok := acks[f.Key]; ok && a.Holds(f.Severity, now) {
			list[i].Acked = &a
		}
	}
	return list
}

// wayTo is the key of the problem that the host which leads to another would have;
// "" where none does.
func (s Snapshot) wayTo(st State) string {
	last := st.Host.Jump[strings.LastIndexByte(st.Host.Jump, ',')+1:]
	last = last[strings.LastIndexByte(last, '@')+1:]
	name, _, _ := strings.Cut(last, ":")
	if jump, ok := s.Named(name); ok && name != "" {
		return FullKey(jump.Host.ID, Object{Kind: KindHost}.Key())
	}
	return ""
}

// fold puts each finding under the first that explains it. Of findings that explain
// each other one stays on top.
func fold(list []Finding) []Finding {
	at := map[string]int{}
	for i, f := range list {
		if _, two := at[f.FullKey()]; !two {
			at[f.FullKey()] = i
		}
	}
	parent := make([]int, len(list))
	for i := range parent {
		parent[i] = -1
	}
	for i, f := range list {
		for _, key := range f.Because {
			up, ok := at[key]
			if !ok {
				up, ok = at[FullKey(f.HostID, key)]
			}
			if ok && !above(parent, up, i) {
				parent[i] = up
				break
			}
		}
	}
	return gathered(list, parent, -1)
}

// above tells whether a finding is another, or is folded under it.
func above(parent []int, at, other int) bool {
	for at >= 0 && at != other {
		at = parent[at]
	}
	return at == other
}

// gathered are the findings under one, with theirs.
func gathered(list []Finding, parent []int, under int) []Finding {
	var out []Finding
	for i, f := range list {
		if parent[i] == under {
			f.Folded = gathered(list, parent, i)
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.worst(), b.worst()), cmp.Compare(a.weight, b.weight), b.Since.Compare(a.Since))
	})
	return out
}
