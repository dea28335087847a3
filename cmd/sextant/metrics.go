package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/metrics"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// pastQuery is which the measurements of the past that are wanted.
type pastQuery struct {
	fleet.SeriesQuery
	since string // as it was written; "" none are wanted
}

func metricsCommand(o *options) *cobra.Command {
	var q pastQuery
	c := &cobra.Command{
		Use: "metrics [SEL…]", Short: "How busy hosts are, the worst first, and who says so",
		Long: "The worst is that of which a host has least left: cpu, memory, a disk, or time in which something waited (pressure). " +
			"With --since also the past, where a Netdata keeps it: in short, and with --json the points from which the charts on the screen are drawn, and what happened meanwhile.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			if err := q.check(time.Now()); err != nil {
				return usageError{err}
			}
			return failed(withHosts(cmd.Context(), *o, sel, q.scope(), func(a *app, states []fleet.State) error {
				if q.since == "" {
					return printMetrics(cmd.OutOrStdout(), *o, a.store.Snapshot(), states, nil)
				}
				if q.Container != "" && len(states) != 1 {
					return usageError{fmt.Errorf("%d hosts: name the one that has the container", len(states))}
				}
				return printMetrics(cmd.OutOrStdout(), *o, a.store.Snapshot(), states, a.pastOf(cmd.Context(), states, q))
			}))
		},
	}
	c.Flags().StringVar(&q.since, "since", "", "the past, too, from then on: 1h, 24h, 7d")
	c.Flags().StringVar(&q.Container, "container", "", "the past of a container of the host (--since 1h where none is said)")
	c.Flags().StringVar(&q.User, "user", "", "whose container it is (root's)")
	return c
}

// check reads the time and what follows from it.
func (q *pastQuery) check(now time.Time) error {
	if q.Container != "" && q.since == "" {
		q.since = "1h"
	}
	if q.since == "" {
		return nil
	}
	from, err := sinceTime("--since", q.since, now)
	if err != nil {
		return err
	}
	if q.Window = now.Sub(from); q.Window < time.Minute {
		return fmt.Errorf("--since %s: a minute or more", q.since)
	}
	return nil
}

// scope is what is asked of hosts: what happened to them is in their deploys, too,
// and which container is which in the list of those.
func (q *pastQuery) scope() scope {
	return func(c watch.Collector) bool {
		return c.Name == "metrics" || q.since != "" && c.Name == "deploys" || q.Container != "" && c.Name == "containers"
	}
}

// past is what was measured of a host, and what happened to it meanwhile.
type past struct {
	series fleet.Fact[[]fleet.Series]
	marks  []fleet.Mark
}

// pastOf reads what charts are drawn from. Of a host whose past nobody keeps there
// is nothing to read: the screen measures it from when it is opened.
func (a *app) pastOf(ctx context.Context, states []fleet.State, q pastQuery) map[fleet.HostID]past {
	a.recallAudit()
	series := ofEach(ctx, a, states, func(ctx context.Context, s fleet.State) fleet.Fact[[]fleet.Series] {
		now := time.Now()
		if s.Reach.Err != "" {
			return fleet.Unknown[[]fleet.Series](s.Reach.Why(), now, s.Reach.Source)
		}
		list, err := console{a}.Series(ctx, s.Host.ID, q.SeriesQuery)
		switch {
		case errors.Is(err, metrics.ErrNoHistory), errors.Is(err, metrics.ErrNoContainer):
			return fleet.Nothing[[]fleet.Series](err.Error(), now, "netdata")
		case err != nil:
			return fleet.Unknown[[]fleet.Series](err, now, "netdata")
		}
		return fleet.Known(list, now, list[0].Source)
	})
	out := map[fleet.HostID]past{}
	now, audit := time.Now(), a.store.Snapshot().Audit
	for _, s := range states {
		one := []fleet.State{s}
		from := now.Add(-q.Window)
		out[s.Host.ID] = past{series[s.Host.ID], fleet.Marks(fleet.Timeline(one, auditOf(audit, one), from), from, now)}
	}
	return out
}

type metricsRow struct {
	Host    string                      `json:"host"`
	Metrics fleet.Fact[fleet.Metrics]   `json:"metrics"`
	Worst   *fleet.Share                `json:"worst,omitempty"`
	Series  *fleet.Fact[[]fleet.Series] `json:"series,omitempty"`
	Marks   []fleet.Mark                `json:"marks,omitempty"`
	Link    string                      `json:"link,omitempty"` // where a person can look at it in Netdata
}

func printMetrics(w io.Writer, o options, snap fleet.Snapshot, states []fleet.State, pasts map[fleet.HostID]past) error {
	out := struct {
		Schema int          `json:"schema"`
		Hosts  []metricsRow `json:"hosts"`
	}{Schema: 1, Hosts: []metricsRow{}}
	missing := false
	for _, s := range fleet.WorstFirst(states) {
		r := metricsRow{Host: s.Host.Name, Metrics: s.Metrics, Link: snap.NetdataLink(s)}
		if s.Metrics.Current() {
			worst := s.Metrics.Value.Worst()
			r.Worst = &worst
		} else {
			missing = true
		}
		if p, asked := pasts[s.Host.ID]; asked {
			r.Series, r.Marks = &p.series, p.marks
			missing = missing || !p.series.Current() && !p.series.None
		}
		out.Hosts = append(out.Hosts, r)
	}
	now := time.Now()
	err := o.write(w, out, func(t *table) {
		if pasts != nil {
			pastRows(t, out.Hosts, now)
			return
		}
		t.row("HOST", "WORST", "CPU", "LOAD", "MEMORY", "DISK", "PRESSURE IO", "HEAT", "NET IN", "NET OUT", "AGE", "SOURCE")
		for _, h := range out.Hosts {
			m := h.Metrics.Value
			if !h.Metrics.Current() {
				t.note("? " + h.Host + ": " + h.Metrics.Err)
				cureNote(t, h.Metrics.Cure)
				continue
			}
			t.row(h.Host, h.Worst.What, percent(m.CPU), fmt.Sprintf("%.2f", m.Load1), size(m.Memory.Used)+"/"+size(m.Memory.Total),
				fullest(m.Disks), pressure(m, "io"), heat(m), size(uint64(m.NetIn))+"/s", size(uint64(m.NetOut))+"/s", age(h.Metrics.At, now), h.Metrics.Source)
		}
		linkNotes(t, out.Hosts)
	})
	if err == nil && missing {
		return exitCode(exitUnknown)
	}
	return err
}

// linkNotes tell where a person can look at hosts in Netdata.
func linkNotes(t *table, hosts []metricsRow) {
	for _, h := range hosts {
		if h.Link != "" {
			t.note(h.Host + " in Netdata: " + h.Link)
		}
	}
}

func pressure(m fleet.Metrics, kind string) string {
	if v, ok := m.Pressure[kind]; ok {
		return percent(v)
	}
	return "-"
}

func heat(m fleet.Metrics) string {
	if t, ok := m.Hottest(); ok {
		return fmt.Sprintf("%.0f°C", t.Celsius)
	}
	return "-"
}

// pastRows tell the past in short: each series in a line, then what happened.
func pastRows(t *table, hosts []metricsRow, now time.Time) {
	t.row("HOST", "SERIES", "NOW", "LOWEST", "MEAN", "HIGHEST", "FROM", "SOURCE")
	for _, h := range hosts {
		if h.Series == nil || !h.Series.Current() {
			continue
		}
		for _, s := range h.Series.Value {
			last, low, mean, high := summary(s.Points)
			t.row(h.Host, s.Name, quantity(last, s.Unit), quantity(low, s.Unit), quantity(mean, s.Unit), quantity(high, s.Unit), age(s.Points[0].At, now)+" ago", s.Source)
		}
	}
	linkNotes(t, hosts)
	for _, h := range hosts {
		for _, m := range slices.Backward(h.Marks) {
			t.note(fmt.Sprintf("%s  %s  %s: %s", m.At.Local().Format("2006-01-02 15:04"), h.Host, m.Kind, m.Text))
		}
		if f := h.Series; f != nil && !f.Current() {
			t.note(map[bool]string{true: "- ", false: "? "}[f.None] + h.Host + ": " + f.Err)
			cureNote(t, f.Cure)
		}
	}
}

// summary is the newest value of some points, their lowest, mean and highest; NaN
// where none was measured.
func summary(points []fleet.Point) (last, low, mean, high float64) {
	last, low, high = math.NaN(), math.NaN(), math.NaN()
	sum, n := 0.0, 0
	for _, p := range points {
		if math.IsNaN(p.Value) {
			continue
		}
		if n == 0 {
			low, high = p.Value, p.Value
		}
		last, low, high = p.Value, min(low, p.Value), max(high, p.Value)
		sum, n = sum+p.Value, n+1
	}
	return last, low, sum / float64(n), high
}

// quantity is a value in its unit.
func quantity(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "?"
	case unit == "B", unit == "B/s":
		return size(uint64(v)) + unit[1:]
	case unit == "%", unit == "°C":
		return fmt.Sprintf("%.0f%s", v, unit)
	case unit == "":
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}
