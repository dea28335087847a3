package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

func containersCommand(o *options) *cobra.Command {
	var stats bool
	c := &cobra.Command{
		Use: "containers [SEL…]", Short: "Containers of Podman and Docker, with the units that own them; with --stats what they use",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("containers"), func(a *app, states []fleet.State) error {
				states = a.lookInto(cmd.Context(), states, stats)
				return printContainers(cmd.OutOrStdout(), *o, states, stats)
			}))
		},
	}
	c.Flags().BoolVar(&stats, "stats", false, "measure for two seconds what they use: cpu, memory, network, disk")
	return c
}

// lookInto asks the containers of hosts what their health checks said, and with
// measure what they use.
func (a *app) lookInto(ctx context.Context, states []fleet.State, measure bool) []fleet.State {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.opts.timeout, time.Minute))
	defer cancel()
	out := make([]fleet.State, len(states))
	var wg sync.WaitGroup
	for i, s := range states {
		wg.Go(func() {
			if s.Containers.HasValue() && s.Reach.Current() {
				e := a.readers.of(a.links.Open(s.Host))
				s.Containers.Value = e.Checks(ctx, s.Containers.Value)
				if measure {
					s = s.Measured(e.Measure(ctx, s.Containers.Value))
				}
			}
			out[i] = s
		})
	}
	wg.Wait()
	return out
}

// containerUse is what a container uses, in the units of machine output.
type containerUse struct {
	At       time.Time `json:"at"`
	CPU      float64   `json:"cpu"`         // cores, over two seconds
	Memory   uint64    `json:"memory"`      // bytes
	Limit    *uint64   `json:"memoryLimit"` // bytes; null: none
	NetIn    uint64    `json:"netIn"`       // bytes since it was started, as the others
	NetOut   uint64    `json:"netOut"`
	BlockIn  uint64    `json:"blockIn"`
	BlockOut uint64    `json:"blockOut"`
	PIDs     uint64    `json:"pids"`
}

func useOf(s fleet.State, c fleet.Container) *containerUse {
	m, ok := s.Stats[c.ID]
	if !ok || c.ID == "" {
		return nil
	}
	u := &containerUse{At: m.At.UTC(), CPU: m.CPU, Memory: m.Memory, NetIn: m.NetIn, NetOut: m.NetOut, BlockIn: m.BlockIn, BlockOut: m.BlockOut, PIDs: m.PIDs}
	if m.MemLimit > 0 {
		u.Limit = &m.MemLimit
	}
	return u
}

// containerStats is the table of what containers use.
func containerStats(t *table, rows []containerRow) {
	t.row("HOST", "NAME", "USER", "STATE", "CPU", "MEMORY", "LIMIT", "NET IN", "NET OUT", "READ", "WRITTEN", "PROCESSES")
	for _, c := range rows {
		u := c.Use
		switch {
		case u == nil && c.Running():
			t.row(c.Host, c.Name, c.User, c.State, "?", "?", "?", "?", "?", "?", "?", "?")
		case u == nil:
			t.row(c.Host, c.Name, c.User, c.State, "-", "-", "-", "-", "-", "-", "-", "-")
		default:
			limit := "-"
			if u.Limit != nil {
				limit = size(*u.Limit)
			}
			t.row(c.Host, c.Name, c.User, c.State, fmt.Sprintf("%.1f%%", 100*u.CPU), size(u.Memory), limit, size(u.NetIn), size(u.NetOut), size(u.BlockIn), size(u.BlockOut), strconv.FormatUint(u.PIDs, 10))
		}
	}
}

// count is a number that may not be told.
func count(n *int) string {
	if n == nil {
		return "?"
	}
	return strconv.Itoa(*n)
}

// published are the ports of a container: "8443>443 53/udp".
func published(ports []fleet.Port) string {
	var out []string
	for _, p := range ports {
		out = append(out, p.String())
	}
	return strings.Join(out, " ")
}

// checkNote tells below a container that is not healthy what its check said.
func checkNote(t *table, c fleet.Container, now time.Time) {
	if c.Check == nil || c.Health == "healthy" {
		return
	}
	said := strings.Join(strings.Fields(c.Check.Output), " ")
	t.note(fmt.Sprintf("  its check %s ago, exit code %d: %s", age(c.Check.End, now), c.Check.ExitCode, cmp.Or(fleet.Short(said, 200), "no output")))
}
