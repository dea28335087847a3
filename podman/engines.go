package podman

import (
	"context"
	"slices"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Engines are the container engines of one host: Podman's, root's and the
// users', and Docker's. It is safe for concurrent use.
type Engines struct {
	link    link.Link
	life    context.Context
	end     context.CancelFunc
	streams chan struct{} // places for streams through commands

	mu      sync.Mutex
	root    *engine            // root's Podman, asked before anything is known
	noRoot  bool               // a probe, of this run or one before, saw no socket of it
	byPath  map[string]*engine // the others the probe saw, by socket
	present []*engine          // those the last Read asked
	changed chan struct{}      // closed and renewed when present changes

	begun    bool    // something was read
	expected []place // that the first Read asks before the probe is done

	state    fleet.State // what the last Read had from the probe
	probeErr error
}

// rootSocket is where root's Podman listens.
const rootSocket = "/run/podman/podman.sock"

// maxStreams is how many streams may run through commands on a host: sshd
// gives a connection 10 sessions, which commands need too.
const maxStreams = 3

// New makes the engines of the host at the other end of l. Nothing is asked yet.
func New(l link.Link) *Engines {
	e := &Engines{
		link: l, streams: make(chan struct{}, maxStreams),
		byPath: map[string]*engine{}, changed: make(chan struct{}),
	}
	e.life, e.end = context.WithCancel(context.Background())
	e.root = e.engine(place{kind: kindPodman, user: rootUser, path: rootSocket})
	return e
}

// Expect tells what an earlier run knew of the host: the first Read asks the Podmans
// that have to be started without waiting for the probe, and looks for root's before
// that only where one was or may be, for where a command stands between that is a whole
// session. What it knew wrong costs a question. Later calls do nothing.
func (e *Engines) Expect(before fleet.State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun || !before.Inventory.HasValue() {
		return
	}
	at := places(before)
	e.noRoot = !slices.ContainsFunc(at, func(p place) bool { return p.path == rootSocket }) && !hidden(before)
	e.expected = slices.DeleteFunc(at, func(p place) bool { return p.lent == nil })
}

func (e *Engines) engine(at place) *engine {
	return &engine{link: e.link, streams: e.streams, life: e.life, turn: make(chan struct{}, 1), at: at}
}

// Close ends what runs and closes the connections to the engines, not the link.
func (e *Engines) Close() error {
	e.end()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.root.disconnect()
	for _, eng := range e.byPath {
		eng.disconnect()
	}
	return nil
}

// bound gives a context that also ends when e is closed.
func (e *Engines) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// meet takes over the sockets the probe saw and gives the engines behind
// them, root's Podman not among them.
func (e *Engines) meet(at []place) []*engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh := map[string]*engine{}
	var out []*engine
	for _, p := range at {
		if p.path == rootSocket {
			e.root.move(p)
			e.noRoot = false
			continue
		}
		eng := e.byPath[p.path]
		if eng == nil {
			eng = e.engine(p)
		}
		eng.move(p)
		fresh[p.path] = eng
		out = append(out, eng)
	}
	for path, eng := range e.byPath {
		if fresh[path] == nil {
			eng.disconnect()
		}
	}
	e.byPath = fresh
	return out
}

// met are the engines of the last meet, for when there is no new probe.
func (e *Engines) met() []*engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*engine
	for _, eng := range e.byPath {
		out = append(out, eng)
	}
	return out
}

// keep keeps which engines there are and what the probe told, and wakes who
// watches others.
func (e *Engines) keep(all []reading, state fleet.State, probeErr error) {
	now := make([]*engine, len(all))
	for i, r := range all {
		now[i] = r.engine
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state, e.probeErr = fleet.State{System: state.System, Inventory: state.Inventory, Reach: state.Reach}, probeErr
	same := len(now) == len(e.present)
	for _, eng := range now {
		same = same && slices.Contains(e.present, eng)
	}
	if e.present = now; !same {
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

// there are the engines that the last Read asked, and a channel that is closed
// when there are others.
func (e *Engines) there() ([]*engine, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.present), e.changed
}
