// Package watch keeps the store fresh: it decides which host is asked what,
// when, and how often. What can be asked are values handed to it; it knows no
// Podman, no NixOS and no screens.
package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Change is what a collector learnt, put into a state.
type Change func(*fleet.State)

// Ask is one host while it is being asked.
type Ask struct {
	Link  link.Link
	Known fleet.State // of the host when it was reached, remembered facts among it
	// Probed waits until the host's probe of this round is done and gives the
	// state with what it told.
	Probed func(context.Context) (fleet.State, error)
}

// Collector reads one kind of knowledge of a host.
type Collector struct {
	Name    string
	Every   time.Duration // how old its facts may get on a host nobody looks at
	Looked  time.Duration // and on the one on the screen; 0: as Every
	Timeout time.Duration // 0: 30 s
	Slow    bool          // not waited for before a host counts as known
	// Read asks; it gives a change, with the reason where it failed, or nil where
	// the probe failed and has said why.
	Read func(ctx context.Context, a Ask) Change
	// Failed tells of a host's state whether what Read tells could not be read: it
	// is then asked again with growing pauses, and not only after Every. May be nil.
	Failed func(fleet.State) bool
	Again  time.Duration // the first of these pauses; 0: as after a host that was not reached
}

// Live is something that stays open to a host for as long as it is wanted.
type Live struct {
	Name string
	// Wanted tells whether it should be open, and gives a key: when the key
	// changes, it is closed and opened again.
	Wanted func(fleet.Focus, fleet.State) (key string, ok bool)
	// Run blocks until its end; put changes the host's state, again asks the
	// named collector at once.
	Run func(ctx context.Context, l link.Link, focus fleet.Focus, put func(Change), again func(collector string)) error
	// Closed is put into the host's state once nobody wants it any more, and not
	// where it is only opened again with another key. May be nil.
	Closed Change
}

// Watcher keeps the states in a store fresh.
type Watcher struct {
	Store *fleet.Store
	Links *link.Dialer
	// Probe is asked first in every round; its error means nothing was learnt.
	Probe      func(context.Context, link.Link) (Change, error)
	Collectors []Collector
	Lives      []Live
	// Due names a collector that would tell more of a host if it were asked
	// again, because of what another host has told meanwhile; "" none. May be nil.
	Due func(fleet.HostID) string
	// Left is called once for a host that has left the fleet, when nothing is
	// asked of it any more: what is kept of it can be dropped. May be nil.
	Left func(fleet.HostID)

	mu    sync.Mutex
	paces paces
	focus fleet.Focus
	hosts map[fleet.HostID]*watched // nil: Run does not run
	ctx   context.Context           // of Run
	wg    sync.WaitGroup
}

// paces are how often hosts are asked, and how long that may take.
type paces struct {
	looked  time.Duration // the host on the screen
	others  time.Duration
	idle    time.Duration // nobody looks at the screen
	offline time.Duration // the tailnet says that it is off: told at once when it comes back
	backMin time.Duration // after a failure, doubled with each further one
	backMax time.Duration
	round   time.Duration // a round may take so long, without what is slow
	tick    time.Duration // who looks where is noticed within this time
	reopen  time.Duration // a Live that broke is opened again, doubled with each further time
}

// usual are the paces outside tests.
var usual = paces{
	looked: 5 * time.Second, others: 30 * time.Second, idle: 2 * time.Minute, offline: 5 * time.Minute,
	backMin: 3 * time.Second, backMax: 2 * time.Minute, round: 90 * time.Second, tick: time.Second, reopen: time.Second,
}

// at gives the paces.
func (w *Watcher) at() paces {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paces == (paces{}) {
		w.paces = usual
	}
	return w.paces
}

// Once asks the hosts everything once, all at the same time, and returns when
// all have answered, failed, or ctx has ended. With slow, also what is slow.
func (w *Watcher) Once(ctx context.Context, hosts []fleet.Host, slow bool) {
	var wg sync.WaitGroup
	ask := asking{due: func(c Collector) bool { return slow || !c.Slow }, slowly: func(_ Collector, read func()) { wg.Go(read) }}
	for _, h := range hosts {
		wg.Go(func() { _ = w.round(ctx, h, ask) }) // what failed is in the store
	}
	wg.Wait()
	for _, h := range hosts {
		wg.Go(func() { w.askDue(ctx, h.ID) })
	}
	wg.Wait()
}

// askDue asks what another host's answer has made worth asking again.
func (w *Watcher) askDue(ctx context.Context, id fleet.HostID) {
	if w.Due == nil {
		return
	}
	if name := w.Due(id); name != "" {
		w.askAgain(ctx, id, name)
	}
}

// askAgain asks one collector outside its turn.
func (w *Watcher) askAgain(ctx context.Context, id fleet.HostID, name string) {
	i := slices.IndexFunc(w.Collectors, func(c Collector) bool { return c.Name == name })
	st, ok := w.Store.Get(id)
	if i < 0 || !ok || !st.Reach.Current() {
		return
	}
	probed := newFuture()
	probed.set(st, nil)
	w.collect(ctx, w.Collectors[i], st.Host, w.Links.Open(st.Host), probed)
}

// asking is what is asked in a round.
type asking struct {
	due func(Collector) bool
	// slowly has something slow read, in its own time: the round ends without it.
	slowly func(c Collector, read func())
	// ended is told how what was due has ended. May be nil.
	ended func(c Collector, failed bool)
}

// round asks one host: the connection, then everything that is due, at once.
func (w *Watcher) round(ctx context.Context, h fleet.Host, ask asking) error {
	all := ctx // of what is slow: it has limits of its own
	ctx, cancel := context.WithTimeoutCause(ctx, w.at().round, errors.New("asking the host took too long"))
	defer cancel()
	w.Store.Update(h.ID, func(s *fleet.State) { s.Asking = true })
	defer w.Store.Update(h.ID, func(s *fleet.State) { s.Asking = false })
	l := w.Links.Open(h)
	reach, err := l.Connect(ctx)
	if err != nil {
		w.lost(ctx, h, err)
		return err
	}
	w.reached(h, reach)
	probed := newFuture()
	read := func(ctx context.Context, c Collector) {
		failed := w.collect(ctx, c, h, l, probed)
		if ask.ended != nil {
			ask.ended(c, failed)
		}
	}
	var wg sync.WaitGroup
	for _, c := range w.Collectors {
		switch {
		case !ask.due(c):
		case c.Slow:
			ask.slowly(c, func() { read(all, c) })
		default:
			wg.Go(func() { read(ctx, c) })
		}
	}
	err = w.probe(ctx, h, l)
	st, _ := w.Store.Get(h.ID)
	probed.set(st, err)
	wg.Wait()
	if reach, cerr := l.Connect(ctx); cerr == nil {
		w.reached(h, reach) // with the latency and the way to root, known by now
	}
	return err
}

// dropped tells whether nobody wants to know any more: the watch has ended, or
// the host has left. What fails then says nothing about the host.
func dropped(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

func (w *Watcher) reached(h fleet.Host, r fleet.Reach) {
	now := time.Now()
	source := "ssh"
	if h.Local {
		source = "this machine"
	}
	w.Store.Update(h.ID, func(s *fleet.State) { s.Reach = fleet.Known(r, now, source) })
}

func (w *Watcher) lost(ctx context.Context, h fleet.Host, err error) {
	if dropped(ctx) {
		return
	}
	now := time.Now()
	before, _ := w.Store.Get(h.ID)
	if before.Reach.Err != err.Error() {
		w.Store.Note(fleet.Message{At: now, Level: fleet.Warn, Host: h.Name, Text: "not reachable: " + fleet.InFull(err)})
	}
	w.Store.Update(h.ID, func(s *fleet.State) { *s = s.Lost(err, now) })
}

func (w *Watcher) probe(ctx context.Context, h fleet.Host, l link.Link) error {
	change, err := w.Probe(ctx, l)
	if err != nil {
		w.unprobed(ctx, h, err)
		return fmt.Errorf("asking %s what it is: %w", h.Name, err)
	}
	w.Store.Update(h.ID, change)
	return nil
}

func (w *Watcher) unprobed(ctx context.Context, h fleet.Host, err error) {
	if dropped(ctx) {
		return
	}
	now := time.Now()
	before, _ := w.Store.Get(h.ID)
	if before.System.Err != err.Error() {
		w.Store.Note(fleet.Message{At: now, Level: fleet.Warn, Host: h.Name, Text: "probe: " + fleet.InFull(err)})
	}
	w.Store.Update(h.ID, func(s *fleet.State) { s.Unprobed(err, now) })
}

// collect asks one collector, and tells whether that failed.
func (w *Watcher) collect(ctx context.Context, c Collector, h fleet.Host, l link.Link, probed *future) (failed bool) {
	limit := c.Timeout
	if limit == 0 {
		limit = 30 * time.Second
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	known, _ := w.Store.Get(h.ID)
	change := c.Read(limited, Ask{Link: l, Known: known, Probed: probed.wait})
	switch {
	case dropped(ctx):
		return false
	case change == nil:
		return true
	}
	w.Store.Update(h.ID, change)
	st, _ := w.Store.Get(h.ID)
	return c.Failed != nil && c.Failed(st)
}

// future is a value that comes later.
type future struct {
	done  chan struct{}
	state fleet.State
	err   error
}

func newFuture() *future { return &future{done: make(chan struct{})} }

func (f *future) set(s fleet.State, err error) {
	f.state, f.err = s, err
	close(f.done)
}

func (f *future) wait(ctx context.Context) (fleet.State, error) {
	select {
	case <-f.done:
		return f.state, f.err
	case <-ctx.Done():
		return fleet.State{}, context.Cause(ctx)
	}
}
