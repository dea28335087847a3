package discover

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Options says where to look.
type Options struct {
	Config *Config // nil: no configuration

	// TailscaleSocket is tailscaled's socket; "" is $SEXTANT_TAILSCALE_SOCKET,
	// else the configuration's, else the usual place.
	TailscaleSocket string
	SSHConfig       string // "" is ~/.ssh/config
	Dir             string // where a flake.nix is looked for when the configuration names no flake; "" nowhere

	// ReadFlake evaluates flakes; nil: none is asked.
	ReadFlake FlakeReader

	Known   []Identity      // what is remembered of hosts
	Learned <-chan Identity // what is learnt of hosts meanwhile; may be nil

	// Patience is how long slow answers are waited for before the result
	// counts as settled; 0 is three seconds.
	Patience time.Duration
	// Quick leaves out the sources that answer slowly; Thorough waits for them
	// too. Neither: they are asked, and come when they come.
	Quick, Thorough bool
	// Sources replaces the usual sources, in the order of their word.
	Sources []Source

	gather time.Duration // for tests; 0 is the usual
}

// Found is who is in the fleet, as far as the sources have told.
type Found struct {
	Hosts   []fleet.Host
	Others  []fleet.Other // what is no host, and why
	Sources []fleet.SourceState
	Tailnet fleet.Fact[fleet.Tailnet] // with which host each node is
	// Settled tells that every source that answers fast did, or was waited for
	// long enough. Before, a host may be missing, or go by an ID that another
	// source's word will change: remember identities only from here on.
	Settled bool
}

// settledAfter bounds how long one silent source keeps a command waiting.
const settledAfter = 3 * time.Second

// gather is how long changes are gathered before they are told together.
const gather = 100 * time.Millisecond

// sources gives the usual sources, those whose word goes first in front. What
// is turned off or has nothing to ask is left out.
func (o Options) sources() []Source {
	if o.Sources != nil {
		return o.Sources
	}
	c := o.Config
	if c == nil {
		c = &Config{}
	}
	list := []Source{configured{c}}
	if on(c.Sources.Tailscale) {
		list = append(list, &tailnet{socket: o.socket(c), serviceTags: tagNames(c.Tailscale.ServiceTags)})
	}
	if s := newControl(c); s != nil && on(c.Sources.Control) {
		list = append(list, s)
	}
	if on(c.Sources.Local) {
		list = append(list, machine{root: "/", hostname: os.Hostname})
	}
	if s := newFlake(c, o.Dir, o.ReadFlake); s != nil && on(c.Sources.Flake) {
		list = append(list, s)
	}
	if path := cmp.Or(o.SSHConfig, homeFile(".ssh/config")); path != "" && on(c.Sources.SSHConfig) {
		list = append(list, &sshFile{path: path, every: sshEvery})
	}
	if on(c.Sources.MDNS) {
		list = append(list, newMDNS())
	}
	return list
}

// socket is tailscaled's; "" the one in the usual place.
func (o Options) socket(c *Config) string {
	socket := cmp.Or(o.TailscaleSocket, os.Getenv("SEXTANT_TAILSCALE_SOCKET"))
	if socket == "" && c.Tailscale.Socket != "" {
		socket = c.file(c.Tailscale.Socket)
	}
	return socket
}

func homeFile(name string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, name)
}

// Discover runs the sources until ctx ends and tells who is in the fleet: as
// soon as the first has answered, and again after changes. It calls tell from
// one goroutine, and returns when all that it started has ended.
func Discover(ctx context.Context, o Options, tell func(Found)) error {
	r := newRun(o)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i, s := range r.sources {
		wg.Go(func() {
			s.Watch(ctx, func(list []Sighting, err error) { r.send(ctx, news{i, list, err, false}) })
			r.send(ctx, news{i, nil, nil, true})
		})
	}
	r.loop(ctx, o, tell)
	return ctx.Err()
}

// Once tells who is in the fleet as soon as that has settled.
func Once(ctx context.Context, o Options) (Found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last Found
	err := Discover(ctx, o, func(f Found) {
		last = f
		if f.Settled {
			cancel()
		}
	})
	if last.Settled {
		err = nil
	}
	return last, err
}

// news is what a source told; ended when it will tell nothing more.
type news struct {
	source int
	list   []Sighting
	err    error
	ended  bool
}

// run is one Discover.
type run struct {
	sources []Source
	rules   Rules
	known   []Identity
	inbox   chan news
	told    []told
	settled bool

	thorough bool // slow sources are waited for
}

// told is the newest a source said.
type told struct {
	list  []Sighting
	state fleet.SourceState
	done  bool // has answered or failed
}

func newRun(o Options) *run {
	r := &run{sources: o.sources(), known: o.Known, inbox: make(chan news), thorough: o.Thorough}
	if o.Quick {
		r.sources = slices.DeleteFunc(slices.Clone(r.sources), Source.Slow)
	}
	if o.Config != nil {
		r.rules = o.Config.Rules()
	}
	for _, s := range r.sources {
		r.told = append(r.told, told{state: fleet.SourceState{Source: s.Name()}})
	}
	return r
}

func (r *run) send(ctx context.Context, n news) {
	select {
	case r.inbox <- n:
	case <-ctx.Done():
	}
}

// loop takes in what sources tell and passes it on, gathered.
func (r *run) loop(ctx context.Context, o Options, tell func(Found)) {
	patience := time.NewTimer(cmp.Or(o.Patience, settledAfter))
	defer patience.Stop()
	var soon <-chan time.Time // set while changes wait to be told
	first, learned := true, o.Learned
	for {
		now, changed := false, true
		select {
		case <-ctx.Done():
			return
		case n := <-r.inbox:
			changed = r.take(n)
			now = first && len(n.list) > 0 // nobody wants to be shown an empty fleet for a moment
		case k, more := <-learned:
			if !more {
				learned = nil
				continue
			}
			r.known = Remember(r.known, k)
		case <-patience.C:
			changed = false
			now, r.settled = !r.settled, true
		case <-soon:
			now = true
		}
		if !r.settled && r.complete() {
			r.settled, now = true, true
		}
		if now {
			first, soon = false, nil
			tell(r.found())
		} else if changed && soon == nil && !first {
			soon = time.After(cmp.Or(o.gather, gather))
		}
	}
}

// take keeps what a source told, and tells whether that is anything new. After
// an error what it told before stays, with its presence marked as old.
func (r *run) take(n news) bool {
	t := &r.told[n.source]
	t.done = true
	if n.ended {
		return false
	}
	at := time.Now()
	t.state.At, t.state.Err, t.state.Help = at, "", ""
	if n.err == nil {
		t.list, t.state.Count = n.list, len(n.list)
		return true
	}
	t.state.Err = fleet.Clean(n.err.Error())
	if trouble := (*Trouble)(nil); errors.As(n.err, &trouble) {
		t.state.Help = fleet.Clean(trouble.Help)
	}
	t.list = aged(t.list, t.state.Err, at)
	return true
}

// aged marks the presence of sightings as not renewed.
func aged(list []Sighting, why string, at time.Time) []Sighting {
	out := make([]Sighting, 0, len(list))
	for _, s := range list {
		if s.Presence.HasValue() {
			s.Presence.Err, s.Presence.ErrAt = why, at
		}
		out = append(out, s)
	}
	return out
}

// complete tells whether every source that is waited for has answered.
func (r *run) complete() bool {
	for i, s := range r.sources {
		if !r.told[i].done && (r.thorough || !s.Slow()) {
			return false
		}
	}
	return true
}

// found merges what is known now. From the time it has settled, IDs stay as
// they are for as long as this process lives.
func (r *run) found() Found {
	var seen []Sighting
	f := Found{Settled: r.settled}
	for _, t := range r.told {
		seen = append(seen, t.list...)
		f.Sources = append(f.Sources, t.state)
	}
	f.Hosts, f.Others = Merge(seen, r.rules, r.known)
	f.Tailnet = r.tailnet(f)
	if r.settled {
		now := make([]Identity, 0, len(f.Hosts))
		for _, h := range f.Hosts {
			now = append(now, IdentityOf(h))
		}
		r.known = Remember(r.known, now...)
	}
	return f
}
