package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

func diffCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "diff HOST [FROM [TO]]", Short: "Packages, units, kernel and size between two systems of a host", Args: cobra.RangeArgs(1, 3),
		Long: "FROM and TO are generation numbers, running, default, booted, or store paths. FROM is what runs and TO the default, where " +
			"they are not given; without either, and where these are the same: the generation before against what runs.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return failed(withHosts(cmd.Context(), *o, args[:1], probeOnly, func(a *app, states []fleet.State) error {
				return compare(cmd.Context(), cmd.OutOrStdout(), a, states, args)
			}))
		},
	}
}

// compare tells what is different between two systems of the host that args name.
func compare(ctx context.Context, w io.Writer, a *app, states []fleet.State, args []string) error {
	if len(states) != 1 {
		return usageError{fmt.Errorf("%s names %d hosts: name one", args[0], len(states))}
	}
	from, to, err := ends(states[0], args[1:])
	if err != nil {
		return err
	}
	d, err := a.differences.Read(ctx, a.links.Open(states[0].Host), from.Path, to.Path)
	if err != nil {
		return err
	}
	return printDifference(w, a.opts, states[0], from, to, d)
}

// ends are the two systems that are compared.
func ends(s fleet.State, args []string) (from, to fleet.Toplevel, err error) {
	if !s.System.Current() {
		return from, to, fmt.Errorf("%s: %w", s.Host.Name, cmp.Or(s.System.Why(), s.Reach.Why(), fleet.ErrNotAsked))
	}
	named := append(append([]string{}, args...), []string{"running", "default"}[len(args):]...)
	if to, err = toplevelNamed(s, named[1]); err != nil {
		return from, to, err
	}
	if from, err = toplevelNamed(s, named[0]); err != nil || len(args) > 0 || from.Path != to.Path {
		return from, to, err
	}
	g, err := nixops.Earlier(s)
	return fleet.Toplevel{Path: g.Path, Generation: g.Number}, to, err
}

// toplevelNamed is a system as a person names it.
func toplevelNamed(s fleet.State, name string) (fleet.Toplevel, error) {
	sys := s.System.Value
	if t, ok := map[string]fleet.Toplevel{"running": sys.Running, "default": sys.Default, "booted": sys.Booted}[name]; ok {
		if t.Path == "" {
			return t, fmt.Errorf("%s does not tell which system is %s", s.Host.Name, name)
		}
		return t, nil
	}
	if strings.HasPrefix(name, "/nix/store/") {
		return fleet.Toplevel{Path: name}, nil
	}
	n, err := strconv.Atoi(name)
	if err != nil {
		return fleet.Toplevel{}, usageError{fmt.Errorf("%q is no generation, nor running, default, booted or a store path", name)}
	}
	g, err := nixops.Generation(s, n)
	return fleet.Toplevel{Path: g.Path, Generation: g.Number}, err
}

func printDifference(w io.Writer, o options, s fleet.State, from, to fleet.Toplevel, d fleet.Difference) error {
	out := struct {
		Schema     int              `json:"schema"`
		Host       string           `json:"host"`
		From       fleet.Toplevel   `json:"from"`
		To         fleet.Toplevel   `json:"to"`
		Difference fleet.Difference `json:"difference"`
	}{1, s.Host.Name, from, to, d}
	same := "-"
	if len(d.Unseen) > 0 {
		same = "?" // perhaps it was not told
	}
	err := o.write(w, out, func(t *table) {
		t.row("PACKAGE", "FROM", "TO", "SIZE")
		for _, p := range d.Packages {
			t.row(p.Name, versionsOf(p.Old), versionsOf(p.New), cmp.Or(more(p.Size), same))
		}
		for _, u := range d.Units {
			t.note("unit " + u.Unit + " " + u.How)
		}
		if d.Kernel[0] != d.Kernel[1] {
			t.note(fmt.Sprintf("kernel %s -> %s", cmp.Or(d.Kernel[0], "none"), cmp.Or(d.Kernel[1], "none")))
		}
		if len(d.Reboot) > 0 {
			t.note("only a reboot renews: " + strings.Join(d.Reboot, ", "))
		}
		for _, what := range d.Unseen {
			t.note("? not told: " + what)
		}
		sum := fmt.Sprintf("%s -> %s: %d store paths more, %d fewer", from.Short(), to.Short(), d.Added, d.Removed)
		if size := more(d.Size); size != "" || len(d.Unseen) == 0 {
			sum += ", " + cmp.Or(size, "the same size")
		}
		t.note(sum)
	})
	if err == nil && len(d.Unseen) > 0 {
		err = exitCode(exitUnknown)
	}
	return err
}

func versionsOf(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = cmp.Or(v, "(no version)")
	}
	return strings.Join(words, ", ")
}

// more is a difference of sizes, with its sign; "" where there is none.
func more(bytes int64) string {
	switch {
	case bytes > 0:
		return "+" + size(uint64(bytes))
	case bytes < 0:
		return "-" + size(uint64(-bytes))
	}
	return ""
}
