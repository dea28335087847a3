package hostscreen

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// series has a point each so often up to noon, with these values.
func series(each time.Duration, values ...float64) fleet.Series {
	s := fleet.Series{Name: "x"}
	for i, v := range values {
		s.Points = append(s.Points, fleet.Point{At: noon.Add(-time.Duration(len(values)-1-i) * each), Value: v})
	}
	return s
}

// drawn is a series on time as digits; "." is nothing.
func drawn(s fleet.Series, from, to time.Time, n int) string {
	var b strings.Builder
	for _, v := range onTime(s.Points, from, to, n) {
		if math.IsNaN(v) {
			b.WriteByte('.')
			continue
		}
		b.WriteByte(byte('0' + int(v)))
	}
	return b.String()
}

func TestPointsOnTime(t *testing.T) {
	h := time.Hour
	gap := series(h, 1, 2, 3, 4, 5, 6, 7, 8)
	gap.Points = slices.Delete(gap.Points, 2, 6)
	for name, c := range map[string]struct {
		s    fleet.Series
		long time.Duration
		n    int
		want string
	}{
		"a point a column":      {series(h, 1, 2, 3, 4, 5), 5 * h, 5, ".1234"}, // the newest falls on the last column, with the one before it
		"each lasts":            {series(h, 1, 2, 3), 3 * h, 6, "..1123"},
		"more points than room": {series(h, 1, 3, 5, 7, 9, 9, 9, 9), 8 * h, 2, "38"},
		"it began later":        {series(h, 4, 5), 10 * h, 10, ".........4"},
		"a gap":                 {gap, 8 * h, 16, "..112222......78"},
		"one point":             {series(h, 7), 4 * h, 4, "...7"},
		"none":                  {fleet.Series{}, 4 * h, 4, "...."},
		"nothing measured":      {series(h, math.NaN(), math.NaN()), 4 * h, 4, "...."},
	} {
		if got := drawn(c.s, noon.Add(-c.long), noon, c.n); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTheSpanOfSeries(t *testing.T) {
	from, to := spanOf([]fleet.Series{series(time.Minute, 1, 2), series(time.Hour, 1, 2, 3), {}}, noon.Add(time.Minute))
	if !from.Equal(noon.Add(-2*time.Hour)) || !to.Equal(noon.Add(time.Minute)) {
		t.Error(from, to)
	}
	if _, to := spanOf([]fleet.Series{series(time.Hour, 1)}, noon.Add(-time.Second)); !to.Equal(noon) {
		t.Error("a clock a little ahead:", to)
	}
}

// TestChartsScrollAfterTheValues: down through the values, then through the charts,
// and back the same way; the end is where the last charts are.
func TestChartsScrollAfterTheValues(t *testing.T) {
	m := newMetrics(t.Context())
	m.rows, m.shown = 10, 3
	c := &screen.Context{}
	for range 3 {
		m.do(c, fleet.State{}, "down")
	}
	if m.first != 3 {
		t.Errorf("first %d", m.first)
	}
	m.do(c, fleet.State{}, "bottom")
	if m.first != 7 {
		t.Errorf("at the end: %d", m.first)
	}
	m.do(c, fleet.State{}, "page-up")
	m.do(c, fleet.State{}, "up")
	if m.first != 3 {
		t.Errorf("back: %d", m.first)
	}
	m.do(c, fleet.State{}, "top")
	if m.first != 0 {
		t.Errorf("at the top: %d", m.first)
	}
}
