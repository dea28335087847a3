package widget

import (
	"cmp"
	"math"
	"strings"

	"github.com/NimbleMarkets/ntcharts/v2/canvas"
	"github.com/NimbleMarkets/ntcharts/v2/canvas/graph"

	"github.com/sextant-fleet/sextant/themes"
)

// Spark draws shares 0…1 as a line of bars, the newest at the right; what was
// not measured (NaN) is blank. Without values it is "".
func Spark(values []float64, width int, g themes.Glyphs) string {
	if len(values) == 0 || width <= 0 {
		return ""
	}
	if len(values) > width {
		values = values[len(values)-width:]
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		b.WriteString(bar(v, g))
	}
	return b.String()
}

// bar is a share as one cell; a share above nothing is never blank.
func bar(share float64, g themes.Glyphs) string {
	if math.IsNaN(share) {
		return " "
	}
	top := len(g.Levels) - 1
	return g.Levels[max(1, min(top, int(math.Ceil(share*float64(top)))))]
}

// Chart draws values from left to right over the pane, scaled from 0 to top: as
// a line in braille where the glyph set has it, else as columns.
func Chart(p Pane, values []float64, top float64) {
	if p.W <= 0 || p.H <= 0 || len(values) == 0 {
		return
	}
	if top <= 0 {
		top = 1
	}
	if p.Glyphs().Braille {
		braille(p, values, top)
		return
	}
	for x, v := range spread(values, p.W) {
		column(p, x, v/top)
	}
}

// ChartDoc is a chart as lines of a document.
func ChartDoc(w, h int, values []float64, top float64, g themes.Glyphs) Doc {
	canvas := NewCanvas(w, h, nil, g)
	Chart(canvas.Pane(), values, top)
	var d Doc
	for y := range canvas.h {
		var b strings.Builder
		for _, c := range canvas.cells[y*canvas.w : (y+1)*canvas.w] {
			b.WriteString(cmp.Or(c.text, " "))
		}
		d = append(d, Row{Line: L(themes.Chart, strings.TrimRight(b.String(), " "))})
	}
	return d
}

// spread gives n values, the mean of what falls on each; NaN where nothing was
// measured.
func spread(values []float64, n int) []float64 {
	sum, count := make([]float64, n), make([]float64, n)
	for i, v := range values {
		if !math.IsNaN(v) {
			at := min(n-1, i*n/max(1, len(values)))
			sum[at], count[at] = sum[at]+v, count[at]+1
		}
	}
	last := math.NaN()
	for i := range sum {
		if count[i] > 0 {
			last = sum[i] / count[i]
			sum[i] = last
			continue
		}
		sum[i] = math.NaN()
		if len(values) < n { // fewer values than columns: each lasts to the next
			sum[i] = last
		}
	}
	return sum
}

// column draws one share as a bar of the pane's height.
func column(p Pane, x int, share float64) {
	if math.IsNaN(share) {
		return
	}
	rest := min(1, share) * float64(p.H)
	for y := p.H - 1; y >= 0 && (rest > 0 || y == p.H-1); y-- {
		p.Text(x, y, 1, themes.Chart, bar(min(1, rest), p.Glyphs()))
		rest--
	}
}

// braille draws values as a line of dots, joined to the one before.
func braille(p Pane, values []float64, top float64) {
	grid := graph.NewBrailleGrid(p.W, p.H, 0, float64(2*p.W-1), 0, top)
	var before *canvas.Point
	for x, v := range spread(values, 2*p.W) {
		if math.IsNaN(v) {
			before = nil
			continue
		}
		at := grid.GridPoint(canvas.Float64Point{X: float64(x), Y: math.Max(0, math.Min(top, v))})
		grid.Set(at)
		if before != nil {
			for _, between := range graph.GetLinePoints(*before, at) {
				grid.Set(between)
			}
		}
		before = &at
	}
	for y, row := range grid.BraillePatterns() {
		for x, r := range row {
			if r != 0 && r != '\u2800' {
				p.Text(x, y, 1, themes.Chart, string(r))
			}
		}
	}
}
