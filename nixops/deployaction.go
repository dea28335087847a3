package nixops

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// offDeploy is why hosts cannot be deployed to now.
func offDeploy(t fleet.Target) string {
	if len(t.Hosts) == 0 {
		return "choose a host"
	}
	for _, s := range t.Hosts {
		if why := offHost(fleet.Target{Hosts: []fleet.State{s}}); why != "" {
			return why
		}
	}
	return ""
}

// key names the hosts of a target.
func key(t fleet.Target) string {
	var ids []string
	for _, s := range t.Hosts {
		ids = append(ids, string(s.Host.ID))
	}
	return strings.Join(ids, "\x00")
}

// planned is what was built for a plan, until it is agreed to.
type planned struct {
	order Order
	ready []Ready
}

// planDeploy builds and copies: only then it is known what will change.
func (d *Deployer) planDeploy(ctx context.Context, t fleet.Target, say func(string)) (fleet.Plan, error) {
	o, err := d.order(t)
	if err != nil {
		return fleet.Plan{}, err
	}
	ready, err := d.Prepare(ctx, o, t.Hosts, func(host, line string) { say(host + ": " + line) })
	if err != nil {
		return fleet.Plan{Log: logOf("", err)}, err
	}
	p, well := tellReady(ready)
	p.Title = "Deploy " + cmp.Or(o.Store, o.Flake.Ref) + ": " + t.Chose(chooseAction)
	if well == 0 {
		return fleet.Plan{Log: p.Log}, errors.New(strings.Join(p.Lines, "\n"))
	}
	if len(ready) > 1 && p.Typed == "" {
		p.Typed = fleet.Count(well, "host")
	}
	p.Lines = append(p.Lines, o.tellEnd())
	if o.Action == "dry-activate" {
		p.Typed = ""
	}
	d.keep(ctx, key(t), &planned{o, ready})
	return p, nil
}

// keep keeps what was built until it is run, or ctx ends: then nobody agreed to it.
func (d *Deployer) keep(ctx context.Context, at string, p *planned) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.prepared == nil {
		d.prepared = map[string]*planned{}
	}
	d.prepared[at] = p
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.prepared[at] == p { // no other was made since
			delete(d.prepared, at)
		}
	})
}

// tellReady tells of each host what will change, and how many are ready.
func tellReady(ready []Ready) (p fleet.Plan, well int) {
	for _, r := range ready {
		p.Lines = append(p.Lines, r.State.Host.Name+":")
		for _, l := range r.Lines() {
			p.Lines = append(p.Lines, "  "+l)
		}
		p.Log = append(p.Log, logOf(r.State.Host.Name, r.Err)...)
		if r.Err == nil {
			well++
			if len(ready) == 1 {
				p.Typed = typedFor(r.State)
			}
		}
	}
	return p, well
}

// tellEnd tells how a deploy ends where it goes as ordered.
func (o Order) tellEnd() string {
	switch {
	case o.Action == "dry-activate":
		return "nothing is changed"
	case o.Restart:
		return "each becomes the default, and is restarted into it"
	case o.Action == "boot":
		return "each becomes the default, and runs from its next start on"
	case o.Confirm == ConfirmNone:
		return "the first wave is left waiting to be confirmed, and goes back by itself unless somebody does"
	}
	return "each goes back by itself unless it is reached and well"
}

// logOf is the log of the build that failed, to be opened; none: no build did.
func logOf(host string, err error) []string {
	var broken *NixError
	if !errors.As(err, &broken) || len(broken.Log) == 0 {
		return nil
	}
	head := strings.TrimSpace(host + " the build of " + cmp.Or(broken.Derivation, "a derivation") + " failed:")
	return append([]string{head}, broken.Log...)
}

// runDeploy activates what was planned.
func (d *Deployer) runDeploy(ctx context.Context, t fleet.Target, say func(string)) error {
	d.mu.Lock()
	p, ok := d.prepared[key(t)]
	delete(d.prepared, key(t))
	d.mu.Unlock()
	switch {
	case !ok:
		return errors.New("nothing was built for it")
	case p.order.Action == "dry-activate":
		say("nothing was changed")
		return nil
	}
	var errs []error
	for _, x := range d.Deploy(ctx, p.order, p.ready, func(host string, p Progress) {
		Saying(func(line string) { say(host + ": " + line) })(p)
	}) {
		if x.waits() {
			say(x.Host.Name + ": it waits to be confirmed, as asked")
			continue
		}
		errs = append(errs, errorOf(x.Host, "deploy", x.Deploy, x.Err))
	}
	return errors.Join(errs...)
}
