package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/metrics"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/fleet/watch"
	"github.com/sextant-fleet/sextant/podman"
)

// How often the links of a host are measured while its network is on the screen, and
// those of all hosts in their list.
const (
	everyRate     = 2 * time.Second
	everyRateList = 5 * time.Second
)

// everyLive is how often a host whose metrics are on the screen is measured
// where no Netdata does it.
const everyLive = 2 * time.Second

// lives are what stays open to a host: the events of its containers, the use of
// those on the screen, and its measurements where nobody keeps them.
func (r *readers) lives() []watch.Live {
	return []watch.Live{
		{
			Name: "events",
			Wanted: func(_ fleet.Focus, s fleet.State) (string, bool) {
				return strconv.FormatBool(s.Containers.HasValue()), s.Containers.Asked() && !s.Containers.None
			},
			Run: func(ctx context.Context, l link.Link, _ fleet.Focus, put func(watch.Change), again func(string)) error {
				return r.follow(ctx, l, put, again)
			},
		},
		{
			Name: "stats",
			Wanted: func(f fleet.Focus, s fleet.State) (string, bool) {
				ids := lookedAt(f, s)
				return strings.Join(ids, " "), !f.Idle && len(ids) > 0
			},
			Run: func(ctx context.Context, l link.Link, f fleet.Focus, put func(watch.Change), _ func(string)) error {
				return r.of(l).Stats(ctx, f.Containers, func(list []fleet.ContainerStats) {
					put(func(s *fleet.State) { *s = s.Measured(list) })
				})
			},
			Closed: func(s *fleet.State) { s.Stats, s.Use = nil, nil },
		},
		{
			Name: "load",
			Wanted: func(f fleet.Focus, s fleet.State) (string, bool) {
				return "", f.Host == s.Host.ID && !f.Idle && f.Tab == "metrics" && s.Metrics.Current() && s.Metrics.Source == "/proc"
			},
			Run: func(ctx context.Context, l link.Link, _ fleet.Focus, put func(watch.Change), _ func(string)) error {
				defer put(func(s *fleet.State) { s.Live = nil })
				return metrics.Follow(ctx, l, everyLive, func(lines []fleet.Series) {
					put(func(s *fleet.State) { s.Live = lines })
				})
			},
		},
		{
			Name: "rates",
			Wanted: func(f fleet.Focus, s fleet.State) (string, bool) {
				return string(f.Host), (f.Host == "" || f.Host == s.Host.ID) && !f.Idle && f.Tab == fleet.TabNetwork && s.Networking.HasValue()
			},
			Run: func(ctx context.Context, l link.Link, f fleet.Focus, put func(watch.Change), _ func(string)) error {
				every := everyRate
				if f.Host == "" {
					every = everyRateList
				}
				defer put(func(s *fleet.State) { s.Rates = nil })
				return network.Rates(ctx, l, every, func(rates map[string]fleet.LinkRate) {
					put(func(s *fleet.State) { s.Rates = rates })
				})
			},
			Closed: func(s *fleet.State) { s.Rates = nil },
		},
	}
}

// follow keeps the containers of a host live, until the context ends.
func (r *readers) follow(ctx context.Context, l link.Link, put func(watch.Change), again func(string)) error {
	for {
		e := r.of(l)
		err := e.Watch(ctx, func() { put(containersOf(e)) })
		pause := time.Second
		switch {
		case errors.Is(err, podman.ErrOthers): // they have just been read
			continue
		case errors.Is(err, podman.ErrNotRead): // there is none, or the host did not say
			pause = everyMissing
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
			again("containers")
		}
	}
}

// containersOf puts what is known of a host's containers by now into its state.
func containersOf(e *podman.Engines) watch.Change {
	return func(s *fleet.State) {
		f := fleet.Derive(e.Fact(), func(list []fleet.Container) []fleet.Container { return podman.Join(list, s.Units) })
		s.Containers = s.Containers.Refresh(f)
	}
}

// lookedAt are the containers of a host that run and are on the screen, in an
// order that does not change with their places there.
func lookedAt(f fleet.Focus, s fleet.State) []string {
	if len(f.Containers) == 0 || f.Host != "" && f.Host != s.Host.ID {
		return nil
	}
	on := make(map[string]bool, len(f.Containers))
	for _, id := range f.Containers {
		on[id] = true
	}
	var ids []string
	for _, c := range s.Containers.Value {
		if on[c.ID] && (c.Running() || c.State == "paused") {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
