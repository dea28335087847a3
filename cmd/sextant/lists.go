package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

func hostsCommand(o *options) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "hosts", Short: "Who was found, by which source; with --all who is no host, and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed(withApp(*o, func(a *app) error {
				a.recall() // what runs on hosts, which tells what they are for
				if err := a.find(cmd.Context(), true); err != nil {
					return err
				}
				snap := a.store.Snapshot()
				if len(snap.Hosts) == 0 && !all && !o.json {
					fmt.Fprintln(cmd.ErrOrStderr(), "sextant: "+whyNobody(snap.Sources))
				}
				return printHosts(cmd.OutOrStdout(), *o, snap, all)
			}))
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also what is not a host, with the reason, and how each source is doing")
	return c
}

func printHosts(w io.Writer, o options, snap fleet.Snapshot, all bool) error {
	type hostRow struct {
		Name      string          `json:"name"`
		Sources   []string        `json:"sources"`
		Addresses []fleet.Address `json:"addresses"`
		Tags      []string        `json:"tags"`
		Role      fleet.Role      `json:"role,omitempty"` // absent: none, or not known
		RoleFrom  string          `json:"roleFrom,omitempty"`
		Tier      string          `json:"tier,omitempty"`
		TierFrom  string          `json:"tierFrom,omitempty"`
		Aliases   []string        `json:"aliases,omitempty"`
		Flake     string          `json:"flake,omitempty"`
	}
	out := struct {
		Schema  int                 `json:"schema"`
		Hosts   []hostRow           `json:"hosts"`
		Others  []fleet.Other       `json:"others"`
		Sources []fleet.SourceState `json:"sources"`
	}{Schema: 1, Hosts: []hostRow{}, Others: append([]fleet.Other{}, snap.Others...), Sources: append([]fleet.SourceState{}, snap.Sources...)}
	for _, s := range snap.Hosts {
		h := s.Placed()
		out.Hosts = append(out.Hosts, hostRow{
			h.Name, append([]string{}, h.Sources...), append([]fleet.Address{}, h.Addresses...),
			append([]string{}, h.Tags...), h.Role, h.RoleFrom, h.Tier, h.TierFrom, h.Aliases, h.Flake,
		})
	}
	return o.write(w, out, func(t *table) {
		t.row("HOST", "ROLE", "TIER", "SOURCES", "ADDRESSES", "TAGS")
		for _, h := range out.Hosts {
			var addrs []string
			for _, a := range h.Addresses {
				addrs = append(addrs, a.Host)
			}
			t.row(h.Name, cmp.Or(string(h.Role), "-"), cmp.Or(h.Tier, "-"), strings.Join(h.Sources, " "), strings.Join(addrs, " "), strings.Join(h.Tags, " "))
		}
		if !all {
			return
		}
		for _, x := range out.Others {
			t.note("not a host: " + x.Name + ": " + x.Why)
		}
		for _, s := range out.Sources {
			t.note(strings.TrimRight(fmt.Sprintf("source %s: %s", s.Source, cmp.Or(s.Err, fleet.Count(s.Count, "name")))+". "+s.Help, ". "))
		}
	})
}

func generationsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "generations HOST", Short: "Generations of a host: running, default, booted, in the boot menu", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args, probeOnly, func(_ *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
				}
				return printGenerations(cmd.OutOrStdout(), *o, states[0])
			}))
		},
	}
}

func printGenerations(w io.Writer, o options, s fleet.State) error {
	f := s.Generations
	if !f.Current() {
		return fmt.Errorf("generations of %s: %w", s.Host.Name, cmp.Or(f.Why(), s.Reach.Why(), fleet.ErrNotAsked))
	}
	out := struct {
		Schema      int                `json:"schema"`
		Host        string             `json:"host"`
		At          time.Time          `json:"at"`
		Source      string             `json:"source"`
		Generations []fleet.Generation `json:"generations"`
	}{1, s.Host.Name, f.At.UTC(), f.Source, f.Value}
	return o.write(w, out, func(t *table) {
		t.row("GENERATION", "DATE", "VERSION", "KERNEL", "REVISION", "MARKS")
		for _, g := range f.Value {
			t.row(fmt.Sprint(g.Number), g.Date.Local().Format("2006-01-02 15:04"), cmp.Or(g.NixOSVersion, "?"),
				cmp.Or(g.Kernel, "-"), cmp.Or(fleet.Short(g.Revision, 12), "-"), marks(g))
		}
		t.note("read " + age(f.At, time.Now()) + " ago by " + f.Source)
	})
}

// marks are the words that tell a generation from the others.
func marks(g fleet.Generation) string {
	var m []string
	for _, x := range []struct {
		on   bool
		word string
	}{
		{g.Running, "running"}, {g.Default, "default"}, {g.Booted, "booted"},
		{g.BootEntry != nil && !*g.BootEntry, "no boot entry"}, {g.BootEntry == nil, "boot entry ?"},
		{len(g.BootMissing) > 0, "cannot boot"},
		{len(g.Specialisations) > 0, "specialisations: " + strings.Join(g.Specialisations, " ")},
	} {
		if x.on {
			m = append(m, x.word)
		}
	}
	return strings.Join(m, ", ")
}

type containerRow struct {
	Host string `json:"host"`
	fleet.Container
	Use *containerUse `json:"use,omitempty"` // with --stats: null where it was not measured
}

func printContainers(w io.Writer, o options, states []fleet.State, stats bool) error {
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Container] { return s.Containers },
		func(s fleet.State, c fleet.Container) containerRow {
			if c.Ports == nil {
				c.Ports = []fleet.Port{}
			}
			return containerRow{s.Host.Name, c, useOf(s, c)}
		})
	out := struct {
		Schema     int            `json:"schema"`
		Containers []containerRow `json:"containers"`
		Errors     []hostError    `json:"errors"`
		Hosts      []hostFact     `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	ages := aged(hosts, now)
	err := o.write(w, out, func(t *table) {
		if stats {
			containerStats(t, rows)
			holes(t, hosts, now)
			return
		}
		t.row("HOST", "NAME", "STATE", "HEALTH", "RESTARTS", "IMAGE", "MADE", "DIGEST", "PORTS", "UNIT", "USER", "STARTED", "AGE")
		for _, c := range rows {
			t.row(c.Host, c.Name, c.State, cmp.Or(c.Health, "-"), count(c.Restarts), c.Image, age(c.ImageAt, now), cmp.Or(fleet.Short(strings.TrimPrefix(c.Digest, "sha256:"), 12), "-"),
				cmp.Or(published(c.Ports), "-"), cmp.Or(c.Unit, "-"), c.User, age(c.Started, now), ages[c.Host])
			checkNote(t, c.Container, now)
		}
		holes(t, hosts, now)
	})
	return cmp.Or(err, unknown(errs))
}
