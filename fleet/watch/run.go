package watch

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// watched is one host under watch.
type watched struct {
	id    fleet.HostID
	stop  context.CancelFunc
	wake  chan struct{}        // ask everything now
	asked map[string]time.Time // when each collector was last asked
	fails map[string]int       // how often each has failed since it last did not
	again chan string          // ask this collector now
	busy  map[string]bool      // what is slow and being read
	lives map[string]*running
	away  bool           // the tailnet said that it is off
	plain bool           // its last round was without root
	work  sync.WaitGroup // all that is done with it
}

// run does something with a host, which ends before what is kept of it is dropped.
func (w *Watcher) run(h *watched, do func()) {
	h.work.Add(1)
	w.wg.Go(func() {
		defer h.work.Done()
		do()
	})
}

// running is a Live that is open, or waiting to be opened again.
type running struct {
	key      string
	stop     context.CancelFunc
	unwanted atomic.Bool // it was stopped because nobody wants it any more
}

// Run watches every host of the store, those that come later too, until ctx
// ends and everything it started has ended.
func (w *Watcher) Run(ctx context.Context) {
	notices, unsubscribe := w.Store.Subscribe()
	defer unsubscribe()
	w.mu.Lock()
	w.ctx, w.hosts = ctx, map[fleet.HostID]*watched{}
	w.mu.Unlock()
	for {
		w.follow(w.Store.Snapshot())
		select {
		case <-ctx.Done():
			w.mu.Lock()
			w.hosts = nil // from here on nothing is started any more
			w.mu.Unlock()
			w.wg.Wait()
			return
		case <-notices:
		}
		select { // several changes at once are one
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// follow starts watching hosts that came, stops for those that left, and opens
// and closes what is live.
func (w *Watcher) follow(snap fleet.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts == nil {
		return
	}
	here := map[fleet.HostID]bool{}
	for _, st := range snap.Hosts {
		here[st.Host.ID] = true
		h := w.hosts[st.Host.ID]
		if h == nil {
			h = &watched{
				id: st.Host.ID, wake: make(chan struct{}, 1), again: make(chan string, 8),
				asked: map[string]time.Time{}, fails: map[string]int{}, busy: map[string]bool{}, lives: map[string]*running{},
			}
			ctx, cancel := context.WithCancel(w.ctx)
			h.stop = cancel
			w.hosts[h.id] = h
			w.run(h, func() { w.loop(ctx, h) })
		}
		away := st.Host.Offline()
		if h.away && !away {
			h.nudge() // it is back
		}
		h.away = away
		w.followLives(h, st)
	}
	for id, h := range w.hosts {
		if !here[id] {
			h.stop()
			for _, r := range h.lives {
				r.stop()
			}
			delete(w.hosts, id)
			w.Links.Forget(id)
			w.wg.Go(func() { w.left(h) })
		}
	}
}

// left tells of a host that has left, once nothing is asked of it any more,
// unless it is back by then.
func (w *Watcher) left(h *watched) {
	h.work.Wait()
	if w.Left == nil {
		return
	}
	w.mu.Lock()
	_, back := w.hosts[h.id]
	w.mu.Unlock()
	if !back {
		w.Left(h.id)
	}
}

// followLives opens and closes what is live on one host.
func (w *Watcher) followLives(h *watched, st fleet.State) {
	for _, lv := range w.Lives {
		key, want := lv.Wanted(w.focus, st)
		want = want && st.Reach.Current()
		r := h.lives[lv.Name]
		if r != nil && (!want || r.key != key) {
			r.unwanted.Store(!want)
			r.stop()
			delete(h.lives, lv.Name)
			r = nil
		}
		if r == nil && want {
			ctx, cancel := context.WithCancel(w.ctx)
			r = &running{key: key, stop: cancel}
			h.lives[lv.Name] = r
			host, focus := st.Host, w.focus
			w.run(h, func() {
				if w.keepOpen(ctx, lv, h, host, focus); r.unwanted.Load() && lv.Closed != nil {
					w.Store.Update(host.ID, lv.Closed)
				}
			})
		}
	}
}

// keepOpen opens a Live again when it breaks, with growing pauses.
func (w *Watcher) keepOpen(ctx context.Context, lv Live, h *watched, host fleet.Host, focus fleet.Focus) {
	put := func(c Change) { w.Store.Update(host.ID, c) }
	again := func(name string) {
		select {
		case h.again <- name:
		default: // enough waits already
		}
	}
	reopen := w.at().reopen
	for pause := reopen; ; pause = min(2*pause, 60*reopen) {
		began := time.Now()
		_ = lv.Run(ctx, w.Links.Open(host), focus, put, again) // its facts say what is wrong; here it is only tried again
		if time.Since(began) > 60*reopen {
			pause = reopen
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// loop asks one host again and again.
func (w *Watcher) loop(ctx context.Context, h *watched) {
	failures := 0
	for ctx.Err() == nil {
		st, ok := w.Store.Get(h.id)
		if !ok { // gone, and follow will end this; or back before follow could look
			select {
			case <-ctx.Done():
			case <-time.After(w.at().tick):
			}
			continue
		}
		if err := w.round(ctx, st.Host, w.turn(ctx, h)); err != nil {
			failures++
		} else {
			failures = 0
			w.noticeRoot(h)
		}
		if !w.sleep(ctx, h, failures) {
			return
		}
	}
}

// noticeRoot has a host asked everything again once there is a way to root where there
// was none: a person has given sudo's password for something else, and what was not
// root's to see before would stay unknown until its turn.
func (w *Watcher) noticeRoot(h *watched) {
	st, _ := w.Store.Get(h.id)
	if !st.Reach.Current() {
		return
	}
	plain := st.Reach.Value.Root == ""
	if h.plain && !plain {
		h.nudge()
	}
	h.plain = plain
}

// turn is what is asked of a host in its turn: the collectors whose facts are
// too old, which count as asked from now on. What is slow goes on beside the
// rounds, once at a time.
func (w *Watcher) turn(ctx context.Context, h *watched) asking {
	now, looked := time.Now(), w.looked(h.id)
	st, _ := w.Store.Get(h.id)
	return asking{due: func(c Collector) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		every := c.Every
		if looked && c.Looked > 0 {
			every = c.Looked
		}
		n := h.fails[c.Name]
		if n == 0 && c.Failed != nil && c.Failed(st) {
			n = 1 // it is unknown since the host was lost
		}
		if n > 0 {
			every = min(every, back(cmp.Or(c.Again, w.paces.backMin), n))
		}
		if last, ok := h.asked[c.Name]; ok && now.Sub(last) < every || h.busy[c.Name] {
			return false
		}
		h.asked[c.Name] = now
		return true
	}, slowly: func(c Collector, read func()) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.hosts == nil || ctx.Err() != nil {
			return
		}
		h.busy[c.Name] = true
		w.run(h, func() {
			defer func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				delete(h.busy, c.Name)
			}()
			read()
		})
	}, ended: func(c Collector, failed bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if failed {
			h.fails[c.Name]++
			if _, ok := h.asked[c.Name]; ok { // else somebody wants all asked again meanwhile
				h.asked[c.Name] = time.Now() // the pause begins with the end of what may have taken long
			}
		} else {
			delete(h.fails, c.Name)
		}
	}}
}

// back is how long to wait after so many failures in a row.
func back(shortest time.Duration, failures int) time.Duration {
	return shortest << min(failures-1, 12)
}

// sleep waits until the host's next turn. Between turns it asks the collectors
// that were named; false: the watch is over.
func (w *Watcher) sleep(ctx context.Context, h *watched, failures int) bool {
	began := time.Now()
	for {
		pause := w.pace(h.id, failures) - time.Since(began)
		select {
		case <-ctx.Done():
			return false
		case <-h.wake:
			w.mu.Lock()
			clear(h.asked)
			w.mu.Unlock()
			return true
		case name := <-h.again:
			w.askAgain(ctx, h.id, name)
		case <-time.After(min(max(0, pause), w.at().tick)): // who looks where may change meanwhile
			if pause <= 0 {
				return true
			}
			w.askDue(ctx, h.id)
		}
	}
}

// pace is how long a host rests after a round.
func (w *Watcher) pace(id fleet.HostID, failures int) time.Duration {
	at := w.at()
	w.mu.Lock()
	focus := w.focus
	w.mu.Unlock()
	st, _ := w.Store.Get(id)
	looked := focus.Host == id && !focus.Idle
	switch {
	case failures > 0:
		if st.Host.Offline() && !looked {
			return at.offline
		}
		wait := min(back(at.backMin, failures), at.backMax)
		if looked {
			wait = min(wait, at.others) // a person waits for it
		}
		return wait + rand.N(wait/4) // thirty hosts behind one router do not all knock together
	case looked:
		return at.looked
	case focus.Idle:
		return at.idle
	}
	return at.others
}

func (w *Watcher) looked(id fleet.HostID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.focus.Host == id && !w.focus.Idle
}

// Look says what a person is looking at.
func (w *Watcher) Look(f fleet.Focus) {
	w.mu.Lock()
	w.focus = f
	w.mu.Unlock()
	w.follow(w.Store.Snapshot())
}

// Refresh asks a host everything at once, or every host where id is empty.
// What a person had refused to answer may be asked again.
func (w *Watcher) Refresh(id fleet.HostID) {
	w.Links.Forgive()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		if id == "" || h.id == id {
			h.nudge()
		}
	}
}

func (h *watched) nudge() {
	select {
	case h.wake <- struct{}{}:
	default: // it is awake already
	}
}
