package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
)

// TestHealth: the problems of hosts in one list, what is acknowledged counts for
// nothing, in this process and in another, and is there again once taken back.
func TestHealth(t *testing.T) {
	dir := t.TempDir()
	a, b := mindful(t, dir), mindful(t, dir)
	now := time.Now()
	st := fleet.State{Host: fleet.Host{ID: "1", Name: "box"}, Reach: fleet.Known(fleet.Reach{}, now, "ssh")}
	st.Units = fleet.Known([]fleet.Unit{{Name: "web.service", Active: "failed"}}, now, "probe")
	for _, x := range []*app{a, b} {
		x.store.SetHosts([]fleet.Host{st.Host}, nil, nil)
		x.store.Update("1", func(s *fleet.State) { *s = st })
	}
	if code, out := health(t, a); code != exitProblem || len(out.Findings) != 1 || out.Findings[0].Key != "unit:web.service" || out.Findings[0].Acked != nil {
		t.Fatalf("%d: %+v", code, out)
	}
	target := fleet.Target{Hosts: a.store.Snapshot().Hosts, Finding: "unit:web.service", Chosen: map[string]string{"for": "1d", "why": "on \x1b[31mholiday"}}
	var said []string
	if err := a.acknowledgeFor(t, target, &said); err != nil || !strings.HasPrefix(strings.Join(said, "\n"), "failed unit: web.service: counts for nothing until ") {
		t.Fatalf("%v %v", said, err)
	}
	b.recallAcks()
	for _, x := range []*app{a, b} {
		code, out := health(t, x)
		if ack := out.Findings[0].Acked; code != 0 || ack == nil || ack.Why != "on holiday" || ack.Until.Sub(now) < 23*time.Hour {
			t.Errorf("%d: %+v", code, out.Findings[0])
		}
	}
	if events := a.store.Snapshot().Audit; len(events) != 1 || events[0].Kind != fleet.EventAck || events[0].Who == "" {
		t.Errorf("the audit has %+v", events)
	}
	target.Hosts = b.store.Snapshot().Hosts
	if why := b.offAcked(target); why != "" {
		t.Errorf("it cannot be taken back: %s", why)
	}
	if err := b.acknowledgeAt(target, 0, "", func(string) {}); err != nil {
		t.Fatal(err)
	}
	if code, out := health(t, b); code != exitProblem || out.Findings[0].Acked != nil {
		t.Errorf("%d: %+v", code, out.Findings[0])
	}
	if _, err := findingOf(b.store.Snapshot(), st.Host.ID, "unit:wep.service"); err == nil || !strings.Contains(err.Error(), `the nearest key is "unit:web.service"`) {
		t.Errorf("a slip of the finger: %v", err)
	}
	for _, wrong := range []string{"", "0h", "-1h", "31d", "tomorrow"} {
		if _, err := ackSpan(wrong); err == nil {
			t.Errorf("%q is for how long something is acknowledged", wrong)
		}
	}
}

// acknowledgeFor runs the action as the UI does.
func (a *app) acknowledgeFor(t *testing.T, target fleet.Target, said *[]string) error {
	t.Helper()
	return a.findingActions()[0].Run(t.Context(), target, func(line string) { *said = append(*said, line) })
}

// mindful is an app with a history in a folder and nobody to ask.
func mindful(t *testing.T, dir string) *app {
	t.Helper()
	a := newApp(options{}, &discover.Config{})
	h, err := history.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a.history = h
	t.Cleanup(a.close)
	return a
}

// health gives what the command says with --json, and its exit code.
func health(t *testing.T, a *app) (int, healthOut) {
	t.Helper()
	var buf bytes.Buffer
	err := printHealth(&buf, options{json: true}, a.store.Snapshot())
	var out healthOut
	if bad := json.Unmarshal(buf.Bytes(), &out); bad != nil {
		t.Fatalf("%v: %s", bad, buf.String())
	}
	return code(err), out
}
