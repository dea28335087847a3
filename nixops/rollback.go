package nixops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Earlier is the generation that a roll-back goes to where none is chosen: the
// one below the running one, among those with another system. It is an error
// where there is none, or where it cannot be told.
func Earlier(s fleet.State) (fleet.Generation, error) {
	if !s.Generations.HasValue() || !s.System.HasValue() {
		return fleet.Generation{}, fmt.Errorf("the generations of %s are not known: %s", s.Host.Name, cmp.Or(s.Generations.Err, s.System.Err, "not asked yet"))
	}
	running := s.System.Value.Running
	from := cmp.Or(running.Generation, s.System.Value.Default.Generation)
	best := fleet.Generation{}
	for _, g := range s.Generations.Value {
		if g.Number < from && g.Path != running.System() && g.Number > best.Number {
			best = g
		}
	}
	if best.Number == 0 {
		return best, fmt.Errorf("%s has no generation before the running one", s.Host.Name)
	}
	return best, nil
}

// Generation gives a generation of a host by its number.
func Generation(s fleet.State, number int) (fleet.Generation, error) {
	i := slices.IndexFunc(s.Generations.Value, func(g fleet.Generation) bool { return g.Number == number })
	if i < 0 {
		var have []string
		for _, g := range s.Generations.Value {
			have = append(have, fmt.Sprint(g.Number))
		}
		return fleet.Generation{}, fmt.Errorf("%s has no generation %d; it has %s", s.Host.Name, number, cmp.Or(strings.Join(have, ", "), "none"))
	}
	return s.Generations.Value[i], nil
}

// waiting is the newest deploy of a host, where that waits to be confirmed.
func waiting(s fleet.State) (fleet.Deploy, bool) {
	if !s.Deploys.Current() || len(s.Deploys.Value) == 0 || s.Deploys.Value[0].State != fleet.Awaiting {
		return fleet.Deploy{}, false
	}
	return s.Deploys.Value[0], true
}

// Cancels tells whether a roll-back of the target calls off a deploy that waits.
func Cancels(t fleet.Target) bool {
	_, ok := waiting(t.Hosts[0])
	return ok && t.Generation == 0
}

// target is where a roll-back goes: the generation that was chosen, or the
// earlier one.
func target(t fleet.Target) (fleet.Generation, error) {
	s := t.Hosts[0]
	if t.Generation > 0 {
		return Generation(s, t.Generation)
	}
	return Earlier(s)
}

// offRollBack is why a roll-back cannot be done now; "": it can.
func offRollBack(t fleet.Target) string {
	if why := offHost(t); why != "" {
		return why
	}
	if Cancels(t) {
		return ""
	}
	g, err := target(t)
	switch {
	case err != nil:
		return err.Error()
	case g.Running && g.Default:
		return fmt.Sprintf("generation %d runs and is the default", g.Number)
	}
	return ""
}

// Unreachable is why nothing can be done to the one host of a target; "" where it
// is one, and reached.
func Unreachable(t fleet.Target) string {
	if len(t.Hosts) != 1 {
		return "choose one host"
	}
	if s := t.Hosts[0]; !s.Reach.Current() {
		return s.Host.Name + " is not reachable: " + cmp.Or(s.Reach.Err, "not asked yet")
	}
	return ""
}

// offHost is why nothing can be done to the one host of a target.
func offHost(t fleet.Target) string {
	if why := Unreachable(t); why != "" {
		return why
	}
	s := t.Hosts[0]
	switch {
	case s.System.HasValue() && !s.System.Value.NixOS:
		return s.Host.Name + " is not NixOS"
	case !s.System.HasValue():
		return "what " + s.Host.Name + " runs is not known: " + cmp.Or(s.System.Err, "not asked yet")
	}
	return ""
}

// planRollBack tells what a roll-back will do.
func (d *Deployer) planRollBack(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
	s := t.Hosts[0]
	if dep, _ := waiting(s); Cancels(t) {
		return fleet.Plan{
			Title: "Cancel the deploy of " + s.Host.Name + " that waits",
			Lines: []string{
				"back to " + name(dep.From) + "; begun by " + dep.Who + " from " + dep.Client,
				"left alone it goes back by itself at " + dep.Deadline.Local().Format("15:04:05"),
			},
			Typed: typedFor(s),
		}, nil
	}
	g, err := target(t)
	if err != nil {
		return fleet.Plan{}, err
	}
	from := s.System.Value.Running
	p := fleet.Plan{Title: fmt.Sprintf("Roll %s back to generation %d", s.Host.Name, g.Number), Typed: typedFor(s)}
	add := func(format string, args ...any) { p.Lines = append(p.Lines, fmt.Sprintf(format, args...)) }
	if now, err := Generation(s, from.Generation); err == nil {
		add("from %s", one(now))
	} else {
		add("from %s, which is no generation", from.Path)
	}
	add("to   %s", one(g))
	p.Lines = append(p.Lines, tellLast(s.Deploys)...)
	p.Lines = append(p.Lines, specialAfter(from, g).tellSpecial()...)
	diff, err := d.Differences.Read(ctx, d.Links.Open(s.Host), from.System(), g.Path)
	if err != nil {
		add("what is different cannot be told: %s", err)
	} else {
		p.Lines = append(p.Lines, tellDifference(diff)...)
	}
	switch {
	case g.BootEntry == nil:
		add("whether it is in the boot menu cannot be read")
	case !*g.BootEntry:
		add("it is not in the boot menu: where that holds only the newest, a reboot starts another system")
	case len(g.BootMissing) > 0:
		add("it cannot boot as it stands: not there, or empty: %s. What is missing is written anew with the boot menu, what is empty is not: remove that first", strings.Join(g.BootMissing, ", "))
	}
	p.Lines = append(p.Lines, pullLines(s)...)
	p.More = func(ctx context.Context) []string {
		wait := make(chan []string, 1)
		c := backTo(t, g)
		go func() { wait <- d.tellWait(ctx, s.Host, c) }()
		if c.Action == "boot" {
			return <-wait
		}
		units := d.dryRun(ctx, s, from, g)
		return append(<-wait, units...)
	}
	return p, nil
}

// tellLast tells of the last deploy of a host, where it did not end well.
func tellLast(deploys fleet.Fact[[]fleet.Deploy]) []string {
	if !deploys.Current() || len(deploys.Value) == 0 {
		return nil
	}
	last := deploys.Value[0]
	how := map[fleet.DeployState]string{
		fleet.RolledBack: "it went back by itself", fleet.RollbackFailed: "the last deploy could not go back", fleet.Conflict: "the last deploy met another change",
	}[last.State]
	if how == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s %s: %s", how, last.Changed.Local().Format("2006-01-02 15:04"), last.Why)}
}

// tellWait tells whether the host would refuse, as it looks itself, and how long it
// will wait to be confirmed: whether the ways in change, by more than units.
func (d *Deployer) tellWait(ctx context.Context, h fleet.Host, c Change) []string {
	look, err := look(ctx, d.Links.Open(h), c.To.Path, d.Limits)
	if err != nil {
		return []string{"how long it waits to be confirmed cannot be told: " + err.Error()}
	}
	if no := look.refusal(h, c); no != nil {
		return []string{"it will be refused: " + no.Why + "; " + no.Cure}
	}
	if c.Action == "boot" {
		return []string{"nothing is activated: the next boot starts it"}
	}
	lines := look.tellWays()
	return append(lines, fmt.Sprintf("unless it is reached and well within %.0f s, it goes back by itself", look.window(d.Limits).or().Confirm.Seconds()))
}

// dryRun asks a generation what its activation would do to units.
func (d *Deployer) dryRun(ctx context.Context, s fleet.State, running fleet.Toplevel, g fleet.Generation) []string {
	path := g.Path
	if slices.Contains(g.Specialisations, running.Specialisation) {
		path += "/specialisation/" + running.Specialisation
	}
	ctx, cancel := d.Limits.preflight(ctx)
	defer cancel()
	units, err := dryActivate(ctx, d.Links.Open(s.Host), path)
	switch {
	case err != nil:
		return []string{"what it would do to units cannot be told: " + err.Error()}
	case len(units) == 0:
		return []string{"it would touch no unit"}
	}
	return units
}

// specialAfter tells which specialisation runs, and whether a generation has it.
func specialAfter(running fleet.Toplevel, g fleet.Generation) Preflight {
	p := Preflight{Special: running.Specialisation}
	if slices.Contains(g.Specialisations, p.Special) {
		p.Run = g.Path
	}
	return p
}

// one is a generation in one line.
func one(g fleet.Generation) string {
	parts := []string{fmt.Sprint(g.Number)}
	if !g.Date.IsZero() {
		parts = append(parts, g.Date.Local().Format("2006-01-02 15:04"))
	}
	return strings.Join(append(parts, cmp.Or(g.NixOSVersion, "version ?")), "  ")
}

// name is a toplevel in few words.
func name(t fleet.Toplevel) string {
	if t.Generation > 0 {
		return fmt.Sprintf("generation %d", t.Generation)
	}
	return t.Path
}

// Most of a difference that is told in a plan.
const (
	planPackages = 8
	planUnits    = 6
)

// tellDifference is a difference in a few lines.
func tellDifference(d fleet.Difference) []string {
	var lines []string
	if d.Kernel[0] != d.Kernel[1] {
		lines = append(lines, fmt.Sprintf("kernel %s -> %s: after the next reboot", cmp.Or(d.Kernel[0], "none"), cmp.Or(d.Kernel[1], "none")))
	}
	packages := slices.DeleteFunc(slices.Clone(d.Packages), func(p fleet.PackageChange) bool { return strings.HasPrefix(p.Name, "nixos-system-") })
	lines = append(lines, listed("packages", planPackages, packages, func(p fleet.PackageChange) string {
		switch {
		case len(p.Old) == 0:
			return p.Name + " " + strings.Join(p.New, ",") + " added"
		case len(p.New) == 0:
			return p.Name + " " + strings.Join(p.Old, ",") + " removed"
		}
		return p.Name + " " + strings.Join(p.Old, ",") + " -> " + strings.Join(p.New, ",")
	})...)
	if d.Size != 0 {
		lines = append(lines, fmt.Sprintf("size %s%s", map[bool]string{true: "+", false: "-"}[d.Size > 0], inUnits(max(d.Size, -d.Size))))
	}
	lines = append(lines, listed("units", planUnits, d.Units, func(u fleet.UnitChange) string { return u.Unit + " " + u.How })...)
	for _, what := range d.Unseen {
		lines = append(lines, "not seen, there may be more: "+what)
	}
	return lines
}

// listed tells the first few of a list, and how many there are.
func listed[T any](what string, most int, list []T, tell func(T) string) []string {
	if len(list) == 0 {
		return []string{what + " that change: none"}
	}
	lines := []string{fmt.Sprintf("%s that change: %d", what, len(list))}
	for i, x := range list {
		if i == most {
			lines = append(lines, fmt.Sprintf("  and %d more", len(list)-most))
			break
		}
		lines = append(lines, "  "+tell(x))
	}
	return lines
}

// typedFor is what must be typed before a host on which others depend is changed.
func typedFor(s fleet.State) string {
	if role, _ := s.Role(); role == fleet.RoleRouter || role == fleet.RoleStorage {
		return s.Host.Name
	}
	return ""
}

// RollBack takes a host back: a deploy that waits is cancelled, else the
// generation is activated under guard.
func (d *Deployer) RollBack(ctx context.Context, t fleet.Target, confirm Confirmation, tell func(Progress)) (fleet.Deploy, error) {
	s := t.Hosts[0]
	if dep, _ := waiting(s); Cancels(t) {
		a, err := d.Cancel(ctx, s.Host, dep.ID)
		if err != nil {
			return dep, err
		}
		if !a.Taken {
			return dep, fmt.Errorf("%s: %s", s.Host.Name, cmp.Or(a.Why, a.State.Words()))
		}
		return d.Attach(ctx, s.Host, dep.ID, ConfirmElse, tell)
	}
	g, err := target(t)
	if err != nil {
		return fleet.Deploy{}, err
	}
	c := backTo(t, g)
	c.Confirm, c.Limits = confirm, d.Limits
	return d.Do(ctx, s.Host, c, tell)
}

// OnlyBoot makes a target of a roll-back that activates nothing: the generation is what
// the next boot starts.
func OnlyBoot(t fleet.Target) fleet.Target {
	t.Chosen = map[string]string{chooseAction.ID: "boot"}
	return t
}

// backTo is the change that goes back to a generation.
func backTo(t fleet.Target, g fleet.Generation) Change {
	return Change{Kind: "rollback", Action: t.Chosen[chooseAction.ID], To: fleet.Toplevel{Path: g.Path, Generation: g.Number}, Revision: g.Revision}
}

// errorOf is how a change ended, as an error where it did not end well.
func errorOf(h fleet.Host, kind string, dep fleet.Deploy, err error) error {
	switch {
	case err != nil:
		return err
	case dep.State == fleet.Confirmed, kind == "cancel" && (dep.State == fleet.Cancelled || dep.State == fleet.RolledBack):
		return nil
	}
	return errors.New(h.Name + ": " + strings.TrimSpace(dep.State.Words()+": "+dep.Reason()))
}
