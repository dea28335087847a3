package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/history"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// agedBy makes what is known of a host older.
func agedBy(d time.Duration, s fleet.State) fleet.State {
	for _, at := range []*time.Time{
		&s.Reach.At, &s.System.At, &s.Inventory.At, &s.Generations.At, &s.Deploys.At, &s.Units.At, &s.Timers.At,
		&s.Containers.At, &s.Backups.At, &s.Proc.At, &s.Metrics.At, &s.Alarms.At,
	} {
		if !at.IsZero() {
			*at = at.Add(-d)
		}
	}
	return s
}

// remember fills a folder with what is known of the cast, three hours ago. It
// gives a host that was well then.
func remember(t *testing.T, dir string) (well string) {
	t.Helper()
	i := imagine(t, simulate.Options{}, options{})
	if err := i.find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	i.ask(t.Context(), i.store.Snapshot().Hosts, quick)
	var states []fleet.State
	for _, s := range i.store.Snapshot().Hosts {
		if s.Reach.Current() && len(s.Problems(time.Now())) == 0 && s.Host.Name == "r2s" {
			well = s.Host.Name
		}
		states = append(states, agedBy(3*time.Hour, s))
	}
	h, err := history.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Save(states); err != nil {
		t.Fatal(err)
	}
	if well == "" {
		t.Fatal("no host was well")
	}
	return well
}

// TestTheNextStartShowsWhatWasKnown: before any host answers, and after all have
// failed to, the last known facts stand on the screen with their age, and none
// of them as fine.
func TestTheNextStartShowsWhatWasKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	well := remember(t, dir)
	down := map[string]simulate.Fault{}
	for _, name := range []string{"storage", "cloud", "router", "r2s", "desktop", "vault", "cottage", "raspi3"} {
		down[name] = simulate.Fault{Refuse: true}
	}
	i := imagine(t, simulate.Options{Faults: down}, options{})
	var err error
	if i.history, err = history.Open(dir); err != nil {
		t.Fatal(err)
	}
	i.recall()
	ctx, cancel := context.WithCancel(t.Context())
	term := tuitest.Run(t, 80, 24, func(tty *os.File) error {
		return tui.Run(ctx, tui.Options{Input: tty, Output: tty, Environ: []string{"TERM=xterm-256color"}, Store: i.store, Console: console{i.app}, Version: "test"})
	})
	defer func() {
		cancel()
		_ = term.Wait()
	}()
	old := func(when string) {
		t.Helper()
		rows := strings.Split(term.Screen(), "\n")
		sum, row := rows[0], ""
		for _, r := range rows {
			if f := strings.Fields(strings.TrimPrefix(r, ">")); len(f) > 3 && f[0] == well {
				row = r
				break
			}
		}
		f := strings.Fields(strings.TrimLeft(row, "> "))
		if len(f) < 4 || f[1] != "?" || f[len(f)-1] != "3h" || f[2] != "84" {
			t.Errorf("%s: the row of %s: %q", when, well, row)
		}
		if strings.Contains(sum, " ok") || !strings.Contains(sum, "9 hosts") {
			t.Errorf("%s: the sum: %q", when, sum)
		}
	}
	term.WaitFor(well, "not asked yet").Settle(200 * time.Millisecond)
	old("before anybody was asked")

	i.follow()
	i.eventually("every host was asked", func() bool {
		for _, s := range i.store.Snapshot().Hosts {
			if s.Reach.Err == "" || s.Reach.Err == fleet.Remembered || s.Asking {
				return false
			}
		}
		return true
	})
	term.WaitFor("connection refused").WaitGone("not asked yet").Settle(300 * time.Millisecond)
	old("after all have failed")
	term.Press("/").Send(well).Press("enter", "enter").WaitFor("[1 Overview]", "refused", "generation 84", "4 cores  3h ago", "0 failed  3h ago", "? 3h")
	term.Press("2").WaitFor("[2 Generations]", "3h ago")

	var out bytes.Buffer
	if exit := code(printStatus(&out, options{json: true}, i.store.Snapshot())); exit == 0 {
		t.Errorf("exit code %d", exit)
	}
	var got struct{ Hosts []hostStatus }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, h := range got.Hosts {
		if h.System.Current() || h.Containers.Current() || h.Name == well && (!h.System.HasValue() || h.System.Age(time.Now()) < 3*time.Hour) {
			t.Errorf("%s: %+v", h.Name, h.System)
		}
	}
}
