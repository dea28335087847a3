package widget

import (
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// cell is one cell of the screen. A wide rune fills two: the second is held.
type cell struct {
	text string // "": blank
	role themes.Role
	held bool
	link uint16 // of the canvas' links, from 1; 0: none
}

// Canvas is a screen being drawn. Text is only ever put into cells, so that
// nothing a host says can move the cursor or leave its place.
type Canvas struct {
	w, h   int
	cells  []cell
	zones  []zone
	theme  *themes.Theme
	glyphs themes.Glyphs
	cursor *Point
	links  []string
	linked bool
}

// Point is a place on the screen, from 0.
type Point struct{ X, Y int }

type zone struct {
	x0, y0, x1, y1 int
	target         any
}

// NewCanvas makes a blank screen.
func NewCanvas(w, h int, theme *themes.Theme, glyphs themes.Glyphs) *Canvas {
	return &Canvas{w: max(w, 0), h: max(h, 0), cells: make([]cell, max(w, 0)*max(h, 0)), theme: theme, glyphs: glyphs}
}

// Linked has the canvas write links for terminals that know them (OSC 8); else only
// the text of them is there.
func (c *Canvas) Linked(on bool) *Canvas {
	c.linked = on
	return c
}

// Pane is the whole canvas as a pane.
func (c *Canvas) Pane() Pane { return Pane{canvas: c, W: c.w, H: c.h} }

// Cursor is where the terminal's cursor belongs, if anywhere.
func (c *Canvas) Cursor() (Point, bool) {
	if c.cursor == nil {
		return Point{}, false
	}
	return *c.cursor, true
}

// Hit finds what was drawn last at a place that can be tapped.
func (c *Canvas) Hit(x, y int) any {
	for i := len(c.zones) - 1; i >= 0; i-- {
		if z := c.zones[i]; x >= z.x0 && x < z.x1 && y >= z.y0 && y < z.y1 {
			return z.target
		}
	}
	return nil
}

// String gives the screen as lines with the escape sequences of their roles.
func (c *Canvas) String() string {
	var b strings.Builder
	b.Grow(len(c.cells) + 32*c.h)
	for y := range c.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		c.line(&b, c.cells[y*c.w:(y+1)*c.w])
	}
	return b.String()
}

func (c *Canvas) line(b *strings.Builder, row []cell) {
	sgr, link := "", uint16(0)
	for _, cl := range row[:c.used(row)] {
		if cl.held {
			continue
		}
		if cl.link != link {
			link = cl.link
			c.lead(b, link)
		}
		if want := c.theme.SGR(cl.role); want != sgr {
			if sgr != "" {
				b.WriteString("\x1b[m")
			}
			b.WriteString(want)
			sgr = want
		}
		if cl.text == "" {
			b.WriteByte(' ')
		} else {
			b.WriteString(cl.text)
		}
	}
	if link != 0 {
		c.lead(b, 0)
	}
	if sgr != "" {
		b.WriteString("\x1b[m")
	}
}

// lead begins a link, or with 0 ends it. What stands in one was held to be fit for
// it where it was put in.
func (c *Canvas) lead(b *strings.Builder, link uint16) {
	b.WriteString("\x1b]8;;")
	if link > 0 {
		b.WriteString(c.links[link-1])
	}
	b.WriteString("\x1b\\")
}

// used is the length of a row without the blank cells at its end.
func (c *Canvas) used(row []cell) int {
	n := len(row)
	for n > 0 && (row[n-1].text == "" || row[n-1].text == " ") && !row[n-1].held && c.theme.SGR(row[n-1].role) == "" {
		n--
	}
	return n
}

// Pane is a rectangle of a canvas with its own coordinates. What is drawn
// outside of it is not drawn.
type Pane struct {
	canvas *Canvas
	x, y   int
	W, H   int
}

// Glyphs are the signs to draw with.
func (p Pane) Glyphs() themes.Glyphs { return p.canvas.glyphs }

// Sub is a rectangle of the pane, cut to fit.
func (p Pane) Sub(x, y, w, h int) Pane {
	x, y = min(max(x, 0), p.W), min(max(y, 0), p.H)
	return Pane{canvas: p.canvas, x: p.x + x, y: p.y + y, W: max(0, min(w, p.W-x)), H: max(0, min(h, p.H-y))}
}

// Text is the one function that writes cells. It cleans text, draws at most w
// cells of it from x on line y, with an ellipsis where it was cut, and gives
// how many cells it took.
func (p Pane) Text(x, y, w int, role themes.Role, s string) int {
	if y < 0 || y >= p.H || x < 0 || x >= p.W {
		return 0
	}
	w = min(w, p.W-x)
	if w <= 0 || s == "" {
		return 0
	}
	s = Fit(s, w, p.canvas.glyphs.Ellipsis)
	at := x
	for len(s) > 0 {
		text, cells, n := next(s)
		s = s[n:]
		if cells == 0 {
			continue
		}
		p.put(at, y, text, cells, role)
		at += cells
	}
	return at - x
}

// put writes one cell, or two for a wide rune, and mends a wide rune that it
// covers half of.
func (p Pane) put(x, y int, text string, cells int, role themes.Role) {
	row := p.canvas.cells[(p.y+y)*p.canvas.w : (p.y+y+1)*p.canvas.w]
	at := p.x + x
	if row[at].held && at > 0 {
		row[at-1].text = ""
	}
	if end := at + cells; end < len(row) && row[end].held {
		row[end] = cell{role: row[end].role}
	}
	row[at] = cell{text: text, role: role}
	if cells == 2 {
		row[at+1] = cell{role: role, held: true}
	}
}

// Fill blanks the pane in a role.
func (p Pane) Fill(role themes.Role) {
	for y := range p.H {
		for x := range p.W {
			p.put(x, y, "", 1, role)
		}
	}
}

// Paint gives a line's cells a role, keeping what is written there.
func (p Pane) Paint(y int, role themes.Role) { p.PaintPart(0, y, p.W, role) }

// PaintPart gives w cells from x on a role, keeping what is written there.
func (p Pane) PaintPart(x, y, w int, role themes.Role) {
	if y < 0 || y >= p.H {
		return
	}
	for i := max(0, x); i < min(p.W, x+w); i++ {
		p.canvas.cells[(p.y+y)*p.canvas.w+p.x+i].role = role
	}
}

// Zone makes lines y to y+h, from x for w cells, something that can be tapped.
func (p Pane) Zone(x, y, w, h int, target any) {
	s := p.Sub(x, y, w, h)
	if s.W > 0 && s.H > 0 && target != nil {
		p.canvas.zones = append(p.canvas.zones, zone{s.x, s.y, s.x + s.W, s.y + s.H, target})
	}
}

// maxLinks bounds the links of one screen.
const maxLinks = 1000

// Link makes w cells from x on lead to a page. Only what [fleet.WebLink] lets
// through becomes a link.
func (p Pane) Link(x, y, w int, address string) {
	c := p.canvas
	if address = fleet.WebLink(address); address == "" || !c.linked || y < 0 || y >= p.H {
		return
	}
	n := slices.Index(c.links, address)
	if n < 0 {
		if n = len(c.links); n == maxLinks {
			return
		}
		c.links = append(c.links, address)
	}
	for i := max(0, x); i < min(p.W, x+w); i++ {
		c.cells[(p.y+y)*c.w+p.x+i].link = uint16(n + 1) //nolint:gosec // no more than maxLinks
	}
}

// Cursor puts the terminal's cursor on a cell of the pane.
func (p Pane) Cursor(x, y int) {
	if x >= 0 && y >= 0 && x < p.W && y < p.H {
		p.canvas.cursor = &Point{p.x + x, p.y + y}
	}
}

// NoCursor takes the cursor away from what was drawn below.
func (p Pane) NoCursor() { p.canvas.cursor = nil }
