package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

func servicesCommand(o *options) *cobra.Command {
	var broken, why bool
	c := &cobra.Command{
		Use: "services [SEL…]", Short: "The service matrix: what is defined, configured, exposed, protected, monitored and backed up",
		Long: "One row for each service of each host: whether its modules define it, whether it runs there, whether its secrets are there, " +
			"whether a proxy exposes it, whether people sign in before they come to it, whether something monitors it, and whether a backup saves its data. " +
			"What is declared and missing is shown, and what runs and is not declared. " +
			"Cells are yes, part, no (and nothing says that it should), BAD (it should, and does not), ? (not known); --why tells the reason of each. " +
			"Exit code 1 where something is broken, 3 where something is not known.",
		RunE: func(cmd *cobra.Command, sel []string) error {
			return failed(withHosts(cmd.Context(), *o, sel, nothing, func(a *app, states []fleet.State) error {
				a.ask(cmd.Context(), a.store.Snapshot().Hosts, everything) // proxies, monitors and the sign-in may be on any host
				return printServices(cmd.OutOrStdout(), *o, a.store.Snapshot(), a.anew(states), serviceView{broken, why})
			}))
		},
	}
	c.Flags().BoolVar(&broken, "broken", false, "only services with something broken or not known")
	c.Flags().BoolVar(&why, "why", false, "the reason of each answer")
	return c
}

// serviceView is what of the matrix is printed.
type serviceView struct{ broken, why bool }

func printServices(w io.Writer, o options, snap fleet.Snapshot, states []fleet.State, view serviceView) error {
	now := time.Now()
	m := snap.Matrix(now)
	of := func(id fleet.HostID) bool {
		return slices.ContainsFunc(states, func(s fleet.State) bool { return s.Host.ID == id })
	}
	rows := slices.DeleteFunc(m.Rows, func(r fleet.ServiceRow) bool {
		return !of(r.HostID) || view.broken && r.Worst() == fleet.CellYes
	})
	_, hosts, errs := gather(states, func(s fleet.State) fleet.Fact[[]fleet.Declared] {
		return fleet.Derive(s.Declared, func(d fleet.Declared) []fleet.Declared { return []fleet.Declared{d} })
	}, func(_ fleet.State, d fleet.Declared) string { return d.Toplevel })
	notes := slices.DeleteFunc(m.Notes, func(n string) bool {
		return !slices.ContainsFunc(states, func(s fleet.State) bool { return strings.HasPrefix(n, s.Host.Name+": ") })
	})
	out := struct {
		Schema   int                `json:"schema"`
		Services []fleet.ServiceRow `json:"services"`
		Notes    []string           `json:"notes"`
		Errors   []hostError        `json:"errors"`
		Hosts    []hostFact         `json:"hosts"`
	}{1, rows, notes, errs, hosts}
	bad, dark := false, slices.ContainsFunc(states, func(s fleet.State) bool { return m.Dark(s.Host.ID) })
	for _, r := range rows {
		bad, dark = bad || r.Worst() == fleet.CellBroken, dark || r.Worst() == fleet.CellUnknown
	}
	err := o.write(w, out, func(t *table) {
		serviceTable(t, rows, view)
		for _, n := range notes {
			t.note(n)
		}
		holes(t, hosts, now)
	})
	switch {
	case err != nil:
		return err
	case bad:
		return exitCode(exitProblem)
	case dark:
		return exitCode(exitUnknown)
	}
	return unknown(errs)
}

func serviceTable(t *table, rows []fleet.ServiceRow, view serviceView) {
	t.row("SERVICE", "DEFINED", "CONFIG", "SECRETS", "EXPOSED", "PROTECTED", "MONITORED", "BACKUP", "")
	for _, r := range rows {
		line := []string{serviceOf(r)}
		for _, c := range r.Cells() {
			line = append(line, cellWord(c.State))
		}
		t.row(append(line, r.Says())...)
	}
	for _, r := range rows {
		for i, c := range r.Cells() {
			if c.State == fleet.CellBroken || view.why {
				t.note(fmt.Sprintf("%s %s: %s: %s", serviceOf(r), fleet.CellNames[i], cellWord(c.State), c.Why))
			}
		}
	}
}

// serviceOf names a service: "jellyfin@storage", "ada/notes@desktop" of a user.
func serviceOf(r fleet.ServiceRow) string {
	if r.User != "" {
		return r.User + "/" + r.Name + "@" + r.Host
	}
	return r.Name + "@" + r.Host
}

// cellWord is the state of a cell in a word.
func cellWord(s fleet.CellState) string {
	switch s {
	case fleet.CellBroken:
		return "BAD"
	case fleet.CellUnknown:
		return "?"
	}
	return string(s)
}
