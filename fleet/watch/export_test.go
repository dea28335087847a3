package watch

import "time"

// Hurry makes a watcher ask as often as tests can wait for. A host that is off has its
// turn when they are over.
func Hurry(w *Watcher) {
	w.paces = paces{
		looked: 50 * time.Millisecond, others: 400 * time.Millisecond, idle: 3 * time.Second, offline: 10 * time.Minute,
		backMin: 50 * time.Millisecond, backMax: 400 * time.Millisecond, round: 5 * time.Second, tick: 10 * time.Millisecond, reopen: 50 * time.Millisecond,
	}
}

// RoundLimit sets how long a round may take.
func RoundLimit(w *Watcher, limit time.Duration) { w.paces.round = limit }

// Watching is how many hosts are watched.
func (w *Watcher) Watching() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.hosts)
}
