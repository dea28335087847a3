package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// How long what was found out holds, and how long Netdata is waited for.
const (
	findAgain = time.Minute     // nodes of a Netdata, and whether a host has one
	grace     = 1 * time.Second // after the probe has ended, at least
)

// Reader reads the hosts of one fleet. It is shared by all of them, because a
// host that streams to a parent keeps no data of its own: the Reader learns
// from each Netdata which hosts it mirrors. It is safe for concurrent use.
type Reader struct {
	now func() time.Time

	mu    sync.Mutex
	hosts map[fleet.HostID]*memory
}

// memory is what the Reader knows of one host from earlier reads.
type memory struct {
	link     link.Link
	names    []string // what it is called, its own host name first
	agent    *agent   // the Netdata on it
	found    time.Time
	failed   error // why there is none that answers, for findAgain after failedAt
	failedAt time.Time
	proc     fleet.Proc // previous reading, for rates
	orphan   bool       // its last read found no Netdata that has it
}

// New makes a Reader that knows nothing yet.
func New() *Reader { return &Reader{now: time.Now, hosts: map[fleet.HostID]*memory{}} }

// Forget drops what is known of a host that left the fleet.
func (r *Reader) Forget(id fleet.HostID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.hosts, id)
}

// Due tells whether reading the host again would tell more: when it was read
// last, no Netdata of the fleet was known to have it, and now one is.
func (r *Reader) Due(id fleet.HostID) bool {
	r.mu.Lock()
	m := r.hosts[id]
	due := m != nil && m.orphan
	var names []string
	if due {
		names = m.names
	}
	r.mu.Unlock()
	if !due {
		return false
	}
	_, err := r.parent(id, names)
	return err == nil
}

// reading is what a Netdata told of one host.
type reading struct {
	row    row
	age    time.Duration // of the row, by Netdata's clock
	alarms []fleet.Alarm
	quiet  error  // why there are no alarms
	source string // "netdata v1.37.1", "netdata v1.37.1 on storage"
	err    error  // why there is nothing at all
}

// Read tells how busy a host is and which alarms its monitoring raises.
//
// Netdata is asked at once, while the probe runs; probed waits for what the
// probe found. A Netdata that is later than the probe by more than the probe
// itself took (and a second) is not waited for. The first answer is never
// delayed for a parent that the Reader does not know yet: then /proc tells, and
// [Reader.Due] says when reading again would tell more.
func (r *Reader) Read(ctx context.Context, l link.Link, probed func(context.Context) (fleet.State, error)) (fleet.Fact[fleet.Metrics], fleet.Fact[[]fleet.Alarm]) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := r.now()
	states := make(chan fleet.State, 1)
	readings := make(chan reading, 1)
	go func() { readings <- r.netdata(ctx, l, states) }()

	st, err := probed(ctx)
	if err != nil {
		if !st.System.Asked() {
			st.System = fleet.Unknown[fleet.System](err, r.now(), "probe")
		}
		if !st.Proc.Asked() {
			st.Proc = fleet.Unknown[fleet.Proc](err, r.now(), "probe")
		}
	}
	r.meet(l, st)
	states <- st
	var got reading
	wait := time.NewTimer(max(grace, r.now().Sub(began)))
	defer wait.Stop()
	select {
	case got = <-readings:
	case <-wait.C:
		got.err = fmt.Errorf("netdata on %s: no answer in time", l.Host().Name)
		r.fail(l, got.err)
	case <-ctx.Done():
		got.err = context.Cause(ctx)
	}
	if errors.Is(got.err, link.ErrForbidden) && st.Inventory.Current() && !slices.Contains(st.Inventory.Value.Ports, port) {
		got.err = fmt.Errorf("%w on %s", errNone, l.Host().Name) // we may not look, but the probe did
	}
	return r.metrics(l, st, got), r.alarms(st, got)
}

// meet notes the link to a host and what it is called.
func (r *Reader) meet(l link.Link, st fleet.State) {
	h := l.Host()
	names := append([]string{h.Name}, h.Aliases...)
	if st.System.HasValue() && st.System.Value.Hostname != "" {
		names = append([]string{st.System.Value.Hostname}, names...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.host(h.ID)
	m.link = l
	if st.System.HasValue() || m.names == nil {
		m.names = names
	}
}

// host gives the memory of a host. It is called with the lock held.
func (r *Reader) host(id fleet.HostID) *memory {
	m := r.hosts[id]
	if m == nil {
		m = &memory{}
		r.hosts[id] = m
	}
	return m
}

// netdata asks the Netdata on the host, else the parent that has it. What the
// probe found arrives on states.
func (r *Reader) netdata(ctx context.Context, l link.Link, states <-chan fleet.State) reading {
	local := r.local(ctx, l)
	if local.err == nil || ctx.Err() != nil {
		return local
	}
	through := r.ask(ctx, l, fleet.State{})
	var st fleet.State
	select { // the probe tells whether it is the same machine
	case st = <-states:
	case <-ctx.Done():
		return reading{err: context.Cause(ctx)}
	}
	if errors.Is(through.err, errNoParent) { // it may be known there by the name it has for itself
		through = r.ask(ctx, l, st)
	}
	through = r.check(l, st, through)
	switch {
	case through.err == nil:
		return through
	case errors.Is(local.err, errNone) && !errors.Is(through.err, errNoParent):
		return through
	}
	return local
}

// metrics joins what Netdata and the kernel told. Disks are the kernel's.
func (r *Reader) metrics(l link.Link, st fleet.State, got reading) fleet.Fact[fleet.Metrics] {
	m, known := fleet.Metrics{CPU: -1}, st.Proc.Current()
	if known {
		m = FromProc(r.previous(l.Host().ID, st.Proc.Value), st.Proc.Value)
	}
	switch {
	case got.err == nil:
		got.row.overlay(&m)
		return fleet.Known(m, r.now().Add(-got.age), got.source)
	case known:
		return fleet.Known(m, st.Proc.At, "/proc")
	case st.Proc.Err != "":
		return fleet.Unknown[fleet.Metrics](fmt.Errorf("%w; /proc: %s", got.err, st.Proc.Err), r.now(), "netdata, /proc")
	}
	return fleet.Unknown[fleet.Metrics](got.err, r.now(), "netdata")
}

// previous exchanges the last reading of the counters for a new one.
func (r *Reader) previous(id fleet.HostID, cur fleet.Proc) fleet.Proc {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.host(id)
	prev := m.proc
	if cur.After.Uptime != prev.After.Uptime { // asked twice about the same reading
		m.proc = cur
	}
	return prev
}

// alarms says what is raised, or why that is not known.
func (r *Reader) alarms(st fleet.State, got reading) fleet.Fact[[]fleet.Alarm] {
	now := r.now()
	switch {
	case got.err == nil && got.quiet == nil:
		return fleet.Known(got.alarms, now, got.source)
	case errors.Is(got.quiet, errSilent):
		return fleet.Nothing[[]fleet.Alarm](got.source+" raises no alarms: its health checks are off", now, got.source)
	case got.err == nil:
		return fleet.Unknown[[]fleet.Alarm](got.quiet, now, got.source)
	case !errors.Is(got.err, errNone):
		return fleet.Unknown[[]fleet.Alarm](got.err, now, "netdata")
	case runs(st, "netdata.service"):
		return fleet.Unknown[[]fleet.Alarm](errors.New("netdata runs there without a web server, and no Netdata of the fleet is known to have its data"), now, "netdata")
	}
	return fleet.Nothing[[]fleet.Alarm]("no monitoring: "+got.err.Error()+", and no Netdata of the fleet has its data", now, "netdata")
}

// runs tells whether a unit was seen to be active.
func runs(st fleet.State, unit string) bool {
	return slices.ContainsFunc(st.Units.Value, func(u fleet.Unit) bool { return u.Name == unit && u.User == "" && u.Active == "active" })
}

// called tells whether a name that Netdata has for a machine is one of these:
// as a whole, or what stands before the first dot.
func called(name string, names []string) bool {
	return name != "" && slices.ContainsFunc(names, func(n string) bool {
		return strings.EqualFold(name, n) || n != "" && strings.EqualFold(short(name), short(n))
	})
}

// short is a host name without its domain.
func short(name string) string {
	s, _, _ := strings.Cut(name, ".")
	return cmp.Or(s, name)
}
