package tui_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

var update = flag.Bool("update", false, "write the goldens")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// open shows the UI of a store in an emulated terminal.
func open(t *testing.T, opts tui.Options, cols, rows int) *tuitest.Term {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	term := tuitest.Run(t, cols, rows, func(tty *os.File) error {
		opts.Input, opts.Output = tty, tty
		if opts.Environ == nil {
			opts.Environ = []string{"TERM=xterm-256color"}
		}
		return tui.Run(ctx, opts)
	})
	t.Cleanup(cancel)
	return term
}

func sample() tui.Options {
	return tui.Options{
		Store: tuitest.Sample(), Now: func() time.Time { return tuitest.Now }, Version: "test", Actions: actions(),
		Console: &tuitest.Console{
			Lines:    tuitest.LogLines(60),
			SeriesIn: []fleet.Series{tuitest.Wave("cpu", "%", 80), tuitest.Wave("memory", "B", 6e9), tuitest.Wave("net in", "B/s", 3e6)},
		},
	}
}

// actions are some as a later version will have them, and some that work.
func actions() []fleet.Action {
	never := func(string) func(fleet.Target) string {
		return func(fleet.Target) string { return "not in this version yet" }
	}
	return []fleet.Action{
		{ID: "rollback", Title: "roll back", Help: "go back to an older generation, under guard", Keys: []string{"R"}, Scope: fleet.ScopeHost, Danger: true, Disabled: never("")},
		{ID: "deploy", Title: "deploy", Help: "build, copy and activate, under guard", Keys: []string{"D"}, Scope: fleet.ScopeHost, Danger: true, Disabled: never("")},
		{
			ID: "unit-restart", Title: "restart unit", Help: "restart the unit", Scope: fleet.ScopeUnit, Danger: true,
			Plan: func(_ context.Context, t fleet.Target) (fleet.Plan, error) {
				return fleet.Plan{Title: "Restart " + t.Unit, Lines: []string{"systemctl restart " + t.Unit, "what depends on it restarts too"}}, nil
			},
			Run: func(_ context.Context, t fleet.Target, say func(string)) error {
				say("stopping " + t.Unit)
				say("starting " + t.Unit)
				return nil
			},
		},
	}
}

var sizes = [][2]int{{120, 40}, {80, 24}, {40, 20}}

// tours are ways through the UI that end on a screen worth looking at.
var tours = []struct {
	name string
	keys []string
	see  string
}{
	{"fleet", nil, "storage"},
	{"fleet-fail", []string{"G"}, "storage"},
	{"host-overview", []string{"G", "enter"}, "1 Overview"},
	{"host-generations", []string{"G", "2"}, "142"},
	{"host-containers", []string{"G", "3"}, "jellyfin"},
	{"host-container", []string{"G", "3", "enter"}, "restarts"},
	{"host-units", []string{"G", "4"}, "immich-ml"},
	{"host-backups", []string{"G", "5"}, "photos"},
	{"host-metrics", []string{"G", "6"}, "memory"},
	{"host-services", []string{"G", "7"}, "not in this version"},
	{"log", []string{"G", "4", "enter", "L"}, "following"},
	{"messages", []string{"M"}, "7 hosts found"},
	{"help", []string{"?"}, "Here"},
	{"menu", []string{"."}, "deploy"},
	{"palette", []string{":", "sto"}, "storage"},
	{"filter", []string{"/", "r"}, "/r"},
}

func TestScreens(t *testing.T) {
	for _, size := range sizes {
		for _, tour := range tours {
			name := fmt.Sprintf("%s-%dx%d", tour.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				term := open(t, sample(), size[0], size[1])
				term.WaitFor("storage").Press(tour.keys...).WaitFor(tour.see).Settle(250 * time.Millisecond)
				tuitest.Golden(t, name, term.Screen(), *update)
			})
		}
	}
}
