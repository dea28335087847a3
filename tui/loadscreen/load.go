// Package loadscreen shows how busy all hosts are, the worst first.
package loadscreen

import (
	"fmt"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Shares from which something is much, and nearly all.
const (
	much   = 0.90
	nearly = 0.97
)

// New makes the screen.
func New() *listing.Screen {
	return listing.New(listing.Kind{
		Screen: screen.Load, Title: "Load", What: "load",
		Hints:   []string{"back", "enter", "find", "menu", "copy", "shell", "refresh", "help"},
		Columns: columns, Rows: rows, Below: below,
		Above: func(*screen.Context) widget.Line { return nil },
		Empty: func(*screen.Context) []widget.Line { return []widget.Line{widget.T("There is no host yet.")} },
	})
}

func columns(*screen.Context) []widget.Column {
	return []widget.Column{
		{Title: "host", Width: 8, Max: 20}, {Title: "worst", Width: 12, Max: 30}, {Title: "cpu", Width: 13}, {Title: "mem", Width: 4, Right: true},
		{Title: "disk", Width: 4, Right: true}, {Title: "io", Width: 4, Right: true, Drop: 1}, {Title: "heat", Width: 5, Right: true, Drop: 2},
		{Title: "net in", Width: 8, Right: true, Drop: 3}, {Title: "net out", Width: 8, Right: true, Drop: 3}, {Title: "source", Width: 14, Max: 40, Drop: 4},
	}
}

func rows(c *screen.Context) []listing.Row {
	var out []listing.Row
	for _, st := range fleet.WorstFirst(c.Snap.Hosts) {
		out = append(out, row(c, st))
	}
	return out
}

func row(c *screen.Context, st fleet.State) listing.Row {
	r := listing.Row{ID: string(st.Host.ID), Host: st.Host.ID, Tab: "metrics", Find: st.Host.Name}
	name := widget.L(themes.Title, st.Host.Name)
	if !st.Metrics.Current() {
		missing := sheet.Missing(c, st, st.Metrics)
		r.Cells, r.Lines = []widget.Line{name, missing}, [2]widget.Line{name, widget.T("  ").Join(missing)}
		r.Copy = st.Host.Name + ": not known"
		return r
	}
	m, worst := st.Metrics.Value, st.Metrics.Value.Worst()
	cpu := widget.L(themes.Chart, widget.Spark(st.Trend, 8, c.Glyphs)).And(share(m.CPU), " "+words.Percent(m.CPU))
	memory, disk, io := cell(ratio(m.Memory)), cell(fullest(m)), widget.L(themes.Dim, c.Glyphs.None)
	if v, ok := m.Pressure["io"]; ok {
		io = cell(v)
	}
	heat := widget.L(themes.Dim, c.Glyphs.None)
	if t, ok := m.Hottest(); ok {
		heat = widget.T(fmt.Sprintf("%.0f°C", t.Celsius))
	}
	worstOf := widget.L(share(worst.Share), worst.What+" "+words.Percent(worst.Share))
	r.Find, r.Copy = st.Host.Name+"\n"+worst.What+"\n"+st.Metrics.Source, st.Host.Name+": "+worstOf.String()
	r.Cells = []widget.Line{
		name, worstOf, cpu, memory, disk, io, heat,
		widget.T(words.Bytes(uint64(max(0, m.NetIn))) + "/s"), widget.T(words.Bytes(uint64(max(0, m.NetOut))) + "/s"), widget.L(themes.Dim, st.Metrics.Source),
	}
	r.Lines = [2]widget.Line{
		name.And(themes.Text, "  ").Join(worstOf),
		widget.T("  ").Join(cpu).And(themes.Dim, " mem ").Join(memory).And(themes.Dim, " disk ").Join(disk),
	}
	return r
}

// share is how a share is shown.
func share(v float64) themes.Role {
	switch {
	case v >= nearly:
		return themes.Fail
	case v >= much:
		return themes.Warn
	case v < 0:
		return themes.Unknown
	}
	return themes.Text
}

// cell is a share as a cell; one that is not known is -1.
func cell(v float64) widget.Line {
	if v < 0 {
		return widget.L(themes.Unknown, "?")
	}
	return widget.L(share(v), words.Percent(v))
}

func ratio(m fleet.Memory) float64 {
	if m.Total == 0 {
		return -1
	}
	return float64(m.Used) / float64(m.Total)
}

func fullest(m fleet.Metrics) float64 {
	most := -1.0
	for _, d := range m.Disks {
		most = max(most, d.Fraction())
	}
	return most
}

// below is how busy the host is, in full.
func below(c *screen.Context, r listing.Row, w int) widget.Doc {
	st, ok := c.Snap.Host(r.Host)
	switch {
	case !ok:
		return nil
	case !st.Metrics.HasValue():
		return widget.Doc{}.Add(w, 2, sheet.Missing(c, st, st.Metrics))
	}
	m := st.Metrics.Value
	d := widget.Doc{}.Field(w, sheet.Label, "load", widget.T(fmt.Sprintf("%.2f  %.2f  %.2f of %d cores", m.Load1, m.Load5, m.Load15, m.Cores)))
	if m.Memory.Total > 0 {
		d = d.Field(w, sheet.Label, "memory", widget.T(words.Bytes(m.Memory.Used)+" of "+words.Bytes(m.Memory.Total)))
	}
	d = append(d, sheet.Disks(c, st, w)...)
	if link := c.Snap.NetdataLink(st); link != "" {
		from := len(d)
		d = d.Field(w, sheet.Label, "netdata", widget.L(themes.Accent, link)).Link(from, link)
	}
	return d.Field(w, sheet.Label, "source", widget.L(themes.Dim, st.Metrics.Source+", "+words.AgoLong(st.Metrics.At, c.Now)))
}
