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
	want := []Puller{{"comin.service", now.Add(-time.Hour), ""}, {"nixos-upgrade.timer", now.Add(-23 * time.Hour), "exit-code"}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v", got)
	}
	units[0].Active, timers[0].Next = "inactive", time.Time{}
	s.Inventory = Known(Inventory{Files: []string{PausedFile}}, now, "probe")
	if s.Pullers() != nil || !s.PullPaused() {
		t.Errorf("stopped: %+v, paused %v", s.Pullers(), s.PullPaused())
	}
}
