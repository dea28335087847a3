package logscreen

import (
	"context"
	"errors"
	"io"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// pageLines is how many lines a page of a log has at most.
const pageLines = 1000

// pageMsg brings a piece of a log from back in time.
type pageMsg struct {
	feed  *feed // what was open when it was asked for
	kind  pageKind
	lines []fleet.LogLine
	more  bool // there were as many as were asked for
	to    fleet.LogLine
	err   error
}

type pageKind int

const (
	older  pageKind = iota + 1 // before what is held
	newer                      // after it
	around                     // a moment, in place of what is held
)

// older, newer and around read a page; of one kind or the other one at a time.
func (s *Screen) page(c *screen.Context, kind pageKind, to fleet.LogLine) screen.Effect {
	if s.loading != 0 || s.feed == nil {
		return nil
	}
	s.loading = kind
	f, console, q := s.feed, c.Console, fleet.LogQuery{Sources: s.place.Log, Lines: pageLines}
	return screen.Run{Cmd: func() tea.Msg {
		msg := pageMsg{feed: f, kind: kind, to: to}
		before, after := q, q
		before.Until, after.Since, after.Oldest = to.Here, to.Here, true
		if kind == around {
			before.Lines, after.Lines = pageLines/2, pageLines/2
		}
		if kind != newer {
			msg.lines, msg.err = readAll(f.ctx, console, before)
		}
		if kind != older && msg.err == nil {
			var lines []fleet.LogLine
			lines, msg.err = readAll(f.ctx, console, after)
			msg.lines = append(msg.lines, (&ring{lines: msg.lines}).unheld(lines)...)
		}
		msg.more = len(msg.lines) >= pageLines
		return msg
	}}
}

// readAll reads what a query gives that does not follow.
func readAll(ctx context.Context, console fleet.Console, q fleet.LogQuery) ([]fleet.LogLine, error) {
	stream, err := console.Logs(ctx, q)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var all []fleet.LogLine
	for size := 0; size < maxBytes; {
		lines, err := stream.Next(ctx)
		all, size = append(all, lines...), size+cost(lines...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// paged puts a page where it belongs.
func (s *Screen) paged(c *screen.Context, m pageMsg) screen.Effect {
	if m.feed != s.feed {
		return nil
	}
	s.loading = 0
	lines, said := told(m.lines)
	if m.err != nil {
		said = screen.Flash{Level: fleet.Warn, Host: s.host, Text: m.err.Error()}
	}
	switch m.kind {
	case older:
		if s.begin = !m.more && m.err == nil; len(lines) > 0 {
			lines = s.ring.unheld(lines)
		}
		if s.ring.prepend(lines) > 0 {
			s.detached = true
		}
		if s.begin && len(lines) == 0 {
			said = screen.Flash{Level: fleet.Info, Text: "this is the beginning of the log"}
		}
	case newer:
		s.ring.add(s.ring.unheld(lines))
		s.top.line = max(s.top.line, s.ring.first)
		if s.begin = false; !m.more && m.err == nil {
			return s.attach(c)
		}
	case around:
		if len(lines) == 0 {
			return cmpEffect(said, screen.Flash{Level: fleet.Info, Text: "the log has nothing from that time any more"})
		}
		s.ring, s.detached, s.begin, s.follow, s.found = ring{lines: lines, bytes: cost(lines...)}, true, false, false, none
		if n, ok := s.ring.number(keyOf(m.to)); ok {
			s.center(n)
		} else {
			s.top = place{nearest(lines, m.to), 0}
		}
	}
	return said
}

func cmpEffect(a, b screen.Effect) screen.Effect {
	if a != nil {
		return a
	}
	return b
}

// nearest is the first line at or after another's time.
func nearest(lines []fleet.LogLine, to fleet.LogLine) int {
	n, _ := slices.BinarySearchFunc(lines, to, func(a, b fleet.LogLine) int { return a.Here.Compare(b.Here) })
	return min(n, len(lines)-1)
}

// told takes out what is said about a log that is read back in time, and says
// it in its place.
func told(lines []fleet.LogLine) ([]fleet.LogLine, screen.Effect) {
	var said screen.Effect
	lines = slices.DeleteFunc(lines, func(l fleet.LogLine) bool {
		if l.Note {
			said = screen.Flash{Level: fleet.Warn, Host: l.Host, Text: l.Name() + ": " + l.Text}
		}
		return l.Note
	})
	return lines, said
}

// attach goes on live from the last line that is held.
func (s *Screen) attach(c *screen.Context) screen.Effect {
	s.Close()
	s.detached, s.joins, s.over, s.err, s.fresh = false, true, false, nil, 0
	q := fleet.LogQuery{Sources: s.place.Log, Oldest: true, Follow: true, Lines: maxLines}
	if n := len(s.ring.lines); n > 0 {
		q.Since = s.ring.lines[n-1].Here
	}
	s.feed = newFeed(s.ctx)
	return screen.Run{Cmd: s.feed.open(c.Console, q)}
}

// reach reads on where the end of what is held is near, in the direction in
// which somebody scrolls.
func (s *Screen) reach(c *screen.Context, id string) screen.Effect {
	if len(s.ring.lines) == 0 {
		return nil
	}
	switch id {
	case "up", "page-up", "top":
		if !s.begin && s.first(c).line < s.ring.first+s.rows {
			return s.page(c, older, s.ring.lines[0])
		}
	case "down", "page-down":
		if s.detached && s.ring.end()-s.first(c).line <= 2*s.rows {
			return s.page(c, newer, s.ring.lines[len(s.ring.lines)-1])
		}
	case "bottom":
		if s.detached {
			return s.reopen(c)
		}
	}
	return nil
}
