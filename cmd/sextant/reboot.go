package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// What came of a restart.
const (
	rebootBack     = "back"       // it was reached anew, and was started anew
	rebootBegun    = "restarting" // nobody waited
	rebootRefused  = "refused"    // it was not restarted
	rebootFailed   = "failed"     // it was not seen to come back, or would not go down
	rebootNotBegun = "not begun"  // one before it failed
)

// rebooted is a host and what came of its restart.
type rebooted struct {
	Host    string         `json:"host"`
	State   string         `json:"state"`
	Error   string         `json:"error,omitempty"`
	Cure    string         `json:"cure,omitempty"`
	Seconds *fleet.Seconds `json:"duration,omitempty"` // how long it took
}

func rebootCommand(o *options) *cobra.Command {
	var yes, wait bool
	c := &cobra.Command{
		Use: "reboot SEL…", Short: "Restart hosts, one after the other, and wait until each is back", Args: cobra.MinimumNArgs(1),
		Long: "This machine is the last of several, and is refused: whoever waits would end with it. A host that is refused does not keep up the others; " +
			"after one that does not come back no further one is restarted.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, only("deploys"), func(a *app, states []fleet.State) error {
				return a.reboot(cmd, states, yes, wait)
			}))
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before it begins")
	c.Flags().BoolVar(&wait, "wait", true, "wait for each until it is back before the next; --wait=false only begins")
	return c
}

// reboot restarts hosts and tells of each what came of it.
func (a *app) reboot(cmd *cobra.Command, states []fleet.State, yes, wait bool) error {
	states = slices.Clone(states)
	slices.SortStableFunc(states, func(x, y fleet.State) int {
		switch {
		case x.Host.Local == y.Host.Local:
			return 0
		case x.Host.Local:
			return 1
		}
		return -1
	})
	out := struct {
		Schema int        `json:"schema"`
		Hosts  []rebooted `json:"hosts"`
	}{1, []rebooted{}}
	d, worst := a.deployer(), 0
	for _, s := range states {
		r := rebooted{Host: s.Host.Name, State: rebootNotBegun, Error: "one before it did not come back"}
		if worst != exitProblem {
			var code int
			if r, code = a.rebootOne(cmd, d, s, yes, wait); code == exitProblem || worst == 0 {
				worst = code
			}
		}
		out.Hosts = append(out.Hosts, r)
	}
	err := a.opts.write(cmd.OutOrStdout(), out, func(t *table) {
		t.row("HOST", "STATE", "TOOK", "WHY")
		for _, r := range out.Hosts {
			took := "-"
			if r.Seconds != nil {
				took = r.Seconds.Duration().Round(time.Second).String()
			}
			t.row(r.Host, r.State, took, cmp.Or(r.Error, "-"))
			cureNote(t, r.Cure)
		}
	})
	if err == nil && worst != 0 {
		err = exitCode(worst)
	}
	return err
}

// rebootOne restarts one host, and gives the exit code that is of it.
func (a *app) rebootOne(cmd *cobra.Command, d *nixops.Deployer, s fleet.State, yes, wait bool) (rebooted, int) {
	r, code := rebooted{Host: s.Host.Name, State: rebootBack}, 0
	restart := d.Reboot
	if !wait {
		r.State, restart = rebootBegun, d.RebootOnly
	}
	began := time.Now()
	err := a.agree(cmd, d, "reboot", fleet.Target{Hosts: []fleet.State{s}}, yes)
	if err == nil {
		began = time.Now()
		err = restart(cmd.Context(), s.Host, func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), s.Host.Name+": "+line) })
	}
	took := fleet.Seconds(time.Since(began).Seconds())
	switch code = refusalCode(err); {
	case code != 0:
		r.State = rebootRefused
	case err != nil:
		r.State, code = rebootFailed, exitProblem
		if errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%w; it may be restarting all the same", err)
		}
		r.Seconds = &took
	default:
		r.Seconds = &took
	}
	if err != nil {
		r.Error, r.Cure = err.Error(), fleet.Cure(err)
	}
	return r, code
}
