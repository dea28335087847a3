package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
)

// finder tells who is in the fleet: the sources of discovery, or a fleet that
// does not exist.
type finder interface {
	// once tells it when that has settled; thorough, sources that answer
	// slowly are waited for.
	once(ctx context.Context, tell found, thorough bool) error
	// follow tells it now and on every change, until ctx ends.
	follow(ctx context.Context, tell found) error
}

// found takes hosts, what is no host, and how the sources are doing.
type found func([]fleet.Host, []fleet.Other, []fleet.SourceState)

// discovery finds hosts by the person's own sources.
type discovery struct{ a *app }

func (d discovery) once(ctx context.Context, tell found, thorough bool) error {
	o := d.options(nil)
	o.Quick, o.Thorough = !thorough, thorough
	f, err := discover.Once(ctx, o)
	tell(f.Hosts, f.Others, f.Sources)
	return err
}

func (d discovery) follow(ctx context.Context, tell found) error {
	learned := make(chan discover.Identity)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.learn(ctx, learned)
	return discover.Discover(ctx, d.options(learned), func(f discover.Found) { tell(f.Hosts, f.Others, f.Sources) })
}

func (d discovery) options(learned <-chan discover.Identity) discover.Options {
	o := discover.Options{Config: d.a.cfg, TailscaleSocket: d.a.opts.socket, Learned: learned}
	o.Dir, _ = os.Getwd()
	if d.a.history == nil {
		return o
	}
	known, err := d.a.history.Identities()
	if err != nil {
		d.a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "hosts are not recognised by what was remembered: " + err.Error()})
	}
	for _, k := range known {
		id := discover.Identity{ID: k.ID, NodeID: k.NodeID, MachineID: k.MachineID, HostKeys: k.HostKeys}
		if len(k.Names) > 0 {
			id.Name, id.Former = k.Names[0], k.Names[1:]
		}
		o.Known = append(o.Known, id)
	}
	return o
}

// learn hands on what hosts told of themselves: their machine-id and the key
// they showed tie them to their former names.
func (d discovery) learn(ctx context.Context, learned chan<- discover.Identity) {
	notices, end := d.a.store.Subscribe()
	defer end()
	told := map[fleet.HostID]string{}
	for {
		for _, s := range d.a.store.Snapshot().Hosts {
			id := identity(s)
			if mark := id.MachineID + "\x00" + id.Name; id.MachineID != "" && told[s.Host.ID] != mark {
				select {
				case learned <- id:
					told[s.Host.ID] = mark
				case <-ctx.Done():
					return
				}
			}
		}
		select {
		case <-notices:
		case <-ctx.Done():
			return
		}
	}
}

// identity is what ties a host to itself, from its sources and from its inside.
func identity(s fleet.State) discover.Identity {
	id := discover.IdentityOf(s.Host)
	if s.System.Current() && s.System.Value.MachineID != "" {
		id.MachineID = s.System.Value.MachineID
	}
	if key := s.Reach.Value.HostKey; s.Reach.Current() && key != "" && !slices.Contains(id.HostKeys, key) {
		id.HostKeys = append(slices.Clone(id.HostKeys), key)
	}
	return id
}

// identities are what is remembered of the hosts.
func identities(snap fleet.Snapshot) []history.Identity {
	var list []history.Identity
	for _, s := range snap.Hosts {
		id := identity(s)
		list = append(list, history.Identity{
			ID: id.ID, Names: append([]string{s.Host.Name}, s.Host.Aliases...), NodeID: id.NodeID,
			MachineID: id.MachineID, HostKeys: id.HostKeys, Seen: time.Now().UTC(),
		})
	}
	return list
}
