package hostscreen

import (
	"context"
	"math"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// windows are how much of the past charts can show.
var windows = []struct {
	name string
	long time.Duration
}{{"1h", time.Hour}, {"24h", 24 * time.Hour}, {"7d", 7 * 24 * time.Hour}}

// How often charts are read again: no sooner than they would look otherwise.
const (
	pastEvery  = 10 * time.Second
	pastPoints = 240
	pastTime   = 20 * time.Second
)

// past is what was measured of a host or of one of its containers, read again for
// as long as it is on the screen.
type past struct {
	at     int // of windows
	series []fleet.Series
	err    error

	asked  time.Time // when the values were read that it was asked after
	asking bool
	n      int // of the question: answers to others are nobody's
	cancel context.CancelFunc
}

// pastMsg brings what was measured.
type pastMsg struct {
	of     *past
	n      int
	series []fleet.Series
	err    error
}

// fresh asks again when newer values of the host were read and the charts would
// look otherwise by now.
func (p *past) fresh(ctx context.Context, c *screen.Context, st fleet.State, container, user string) screen.Effect {
	every := pastEvery
	if p.err == nil {
		every = max(every, windows[p.at].long/pastPoints)
	}
	if p.asking || !p.asked.IsZero() && st.Metrics.At.Sub(p.asked) < every {
		return nil
	}
	p.asking, p.asked = true, st.Metrics.At
	if p.asked.IsZero() {
		p.asked = c.Now
	}
	ctx, cancel := context.WithTimeout(ctx, pastTime)
	p.n++
	p.cancel = cancel
	console, id, n := c.Console, st.Host.ID, p.n
	q := fleet.SeriesQuery{Window: windows[p.at].long, Container: container, User: user}
	return screen.Run{Cmd: func() tea.Msg {
		defer cancel()
		series, err := console.Series(ctx, id, q)
		return pastMsg{p, n, series, err}
	}}
}

// receive takes in the answer to the question that was asked last.
func (p *past) receive(msg tea.Msg) {
	if m, ok := msg.(pastMsg); ok && m.of == p && m.n == p.n {
		if p.asking, p.err = false, m.err; m.err == nil {
			p.series = m.series
		}
	}
}

// drop ends what is asked.
func (p *past) drop() {
	if p.cancel != nil {
		p.cancel()
	}
	p.asking = false
	p.n++
}

// turn turns to another window: what is shown is not of it.
func (p *past) turn(to int) {
	p.drop()
	*p = past{at: (to + len(windows)) % len(windows), n: p.n}
}

// spanOf is the time that series are of: from the first point that any of them has,
// to now. Netdata may not remember all that was asked for.
func spanOf(series []fleet.Series, now time.Time) (from, to time.Time) {
	to = now
	for _, s := range series {
		if len(s.Points) == 0 || s.Points[0].At.IsZero() {
			continue
		}
		if first := s.Points[0].At; from.IsZero() || first.Before(from) {
			from = first
		}
		if last := s.Points[len(s.Points)-1].At; last.After(to) {
			to = last
		}
	}
	return from, to
}

// onTime spreads points over n columns from one time to another. Each lasts until
// the next is due; where none came, nothing is drawn.
func onTime(points []fleet.Point, from, to time.Time, n int) []float64 {
	out := make([]float64, n)
	sum, count := make([]float64, n), make([]float64, n)
	long := to.Sub(from)
	for _, p := range points {
		if math.IsNaN(p.Value) || long <= 0 || n == 0 {
			continue
		}
		i := int(float64(n) * float64(p.At.Sub(from)) / float64(long))
		i = max(0, min(n-1, i))
		sum[i], count[i] = sum[i]+p.Value, count[i]+1
	}
	lasts := 1.6 * float64(n) * float64(apart(points)) / float64(max(long, 1)) // in columns
	last, at := math.NaN(), 0
	for i := range out {
		if count[i] > 0 {
			last, at = sum[i]/count[i], i
		}
		if out[i] = last; float64(i-at) > lasts {
			out[i] = math.NaN()
		}
	}
	return out
}

// apart is how far apart points are where none is missing.
func apart(points []fleet.Point) time.Duration {
	least := time.Duration(0)
	for i := 1; i < len(points); i++ {
		if d := points[i].At.Sub(points[i-1].At); d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// marksOf are what happened to the host meanwhile.
func marksOf(c *screen.Context, st fleet.State, from, to time.Time) []fleet.Mark {
	audit := slices.DeleteFunc(slices.Clone(c.Snap.Audit), func(e fleet.Event) bool { return e.HostID != st.Host.ID || e.At.Before(from) })
	return fleet.Marks(fleet.Timeline([]fleet.State{st}, audit, from), from, to)
}

// sign is how a mark is drawn.
func sign(c *screen.Context, m fleet.Mark) (string, themes.Role) {
	_, role := words.Level(m.Level)
	switch m.Kind {
	case fleet.EventDeploy:
		return c.Glyphs.Deployed, themes.Accent
	case fleet.EventRollback:
		return c.Glyphs.WentBack, themes.Warn
	case fleet.EventBoot:
		return c.Glyphs.Reboot, themes.Accent
	}
	return "!", role
}

// axis is the time below charts, with what happened in it.
func axis(c *screen.Context, p widget.Pane, from, to time.Time, marks []fleet.Mark) {
	long := to.Sub(from)
	if p.W < 8 || p.H < 1 || long <= 0 {
		return
	}
	p.Rule(0)
	for _, m := range marks {
		text, role := sign(c, m)
		x := int(float64(p.W) * float64(m.At.Sub(from)) / float64(long))
		p.Text(max(0, min(p.W-1, x)), 0, 1, role, text)
	}
	if p.H > 1 {
		p.Text(0, 1, p.W, themes.Dim, words.Stamp(from))
		p.Right(p.W, 1, p.W/2, widget.L(themes.Dim, "now"))
	}
}

// newestMarks are what happened, the newest first.
func newestMarks(c *screen.Context, marks []fleet.Mark, most int) []widget.Line {
	var out []widget.Line
	for _, m := range slices.Backward(marks) {
		if len(out) == most {
			break
		}
		text, role := sign(c, m)
		out = append(out, widget.L(role, text+" ").And(themes.Dim, words.Ago(m.At, c.Now)+" ").And(themes.Text, m.Text))
	}
	return out
}
