package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/tui/words"
)

func containerShowCommand(o *options, user *string) *cobra.Command {
	var secrets bool
	c := &cobra.Command{
		Use: "show HOST CONTAINER", Short: "Its configuration, environment, mounts, networks, labels, health and processes", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args[:1], only("containers"), func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
				}
				c, err := a.namedContainer(states[0], args[1], *user)
				if err != nil {
					return err
				}
				return a.showContainer(cmd.Context(), cmd.OutOrStdout(), states[0].Host, c, secrets)
			}))
		},
	}
	c.Flags().BoolVar(&secrets, "secrets", false, "show values that look secret instead of hiding them")
	return c
}

// namedContainer finds a container of a host, or says why it is not known.
func (a *app) namedContainer(st fleet.State, name, user string) (fleet.Container, error) {
	c, err := containerOf(fleet.Target{Hosts: []fleet.State{st}, Container: name, User: user})
	if f := st.Containers; err != nil && !f.Current() {
		return c, fmt.Errorf("%s: the containers are not known: %w", st.Host.Name, cmp.Or(f.Why(), fleet.ErrNotAsked))
	}
	return c, err
}

func (a *app) showContainer(ctx context.Context, w io.Writer, h fleet.Host, c fleet.Container, secrets bool) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.opts.timeout, time.Minute))
	defer cancel()
	l := a.links.Open(h)
	d, err := a.readers.inspect(ctx, l, c, secrets)
	if err != nil {
		return err
	}
	top, err := a.readers.of(l).Top(ctx, c.User, c.ID, secrets)
	processes := fleet.Known(top, top.At, top.Source)
	if err != nil {
		processes = fleet.Unknown[fleet.ContainerTop](err, time.Now(), d.Source)
	}
	if err := printContainer(w, a.opts, h.Name, d, processes); err != nil || processes.Current() {
		return err
	}
	return exitCode(exitUnknown)
}

// inspect asks for all that is told of a container of the list, and adds what the
// list knows of its unit.
func (r *readers) inspect(ctx context.Context, l link.Link, c fleet.Container, secrets bool) (fleet.ContainerDetail, error) {
	if c.State == fleet.Absent {
		err := fmt.Errorf("container %s on %s: the engine does not have it, its unit %s is %s", c.Name, l.Host().Name, c.Unit, c.UnitSub)
		return fleet.ContainerDetail{}, fleet.WithCure(err, "see why: sextant logs "+l.Host().Name+" "+c.Name)
	}
	d, err := r.of(l).Inspect(ctx, c.User, c.ID, secrets)
	if err == nil {
		d.Container = c
	}
	return d, err
}

func printContainer(w io.Writer, o options, host string, d fleet.ContainerDetail, processes fleet.Fact[fleet.ContainerTop]) error {
	out := struct {
		Schema int    `json:"schema"`
		Host   string `json:"host"`
		fleet.ContainerDetail
		Processes fleet.Fact[fleet.ContainerTop] `json:"processes"`
	}{1, host, d, processes}
	return o.write(w, out, func(t *table) {
		now := time.Now()
		for _, p := range append(containerPairs(host, d.Container, now), words.ContainerConfig(d.Config)...) {
			t.pair("", p.Name, p.Value)
		}
		pairs(t, "environment", d.Environment, setting)
		pairs(t, "labels", d.Labels, setting)
		pairs(t, "mounts", d.Mounts, func(m fleet.ContainerMount) (string, string) { return m.Target, words.ContainerMount(m) })
		pairs(t, "networks", d.Networks, func(n fleet.ContainerNetwork) (string, string) { return n.Name, words.ContainerNetwork(n) })
		healthRows(t, d.Health, now)
		processRows(t, processes)
		t.section("")
		t.pair("", "source", d.Source+", "+age(d.At, now)+" ago")
		for _, c := range d.Cut {
			t.note("? left out because it is too much: " + c)
		}
		if n := d.Hidden + processes.Value.Hidden; n > 0 {
			t.note(fmt.Sprintf("%d values that look secret are hidden: --secrets shows them", n))
		}
	})
}

// containerPairs is what the list tells of a container.
func containerPairs(host string, c fleet.Container, now time.Time) []words.Pair {
	state := c.State
	switch {
	case c.Running() && !c.Started.IsZero():
		state += " since " + words.When(c.Started, now)
	case c.ExitCode != 0:
		state += " with " + strconv.Itoa(c.ExitCode)
	}
	unit := "none owns it"
	if c.Unit != "" {
		unit = strings.TrimSpace(c.Unit + " " + c.UnitSub + " " + c.UnitResult)
		if c.UserUnit {
			unit += ", of " + c.User
		}
	}
	restarts := "?"
	if c.Restarts != nil {
		restarts = strconv.Itoa(*c.Restarts)
	}
	ports := make([]string, 0, len(c.Ports))
	for _, p := range c.Ports {
		ports = append(ports, words.Port(p))
	}
	list := []words.Pair{
		{Name: "container", Value: c.Name}, {Name: "host", Value: host}, {Name: "engine", Value: c.Engine + " of " + c.User},
		{Name: "state", Value: state}, {Name: "unit", Value: unit}, {Name: "restarts", Value: restarts},
		{Name: "image", Value: strings.TrimSpace(c.Image + " " + c.ImageID)}, {Name: "created", Value: words.When(c.Created, now)},
		{Name: "ports", Value: cmp.Or(strings.Join(ports, ", "), "-")}, {Name: "id", Value: c.ID},
	}
	if c.Pod != "" {
		list = append(list, words.Pair{Name: "pod", Value: c.Pod})
	}
	return list
}

// pairs adds a section of what has a name, where there is any.
func pairs[T any](t *table, title string, list []T, of func(T) (name, value string)) {
	if len(list) > 0 {
		t.section(title)
	}
	for _, one := range list {
		name, value := of(one)
		t.pair(title, name, value)
	}
}

func setting(s fleet.Setting) (name, value string) { return s.Name, s.Value }

func healthRows(t *table, h *fleet.ContainerHealth, now time.Time) {
	t.section("health")
	if h == nil {
		t.pair("health", "check", "none")
		return
	}
	test, how := words.HealthCheck(*h)
	t.pair("health", "state", words.ContainerHealth(*h).Text)
	t.pair("health", "check", test)
	t.pair("health", "how", how)
	for i, r := range h.Runs {
		if i > 0 && r.ExitCode == 0 { // what failed is of interest, and the last
			continue
		}
		t.pair("health", words.AgoLong(r.End, now), strings.TrimSpace(fmt.Sprintf("exit %d  %s", r.ExitCode, strings.ReplaceAll(r.Output, "\n", " | "))))
	}
}

func processRows(t *table, f fleet.Fact[fleet.ContainerTop]) {
	t.section("processes")
	if !f.Current() {
		t.note("? " + f.Err)
		cureNote(t, f.Cure)
		return
	}
	for _, p := range f.Value.Processes {
		t.pair("process", strconv.Itoa(cmp.Or(p.PID, p.HostPID)), words.ContainerProcess(p))
	}
	if f.Value.More > 0 {
		t.note(fmt.Sprintf("? and %d more", f.Value.More))
	}
}
