package hostscreen

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// charts draws the measured lines one below the other, as many as have room, with
// the time and what happened in it below them.
func (m *metricsTab) charts(c *screen.Context, st fleet.State, p widget.Pane) {
	lines := m.lines(st)
	if len(lines) == 0 {
		m.noCharts(c, st, p)
		return
	}
	if len(m.series) > 0 {
		drawNames(p.Sub(0, 0, p.W, 1), windowNames(), m.at)
		if m.err != nil { // what is drawn is of before
			p.Right(p.W, 0, p.W-14, widget.L(themes.Unknown, "? ").And(themes.Text, m.err.Error()))
		}
		p = p.Sub(0, 1, p.W, p.H-1)
	}
	from, to := spanOf(lines, c.Now)
	if len(m.series) == 0 {
		to = lastOf(lines)
	}
	marks := marksOf(c, st, from, to)
	cols := columns(len(lines), p.W, p.H)
	w := (p.W - 2*(cols-1)) / cols
	texts := newestMarks(c, marks, min(3, p.H/8))
	below := min(2, p.H/4) + len(texts)
	for col := range cols {
		axis(c, p.Sub(col*(w+2), p.H-below, w, below-len(texts)), from, to, marks)
	}
	for i, l := range texts {
		p.Line(0, p.H-len(texts)+i, p.W, l)
	}
	m.rowsOf(c, p.Sub(0, 0, p.W, p.H-below), lines, cols, w, from, to)
}

// rowsOf draws the charts that are scrolled to.
func (m *metricsTab) rowsOf(c *screen.Context, p widget.Pane, lines []fleet.Series, cols, w int, from, to time.Time) {
	m.rows = (len(lines) + cols - 1) / cols
	m.shown = max(1, min(m.rows, (p.H+1)/rowsEach))
	each := max(rowsEach, min(7, (p.H+1)/m.shown))
	m.first = max(0, min(m.first, m.rows-m.shown))
	for i, s := range lines[m.first*cols:] {
		row, col := i/cols, i%cols
		if row >= m.shown {
			break
		}
		chart(c, p.Sub(col*(w+2), row*each, w, each-1), s, from, to)
	}
	if m.first > 0 {
		p.Text(p.W-1, 0, 1, themes.Accent, c.Glyphs.Up)
	}
	if m.first+m.shown < m.rows {
		p.Text(p.W-1, p.H-1, 1, themes.Accent, c.Glyphs.Down)
	}
}

func windowNames() []string {
	var names []string
	for _, w := range windows {
		names = append(names, w.name)
	}
	return names
}

// noCharts says why there are none.
func (m *metricsTab) noCharts(c *screen.Context, st fleet.State, p widget.Pane) {
	var trend []fleet.Point
	for _, v := range st.Trend {
		trend = append(trend, fleet.Point{Value: 100 * v})
	}
	switch {
	case m.err != nil:
		if len(trend) > 1 && p.H > 8 { // what we saw ourselves
			chart(c, p.Sub(0, 0, p.W, 6), fleet.Series{Name: "cpu", Unit: "%", Source: "last readings", Points: trend}, time.Time{}, time.Time{})
			p = p.Sub(0, 7, p.W, p.H-7)
		}
		doc := widget.Doc{}.Add(p.W, 2, widget.L(themes.Unknown, "? no other charts: ").And(themes.Text, m.err.Error()))
		if cure := fleet.Cure(m.err); cure != "" {
			doc = doc.Add(p.W, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, cure))
		}
		doc.Draw(p, &widget.Scroll{})
	case m.asking:
		drawNames(p.Sub(0, 0, p.W, 1), windowNames(), m.at)
		p.Line(0, 1, p.W, widget.L(themes.Dim, c.Glyphs.Asking+" asking for charts"))
	default:
		drawNames(p.Sub(0, 0, p.W, 1), windowNames(), m.at)
		p.Line(0, 1, p.W, widget.L(themes.Dim, c.Glyphs.None+" nothing was measured in the last "+windows[m.at].name))
	}
}

// lastOf is when the newest of some series was measured.
func lastOf(lines []fleet.Series) time.Time {
	var last time.Time
	for _, s := range lines {
		if n := len(s.Points); n > 0 && s.Points[n-1].At.After(last) {
			last = s.Points[n-1].At
		}
	}
	return last
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

// height is how many rows the charts get of a narrow screen: the values have more
// where there is room for all.
func (m *metricsTab) height(st fleet.State, _, h int) int {
	n := len(m.lines(st))
	if n == 0 || h < 16 {
		return min(h, 2)
	}
	return min(max(h-15, min(h-7, h*6/10)), 5*n+6)
}

// chart draws a line with its name, its newest and its highest value, on the time
// from … to; points without a time are drawn one after the other.
func chart(c *screen.Context, p widget.Pane, s fleet.Series, from, to time.Time) {
	values := make([]float64, len(s.Points))
	for i, pt := range s.Points {
		values[i] = pt.Value
	}
	last, high := lastAndHighest(s)
	used := p.Line(0, 0, p.W, widget.L(themes.Title, s.Name).And(themes.Text, " "+measure(last, s.Unit)).
		And(themes.Dim, "  highest "+measure(high, s.Unit)+span(s)))
	if room := p.W - used - 2; room > 14 || room >= len(s.Source) {
		p.Right(p.W, 0, p.W-used-2, widget.L(themes.Dim, s.Source))
	}
	if to.After(from) {
		values = onTime(s.Points, from, to, 2*p.W)
	}
	widget.Chart(p.Sub(0, 1, p.W, p.H-1), values, topOf(s, high))
}

// lastAndHighest are the newest and the highest value; NaN where none was measured.
func lastAndHighest(s fleet.Series) (last, high float64) {
	last, high = math.NaN(), math.NaN()
	for _, pt := range s.Points {
		if !math.IsNaN(pt.Value) {
			last = pt.Value
			if math.IsNaN(high) || pt.Value > high {
				high = pt.Value
			}
		}
	}
	return last, high
}

// topOf is the value at the top of a chart: what a share can be at most, but of
// pressure, which is much when it is a tenth.
func topOf(s fleet.Series, high float64) float64 {
	switch {
	case s.Unit != "%":
		return high
	case strings.HasPrefix(s.Name, "pressure "):
		return max(10, high)
	}
	return 100
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
	case "cores":
		return fmt.Sprintf("%.2f cores", v)
	}
	return fmt.Sprintf("%.2f%s", v, unit)
}
