package history

import (
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of what is kept of one host, against hosts that tell nonsense.
const (
	maxContainers  = 2000
	maxUnits       = 2000
	maxGenerations = 1000
	maxDeploys     = 100
	maxJobs        = 500
	maxAlarms      = 1000
	maxListens     = 2000
	maxProxies     = 50
	maxServices    = 200
	maxMonitors    = 50
	maxDNS         = 30
)

// fact is a fleet.Fact in the file. It is not written by the fact's own
// MarshalJSON, whose form is for other programs and slow to read.
type fact[T any] struct {
	Value  *T        `json:"value,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Source string    `json:"source,omitempty"`
	None   string    `json:"none,omitempty"` // why there is nothing to read
}

func keep[T any](f fleet.Fact[T]) fact[T] {
	out := fact[T]{Source: f.Source}
	switch {
	case f.HasValue():
		out.Value, out.At = &f.Value, f.At.UTC()
	case f.None:
		out.None, out.At = f.Err, f.ErrAt.UTC()
	}
	return out
}

// give is the fact as this process may take it up: never as current.
func (k fact[T]) give(now time.Time) fleet.Fact[T] {
	switch {
	case k.Value != nil && !k.At.IsZero():
		return fleet.Known(*k.Value, k.At, k.Source).Remember(now)
	case k.None != "":
		return fleet.Nothing[T](k.None, k.At, k.Source)
	}
	return fleet.Fact[T]{}
}

// host is what is kept of one host.
type host struct {
	Host        fleet.Host               `json:"host"`
	Reach       fact[fleet.Reach]        `json:"reach,omitzero"`
	System      fact[fleet.System]       `json:"system,omitzero"`
	Inventory   fact[fleet.Inventory]    `json:"inventory,omitzero"`
	Generations fact[[]fleet.Generation] `json:"generations,omitzero"`
	Deploys     fact[[]fleet.Deploy]     `json:"deploys,omitzero"`
	Units       fact[[]fleet.Unit]       `json:"units,omitzero"`
	Containers  fact[[]fleet.Container]  `json:"containers,omitzero"`
	Backups     fact[[]fleet.BackupJob]  `json:"backups,omitzero"`
	Metrics     fact[fleet.Metrics]      `json:"metrics,omitzero"`
	Alarms      fact[[]fleet.Alarm]      `json:"alarms,omitzero"`
	Listens     fact[[]fleet.Listener]   `json:"listens,omitzero"`
	Left        []fleet.Left             `json:"left,omitempty"`
	Sites       fact[[]fleet.Proxy]      `json:"sites,omitzero"`
	Services    fact[[]fleet.Service]    `json:"services,omitzero"`
	Secrets     fact[fleet.HostSecrets]  `json:"secrets,omitzero"`
	Firewall    fact[fleet.Firewall]     `json:"firewall,omitzero"`
	Monitors    fact[[]fleet.Monitor]    `json:"monitors,omitzero"`
	DNS         fact[[]fleet.DNSServer]  `json:"dns,omitzero"`
	MDNS        fact[[]fleet.MDNS]       `json:"mdns,omitzero"`
	Networking  fact[fleet.Networking]   `json:"networking,omitzero"`
	NetChanges  []fleet.NetChange        `json:"netChanges,omitempty"`
	WAN         *fleet.Uplink            `json:"wan,omitempty"`
	Declared    fact[fleet.Declared]     `json:"declared,omitzero"`
}

func keepHost(s fleet.State) host {
	s.Host.Checks = nil // the configuration tells them anew, and a URL in them may hold a password
	return host{
		Host:        s.Host,
		Reach:       keep(s.Reach),
		System:      keep(s.System),
		Inventory:   keep(s.Inventory),
		Generations: keep(first(s.Generations, maxGenerations)),
		Deploys:     keep(first(s.Deploys, maxDeploys)),
		Units:       keep(first(telling(s), maxUnits)),
		Containers:  keep(first(silent(s.Containers), maxContainers)),
		Backups:     keep(first(s.Backups, maxJobs)),
		Metrics:     keep(s.Metrics),
		Alarms:      keep(first(s.Alarms, maxAlarms)),
		Listens:     keep(first(s.Listens, maxListens)),
		Left:        s.Left,
		Sites:       keep(first(s.Sites, maxProxies)),
		Services:    keep(first(s.Services, maxServices)),
		Secrets:     keep(s.Secrets), // its lists are bounded where they are read
		Firewall:    keep(s.Firewall),
		Monitors:    keep(first(s.Monitors, maxMonitors)),
		DNS:         keep(first(s.DNS, maxDNS)),
		MDNS:        keep(first(s.MDNS, maxDNS)),
		Networking:  keep(s.Networking), // its lists are bounded where they are read
		NetChanges:  s.NetChanges,
		WAN:         s.WAN,
		Declared:    keep(fleet.Derive(s.Declared, fleet.Declared.Brief)), // its lists are bounded where they are read
	}
}

func (k host) state(now time.Time) fleet.State {
	k.Host.Presence = k.Host.Presence.Remember(now)
	return fleet.State{
		Host:        k.Host,
		Reach:       k.Reach.give(now),
		System:      k.System.give(now),
		Inventory:   k.Inventory.give(now),
		Generations: k.Generations.give(now),
		Deploys:     k.Deploys.give(now),
		Units:       k.Units.give(now),
		Containers:  k.Containers.give(now),
		Backups:     k.Backups.give(now),
		Metrics:     k.Metrics.give(now),
		Alarms:      k.Alarms.give(now),
		Listens:     k.Listens.give(now),
		Left:        k.Left[:min(len(k.Left), maxListens)],
		Sites:       k.Sites.give(now),
		Services:    k.Services.give(now),
		Secrets:     k.Secrets.give(now),
		Firewall:    k.Firewall.give(now),
		Monitors:    k.Monitors.give(now),
		DNS:         k.DNS.give(now),
		MDNS:        k.MDNS.give(now),
		Networking:  k.Networking.give(now),
		WAN:         k.WAN,
		NetChanges:  k.NetChanges[:min(len(k.NetChanges), fleet.MaxNetChanges)],
		Declared:    k.Declared.give(now),
	}
}

// first cuts a list that is too long. An empty one is written as such: that
// nothing had failed is known too, and null would be read as never told.
func first[T any](f fleet.Fact[[]T], n int) fleet.Fact[[]T] {
	f.Value = f.Value[:min(n, len(f.Value))]
	if f.Value == nil {
		f.Value = []T{}
	}
	return f
}

// unitOf names the unit that owns a container.
func unitOf(c fleet.Container) fleet.Unit {
	u := fleet.Unit{Name: c.Unit}
	if c.UserUnit {
		u.User = c.User
	}
	return u
}

// telling are the units that a first look needs: those that failed, and in
// short those that own a container, save data or tell what the host is for. The others are read again
// soon enough.
func telling(s fleet.State) fleet.Fact[[]fleet.Unit] {
	owners := map[string]bool{} // by label
	for _, c := range s.Containers.Value {
		owners[unitOf(c).Label()] = true
	}
	for _, j := range s.Backups.Value {
		owners[j.Unit] = true
	}
	return fleet.Derive(s.Units, func(units []fleet.Unit) []fleet.Unit {
		var kept []fleet.Unit
		for _, u := range units {
			switch {
			case u.Failed():
				kept = append(kept, u)
			case owners[u.Label()], u.TellsRole():
				kept = append(kept, fleet.Unit{Name: u.Name, User: u.User, Load: u.Load, Active: u.Active, Sub: u.Sub, Type: u.Type})
			}
		}
		return kept
	})
}

// silent leaves out what containers run: their arguments may hold secrets.
func silent(f fleet.Fact[[]fleet.Container]) fleet.Fact[[]fleet.Container] {
	return fleet.Derive(f, func(list []fleet.Container) []fleet.Container {
		list = slices.Clone(list)
		for i := range list {
			list[i].Command = nil
		}
		return list
	})
}
