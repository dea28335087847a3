// Package logscreen shows the log of a unit or container as it grows. It keeps
// a bounded number of lines, and reads only while it is on the screen.
package logscreen

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// Screen is the log of one unit or container.
type Screen struct {
	ctx   context.Context
	place screen.Place
	host  string

	feed *feed
	ring ring
	over bool
	err  error
	lost int

	follow bool
	top    place // first row that is shown, while not following
	rows   int   // rows that were drawn last
	words  bool  // there is no column for the level: the word is part of the text
	width  int   // and how wide
	fresh  int   // lines that came while not following

	wrap   bool
	left   int // cells that long lines are scrolled by
	times  int // 0 none, 1 time, 2 date and time; -1: as the width says
	since  int // which of the presets
	search string
	only   bool // only lines that match
	found  int  // number of the line found last, -1: none
}

// place is a row of a line that may be broken into several.
type place struct{ line, row int }

// presets are how far back a log is read.
var presets = []struct {
	name  string
	back  time.Duration
	lines int
}{{"last 500 lines", 0, 500}, {"last hour", time.Hour, maxLines}, {"last 24 hours", 24 * time.Hour, maxLines}, {"last 7 days", 7 * 24 * time.Hour, maxLines}}

// New makes the screen of a log; it reads until ctx ends or it is closed.
func New(ctx context.Context, p screen.Place) *Screen {
	return &Screen{ctx: ctx, place: p, follow: true, wrap: true, times: -1, found: -1}
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return s.place }

// what is the name of the unit or container.
func (s *Screen) what() string {
	if s.place.Log.Container != "" {
		return s.place.Log.Container
	}
	return s.place.Log.Unit
}

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{s.host, s.what(), "Log"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"logs"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	if s.search != "" {
		return []string{"back", "next-match", "previous-match", "search", "only", "follow", "wrap", "times", "help"}
	}
	return []string{"back", "follow", "search", "wrap", "times", "since", "copy", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect {
	s.Fresh(c)
	return s.reopen(c)
}

// reopen reads the log from the beginning of the preset.
func (s *Screen) reopen(c *screen.Context) screen.Effect {
	s.Close()
	s.ring, s.over, s.err, s.lost, s.found, s.fresh = ring{}, false, nil, 0, -1, 0
	s.follow = true
	q, p := s.place.Log, presets[s.since]
	q.Lines, q.Follow = p.lines, true
	if p.back > 0 {
		q.Since = c.Now.Add(-p.back)
	}
	s.feed = newFeed(s.ctx)
	return screen.Run{Cmd: s.feed.open(c.Console, q)}
}

// Close implements screen.Screen: what feeds the log ends.
func (s *Screen) Close() {
	if s.feed != nil {
		s.feed.cancel()
		s.feed = nil
	}
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	if st, ok := c.Snap.Host(s.place.Host); ok {
		s.host = st.Host.Name
	}
	return nil
}

// Receive implements screen.Screen.
func (s *Screen) Receive(_ *screen.Context, msg tea.Msg) screen.Effect {
	m, ok := msg.(linesMsg)
	if !ok || m.feed != s.feed {
		return nil
	}
	s.ring.add(m.lines)
	s.lost += m.lost
	s.over, s.err = m.over, m.err
	if !s.follow {
		s.fresh += len(m.lines)
		s.top.line = max(s.top.line, s.ring.first)
	}
	if m.over {
		return nil
	}
	return screen.Run{Cmd: s.feed.next()}
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.scroll(id) {
		return nil
	}
	switch id {
	case "follow":
		s.setFollow(!s.follow)
	case "wrap":
		s.wrap, s.left, s.top.row = !s.wrap, 0, 0
	case "times":
		s.times = (s.timesShown(c) + 1) % 3
	case "since":
		s.since = (s.since + 1) % len(presets)
		return s.reopen(c)
	case "reload":
		return s.reopen(c)
	case "next-match":
		return s.find(1)
	case "previous-match":
		return s.find(-1)
	case "only":
		s.only = !s.only && s.search != ""
		s.setFollow(true)
	case "left":
		s.left = max(0, s.left-20)
	case "right":
		if !s.wrap {
			s.left += 20
		}
	}
	return nil
}

func (s *Screen) setFollow(on bool) {
	if s.follow && !on {
		s.top = s.bottom(s.rows) // stay where we are
	}
	s.follow = on
	if on {
		s.fresh = 0
	}
}

// Tap implements screen.Screen.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if _, ok := target.(tapFollow); ok {
		s.setFollow(!s.follow)
	}
	return nil
}

// tapFollow is a tap on the words that say whether the log is followed.
type tapFollow struct{}

// Back implements screen.Screen: the search goes first.
func (s *Screen) Back(*screen.Context) bool {
	had := s.search != ""
	s.search, s.only, s.found = "", false, -1
	return had
}

// Target implements screen.Screen.
func (s *Screen) Target(c *screen.Context) fleet.Target {
	t := fleet.Target{Container: s.place.Log.Container, Unit: s.place.Log.Unit, User: s.place.Log.User}
	if st, ok := c.Snap.Host(s.place.Host); ok {
		t.Hosts = []fleet.State{st}
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus {
	return fleet.Focus{Host: s.place.Host, Tab: "logs"}
}

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) { return s.search, "search" }

// Find implements screen.Finder: while typing, the newest match is shown.
func (s *Screen) Find(_ *screen.Context, text string, done bool) {
	s.search, s.found = text, -1
	if text == "" {
		s.only = false
		return
	}
	if !done || s.found < 0 {
		s.find(-1)
	}
}

// Copy implements screen.Copier: what is on the screen.
func (s *Screen) Copy(c *screen.Context) (what, text string) {
	var b strings.Builder
	for at, left := s.first(c), s.rows; left > 0; left-- {
		if at.line >= s.ring.end() {
			break
		}
		if at.row == 0 || b.Len() == 0 {
			l := s.ring.at(at.line)
			b.WriteString(l.At.Local().Format("2006-01-02 15:04:05 ") + l.Text + "\n")
		}
		at = s.down(at)
	}
	return "the lines on the screen", b.String()
}
