package main

import (
	"context"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// How old what is served may get. It is asked seldom, and judged for an hour.
const (
	everySites  = 5 * time.Minute
	lookedSites = 30 * time.Second
	sitesTime   = 45 * time.Second
)

// siteCollectors read what hosts serve, and who listens there.
func (r *readers) siteCollectors() []watch.Collector {
	return []watch.Collector{
		{Name: "listens", Every: everySites, Looked: lookedSites, Slow: true, Read: readListens,
			Failed: func(s fleet.State) bool { return s.Listens.Failed() }},
		{Name: "firewall", Every: everySites, Looked: lookedSites, Slow: true, Timeout: firewallTime, Read: readFirewall,
			Failed: func(s fleet.State) bool { return s.Firewall.Failed() }},
		{Name: "networking", Every: everySites, Looked: lookedSites, Slow: true, Read: readNetworking,
			Failed: func(s fleet.State) bool { return s.Networking.Failed() }},
		{Name: "sites", Every: everySites, Looked: lookedSites, Slow: true, Timeout: sitesTime, Read: r.readSites,
			Failed: func(s fleet.State) bool { return s.Sites.Failed() || s.Services.Failed() }},
		{Name: "declared", Every: everySites, Looked: lookedSites, Slow: true, Timeout: declaredTime, Read: readDeclared,
			Failed: func(s fleet.State) bool { return s.Declared.Failed() }},
	}
}

func readListens(ctx context.Context, a watch.Ask) watch.Change {
	if _, err := a.Probed(ctx); err != nil {
		return nil // the probe has said why nothing is known
	}
	f := network.Listens(ctx, a.Link)
	return func(s *fleet.State) { s.TakeListens(f) }
}

// readSites asks after who listens: what is asked is found by it, and so is whether
// there is somebody behind a proxy.
func (r *readers) readSites(ctx context.Context, a watch.Ask) watch.Change {
	st, err := a.Probed(ctx)
	if err != nil {
		return nil
	}
	r.needContainers(ctx, a, &st) // services run in them: not found without
	listens := network.Listens(ctx, a.Link)
	st.Listens = st.Listens.Refresh(listens)
	sites, services := r.services.Read(ctx, a.Link, st)
	return func(s *fleet.State) {
		s.TakeListens(listens)
		s.Sites, s.Services = s.Sites.Refresh(sites), s.Services.Refresh(services)
	}
}
