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
)

// How old what the public tells may get, and how soon it is asked again where no name
// was known yet.
const (
	everyPublic = 10 * time.Minute
	soonPublic  = 20 * time.Second
)

func publicCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "public", Short: "The names that the fleet serves as the public finds them: public DNS, Cloudflare's records, proxied or not, and its tunnels",
		Long: "The names are those of the sites of all hosts, and those that Cloudflare leads through a tunnel. Public DNS is asked from this machine. " +
			"Cloudflare is asked where there is a token for it (docs/configuration.md); without one, that is said.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed(withHosts(cmd.Context(), *o, nil, siteScope, func(a *app, _ []fleet.State) error {
				a.askPublic(cmd.Context())
				return printPublic(cmd.OutOrStdout(), *o, a.store.Snapshot())
			}))
		},
	}
}

// askPublic asks the public of the names of all sites, and puts what it tells into the
// store. It gives how many names were asked of.
func (a *app) askPublic(ctx context.Context) int {
	const source = "public DNS, Cloudflare"
	names := a.store.Snapshot().SiteNames(time.Now())
	out, err := a.public()
	var f fleet.Fact[fleet.Public]
	if err == nil {
		f = fleet.Known(out.Public(ctx, names), time.Now(), source)
	} else {
		f = fleet.Unknown[fleet.Public](err, time.Now(), source)
	}
	if ctx.Err() != nil {
		return len(names)
	}
	a.store.SetPublic(f)
	if a.history != nil && err == nil {
		if err := a.history.SavePublic(f); err != nil {
			a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "not remembered: " + err.Error()})
		}
	}
	return len(names)
}

// followPublic keeps that fresh until ctx ends, where there is a token for Cloudflare:
// without one nothing is sent to anybody unless a person asks.
func (a *app) followPublic(ctx context.Context) {
	if out, err := a.public(); err == nil && out.Cloud == nil {
		return
	}
	for wait := soonPublic; ; {
		if len(a.store.Snapshot().SiteNames(time.Now())) > 0 && a.askPublic(ctx) > 0 {
			wait = everyPublic
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// publicRow is a name with who serves it and how it stands.
type publicRow struct {
	fleet.PublicName
	Way    string       `json:"way"` // proxied, tunnel, direct, "-" not at all, "?"
	Served []string     `json:"servedBy"`
	State  fleet.Health `json:"state"`
	Why    string       `json:"why,omitempty"`
	Cure   string       `json:"cure,omitempty"`
}

// tunnelRow is a tunnel with the host that runs its cloudflared, "" where none is known.
type tunnelRow struct {
	fleet.CloudTunnel
	Host string `json:"host"`
	Unit string `json:"unit,omitempty"`
}

func printPublic(w io.Writer, o options, snap fleet.Snapshot) error {
	f, now := snap.Public, time.Now()
	if !f.HasValue() {
		return fmt.Errorf("public: %s", f.Err)
	}
	p := f.Value
	out := struct {
		Schema  int         `json:"schema"`
		At      time.Time   `json:"at"`
		Server  string      `json:"server"` // the public name server
		Cloud   string      `json:"cloudflareError,omitempty"`
		Cure    string      `json:"cure,omitempty"`
		Zones   []string    `json:"zones"`
		Names   []publicRow `json:"names"`
		Tunnels []tunnelRow `json:"tunnels"`
	}{1, f.At, p.Server, p.Cloud, p.Cure, append([]string{}, p.Zones...), []publicRow{}, []tunnelRow{}}
	for _, n := range p.Names {
		r := publicRow{PublicName: n, Way: n.Way(), Served: append([]string{}, snap.ServedBy(n.Name)...)}
		r.State, r.Why, r.Cure = n.Judge()
		out.Names = append(out.Names, r)
	}
	for _, t := range p.Tunnels {
		st, u, _ := snap.TunnelHost(t)
		out.Tunnels = append(out.Tunnels, tunnelRow{t, st.Host.Name, u.Name})
	}
	err := o.write(w, out, func(t *table) {
		t.row("NAME", "WAY", "ADDRESSES", "RECORD", "SERVED BY", "STATE")
		for _, r := range out.Names {
			t.row(r.Name, r.Way, cmp.Or(strings.Join(r.Addresses, " "), "-"), cmp.Or(recordWords(r.PublicName), "-"), cmp.Or(strings.Join(r.Served, " "), "-"),
				strings.TrimSuffix(string(r.State)+": "+r.Why, ": "))
		}
		for _, r := range out.Tunnels {
			t.note(fmt.Sprintf("tunnel %s is %s, on %s", r.Name, r.Status, cmp.Or(r.Host, "no host that is known")))
		}
		if p.Cloud != "" {
			t.note("Cloudflare: " + p.Cloud)
			cureNote(t, p.Cure)
		}
	})
	if err != nil {
		return err
	}
	snap.Sealed = fleet.Fact[fleet.SealedFiles]{} // only what is told here counts
	var all []fleet.Problem
	for _, f := range snap.OfFleet(now) {
		all = append(all, f.Problem)
	}
	return verdict(fleet.Worst(all))
}

// recordWords are Cloudflare's records of a name in a few words.
func recordWords(n fleet.PublicName) string {
	var list []string
	for _, r := range n.Records {
		text := r.Type + " " + r.Content
		if n.Tunnel != nil {
			text = "tunnel " + n.Tunnel.Name
		}
		if r.Proxied {
			text += " (proxied)"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
