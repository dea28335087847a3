package discover

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Machines are found by keys: each sighting that joined a machine is listed
// under indexKeys, and a newcomer looks under searchKeys, best evidence first.

func prefixed(prefix string, names []string) []string {
	var out []string
	for _, n := range names {
		if n != "" {
			out = append(out, prefix+canon(n))
		}
	}
	return out
}

func allNames(s Sighting) []string {
	return slices.DeleteFunc(append([]string{s.Name}, s.Aliases...), func(n string) bool { return n == "" })
}

// nameKeys are the keys of a sighting's names.
func nameKeys(s Sighting) []string {
	var keys []string
	for _, n := range allNames(s) {
		keys = append(keys, "name:"+canon(n), "dashed:"+dashed(n))
		if !strings.Contains(n, ".") {
			keys = append(keys, "bare:"+canon(n))
		} else if inHouse(n) {
			keys = append(keys, "first:"+label(n))
		}
	}
	return keys
}

// inHouse tells whether a dotted name is likely the full form of a short one:
// "eve.i", "storage.lan", a tailnet's own names; not "www.example.com".
func inHouse(name string) bool {
	name = canon(name)
	return !isIP(name) && (strings.Count(name, ".") == 1 || strings.HasSuffix(name, ".ts.net") || strings.HasSuffix(name, ".home.arpa"))
}

// indexKeys are the keys under which a sighting's machine is found.
func indexKeys(s Sighting) []string {
	keys := append(nameKeys(s), evidence(s.MachineID, s.HostKeys)...)
	if s.Local {
		keys = append(keys, "local")
	}
	if s.NodeID != "" {
		keys = append(keys, "node:"+s.NodeID)
		keys = append(keys, prefixed("tailnet:", allNames(s))...)
		if s.HostName != "" {
			keys = append(keys, "system:"+canon(s.HostName))
		}
	}
	return append(keys, addressKeys(s)...)
}

// addressKeys are the keys of a sighting's addresses. An address of the tailnet
// is one machine's; any other is one machine's only with its port and the jump
// before it: behind one public name there may be a machine for each port, and
// the same private address at every site.
func addressKeys(s Sighting) []string {
	var keys []string
	for _, a := range s.Addresses {
		if a.Via == fleet.ViaLocal {
			continue
		}
		if a.Via == fleet.ViaTailnet {
			keys = append(keys, "tailnet:"+canon(a.Host))
			continue
		}
		port := a.Port
		if port == 0 {
			port = s.Port
		}
		if port == 0 {
			port = 22
		}
		keys = append(keys, "address:"+canon(a.Host)+"|"+strconv.Itoa(port)+"|"+s.Jump)
	}
	return keys
}

// searchKeys are the keys under which a newcomer looks for its machine, level
// after level: the first level with exactly one machine decides.
func (m *merger) searchKeys(s Sighting) [][]string {
	own := evidence(s.MachineID, s.HostKeys)
	if s.Local {
		own = append(own, "local")
	}
	byAddress := addressKeys(s)
	for _, a := range s.Addresses {
		if a.Via != fleet.ViaLocal {
			byAddress = append(byAddress, "tailnet:"+canon(a.Host))
		}
	}
	var dots, firsts []string
	for _, n := range allNames(s) {
		dots = append(dots, "dashed:"+dashed(n))
		if len(m.spread[s.Source+":"+label(n)]) > 1 {
			continue // "dev.ldn" and "dev.oslo" are not both "dev"
		}
		if !strings.Contains(n, ".") {
			firsts = append(firsts, "first:"+canon(n))
		} else if inHouse(n) {
			firsts = append(firsts, "bare:"+label(n))
		}
	}
	levels := [][]string{own, byAddress, prefixed("name:", allNames(s)), dots, firsts}
	if !s.Weak { // a neighbour's word is not enough to reach back in history
		levels = append(levels, prefixed("former:", allNames(s)), prefixed("system:", allNames(s)))
	}
	return levels
}

// sureLevels are how many of searchKeys' levels are more than likeness of names.
const sureLevels = 2

// home finds the machine a sighting belongs to, nil where there is none yet.
// Hosts are tried before nodes that are none: a phone and a machine may share
// a name.
func (m *merger) home(s Sighting) *group {
	levels := m.searchKeys(s)
	for _, hosts := range []bool{true, false} {
		for n, keys := range levels {
			var found []*group
			for _, k := range keys {
				for _, g := range m.index[k] {
					if !slices.Contains(found, g) && m.fits(g, s, hosts, n < sureLevels) {
						found = append(found, g)
					}
				}
			}
			if len(found) == 1 {
				return found[0]
			}
		}
	}
	return nil
}

// fits tells whether a sighting may join a group that has one of its keys.
func (m *merger) fits(g *group, s Sighting, hosts, sure bool) bool {
	excuse := m.excuse(g)
	switch {
	case g.gone, hosts != (excuse == ""):
		return false
	case s.Source == SourceConfig && m.from(g, SourceConfig):
		return false // each [[host]] is a machine of its own
	case s.Local && m.node(g) != nil && !m.node(g).Local && m.node(g).Source == SourceTailscale:
		return false // tailscaled says which node we are, and it is not this one
	case excuse == "", sure, s.Weak, s.Source == SourceConfig, m.guessed(g):
		return true
	}
	// Somebody's machine may be called like a service node: it has an address of its own.
	return !slices.ContainsFunc(s.Addresses, func(a fleet.Address) bool { return canon(a.Host) != canon(s.Name) })
}

// guessed tells whether all that keeps a group from being a host is a guess.
func (m *merger) guessed(g *group) bool {
	return !slices.ContainsFunc(g.members, func(i int) bool { return m.all[i].NotHost != "" && !m.all[i].Guess })
}
