package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// lives are what stays open to a host: the events of its containers, and the
// use of those on the screen.
func (r *readers) lives() []watch.Live {
	return []watch.Live{
		{
			Name: "events",
			Wanted: func(f fleet.Focus, s fleet.State) (string, bool) {
				return "", s.Containers.HasValue() && !s.Containers.None
			},
			Run: func(ctx context.Context, l link.Link, _ fleet.Focus, _ func(watch.Change), again func(string)) error {
				return r.of(l).Watch(ctx, func() { again("containers") })
			},
		},
		{
			Name: "stats",
			Wanted: func(f fleet.Focus, s fleet.State) (string, bool) {
				return strings.Join(f.Containers, " "), f.Host == s.Host.ID && !f.Idle && len(f.Containers) > 0
			},
			Run: func(ctx context.Context, l link.Link, f fleet.Focus, put func(watch.Change), _ func(string)) error {
				defer put(func(s *fleet.State) { s.Stats = nil })
				return r.of(l).Stats(ctx, f.Containers, func(list []fleet.ContainerStats) { put(withStats(list)) })
			},
		},
	}
}

// withStats replaces the readings of some containers.
func withStats(list []fleet.ContainerStats) watch.Change {
	return func(s *fleet.State) {
		next := maps.Clone(s.Stats)
		if next == nil {
			next = map[string]fleet.ContainerStats{}
		}
		for _, c := range list {
			next[c.ID] = c
		}
		s.Stats = next
	}
}

// logs opens the log of a unit or container where it is kept: in the journal,
// or with the container's engine.
func (r *readers) logs(ctx context.Context, l link.Link, q fleet.LogQuery, journal func(context.Context, link.Link, fleet.LogQuery) (fleet.LogStream, error)) (fleet.LogStream, error) {
	if q.Container == "" {
		return journal(ctx, l, q)
	}
	asked, done := context.WithTimeout(ctx, 10*time.Second)
	driver, err := r.of(l).LogDriver(asked, q.Container, q.User)
	done()
	if err != nil || slices.Contains([]string{"journald", ""}, driver) {
		return journal(ctx, l, q) // also of a container that is gone: the journal remembers it
	}
	return r.of(l).Logs(ctx, q.Container, q.User, q.Since, q.Lines, q.Follow)
}
