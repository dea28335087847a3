package logscreen

import (
	"strings"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// scroll moves as the keys say; it tells whether id is such a key. Scrolling
// up stops following, reaching the end starts it again.
func (s *Screen) scroll(id string) bool {
	page := max(1, s.rows-1)
	switch id {
	case "up":
		s.by(-1)
	case "down":
		s.by(1)
	case "page-up":
		s.by(-page)
	case "page-down":
		s.by(page)
	case "top":
		s.follow, s.top = false, s.clampUp(place{s.ring.first, 0})
	case "bottom":
		s.setFollow(!s.detached)
	default:
		return false
	}
	return true
}

// by moves by n rows.
func (s *Screen) by(n int) {
	if s.follow && n > 0 {
		return
	}
	s.top, s.follow = s.first(nil), false
	for ; n < 0; n++ {
		s.top = s.up(s.top)
	}
	for ; n > 0; n-- {
		s.top = s.down(s.top)
	}
	if last := s.bottom(s.rows); !s.top.before(last) && n == 0 {
		if s.top = last; !s.detached { // else the newest is elsewhere
			s.setFollow(true)
		}
	}
}

func (p place) before(q place) bool {
	return p.line < q.line || p.line == q.line && p.row < q.row
}

// first is the row that is drawn first.
func (s *Screen) first(*screen.Context) place {
	if s.follow {
		return s.bottom(s.rows)
	}
	return s.clampUp(s.top)
}

// clampUp gives the first row at or after a place that is shown.
func (s *Screen) clampUp(p place) place {
	if p.line < s.ring.first {
		p = place{s.ring.first, 0}
	}
	if p.line >= s.ring.end() { // the log was read anew, and is shorter
		return s.bottom(s.rows)
	}
	for p.line < s.ring.end() && !s.shown(p.line) {
		p = place{p.line + 1, 0}
	}
	return p
}

// bottom is the first row of the last screenful.
func (s *Screen) bottom(rows int) place {
	p := place{s.ring.end(), 0}
	for range rows {
		up := s.up(p)
		if up == p {
			break
		}
		p = up
	}
	return p
}

// up is the row before, or the same at the beginning.
func (s *Screen) up(p place) place {
	if p.row > 0 {
		return place{p.line, p.row - 1}
	}
	for n := min(p.line, s.ring.end()) - 1; n >= s.ring.first; n-- {
		if s.shown(n) {
			return place{n, s.height(n) - 1}
		}
	}
	return p
}

// down is the row after; the end of the log comes after the last.
func (s *Screen) down(p place) place {
	if p.line < s.ring.end() && p.row+1 < s.height(p.line) {
		return place{p.line, p.row + 1}
	}
	n := p.line + 1
	for n < s.ring.end() && !s.shown(n) {
		n++
	}
	return place{min(n, s.ring.end()), 0}
}

// shown tells whether a line is let through.
func (s *Screen) shown(n int) bool {
	l := s.ring.at(n)
	if l.Note {
		return true
	}
	return l.Level <= levels[s.level].most && (!s.only || s.search == "" || matches(l, s.search)) && s.sifted(l)
}

// sifted tells whether the filter lets a line through: it has the text, or
// where that begins with "!" it has not.
func (s *Screen) sifted(l fleet.LogLine) bool {
	want, out := strings.CutPrefix(s.sieve, "!")
	return want == "" || matches(l, want) != out
}

// height is how many rows a line takes.
func (s *Screen) height(n int) int {
	text := s.text(n)
	if !s.wrap || len(text) <= s.width { // no more bytes than cells: one row
		return 1
	}
	return len(widget.WrapHang(text, s.width, hang))
}

// text is what is shown of a line.
func (s *Screen) text(n int) string {
	l := s.ring.at(n)
	text := l.Text
	if s.words && l.Level <= 4 && !l.Note {
		word, _ := level(l.Level)
		text = word + " " + text
	}
	if s.words && s.merged() {
		text = l.Host + " " + l.Name() + ": " + text
	}
	return text
}

// matches tells whether a line has the text; capitals count only when the text
// has some.
func matches(l fleet.LogLine, text string) bool { return len(indexAll(l.Text, text)) > 0 }

// indexAll are the byte offsets at which text is found.
func indexAll(s, text string) []int {
	if text == "" {
		return nil
	}
	if !strings.ContainsFunc(text, unicode.IsUpper) {
		lower := strings.ToLower(s)
		if len(lower) != len(s) { // some letters change their length: then case counts
			lower = s
		}
		s = lower
	}
	var out []int
	for at := 0; ; {
		i := strings.Index(s[at:], text)
		if i < 0 {
			return out
		}
		out = append(out, at+i)
		at += i + len(text)
	}
}

// find goes to the next or the previous line that matches, from the one found
// last or from the screen.
func (s *Screen) find(step int) screen.Effect {
	if s.search == "" {
		return screen.Flash{Level: fleet.Info, Text: "nothing is searched for; / does"}
	}
	from := s.found
	if from < s.ring.first || from >= s.ring.end() {
		from = s.first(nil).line - 1
		if step < 0 {
			from = s.ring.end()
		}
	}
	if n, ok := s.seek(from+step, step); ok {
		s.show(n)
		return nil
	}
	again, where := s.ring.first, "beginning"
	if step < 0 {
		again, where = s.ring.end()-1, "end"
	}
	if n, ok := s.seek(again, step); ok {
		s.show(n)
		return screen.Flash{Level: fleet.Info, Text: "the search goes on from the " + where}
	}
	return screen.Flash{Level: fleet.Info, Text: "no line with " + s.search}
}

// seek is the next line that matches, from a line on.
func (s *Screen) seek(n, step int) (int, bool) {
	for ; n >= s.ring.first && n < s.ring.end(); n += step {
		if matches(s.ring.at(n), s.search) {
			return n, true
		}
	}
	return 0, false
}

// show brings a line into the middle of the screen.
func (s *Screen) show(n int) {
	s.found = n
	first := s.first(nil)
	last := first
	for range s.rows - 1 {
		last = s.down(last)
	}
	if n >= first.line && n < last.line || n == last.line && last.row == s.height(n)-1 {
		if n < s.ring.end()-1 {
			s.top, s.follow = first, false
		}
		return
	}
	s.center(n)
}

// center brings a line into the middle, wherever it is.
func (s *Screen) center(n int) {
	s.found, s.follow, s.top = n, false, place{n, 0}
	for range s.rows / 2 {
		s.top = s.up(s.top)
	}
	if end := s.bottom(s.rows); end.before(s.top) {
		s.top = end
	}
}
