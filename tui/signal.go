package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/tui/dialog"
	"github.com/sextant-fleet/sextant/tui/words"
)

// longJob is how long an action takes at least of which the end is announced:
// nobody looks on for so long.
const longJob = 10 * time.Second

// begun takes a job into the batch of those that are under way together.
func (m *Model) begun(j *dialog.Job) {
	if m.running() == 0 {
		m.batch = nil
	}
	m.batch = append(m.batch, j)
}

// announce tells the person's terminal, which may be behind other windows, that
// a long action or the last of several has ended.
func (m *Model) announce(j *dialog.Job, how string) {
	if j.Ended.Sub(j.Began) < longJob && (len(m.batch) < 2 || m.running() > 0) {
		return
	}
	text := "sextant: " + strings.TrimSpace(j.Title()+" "+how)
	if notifies(m.opts.Environ) {
		m.later(tea.Raw(ansi.Notify(ansi.Truncate(text, 120, "…"))))
		return
	}
	m.later(tea.Raw("\a"))
}

// notifies tells whether a terminal shows notifications (OSC 9). Of the others
// some take them for something else, and all of them can ring.
func notifies(environ []string) bool {
	for _, name := range []string{"iTerm.app", "WezTerm", "ghostty", "rio"} {
		if getenv(environ, "TERM_PROGRAM") == name {
			return true
		}
	}
	term := getenv(environ, "TERM")
	return slices.ContainsFunc([]string{"kitty", "ghostty", "wezterm", "foot", "rio"}, func(s string) bool { return strings.Contains(term, s) })
}

// progressBar is how far the actions are that are under way together, for the
// terminal's own bar (OSC 9;4); nil: none is.
func (m *Model) progressBar() *tea.ProgressBar {
	if m.running() == 0 {
		return nil
	}
	ended, state := 0, tea.ProgressBarDefault
	for _, j := range m.batch {
		if j.Running() {
			continue
		}
		if ended++; j.Err != nil {
			state = tea.ProgressBarError
		}
	}
	if ended == 0 {
		return tea.NewProgressBar(tea.ProgressBarIndeterminate, 0)
	}
	return tea.NewProgressBar(state, 100*ended/len(m.batch))
}

// countMsg says that a second has passed while something waits.
type countMsg struct{}

// countDown has the time that is left told by the second while a new system
// waits somewhere to be confirmed. Else nothing here changes every second.
func (m *Model) countDown() {
	if m.counting {
		return
	}
	for _, st := range m.c.Snap.Hosts {
		if left, ok := words.Waits(st, m.c.Now); ok && left > 0 {
			m.counting = true
			m.later(m.after(time.Second, countMsg{}))
			return
		}
	}
}
