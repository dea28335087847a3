package hostscreen

import (
	"context"
	"fmt"
	"math"
	"sort"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// metricsTab is how busy a host is: the newest values with their source, and
// charts of the past, which are asked for only while they are shown. Where nobody
// keeps the past they begin when the tab is opened.
type metricsTab struct {
	reading
	past
	ctx   context.Context
	first int // the row of charts on top
	rows  int // all of them
	shown int
}

func newMetrics(ctx context.Context) *metricsTab { return &metricsTab{ctx: ctx} }

// fresh asks for the charts again.
func (m *metricsTab) fresh(c *screen.Context, st fleet.State) screen.Effect {
	return m.past.fresh(m.ctx, c, st, "", "")
}

// close lets the charts be asked for anew: what is under way finds nobody.
func (m *metricsTab) close() { m.drop() }

func (m *metricsTab) receive(_ *screen.Context, _ fleet.State, msg tea.Msg) screen.Effect {
	m.past.receive(msg)
	return nil
}

func (m *metricsTab) scopes() []string { return []string{"metrics", "scroll"} }

func (m *metricsTab) hints() []string {
	return []string{"back", "window", "next-tab", "menu", "logs", "shell", "refresh", "help"}
}

// do turns the window, or scrolls: downward the values first, and then the charts.
func (m *metricsTab) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	switch id {
	case "window":
		return m.turnTo(c, st, m.at+1)
	case "up", "page-up":
		if m.first > 0 {
			m.scrollCharts(id)
			return nil
		}
	case "top":
		m.first = 0
	}
	before := m.scroll
	if m.scroll.Do(id); m.scroll == before {
		m.scrollCharts(id)
	}
	return nil
}

func (m *metricsTab) scrollCharts(id string) {
	switch id {
	case "up":
		m.first--
	case "down":
		m.first++
	case "page-up":
		m.first -= max(1, m.shown)
	case "page-down":
		m.first += max(1, m.shown)
	case "bottom":
		m.first = m.rows
	}
	m.first = max(0, min(m.first, m.rows-m.shown))
}

// turnTo shows another window.
func (m *metricsTab) turnTo(c *screen.Context, st fleet.State, to int) screen.Effect {
	m.turn(to)
	m.first = 0
	return m.fresh(c, st)
}

func (m *metricsTab) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	if v, ok := target.(tapView); ok {
		return m.turnTo(c, st, v.n)
	}
	return nil
}

func (m *metricsTab) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	p = p.Sub(1, 0, p.W-2, p.H)
	if c.W >= screen.Wide {
		half := p.W/2 - 1
		m.values(c, st, half).Draw(p.Sub(0, 0, half, p.H), &m.scroll)
		p.VRule(half + 1)
		m.charts(c, st, p.Sub(half+3, 0, p.W-half-3, p.H))
		return
	}
	d := m.values(c, st, p.W)
	charts := m.height(st, p.W, p.H)
	d.Draw(p.Sub(0, 0, p.W, p.H-charts), &m.scroll)
	m.charts(c, st, p.Sub(0, p.H-charts, p.W, charts))
}

// values are the newest measurements.
func (m *metricsTab) values(c *screen.Context, st fleet.State, w int) widget.Doc {
	if !st.Metrics.HasValue() {
		var d widget.Doc
		for _, l := range none(c, st, fleet.Fact[[]int]{Err: st.Metrics.Err, ErrAt: st.Metrics.ErrAt, None: st.Metrics.None}, "") {
			d = d.Add(w, 2, l)
		}
		return d
	}
	v := st.Metrics.Value
	d := widget.Doc{}
	if l := outdated(c, st, st.Metrics); len(l) > 0 {
		d = d.Add(w, 2, l)
	}
	d = load(c, d, v, w)
	d = append(d, sheet.Disks(c, st, w)...)
	for i, t := range v.Temps {
		name := ""
		if i == 0 {
			name = "heat"
		}
		d = d.Field(w, sheet.Label, name, widget.T(fmt.Sprintf("%.0f °C ", t.Celsius)).And(themes.Dim, t.Sensor))
	}
	d = append(d, alarms(c, st, w)...)
	d = d.Field(w, sheet.Label, "source", widget.L(themes.Dim, st.Metrics.Source+", "+words.AgoLong(st.Metrics.At, c.Now)))
	for _, l := range links(c, st) {
		from := len(d)
		d = d.Field(w, sheet.Label, l.name, widget.L(themes.Accent, l.to)).Link(from, l.to)
	}
	return d
}

// link is a page about the host.
type link struct{ name, to string }

// links are where a person can look at the host's monitoring.
func links(c *screen.Context, st fleet.State) []link {
	var out []link
	if to := c.Snap.NetdataLink(st); to != "" {
		out = append(out, link{"netdata", to})
	}
	for _, m := range st.Monitors.Value {
		if to := c.Snap.MonitorLink(st, m); to != "" {
			out = append(out, link{fleet.Short(m.Kind, sheet.Label), to})
		}
	}
	return out
}

func load(c *screen.Context, d widget.Doc, v fleet.Metrics, w int) widget.Doc {
	gauge := min(20, w/3)
	cpu := meter(c, v.CPU, gauge, themes.Chart)
	if v.CPU >= 0 {
		cpu = cpu.And(themes.Text, " "+words.Percent(v.CPU))
	}
	if v.Cores > 0 {
		cpu = cpu.And(themes.Text, fmt.Sprintf(" of %d cores", v.Cores))
	}
	d = d.Field(w, sheet.Label, "cpu", cpu)
	if v.Memory.Total > 0 {
		f := float64(v.Memory.Used) / float64(v.Memory.Total)
		d = d.Field(w, sheet.Label, "memory", meter(c, f, gauge, themes.Chart).And(themes.Text, " "+words.Bytes(v.Memory.Used)+" of "+words.Bytes(v.Memory.Total)))
	}
	if v.Swap.Total > 0 {
		f := float64(v.Swap.Used) / float64(v.Swap.Total)
		d = d.Field(w, sheet.Label, "swap", meter(c, f, gauge, themes.Chart).And(themes.Text, " "+words.Bytes(v.Swap.Used)+" of "+words.Bytes(v.Swap.Total)))
	}
	d = d.Field(w, sheet.Label, "load", widget.T(fmt.Sprintf("%.2f  %.2f  %.2f", v.Load1, v.Load5, v.Load15)))
	d = d.Field(w, sheet.Label, "network", widget.T(rate(v.NetIn)+" in, "+rate(v.NetOut)+" out"))
	d = d.Field(w, sheet.Label, "disk io", widget.T(rate(v.DiskIn)+" read, "+rate(v.DiskOut)+" written"))
	if len(v.Pressure) > 0 {
		var parts string
		for _, k := range []string{"cpu", "memory", "io"} {
			if f, ok := v.Pressure[k]; ok {
				parts += k + " " + words.Percent(f) + "  "
			}
		}
		d = d.Field(w, sheet.Label, "pressure", widget.T(parts))
	}
	return d
}

// meter is a share as a bar.
func meter(c *screen.Context, share float64, w int, role themes.Role) widget.Line {
	if share < 0 || math.IsNaN(share) {
		return widget.L(themes.Unknown, "?")
	}
	full := int(math.Round(min(1, share) * float64(w)))
	var on, rest string
	for i := range w {
		if i < full {
			on += c.Glyphs.Gauge[0]
		} else {
			rest += c.Glyphs.Gauge[1]
		}
	}
	return widget.Line{}.And(role, on).And(themes.Dim, rest)
}

// rate is bytes a second.
func rate(v float64) string {
	if v < 0 || math.IsNaN(v) {
		return "?"
	}
	return words.Bytes(uint64(v)) + "/s"
}

// alarms are what monitoring calls wrong: the host's own, and what monitors raise
// of it, be they on another.
func alarms(c *screen.Context, st fleet.State, w int) widget.Doc {
	if !st.Alarms.HasValue() && len(st.Raised) == 0 {
		return widget.Doc{}.Field(w, sheet.Label, "alarms", sheet.Missing(c, st, st.Alarms))
	}
	if len(st.Alarms.Value)+len(st.Raised) == 0 {
		return widget.Doc{}.Field(w, sheet.Label, "alarms", widget.L(themes.OK, "none").And(themes.Dim, "  "+st.Alarms.Source))
	}
	list := append([]fleet.Alarm(nil), st.Alarms.Value...)
	for _, a := range st.Raised {
		list = append(list, a.Alarm)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Status < list[j].Status })
	var d widget.Doc
	for i, a := range list {
		name, role, word := "", themes.Warn, "warn"
		if i == 0 {
			name = "alarms"
		}
		switch {
		case a.Silenced:
			role, word = themes.Dim, "quiet"
		case a.Status == "CRITICAL":
			role, word = themes.Fail, "FAIL"
		}
		l := widget.L(role, word+" ").And(themes.Text, a.Name+" "+a.Value)
		if !a.Since.IsZero() {
			l = l.And(themes.Dim, "  since "+words.AgoLong(a.Since, c.Now))
		}
		d = d.Field(w, sheet.Label, name, l.And(themes.Dim, "  "+a.Info))
	}
	return d
}
