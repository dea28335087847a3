package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Has tells whether there is something of a scope in the target: one of it, or
// several that were marked.
func (t Target) Has(s Scope) bool {
	switch {
	case s == ScopeContainer && len(t.Each) > 0:
		return t.Each[0].Container != ""
	case s == ScopeUnit && len(t.Each) > 0:
		return t.Each[0].Unit != ""
	case s == ScopeContainer:
		return t.Container != ""
	case s == ScopeUnit:
		return t.Unit != ""
	case s == ScopeJob:
		return t.Item != ""
	case s == ScopeFinding:
		return t.Finding != ""
	case s == ScopeDNS:
		return t.DNS != ""
	case s == ScopeNode:
		return len(t.Nodes) > 0
	}
	return len(t.Hosts) > 0
}

// Object is the container, unit or backup job that is meant, how many were marked, or "".
func (t Target) Object() string {
	switch {
	case len(t.Each) > 0:
		return fmt.Sprintf("(%d marked)", len(t.Each))
	case t.Container != "":
		return t.Container
	case t.Unit != "":
		return t.Unit
	case len(t.Nodes) > 1:
		return fmt.Sprintf("(%d marked)", len(t.Nodes))
	case t.DNS != "":
		_, name, _ := strings.Cut(t.DNS, "/")
		return name
	}
	return t.Item
}

// On is the container or unit with its host: "caddy on storage".
func (t Target) On() string {
	names := make([]string, 0, len(t.Hosts))
	for _, st := range t.Hosts {
		names = append(names, st.Host.Name)
	}
	return strings.TrimSpace(t.Object() + " on " + strings.Join(names, ", "))
}

// Over is the action done to each of the marked things of a target; without
// marks it is the action itself. It is off when it is for one of them. On one
// host they are done one after another, hosts at the same time, and what fails
// does not keep the others from being done.
func (a Action) Over(t Target) Action {
	if len(t.Each) == 0 || a.Scope != ScopeContainer && a.Scope != ScopeUnit {
		return a
	}
	each := make([]Target, len(t.Each))
	copy(each, t.Each)
	all := a
	all.Disabled = func(Target) string { return a.offSeveral(each) }
	if all.Plan, all.Prepare = nil, nil; a.Plans() {
		all.Prepare = func(ctx context.Context, t Target, say func(string)) (Plan, error) {
			return a.planSeveral(ctx, choose(each, t), say)
		}
	}
	if a.Run != nil {
		all.Run = func(ctx context.Context, t Target, say func(string)) error {
			return a.runSeveral(ctx, choose(each, t), say)
		}
	}
	return all
}

// choose hands on what a person chose for all of them.
func choose(each []Target, t Target) []Target {
	for i := range each {
		each[i].Chosen = t.Chosen
	}
	return each
}

func (a Action) offSeveral(each []Target) string {
	if a.Single {
		return fmt.Sprintf("%d are marked; this is for one", len(each))
	}
	for _, t := range each {
		if why := a.Off(t); why != "" {
			return t.On() + ": " + why
		}
	}
	return ""
}

// planSeveral puts the plans together. What must be typed for one of them must
// be for all; on several hosts their number must.
func (a Action) planSeveral(ctx context.Context, each []Target, say func(string)) (Plan, error) {
	var all Plan
	var errs []error
	hosts := map[HostID]bool{}
	for _, t := range each {
		for _, st := range t.Hosts {
			hosts[st.Host.ID] = true
		}
		p, err := a.Planned(ctx, t, say)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.On(), err))
			continue
		}
		all.Lines = append(all.Lines, strings.TrimSuffix(t.On()+": "+strings.Join(p.Lines, "; "), ": "))
		if p.Typed != "" {
			all.Typed = p.Typed
		}
	}
	all.Title = fmt.Sprintf("%s: %d marked", a.Title, len(each))
	if len(hosts) > 1 {
		all.Typed = Count(len(hosts), "host")
	}
	return all, errors.Join(errs...)
}

func (a Action) runSeveral(ctx context.Context, each []Target, say func(string)) error {
	var order []HostID
	of := map[HostID][]Target{}
	for _, t := range each {
		id := t.Hosts[0].Host.ID
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], t)
	}
	errs := make([][]error, len(order))
	var one sync.Mutex // lines come one at a time
	var wg sync.WaitGroup
	for i, id := range order {
		wg.Go(func() {
			for _, t := range of[id] {
				if err := a.runOne(ctx, t, &one, say); err != nil {
					errs[i] = append(errs[i], err)
				}
			}
		})
	}
	wg.Wait()
	var failed []error
	for _, list := range errs {
		failed = append(failed, list...)
	}
	if len(failed) > 1 {
		failed = append([]error{fmt.Errorf("%d of %d failed", len(failed), len(each))}, failed...)
	}
	return errors.Join(failed...)
}

// runOne does it to one of several, and says which one is told of.
func (a Action) runOne(ctx context.Context, t Target, one *sync.Mutex, say func(string)) error {
	tell := func(line string) {
		one.Lock()
		defer one.Unlock()
		say(line)
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("%s: not begun: %w", t.On(), err)
	}
	host := t.Hosts[0].Host.Name
	if err := a.Run(ctx, t, func(line string) { tell(host + ": " + line) }); err != nil {
		return fmt.Errorf("%s: %w", t.On(), err)
	}
	return nil
}
