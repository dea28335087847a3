package discover

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Tailscale calls the second node whose system is called "storage" storage-1:
// mostly the same machine, registered anew while the old node was not removed.

// numbered is a name with such a number.
var numbered = regexp.MustCompile(`^(.+)-([0-9]{1,2})$`)

// Times of telling a duplicate from a sibling.
const (
	longGone = 7 * 24 * time.Hour // where it is not told when nodes joined
	overlap  = time.Hour          // old and new node may both be seen while a machine is set up
)

// stem is the name under which a node would be registered if it were free: the
// name without its number, where the system's own name proves the number's
// origin; proven is false where only the name looks like that.
func stem(s Sighting) (name string, proven bool) {
	parts := numbered.FindStringSubmatch(s.Name)
	if parts == nil {
		return s.Name, true
	}
	if dashed(s.HostName) == parts[1] {
		return parts[1], true
	}
	if parts[2] == "1" {
		return parts[1], false
	}
	return s.Name, true
}

// duplicates retires nodes that are earlier registrations of a machine.
func (m *merger) duplicates() {
	families := map[string][]*group{}
	var doubtful []*group
	for _, g := range m.groups {
		s := m.node(g)
		if m.excuse(g) != "" {
			continue
		}
		if name, proven := stem(*s); proven {
			families[name] = append(families[name], g)
		} else {
			doubtful = append(doubtful, g)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		m.family(name, families[name])
	}
	for _, g := range doubtful {
		name, _ := stem(*m.node(g))
		if m.pinned(*m.node(g)) {
			continue
		}
		for _, head := range m.index["name:"+name] {
			if !head.gone && m.node(head) != nil && m.excuse(head) == "" && outlived(*m.node(g), *m.node(head)) {
				m.retire(g, head, "")
				break
			}
		}
	}
}

// family settles which of the nodes of one system name is the machine. Where
// two are online there are two machines, and nothing is settled.
func (m *merger) family(name string, family []*group) {
	slices.SortFunc(family, func(a, b *group) int {
		if newer(*m.node(a), *m.node(b)) {
			return -1
		}
		return 1
	})
	first := m.node(family[0])
	for i, g := range family[1:] {
		s := m.node(g)
		if i == 0 && s.Presence.Value.Online {
			return
		}
		if strings.EqualFold(s.OS, first.OS) && !m.pinned(*s) {
			m.retire(g, family[0], "")
		}
	}
	if first.Name != name && !m.nameUsed(name) {
		family[0].called = name
		m.enter(family[0], "name:"+name, "bare:"+name, "tailnet:"+name)
	}
}

// nameUsed tells whether a node still goes by a name.
func (m *merger) nameUsed(name string) bool {
	return slices.ContainsFunc(m.groups, func(g *group) bool {
		return !g.gone && m.node(g) != nil && canon(m.node(g).Name) == name
	})
}

// newer tells whether node a is in use rather than b: the one that is online,
// else the one last seen, else the one that joined last.
func newer(a, b Sighting) bool {
	x, y := a.Presence.Value, b.Presence.Value
	switch {
	case x.Online != y.Online:
		return x.Online
	case !x.LastSeen.Equal(y.LastSeen):
		return x.LastSeen.After(y.LastSeen)
	case !a.Joined.Equal(b.Joined):
		return a.Joined.After(b.Joined)
	}
	return a.Name < b.Name
}

// outlived tells whether a node called NAME-1, of which nothing more is known,
// is an old registration of the machine NAME: it was never seen since that
// joined. A machine that merely is down now was seen beside its sibling.
func outlived(old, now Sighting) bool {
	seen := old.Presence.Value.LastSeen
	switch {
	case old.Presence.Value.Online, !now.Presence.Value.Online, !strings.EqualFold(old.OS, now.OS), seen.IsZero():
		return false
	case !now.Joined.IsZero():
		return seen.Before(now.Joined.Add(overlap))
	}
	return old.Presence.At.Sub(seen) > longGone
}

// pinned tells whether the configuration names a node by the number in its
// name or by a pattern, so that it is no duplicate whatever it looks like.
func (m *merger) pinned(s Sighting) bool {
	return matches(m.rules.Include, allNames(s), s.Tags) || numbered.MatchString(s.Name) && slices.ContainsFunc(m.all, func(c Sighting) bool {
		return c.Source == SourceConfig && slices.Contains(mapped(canon, allNames(s)), canon(c.Name))
	})
}

// matches tells whether one of the patterns fits one of the names or tags.
func matches(patterns, names, tags []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if tag, ok := strings.CutPrefix(p, "@"); ok {
			return slices.Contains(tags, strings.TrimPrefix(tag, "tag:"))
		}
		return slices.ContainsFunc(names, func(n string) bool {
			ok, err := path.Match(strings.ToLower(p), canon(n))
			return ok && err == nil
		})
	})
}
