package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// publicResolver is asked where the configuration names no other.
const publicResolver = "1.1.1.1"

// traceScope is what is asked of all hosts before a trace: what they serve, what
// runs there, and what was deployed.
func traceScope(c watch.Collector) bool { return siteScope(c) || c.Name == "deploys" }

func traceCommand(o *options) *cobra.Command {
	var host string
	c := &cobra.Command{
		Use: "trace URL", Short: "The way from a public name to what answers, to the first step that is broken", Args: cobra.ExactArgs(1),
		Long: "Goes from the name through public DNS, Cloudflare, the proxy of the host that serves it, its certificate and sign-in to the upstream, " +
			"the container or unit behind it and its last change, and asks for the page as the public does. It stops at the first step that is broken, " +
			"with the reason and what mends it. Exit code 0: all is well; 1: broken; 3: something could not be judged.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, nil, traceScope, func(a *app, _ []fleet.State) error {
				t, err := a.trace(cmd.Context(), args[0], host, nil)
				if err != nil {
					return err
				}
				return printTrace(cmd.OutOrStdout(), *o, t)
			}))
		},
	}
	c.Flags().StringVar(&host, "host", "", "go on at this host, where several serve the name")
	return c
}

// trace follows a URL through what is known now; each step is told as it ends.
func (a *app) trace(ctx context.Context, text, host string, step func(fleet.Hop)) (fleet.Trace, error) {
	u, err := services.ParseURL(text)
	if err != nil {
		return fleet.Trace{}, usageError{err}
	}
	out, err := a.public()
	if err != nil {
		return fleet.Trace{}, err
	}
	return services.Tracer{
		Snap: a.store.Snapshot(), Host: host, Step: step, Out: out, Now: time.Now,
		Link: func(id fleet.HostID) (link.Link, error) { l, _, err := console{a}.link(id); return l, err },
	}.Trace(ctx, u), nil
}

// public is what is asked beyond hosts: as the configuration says, or in the demo
// what that has in its place.
func (a *app) public() (services.Outside, error) {
	if a.outside != nil {
		return *a.outside, nil
	}
	server := cmp.Or(a.cfg.Trace.Resolver, publicResolver)
	out := services.Outside{Lookup: services.PublicDNS(server), Server: server}
	token, err := a.cfg.CloudflareToken()
	if err != nil {
		return out, err
	}
	if token != "" {
		out.Cloud = &services.Cloud{Token: services.Token(token), Base: a.cfg.Cloudflare.APIURL}
	}
	return out, nil
}

func printTrace(w io.Writer, o options, t fleet.Trace) error {
	out := struct {
		Schema int `json:"schema"`
		fleet.Trace
	}{1, t}
	err := o.write(w, out, func(tab *table) {
		for _, h := range t.Hops {
			state := string(h.State)
			if h.Skipped {
				state = "-"
			}
			what := strings.TrimPrefix(strings.TrimSuffix(h.What+": "+h.Why, ": "), ": ")
			tab.note(strings.TrimSpace(fmt.Sprintf("%-12s %-8s %-12s %s", h.Kind, state, cmp.Or(h.Host, "-"), what)))
			for _, s := range h.Seen {
				tab.note("    " + s)
			}
			if h.Changed != nil {
				tab.note(fmt.Sprintf("    last change: %s %s ago", h.Changed.Text, age(h.Changed.At, t.At)))
			}
			if h.Help != nil {
				cureNote(tab, h.Help.Command)
			}
			cureNote(tab, h.Cure)
		}
		tab.note(t.Verdict)
	})
	switch {
	case err == nil && t.State == fleet.HealthBroken:
		return exitCode(exitProblem)
	case err == nil && t.State == fleet.HealthUnknown:
		return exitCode(exitUnknown)
	}
	return err
}
