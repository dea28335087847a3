package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// siteScope is what is asked for sites: containers too, in which their services run.
func siteScope(c watch.Collector) bool { return c.Name == "sites" || c.Name == "containers" }

func sitesCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "sites [SEL…]", Short: "What hosts serve: sites, routes, upstreams, certificates, sign-in",
		Long: "Sites and routes are those of Caddy, asked at its admin API on the host. Certificates are what a handshake on the host itself shows. " +
			"An upstream is down where Caddy's own health check says so, or where nothing listens there.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, siteScope, func(_ *app, states []fleet.State) error {
				return printSites(cmd.OutOrStdout(), *o, states)
			}))
		},
	}
}

func listensCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "listens [SEL…]", Short: "Who listens where on hosts: address, process, unit, container",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("listens"), func(_ *app, states []fleet.State) error {
				return printListens(cmd.OutOrStdout(), *o, states)
			}))
		},
	}
}

// siteRow is a site with its host and what stands in front of it.
type siteRow struct {
	Host  string `json:"host"`
	Proxy string `json:"proxy"`
	fleet.Site
}

type serviceRow struct {
	Host string `json:"host"`
	fleet.Service
}

func printSites(w io.Writer, o options, states []fleet.State) error {
	now := time.Now()
	rows, of := []siteRow{}, []fleet.State{}
	_, hosts, errs := gather(states, fleet.State.SeenSites, func(s fleet.State, p fleet.Proxy) fleet.Proxy {
		if s.Sites.Current() {
			for _, site := range p.Sites {
				rows, of = append(rows, siteRow{s.Host.Name, p.Kind, site}), append(of, s)
			}
		}
		return p
	})
	services, _, unasked := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Service] { return s.Services },
		func(s fleet.State, v fleet.Service) serviceRow { return serviceRow{s.Host.Name, v} })
	for _, e := range unasked {
		if !sameHole(errs, e) {
			errs = append(errs, e)
		}
	}
	out := struct {
		Schema   int          `json:"schema"`
		Sites    []siteRow    `json:"sites"`
		Services []serviceRow `json:"services"`
		SignIn   fleet.SignIn `json:"signIn"`
		Errors   []hostError  `json:"errors"`
		Hosts    []hostFact   `json:"hosts"`
	}{1, rows, services, fleet.SignInOf(states, now), errs, hosts}
	ages := aged(hosts, now)
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "SITE", "WHEN", "LEADS TO", "UPSTREAM", "SIGN-IN", "CERTIFICATE", "AGE")
		for i, r := range rows {
			for _, route := range r.Routes {
				t.row(r.Host, r.Label(), cmp.Or(fleet.Condition(route.When), "-"), route.Leads(), of[i].RouteWord(route), route.SignIn(), certWord(r.Site, now), ages[r.Host])
			}
		}
		for _, v := range services {
			t.note(strings.TrimSuffix(fmt.Sprintf("%s on %s: %s: %s", v.Kind, v.Host, v.Health, v.Why), ": "))
		}
		if line := signInLine(out.SignIn); line != "" {
			t.note(line)
		}
		holes(t, hosts, now)
	})
	bad := false
	for _, s := range states {
		bad = bad || s.WayBroken(now)
	}
	if err == nil && bad {
		return exitCode(exitProblem)
	}
	return cmp.Or(err, unknown(errs))
}

// signInLine is how signing in stands, on one line; "" where nothing does that.
func signInLine(in fleet.SignIn) string {
	if len(in.Links) == 0 {
		return ""
	}
	line := fmt.Sprintf("signing in: %s (%s ask", in.Health, plural(len(in.Sites), "site", "no site"))
	if len(in.Sites) == 1 {
		line += "s"
	}
	var chain []string
	for _, l := range in.Links {
		link := l.Kind + " on " + l.Host
		if l.Health != fleet.HealthOK {
			link += " " + string(l.Health)
		}
		chain = append(chain, link)
	}
	line += "): " + strings.Join(chain, " → ")
	if len(in.Unread) > 0 {
		line += "; not known of " + strings.Join(in.Unread, ", ")
	}
	return line
}

// sameHole tells whether it was said of the host already why nothing is known.
func sameHole(errs []hostError, e hostError) bool {
	for _, known := range errs {
		if known.Host == e.Host && (known.Error == e.Error || e.Error == "not asked yet") {
			return true
		}
	}
	return false
}

// certWord is a site's certificate in a word.
func certWord(s fleet.Site, now time.Time) string {
	switch {
	case !s.TLS:
		return "no TLS"
	case s.Cert == nil:
		return "?"
	}
	return s.Cert.Word(now)
}

func printListens(w io.Writer, o options, states []fleet.State) error {
	type listenRow struct {
		Host string `json:"host"`
		fleet.Listener
	}
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Listener] { return s.Listens },
		func(s fleet.State, l fleet.Listener) listenRow { return listenRow{s.Host.Name, l} })
	out := struct {
		Schema  int         `json:"schema"`
		Listens []listenRow `json:"listens"`
		Errors  []hostError `json:"errors"`
		Hosts   []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	ages := aged(hosts, now)
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "PROTO", "ADDRESS", "PORT", "PROCESS", "PID", "UNIT", "CONTAINER", "AGE")
		for _, l := range rows {
			pid := "-"
			if l.PID > 0 {
				pid = fmt.Sprint(l.PID)
			}
			unit := fleet.Unit{Name: cmp.Or(l.Unit, l.Scope), User: l.User}.Label()
			t.row(l.Host, l.Proto, l.Address, fmt.Sprint(l.Port), cmp.Or(l.Process, "?"), pid, cmp.Or(unit, "-"), cmp.Or(fleet.Short(l.Container, 12), "-"), ages[l.Host])
		}
		holes(t, hosts, now)
	})
	return cmp.Or(err, unknown(errs))
}
