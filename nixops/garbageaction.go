package nixops

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// garbageActions are what deletes on hosts what nobody needs.
func (d *Deployer) garbageActions() []fleet.Action {
	return []fleet.Action{
		{
			ID: "delete-generations", Title: "Delete the generation", Keys: []string{"x"}, Scope: fleet.ScopeHost, Danger: true,
			Help:     "delete a generation that neither runs, was booted, is the default nor was confirmed last, with its boot entry",
			Disabled: offDelete,
			Plan: func(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
				g, err := d.Garbage(ctx, t.Hosts[0].Host)
				if err != nil {
					return fleet.Plan{}, err
				}
				return PlanDeletion(t.Hosts[0], g, []int{t.Generation})
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				gone, err := d.DeleteGenerations(ctx, t.Hosts[0].Host, []int{t.Generation})
				if len(gone) > 0 {
					say("deleted " + numberList(gone))
				}
				return err
			},
		},
		{
			ID: "collect-garbage", Title: "Collect garbage", Scope: fleet.ScopeHost, Danger: true,
			Help:     "delete the store paths that nothing needs",
			Disabled: offCollect,
			Plan: func(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
				g, err := d.Garbage(ctx, t.Hosts[0].Host)
				return PlanCollection(t.Hosts[0], g), err
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				_, err := d.Collect(ctx, t.Hosts[0].Host, say)
				return err
			},
		},
	}
}

// offDelete is why the generation of a target cannot be deleted, as far as it is
// known here; the host looks again.
func offDelete(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	if t.Generation == 0 {
		return "choose a generation in the Generations tab, one that does not run"
	}
	s := t.Hosts[0]
	g, err := Generation(s, t.Generation)
	if err != nil {
		return err.Error()
	}
	for _, k := range []struct {
		is   bool
		word string
	}{{g.Running, "running"}, {g.Default, "default"}, {g.Booted, "booted"}, {lastConfirmed(s) == g.Path, "last-confirmed"}} {
		if k.is {
			return fmt.Sprintf("generation %d %s", g.Number, keptWords[k.word])
		}
	}
	return deployUnderWay(s)
}

// offCollect is why the garbage of a host cannot be collected now.
func offCollect(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	return deployUnderWay(t.Hosts[0])
}

// deployUnderWay says that a deploy is under way, where it is: it may need what
// would be deleted.
func deployUnderWay(s fleet.State) string {
	if no := Busy(s); no != nil {
		return no.Why + "; " + no.Cure
	}
	return ""
}

// Busy is the refusal of a host on which a deploy is under way; nil: none is.
func Busy(s fleet.State) *Refusal {
	if !s.Deploys.HasValue() || len(s.Deploys.Value) == 0 || s.Deploys.Value[0].State.Over() {
		return nil
	}
	return &Refusal{Host: s.Host.Name, Why: "a deploy is under way", Cure: "confirm or cancel it first: sextant confirm|cancel " + s.Host.Name, Busy: true}
}

// lastConfirmed is the system that was confirmed last, as the deploys tell; "": none was.
func lastConfirmed(s fleet.State) string {
	if !s.Deploys.HasValue() {
		return ""
	}
	i := slices.IndexFunc(s.Deploys.Value, func(d fleet.Deploy) bool { return d.State == fleet.Confirmed })
	if i < 0 {
		return ""
	}
	return s.Deploys.Value[i].To.Path
}

// keptWords say why a generation is never deleted.
var keptWords = map[string]string{
	"running": "runs", "default": "is the default", "booted": "was booted", "last-confirmed": "was confirmed last", "deploy": "is needed by a deploy under way",
}

// told is why a generation must stay, in words.
func (u GenerationUse) told() string {
	words := make([]string, len(u.Kept))
	for i, k := range u.Kept {
		if words[i] = keptWords[k]; words[i] == "" {
			words[i] = k // of a newer program
		}
	}
	return strings.Join(words, ", ")
}

// PlanDeletion tells what the deletion of generations will do. One that must stay,
// or that is not there, is an error: then none is deleted.
func PlanDeletion(s fleet.State, g Garbage, numbers []int) (fleet.Plan, error) {
	p := fleet.Plan{Title: "Delete " + numberList(numbers) + " of " + s.Host.Name, Typed: typedFor(s)}
	add := func(format string, args ...any) { p.Lines = append(p.Lines, fmt.Sprintf(format, args...)) }
	for _, n := range numbers {
		use, there := g.Generation(n)
		switch {
		case !there:
			return fleet.Plan{}, &Refusal{Host: s.Host.Name, Why: fmt.Sprintf("there is no generation %d", n), Cure: "sextant generations " + s.Host.Name + " lists them"}
		case len(use.Kept) > 0:
			return fleet.Plan{}, &Refusal{Host: s.Host.Name, Why: fmt.Sprintf("generation %d must stay: it %s", n, use.told())}
		}
		gen, err := Generation(s, n)
		if err != nil { // made since the host was asked
			gen = fleet.Generation{Number: n, Date: use.Date}
		}
		add("%s  %s", one(gen), bootEntry(gen))
	}
	if g.Boot != nil {
		if frees := g.BootFrees(numbers); frees > 0 {
			add("the boot partition gains %s of files that no other generation boots with", inUnits(frees))
		} else {
			add("the boot partition gains nothing: others boot with the same files")
		}
	}
	add("what else they need stays in the store until its garbage is collected")
	add("what stays:")
	for _, use := range g.Generations {
		if !slices.Contains(numbers, use.Number) {
			add("  %s", strings.TrimSpace(fmt.Sprintf("%d  %s", use.Number, use.told())))
		}
	}
	return p, nil
}

// bootEntry tells of a generation's entry in the boot menu, which goes with it.
func bootEntry(g fleet.Generation) string {
	switch {
	case g.BootEntry == nil:
		return "whether it is in the boot menu cannot be read"
	case *g.BootEntry:
		return "with its boot entry"
	}
	return "not in the boot menu"
}

// PlanCollection tells what a garbage collection will do.
func PlanCollection(s fleet.State, g Garbage) fleet.Plan {
	return fleet.Plan{Title: "Collect the garbage of " + s.Host.Name, Lines: g.Lines(), Typed: typedFor(s)}
}

// Lines tells it to people.
func (g Garbage) Lines() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if g.Dead != nil {
		add("%s", *g.Dead)
	}
	if g.Store.Total > 0 {
		add("store %s", g.Store)
	}
	switch {
	case g.Boot == nil:
		add("boot  there is no boot partition")
	case !g.Boot.Own():
		add("boot  %s (no partition of its own)", g.Boot)
	default:
		add("boot  %s", g.Boot)
	}
	for _, use := range g.Generations {
		lines = append(lines, strings.TrimRight("  "+strings.Join(g.cells(use), "  "), " "))
	}
	for _, f := range g.BootFiles {
		if f.Missing {
			add("! %s is not there: %s cannot boot", f.Path, numberList(f.Generations))
		}
	}
	for _, id := range g.Deploys {
		add("deploy %s is under way: until it is over nothing is deleted", id)
	}
	for _, what := range g.Unseen {
		add("? not told: %s", what)
	}
	return lines
}

// cells are a generation's number, what it takes on the boot partition, and why it stays.
func (g Garbage) cells(use GenerationUse) []string {
	alone, shared := g.Occupies(use.Number)
	boot := "nothing on the boot partition"
	if inMenu := slices.ContainsFunc(g.BootFiles, func(f BootFile) bool { return slices.Contains(f.Generations, use.Number) }); inMenu {
		boot = inUnits(alone) + " alone, " + inUnits(shared) + " shared"
	}
	return []string{fmt.Sprint(use.Number), boot, use.told()}
}
