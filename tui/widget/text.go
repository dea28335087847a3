package widget

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxMarks bounds the runes of one cell: a letter may carry a few accents, not
// a tower of them that covers other rows.
const maxMarks = 4

// next takes the first cell's worth of text off clean text: what is drawn, how
// many cells it takes (0: nothing is drawn) and how many bytes were used.
//
// Terminals disagree on the width of joined emoji and the like. A cluster is
// only let through as it is where counting by cluster and counting by rune
// agree; of others the first rune is drawn alone. So no line is ever shifted.
func next(s string) (cell string, width, bytes int) {
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return s[:1], 1, 1
	}
	cluster, width := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	bytes = len(cluster)
	base, size := utf8.DecodeRuneInString(cluster)
	if size == bytes {
		return one(cluster, base)
	}
	if n := utf8.RuneCountInString(cluster); n <= maxMarks && width > 0 && width <= 2 && ansi.StringWidthWc(cluster) == width && !selects(cluster) {
		return cluster, width, bytes
	}
	cell, width, _ = one(cluster[:size], base)
	return cell, width, bytes
}

// one is the cell of a rune alone.
func one(cell string, r rune) (_ string, width, bytes int) {
	bytes = len(cell)
	if sign(r) {
		return cell, 1, bytes
	}
	width = ansi.StringWidthWc(cell)
	if width != ansi.StringWidth(cell) || width > 2 {
		return "\uFFFD", 1, bytes
	}
	if width == 0 || unicode.Is(unicode.M, r) { // an accent with nothing below it: it would join what is before
		return "", 0, bytes
	}
	return cell, width, bytes
}

// selects tells whether a cluster holds a variation selector, on which
// terminals disagree most.
func selects(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Variation_Selector, r) })
}

// sign tells whether a rune is one of the signs and letters that are one cell
// wide everywhere and do nothing: Latin ones, arrows, lines, blocks, braille.
func sign(r rune) bool {
	return r >= 0xa1 && r < 0x300 && r != 0xad || r >= 0x2010 && r <= 0x2027 || r >= 0x2190 && r < 0x2300 || r >= 0x2500 && r < 0x25fd || r >= 0x2800 && r < 0x2900
}

// clean is fleet.Clean, without its cost where there is nothing to clean.
func clean(s string) string {
	for _, r := range s {
		if (r < 0x20 || r > 0x7e) && !sign(r) {
			return fleet.Clean(s)
		}
	}
	return s
}

// plain tells whether text is printable ASCII, as most is: then bytes are cells.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// Width is how many cells text takes when it is drawn.
func Width(s string) int {
	if plain(s) {
		return len(s)
	}
	s, n := clean(s), 0
	for len(s) > 0 {
		_, w, b := next(s)
		n, s = n+w, s[b:]
	}
	return n
}

// Cut gives the longest beginning of text that fits in width cells, and
// whether anything was left out.
func Cut(s string, width int) (head string, cut bool) {
	if width = max(width, 0); len(s) <= width && plain(s) {
		return s, false
	} else if len(s) > width && plain(s[:width+1]) {
		return s[:width], true
	}
	s = clean(s)
	var b strings.Builder
	for len(s) > 0 {
		cell, w, n := next(s)
		if w > width {
			return b.String(), true
		}
		b.WriteString(cell)
		width, s = width-w, s[n:]
	}
	return b.String(), false
}

// Fit cuts text to width cells, with the ellipsis where something was cut.
func Fit(s string, width int, ellipsis string) string {
	if width <= 0 {
		return ""
	}
	head, cut := Cut(s, width)
	if !cut {
		return head
	}
	head, _ = Cut(head, width-1)
	return head + ellipsis
}

// Wrap breaks text into lines of at most width cells, at spaces where it can.
func Wrap(s string, width int) []string { return WrapHang(s, width, 0) }

// WrapHang is Wrap with all lines but the first narrower, as room to indent them.
func WrapHang(s string, width, hang int) []string {
	s = clean(s)
	if width-hang < 1 {
		return nil
	}
	var lines []string
	for len(s) > 0 {
		room := width
		if len(lines) > 0 {
			room -= hang
		}
		head, rest := breakLine(s, room)
		lines = append(lines, head)
		s = strings.TrimLeft(rest, " ")
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

// fits tells whether the first word has at most width cells. It looks no further: what a
// host prints may be one word of many thousands.
func fits(s string, width int) bool {
	for s != "" && s[0] != ' ' {
		_, w, n := next(s)
		if width -= w; width < 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// joints are where a long word may be broken: after them.
const joints = "-/.,:;=_@&?"

// breakLine splits clean text after at most width cells, at a space where one is far
// enough along the line, else behind a joint of a long word (a name of a unit, a path),
// where the next line holds the rest of it.
func breakLine(s string, width int) (head, rest string) {
	used, at, space, joint := 0, 0, -1, -1
	for at < len(s) {
		cell, w, n := next(s[at:])
		if used+w > width {
			break
		}
		if cell == " " {
			space = at
		}
		used, at = used+w, at+n
		if cell != "" && strings.Contains(joints, cell) && used >= width/2 {
			joint = at
		}
	}
	switch {
	case at == len(s):
		return s, ""
	case s[at] == ' ':
		return s[:at], s[at:]
	case space > 0 && Width(s[:space]) >= width/3:
		return s[:space], s[space:]
	case joint > 0 && fits(s[joint:], width):
		return s[:joint], s[joint:]
	case at == 0: // a wide rune that does not fit at all
		_, _, n := next(s)
		return "", s[n:]
	}
	return s[:at], s[at:]
}

// Skip gives clean text without its first cells.
func Skip(s string, cells int) string {
	s = clean(s)
	for len(s) > 0 && cells > 0 {
		_, w, n := next(s)
		s, cells = s[n:], cells-w
	}
	return s
}
