package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

func demoCommand(o *options) *cobra.Command {
	var hosts int
	var theme, glyphs string
	c := &cobra.Command{
		Use: "demo", Short: "The terminal UI on a fleet that does not exist", Args: cobra.NoArgs,
		Long: "Starts hosts that speak the real protocols (SSH, Podman's API, Netdata's) on loopback, and the terminal UI on them. " +
			"With --json or --plain their status instead. Your own hosts, keys and configuration are not touched.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := *o
			if err := forPeople(o); err != nil && !o.json && !o.plain {
				return err
			}
			o.interactive = true
			cfg := &discover.Config{UI: discover.UIConfig{Theme: theme, Glyphs: glyphs}}
			return failed(withDemo(cmd.Context(), o, cfg, hosts, func(a *app) error {
				if !o.json && !o.plain {
					return a.show(cmd.Context())
				}
				if err := a.find(cmd.Context(), false); err != nil {
					return err
				}
				a.ask(cmd.Context(), a.store.Snapshot().Hosts, quick)
				return printStatus(cmd.OutOrStdout(), o, a.store.Snapshot())
			}))
		},
	}
	f := c.Flags()
	f.IntVar(&hosts, "hosts", 0, "how many hosts (default: nine of every kind)")
	f.StringVar(&theme, "theme", "", "theme of the screen")
	f.StringVar(&glyphs, "glyphs", "", "unicode, block or ascii")
	return c
}

// withDemo runs something on a simulated fleet and takes it away again.
func withDemo(ctx context.Context, o options, cfg *discover.Config, hosts int, then func(*app) error) error {
	dir, err := os.MkdirTemp("", "sextant-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := simulate.Start(ctx, simulate.Options{Hosts: hosts, Seed: 1})
	if err != nil {
		return err
	}
	defer f.Close()
	key := filepath.Join(dir, "id_ed25519")
	if err := os.WriteFile(key, f.PrivateKey(), 0o600); err != nil {
		return fmt.Errorf("the demo's key: %w", err)
	}
	a := newApp(o, cfg)
	defer a.close()
	a.links.SSHDir, a.links.KnownHosts = dir, []string{filepath.Join(dir, "known_hosts")}
	a.links.ConfigFiles, a.links.AgentSocket = nil, ""
	a.finder = imagined{f}
	a.secretsIn = filepath.Join(dir, "flake")
	if err := f.WriteSecrets(a.secretsIn); err != nil {
		return fmt.Errorf("the demo's secrets: %w", err)
	}
	a.store.SetMeant(f.Meant())
	a.door = demoDoor{f, a.store}
	a.store.SetTailnet(f.Tailnet())
	a.outside = &services.Outside{Lookup: f.Lookup, Server: "demo", Cloud: &services.Cloud{Token: "demo", Base: "http://cloudflare.demo/client/v4", Dial: f.Cloudflare}}
	if a.registries.Roots, err = f.Roots(); err != nil {
		return err
	}
	return then(a)
}

// imagined tells of hosts that are simulated.
type imagined struct{ f *simulate.Fleet }

func (i imagined) once(_ context.Context, tell found, _ bool) error {
	hosts := i.f.Hosts()
	tell(hosts, nil, []fleet.SourceState{{Source: "demo", At: time.Now(), Count: len(hosts)}})
	return nil
}

func (i imagined) follow(ctx context.Context, tell found) error {
	err := i.once(ctx, tell, false)
	<-ctx.Done()
	return err
}

// identities of what does not exist are not kept.
func (imagined) identities(fleet.Snapshot) []history.Identity { return nil }

// demoDoor changes a tailnet that does not exist.
type demoDoor struct {
	f     *simulate.Fleet
	store *fleet.Store
}

// Ping tells how nodes are reached.
func (d demoDoor) Ping(ctx context.Context, nodes []fleet.Node, tell func(string, fleet.Fact[fleet.Path])) {
	for _, n := range nodes {
		if ctx.Err() != nil {
			return
		}
		tell(n.ID, d.f.Path(n))
	}
}

// Remove takes a node out.
func (d demoDoor) Remove(_ context.Context, n fleet.Node) error {
	err := d.f.RemoveNode(n.ID)
	d.store.SetTailnet(d.f.Tailnet())
	return err
}

// Rename gives a node another name.
func (d demoDoor) Rename(_ context.Context, id, name string) error {
	err := d.f.RenameNode(id, name)
	d.store.SetTailnet(d.f.Tailnet())
	return err
}
