package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/words"
)

func dnsCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use: "dns [SEL…]", Short: "DNS servers that block (Blocky), and names in the local network (mDNS)", Args: cobra.ArbitraryArgs,
		Long: "For each Blocky: whether it blocks, is paused or off; queries, blocked, cache and errors of the last 24 hours, or since it started where it keeps no statistics; its lists and when they were refreshed. " +
			"For each host that answers by mDNS: by which program, and under which name. Exit code 1 with problems; 3 where of a host its servers or its names, or of a server how it blocks, is not known. Statistics and lists that are not known are told, and do not change it.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, dnsScope, func(_ *app, states []fleet.State) error {
				return printDNS(cmd.OutOrStdout(), *o, states)
			}))
		},
	}
	c.AddCommand(dnsPauseCommand(o), dnsResumeCommand(o), dnsRefreshCommand(o), dnsAskCommand(o))
	return c
}

// dnsRow is a DNS server with its host.
type dnsRow struct {
	Host string `json:"host"`
	fleet.DNSServer
	Source string `json:"source"`
}

// nameRow is a name in mDNS with its host.
type nameRow struct {
	Host string `json:"host"`
	fleet.MDNS
	Seen   []string  `json:"seen,omitempty"` // the addresses at which this machine sees the host by mDNS
	At     time.Time `json:"at"`
	Source string    `json:"source"`
}

func printDNS(w io.Writer, o options, states []fleet.State) error {
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.DNSServer] { return s.DNS }, func(s fleet.State, d fleet.DNSServer) dnsRow {
		return dnsRow{s.Host.Name, d, s.DNS.Source}
	})
	names, told, unnamed := gather(states, func(s fleet.State) fleet.Fact[[]fleet.MDNS] { return s.MDNS }, func(s fleet.State, m fleet.MDNS) nameRow {
		return nameRow{s.Host.Name, m, s.Host.Seen(), s.MDNS.At.UTC(), s.MDNS.Source}
	})
	for _, r := range rows {
		if r.Err != "" && !r.None {
			errs = append(errs, hostError{r.Host, r.Title() + " " + r.Name() + ": " + r.Err, r.Cure})
		}
	}
	for _, e := range unnamed {
		if !slices.ContainsFunc(errs, func(o hostError) bool { return o.Host == e.Host && o.Error == e.Error }) {
			e.Error = "names in mDNS: " + e.Error
			errs = append(errs, e)
		}
	}
	now := time.Now()
	out := struct {
		Schema    int         `json:"schema"`
		Servers   []dnsRow    `json:"servers"`
		Names     []nameRow   `json:"names"`
		Errors    []hostError `json:"errors"`
		Hosts     []hostFact  `json:"hosts"`
		NameHosts []hostFact  `json:"nameHosts"` // who told the names, and why others did not
	}{1, rows, names, errs, hosts, told}
	bad := slices.ContainsFunc(states, func(s fleet.State) bool {
		return slices.ContainsFunc(s.Problems(now), func(p fleet.Problem) bool {
			return p.Of.Kind == fleet.KindDNS && p.Severity != fleet.SeverityUnknown && p.Acked == nil
		})
	})
	err := o.write(w, out, func(t *table) {
		dnsTable(t, rows, now)
		holes(t, hosts, now)
		nameTable(t, names, told, now)
	})
	if err == nil && bad {
		return exitCode(exitProblem)
	}
	return cmp.Or(err, unknown(errs))
}

func dnsTable(t *table, rows []dnsRow, now time.Time) {
	t.row("HOST", "SERVER", "BLOCKING", "QUERIES", "BLOCKED", "CACHE", "ERRORS", "SPAN", "ENTRIES", "REFRESHED", "FAILED", "AGE", "SOURCE")
	for _, r := range rows {
		c := words.DNS(r.DNSServer, now)
		t.row(r.Host, cmp.Or(r.Container, r.Unit), r.Word(now), c.Queries, c.Blocked, c.Cache, c.Errors, c.Span, c.Entries, c.Refreshed, c.Failed, age(r.At, now), cmp.Or(r.Address, r.Source))
	}
	for _, r := range rows {
		note := func(mark, text string) {
			if text != "" {
				t.note(mark + " " + r.Host + " " + cmp.Or(r.Container, r.Unit) + ": " + text)
			}
		}
		switch {
		case r.None:
			note("-", r.Err)
			cureNote(t, r.Cure)
		case r.Err != "":
			note("?", r.Err)
			cureNote(t, r.Cure)
		default:
			note("-", r.NoStats)
			note("-", r.NoLists)
			if r.Lists != nil {
				note("-", r.Lists.Unread)
			}
		}
	}
}

func nameTable(t *table, rows []nameRow, hosts []hostFact, now time.Time) {
	if len(rows) > 0 {
		t.section("names in the local network (mDNS)")
		t.head = nil
		t.row("HOST", "BY", "NAME", "STATE", "SEEN HERE AT", "AGE")
	}
	for _, r := range rows {
		t.row(r.Host, r.Responder, cmp.Or(r.Name, "?"), r.Word(), cmp.Or(strings.Join(r.Seen, ", "), "-"), age(r.At, now))
	}
	for _, h := range hosts {
		if h.Error != "" && !h.None && !h.Sleeps {
			t.note("? " + h.Host + ": names in mDNS: " + h.Error)
		}
	}
}

// dnsVerb is a command that does something with the DNS server of a host.
func dnsVerb(o *options, v verb, what string, chosen func() map[string]string) *cobra.Command {
	var server string
	c := actCommand(o, v, what, dnsScope, func(t *fleet.Target, _ string) (string, error) {
		if t.DNS = server; chosen != nil {
			t.Chosen = chosen()
		}
		return "dns-" + v.word, nil
	})
	c.Use, c.Short, c.Args = v.word+" HOST", v.title, cobra.ExactArgs(1)
	c.Flags().StringVar(&server, "server", "", "which, where the host has several: its unit or container, or as blocky/dns@alice that of a user")
	return c
}

func dnsPauseCommand(o *options) *cobra.Command {
	var length time.Duration
	var groups []string
	chosen := func() map[string]string {
		return map[string]string{idPause: length.String(), idLists: strings.Join(groups, ",")}
	}
	c := dnsVerb(o, verb{"pause", "Block nothing for a time", "paused"}, "", chosen)
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("groups") && len(groups) == 0 {
			return usageError{errors.New("--groups: none is named; without it all are paused")}
		}
		for _, c := range []fleet.Choice{choicePause, choiceLists} {
			if why := c.Wrong(fleet.Target{Chosen: chosen()}); why != "" {
				return usageError{fmt.Errorf("--%s", why)}
			}
		}
		return nil
	}
	c.Flags().DurationVar(&length, "for", 5*time.Minute, "how long: 30s, 5m, 1h30m")
	c.Flags().StringSliceVar(&groups, "groups", nil, "groups of lists; without it all")
	return c
}

func dnsResumeCommand(o *options) *cobra.Command {
	return dnsVerb(o, verb{"resume", "Block again, now", "resumed"}, "", nil)
}

func dnsRefreshCommand(o *options) *cobra.Command {
	return dnsVerb(o, verb{"refresh", "Read all lists anew, and wait for how it ends; Ctrl-C may stop it", "refreshed"}, "", nil)
}

func dnsAskCommand(o *options) *cobra.Command {
	var kind, server string
	c := &cobra.Command{
		Use: "ask HOST NAME", Short: "What the DNS server of a host answers for a name, and why: is it blocked?", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := fleet.Target{DNS: server, Chosen: map[string]string{idName: args[1], idType: kind}}
			if why := wrongName(t); why != "" || args[1] == "" {
				return usageError{fmt.Errorf("%s", cmp.Or(why, "no name is given"))}
			}
			return failed(withHosts(cmd.Context(), *o, args[:1], dnsScope, func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
				}
				t.Hosts = states
				out := struct {
					Schema int              `json:"schema"`
					Host   string           `json:"host"`
					Answer *fleet.DNSAnswer `json:"answer,omitempty"`
					Error  string           `json:"error,omitempty"`
				}{Schema: 1, Host: states[0].Host.Name}
				answer, err := a.askName(cmd.Context(), t)
				if err != nil {
					out.Error = fleet.InFull(err)
				} else {
					out.Answer = &answer
				}
				if werr := o.write(cmd.OutOrStdout(), out, func(tb *table) {
					tb.note(out.Host + ": " + cmp.Or(out.Error, answer.Line()))
				}); werr != nil {
					return werr
				}
				if err != nil {
					return exitCode(exitUnknown)
				}
				return nil
			}))
		},
	}
	c.Flags().StringVar(&kind, "type", "A", "what is asked for: A, AAAA, MX, …")
	c.Flags().StringVar(&server, "server", "", "which, where the host has several: its unit or container, or as blocky/dns@alice that of a user")
	return c
}
