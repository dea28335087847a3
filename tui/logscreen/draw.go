package logscreen

import (
	"fmt"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	s.status(c, p.Sub(1, 0, p.W-2, 1))
	p = p.Sub(0, 1, p.W, p.H-1)
	if tail := s.ending(c, p.W-2); len(tail) > 0 {
		tail.Draw(p.Sub(1, p.H-len(tail), p.W-2, len(tail)), &widget.Scroll{})
		p = p.Sub(0, 0, p.W, p.H-len(tail))
	}
	if len(s.marks) > 0 && p.W >= screen.Wide {
		s.drawMarks(c, p.Sub(p.W-sideWidth, 0, sideWidth, p.H))
		p = p.Sub(0, 0, p.W-sideWidth-1, p.H)
	}
	lead := s.lead(c)
	s.rows, s.width, s.words = p.H, max(8, p.W-lead), c.W < screen.Narrow
	at := s.first(c)
	for y := 0; y < p.H && at.line < s.ring.end(); y++ {
		s.last = at.line
		s.drawRow(c, p, y, lead, at)
		at = s.down(at)
	}
	if len(s.ring.lines) == 0 && !s.over {
		p.Text(1, 0, p.W-2, themes.Dim, c.Glyphs.Asking+" reading the log")
	}
}

// status says how the log is shown.
func (s *Screen) status(c *screen.Context, p widget.Pane) {
	l := widget.L(themes.OK, "following")
	switch {
	case s.over:
		l = widget.L(themes.Warn, "ended")
	case s.loading != 0:
		l = widget.L(themes.Dim, c.Glyphs.Asking+" reading "+map[pageKind]string{older: "older lines", newer: "newer lines", around: "that time"}[s.loading])
	case s.detached:
		l = widget.L(themes.Badge, "back in time").And(themes.Dim, " G the newest")
		if s.fresh > 0 {
			l = widget.L(themes.Badge, fmt.Sprintf("%d new, not kept", s.fresh)).And(themes.Dim, " G reads them")
		}
	case !s.follow && s.fresh > 0:
		l = widget.L(themes.Badge, fmt.Sprintf("%d new %s", s.fresh, c.Glyphs.Down)).And(themes.Dim, " G follows")
	case !s.follow:
		l = widget.L(themes.Warn, "stopped").And(themes.Dim, " G follows")
	}
	n := p.Line(0, 0, p.W, l)
	p.Zone(0, 0, n, 1, tapFollow{})
	right := widget.L(themes.Dim, presets[s.since].name)
	if s.search != "" && s.found == none && s.loading == 0 {
		right = widget.L(themes.Warn, "not among what is loaded  ").Join(right)
	}
	if n := len(s.marks); n > 0 {
		right = widget.L(themes.Dim, fmt.Sprintf("%d marked  ", n)).Join(right)
	}
	if l := levels[s.level].name; l != "" {
		right = widget.L(themes.Badge, l).And(themes.Text, "  ").Join(right)
	}
	if s.sieve != "" {
		right = widget.L(themes.Badge, "/"+s.sieve).And(themes.Text, "  ").Join(right)
	}
	if s.lost > 0 {
		right = widget.L(themes.Warn, "too fast to keep: "+fleet.Count(s.lost, "line")+"  ").Join(right)
	}
	if s.only {
		right = widget.L(themes.Badge, "only matches").And(themes.Text, "  ").Join(right)
	}
	if !s.wrap {
		right = widget.L(themes.Dim, "cut").And(themes.Dim, "  ").Join(right)
	}
	p.Right(p.W, 0, p.W-n-1, right)
}

// ending says how the log ended.
func (s *Screen) ending(c *screen.Context, w int) widget.Doc {
	again := "r reads it again"
	if s.gone {
		again = "it goes on when the host is back"
	}
	switch {
	case !s.over:
		return nil
	case s.err != nil:
		return widget.Doc{}.Add(w, 2, widget.L(themes.Fail, "ERR ").And(themes.Text, fleet.InFull(s.err)+" "+c.Glyphs.Dot+" "+again))
	case len(s.ring.lines) == 0:
		return widget.Doc{}.Add(w, 2, widget.L(themes.Dim, "The log has no lines from this time. s looks further back."))
	}
	return widget.Doc{}.Add(w, 2, widget.L(themes.Dim, "The log ended here. r reads it again."))
}

// timesShown is which form of time is shown.
func (s *Screen) timesShown(c *screen.Context) int {
	if s.times >= 0 {
		return s.times
	}
	if c.W >= screen.Split {
		return 1
	}
	return 0
}

var timeForms = []string{"", "15:04:05", "2006-01-02 15:04:05"}

// Widths of the columns in front of the text where several logs are shown.
const (
	hostWidth = 10
	nameWidth = 14
)

// lead is the width of what is before the text: mark, time, source, level.
func (s *Screen) lead(c *screen.Context) int {
	n := 0
	if len(s.marks) > 0 {
		n = 2
	}
	if s.merged() && c.W >= screen.Narrow {
		n += hostWidth + 1
		if c.W >= screen.Split {
			n += nameWidth + 1
		}
	}
	if f := timeForms[s.timesShown(c)]; f != "" {
		n += len(f) + 1
	}
	if c.W >= screen.Narrow {
		n += 5
	}
	return n
}

// hang is how far the rows of a broken line after the first are indented.
const hang = 2

// drawRow draws one row of a line, which may be broken into several.
func (s *Screen) drawRow(c *screen.Context, p widget.Pane, y, lead int, at place) {
	l := s.ring.at(at.line)
	word, role := level(l.Level)
	x := 0
	if at.row == 0 {
		x = s.drawLead(c, p, y, l)
		if c.W >= screen.Narrow && !l.Note {
			p.Text(x, y, 4, role, word)
		}
	}
	if l.Note {
		role = themes.Dim
	}
	p.Zone(0, y, p.W, 1, tapLine(at.line))
	text := s.text(at.line)
	if s.wrap {
		rows := widget.WrapHang(text, s.width, hang)
		if at.row < len(rows) {
			text = rows[at.row]
		}
		if at.row > 0 {
			lead += hang
		}
	} else if s.left > 0 {
		text = widget.Skip(text, s.left)
	}
	p.Text(lead, y, p.W-lead, role, text)
	for _, i := range indexAll(text, s.search) {
		p.PaintPart(lead+widget.Width(text[:i]), y, widget.Width(text[i:i+len(s.search)]), themes.Match)
	}
	if at.line == s.found && at.row == 0 {
		p.Cursor(min(lead, p.W-1), y)
	}
}

// drawLead draws what is before the level: mark, time, host and source. It
// tells where the level begins.
func (s *Screen) drawLead(c *screen.Context, p widget.Pane, y int, l fleet.LogLine) int {
	x := 0
	if len(s.marks) > 0 {
		if s.marked(l) {
			p.Text(0, y, 1, themes.Accent, c.Glyphs.Mark)
		}
		x = 2
	}
	if f := timeForms[s.timesShown(c)]; f != "" {
		x += p.Text(x, y, p.W, themes.Dim, l.At.Local().Format(f)) + 1
	}
	if s.merged() && c.W >= screen.Narrow {
		p.Text(x, y, hostWidth, themes.Accent, l.Host)
		x += hostWidth + 1
		if c.W >= screen.Split {
			p.Text(x, y, nameWidth, themes.Text, l.Name())
			x += nameWidth + 1
		}
	}
	return x
}

// level is the word and the role of a syslog priority.
func level(n int) (string, themes.Role) {
	switch {
	case n <= 2:
		return "CRIT", themes.Fail
	case n == 3:
		return "ERR", themes.Fail
	case n == 4:
		return "warn", themes.Warn
	case n == 5:
		return "note", themes.Text
	case n >= 7:
		return "dbg", themes.Dim
	}
	return "", themes.Text
}

var _ interface {
	screen.Screen
	screen.Finder
	screen.Sieve
	screen.Copier
} = (*Screen)(nil)
