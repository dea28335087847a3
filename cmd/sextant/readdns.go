package main

import (
	"context"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// How old may get how a DNS server blocks: a pause is counted in minutes.
const (
	everyDNS  = 2 * time.Minute
	lookedDNS = 15 * time.Second
)

// dnsCollector asks the DNS servers of hosts, and for their names in the local network.
func (r *readers) dnsCollector() watch.Collector {
	return watch.Collector{Name: "dns", Every: everyDNS, Looked: lookedDNS, Slow: true, Read: r.readDNS,
		Failed: func(s fleet.State) bool { return s.DNS.Failed() || s.MDNS.Failed() }}
}

// dnsScope is what is asked for DNS: containers too, in which servers run.
func dnsScope(c watch.Collector) bool { return c.Name == "dns" || c.Name == "containers" }

// readDNS costs nothing where a host has neither a DNS server nor a name in mDNS.
func (r *readers) readDNS(ctx context.Context, a watch.Ask) watch.Change {
	st, err := a.Probed(ctx)
	if err != nil {
		return nil // the probe has said why nothing is known
	}
	r.needContainers(ctx, a, &st)
	var listens fleet.Fact[[]fleet.Listener]
	if services.HasDNS(st) && !st.Listens.Current() {
		listens = network.Listens(ctx, a.Link)
		st.Listens = st.Listens.Refresh(listens)
	}
	dns, mdns := services.DNS(ctx, a.Link, st)
	return func(s *fleet.State) {
		if listens.Asked() {
			s.TakeListens(listens)
		}
		s.TakeDNS(dns)
		s.MDNS = s.MDNS.Refresh(mdns)
	}
}
