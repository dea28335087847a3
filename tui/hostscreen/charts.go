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
	switch {
	case len(m.series) > 0:
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
	each := max(3, min(7, p.H/len(m.series)))
	for i, s := range m.series {
		if (i+1)*each > p.H+1 {
			break
		}
		chart(c, p.Sub(0, i*each, p.W, each-1), s)
	}
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
	if p.W-used > 16 {
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
	return ", " + words.Age(s.Points[len(s.Points)-1].At.Sub(s.Points[0].At).Round(time.Minute))
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
