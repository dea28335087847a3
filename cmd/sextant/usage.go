package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sextant-fleet/sextant/fleet"
)

// instruct has a command, and all below it, tell of wrong arguments how it is
// called: cobra counts them, and names none.
func instruct(c *cobra.Command) {
	for _, sub := range c.Commands() {
		instruct(sub)
	}
	fits := c.Args
	switch {
	case c.HasSubCommands() && fits == nil: // one that takes arguments itself says so
		c.Args = knownCommand
		if c.RunE == nil { // without it cobra shows the help, whatever was asked for
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	case fits != nil:
		c.Args = func(cmd *cobra.Command, args []string) error {
			if fits(cmd, args) == nil {
				return nil
			}
			return usageError{errors.New("wrong number of arguments; usage: " + cmd.UseLine())}
		}
	}
}

// knownCommand refuses what is no command, and names the nearest.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	near := fleet.Nearest(args[0], names)
	for _, n := range names {
		if near == "" && strings.HasPrefix(n, args[0]) {
			near = n
		}
	}
	said := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
	if near != "" {
		return usageError{fmt.Errorf("%s; did you mean %q?", said, near)}
	}
	return usageError{fmt.Errorf("%s; %s --help lists them", said, cmd.CommandPath())}
}

// knownFlag names, for a flag that is not there, the nearest that is.
func knownFlag(cmd *cobra.Command, err error) error {
	var no *pflag.NotExistError
	if !errors.As(err, &no) {
		return usageError{err}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := fleet.Nearest(no.GetSpecifiedName(), names); near != "" && len(no.GetSpecifiedName()) > 1 {
		return usageError{fmt.Errorf("%w; did you mean --%s?", err, near)}
	}
	return usageError{fmt.Errorf("%w; %s --help lists them", err, cmd.CommandPath())}
}

// forPeople refuses the terminal UI where nobody would see it.
func forPeople(o options) error {
	switch {
	case o.json || o.plain:
		return usageError{errors.New("--json and --plain go with a command, such as sextant status --json")}
	case !isTerminal(os.Stdout):
		return usageError{errors.New("the terminal UI needs a terminal; for programs: sextant status --json")}
	}
	return nil
}
