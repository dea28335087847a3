package main

import (
	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

func pauseCommand(o *options) *cobra.Command {
	return pullCommand(o, "pause", "pause-pull", "Stop what deploys to a host by itself (comin, nixos-upgrade.timer), until it is resumed or restarted")
}

func resumeCommand(o *options) *cobra.Command {
	return pullCommand(o, "resume", "resume-pull", "Start what deploys to a host by itself again")
}

// pullCommand runs an action on what deploys to a host by itself.
func pullCommand(o *options, word, id, short string) *cobra.Command {
	return &cobra.Command{
		Use: word + " HOST", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return oneHost(cmd, *o, args[0], func(a *app, s fleet.State) error {
				out := struct {
					Schema int    `json:"schema"`
					Host   string `json:"host"`
					Done   string `json:"done,omitempty"`
					Error  string `json:"error,omitempty"`
				}{Schema: 1, Host: s.Host.Name}
				t := fleet.Target{Hosts: []fleet.State{s}}
				action, err := a.allowed(a.deployer(), id, t)
				if err == nil {
					err = action.Run(cmd.Context(), t, func(said string) { out.Done = said })
				}
				if err != nil {
					out.Error = fleet.InFull(err)
				}
				if werr := o.write(cmd.OutOrStdout(), out, func(tb *table) { tb.note(out.Host + ": " + out.Done + out.Error) }); werr != nil {
					return werr
				}
				return changeCode(err)
			})
		},
	}
}
