package nixops

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Places to build at, beside the name of a host.
const (
	BuildHere   = "here"
	BuildTarget = "target"
)

// Order is what is to be deployed to which hosts, and how.
type Order struct {
	Flake     Flake
	Store     string // a system that is built already, for one host; "": the flake's
	Action    string // "switch", "boot", "test", "dry-activate"
	BuildOn   string // BuildHere, BuildTarget, "": as the flake's deployers say, else here; or the name of
	Builder   fleet.Host
	Attribute string // of the flake, for one host; "": as the host's name says
	As        string // the host name in a toplevel that is of another host
	Confirm   Confirmation
	Restart   bool  // with "boot": each host is restarted once that is done, and must come up with it
	Waves     []int // how many hosts each wave has, the last of them again and again; none: one, then all the others

	AllOrNone bool    // nothing is activated unless every host is ready
	OnFailure Failing // what becomes of the hosts before one that goes wrong; "": KeepOthers
}

// Ready is a host whose system is built and in its store.
type Ready struct {
	State      fleet.State
	Declared   FlakeHost // by the flake; nothing where the system was built before
	To         fleet.Toplevel
	Revision   string // of the flake it was built of; "": of none, or it changed meanwhile
	Difference fleet.Difference
	Look       Preflight // what speaks for and against activating it
	Units      []string  // what the activation says that it would do
	Err        error     // why it is not ready: the others are not kept up by it
}

// buildsAtOnce bounds how many systems are evaluated and built at the same time.
const buildsAtOnce = 4

// Prepare builds the systems of hosts and brings them there. Nothing is
// activated. tell is called from several goroutines.
func (d *Deployer) Prepare(ctx context.Context, o Order, hosts []fleet.State, tell func(host, line string)) ([]Ready, error) {
	var declared []FlakeHost
	revision := ""
	if o.Store == "" {
		var err error
		if declared, err = o.Flake.Systems(ctx, nil); err != nil {
			return nil, err
		}
		revision = o.Flake.Revision(ctx)
	}
	ready := make([]Ready, len(hosts))
	slots := make(chan struct{}, buildsAtOnce)
	var wg sync.WaitGroup
	for i, s := range hosts {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			shown := d.shows(s.Host, "deploy", fleet.Building)
			defer shown.over()
			ready[i] = d.prepare(ctx, o, s, declared, calm(func(line string) {
				shown.line(line)
				tell(s.Host.Name, line)
			}))
		})
	}
	wg.Wait()
	if o.Store == "" && revision == o.Flake.Revision(ctx) { // nothing was committed meanwhile
		for i := range ready {
			ready[i].Revision = revision
		}
		d.learn(revision, ready)
	}
	return ready, nil
}

// prepare has one host's system built, brought there and compared.
func (d *Deployer) prepare(ctx context.Context, o Order, s fleet.State, declared []FlakeHost, say func(string)) Ready {
	r := Ready{State: s}
	if o.Store == "" {
		h := s.Host
		h.Flake = cmp.Or(o.Attribute, h.Flake)
		if r.Declared, r.Err = Of(h, declared); r.Err != nil {
			return r
		}
		if o.BuildOn == "" && r.Declared.BuildOnTarget {
			o.BuildOn = BuildTarget
		}
	}
	if r.To.Path, r.Err = d.bring(ctx, o, s.Host, r.Declared, say); r.Err == nil {
		r.Err = d.compare(ctx, o, &r)
	}
	return r
}

// learn hands on which systems a commit declares. Of changes that are not
// committed nothing can be kept.
func (d *Deployer) learn(revision string, ready []Ready) {
	if d.Learn == nil || !commit.MatchString(revision) {
		return
	}
	systems := map[string]string{}
	for _, r := range ready {
		if r.Declared.Attr != "" && r.To.Path != "" {
			systems[r.Declared.Attr] = r.To.Path
		}
	}
	d.Learn(revision, systems)
}

// calm tells at most a line a second of those that only tell how far something
// is: they hold a count.
func calm(tell func(string)) func(string) {
	var last time.Time
	return func(line string) {
		if strings.ContainsRune(line, '/') && strings.Contains(line, "built") || strings.HasPrefix(line, "copying: ") {
			if time.Since(last) < time.Second {
				return
			}
			last = time.Now()
		}
		if line != "" {
			tell(line)
		}
	}
}

// bring has a host's system built and in its store, and gives its path.
func (d *Deployer) bring(ctx context.Context, o Order, h fleet.Host, declared FlakeHost, say func(string)) (string, error) {
	l := d.Links.Open(h)
	how := Copying{Stall: d.Limits.CopyStall, NoCaches: declared.Options["fastConnection"] == "true"}
	if o.Store != "" {
		return o.Store, d.bringBuilt(ctx, l, o.Store, how, say)
	}
	if err := d.mayBuild(o, h); err != nil {
		return "", err
	}
	attribute := declared.Attr
	if o.BuildOn == BuildHere || o.BuildOn == "" {
		say("evaluating " + attribute)
		path, err := o.Flake.Build(ctx, attribute, func(b Building) { say(b.String()) })
		if err != nil {
			return "", err
		}
		return path, Copy(ctx, l, path, how, say)
	}
	say("evaluating " + attribute)
	derivation, err := o.Flake.Derivation(ctx, attribute)
	if err != nil {
		return "", err
	}
	if o.BuildOn == BuildTarget {
		return BuildOn(ctx, l, derivation, how, say)
	}
	builder := d.Links.Open(o.Builder)
	path, err := BuildOn(ctx, builder, derivation, how, say)
	if err != nil {
		return "", err
	}
	say("copying it from " + o.Builder.Name)
	return path, Carry(ctx, builder, l, path, how, say)
}

// bringBuilt brings a system that is built already, where it is not there yet.
func (d *Deployer) bringBuilt(ctx context.Context, l link.Link, path string, how Copying, say func(string)) error {
	if missing, err := invalid(ctx, l, []string{path}); err == nil && len(missing) == 0 {
		return nil
	}
	say("copying " + path)
	if err := Copy(ctx, l, path, how, say); err != nil {
		return fmt.Errorf("it is not in the store of %s: %w", l.Host().Name, err)
	}
	return nil
}

// mayBuild is why nothing may be built where an order says; nil: it may.
func (d *Deployer) mayBuild(o Order, target fleet.Host) error {
	at := o.Builder
	switch o.BuildOn {
	case BuildHere, "":
		if !d.NeverHere {
			return nil
		}
		return &Refusal{Host: "this machine", Why: "the configuration has build_here = false", Cure: "build on the host: --build-on target, or on another: --build-on HOST"}
	case BuildTarget:
		at = target
	}
	if at.NeverBuild {
		return &Refusal{Host: at.Name, Why: `the configuration has build = "never" for it`, Cure: "build here, or on another host: --build-on here|HOST"}
	}
	return nil
}

// compare tells what the activation will change. The error is why there will be
// none, which is told before anybody is asked.
func (d *Deployer) compare(ctx context.Context, o Order, r *Ready) error {
	h := r.State.Host
	l := d.Links.Open(h)
	err := asRoot(ctx, l)
	if err != nil {
		return err
	}
	if r.Look, err = look(ctx, l, r.To.Path, d.Limits); err != nil {
		return err
	}
	if no := r.Look.refusal(h, Change{Action: o.Action, To: r.To, As: o.As}); no != nil && o.Action != "dry-activate" {
		return no
	}
	if r.Difference, err = d.Differences.Read(ctx, l, r.State.System.Value.Running.Path, r.activates()); err != nil {
		return err
	}
	if r.Units, err = dryActivate(ctx, l, r.activates()); err != nil {
		r.Units = []string{"what it would do to units cannot be told: " + err.Error()}
	}
	return nil
}

// dryActivate is what a system says that its activation would do. NixOS says it of
// its own accord, and changes nothing.
func dryActivate(ctx context.Context, l link.Link, path string) ([]string, error) {
	res, err := l.Run(ctx, link.Command{Args: []string{path + "/bin/switch-to-configuration", "dry-activate"}, Root: true})
	if err != nil {
		return nil, err
	}
	var units []string
	for line := range strings.Lines(string(res.Stdout) + string(res.Stderr)) {
		if line = fleet.Clean(strings.TrimSpace(line)); strings.HasPrefix(line, "would ") {
			units = append(units, fleet.Short(line, 2000))
		}
	}
	if len(units) == 0 && res.Status != 0 {
		return nil, fmt.Errorf("%s: dry-activate ended with %d: %s", l.Host().Name, res.Status, lastWords(res.Stderr))
	}
	return units, nil
}

// Lines tells of one host what will change.
func (r Ready) Lines() []string {
	if r.Err != nil {
		return []string{"not ready: " + r.Err.Error()}
	}
	if r.runs() {
		return []string{"it runs that system already"}
	}
	lines := slices.Concat(unheeded(r.Declared), r.Look.tellSpecial(), tellDifference(r.Difference), r.Units, r.Look.tellWays())
	if len(r.Look.Inhibitor) > 0 {
		lines = append(lines, "critical components change, only a reboot can do it: "+strings.Join(r.Look.Inhibitor, ", "))
	}
	return append(append(lines, tellRoom(r.Look)...), pullLines(r.State)...)
}

// tellRoom tells what is free where a deploy writes.
func tellRoom(look Preflight) []string {
	var parts []string
	for _, p := range []struct{ name, path string }{{"store", "/nix"}, {"boot", cmp.Or(look.Boot, "/boot")}} {
		if n, ok := look.Free[p.name]; ok {
			parts = append(parts, p.path+" "+inUnits(n))
		}
	}
	if look.BootNeed > 0 {
		parts = append(parts, "of which the boot menu takes "+inUnits(look.BootNeed))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"free: " + strings.Join(parts, ", ")}
}

// activates is the store path that will run: the system, or the specialisation of
// it that runs now.
func (r Ready) activates() string { return cmp.Or(r.Look.Run, r.To.Path) }

// runs tells whether the host runs its system already, as its default.
func (r Ready) runs() bool {
	running, byDefault := r.State.System.Value.Running.Path, r.State.System.Value.Default.Path
	return running == r.activates() && byDefault == r.To.Path
}
