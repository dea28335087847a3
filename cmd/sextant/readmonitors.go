package main

import (
	"context"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// How old may get what monitoring servers raise.
const (
	everyMonitors  = time.Minute
	lookedMonitors = 15 * time.Second
)

// monitorCollector asks the monitoring servers of hosts what they raise.
func (r *readers) monitorCollector() watch.Collector {
	return watch.Collector{Name: "monitors", Every: everyMonitors, Looked: lookedMonitors, Slow: true, Read: r.readMonitors,
		Failed: func(s fleet.State) bool { return s.Monitors.Failed() }}
}

// readMonitors costs nothing where a host has no such server.
func (r *readers) readMonitors(ctx context.Context, a watch.Ask) watch.Change {
	st, err := a.Probed(ctx)
	if err != nil {
		return nil // the probe has said why nothing is known
	}
	r.needContainers(ctx, a, &st) // servers run in them: not found without
	if services.HasMonitors(st) && !st.Listens.Usable(time.Now()) {
		st.Listens = st.Listens.Refresh(network.Listens(ctx, a.Link))
	}
	token, err := r.cfg.GrafanaToken(st.Host.Name)
	f := services.Monitors(ctx, a.Link, st, token)
	if err != nil {
		for i := range f.Value {
			if m := &f.Value[i]; m.Kind == "grafana" && m.Err != "" {
				m.Err, m.Cure, m.None = err.Error(), fleet.Cure(err), false
			}
		}
	}
	return func(s *fleet.State) { s.Monitors = s.Monitors.Refresh(f) }
}

// needContainers reads the containers of a host into a state of which they are not
// current: remembered ones may be gone.
func (r *readers) needContainers(ctx context.Context, a watch.Ask, st *fleet.State) {
	if !st.Containers.Current() && !st.Containers.None {
		e := r.of(a.Link)
		e.Expect(a.Known)
		e.Read(ctx, a.Probed)
		containersOf(e)(st)
	}
}
