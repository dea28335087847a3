package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// firewallTime bounds a reading: two questions, and one more for sets.
const firewallTime = 40 * time.Second

// readFirewall asks after who listens too: what is let through is judged for each.
func readFirewall(ctx context.Context, a watch.Ask) watch.Change {
	if _, err := a.Probed(ctx); err != nil {
		return nil // the probe has said why nothing is known
	}
	listens := network.Listens(ctx, a.Link)
	f := network.Firewall(ctx, a.Link, listens.Value)
	return func(s *fleet.State) {
		s.TakeListens(listens)
		s.Firewall = s.Firewall.Refresh(f)
	}
}

// exposureScope is what is asked for exposures.
func exposureScope(c watch.Collector) bool { return c.Name == "firewall" || siteScope(c) }

func exposureCommand(o *options) *cobra.Command {
	var all, suggest bool
	c := &cobra.Command{
		Use: "exposure [SEL…]", Short: "Who listens on hosts, and whether the internet, the LAN and the tailnet reach it",
		Long: "For everything that listens: its process, unit and container; whether the host's firewall lets new connections through from the internet, the LAN and the tailnet, " +
			"and the rule that decides; the public names that lead to it, through Cloudflare or past it, with sign-in or without. " +
			"What the internet reaches and is not listed as meant ([[meant]] in the configuration) is a problem. Exit code 1 with problems, 3 where something is not known.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, nothing, func(a *app, states []fleet.State) error {
				a.ask(cmd.Context(), a.store.Snapshot().Hosts, exposureScope) // the router before a host, and the proxy that leads to it, decide too
				list, err := a.exposures(cmd.Context(), states)
				if err != nil {
					return err
				}
				if states, err = a.pick(sel); err != nil {
					return err
				}
				if suggest {
					return suggestMeant(cmd.OutOrStdout(), list)
				}
				return printExposures(cmd.OutOrStdout(), *o, states, list, all)
			}))
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also what only the host itself reaches")
	c.Flags().BoolVar(&suggest, "suggest", false, "print the lines of the configuration that say of each problem that it is meant")
	return c
}

// exposures are those of some hosts, by what is known of all. Public DNS is asked of
// the names that the internet reaches.
func (a *app) exposures(ctx context.Context, states []fleet.State) ([]fleet.Exposure, error) {
	snap, now := a.store.Snapshot(), time.Now()
	out, err := a.public()
	if err != nil {
		return nil, err
	}
	list := snap.Exposures(now, cloudflareOf(ctx, out, snap.ExposedNames(now)))
	return slices.DeleteFunc(list, func(e fleet.Exposure) bool {
		return !slices.ContainsFunc(states, func(s fleet.State) bool { return s.Host.ID == e.HostID })
	}), nil
}

// cloudflareOf tells of names whether they lead to Cloudflare, by public DNS. Those
// that get no answer are left out.
func cloudflareOf(ctx context.Context, out services.Outside, names []string) map[string]bool {
	found := map[string]bool{}
	for _, n := range out.Names(ctx, names) {
		if len(n.Addresses) > 0 {
			found[n.Name] = n.Behind
		}
	}
	return found
}

func printExposures(w io.Writer, o options, states []fleet.State, list []fleet.Exposure, all bool) error {
	now := time.Now()
	_, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Firewall] {
		return fleet.Derive(s.Firewall, func(f fleet.Firewall) []fleet.Firewall { return []fleet.Firewall{f} })
	}, func(_ fleet.State, f fleet.Firewall) string { return f.Kind })
	shown := []fleet.Exposure{}
	for _, e := range list {
		if all || !e.Loopback() {
			shown = append(shown, e)
		}
	}
	out := struct {
		Schema    int              `json:"schema"`
		Exposures []fleet.Exposure `json:"exposures"`
		Errors    []hostError      `json:"errors"`
		Hosts     []hostFact       `json:"hosts"`
	}{1, shown, errs, hosts}
	bad := 0
	for _, e := range list {
		bad += exposureBad(e)
	}
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "PORT", "ADDRESS", "OF", "INTERNET", "LAN", "TAILNET", "NAMES", "")
		for _, e := range shown {
			t.row(e.Host, fleet.ProtoPort(e.Proto, e.Port), e.Address, exposureOf(e), string(e.Internet.State), string(e.LAN.State), string(e.Tailnet.State), exposureNames(e.Names), exposureWord(e))
		}
		for _, e := range shown {
			if e.Problem || e.Internet.State == fleet.PassesUnknown {
				t.note(fmt.Sprintf("%s %s: %s", e.Host, fleet.ProtoPort(e.Proto, e.Port), cmp.Or(e.Why, "not known")+": "+e.Internet.Why))
				cureNote(t, e.Cure)
			}
		}
		holes(t, hosts, now)
	})
	switch {
	case err == nil && bad > 0:
		return exitCode(exitProblem)
	case err == nil && slices.ContainsFunc(list, func(e fleet.Exposure) bool { return e.Internet.State == fleet.PassesUnknown && e.Meant == "" }):
		return exitCode(exitUnknown)
	}
	return cmp.Or(err, unknown(errs))
}

// exposureBad counts what of an exposure is a problem.
func exposureBad(e fleet.Exposure) int {
	n := 0
	if e.Problem {
		n++
	}
	for _, name := range e.Names {
		if name.Problem {
			n++
		}
	}
	return n
}

// exposureOf is whose a listener is, in a word.
func exposureOf(e fleet.Exposure) string {
	switch {
	case e.To != "":
		return "to " + e.To
	case e.Unit != "":
		return fleet.Unit{Name: e.Unit, User: e.User}.Label()
	case e.Container != "":
		return "container " + fleet.Short(e.Container, 12)
	}
	return cmp.Or(e.Process, "?")
}

// exposureWord is how an exposure stands: a problem, meant, or nothing to say.
func exposureWord(e fleet.Exposure) string {
	switch {
	case e.Problem && e.Severity == fleet.SeverityFail:
		return "EXPOSED"
	case e.Problem:
		return "not listed"
	case e.Meant != "":
		return "meant: " + e.Meant
	}
	return "-"
}

// exposureNames are names in a few words: "photos.example.org (sign-in, Cloudflare)".
func exposureNames(names []fleet.ExposedName) string {
	var all []string
	for _, n := range names {
		var words []string
		switch {
		case n.SignIn == nil:
			words = append(words, "sign-in ?")
		case *n.SignIn:
			words = append(words, "sign-in")
		default:
			words = append(words, "no sign-in")
		}
		if n.Cloudflare != nil && *n.Cloudflare {
			words = append(words, "Cloudflare")
		} else if n.Cloudflare != nil {
			words = append(words, "past Cloudflare")
		}
		if n.Meant != "" {
			words = append(words, "meant")
		}
		all = append(all, n.Name+" ("+strings.Join(words, ", ")+")")
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}

// suggestMeant prints what the configuration needs for all problems to be meant.
func suggestMeant(w io.Writer, list []fleet.Exposure) error {
	told := map[string]bool{}
	var b strings.Builder
	add := func(host, key, value string) {
		if block := fmt.Sprintf("[[meant]]\nhost = %q\n%s = %q\nwhy = \"\"\n\n", host, key, value); !told[block] {
			told[block] = true
			b.WriteString(block)
		}
	}
	for _, e := range list {
		if e.Problem {
			add(e.Host, "port", fleet.ProtoPort(e.Proto, e.Port))
		}
		for _, n := range e.Names {
			if n.Problem && !strings.Contains(n.Name, " ") { // "any name at …" is the port itself
				add(e.Host, "name", n.Name)
			}
		}
	}
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n"))
	return err
}
