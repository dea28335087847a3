package discover

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// result judges every group and gives the hosts and the others, by name.
func (m *merger) result() ([]fleet.Host, []fleet.Other) {
	hosts, others := []fleet.Host{}, []fleet.Other{}
	for _, g := range m.groups {
		if g.gone {
			continue
		}
		h := m.host(g)
		if why := m.verdict(g, h); why != "" {
			others = append(others, fleet.Other{Name: h.Name, Why: why, Sources: h.Sources, NodeID: h.NodeID})
		} else {
			hosts = append(hosts, h)
		}
		for _, f := range g.old {
			others = append(others, duplicateOf(h.Name, m.all[f.member], f.why))
		}
	}
	byName(hosts)
	m.known.giveIDs(hosts)
	tidyNames(hosts)
	byName(hosts)
	slices.SortFunc(others, func(a, b fleet.Other) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Why, b.Why))
	})
	return hosts, others
}

func duplicateOf(name string, old Sighting, why string) fleet.Other {
	o := fleet.Other{Name: old.Name, Why: "duplicate of " + name, Sources: []string{old.Source}, NodeID: old.NodeID, Duplicate: name}
	if canon(old.Name) == canon(name) {
		o.Why = "earlier registration of " + name
	}
	if why != "" {
		o.Why += ": " + why
	}
	return o
}

func byName(hosts []fleet.Host) {
	slices.SortStableFunc(hosts, func(a, b fleet.Host) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.NodeID, b.NodeID))
	})
}

// verdict says why a group is no host, "" where it is one. The configuration
// goes first: a name it excludes, a [[host]], a pattern that excludes, one that includes.
func (m *merger) verdict(g *group, h fleet.Host) string {
	names := append(m.names(g), h.Name)
	exact := slices.DeleteFunc(slices.Clone(m.rules.Exclude), func(p string) bool { return strings.ContainsAny(p, `*?[\@`) })
	inFlake := m.from(g, SourceFlake)
	switch {
	case matches(exact, names, h.Tags):
		return "excluded by the configuration"
	case m.from(g, SourceConfig):
		return ""
	case matches(m.rules.Exclude, names, h.Tags):
		return "excluded by the configuration"
	case matches(m.rules.Include, names, h.Tags):
		return ""
	case m.excuse(g) != "" && (!inFlake || !m.guessed(g)):
		return m.excuse(g)
	case !slices.ContainsFunc(m.of(g), func(s Sighting) bool { return !s.Weak }):
		return "seen on the local network only: name it in include to manage it"
	case !h.Local && !slices.ContainsFunc(m.of(g), func(s Sighting) bool { return len(s.Addresses) > 0 }):
		return "only in the flake: no address known"
	}
	return ""
}

// host makes the host of a group.
func (m *merger) host(g *group) fleet.Host {
	seen := m.of(g)
	h := fleet.Host{Name: m.nameOf(g)}
	for _, s := range seen {
		h.Sources = add(h.Sources, s.Source)
		if !s.Weak { // no neighbour chooses what a host here is called
			h.Aliases = add(add(h.Aliases, s.Name, s.Flake), s.Aliases...)
		}
		if own := canon(s.HostName); validHostName(own) && !slices.Contains(commonNames, own) {
			h.Aliases = add(h.Aliases, own)
		}
		h.Tags, h.Checks = add(h.Tags, s.Tags...), add(h.Checks, s.Checks...)
		h.NeverBuild = h.NeverBuild || s.NeverBuild
		if h.Role == "" && s.Role != "" {
			h.Role, h.RoleFrom = s.Role, tellers[s.Source]
		}
		if h.Tier == "" && s.Tier != "" {
			h.Tier, h.TierFrom = s.Tier, tellers[s.Source]
		}
		h.OS, h.NodeID, h.MachineID = cmp.Or(h.OS, s.OS), cmp.Or(h.NodeID, s.NodeID), cmp.Or(h.MachineID, s.MachineID)
		h.Local, h.TailscaleOK = h.Local || s.Local, h.TailscaleOK || s.TailscaleOK
		if s.NodeID != "" && len(h.HostKeys) == 0 {
			h.HostKeys = s.HostKeys // those of other sources nobody vouches for
		}
		if s.Presence.Current() && !h.Presence.Current() || s.Presence.HasValue() && !h.Presence.HasValue() {
			h.Presence = s.Presence
		}
	}
	for _, f := range g.old {
		h.Aliases = add(h.Aliases, m.all[f.member].Name)
	}
	if g.known != nil {
		h.MachineID = cmp.Or(h.MachineID, g.known.MachineID)
	}
	m.way(g, &h)
	return h.Told()
}

// tellers are the sources that tell a host's role or tier, in the words of a person.
var tellers = map[string]string{SourceConfig: fleet.ByConfig, SourceFlake: fleet.ByFlake}

// commonNames are names of systems nobody named.
var commonNames = []string{"localhost", "nixos", "debian", "ubuntu", "raspberrypi", "raspberry", "unnamed"}

// nameOf is what a machine is called here: as the configuration says, else as
// the tailnet does, else as the first source that knows it.
func (m *merger) nameOf(g *group) string {
	seen := m.of(g)
	for _, s := range seen {
		if s.Source == SourceConfig {
			return s.Name
		}
	}
	if g.called != "" {
		return g.called
	}
	if n := m.node(g); n != nil {
		return n.Name
	}
	return seen[0].Name
}

// way sets how the host is reached. Of each source the sighting that fits the
// host's name best speaks; what the first source says goes before the others.
func (m *merger) way(g *group, h *fleet.Host) {
	w := wayTo{host: h, node: m.node(g)}
	w.near = m.from(g, SourceTailscale)
	if w.node != nil {
		w.tailnet = mapped(canon, allNames(*w.node))
		for _, a := range w.node.Addresses {
			w.tailnet = append(w.tailnet, canon(a.Host))
		}
		w.tailnet = add(w.tailnet, canon(g.called))
	}
	spoken := map[string]bool{}
	for _, s := range bestFirst(m.of(g), h.Name) {
		own := w.addresses(s)
		if !spoken[s.Source] {
			w.settings(s, own)
		}
		spoken[s.Source] = true
	}
	if len(h.Addresses) == 0 && !h.Local {
		h.Addresses = append(w.bare, fleet.Address{Via: fleet.ViaConfig, Host: h.Name})[:1]
	}
}

// bestFirst sorts sightings so that within each source those come first whose
// name is the host's.
func bestFirst(seen []Sighting, name string) []Sighting {
	fit := func(s Sighting) int {
		switch {
		case canon(s.Name) == canon(name):
			return 0
		case dashed(s.Name) == dashed(name):
			return 1
		case s.Port == 0:
			return 2
		}
		return 3 // another port is another server: that of the initrd, of a container
	}
	first := map[string]int{}
	for i, s := range seen {
		if _, ok := first[s.Source]; !ok {
			first[s.Source] = i
		}
	}
	slices.SortStableFunc(seen, func(a, b Sighting) int {
		return cmp.Or(first[a.Source]-first[b.Source], fit(a)-fit(b))
	})
	return seen
}

// wayTo collects the addresses and settings of one host.
type wayTo struct {
	host    *fleet.Host
	node    *Sighting
	near    bool     // this machine is in the tailnet and can use its addresses
	tailnet []string // names and addresses that lead to the node
	bare    []fleet.Address
}

// addresses adds the addresses of a sighting and tells whether it has any that
// lead another way than the tailnet.
func (w *wayTo) addresses(s Sighting) (own bool) {
	for _, a := range s.Addresses {
		switch {
		case a.Via == fleet.ViaLocal, a.Via == fleet.ViaTailnet:
			w.add(a)
			continue
		case slices.Contains(w.tailnet, canon(a.Host)):
			continue // the node's own addresses lead there too
		case canon(a.Host) == canon(s.Name) && !strings.Contains(a.Host, ".") && !isIP(a.Host):
			w.bare = append(w.bare, a) // only a resolver may know: for want of a better one
			continue
		case w.near && s.Jump != "" && s.Source != SourceConfig:
			continue // one jump is for all addresses, and the tailnet needs none
		}
		own = true
		if a.Port == 0 && s.Source != SourceConfig {
			a.Port = s.Port
		}
		w.add(a)
	}
	return own
}

func (w *wayTo) add(a fleet.Address) {
	if !slices.Contains(w.host.Addresses, a) {
		w.host.Addresses = append(w.host.Addresses, a)
	}
}

// settings takes what a sighting says of logging in, where no source before
// said it. Port and jump belong to the sighting's own address, if it has one.
func (w *wayTo) settings(s Sighting, own bool) {
	h := w.host
	h.User, h.Identity, h.Flake = cmp.Or(h.User, s.User), cmp.Or(h.Identity, s.Identity), cmp.Or(h.Flake, s.Flake)
	h.Become = cmp.Or(h.Become, s.Become)
	if s.Source == SourceConfig || w.node == nil || !own {
		h.Port = cmp.Or(h.Port, s.Port)
	}
	if s.Source == SourceConfig || !w.near || s.Jump != "" && !own && w.named(s) {
		h.Jump = cmp.Or(h.Jump, s.Jump)
	}
}

// named tells whether the sighting's address is one of the tailnet's: its jump
// is then the way into the tailnet.
func (w *wayTo) named(s Sighting) bool {
	return slices.ContainsFunc(s.Addresses, func(a fleet.Address) bool { return slices.Contains(w.tailnet, canon(a.Host)) })
}

// tidyNames makes names unique, and takes out aliases that could mean another
// host: a selector must never pick a host by somebody else's name.
func tidyNames(hosts []fleet.Host) {
	taken := map[string]bool{}
	for i := range hosts {
		h := &hosts[i]
		h.Name = freeName(*h, taken)
		taken[canon(h.Name)] = true
	}
	claims := map[string]int{}
	for i := range hosts {
		var keep []string
		for _, a := range hosts[i].Aliases {
			if !isIP(a) && !taken[canon(a)] {
				keep = add(keep, a)
			}
		}
		hosts[i].Aliases = keep
		for _, a := range keep {
			claims[canon(a)]++
		}
	}
	for i := range hosts {
		hosts[i].Aliases = slices.DeleteFunc(hosts[i].Aliases, func(a string) bool { return claims[canon(a)] > 1 })
	}
}

func freeName(h fleet.Host, taken map[string]bool) string {
	for _, n := range append([]string{h.Name}, h.Aliases...) {
		if n != "" && !taken[canon(n)] {
			return n
		}
	}
	for n := 2; ; n++ {
		if name := h.Name + "~" + strconv.Itoa(n); !taken[canon(name)] {
			return name
		}
	}
}
