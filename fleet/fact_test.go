package fleet_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestFactNeverPassesForFine walks a fact through its life.
func TestFactNeverPassesForFine(t *testing.T) {
	var f fleet.Fact[int]
	if f.Asked() || f.HasValue() || f.Current() || f.Age(noon) != -1 {
		t.Errorf("a fact nobody asked for: %+v", f)
	}
	f = f.Refresh(fleet.Unknown[int](errors.New("refused"), noon, "probe"))
	if !f.Asked() || f.HasValue() || f.Current() {
		t.Errorf("a fact that could not be read: %+v", f)
	}
	f = f.Refresh(fleet.Known(7, noon, "probe"))
	if !f.Current() || f.Value != 7 || f.Err != "" {
		t.Errorf("a fact that was read: %+v", f)
	}
	f = f.Refresh(fleet.Unknown[int](errors.New("gone"), noon.Add(time.Hour), "probe"))
	if f.Current() || !f.HasValue() || f.Value != 7 || f.Age(noon.Add(2*time.Hour)) != 2*time.Hour {
		t.Errorf("an old fact: %+v", f)
	}
	f = f.Refresh(fleet.Nothing[int]("no engine", noon, "probe"))
	if f.Current() || f.HasValue() || !f.None {
		t.Errorf("nothing to know: %+v", f)
	}
}

// TestFactJSON holds the contract of machine output.
func TestFactJSON(t *testing.T) {
	est := noon.In(time.FixedZone("EST", -5*3600))
	for want, f := range map[string]fleet.Fact[int]{
		`{"error":"not asked yet"}`:                                                 {},
		`{"value":7,"at":"2026-11-22T12:00:00Z","source":"probe"}`:                  fleet.Known(7, est, "probe"),
		`{"error":"refused","at":"2026-11-22T12:00:00Z","source":"probe"}`:          fleet.Unknown[int](errors.New("refused"), est, "probe"),
		`{"error":"none","at":"2026-11-22T12:00:00Z","source":"probe","none":true}`: fleet.Nothing[int]("none", est, "probe"),
		`{"error":"gone","at":"2026-11-22T13:00:00Z","last":{"value":7,"at":"2026-11-22T12:00:00Z"}}`: {
			Value: 7, At: est, Err: "gone", ErrAt: est.Add(time.Hour),
		},
	} {
		b, err := json.Marshal(f)
		if err != nil || string(b) != want {
			t.Errorf("got %s, %v\nwant %s", b, err, want)
		}
		var back fleet.Fact[int]
		if err := json.Unmarshal(b, &back); err != nil || back.Current() != f.Current() || back.Value != f.Value {
			t.Errorf("%s came back as %+v, %v", b, back, err)
		}
	}
}

func TestLostKeepsWhatWasKnown(t *testing.T) {
	s := fleet.State{
		Reach:      fleet.Known(fleet.Reach{State: fleet.Up}, noon, "ssh"),
		Containers: fleet.Known([]fleet.Container{{Name: "web"}}, noon, "podman"),
		Alarms:     fleet.Nothing[[]fleet.Alarm]("no monitoring", noon, "netdata"),
	}
	s = s.Lost(errors.New("no answer"), noon.Add(time.Minute))
	if s.Containers.Current() || len(s.Containers.Value) != 1 || s.Metrics.Err == "" || !s.Alarms.None {
		t.Errorf("%+v", s)
	}
	problems := s.Problems(noon)
	if len(problems) != 1 || problems[0].Severity != fleet.SeverityUnknown {
		t.Errorf("a host that is down has that one problem: %+v", problems)
	}
}
