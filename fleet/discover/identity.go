package discover

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Identity is what is remembered of a host, from history or from earlier in
// this process, so that it keeps its ID when it is renamed, registered anew or
// found by another source. Machines cloned with the same machine-id or host
// key look like one; a [[host]] for each tells them apart.
type Identity struct {
	ID        fleet.HostID
	Name      string   // what it was called last
	Former    []string // what it was called before
	NodeID    string
	MachineID string
	HostKeys  []string // authorized_keys form
}

// IdentityOf is what to remember of a host.
func IdentityOf(h fleet.Host) Identity {
	return Identity{ID: h.ID, Name: h.Name, NodeID: h.NodeID, MachineID: h.MachineID, HostKeys: h.HostKeys}
}

// Remember gives the table with what is now known of hosts: newer words
// replace older ones, and names they no longer have become former names. The
// table that was given is not changed.
func Remember(known []Identity, now ...Identity) []Identity {
	known = slices.Clone(known)
	at := make(map[fleet.HostID]int, len(known))
	for i, k := range known {
		at[k.ID] = i
	}
	for _, n := range now {
		if i, ok := at[n.ID]; ok {
			known[i] = known[i].updated(n)
			continue
		}
		at[n.ID] = len(known)
		known = append(known, n)
	}
	return known
}

// updated is the identity with what is newly known of it.
func (k Identity) updated(now Identity) Identity {
	if now.Name != "" && canon(now.Name) != canon(k.Name) {
		former := slices.DeleteFunc(slices.Clone(k.Former), func(n string) bool { return canon(n) == canon(now.Name) })
		k.Former, k.Name = add(former, k.Name), now.Name
	}
	k.NodeID, k.MachineID = cmp.Or(now.NodeID, k.NodeID), cmp.Or(now.MachineID, k.MachineID)
	if len(now.HostKeys) > 0 {
		k.HostKeys = now.HostKeys
	}
	return k
}

// evidence are the keys by which identities and sightings of one machine meet.
func evidence(machineID string, hostKeys []string) []string {
	var keys []string
	if machineID != "" {
		keys = append(keys, "machine:"+machineID)
	}
	for _, k := range hostKeys {
		if k = hostKey(k); k != "" {
			keys = append(keys, "key:"+k)
		}
	}
	return keys
}

func (k Identity) evidence() []string { return evidence(k.MachineID, k.HostKeys) }

// memory finds remembered hosts by what can be known of them.
type memory struct{ byNode, byMark, byName map[string]*Identity }

func recollect(known []Identity) memory {
	m := memory{map[string]*Identity{}, map[string]*Identity{}, map[string]*Identity{}}
	put := func(in map[string]*Identity, key string, k *Identity) {
		if _, have := in[key]; !have && key != "" {
			in[key] = k
		}
	}
	for i := range known {
		k := &known[i]
		put(m.byNode, k.NodeID, k)
		put(m.byName, canon(k.Name), k)
		for _, e := range k.evidence() {
			put(m.byMark, e, k)
		}
	}
	return m
}

// find gives what is remembered of a sighting's machine, by what is the
// machine's own; nil when nothing is.
func (m memory) find(s Sighting) *Identity {
	if k := m.byNode[s.NodeID]; k != nil {
		return k
	}
	for _, e := range evidence(s.MachineID, s.HostKeys) {
		if k := m.byMark[e]; k != nil {
			return k
		}
	}
	return nil
}

// giveIDs gives every host its ID: the remembered one where the host is
// recognised, by the best evidence first; else a new one.
func (m memory) giveIDs(hosts []fleet.Host) {
	taken := map[fleet.HostID]bool{}
	claim := func(find func(fleet.Host) *Identity) {
		for i := range hosts {
			h := &hosts[i]
			if h.ID != "" {
				continue
			}
			if k := find(*h); k != nil && !taken[k.ID] {
				h.ID, taken[k.ID] = k.ID, true
				h.Aliases = add(add(h.Aliases, k.Name), k.Former...)
				h.MachineID = cmp.Or(h.MachineID, k.MachineID)
			}
		}
	}
	claim(func(h fleet.Host) *Identity { return m.byNode[h.NodeID] })
	claim(func(h fleet.Host) *Identity { return m.find(Sighting{MachineID: h.MachineID, HostKeys: h.HostKeys}) })
	claim(func(h fleet.Host) *Identity { return m.byName[canon(h.Name)] })
	for i := range hosts {
		if hosts[i].ID == "" {
			hosts[i].ID = newID(hosts[i], taken)
		}
	}
}

func newID(h fleet.Host, taken map[fleet.HostID]bool) fleet.HostID {
	base := "name:" + strings.ToLower(h.Name)
	if h.NodeID != "" {
		base = "ts:" + h.NodeID
	}
	id := fleet.HostID(base)
	for n := 2; taken[id]; n++ { // a renamed host keeps the ID of its first name
		id = fleet.HostID(base + "~" + strconv.Itoa(n))
	}
	taken[id] = true
	return id
}
