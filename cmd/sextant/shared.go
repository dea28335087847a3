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
)

// sharedOf are the pods, networks and volumes of hosts.
type sharedOf map[fleet.HostID]fleet.Fact[fleet.Shared]

// readShared asks the hosts whose containers are known what those share.
func (a *app) readShared(ctx context.Context, states []fleet.State) sharedOf {
	return ofEach(ctx, a, states, func(ctx context.Context, s fleet.State) fleet.Fact[fleet.Shared] {
		if !s.Containers.Current() && (s.Containers.None || !s.Containers.HasValue() || !s.Reach.Current()) {
			return fleet.Derive(s.Containers, func([]fleet.Container) fleet.Shared { return fleet.Shared{} })
		}
		return console{a}.Shared(ctx, s.Host.ID)
	})
}

// sharedCommand lists one kind of what containers share.
func sharedCommand(o *options, name, short string, write func(io.Writer, options, []fleet.State, sharedOf, bool) error) *cobra.Command {
	var unused bool
	c := &cobra.Command{
		Use: name + " [SEL…]", Short: short,
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("containers"), func(a *app, states []fleet.State) error {
				return write(cmd.OutOrStdout(), *o, states, a.readShared(cmd.Context(), states), unused)
			}))
		},
	}
	c.Flags().BoolVar(&unused, "unused", false, "those that no container uses only")
	return c
}

func podsCommand(o *options) *cobra.Command {
	return sharedCommand(o, "pods", "Pods of root and of every user, and the containers in them", printPods)
}

func networksCommand(o *options) *cobra.Command {
	return sharedCommand(o, "networks", "Networks of the engines, who is in them, and those that nobody uses", printNetworks)
}

func volumesCommand(o *options) *cobra.Command {
	return sharedCommand(o, "volumes", "Volumes of the engines, who mounts them, and those that nobody does", printVolumes)
}

type podRow struct {
	Host string `json:"host"`
	fleet.Pod
	Unused bool `json:"unused"`
}

type networkRow struct {
	Host string `json:"host"`
	fleet.Network
	Unused bool `json:"unused"`
}

type volumeRow struct {
	Host string `json:"host"`
	fleet.Volume
	Unused *bool `json:"unused"` // null: who mounts it was not told
}

// sharedRows are the rows of one kind. An engine that failed beside others that
// did not is a hole, and the rows of those others stay.
func sharedRows[T, U any](states []fleet.State, all sharedOf, list func(fleet.Shared) []T, row func(fleet.State, T) U) (rows []U, hosts []hostFact, errs []hostError) {
	partly := map[fleet.HostID]string{}
	rows, hosts, errs = gather(states, func(s fleet.State) fleet.Fact[[]T] {
		f := fleet.Derive(all[s.Host.ID], list)
		if f.HasValue() && f.Err != "" {
			partly[s.Host.ID], f.Err = f.Err, ""
		}
		return f
	}, row)
	for i, s := range states {
		if why := partly[s.Host.ID]; why != "" {
			hosts[i].Error = why
			errs = append(errs, hostError{Host: s.Host.Name, Error: why})
		}
	}
	return rows, hosts, errs
}

// users are the names of who uses something, or a word that nobody does.
func users(names []string, unused bool) string {
	switch {
	case names == nil:
		return "?"
	case unused:
		return "unused"
	case len(names) == 0:
		return "-"
	}
	return strings.Join(names, " ")
}

func printPods(w io.Writer, o options, states []fleet.State, all sharedOf, unused bool) error {
	rows, hosts, errs := sharedRows(states, all, func(s fleet.Shared) []fleet.Pod { return s.Pods },
		func(s fleet.State, p fleet.Pod) podRow { return podRow{s.Host.Name, p, p.Unused()} })
	rows = slices.DeleteFunc(rows, func(r podRow) bool { return unused && !r.Unused })
	out := struct {
		Schema int         `json:"schema"`
		Pods   []podRow    `json:"pods"`
		Errors []hostError `json:"errors"`
		Hosts  []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "POD", "USER", "STATE", "CONTAINERS", "STOPPED", "NETWORKS", "CREATED")
		for _, p := range rows {
			t.row(p.Host, p.Name, p.User, p.State, users(p.Containers, p.Unused), cmp.Or(strings.Join(p.Stopped, " "), "-"),
				cmp.Or(strings.Join(p.Networks, " "), "-"), age(p.Created, now))
		}
		holes(t, hosts, now)
	})
	return cmp.Or(err, unknown(errs))
}

func printNetworks(w io.Writer, o options, states []fleet.State, all sharedOf, unused bool) error {
	rows, hosts, errs := sharedRows(states, all, func(s fleet.Shared) []fleet.Network { return s.Networks },
		func(s fleet.State, n fleet.Network) networkRow { return networkRow{s.Host.Name, n, n.Unused()} })
	rows = slices.DeleteFunc(rows, func(r networkRow) bool { return unused && !r.Unused })
	out := struct {
		Schema   int          `json:"schema"`
		Networks []networkRow `json:"networks"`
		Errors   []hostError  `json:"errors"`
		Hosts    []hostFact   `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "NETWORK", "USER", "DRIVER", "SUBNETS", "USED BY", "CREATED")
		for _, n := range rows {
			driver := n.Driver
			if n.Internal {
				driver += ", internal"
			}
			t.row(n.Host, n.Name, n.User, driver, cmp.Or(strings.Join(n.Subnets, " "), "-"), users(n.Containers, n.Unused), age(n.Created, now))
		}
		holes(t, hosts, now)
	})
	return cmp.Or(err, unknown(errs))
}

func printVolumes(w io.Writer, o options, states []fleet.State, all sharedOf, unused bool) error {
	rows, hosts, errs := sharedRows(states, all, func(s fleet.Shared) []fleet.Volume { return s.Volumes },
		func(s fleet.State, v fleet.Volume) volumeRow {
			r := volumeRow{Host: s.Host.Name, Volume: v}
			if is := v.Unused(); v.Containers != nil {
				r.Unused = &is
			}
			return r
		})
	rows = slices.DeleteFunc(rows, func(r volumeRow) bool { return unused && !r.Volume.Unused() })
	out := struct {
		Schema  int         `json:"schema"`
		Volumes []volumeRow `json:"volumes"`
		Errors  []hostError `json:"errors"`
		Hosts   []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	now, untold := time.Now(), 0
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "VOLUME", "USER", "DRIVER", "USED BY", "CREATED", "PATH")
		for _, v := range rows {
			if v.Containers == nil {
				untold++
			}
			t.row(v.Host, v.Name, v.User, v.Driver, users(v.Containers, v.Volume.Unused()), age(v.Created, now), cmp.Or(v.Path, "-"))
		}
		if untold > 0 {
			t.note(fmt.Sprintf("? of %d it was not told who uses them", untold))
		}
		holes(t, hosts, now)
	})
	return cmp.Or(err, unknown(errs))
}
