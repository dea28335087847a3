package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// garbageFlags say what is to be deleted; nothing of it: it is only shown.
type garbageFlags struct {
	deleted []int
	keep    int
	older   string
	collect bool
	yes     bool
}

func garbageCommand(o *options) *cobra.Command {
	var f garbageFlags
	c := &cobra.Command{
		Use: "garbage HOST", Short: "What takes room on a host and could go; delete generations, collect garbage", Args: cobra.ExactArgs(1),
		Long: "Shows how full the store and the boot partition are, which generations occupy the latter, and what store paths are dead. " +
			"--delete, --keep and --older-than delete generations and their boot entries: never one that runs, was booted, is the default, was confirmed last or is " +
			"needed by a deploy under way. --collect deletes the dead store paths, after the generations where both are asked for.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return oneHost(cmd, *o, args[0], func(a *app, s fleet.State) error { return f.run(cmd, a, s) })
		},
	}
	c.Flags().IntSliceVar(&f.deleted, "delete", nil, "delete these generations: 12,13; one that must stay, and none is deleted")
	c.Flags().IntVar(&f.keep, "keep", 0, "delete all generations but the newest N and those that must stay")
	c.Flags().StringVar(&f.older, "older-than", "", "delete the generations that are older, such as 30d, but those that must stay")
	c.Flags().BoolVar(&f.collect, "collect", false, "collect the garbage")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask before it begins")
	c.MarkFlagsMutuallyExclusive("delete", "keep", "older-than")
	return c
}

// check refuses what makes no sense, before any host is asked.
func (f *garbageFlags) check(cmd *cobra.Command) error {
	set := cmd.Flags().Changed
	for _, n := range f.deleted {
		if n <= 0 {
			return usageError{fmt.Errorf("--delete: %d is no number of a generation", n)}
		}
	}
	if set("delete") && len(f.deleted) == 0 {
		return usageError{errors.New("--delete names no generation")}
	}
	if set("keep") && f.keep < 1 {
		return usageError{errors.New("--keep: at least 1 is kept")}
	}
	if set("older-than") {
		if _, err := span(f.older); err != nil {
			return usageError{fmt.Errorf("--older-than: %w", err)}
		}
	}
	return nil
}

// chooses tells whether generations are to be deleted.
func (f *garbageFlags) chooses() bool { return len(f.deleted) > 0 || f.keep > 0 || f.older != "" }

// choose gives the generations to delete. Those that must stay are left out, unless
// they are named: that is a mistake, and is refused.
func (f *garbageFlags) choose(g nixops.Garbage, now time.Time) []int {
	if len(f.deleted) > 0 {
		slices.Sort(f.deleted)
		return slices.Compact(f.deleted)
	}
	old, _ := span(f.older)
	list := slices.SortedFunc(slices.Values(g.Generations), func(a, b nixops.GenerationUse) int { return b.Number - a.Number })
	var numbers []int
	for i, u := range list {
		goes := f.keep > 0 && i >= f.keep || f.older != "" && !u.Date.IsZero() && now.Sub(u.Date) > old
		if goes && len(u.Kept) == 0 {
			numbers = append(numbers, u.Number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// garbageOut is what "sextant garbage" tells a program: what there is, or what was
// done.
type garbageOut struct {
	Schema  int             `json:"schema"`
	Host    string          `json:"host"`
	Garbage *nixops.Garbage `json:"garbage,omitempty"`
	Deleted []int           `json:"deleted,omitempty"`   // generations
	Freed   *nixops.Freed   `json:"collected,omitempty"` // of the store
	Error   string          `json:"error,omitempty"`
}

// run shows the garbage of a host, or has some of it deleted.
func (f *garbageFlags) run(cmd *cobra.Command, a *app, s fleet.State) error {
	d := a.deployer()
	out := garbageOut{Schema: 1, Host: s.Host.Name}
	if !f.chooses() && !f.collect {
		g, err := d.Garbage(cmd.Context(), s.Host)
		if err != nil {
			return err
		}
		out.Garbage = &g
		if err := out.print(cmd.OutOrStdout(), a.opts); err != nil || len(g.Unseen) == 0 {
			return err
		}
		return exitCode(exitUnknown)
	}
	err := f.change(cmd, a, d, s, &out)
	if err != nil {
		out.Error = fleet.InFull(err)
	}
	if werr := out.print(cmd.OutOrStdout(), a.opts); werr != nil {
		return werr
	}
	return changeCode(err)
}

// change deletes generations, then garbage, as far as that is asked for.
func (f *garbageFlags) change(cmd *cobra.Command, a *app, d *nixops.Deployer, s fleet.State, out *garbageOut) error {
	if err := a.mayChange(s.Host.Name); err != nil {
		return err
	}
	if no := nixops.Busy(s); no != nil {
		return no
	}
	if f.chooses() {
		if err := f.delete(cmd, a, d, s, out); err != nil {
			return err
		}
	}
	if !f.collect {
		return nil
	}
	if err := a.agree(cmd, d, "collect-garbage", fleet.Target{Hosts: []fleet.State{s}}, f.yes); err != nil {
		return err
	}
	freed, err := d.Collect(cmd.Context(), s.Host, func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), s.Host.Name+": "+line) })
	if err == nil || freed.Paths > 0 {
		out.Freed = &freed
	}
	return err
}

// delete deletes the generations that are chosen; that may be none.
func (f *garbageFlags) delete(cmd *cobra.Command, a *app, d *nixops.Deployer, s fleet.State, out *garbageOut) error {
	g, err := d.Garbage(cmd.Context(), s.Host)
	if err != nil {
		return err
	}
	numbers := f.choose(g, time.Now())
	for _, n := range numbers {
		if _, err := a.allowed(d, "delete-generations", fleet.Target{Hosts: []fleet.State{s}, Generation: n}); err != nil {
			return err
		}
	}
	if out.Deleted = []int{}; len(numbers) == 0 {
		return nil
	}
	plan, err := nixops.PlanDeletion(s, g, numbers)
	if err != nil {
		return err
	}
	if !f.yes {
		if err := agreeTo(cmd, s.Host.Name, plan); err != nil {
			return err
		}
	}
	out.Deleted, err = d.DeleteGenerations(cmd.Context(), s.Host, numbers)
	return err
}

// print tells it to people or programs.
func (out garbageOut) print(w io.Writer, o options) error {
	return o.write(w, out, func(t *table) {
		if out.Garbage != nil {
			for _, line := range out.Garbage.Lines() {
				t.note(out.Host + ": " + line)
			}
		}
		if out.Deleted != nil {
			words := make([]string, len(out.Deleted))
			for i, n := range out.Deleted {
				words[i] = strconv.Itoa(n)
			}
			t.note(out.Host + ": generations deleted: " + cmp.Or(strings.Join(words, ", "), "none"))
		}
		if out.Freed != nil {
			t.note(out.Host + ": " + out.Freed.String())
		}
		if out.Error != "" {
			t.note(out.Error)
		}
	})
}
