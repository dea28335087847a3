package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// deployFlags are those of deploy alone.
type deployFlags struct {
	changeFlags
	flake   string
	store   string
	action  string
	buildOn string
	as      string
	attr    string
	waves   []int
	all     bool
	failure string
	detach  bool
	restart bool
}

func deployCommand(o *options) *cobra.Command {
	var f deployFlags
	c := &cobra.Command{
		Use: "deploy SEL…", Short: "Build, copy and activate the flake's systems, under guard", Args: cobra.MinimumNArgs(1),
		Long: "Builds all first, tells what will change, and activates in waves: one host, then the others, those on which least depends first, then routers and this machine. " +
			"Each becomes the default once it was reached anew and is well; otherwise it goes back by itself, and no further wave begins. " +
			"A wave waits until all of the one before is confirmed: with --confirm none nobody stays to see that, and only the first begins.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("deploys"), func(a *app, states []fleet.State) error {
				return a.deploy(cmd, f, states)
			}))
		},
	}
	c.Flags().StringVar(&f.flake, "flake", "", "the flake (the configuration's, or the one here)")
	c.Flags().StringVar(&f.store, "store-path", "", "a system that is built already, in the store here or of the host, for one host")
	c.Flags().StringVar(&f.attr, "attribute", "", "the flake's system, for one host, where its name is another")
	c.Flags().StringVar(&f.action, "action", "switch", "switch, boot, test, or dry-activate, which changes nothing")
	c.Flags().StringVar(&f.buildOn, "build-on", "", "here, target, or the name of a host (as the flake's deployer has it, else here)")
	c.Flags().StringVar(&f.as, "as", "", "the host name in the system, where it is meant for another host")
	c.Flags().IntSliceVar(&f.waves, "wave", nil, "how many hosts at a time: 1,4 is one, then four, then four again (one, then all the others)")
	c.Flags().BoolVar(&f.all, "all-or-none", false, "activate nothing unless every host is ready (those that are, go on)")
	c.Flags().StringVar(&f.failure, "on-failure", "keep", "what becomes of the hosts before one that goes wrong: keep, or roll-back")
	c.Flags().BoolVar(&f.detach, "detach", false, "the same as --confirm none")
	c.Flags().BoolVar(&f.restart, "reboot", false, "with --action boot: restart each host into it, and wait until it is back")
	f.add(c)
	c.MarkFlagsMutuallyExclusive("detach", "confirm")
	return c
}

func (a *app) deploy(cmd *cobra.Command, f deployFlags, states []fleet.State) error {
	d := a.deployer()
	if f.detach {
		f.confirm = string(nixops.ConfirmNone)
	}
	confirm, err := f.confirmation(d)
	if err != nil {
		return err
	}
	order, err := a.order(f, states)
	if err != nil {
		return usageError{err}
	}
	order.Confirm = confirm
	w := cmd.ErrOrStderr()
	var mu sync.Mutex
	say := func(host, line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(w, host+": "+line)
	}
	if a.readOnly() {
		return errReadOnly
	}
	ready, err := d.Prepare(cmd.Context(), order, states, say)
	if err != nil {
		return err
	}
	for _, r := range ready {
		fmt.Fprintf(w, "%s: %s -> %s\n  %s\n", r.State.Host.Name, r.State.System.Value.Running.Short(), r.To.Short(), strings.Join(r.Lines(), "\n  "))
	}
	if f.action == "dry-activate" {
		return dryCode(ready)
	}
	if !f.yes {
		if err := consent(cmd.Context(), fleet.Count(len(ready), "host")); err != nil {
			return err
		}
	}
	outcomes := d.Deploy(cmd.Context(), order, ready, func(host string, p nixops.Progress) {
		mu.Lock()
		defer mu.Unlock()
		nixops.Saying(func(line string) { fmt.Fprintln(w, host+": "+line) })(p)
	})
	return printOutcomes(cmd.OutOrStdout(), a.opts, outcomes)
}

// wrong is what cannot be meant by the flags for these hosts; nil: nothing is.
func (f deployFlags) wrong(states []fleet.State) error {
	one := len(states) == 1
	failing := nixops.Failing(f.failure)
	switch {
	case slices.ContainsFunc(f.waves, func(n int) bool { return n < 1 }):
		return fmt.Errorf("--wave %v: a wave has one host or more", f.waves)
	case !slices.Contains([]string{"switch", "boot", "test", "dry-activate"}, f.action):
		return fmt.Errorf("--action %s: switch, boot, test or dry-activate", f.action)
	case f.store != "" && !one:
		return fmt.Errorf("--store-path is for one host, not for %d", len(states))
	case f.attr != "" && !one:
		return fmt.Errorf("--attribute is for one host, not for %d", len(states))
	case f.store != "" && f.attr != "":
		return errors.New("--attribute is of a flake, --store-path of none: name one of them")
	case failing != nixops.KeepOthers && failing != nixops.RollBackOthers:
		return fmt.Errorf("--on-failure %s: keep or roll-back", f.failure)
	case f.restart && f.action != "boot":
		return errors.New("--reboot goes with --action boot: what was activated runs already")
	case f.restart && slices.ContainsFunc(states, func(s fleet.State) bool { return s.Host.Local }):
		return errors.New("--reboot: this machine is not restarted from here")
	}
	for _, s := range states {
		if s.System.HasValue() && !s.System.Value.NixOS {
			return fmt.Errorf("%s is not NixOS", s.Host.Name)
		}
	}
	return nil
}

// order reads the flags into what is to be done.
func (a *app) order(f deployFlags, states []fleet.State) (nixops.Order, error) {
	o := nixops.Order{
		Flake: nixops.Flake{Ref: cmp.Or(f.flake, a.flake, ".")}, Store: f.store, Action: f.action, BuildOn: f.buildOn, As: f.as, Waves: f.waves,
		Attribute: f.attr, AllOrNone: f.all, OnFailure: nixops.Failing(f.failure), Restart: f.restart,
	}
	if err := f.wrong(states); err != nil {
		return o, err
	}
	switch f.buildOn {
	case "", nixops.BuildHere, nixops.BuildTarget:
	default:
		s, ok := a.store.Snapshot().Named(f.buildOn)
		if !ok {
			return o, fmt.Errorf("--build-on %s: here, target, or a host", f.buildOn)
		}
		o.Builder = s.Host
	}
	return o, nil
}

func dryCode(ready []nixops.Ready) error {
	for _, r := range ready {
		if r.Err != nil {
			return exitCode(exitProblem)
		}
	}
	return nil
}

// printOutcomes tells how it ended with each host. The exit code is that of the
// first that did not end well.
func printOutcomes(w io.Writer, o options, outcomes []nixops.Outcome) error {
	type row struct {
		deployRow
		Error string `json:"error,omitempty"`
	}
	out := struct {
		Schema  int   `json:"schema"`
		Deploys []row `json:"deploys"`
	}{Schema: 1, Deploys: []row{}}
	code := 0
	for _, x := range outcomes {
		r := row{deployRow: deployRow{x.Host.Name, x.Deploy}}
		if x.Err != nil {
			r.Error = fleet.InFull(x.Err)
		}
		out.Deploys = append(out.Deploys, r)
		code = cmp.Or(code, outcomeCode(x))
	}
	err := o.write(w, out, func(t *table) {
		t.row("HOST", "STATE", "TO", "WHY")
		for _, r := range out.Deploys {
			t.row(r.Host, string(r.State), r.To.Short(), cmp.Or(r.Error, r.Reason()))
		}
	})
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

func outcomeCode(x nixops.Outcome) int {
	if errors.Is(x.Err, nixops.ErrNotBegun) {
		return exitRefused
	}
	if x.Err != nil && x.Deploy.State == fleet.Refused {
		var no *nixops.Refusal
		if !errors.As(x.Err, &no) {
			return exitRefused // it was not even begun
		}
	}
	return deployCode(x.Deploy, x.Err)
}
