package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/units"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// verb is what can be done to a container or to a unit.
type verb struct {
	word, title string
	past        string // "restarted"
}

// The verbs of containers. The first three are done to the unit that owns the
// container, where one does: systemd undoes the engine's, and a container that is
// removed when it stops would be gone.
var (
	ownerVerbs = []verb{{"start", "Start", "started"}, {"stop", "Stop", "stopped"}, {"restart", "Restart", "restarted"}}
	bareVerbs  = []verb{{"kill", "Kill", "killed"}, {"pause", "Pause", "paused"}, {"unpause", "Unpause", "unpaused"}, {"remove", "Remove", "removed"}}
	unitVerbs  = append(slices.Clip(ownerVerbs), verb{"reset-failed", "Forget the failure of", "reset"})
)

// containerActions are what can be done to a container, or to the unit that owns it.
func (a *app) containerActions(d *nixops.Deployer) []fleet.Action {
	var list []fleet.Action
	for _, v := range slices.Concat(ownerVerbs, bareVerbs) {
		byOwner := slices.Contains(ownerVerbs, v)
		help := v.word + " the container"
		if byOwner {
			help = v.word + " the unit that owns the container, or the container where none does"
		}
		list = append(list, fleet.Action{
			ID: "container-" + v.word, Title: v.title + " the container", Help: help, Scope: fleet.ScopeContainer, Danger: true,
			Disabled: func(t fleet.Target) string { return offContainer(v, t) },
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
				c, err := containerOf(t)
				return planContainer(v, byOwner, t.Hosts[0].Host, c), err
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				c, err := containerOf(t)
				if err != nil {
					return err
				}
				if byOwner && c.Unit != "" {
					return a.actOnUnit(ctx, d, t.Hosts[0].Host, v, c.Unit, managerOf(c), say)
				}
				return a.actOnContainer(ctx, d, t.Hosts[0].Host, v, c, say)
			},
		})
	}
	return list
}

// unitActions are what can be done to a unit.
func (a *app) unitActions(d *nixops.Deployer) []fleet.Action {
	var list []fleet.Action
	for _, v := range unitVerbs {
		list = append(list, fleet.Action{
			ID: "unit-" + v.word, Title: v.title + " the unit", Help: "systemctl " + v.word, Scope: fleet.ScopeUnit, Danger: true,
			Disabled: offUnit,
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
				return planUnit(v, t.Hosts[0].Host, t.Unit, t.User), nil
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				return a.actOnUnit(ctx, d, t.Hosts[0].Host, v, t.Unit, t.User, say)
			},
		})
	}
	return list
}

// offUnit is why nothing can be done to a unit.
func offUnit(t fleet.Target) string {
	if strings.HasSuffix(t.Unit, ".device") {
		return "a device is the kernel's: systemd can neither start nor stop it"
	}
	return nixops.Unreachable(t)
}

// managerOf is whose systemd the container's unit belongs to; "" is the system's.
func managerOf(c fleet.Container) string {
	if c.UserUnit {
		return c.User
	}
	return ""
}

// containerOf finds the container that a target names. Where no user is named
// and several have one of this name, none is meant: it would be a guess.
func containerOf(t fleet.Target) (fleet.Container, error) {
	var found []fleet.Container
	for _, s := range t.Hosts {
		for _, c := range s.Containers.Value {
			if c.Name == t.Container && (t.User == "" || c.User == t.User) {
				found = append(found, c)
			}
		}
	}
	host := t.Hosts[0].Host.Name
	var users []string
	for _, c := range found {
		if !slices.Contains(users, c.User) {
			users = append(users, c.User)
		}
	}
	switch {
	case len(found) == 0:
		return fleet.Container{}, &nixops.Refusal{Host: host, Why: "no container " + t.Container + " there", Cure: "see sextant containers " + host}
	case len(users) > 1:
		return fleet.Container{}, &nixops.Refusal{Host: host, Why: strings.Join(users, " and ") + " have a container " + t.Container + " there", Cure: "say whose is meant: --user " + users[0]}
	}
	return found[0], nil
}

// offContainer is why something cannot be done to a container now.
func offContainer(v verb, t fleet.Target) string {
	if why := nixops.Unreachable(t); why != "" {
		return why
	}
	c, err := containerOf(t)
	switch {
	case err != nil:
		return err.Error()
	case c.State == fleet.Absent && (c.Unit == "" || slices.Contains(bareVerbs, v)):
		return c.Name + " is absent: only its unit can be started"
	case v.word == "unpause" && c.State != "paused":
		return c.Name + " is not paused"
	case slices.Contains([]string{"kill", "pause"}, v.word) && !c.Running():
		return c.Name + " does not run"
	case v.word == "remove" && c.Unit != "":
		return c.Unit + " owns it and would make it again"
	case v.word == "remove" && (c.Running() || c.State == "paused"):
		return c.Name + " runs: stop it first"
	}
	return ""
}

// planContainer says on what it is done.
func planContainer(v verb, byOwner bool, h fleet.Host, c fleet.Container) fleet.Plan {
	p := fleet.Plan{Title: v.title + " " + c.Name + " on " + h.Name}
	switch {
	case byOwner && c.Unit != "":
		p.Lines = []string{"its unit " + c.Unit + " is " + v.past + ": systemd owns the container"}
	case c.Unit != "":
		p.Lines = []string{"the container itself is " + v.past + "; its unit " + c.Unit + " may undo that"}
	default:
		p.Lines = []string{"no unit owns it: the container itself is " + v.past}
	}
	return p
}

// planUnit says what is done, and what must be typed where the host may not be
// reached any more.
func planUnit(v verb, h fleet.Host, unit, user string) fleet.Plan {
	p := fleet.Plan{Title: v.title + " " + unit + " on " + h.Name, Lines: []string{"systemctl " + v.word + " " + unit}}
	if user != "" {
		p.Lines = []string{"systemctl --user " + v.word + " " + unit + ", in the systemd of " + user}
		return p
	}
	if nixops.WayIn(unit) && v.word != "start" && v.word != "reset-failed" {
		p.Lines = append(p.Lines, h.Name+" is reached by this unit: where it does not come back, nobody gets in, and nothing undoes it")
		p.Typed = h.Name
	}
	return p
}

// actOnUnit does something to a unit and tells how it stands then.
func (a *app) actOnUnit(ctx context.Context, d *nixops.Deployer, h fleet.Host, v verb, unit, user string, say func(string)) error {
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: unit + " " + v.past}
	out, err := units.Act(ctx, a.links.Open(h), units.Verb(v.word), unit, user)
	if err == nil && out.Active == "failed" && (v.word == "start" || v.word == "restart") {
		err = fmt.Errorf("%s: %s is %s", h.Name, unit, out)
	}
	said := ""
	if out.Active != "" {
		said = unit + " is " + out.String()
	}
	return a.acted(d, h, e, said, err, say)
}

// actOnContainer does something to a container by its engine.
func (a *app) actOnContainer(ctx context.Context, d *nixops.Deployer, h fleet.Host, v verb, c fleet.Container, say func(string)) error {
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "container " + c.Name + " " + v.past}
	err := a.readers.of(a.links.Open(h)).Act(ctx, podman.Verb(v.word), c.Name, c.User)
	return a.acted(d, h, e, c.Name+" is "+v.past, err, say)
}

// acted writes down what was done, and says what came of it.
func (a *app) acted(d *nixops.Deployer, h fleet.Host, e fleet.Event, said string, err error, say func(string)) error {
	if e.Result = said; err != nil {
		e.Level, e.Result = fleet.Error, fleet.InFull(err)
	}
	d.Did(h, e)
	if err == nil {
		say(said)
	}
	console{a}.Refresh(h.ID)
	return err
}

func containerCommand(o *options) *cobra.Command {
	c := &cobra.Command{Use: "container", Short: "Look into a container, or act on it or on the unit that owns it"}
	var user string
	c.AddCommand(containerShowCommand(o, &user))
	c.PersistentFlags().StringVar(&user, "user", "", "whose container, where several have one of this name")
	for _, v := range slices.Concat(ownerVerbs, bareVerbs) {
		c.AddCommand(ofContainer(o, v, "container-"+v.word, &user))
	}
	c.AddCommand(updateCommand(o, &user), revertCommand(o, &user), copyCommand(o, &user))
	return c
}

func unitCommand(o *options) *cobra.Command {
	c := &cobra.Command{Use: "unit", Short: "Look into a unit of systemd, or act on it"}
	var user string
	c.AddCommand(unitShowCommand(o, &user))
	c.PersistentFlags().StringVar(&user, "user", "", "a unit of this user's systemd")
	for _, v := range unitVerbs {
		act := actCommand(o, v, "UNIT", probeOnly, func(t *fleet.Target, name string) (string, error) {
			t.Unit, t.User = fullName(name), user
			return "unit-" + v.word, nil
		})
		if v.word == "reset-failed" {
			act.Aliases = []string{"reset"}
		}
		c.AddCommand(act)
	}
	return c
}

// actCommand does one thing to one container or unit; aim names it in the target
// and gives the action.
func actCommand(o *options, v verb, what string, ask scope, aim func(t *fleet.Target, name string) (string, error)) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: v.word + " HOST " + what, Short: v.title + " it", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args[:1], ask, func(a *app, states []fleet.State) error {
				if len(states) != 1 {
					return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
				}
				out := struct {
					Schema int    `json:"schema"`
					Host   string `json:"host"`
					Done   string `json:"done,omitempty"`
					Error  string `json:"error,omitempty"`
				}{Schema: 1, Host: states[0].Host.Name}
				told := func() { // how far it was; the last is the outcome
					if out.Done != "" {
						fmt.Fprintln(cmd.ErrOrStderr(), out.Host+": "+out.Done)
					}
				}
				err := a.act(cmd, fleet.Target{Hosts: states}, args[len(args)-1], aim, yes, func(said string) { told(); out.Done = said })
				if err != nil {
					told()
					out.Done, out.Error = "", fleet.InFull(err)
				}
				if werr := o.write(cmd.OutOrStdout(), out, func(tb *table) { tb.note(cmp.Or(out.Error, out.Host+": "+out.Done)) }); werr != nil {
					return werr
				}
				return changeCode(err)
			}))
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before it begins")
	return c
}

// act asks, where that is wished for, and does it.
func (a *app) act(cmd *cobra.Command, t fleet.Target, name string, aim func(*fleet.Target, string) (string, error), yes bool, say func(string)) error {
	id, err := aim(&t, name)
	if err != nil {
		return err
	}
	d := a.deployer()
	if err := a.agree(cmd, d, id, t, yes); err != nil {
		return err
	}
	action, err := a.allowed(d, id, t)
	if err != nil {
		return err
	}
	return action.Run(cmd.Context(), t, say)
}
