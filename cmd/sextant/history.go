package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// historySpan is how far back the history goes where nothing else is said.
const historySpan = "7d"

func historyCommand(o *options) *cobra.Command {
	var since string
	var here bool
	c := &cobra.Command{
		Use: "history [SEL…]", Short: "What was done to hosts and what happened to them, on one clock",
		Long: "Deploys and roll-backs as the hosts wrote them down, whoever began them; what was done from this machine; " +
			"generations that other tools made; starts, failed units, containers, backups and alarms. Newest first.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			from, err := sinceTime("--since", since, time.Now())
			if err != nil {
				return usageError{err}
			}
			if here {
				return failed(withApp(*o, func(a *app) error { return a.printAudit(cmd.OutOrStdout(), from) }))
			}
			return failed(withHosts(cmd.Context(), *o, sel, withDeploys, func(a *app, states []fleet.State) error {
				a.recallAudit()
				audit := a.store.Snapshot().Audit
				if len(sel) > 0 {
					audit = auditOf(audit, states)
				}
				return printHistory(cmd.OutOrStdout(), *o, fleet.Timeline(states, audit, from), silentHosts(states))
			}))
		},
	}
	c.Flags().StringVar(&since, "since", historySpan, "how far back: 15m, 2h, 3d, or 2006-01-02T15:04:05Z")
	c.Flags().BoolVar(&here, "here", false, "only what was done from this machine; no host is asked")
	return c
}

// withDeploys is what a first look asks, and the deploys.
func withDeploys(c watch.Collector) bool { return quick(c) || c.Name == "deploys" }

// auditOf leaves what was done to these hosts.
func auditOf(audit []fleet.Event, states []fleet.State) []fleet.Event {
	return slices.DeleteFunc(slices.Clone(audit), func(e fleet.Event) bool {
		return !slices.ContainsFunc(states, func(s fleet.State) bool { return s.Host.ID == e.HostID || s.Host.Name == e.Host })
	})
}

// printAudit tells what was done from this machine.
func (a *app) printAudit(w io.Writer, since time.Time) error {
	a.recallAudit()
	return printHistory(w, a.opts, fleet.Timeline(nil, a.store.Snapshot().Audit, since), nil)
}

// silentHosts are those whose newest events may be missing.
func silentHosts(states []fleet.State) []hostError {
	errs := []hostError{}
	for _, s := range states {
		if why := cmp.Or(s.Reach.Why(), s.System.Why()); why != nil {
			errs = append(errs, holeOf(s.Host.Name, fmt.Errorf("what happened since it was last asked is not known: %w", why)))
		} else if s.Deploys.Failed() {
			errs = append(errs, holeOf(s.Host.Name, fmt.Errorf("deploys: %w", s.Deploys.Why())))
		}
	}
	return errs
}

func printHistory(w io.Writer, o options, events []fleet.Event, errs []hostError) error {
	out := struct {
		Schema int           `json:"schema"`
		Events []fleet.Event `json:"events"`
		Errors []hostError   `json:"errors"`
	}{1, append([]fleet.Event{}, events...), append([]hostError{}, errs...)}
	err := o.write(w, out, func(t *table) {
		t.row("WHEN", "HOST", "KIND", "WHAT", "WHO", "TOOK", "REVISION")
		for _, e := range events {
			who, took := "", ""
			if e.Done() {
				who = e.Who + "@" + e.Client
			}
			if e.Duration > 0 {
				took = e.Duration.Duration().Round(time.Second).String()
			}
			t.row(e.At.Local().Format("2006-01-02 15:04:05"), e.Host, string(e.Kind), e.Text, who, took, fleet.Short(e.Revision, 12))
		}
		notes(t, errs)
	})
	return cmp.Or(err, unknown(errs))
}
