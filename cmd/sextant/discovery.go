package main

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
	"github.com/sextant-fleet/sextant/nixops"
)

// finder tells who is in the fleet: the sources of discovery, or a fleet that
// does not exist.
type finder interface {
	// once tells it when that has settled; thorough, sources that answer
	// slowly are waited for.
	once(ctx context.Context, tell found, thorough bool) error
	// follow tells it now and on every change, until ctx ends.
	follow(ctx context.Context, tell found) error
	// identities are what ties each host to itself at the next start; nil:
	// nothing is to be kept.
	identities(fleet.Snapshot) []history.Identity
}

// found takes hosts, what is no host, and how the sources are doing.
type found func([]fleet.Host, []fleet.Other, []fleet.SourceState)

// discovery finds hosts by the person's own sources.
type discovery struct {
	a       *app
	mu      sync.Mutex
	known   []discover.Identity // what is remembered of hosts
	settled bool                // IDs are final: before, another source may still change them
}

func newDiscovery(a *app) *discovery {
	d := &discovery{a: a}
	if a.history == nil {
		return d
	}
	list, err := a.history.Identities()
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "hosts are not recognised by what was remembered: " + err.Error()})
	}
	for _, k := range list {
		id := discover.Identity{ID: k.ID, NodeID: k.NodeID, MachineID: k.MachineID, HostKeys: k.HostKeys}
		if len(k.Names) > 0 {
			id.Name, id.Former = k.Names[0], k.Names[1:]
		}
		d.known = append(d.known, id)
	}
	return d
}

func (d *discovery) once(ctx context.Context, tell found, thorough bool) error {
	o := d.options(nil)
	o.Quick, o.Thorough = !thorough, thorough
	f, err := discover.Once(ctx, o)
	d.tell(tell)(f)
	return err
}

func (d *discovery) follow(ctx context.Context, tell found) error {
	learned := make(chan discover.Identity)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { d.learn(ctx, learned) })
	defer wg.Wait()
	defer cancel()
	return discover.Discover(ctx, d.options(learned), d.tell(tell))
}

// tell hands on what was found, and notes when it is final.
func (d *discovery) tell(to found) func(discover.Found) {
	return func(f discover.Found) {
		d.mu.Lock()
		d.settled = d.settled || f.Settled
		d.mu.Unlock()
		d.a.store.SetTailnet(f.Tailnet)
		to(f.Hosts, f.Others, f.Sources)
	}
}

func (d *discovery) options(learned <-chan discover.Identity) discover.Options {
	dir, _ := os.Getwd() // without it, no flake is looked for
	return discover.Options{Config: d.a.cfg, TailscaleSocket: d.a.opts.socket, Dir: dir, Known: d.known, Learned: learned, ReadFlake: readFlake}
}

// readFlake evaluates what a flake declares, as discovery asks for it.
func readFlake(ctx context.Context, ref string, tell func([]fleet.FlakeHost)) error {
	hosts, err := nixops.Flake{Ref: ref}.Systems(ctx, tell)
	if err == nil {
		tell(hosts)
	}
	return err
}

// identities are what is to be remembered of the hosts, those not found now
// among them; nil while IDs may still change.
func (d *discovery) identities(snap fleet.Snapshot) []history.Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.settled {
		return nil
	}
	for _, s := range snap.Hosts {
		d.known = discover.Remember(d.known, identity(s))
	}
	var list []history.Identity
	for _, k := range d.known {
		list = append(list, history.Identity{
			ID: k.ID, Names: append([]string{k.Name}, k.Former...), NodeID: k.NodeID, MachineID: k.MachineID, HostKeys: k.HostKeys,
		})
	}
	return list
}

// learn hands on what hosts told of themselves: their machine-id and the key
// they showed tie them to their former names.
func (d *discovery) learn(ctx context.Context, learned chan<- discover.Identity) {
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
