package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// errNoParent means that no Netdata of the fleet is known to have the host.
var errNoParent = errors.New("no Netdata of the fleet is known to have its data")

// local asks the Netdata on the host itself.
func (r *Reader) local(ctx context.Context, l link.Link) reading {
	known, err := r.recall(l)
	if err != nil {
		return reading{err: err}
	}
	c := newClient(l)
	defer c.close()
	if known == nil {
		a, err := r.find(ctx, l, c)
		if err != nil {
			return reading{err: err}
		}
		known = &a
	}
	self, ok := known.self()
	if !ok {
		self = node{guid: known.guid, online: true}
	}
	got := fetch(ctx, c, *known, self)
	got.source = source(*known)
	if got.err != nil {
		r.lose(l, got.err)
	}
	return got
}

// source names a Netdata.
func source(a agent) string {
	if a.version == "" {
		return "netdata"
	}
	return "netdata " + a.version
}

// recall gives the Netdata that was found on a host not long ago, or why there
// was none. Neither: it must be looked for.
func (r *Reader) recall(l link.Link) (*agent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now := r.host(l.Host().ID), r.now()
	switch {
	case m.failed != nil && now.Sub(m.failedAt) < findAgain:
		return nil, m.failed
	case m.agent != nil && now.Sub(m.found) < findAgain:
		return m.agent, nil
	}
	return nil, nil
}

// find looks for a Netdata on a host, and notes whose data it has.
func (r *Reader) find(ctx context.Context, l link.Link, c *client) (agent, error) {
	a, err := detect(ctx, c)
	if err != nil {
		r.lose(l, err)
		return agent{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.host(l.Host().ID)
	m.link, m.agent, m.found, m.failed, m.orphan = l, &a, r.now(), nil, false
	return a, nil
}

// lose notes that a host's Netdata did not answer. Of one that is not there,
// hangs or is closed to us, nothing is expected for a while; other faults pass.
func (r *Reader) lose(l link.Link, err error) {
	if errors.Is(err, errNone) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errProtected) {
		r.fail(l, err)
	}
}

// fail keeps the reason why a host's Netdata need not be asked for a while.
func (r *Reader) fail(l link.Link, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.host(l.Host().ID)
	m.agent, m.failed, m.failedAt = nil, err, r.now()
}

// fetch reads the row and the alarms of one node, both at once.
func fetch(ctx context.Context, c *client, a agent, n node) reading {
	var got reading
	var group errgroup.Group
	group.Go(func() error {
		path, _ := a.at(n, "allmetrics")
		ans, err := c.get(ctx, path, url.Values{"format": {"json"}, "filter": {rowCharts}})
		if err == nil {
			got.row, err = parseRow(ans.body)
		}
		if err == nil {
			got.age, err = got.row.age(ans.clock)
		}
		got.err = err
		return nil
	})
	group.Go(func() error {
		got.alarms, got.quiet = raised(ctx, c, a, n)
		return nil
	})
	_ = group.Wait()
	return got
}

// raised reads the alarms of one node.
func raised(ctx context.Context, c *client, a agent, n node) ([]fleet.Alarm, error) {
	if n.silent {
		return nil, errSilent
	}
	if a.api == 1 {
		path, _ := a.at(n, "alarms")
		ans, err := c.get(ctx, path, nil)
		if err != nil {
			return nil, err
		}
		return parseAlarmsV1(ans.body)
	}
	path, query := a.at(n, "alerts")
	query.Set("status", "raised")
	query.Set("options", "instances,values")
	ans, err := c.get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	return parseAlarmsV3(ans.body, n.guid)
}

// mirror is where a host's data are: a node of the Netdata on another host.
type mirror struct {
	link  link.Link
	agent agent
	node  node
}

// parent finds the Netdata of the fleet that has the data of a host, among
// those that were asked before. One to which the host streams now comes first.
func (r *Reader) parent(id fleet.HostID, names []string) (mirror, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []mirror
	for other, m := range r.hosts {
		if other == id || m.agent == nil {
			continue
		}
		for _, n := range m.agent.nodes {
			if n.guid != m.agent.guid && called(n.name, names) {
				found = append(found, mirror{m.link, *m.agent, n})
			}
		}
	}
	if len(found) == 0 {
		return mirror{}, errNoParent
	}
	slices.SortFunc(found, func(a, b mirror) int {
		if a.node.online != b.node.online {
			if a.node.online {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.link.Host().Name, b.link.Host().Name)
	})
	best := found[0]
	where := best.link.Host().Name
	if !best.node.online {
		return mirror{}, fmt.Errorf("netdata on %s: %s does not stream to it now", where, fleet.Short(best.node.name, 60))
	}
	for _, m := range found[1:] {
		if m.node.online && m.node.guid != best.node.guid {
			return mirror{}, fmt.Errorf("netdata on %s: two machines that are called %s stream to the fleet", where, fleet.Short(best.node.name, 60))
		}
	}
	return best, nil
}

// ask reads a host's data from its parent, over the link to that.
func (r *Reader) ask(ctx context.Context, l link.Link, st fleet.State) reading {
	m, err := r.mirrorOf(l, st)
	if err != nil {
		return reading{err: err}
	}
	c := newClient(m.link)
	defer c.close()
	got := fetch(ctx, c, m.agent, m.node)
	got.source = source(m.agent) + " on " + m.link.Host().Name
	if got.err != nil {
		got.err = fmt.Errorf("%s: %w", got.source, got.err)
	}
	return got
}

// mirrorOf finds the parent of the host at the other end of a link, and notes
// where there is none yet.
func (r *Reader) mirrorOf(l link.Link, st fleet.State) (mirror, error) {
	r.meet(l, st)
	id := l.Host().ID
	r.mu.Lock()
	names := r.host(id).names
	r.mu.Unlock()
	m, err := r.parent(id, names)
	r.mu.Lock()
	r.host(id).orphan = errors.Is(err, errNoParent)
	r.mu.Unlock()
	return m, err
}

// check refuses a row of another machine with the same name: one that has not
// the same memory, or, where several hosts of the fleet have that name, does
// not run for as long.
func (r *Reader) check(l link.Link, st fleet.State, got reading) reading {
	if got.err != nil || !st.Proc.Current() {
		return got
	}
	proc := st.Proc.Value
	if mem, ok := got.row.memory(); ok && proc.Memory.Total > 0 {
		if ratio := float64(mem.Total) / float64(proc.Memory.Total); ratio < 0.9 || ratio > 1.1 {
			return reading{err: fmt.Errorf("%s tells of another machine with that name: its memory is %d MiB, the host's is %d MiB",
				got.source, mem.Total/mib, proc.Memory.Total/mib)}
		}
	}
	if !r.shared(l.Host().ID) {
		return got
	}
	up, ok := got.row.uptime()
	if !ok || math.Abs(up.Seconds()-float64(proc.After.Uptime)) > (5*time.Minute).Seconds() {
		return reading{err: fmt.Errorf("%s cannot tell this host from another of the fleet with the same name", got.source)}
	}
	return got
}

// shared tells whether another host of the fleet calls itself the same.
func (r *Reader) shared(id fleet.HostID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := r.host(id).names
	for other, m := range r.hosts {
		if other != id && len(m.names) > 0 && len(mine) > 0 && called(m.names[0], mine[:1]) {
			return true
		}
	}
	return false
}
