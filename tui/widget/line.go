package widget

import (
	"strings"

	"github.com/sextant-fleet/sextant/themes"
)

// Span is a piece of text in one role.
type Span struct {
	Role themes.Role
	Text string
}

// Line is a line of spans.
type Line []Span

// L makes a line of one span.
func L(role themes.Role, text string) Line { return Line{{role, text}} }

// T makes a line of ordinary text.
func T(text string) Line { return Line{{themes.Text, text}} }

// And gives the line with another span after it.
func (l Line) And(role themes.Role, text string) Line {
	if text == "" {
		return l
	}
	return append(l[:len(l):len(l)], Span{role, text})
}

// Join gives the line with another line after it.
func (l Line) Join(other Line) Line { return append(l[:len(l):len(l)], other...) }

// String is the text without roles.
func (l Line) String() string {
	if len(l) == 1 {
		return l[0].Text
	}
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Width is how many cells the line takes.
func (l Line) Width() int {
	n := 0
	for _, s := range l {
		n += Width(s.Text)
	}
	return n
}

// Line draws a line of spans in at most w cells, and gives how many it took.
func (p Pane) Line(x, y, w int, l Line) int {
	used := 0
	for i, s := range l {
		room := min(w, p.W-x) - used
		if room <= 0 {
			break
		}
		if rest := l[i+1:]; len(rest) > 0 && rest.Width() > 0 && Width(s.Text) >= room {
			p.Text(x+used, y, room, s.Role, s.Text+p.canvas.glyphs.Ellipsis)
			return used + room
		}
		used += p.Text(x+used, y, room, s.Role, s.Text)
	}
	return used
}

// Right draws a line of spans so that it ends before x, in at most w cells.
func (p Pane) Right(x, y, w int, l Line) int {
	n := min(l.Width(), w, x)
	return p.Line(x-n, y, n, l)
}

// WrapLine breaks a line of spans at spaces into lines of at most width cells;
// all but the first are indented.
func WrapLine(l Line, width, indent int) []Line {
	if width < 1 {
		return nil
	}
	indent = min(indent, width/2)
	tidy := make(Line, len(l))
	for i, s := range l {
		tidy[i] = Span{s.Role, clean(s.Text)}
	}
	full := tidy.String()
	var out []Line
	for at := 0; at < len(full) || len(out) == 0; {
		var lead Line
		if len(out) > 0 && indent > 0 {
			lead = T(strings.Repeat(" ", indent))
		}
		head, rest := breakLine(full[at:], width-lead.Width())
		out = append(out, lead.Join(tidy.slice(at, at+len(head))))
		at = len(full) - len(strings.TrimLeft(rest, " "))
	}
	return out
}

// slice gives the bytes from…to of a line, with their roles.
func (l Line) slice(from, to int) Line {
	var out Line
	at := 0
	for _, s := range l {
		a, b := max(from, at)-at, min(to, at+len(s.Text))-at
		if a < b {
			out = append(out, Span{s.Role, s.Text[a:b]})
		}
		at += len(s.Text)
	}
	return out
}
