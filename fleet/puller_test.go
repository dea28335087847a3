package fleet

import (
	"testing"
	"time"
)

func TestPullers(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	units := []Unit{
		{Name: "comin.service", Active: "active", Started: now.Add(-time.Hour)}, {Name: "nixos-upgrade.service", Active: "failed", Result: "exit-code"},
	}
	timers := []Timer{{Name: "nixos-upgrade.timer", Next: now.Add(time.Hour), Last: now.Add(-23 * time.Hour)}}
	var s State
	if s.Pullers() != nil || s.PullPaused() {
		t.Error("a host of which nothing is known deploys to itself")
	}
	s.Units, s.Timers = Known(units, now, "probe"), Known(timers, now, "probe")
	got := s.Pullers()
	want := []Puller{{Unit: "comin.service", Since: now.Add(-time.Hour)}, {Unit: "nixos-upgrade.timer", Last: now.Add(-23 * time.Hour), Result: "exit-code"}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v", got)
	}
	units[0].Active, timers[0].Next = "inactive", time.Time{}
	s.Inventory = Known(Inventory{Files: []string{PausedFile}}, now, "probe")
	if s.Pullers() != nil || !s.PullPaused() {
		t.Errorf("stopped: %+v, paused %v", s.Pullers(), s.PullPaused())
	}
}

// TestWhatAPullerDid is told with its time, as far as it is known.
func TestWhatAPullerDid(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	when := func(t time.Time) string { return t.Format("15:04") }
	const commit = "4f2a9c1e77aabbccddeeff00112233445566aabb"
	for _, c := range []struct {
		last   *Pulled
		result string
		failed bool
		want   string
	}{
		{nil, "", false, "runs since 11:00, its last run is not known"},
		{&Pulled{Began: at, Ended: at.Add(time.Minute), Commit: commit}, "success", false, "last run of 4f2a9c1e 12:00"},
		{&Pulled{Began: at, Commit: commit}, "running", false, "a run of 4f2a9c1e began 12:00"},
		{&Pulled{Began: at, Ended: at.Add(time.Minute), Err: "exit status 4"}, "failed", true, "last run failed 12:00: exit status 4"},
	} {
		var s State
		s.Units = Known([]Unit{{Name: "comin.service", Active: "active", Started: at.Add(-time.Hour)}}, at, "probe")
		s.Inventory = Known(Inventory{Pulled: c.last}, at, "probe")
		p := s.Pullers()[0]
		if p.Result != c.result || p.Failed() != c.failed || p.Tell(when) != c.want {
			t.Errorf("%+v: %q", p, p.Tell(when))
		}
	}
	for _, c := range []struct {
		p    Puller
		want string
	}{
		{Puller{}, "has not run yet"},
		{Puller{Last: at, Result: "success"}, "last run 12:00"},
		{Puller{Last: at, Result: "exit-code"}, "last run exit-code 12:00"},
	} {
		if got := c.p.Tell(when); got != c.want {
			t.Errorf("%+v: %q", c.p, got)
		}
	}
}
