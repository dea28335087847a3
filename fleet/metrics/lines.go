package metrics

import (
	"cmp"
	"context"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Names of the series, in the order in which they are given, with their units.
const (
	seriesCPU       = "cpu"        // %; of a container: cores
	seriesMemory    = "memory"     // B that cannot be freed
	seriesLoad      = "load"       // average of one minute
	seriesNetIn     = "net in"     // B/s
	seriesNetOut    = "net out"    // B/s
	seriesDiskRead  = "disk read"  // B/s
	seriesDiskWrite = "disk write" // B/s
	seriesPressure  = "pressure "  // and "cpu", "memory" or "io": %
	seriesDisk      = "disk "      // and where it is mounted: % full
	seriesHeat      = "heat "      // and the sensor: °C
)

// Bounds of what is drawn of one host.
const (
	maxDisks   = 5
	maxSensors = 3
)

// chartID is a chart of Netdata and the kind that it is of, which is steadier from
// version to version than the chart's own name.
type chartID struct{ id, context string }

// only is a chart that is the only one of its kind.
func only(id string) chartID { return chartID{id, id} }

// line is a series and how it is made of charts: those in one table each.
type line struct {
	name, unit string
	charts     []chartID // the first one gives the times
	value      func(t []table) func(i int) float64
}

// hostLines are the series of a host that has these disks.
func hostLines(disks []fleet.Disk) []line {
	cpu, load, net, io := only("system.cpu"), only("system.load"), only("system.net"), only("system.io")
	lines := []line{
		{seriesCPU, "%", []chartID{cpu}, func(t []table) func(int) float64 {
			return func(i int) float64 { return t[0].sum(i, "idle", "iowait") }
		}},
		{seriesMemory, "B", []chartID{only("mem.available"), only("system.ram")}, func(t []table) func(int) float64 { return used(t[1], t[0]) }},
		{seriesLoad, "", []chartID{load}, dimension(1, "load1")},
		{seriesNetIn, "B/s", []chartID{net}, dimension(kilobit, "received", "InOctets")},
		{seriesNetOut, "B/s", []chartID{net}, dimension(-kilobit, "sent", "OutOctets")},
		{seriesDiskRead, "B/s", []chartID{io}, dimension(kib, "in")},
		{seriesDiskWrite, "B/s", []chartID{io}, dimension(-kib, "out")},
	}
	for _, kind := range []string{"cpu", "memory", "io"} {
		lines = append(lines, line{seriesPressure + kind, "%", []chartID{only("system." + kind + "_some_pressure")}, dimension(1, "some 10")})
	}
	fullest := slices.Clone(disks)
	slices.SortStableFunc(fullest, func(a, b fleet.Disk) int { return cmp.Compare(b.Fraction(), a.Fraction()) })
	for _, d := range fullest[:min(len(fullest), maxDisks)] {
		chart := chartID{"disk_space." + strings.Map(inID, d.Mount), "disk.space"}
		lines = append(lines, line{seriesDisk + d.Mount, "%", []chartID{chart}, filled})
	}
	return lines
}

// inID is a letter as Netdata has it in the name of a chart.
func inID(r rune) rune {
	if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)) {
		return r
	}
	return '_'
}

// dimension is one of a chart's, by one of its names.
func dimension(factor float64, names ...string) func([]table) func(int) float64 {
	return func(t []table) func(int) float64 {
		values := t[0].column(names...)
		return func(i int) float64 {
			if values == nil {
				return math.NaN()
			}
			return values[i] * factor
		}
	}
}

// filled is how full a disk is, in percent, as df counts it.
func filled(t []table) func(int) float64 {
	in, free := t[0].column("used"), t[0].column("avail")
	return func(i int) float64 {
		if in == nil || free == nil || in[i]+free[i] <= 0 {
			return math.NaN()
		}
		return 100 * in[i] / (in[i] + free[i])
	}
}

// used is the memory that cannot be freed: all there is, which does not
// change, less what is available.
func used(ram, available table) func(int) float64 {
	total := math.NaN()
	for i := range ram.at {
		if v := ram.sum(i); finite(v) {
			total = v
		}
	}
	values := available.column("avail", "MemAvailable")
	return func(i int) float64 {
		if values == nil {
			return math.NaN()
		}
		return (total - values[i]) * mib
	}
}

// compose makes lines of the charts, by their names. What was not measured at the
// beginning of one is left out.
func compose(lines []line, charts map[string]table, from string) []fleet.Series {
	var out []fleet.Series
	for _, l := range lines {
		tables := make([]table, len(l.charts))
		for i, c := range l.charts {
			tables[i] = charts[c.id]
		}
		s := fleet.Series{Name: l.name, Unit: l.unit, Source: from}
		value := l.value(tables)
		for i, at := range tables[0].at {
			v := value(i)
			if !finite(v) || v < 0 {
				v = math.NaN()
			}
			if len(s.Points) > 0 || !math.IsNaN(v) {
				s.Points = append(s.Points, fleet.Point{At: at, Value: v})
			}
		}
		if len(s.Points) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// newest reads the newest values of the charts that fit Netdata's pattern.
func (p past) newest(ctx context.Context, pattern string) (row, error) {
	path, _ := p.mirror.agent.at(p.mirror.node, "allmetrics")
	ans, err := p.client.get(ctx, path, url.Values{"format": {"json"}, "filter": {pattern}})
	if err != nil {
		return nil, err
	}
	var r row
	return r, decode(ans.body, &r, "allmetrics")
}

// heatLines are the temperatures of the hottest sensors. Each plugin of Netdata
// that reads some names its charts otherwise; they are told by their unit.
func (p past) heatLines(ctx context.Context) []line {
	r, err := p.newest(ctx, "sensors.* sensors_*")
	if err != nil {
		return nil // a host without has no such charts, and an older Netdata says so with an error
	}
	type sensor struct {
		chart     chartID
		dim, name string
		heat      float64
	}
	var all []sensor
	for id, c := range r {
		if !strings.Contains(c.Units, "Celsius") && !strings.Contains(c.Units, "°C") {
			continue
		}
		for dim, d := range c.Dimensions {
			if d.Value == nil || !finite(*d.Value) || *d.Value <= 0 || *d.Value > 1000 {
				continue
			}
			name := cmp.Or(d.Name, dim)
			label := strings.TrimSpace(cmp.Or(c.Family, id) + " " + name)
			all = append(all, sensor{chartID{id, cmp.Or(c.Context, id)}, name, fleet.Short(fleet.Clean(label), 40), *d.Value})
		}
	}
	slices.SortFunc(all, func(a, b sensor) int { return cmp.Or(cmp.Compare(b.heat, a.heat), cmp.Compare(a.name, b.name)) })
	var lines []line
	for _, s := range all[:min(len(all), maxSensors)] {
		lines = append(lines, line{seriesHeat + s.name, "°C", []chartID{s.chart}, dimension(1, s.dim)})
	}
	return lines
}
