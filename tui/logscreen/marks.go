package logscreen

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// maxMarks bounds the lines that are marked.
const maxMarks = 100

// Taps on a line, by its number, and on a mark at the side.
type (
	tapLine int
	tapMark int
)

func (s *Screen) marked(l fleet.LogLine) bool {
	k := keyOf(l)
	return slices.ContainsFunc(s.marks, func(m fleet.LogLine) bool { return keyOf(m) == k })
}

// mark marks a line, or takes its mark away. Marks stay in the order of time.
func (s *Screen) mark(n int) screen.Effect {
	if n < s.ring.first || n >= s.ring.end() {
		return screen.Flash{Level: fleet.Info, Text: "there is no line to mark"}
	}
	l := s.ring.at(n)
	k := keyOf(l)
	if i := slices.IndexFunc(s.marks, func(m fleet.LogLine) bool { return keyOf(m) == k }); i >= 0 {
		s.marks = slices.Delete(s.marks, i, i+1)
		return nil
	}
	if len(s.marks) >= maxMarks {
		return screen.Flash{Level: fleet.Info, Text: fmt.Sprintf("%d lines are marked; take a mark away first", maxMarks)}
	}
	at, _ := slices.BinarySearchFunc(s.marks, l, func(a, b fleet.LogLine) int { return a.Here.Compare(b.Here) })
	s.marks = slices.Insert(s.marks, at, l)
	return nil
}

// markHere marks the line that was found where it is on the screen, else the
// newest while following, else the one on top.
func (s *Screen) markHere() screen.Effect {
	top := s.first(nil).line
	switch {
	case s.found >= top && s.found <= s.last && s.found != none:
		return s.mark(s.found)
	case s.follow:
		return s.mark(s.last)
	}
	return s.mark(top)
}

// nextMark goes to the mark after the line on top, and after the last to the first.
func (s *Screen) nextMark(c *screen.Context) screen.Effect {
	if len(s.marks) == 0 {
		return screen.Flash{Level: fleet.Info, Text: "no line is marked; space marks one, a tap any"}
	}
	from := s.first(nil).line
	if s.found != none {
		from = s.found
	}
	next := 0
	if from >= s.ring.first && from < s.ring.end() {
		l := s.ring.at(from)
		for i, m := range s.marks {
			if m.Here.After(l.Here) {
				next = i
				break
			}
		}
	}
	return s.toMark(c, next)
}

// toMark goes to a mark, where its line is not held any more back in time.
func (s *Screen) toMark(c *screen.Context, i int) screen.Effect {
	if i >= len(s.marks) {
		return nil
	}
	if n, ok := s.ring.number(keyOf(s.marks[i])); ok {
		s.show(n)
		return nil
	}
	return s.page(c, around, s.marks[i])
}

// sideWidth is how wide the marks are at the side of a wide screen.
const sideWidth = 34

// drawMarks draws the marks with their times.
func (s *Screen) drawMarks(c *screen.Context, p widget.Pane) {
	p.VRule(0)
	p = p.Sub(2, 0, p.W-2, p.H)
	p.Text(0, 0, p.W, themes.Title, fmt.Sprintf("%d marked", len(s.marks)))
	shown := s.marks[max(0, len(s.marks)-p.H+1):]
	for i, m := range shown {
		word, role := level(m.Level)
		l := widget.L(themes.Dim, m.At.Local().Format("15:04:05 ")).And(role, word)
		if word != "" {
			l = l.And(themes.Text, " ")
		}
		p.Line(0, i+1, p.W, l.And(role, m.Text))
		p.Zone(0, i+1, p.W, 1, tapMark(len(s.marks)-len(shown)+i))
	}
}

// savedMsg says where lines were written to.
type savedMsg struct {
	path  string
	lines int
	err   error
}

// save writes the lines that are held and shown to a file.
func (s *Screen) save(c *screen.Context) screen.Effect {
	var lines []string
	for n := s.ring.first; n < s.ring.end(); n++ {
		if s.shown(n) {
			lines = append(lines, s.written(s.ring.at(n), "2006-01-02T15:04:05.000Z07:00"))
		}
	}
	if len(lines) == 0 {
		return screen.Flash{Level: fleet.Info, Text: "there are no lines to save"}
	}
	title := s.Title(c)
	name, console := title[0]+"-"+title[1], c.Console
	return screen.Run{Cmd: func() tea.Msg {
		n := len(lines)
		path, err := console.SaveLog(name, lines)
		return savedMsg{path, n, err}
	}}
}

// written is a line as it is copied and saved.
func (s *Screen) written(l fleet.LogLine, form string) string {
	from := ""
	if s.merged() {
		from = l.Host + " " + l.Name() + ": "
	}
	return l.At.Local().Format(form) + " " + from + l.Text
}
