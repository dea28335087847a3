package hostscreen

import (
	"fmt"
	"math"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// charts draws the measured lines one below the other, as many as have room.
func (m *metricsTab) charts(c *screen.Context, st fleet.State, p widget.Pane) {
	var trend []fleet.Point
	for _, v := range st.Trend {
		trend = append(trend, fleet.Point{Value: 100 * v})
	}
	lines := m.lines(st)
	switch {
	case len(lines) > 0:
	case m.err != nil:
		if len(trend) > 1 && p.H > 8 { // what we saw ourselves
			chart(c, p.Sub(0, 0, p.W, 6), fleet.Series{Name: "cpu", Unit: "%", Source: "last readings", Points: trend})
			p = p.Sub(0, 7, p.W, p.H-7)
		}
		doc := widget.Doc{}.Add(p.W, 2, widget.L(themes.Unknown, "? no other charts: ").And(themes.Text, m.err.Error()))
		doc.Draw(p, &widget.Scroll{})
		return
	case m.asking:
		p.Line(0, 0, p.W, widget.L(themes.Dim, c.Glyphs.Asking+" asking for charts"))
		return
	default:
		p.Line(0, 0, p.W, widget.L(themes.Dim, c.Glyphs.None+" nothing was measured in the last hour"))
		return
	}
	cols := columns(len(lines), p.W, p.H)
	rows := (len(lines) + cols - 1) / cols
	each := max(rowsEach, min(7, (p.H+1)/rows))
	w := (p.W - 2*(cols-1)) / cols
	for i, s := range lines {
		row, col := i/cols, i%cols
		if (row+1)*each > p.H+1 {
			break
		}
		chart(c, p.Sub(col*(w+2), row*each, w, each-1), s)
	}
}

// rowsEach is how many rows a chart takes at least, with the one below it.
const rowsEach = 3

// lines are what is drawn: the past, else what was measured since the tab was
// opened.
func (m *metricsTab) lines(st fleet.State) []fleet.Series {
	if len(m.series) > 0 {
		return m.series
	}
	return st.Live
}

// columns is how many charts stand side by side: two where there is no room for
// all of them below one another.
func columns(n, w, h int) int {
	if n*rowsEach > h+1 && w >= 70 {
		return 2
	}
	return 1
}

// height is how many rows the charts get of a narrow screen.
func (m *metricsTab) height(st fleet.State, w, h int) int {
	n := len(m.lines(st))
	if n == 0 || h < 16 {
		return 1
	}
	if columns(n, w, h/2) == 2 {
		return min(h-6, (n+1)/2*rowsEach-1)
	}
	return min(h/2, 5*n)
}

// chart draws a line with its name, its newest and its highest value.
func chart(c *screen.Context, p widget.Pane, s fleet.Series) {
	values := make([]float64, len(s.Points))
	last, high := math.NaN(), math.NaN()
	for i, pt := range s.Points {
		values[i] = pt.Value
		if !math.IsNaN(pt.Value) {
			last = pt.Value
			if math.IsNaN(high) || pt.Value > high {
				high = pt.Value
			}
		}
	}
	used := p.Line(0, 0, p.W, widget.L(themes.Title, s.Name).And(themes.Text, " "+measure(last, s.Unit)).
		And(themes.Dim, "  highest "+measure(high, s.Unit)+span(s)))
	if room := p.W - used - 2; room > 14 || room >= len(s.Source) {
		p.Right(p.W, 0, p.W-used-2, widget.L(themes.Dim, s.Source))
	}
	top := high
	if s.Unit == "%" {
		top = 100
	}
	widget.Chart(p.Sub(0, 1, p.W, p.H-1), values, top)
}

// span is how much time a chart shows, where its points have times.
func span(s fleet.Series) string {
	if len(s.Points) < 2 || s.Points[0].At.IsZero() {
		return ""
	}
	d := s.Points[len(s.Points)-1].At.Sub(s.Points[0].At)
	if d > 2*time.Minute {
		d = d.Round(time.Minute)
	}
	return ", " + words.Age(d)
}

// measure is a value with its unit.
func measure(v float64, unit string) string {
	if math.IsNaN(v) {
		return "?"
	}
	switch unit {
	case "B":
		return words.Bytes(uint64(max(0, v)))
	case "B/s":
		return rate(max(0, v))
	case "%", "°C":
		return fmt.Sprintf("%.0f%s", v, unit)
	}
	return fmt.Sprintf("%.2f%s", v, unit)
}
