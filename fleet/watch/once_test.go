package watch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

// TestOnceWithBadHosts: it ends in time, and each host has facts or a reason.
func TestOnceWithBadHosts(t *testing.T) {
	faults := map[string]simulate.Fault{
		"cloud": {Hang: true}, "router": {Garbage: true}, "r2s": {Deaf: true}, "desktop": {WrongKey: true}, "vault": {NoLogin: true},
		"cottage": {NoExec: true}, "raspi3": {Silent: 2300}, "host-001": {Refuse: true}, "host-002": {Flood: 100 << 20}, "host-003": {Drip: time.Millisecond},
	}
	s := newScene(t, simulate.Options{Hosts: 14, Faults: faults})
	watch.RoundLimit(s.Watcher, 10*time.Second) // those that are well log in beside a flood
	began := time.Now()
	s.Once(context.Background(), s.Hosts(), true)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	for _, st := range s.Store.Snapshot().Hosts {
		_, bad := faults[st.Host.Name]
		if st.Host.Name == "laptop" || st.Host.Name == "host-003" {
			bad = !bad
		}
		if bad == st.Metrics.Current() {
			t.Errorf("%s: metrics %+v, reach %+v", st.Host.Name, st.Metrics, st.Reach)
		}
		if bad && st.Reach.Err == "" && st.System.Err == "" {
			t.Errorf("%s: no reason", st.Host.Name)
		}
		if st.Asking {
			t.Errorf("%s is still being asked", st.Host.Name)
		}
		if problems := st.Problems(time.Now()); bad && !st.Sleeps() && len(problems) == 0 {
			t.Errorf("%s has no problem", st.Host.Name)
		}
	}
}

func TestOnceEndsWithItsContext(t *testing.T) {
	s := newScene(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {Deaf: true}}})
	ctx, cancel := context.WithTimeoutCause(context.Background(), 300*time.Millisecond, errors.New("enough waited"))
	defer cancel()
	began := time.Now()
	s.Once(ctx, s.Hosts(), true)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if st := s.state("cloud"); st.System.Err == "" {
		t.Errorf("no reason: %+v", st.System)
	}
}

func TestOnceAsksWhatIsSlowOnlyWhenTold(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 1})
	s.Collectors = append(s.Collectors, watch.Collector{Name: "backups", Slow: true, Read: func(ctx context.Context, a watch.Ask) watch.Change {
		s.count("backups", a.Link)
		time.Sleep(50 * time.Millisecond)
		return func(st *fleet.State) { st.Backups = fleet.Known([]fleet.BackupJob{}, time.Now(), "units") }
	}})
	s.Once(context.Background(), s.Hosts(), false)
	if n := s.times("backups storage"); n != 0 {
		t.Errorf("asked %d times", n)
	}
	s.Once(context.Background(), s.Hosts(), true)
	if n := s.times("backups storage"); n != 1 || !s.state("storage").Backups.Current() {
		t.Errorf("asked %d times", n)
	}
}

// TestDue: what another host told makes one worth asking again.
func TestDue(t *testing.T) {
	s := newScene(t, simulate.Options{Hosts: 2})
	s.Due = func(id fleet.HostID) string {
		return map[fleet.HostID]string{s.Host("cloud").ID: "metrics"}[id]
	}
	s.Once(context.Background(), s.Hosts(), true)
	if n, m := s.times("metrics cloud"), s.times("metrics storage"); n != 2 || m != 1 {
		t.Errorf("asked %d and %d times", n, m)
	}
}
