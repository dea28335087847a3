package discover

import (
	"maps"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Merge makes hosts of sightings: what several sources saw of one machine
// becomes one host, and what is no host of the fleet is told with its reason.
// The sightings come in the order of their sources' word: what the first says
// goes before what later ones say. Merge is a pure function; both lists are
// sorted by name.
//
// It goes in four steps. Nodes of the tailnet come first, because their IDs
// are unique and last (a machine registered twice is one of them). Every other
// sighting joins the machine it fits best: by machine-id or host key, by
// address, by name, and last by names it had before. Then what history knows
// to be one machine is joined. At the end each machine is judged: a host, or
// something else.
func Merge(seen []Sighting, rules Rules, known []Identity) ([]fleet.Host, []fleet.Other) {
	m := &merger{all: seen, rules: rules, known: recollect(known), index: map[string][]*group{}, spread: map[string][]string{}}
	m.nodes()
	m.duplicates()
	m.tie()
	m.others()
	m.tie()
	return m.result()
}

// merger holds one run of Merge.
type merger struct {
	all    []Sighting
	rules  Rules
	known  memory
	groups []*group
	index  map[string][]*group // by the keys of what joined
	spread map[string][]string // source and first label → the names that share it
}

// group is one machine: what sources saw of it.
type group struct {
	members []int    // places in merger.all, in order
	old     []former // earlier registrations of the same machine
	called  string   // its name, where the node's own has a number it should not have
	known   *Identity
	gone    bool // joined another group
}

// former is an earlier registration of a node.
type former struct {
	member int
	why    string // "", or how it is known
}

func (m *merger) of(g *group) []Sighting {
	list := make([]Sighting, 0, len(g.members))
	for _, i := range g.members {
		list = append(list, m.all[i])
	}
	return list
}

// node is the group's node of the tailnet, nil where it has none.
func (m *merger) node(g *group) *Sighting {
	for _, i := range g.members {
		if m.all[i].NodeID != "" {
			return &m.all[i]
		}
	}
	return nil
}

func (m *merger) from(g *group, source string) bool {
	return slices.ContainsFunc(g.members, func(i int) bool { return m.all[i].Source == source })
}

// join adds a sighting to a group, or to a new one where g is nil.
func (m *merger) join(g *group, i int) *group {
	if g == nil {
		g = &group{}
		m.groups = append(m.groups, g)
	}
	at, _ := slices.BinarySearch(g.members, i)
	g.members = slices.Insert(g.members, at, i)
	s := m.all[i]
	if g.known == nil {
		if g.known = m.known.find(s); g.known != nil {
			m.enter(g, g.known.evidence()...)
			m.enter(g, prefixed("former:", append([]string{g.known.Name}, g.known.Former...))...)
		}
	}
	m.enter(g, indexKeys(s)...)
	return g
}

// enter lists a group under keys.
func (m *merger) enter(g *group, keys ...string) {
	for _, k := range keys {
		if !slices.Contains(m.index[k], g) {
			m.index[k] = append(m.index[k], g)
		}
	}
}

// nodes makes a group for each node of the tailnet.
func (m *merger) nodes() {
	byID := map[string]*group{}
	for i, s := range m.all {
		if s.NodeID != "" {
			byID[s.NodeID] = m.join(byID[s.NodeID], i)
		}
		for _, n := range append([]string{s.Name}, s.Aliases...) {
			k := s.Source + ":" + label(n)
			m.spread[k] = add(m.spread[k], dashed(n))
		}
	}
}

// others joins every sighting that is no node to the machine it fits, or makes
// it a machine of its own.
func (m *merger) others() {
	for i, s := range m.all {
		switch {
		case s.NodeID != "":
		case s.NotHost != "" && !s.Local:
			// A git service or a forwarded port leads elsewhere, whatever it is called.
			m.groups = append(m.groups, &group{members: []int{i}})
		default:
			m.join(m.home(s), i)
		}
	}
	for _, g := range m.groups {
		if g.known == nil && !g.gone {
			m.recall(g)
		}
	}
}

// recall finds what is remembered of a machine that only its name tells of. A
// remembered node that is still there, under whatever name, is not it.
func (m *merger) recall(g *group) {
	for _, n := range m.names(g) {
		k := m.known.byName[n]
		if k == nil || k.NodeID != "" && len(m.index["node:"+k.NodeID]) > 0 {
			continue
		}
		g.known = k
		m.enter(g, k.evidence()...)
		return
	}
}

// names are all names of a group, in the form they are compared in.
func (m *merger) names(g *group) []string {
	var out []string
	for _, s := range m.of(g) {
		out = add(add(out, canon(s.Name)), mapped(canon, s.Aliases)...)
	}
	for _, f := range g.old {
		out = add(out, canon(m.all[f.member].Name))
	}
	return out
}

func mapped(f func(string) string, list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, f(s))
	}
	return out
}

// tie joins groups that share a machine-id or a host key.
func (m *merger) tie() {
	for _, key := range slices.Sorted(maps.Keys(m.index)) {
		if !strings.HasPrefix(key, "machine:") && !strings.HasPrefix(key, "key:") || len(m.index[key]) < 2 {
			continue
		}
		groups := slices.DeleteFunc(slices.Clone(m.index[key]), func(g *group) bool { return g.gone || m.excuse(g) != "" && !m.guessed(g) })
		slices.SortFunc(groups, func(a, b *group) int { return a.members[0] - b.members[0] })
		for i := 1; i < len(groups); i++ {
			m.unite(groups[0], groups[i])
			if groups[0].gone { // the other is the machine in use
				groups[0] = groups[i]
			}
		}
	}
}

// unite makes one machine of two, unless something says that they are two.
func (m *merger) unite(g, other *group) {
	if g == other || g.gone || other.gone || m.from(g, SourceConfig) && m.from(other, SourceConfig) {
		return
	}
	a, b := m.node(g), m.node(other)
	if a != nil && b != nil {
		if a.Presence.Value.Online && b.Presence.Value.Online {
			return // one machine is not in the tailnet twice at a time: clones
		}
		if newer(*b, *a) {
			g, other = other, g
		}
		m.retire(other, g, "same SSH host key or machine-id")
		return
	}
	if a == nil && b != nil {
		g, other = other, g
	}
	m.absorb(g, other.members)
	other.gone = true
}

// absorb moves sightings to a group.
func (m *merger) absorb(g *group, members []int) {
	for _, i := range members {
		if !slices.Contains(g.members, i) {
			m.join(g, i)
		}
	}
}

// retire makes a group's node an earlier registration of another's.
func (m *merger) retire(old, g *group, why string) {
	for _, i := range old.members {
		if s := m.all[i]; s.NodeID != "" {
			g.old = append(g.old, former{i, why})
			m.enter(g, nameKeys(s)...)
		} else {
			m.absorb(g, []int{i})
		}
	}
	g.old = append(g.old, old.old...)
	old.gone = true
}

// excuse is why a group is no host as far as its sources say.
func (m *merger) excuse(g *group) string {
	for _, i := range g.members {
		if m.all[i].NotHost != "" {
			return m.all[i].NotHost
		}
	}
	return ""
}
