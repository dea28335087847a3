package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/metrics"
)

// chartsOf is how much of the past the charts on the screen show.
const chartsOf = time.Hour

func metricsCommand(o *options) *cobra.Command {
	var window time.Duration
	c := &cobra.Command{
		Use: "metrics HOST", Short: "How busy a host is, and who says so", Args: cobra.ExactArgs(1),
		Long: "With --json also the series that the charts on the screen are drawn from, where a Netdata keeps the past of the host.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			if window < time.Minute {
				return usageError{fmt.Errorf("--window %s: a minute or more", window)}
			}
			return failed(withHosts(cmd.Context(), *o, sel, only("metrics"), func(a *app, states []fleet.State) error {
				var series map[fleet.HostID]fleet.Fact[[]fleet.Series]
				if o.json { // people see them on the screen
					series = a.seriesOf(cmd.Context(), states, window)
				}
				return printMetrics(cmd.OutOrStdout(), *o, states, series)
			}))
		},
	}
	c.Flags().DurationVar(&window, "window", chartsOf, "how much of the past the series cover")
	return c
}

// seriesOf reads what charts are drawn from. Of a host whose past nobody keeps there
// is nothing to read: the screen measures it from when it is opened.
func (a *app) seriesOf(ctx context.Context, states []fleet.State, window time.Duration) map[fleet.HostID]fleet.Fact[[]fleet.Series] {
	return ofEach(ctx, a, states, func(ctx context.Context, s fleet.State) fleet.Fact[[]fleet.Series] {
		now := time.Now()
		if s.Reach.Err != "" {
			return fleet.Unknown[[]fleet.Series](s.Reach.Why(), now, s.Reach.Source)
		}
		list, err := console{a}.Series(ctx, s.Host.ID, window)
		switch {
		case errors.Is(err, metrics.ErrNoHistory):
			return fleet.Nothing[[]fleet.Series](err.Error(), now, "netdata")
		case err != nil:
			return fleet.Unknown[[]fleet.Series](err, now, "netdata")
		}
		return fleet.Known(list, now, list[0].Source)
	})
}

func printMetrics(w io.Writer, o options, states []fleet.State, series map[fleet.HostID]fleet.Fact[[]fleet.Series]) error {
	type row struct {
		Host    string                      `json:"host"`
		Metrics fleet.Fact[fleet.Metrics]   `json:"metrics"`
		Series  *fleet.Fact[[]fleet.Series] `json:"series,omitempty"`
	}
	out := struct {
		Schema int   `json:"schema"`
		Hosts  []row `json:"hosts"`
	}{Schema: 1}
	missing := false
	for _, s := range states {
		r := row{Host: s.Host.Name, Metrics: s.Metrics}
		missing = missing || !s.Metrics.Current()
		if f, asked := series[s.Host.ID]; asked {
			r.Series = &f
			missing = missing || !f.Current() && !f.None
		}
		out.Hosts = append(out.Hosts, r)
	}
	now := time.Now()
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "CPU", "LOAD", "MEMORY", "DISK", "NET IN", "NET OUT", "AGE", "SOURCE")
		for _, h := range out.Hosts {
			m := h.Metrics.Value
			if !h.Metrics.Current() {
				t.note("? " + h.Host + ": " + h.Metrics.Err)
				cureNote(t, h.Metrics.Cure)
				continue
			}
			t.row(h.Host, percent(m.CPU), fmt.Sprintf("%.2f", m.Load1), size(m.Memory.Used)+"/"+size(m.Memory.Total),
				fullest(m.Disks), size(uint64(m.NetIn))+"/s", size(uint64(m.NetOut))+"/s", age(h.Metrics.At, now), h.Metrics.Source)
		}
	})
	if err == nil && missing {
		return exitCode(exitUnknown)
	}
	return err
}
