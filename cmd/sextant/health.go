package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

// healthOut is what health says with --json.
type healthOut struct {
	Schema   int             `json:"schema"`
	At       time.Time       `json:"at"`
	Findings []fleet.Finding `json:"findings"` // worst first; with what each explains folded into it
}

func healthCommand(o *options) *cobra.Command {
	var deep bool
	c := &cobra.Command{
		Use: "health [SEL…]", Short: "The problems of all hosts in one list, worst first, each with what it explains", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, asks(deep), func(a *app, states []fleet.State) error {
				return printHealth(cmd.OutOrStdout(), *o, a.health(cmd.Context(), states, len(sel) > 0, deep))
			}))
		},
	}
	c.Flags().BoolVar(&deep, "deep", false, deepHelp)
	c.AddCommand(ackCommand(o), unackCommand(o))
	return c
}

// deepHelp is what --deep does.
const deepHelp = "also what takes long: the snapshots in backup repositories, what hosts serve, and how the public finds it"

// asks is what is asked of hosts for how they are.
func asks(deep bool) scope {
	if deep {
		return everything
	}
	return quick
}

// health is what the health of hosts is judged by. Of all hosts together it is also
// what no single one tells: whose keys the flake's secrets are for, and how the public
// finds what they serve.
func (a *app) health(ctx context.Context, states []fleet.State, some, deep bool) fleet.Snapshot {
	states = a.askOpen(ctx, states)
	if some {
		return fleet.Snapshot{Hosts: states}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if f, any := a.sealed(ctx); any {
			a.store.SetSealed(f)
		}
	})
	if deep {
		wg.Go(func() { a.askPublic(ctx) })
	}
	wg.Wait()
	snap := a.store.Snapshot()
	snap.Hosts = states
	return snap
}

func printHealth(w io.Writer, o options, snap fleet.Snapshot) error {
	now := time.Now().UTC()
	out := healthOut{1, now, snap.Findings(now)}
	if out.Findings == nil {
		out.Findings = []fleet.Finding{}
	}
	err := o.write(w, out, func(t *table) {
		t.row("STATE", "HOST", "SINCE", "KEY", "WHAT")
		findingRows(t, out.Findings, 0, now)
	})
	if err != nil {
		return err
	}
	return verdict(fleet.Worst(problemsIn(out.Findings)))
}

// problemsIn are the problems of findings, and of what they explain.
func problemsIn(list []fleet.Finding) []fleet.Problem {
	var all []fleet.Problem
	for _, f := range list {
		all = append(append(all, f.Problem), problemsIn(f.Folded)...)
	}
	return all
}

// findingRows are findings, those that are explained by another below it.
func findingRows(t *table, list []fleet.Finding, depth int, now time.Time) {
	for _, f := range list {
		what := strings.Repeat("  ", max(0, depth-1))
		if depth > 0 {
			what += "-> "
		}
		what += f.What
		if f.Acked != nil {
			what += " (acknowledged by " + f.Acked.Who + " until " + f.Acked.Until.Local().Format("01-02 15:04") + ")"
		}
		t.row(severityWord(f.Severity), cmp.Or(f.Host, "-"), age(f.Since, now), f.Key, what)
		findingRows(t, f.Folded, depth+1, now)
	}
}

// verdict is the exit code of the worst that was found.
func verdict(worst fleet.Severity) error {
	switch worst {
	case fleet.SeverityFail, fleet.SeverityWarn:
		return exitCode(exitProblem)
	case fleet.SeverityUnknown:
		return exitCode(exitUnknown)
	}
	return nil
}

// acked is a problem and what was said of it.
type acked struct {
	Host string    `json:"host"`
	Key  string    `json:"key"`
	What string    `json:"what"`
	Ack  fleet.Ack `json:"acknowledged"`
}

func ackCommand(o *options) *cobra.Command {
	var long, why string
	c := &cobra.Command{
		Use: "ack HOST|- KEY…", Short: "Say that problems are known: they count for nothing for a while, unless they become worse",
		Long: "What belongs to no host, and has a - in its place in the list of health, is named by -.", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			span, err := ackSpan(long)
			if err != nil {
				return usageError{err}
			}
			return failed(ackAll(cmd, *o, args, span, why))
		},
	}
	c.Flags().StringVar(&long, "for", ackFor.Values[0], "for how long: 8h, 7d; 30 days at most")
	c.Flags().StringVar(&why, "why", "", "what is known of it, for whoever reads it")
	return c
}

func unackCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "unack HOST|- KEY…", Short: "Take back that problems are known", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return failed(ackAll(cmd, *o, args, 0, "")) },
	}
}

// ackAll asks the host, so that what is acknowledged is what it has.
func ackAll(cmd *cobra.Command, o options, args []string, long time.Duration, why string) error {
	sel, host := args[:1], fleet.HostID("")
	if args[0] == "-" {
		sel = nil
	}
	return withHosts(cmd.Context(), o, sel, quick, func(a *app, states []fleet.State) error {
		snap := a.health(cmd.Context(), states, sel != nil, false)
		if sel != nil {
			if len(states) != 1 {
				return usageError{fmt.Errorf("name one host, not %d", len(states))}
			}
			host = states[0].Host.ID
		}
		done := []acked{}
		for _, key := range args[1:] {
			f, err := findingOf(snap, host, key)
			if err != nil {
				return usageError{err}
			}
			ack, err := a.acknowledge(f, long, why)
			if err != nil {
				return err
			}
			done = append(done, acked{f.Host, f.Key, f.What, ack})
		}
		return o.write(cmd.OutOrStdout(), done, func(t *table) {
			for _, d := range done {
				t.note(strings.TrimPrefix(d.Host+": ", ": ") + ackLine(fleet.Problem{What: d.What}, d.Ack, long))
			}
		})
	})
}
