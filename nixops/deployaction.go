package nixops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// offDeploy is why hosts cannot be deployed to now.
func (d *Deployer) offDeploy(t fleet.Target) string {
	if d.Flake.Ref == "" {
		return "no flake is known: start sextant in its folder, or set flake in the configuration"
	}
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

func (d *Deployer) order() Order {
	return Order{Flake: d.Flake, Action: "switch", Confirm: ConfirmAuto}
}

// planDeploy builds and copies: only then it is known what will change.
func (d *Deployer) planDeploy(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
	ready, err := d.Prepare(ctx, d.order(), t.Hosts, func(string, string) {})
	if err != nil {
		return fleet.Plan{}, err
	}
	p := fleet.Plan{Title: "Deploy " + d.Flake.Ref}
	well := 0
	for _, r := range ready {
		p.Lines = append(p.Lines, r.State.Host.Name+":")
		for _, l := range r.Lines() {
			p.Lines = append(p.Lines, "  "+l)
		}
		if r.Err == nil {
			well++
			p.Typed = cmp.Or(p.Typed, typedFor(r.State))
		}
	}
	if well == 0 {
		return fleet.Plan{}, errors.New(strings.Join(p.Lines, "\n"))
	}
	if len(ready) > 1 {
		p.Typed = fmt.Sprintf("%d hosts", well)
	}
	p.Lines = append(p.Lines, "each goes back by itself unless it is reached and well")
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.prepared == nil {
		d.prepared = map[string][]Ready{}
	}
	d.prepared[key(t)] = ready
	return p, nil
}

// runDeploy activates what was planned.
func (d *Deployer) runDeploy(ctx context.Context, t fleet.Target, say func(string)) error {
	d.mu.Lock()
	ready := d.prepared[key(t)]
	delete(d.prepared, key(t))
	d.mu.Unlock()
	if ready == nil {
		return errors.New("nothing was built for it")
	}
	var errs []error
	for _, x := range d.Deploy(ctx, d.order(), ready, func(host string, p Progress) {
		saying(func(line string) { say(host + ": " + line) })(p)
	}) {
		errs = append(errs, errorOf(x.Host, "deploy", x.Deploy, x.Err))
	}
	return errors.Join(errs...)
}
