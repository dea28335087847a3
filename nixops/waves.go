package nixops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Failing is what becomes of the hosts that were changed before one went wrong.
type Failing string

// What can become of them.
const (
	KeepOthers     Failing = "keep"
	RollBackOthers Failing = "roll-back" // back to what they ran; those that still wait are cancelled
)

// ErrNotBegun is a host that was not changed, because of another.
var ErrNotBegun = errors.New("not begun")

// Outcome is how it ended with one host.
type Outcome struct {
	Host   fleet.Host
	Deploy fleet.Deploy
	Err    error

	ready   Ready
	changed bool // by this deploy
}

// well tells whether the next wave may begin, as far as this host is concerned.
// What waits to be confirmed is not well yet: that is to be said by somebody.
func (x Outcome) well() bool { return x.Err == nil && x.Deploy.State == fleet.Confirmed }

// waits tells whether it was left for somebody to confirm.
func (x Outcome) waits() bool { return x.Err == nil && x.Deploy.State == fleet.Awaiting }

// Deploy activates what is ready, in waves: one host first, then the others
// together, and last those on which the way to the others depends. A wave begins
// when all of the one before is confirmed, whoever confirms it; where nobody stays
// to see that (ConfirmNone), the waves after the first do not begin.
func (d *Deployer) Deploy(ctx context.Context, o Order, ready []Ready, tell func(host string, p Progress)) []Outcome {
	var out []Outcome
	why := unready(o, ready)
	for _, wave := range waves(ready, o.Waves) {
		ends := make([]Outcome, len(wave))
		var wg sync.WaitGroup
		for i, r := range wave {
			ends[i] = Outcome{Host: r.State.Host, Deploy: fleet.Deploy{State: fleet.Refused}, Err: cmp.Or(r.Err, why), ready: r}
			if ends[i].Err != nil {
				d.over(r.State.Host, Change{Kind: "deploy", To: r.To, Revision: r.Revision}, time.Now(), ends[i].Deploy, ends[i].Err)
				continue
			}
			wg.Go(func() { d.one(ctx, o, &ends[i], func(p Progress) { tell(r.State.Host.Name, p) }) })
		}
		wg.Wait()
		out, why = append(out, ends...), cmp.Or(why, holding(ends))
	}
	if o.OnFailure == RollBackOthers && slices.ContainsFunc(out, Outcome.wrong) {
		d.takeBack(ctx, o, out, tell)
	}
	return out
}

// unready is why nothing is begun where all must be ready, or none.
func unready(o Order, ready []Ready) error {
	for _, r := range ready {
		if o.AllOrNone && r.Err != nil {
			return fmt.Errorf("%w: %s is not ready", ErrNotBegun, r.State.Host.Name)
		}
	}
	return nil
}

// holding is why the wave after this one does not begin; nil: it does. A host that
// was not ready does not keep up the others.
func holding(ends []Outcome) error {
	for _, x := range ends {
		switch {
		case x.ready.Err != nil || x.well():
		case x.waits():
			return fmt.Errorf("%w: %s waits to be confirmed; once it is, deploy to the others", ErrNotBegun, x.Host.Name)
		default:
			return fmt.Errorf("%w: %s was not confirmed", ErrNotBegun, x.Host.Name)
		}
	}
	return nil
}

// wrong tells whether a deploy was begun and went wrong.
func (x Outcome) wrong() bool {
	return x.ready.Err == nil && !errors.Is(x.Err, ErrNotBegun) && !x.well() && !x.waits()
}

// one deploys to one host.
func (d *Deployer) one(ctx context.Context, o Order, x *Outcome, tell func(Progress)) {
	r := x.ready
	if r.runs() && o.Action != "boot" {
		x.Deploy = fleet.Deploy{State: fleet.Confirmed, To: r.To, Why: "it runs that system already"}
		return
	}
	limits := d.Limits
	limits.Confirm = cmp.Or(limits.Confirm, r.Declared.ConfirmTimeout)
	x.Deploy, x.Err = d.Do(ctx, x.Host, Change{
		Kind: "deploy", Action: o.Action, To: r.To, As: o.As, Confirm: o.Confirm, Limits: limits, Revision: r.Revision,
	}, tell)
	x.changed = x.well() || x.waits()
	if o.Restart && x.well() {
		d.restartInto(ctx, x, r.To, tell)
	}
}

// restartInto restarts a host, which must come up with a system.
func (d *Deployer) restartInto(ctx context.Context, x *Outcome, to fleet.Toplevel, tell func(Progress)) {
	if x.Err = d.Reboot(ctx, x.Host, func(line string) { tell(Progress{Deploy: x.Deploy, Line: line}) }); x.Err != nil {
		x.Deploy.State = fleet.Unreachable
		return
	}
	got, err := list(ctx, d.Links.Open(x.Host), "", 0)
	switch {
	case err != nil:
		x.Deploy.State, x.Err = fleet.Unreachable, err
	case got.Running != to.Path: // of a specialisation the boot menu has the system itself as its default
		x.Deploy.State, x.Err = fleet.Conflict, fmt.Errorf("%s: it came up with %s, not with %s: see its boot menu", x.Host.Name, got.Running, to.Path)
	default:
		x.Deploy.Why = "it came up with it"
	}
}

// takeBack brings the hosts that were changed back to what they had before.
func (d *Deployer) takeBack(ctx context.Context, o Order, out []Outcome, tell func(host string, p Progress)) {
	var wg sync.WaitGroup
	for i := range out {
		if x := &out[i]; x.changed {
			wg.Go(func() {
				say := func(p Progress) { tell(x.Host.Name, p) }
				say(Progress{Deploy: x.Deploy, Line: "another host went wrong: taking this one back, as asked"})
				d.takeBackOne(ctx, o, x, say)
			})
		}
	}
	wg.Wait()
}

func (d *Deployer) takeBackOne(ctx context.Context, o Order, x *Outcome, say func(Progress)) {
	var back fleet.Deploy
	var err error
	if x.waits() {
		if _, err = d.Cancel(ctx, x.Host, x.Deploy.ID); err == nil {
			back, err = d.Attach(ctx, x.Host, x.Deploy.ID, ConfirmElse, say)
		}
	} else {
		back, err = d.Do(ctx, x.Host, Change{
			Kind: "rollback", Action: o.Action, To: before(x.ready.State, o.Action), Confirm: ConfirmAuto, Limits: d.Limits,
		}, say)
		if err == nil && back.State == fleet.Confirmed && o.Restart {
			err = d.Reboot(ctx, x.Host, func(line string) { say(Progress{Deploy: back, Line: line}) })
		}
	}
	switch {
	case err != nil:
		x.Deploy.State, x.Err = fleet.RollbackFailed, fmt.Errorf("taking it back: %w", err)
	case back.State != fleet.Confirmed && back.State != fleet.Cancelled:
		x.Deploy.State, x.Err = fleet.RollbackFailed, fmt.Errorf("%s: taking it back: %s", x.Host.Name, back.Result)
	default:
		x.Deploy.State, x.Deploy.Why = fleet.RolledBack, "taken back, as another host went wrong"
	}
}

// before is what a host ran, or what was its default, before a deploy.
func before(s fleet.State, action string) fleet.Toplevel {
	if action == "boot" {
		return s.System.Value.Default
	}
	ran := s.System.Value.Running // a specialisation runs again by its name
	return fleet.Toplevel{Path: ran.System(), Generation: ran.Generation}
}

// waves orders hosts: those on which the least depends first, of equal ones by tier,
// so many at a time, then routers and this machine, one after the other. What is not
// ready comes after what is: the first wave is to show how it goes.
func waves(ready []Ready, sizes []int) [][]Ready {
	ready = slices.Clone(ready)
	slices.SortStableFunc(ready, sooner)
	if len(sizes) == 0 {
		sizes = []int{1, max(1, len(ready))}
	}
	var rest []Ready
	var last, out [][]Ready
	for _, r := range ready {
		if role, _ := r.State.Role(); r.State.Host.Local || role == fleet.RoleRouter {
			last = append(last, []Ready{r})
		} else {
			rest = append(rest, r)
		}
	}
	for i := 0; len(rest) > 0; i++ {
		n := min(len(rest), max(1, sizes[min(i, len(sizes)-1)]))
		out, rest = append(out, rest[:n]), rest[n:]
	}
	return append(out, last...)
}

// sooner orders what is deployed to.
func sooner(a, b Ready) int {
	last := func(r Ready) int {
		switch {
		case r.State.Host.Local:
			return 2
		case r.Err != nil:
			return 1
		}
		return 0
	}
	ra, _ := a.State.Role()
	rb, _ := b.State.Role()
	return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(rb.Weight(), ra.Weight()), fleet.CompareTiers(a.State.Host.Tier, b.State.Host.Tier))
}
