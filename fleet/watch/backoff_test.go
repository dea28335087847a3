package watch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// TestWaitsGrow: a host that is never reached is tried again after 3 s, then
// after twice as long each time, up to 2 min, each with up to a quarter more.
func TestWaitsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links := &link.Dialer{SSHDir: t.TempDir()}
		defer links.Close()
		w := &watch.Watcher{Store: fleet.NewStore(), Links: links}
		host := fleet.Host{ID: "nowhere", Name: "nowhere"} // no address: it fails at once
		w.Store.SetHosts([]fleet.Host{host}, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx) }()
		tried := []time.Time{}
		for end := time.Now().Add(15 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			st, _ := w.Store.Get(host.ID)
			if at := st.Reach.ErrAt; !at.IsZero() && (len(tried) == 0 || at.After(tried[len(tried)-1])) {
				tried = append(tried, at)
			}
		}
		cancel()
		<-ended
		if len(tried) < 9 {
			t.Fatalf("tried %d times in 15 min", len(tried))
		}
		for i := range len(tried) - 1 {
			wait, want := tried[i+1].Sub(tried[i]), min(3*time.Second<<i, 2*time.Minute)
			if wait < want || wait > want+want/4+100*time.Millisecond {
				t.Errorf("wait %d was %s, want %s and up to a quarter more", i+1, wait, want)
			}
		}
		told := 0
		for _, m := range w.Store.Snapshot().Messages {
			if m.Host == host.Name {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}
