package logscreen

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// rate is a log of a number of lines a second.
type rate struct {
	size, second int
	sent         int
	began        time.Time
	still        *sync.RWMutex // held while what is kept is counted: what comes meanwhile would count, kept or not
}

func (r *rate) Next(ctx context.Context) ([]fleet.LogLine, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(5 * time.Millisecond):
	}
	r.still.RLock()
	defer r.still.RUnlock()
	var lines []fleet.LogLine
	// as a connection does it gives what has come in pieces, also where this machine was slow
	for ; r.sent < int(time.Since(r.began).Seconds()*float64(r.second)) && len(lines) < 64; r.sent++ {
		lines = append(lines, fleet.LogLine{At: time.Now(), Level: 6, ID: uint64(r.sent), Text: strings.Repeat("x", r.size)})
	}
	return lines, nil
}
func (*rate) Close() error { return nil }

type rates struct {
	fleet.Console
	size  int
	still *sync.RWMutex
}

func (r rates) Logs(context.Context, fleet.LogQuery) (fleet.LogStream, error) {
	return &rate{size: r.size, second: 1000, began: time.Now(), still: r.still}, nil
}

// heap is what is kept while no log tells anything.
func (r rates) heap() uint64 {
	r.still.Lock()
	defer r.still.Unlock()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestTenFollowers follows ten logs of a thousand lines a second each, shown by
// a screen, and by one that nobody draws for a while. Memory is bounded, and
// nothing is left behind.
func TestTenFollowers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, size := range []int{200, 16 << 10} {
		before := runtime.NumGoroutine()
		var most, came uint64
		var screens []*Screen
		logs := rates{size: size, still: &sync.RWMutex{}}
		c := &screen.Context{Console: logs}
		begin := logs.heap()
		msgs := make(chan any, 100)
		for range 10 {
			s := New(t.Context(), screen.Place{Log: []fleet.LogSource{{Unit: "a.service"}}})
			run := s.reopen(c).(screen.Run)
			go func() { msgs <- run.Cmd() }()
			screens = append(screens, s)
		}
		for began := time.Now(); time.Since(began) < 2*time.Second; {
			m := (<-msgs).(linesMsg)
			came += uint64(len(m.lines))
			for _, s := range screens {
				if s.feed == m.feed {
					next := s.came(&screen.Context{}, m).(screen.Run)
					go func() { msgs <- next.Cmd() }()
				}
			}
			if time.Since(began) > time.Second && most == 0 {
				time.Sleep(500 * time.Millisecond) // the terminal is slow
				most = logs.heap() - begin
			}
		}
		most = max(most, logs.heap()-begin)
		// Of each log what the screen keeps, and what waits to be shown.
		if limit := uint64(10 * (maxBytes + maxPending) * 3 / 2); most > limit || came < 5000 {
			t.Errorf("lines of %d bytes: %d came, %d MiB are held, the limit is %d", size, came, most>>20, limit>>20)
		}
		t.Logf("lines of %d bytes: %d came, %d MiB are held by ten screens", size, came, most>>20)
		for _, s := range screens {
			s.Close()
		}
		for i := 0; runtime.NumGoroutine() > before && i < 200; i++ {
			select {
			case <-msgs:
			case <-time.After(10 * time.Millisecond):
			}
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines before, %d after", before, n)
		}
	}
}
