package tui

import (
	"errors"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/tui/dialog"
)

func TestNotifies(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		want    bool
	}{
		{[]string{"TERM=xterm-256color"}, false},
		{[]string{"TERM=xterm-kitty"}, true},
		{[]string{"TERM=xterm-256color", "TERM_PROGRAM=WezTerm"}, true},
		{[]string{"TERM=xterm-256color", "TERM_PROGRAM=Apple_Terminal"}, false},
	} {
		if got := notifies(tt.environ); got != tt.want {
			t.Errorf("%v: %v", tt.environ, got)
		}
	}
}

// TestTheBarTellsHowManyHaveEnded follows three actions that are under way
// together, of which one fails.
func TestTheBarTellsHowManyHaveEnded(t *testing.T) {
	m := &Model{}
	began := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	add := func() *dialog.Job {
		j := &dialog.Job{Began: began}
		m.begun(j)
		m.jobs = append(m.jobs, j)
		return j
	}
	a, b, c := add(), add(), add()
	expect := func(when string, state tea.ProgressBarState, value int) {
		t.Helper()
		if bar := m.progressBar(); bar == nil || bar.State != state || bar.Value != value {
			t.Errorf("%s: %+v", when, bar)
		}
	}
	expect("all under way", tea.ProgressBarIndeterminate, 0)
	a.Ended = began.Add(time.Second)
	m.announce(a, "is done")
	if len(m.cmds) != 0 {
		t.Error("a short action that others outlast was announced")
	}
	expect("one of three", tea.ProgressBarDefault, 33)
	b.Ended, b.Err = began.Add(time.Second), errors.New("no")
	expect("two of three, one failed", tea.ProgressBarError, 66)
	c.Ended = began.Add(time.Second)
	m.announce(c, "is done")
	if m.progressBar() != nil || len(m.cmds) != 1 {
		t.Errorf("after the last: %+v, %d announced", m.progressBar(), len(m.cmds))
	}
	add()
	expect("one that begins when all have ended", tea.ProgressBarIndeterminate, 0)
}
