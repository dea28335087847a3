package widget

import (
	"strconv"

	"github.com/sextant-fleet/sextant/themes"
)

// Column of a table. Where the table is too narrow, columns with the highest
// Drop go first; Drop 0 always stays.
type Column struct {
	Title string
	Width int
	Max   int // may grow up to it where there is room; 0: does not grow
	Drop  int
	Right bool // numbers: aligned to the right
}

// Table draws a list in columns, or as two lines a row.
type Table struct {
	Columns []Column
	Tall    bool                    // two lines a row: cells 0 and 1 are the lines' right ends, see Lines
	Cells   func(id string) []Line  // one a column
	Lines   func(id string) [2]Line // for Tall
	Empty   []Line                  // what is said when there are no rows
	Target  func(id string) any     // what tapping a row means
	Head    func(column int) any    // what tapping a heading means; nil: nothing
	Plain   func(id string) bool    // rows that are dimmed
	Group   func(id string) Line    // what stands above the rows of a group, which follow one another; nil: there are none
}

// gutter is the room for the cursor and the mark, left of a row.
const gutter = 2

// gap is the room between columns.
const gap = 1

// Draw draws the table with its heading; only rows that are visible are asked for.
func (t Table) Draw(p Pane, l *List) {
	if l.Len() == 0 {
		l.Window(max(0, p.H-1))
		Flow(t.Empty, p.W-gutter).Draw(p.Sub(1, min(1, p.H-1), p.W-1, p.H-1), &Scroll{})
		return
	}
	if t.Tall {
		t.drawTall(p, l)
		return
	}
	cols := t.fit(p.W - gutter)
	x := gutter
	for i, c := range t.Columns {
		if cols[i] == 0 {
			continue
		}
		drawCell(p, x, 0, cols[i], c.Right, L(themes.Dim, c.Title))
		if t.Head != nil {
			p.Zone(x, 0, cols[i], 1, t.Head(i))
		}
		x += cols[i] + gap
	}
	body := p.Sub(0, 1, p.W, p.H-1)
	from, to := t.rows(body, l, 1, func(y, i int) { t.drawRow(body, y, l, i, cols) })
	if from > 0 || to < l.Len() {
		t.more(p, l, cols)
	}
}

// rows draws the rows that fit, of so many lines each, below the heads of their groups.
func (t Table) rows(p Pane, l *List, lines int, draw func(y, i int)) (from, to int) {
	if t.Group == nil {
		from, to = l.Window(p.H / lines)
		for i := from; i < to; i++ {
			draw((i-from)*lines, i)
		}
		return from, to
	}
	head := func(i int, first bool) (Line, bool) {
		g := t.Group(l.At(i))
		return g, first || g.String() != t.Group(l.At(i-1)).String()
	}
	from, to = l.Fitting(p.H, func(i int, first bool) int {
		if _, heads := head(i, first); heads {
			return lines + 1
		}
		return lines
	})
	y := 0
	for i := from; i < to; i++ {
		if g, heads := head(i, i == from); heads {
			p.Line(1, y, p.W-1, g)
			y++
		}
		draw(y, i)
		y += lines
	}
	return from, to
}

func (t Table) drawRow(p Pane, y int, l *List, i int, cols []int) {
	id, x := l.At(i), gutter
	for n, cell := range t.Cells(id) {
		if n >= len(cols) || cols[n] == 0 {
			continue
		}
		drawCell(p, x, y, cols[n], t.Columns[n].Right, cell)
		x += cols[n] + gap
	}
	t.gutter(p, y, 1, l, i)
}

func (t Table) drawTall(p Pane, l *List) {
	t.rows(p, l, 2, func(y, i int) {
		for n, line := range t.Lines(l.At(i)) {
			p.Line(gutter, y+n, p.W-gutter, line)
		}
		t.gutter(p, y, 2, l, i)
	})
}

// gutter draws the cursor and the mark of a row and makes it tappable.
func (t Table) gutter(p Pane, y, h int, l *List, i int) {
	id := l.At(i)
	if l.Marked(id) {
		p.Text(1, y, 1, themes.Marked, p.Glyphs().Mark)
	}
	if t.Target != nil {
		p.Zone(0, y, p.W, h, t.Target(id))
	}
	if i != l.Cursor() {
		return
	}
	p.Text(0, y, 1, themes.Text, p.Glyphs().Cursor)
	for n := range h {
		p.Paint(y+n, themes.Selection)
	}
	p.Cursor(0, y)
}

// legible is how much of a span there must be room for, or it is left out.
const legible = 8

// drawCell draws a cell's spans in a column. Where they do not fit, the first ones
// are what matters, and the last of them is cut.
func drawCell(p Pane, x, y, w int, right bool, cell Line) {
	for len(cell) > 1 && cell.Width() > w && w-cell[:len(cell)-1].Width() < legible {
		cell = cell[:len(cell)-1]
	}
	if right {
		if n := cell.Width(); n < w {
			x, w = x+w-n, n
		}
	}
	p.Line(x, y, w, cell)
}

// Height is how many lines all rows of a list take, with the head.
func (t Table) Height(l *List) int {
	if t.Tall {
		return 2 * l.Len()
	}
	return 1 + l.Len()
}

// MinWidth is the width at which no column is dropped.
func (t Table) MinWidth() int {
	n := gutter - gap
	for _, c := range t.Columns {
		n += c.Width + gap
	}
	return n
}

// fit gives every column its width, 0 to those that are dropped.
func (t Table) fit(room int) []int {
	cols := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = c.Width
	}
	for need(cols) > room {
		worst := -1
		for i, c := range t.Columns {
			if cols[i] > 0 && c.Drop > 0 && (worst < 0 || c.Drop >= t.Columns[worst].Drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		cols[worst] = 0
	}
	for grown := true; grown; {
		grown = false
		for i, c := range t.Columns {
			if cols[i] > 0 && cols[i] < c.Max && need(cols) < room {
				cols[i]++
				grown = true
			}
		}
	}
	return cols
}

func need(cols []int) int {
	n := 0
	for _, w := range cols {
		if w > 0 {
			n += w + gap
		}
	}
	return max(0, n-gap)
}

// more tells in the heading which row of how many the cursor is on, as far to the
// right as no title stands, with a blank on either side but at the edge.
func (t Table) more(p Pane, l *List, cols []int) {
	text := " " + strconv.Itoa(l.Cursor()+1) + "/" + strconv.Itoa(l.Len())
	width := func(end int) int { return len(text) + min(1, p.W-end) }
	end, free := p.W, p.W // free ends the room that is looked at, which begins after a title
	for i, x := len(cols)-1, gutter+need(cols)+gap; i >= 0; i-- {
		if cols[i] == 0 {
			continue
		}
		x -= cols[i] + gap
		title := min(L(themes.Dim, t.Columns[i].Title).Width(), cols[i])
		from := x
		if t.Columns[i].Right {
			from = x + cols[i] - title
		}
		if title > 0 && free-from-title >= width(free) {
			end = free
			break
		}
		if title > 0 {
			free = min(from, p.W)
		}
	}
	p.Right(end, 0, width(end), L(themes.Dim, (text + " ")[:width(end)]))
}
