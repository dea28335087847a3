package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/units"
)

// fullName is the name of a unit as systemctl takes it: a service, where it does
// not say what it is.
func fullName(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return name + ".service"
}

// whichUnits says which ones are listed.
type whichUnits struct {
	failed, all bool
	user        string // of one user's systemd; "": of everybody's
}

func (w whichUnits) has(u fleet.Unit) bool {
	switch {
	case w.user != "" && u.User != w.user:
		return false
	case w.failed:
		return u.Failed()
	}
	return w.all || u.Listed()
}

func unitsCommand(o *options) *cobra.Command {
	var which whichUnits
	c := &cobra.Command{
		Use: "units SEL…", Short: "Units of hosts and of their users, failed ones first: state, since, memory, last exit", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, probeOnly, func(a *app, states []fleet.State) error {
				return printUnits(cmd.OutOrStdout(), *o, a.readUnits(cmd.Context(), states), which)
			}))
		},
	}
	c.Flags().BoolVar(&which.failed, "failed", false, "failed ones only")
	c.Flags().BoolVar(&which.all, "all", false, "also targets, mounts, slices, devices and what is not there")
	c.Flags().StringVar(&which.user, "user", "", "those of this user's systemd only")
	return c
}

func timersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "timers SEL…", Short: "Timers of hosts and of their users: next and last run, enabled but not active", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, probeOnly, func(a *app, states []fleet.State) error {
				return printTimers(cmd.OutOrStdout(), *o, a.readUnits(cmd.Context(), states))
			}))
		},
	}
}

// readUnits asks the hosts that answer for all of their units; what could not be
// read is unknown, also where the probe told of some.
func (a *app) readUnits(ctx context.Context, states []fleet.State) []fleet.State {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.opts.timeout, time.Minute))
	defer cancel()
	states = slices.Clone(states)
	var wg sync.WaitGroup
	for i := range states {
		s := &states[i]
		if !s.Units.Current() || !s.Reach.Current() || s.Reach.Value.State != fleet.Up {
			s.Timers = emptyHole[fleet.Timer](s.Units)
			continue
		}
		wg.Go(func() {
			list, err := units.Read(ctx, a.links.Open(s.Host))
			now := time.Now()
			if err != nil {
				s.Units, s.Timers = fleet.Unknown[[]fleet.Unit](err, now, unitSource), fleet.Unknown[[]fleet.Timer](err, now, unitSource)
				return
			}
			s.Units, s.Timers = fleet.Known(list.Units, now, unitSource), fleet.Known(list.Timers, now, unitSource)
			s.System.Value.Unseen = list.Unseen
		})
	}
	wg.Wait()
	return states
}

const unitSource = "systemctl"

// emptyHole is a fact of another kind that is unknown for the same reason.
func emptyHole[T, U any](f fleet.Fact[[]U]) fleet.Fact[[]T] {
	return fleet.Fact[[]T]{Err: f.Err, ErrAt: f.ErrAt, Cure: f.Cure, None: f.None, Source: f.Source}
}

// unseen adds what could not be seen to the holes of a list.
func unseen(states []fleet.State, errs []hostError) []hostError {
	for _, s := range states {
		if s.Units.Source == unitSource && s.Units.Current() {
			for _, why := range s.System.Value.Unseen {
				errs = append(errs, hostError{Host: s.Host.Name, Error: why})
			}
		}
	}
	return errs
}

func printUnits(w io.Writer, o options, states []fleet.State, which whichUnits) error {
	type unitRow struct {
		Host string `json:"host"`
		fleet.Unit
	}
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Unit] { return s.Units },
		func(s fleet.State, u fleet.Unit) unitRow { return unitRow{s.Host.Name, u} })
	more := unseen(states, nil)
	errs = append(errs, more...)
	rows = slices.DeleteFunc(rows, func(u unitRow) bool { return !which.has(u.Unit) })
	slices.SortStableFunc(rows, func(a, b unitRow) int {
		return cmp.Or(failedFirst(a.Failed(), b.Failed()), strings.Compare(a.Host, b.Host), strings.Compare(a.User, b.User), strings.Compare(a.Name, b.Name))
	})
	out := struct {
		Schema int         `json:"schema"`
		Units  []unitRow   `json:"units"`
		Errors []hostError `json:"errors"`
		Hosts  []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	ages := aged(hosts, now)
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "UNIT", "ACTIVE", "SUB", "SINCE", "MEMORY", "LAST EXIT", "AGE", "DESCRIPTION")
		for _, u := range rows {
			memory := "-"
			if u.Memory != nil {
				memory = size(*u.Memory)
			}
			t.row(u.Host, u.Label(), u.Active, u.Sub, age(u.Since, now), memory, cmp.Or(u.LastExit(), "-"), ages[u.Host], u.Description)
		}
		holes(t, hosts, now)
		notes(t, more)
	})
	return cmp.Or(err, unknown(errs))
}

func failedFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func printTimers(w io.Writer, o options, states []fleet.State) error {
	type timerRow struct {
		Host string `json:"host"`
		fleet.Timer
		Idle bool `json:"idle"` // enabled, and not active
	}
	rows, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Timer] { return s.Timers },
		func(s fleet.State, t fleet.Timer) timerRow { return timerRow{s.Host.Name, t, t.Idle()} })
	more := unseen(states, nil)
	errs = append(errs, more...)
	slices.SortStableFunc(rows, func(a, b timerRow) int {
		return cmp.Or(failedFirst(a.Idle, b.Idle), strings.Compare(a.Host, b.Host), strings.Compare(a.User, b.User), strings.Compare(a.Name, b.Name))
	})
	out := struct {
		Schema int         `json:"schema"`
		Timers []timerRow  `json:"timers"`
		Errors []hostError `json:"errors"`
		Hosts  []hostFact  `json:"hosts"`
	}{1, rows, errs, hosts}
	now := time.Now()
	ages := aged(hosts, now)
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "TIMER", "STATE", "NEXT", "LAST", "ACTIVATES", "AGE")
		for _, r := range rows {
			state, next := cmp.Or(r.Active, "?"), "-"
			if r.Idle {
				state = "enabled, not active"
			}
			if !r.Next.IsZero() {
				next = r.Next.Local().Format("01-02 15:04")
			}
			t.row(r.Host, r.Label(), state, next, age(r.Last, now), r.Activates, ages[r.Host])
		}
		holes(t, hosts, now)
		notes(t, more)
	})
	return cmp.Or(err, unknown(errs))
}

func unitShowCommand(o *options, user *string) *cobra.Command {
	var file, secrets bool
	c := &cobra.Command{
		Use: "show HOST UNIT", Short: "What systemd tells of a unit, what it needs that is broken, its file", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args[:1], probeOnly, func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
				}
				d, err := units.Show(cmd.Context(), a.links.Open(states[0].Host), fullName(args[1]), *user, secrets)
				if err != nil {
					return err
				}
				if d.Unit.Load == "not-found" {
					return noUnit(states[0], d.Unit.Name)
				}
				return printUnit(cmd.OutOrStdout(), *o, states[0].Host.Name, d, file)
			}))
		},
	}
	c.Flags().BoolVar(&file, "file", false, "only the unit's file, as systemctl cat prints it")
	c.Flags().BoolVar(&secrets, "secrets", false, "show what the file puts into the environment, and what looks secret in its commands, instead of hiding it")
	return c
}

// noUnit says that a host has no unit of a name, and the nearest that it has.
func noUnit(st fleet.State, name string) error {
	var names []string
	for _, u := range st.Units.Value {
		names = append(names, u.Name)
	}
	if near := fleet.Nearest(name, names); near != "" {
		return fmt.Errorf("%s has no unit %q; the nearest is %q", st.Host.Name, name, near)
	}
	return fmt.Errorf("%s has no unit %q; sextant units %s lists them", st.Host.Name, name, st.Host.Name)
}

func printUnit(w io.Writer, o options, host string, d fleet.UnitDetail, file bool) error {
	out := struct {
		Schema int    `json:"schema"`
		Host   string `json:"host"`
		fleet.UnitDetail
	}{1, host, d}
	if file && !o.json {
		_, err := io.WriteString(w, d.File)
		return err
	}
	return o.write(w, out, func(t *table) {
		for _, p := range d.Properties {
			t.row(p[0], p[1])
		}
		for _, b := range d.Broken {
			t.note("broken: " + b.Name + " is " + b.State + "; " + b.Kind + " of " + strings.Join(b.Via, " > "))
		}
		for _, why := range d.Unseen {
			t.note("? " + why)
		}
		t.note("")
		if d.Hidden > 0 {
			t.note(fmt.Sprintf("# %d values are hidden: --secrets shows them", d.Hidden))
		}
		if d.As != "" {
			t.note("# read as " + d.As)
		}
		for l := range strings.Lines(d.File) {
			t.note(strings.TrimRight(l, "\n"))
		}
	})
}
