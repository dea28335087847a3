// Package logscreen shows the logs of units and containers as they grow,
// one or several as one. It keeps a bounded number of lines, and reads only
// while it is on the screen.
package logscreen

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// Screen is the log of one unit or container, or of several as one.
type Screen struct {
	ctx   context.Context
	place screen.Place
	host  string                  // of the place
	hosts map[fleet.HostID]string // names of all

	feed *feed
	ring ring
	over bool
	err  error
	lost int
	gone bool // since it broke off a host of it was not reached

	detached bool     // what is held does not reach to the newest line
	begin    bool     // it reaches to the beginning of the log
	joins    bool     // what comes next begins where what is held ends
	loading  pageKind // which page is asked for
	hits     *hits    // of the search on the host

	follow bool
	top    place // first row that is shown, while not following
	rows   int   // rows that were drawn last
	last   int   // number of the last line among them
	words  bool  // there is no column for the level: the word is part of the text
	width  int   // and how wide
	fresh  int   // lines that came while not following

	wrap   bool
	left   int // cells that long lines are scrolled by
	times  int // 0 none, 1 time, 2 date and time; -1: as the width says
	since  int // which of the presets
	level  int // which of levels are shown
	sieve  string
	search string
	only   bool // only lines that match
	found  int  // number of the line found last, none: none
	marks  []fleet.LogLine
}

// none is no line's number.
const none = math.MinInt

// place is a row of a line that may be broken into several.
type place struct{ line, row int }

// presets are how far back a log is read.
var presets = []struct {
	name  string
	back  time.Duration
	lines int
}{{"last 500 lines", 0, 500}, {"last hour", time.Hour, maxLines}, {"last 24 hours", 24 * time.Hour, maxLines}, {"last 7 days", 7 * 24 * time.Hour, maxLines}}

// levels are the least serious ones that are shown.
var levels = []struct {
	name string
	most int
}{{"", 7}, {"no debug", 6}, {"warnings and worse", 4}, {"errors and worse", 3}}

// New makes the screen of a log; it reads until ctx ends or it is closed.
func New(ctx context.Context, p screen.Place) *Screen {
	return &Screen{ctx: ctx, place: p, follow: true, wrap: true, times: -1, found: none}
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return s.place }

// merged tells whether the screen shows several logs.
func (s *Screen) merged() bool { return len(s.place.Log) > 1 }

// Title implements screen.Screen: of several logs what they have in common.
func (s *Screen) Title(*screen.Context) []string {
	var hosts, names []string
	for _, of := range s.place.Log {
		if h := s.hosts[of.Host]; !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
		if n := of.Name(); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return []string{several(hosts, "hosts"), several(names, "logs"), "Log"}
}

func several(names []string, what string) string {
	if len(names) > 2 {
		return fmt.Sprintf("%d %s", len(names), what)
	}
	return strings.Join(names, ", ")
}

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"logs"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	if s.search != "" {
		return []string{"back", "next-match", "previous-match", "search-all", "only", "follow", "wrap", "times", "help"}
	}
	return []string{"back", "follow", "search", "sieve", "level", "sources", "wrap", "since", "save", "copy", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect {
	s.Fresh(c)
	return s.reopen(c)
}

// reopen reads the log from the beginning of the preset.
func (s *Screen) reopen(c *screen.Context) screen.Effect {
	s.Close()
	s.ring, s.lost, s.found, s.fresh = ring{}, 0, none, 0
	s.follow, s.detached, s.begin, s.joins = true, false, false, false
	p := presets[s.since]
	q := fleet.LogQuery{Sources: s.place.Log, Lines: p.lines, Follow: true}
	if p.back > 0 {
		q.Since = c.Now.Add(-p.back)
	}
	return s.read(c, q)
}

func (s *Screen) read(c *screen.Context, q fleet.LogQuery) screen.Effect {
	s.over, s.err, s.gone = false, nil, false
	s.feed = newFeed(s.ctx)
	return screen.Run{Cmd: s.feed.open(c.Console, q)}
}

// resume goes on where the log broke off, once all its hosts are reached again.
func (s *Screen) resume(c *screen.Context) screen.Effect {
	if !s.over || s.err == nil {
		return nil
	}
	away := slices.ContainsFunc(s.place.Log, func(of fleet.LogSource) bool {
		st, ok := c.Snap.Host(of.Host)
		return !ok || !st.Reach.Current()
	})
	s.gone = s.gone || away
	if away || !s.gone {
		return nil
	}
	if len(s.ring.lines) == 0 {
		return s.reopen(c)
	}
	s.joins = true
	return s.read(c, fleet.LogQuery{Sources: s.place.Log, Since: s.ring.at(s.ring.end() - 1).Here, Lines: maxLines, Follow: true})
}

// Close implements screen.Screen: what feeds the log ends.
func (s *Screen) Close() {
	if s.feed != nil {
		s.feed.cancel()
		s.feed, s.loading = nil, 0
	}
	s.hits.stop()
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	s.hosts = map[fleet.HostID]string{}
	for _, st := range c.Snap.Hosts {
		s.hosts[st.Host.ID] = st.Host.Name
	}
	if name, ok := s.hosts[s.place.Host]; ok {
		s.host = name
	}
	return s.resume(c)
}

// Receive implements screen.Screen.
func (s *Screen) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	switch m := msg.(type) {
	case linesMsg:
		return s.came(c, m)
	case pageMsg:
		return s.paged(c, m)
	case hitsMsg:
		m.of.take(m)
	case jumpMsg:
		return s.page(c, around, m.to)
	case sourceMsg:
		return s.change(c, m)
	case savedMsg:
		if m.err != nil {
			return screen.Flash{Level: fleet.Error, Text: m.err.Error()}
		}
		return screen.Flash{Level: fleet.Info, Text: "saved " + fleet.Count(m.lines, "line") + " to " + m.path}
	}
	return nil
}

// came takes new lines in. While somebody reads above, what is read there is
// kept, and new lines only counted where there is no room for both.
func (s *Screen) came(c *screen.Context, m linesMsg) screen.Effect {
	if m.feed != s.feed {
		return nil
	}
	lines := m.lines
	if s.joins && len(lines) > 0 {
		lines, s.joins = s.ring.unheld(lines), false
	}
	s.lost += m.lost
	s.over, s.err = m.over, m.err
	if !s.follow {
		s.fresh += len(lines)
		s.detached = s.detached || !s.ring.room(lines)
	}
	if !s.detached {
		s.ring.add(lines)
	}
	if s.search != "" && s.found == none && s.follow {
		s.find(-1) // what is looked for has come
	}
	if m.over {
		return s.resume(c) // or when the host is back
	}
	return screen.Run{Cmd: s.feed.next()}
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.scroll(id) {
		return s.reach(c, id)
	}
	switch id {
	case "follow":
		if s.detached {
			return s.reopen(c)
		}
		s.setFollow(!s.follow)
	case "wrap":
		s.wrap, s.left, s.top.row = !s.wrap, 0, 0
	case "times":
		s.times = (s.timesShown(c) + 1) % 3
	case "since":
		s.since = (s.since + 1) % len(presets)
		return s.reopen(c)
	case "level":
		s.level = (s.level + 1) % len(levels)
		s.resieved()
	case "reload":
		return s.reopen(c)
	case "left":
		s.left = max(0, s.left-20)
	case "right":
		if !s.wrap {
			s.left += 20
		}
	default:
		return s.doMore(c, id)
	}
	return nil
}

// doMore does what concerns single lines and whole logs.
func (s *Screen) doMore(c *screen.Context, id string) screen.Effect {
	switch id {
	case "next-match":
		return s.find(1)
	case "previous-match":
		return s.find(-1)
	case "only":
		s.only = !s.only && s.search != ""
		s.resieved()
	case "search-all":
		return s.searchAll(c)
	case "sources":
		return s.choose(c)
	case "mark-line":
		return s.markHere()
	case "next-mark":
		return s.nextMark(c)
	case "save":
		return s.save(c)
	}
	return nil
}

// resieved goes on where other lines are shown than before: at the end, where
// that is held.
func (s *Screen) resieved() {
	if !s.detached {
		s.setFollow(true)
	}
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

// Tap implements screen.Screen: on a line it marks that.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	switch t := target.(type) {
	case tapFollow:
		return s.Do(c, "follow")
	case tapLine:
		s.mark(int(t))
	case tapMark:
		return s.toMark(c, int(t))
	}
	return nil
}

// tapFollow is a tap on the words that say whether the log is followed.
type tapFollow struct{}

// Back implements screen.Screen: the search goes first, then what is left out.
func (s *Screen) Back(*screen.Context) bool {
	switch {
	case s.search != "":
		s.search, s.only, s.found = "", false, none
	case s.sieve != "":
		s.sieve = ""
	case s.level != 0:
		s.level = 0
	default:
		return false
	}
	return true
}

// Target implements screen.Screen.
func (s *Screen) Target(c *screen.Context) fleet.Target {
	t := fleet.Target{}
	if len(s.place.Log) > 0 {
		of := s.place.Log[0]
		t = fleet.Target{Container: of.Container, Unit: of.Unit, User: of.User}
	}
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
	s.search, s.found = text, none
	if text == "" {
		s.only = false
		return
	}
	if !done || s.found == none {
		s.find(-1)
	}
}

// Sieve implements screen.Sieve.
func (s *Screen) Sieve() screen.Finder { return sieve{s} }

// sieve is what asks for a filter.
type sieve struct{ *Screen }

// Finding implements screen.Finder.
func (s sieve) Finding() (text, label string) { return s.sieve, "filter" }

// Find implements screen.Finder.
func (s sieve) Find(_ *screen.Context, text string, _ bool) {
	s.sieve = text
	s.resieved()
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
			b.WriteString(s.written(l, "2006-01-02 15:04:05") + "\n")
		}
		at = s.down(at)
	}
	return "the lines on the screen", b.String()
}
