package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// extendCommand gives a host more time.
func extendCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "extend HOST [TIME]", Short: "Give a host that waits to be confirmed more time", Args: cobra.RangeArgs(1, 2),
		Long: "From now on the host waits for so long (90, 90s, 10m; 5m where none is said) before it goes back by itself. Whoever began the deploy, and from any machine.",
		RunE: func(cmd *cobra.Command, args []string) error {
			by, err := longer(at(args, 1))
			if err != nil {
				return usageError{err}
			}
			return oneHost(cmd, *o, args[0], func(a *app, s fleet.State) error {
				d := a.deployer()
				if _, err := a.allowed(d, "extend", fleet.Target{Hosts: []fleet.State{s}}); err != nil {
					return ended(cmd.OutOrStdout(), *o, s.Host, fleet.Deploy{State: fleet.Refused}, err)
				}
				if err := d.Extend(cmd.Context(), s.Host, "", by); err != nil {
					return ended(cmd.OutOrStdout(), *o, s.Host, fleet.Deploy{State: fleet.Refused}, err)
				}
				dep := fleet.Deploy{State: fleet.Awaiting, Why: "for another " + by.String()}
				return ended(cmd.OutOrStdout(), *o, s.Host, dep, nil)
			})
		},
	}
}

// longest is the most time that can be given at once.
const longest = 24 * time.Hour

// longer reads how much longer: seconds, or a time with its unit.
func longer(text string) (time.Duration, error) {
	by := nixops.MoreTime
	if text != "" {
		var err error
		if by, err = time.ParseDuration(text); err != nil {
			seconds, err := strconv.Atoi(text)
			if err != nil {
				return 0, fmt.Errorf("%s: a number of seconds, or a time like 10m", text)
			}
			by = time.Duration(min(max(seconds, 0), int(2*longest/time.Second))) * time.Second
		}
	}
	if by < time.Second || by > longest {
		return 0, fmt.Errorf("%s: between a second and %s", text, longest)
	}
	return by, nil
}
