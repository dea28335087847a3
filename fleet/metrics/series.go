package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// ErrNoHistory means that nobody keeps past measurements of the host: what it
// does from now on can be had from [Live].
var ErrNoHistory = errors.New("no Netdata keeps the past of this host")

// maxPoints is how many points a series has at most; a terminal is not wider.
const maxPoints = 240

// Names of the series, in the order in which they are given, with their units.
const (
	seriesCPU       = "cpu"        // %
	seriesMemory    = "memory"     // B that cannot be freed
	seriesLoad      = "load"       // average of one minute
	seriesNetIn     = "net in"     // B/s
	seriesNetOut    = "net out"    // B/s
	seriesDiskRead  = "disk read"  // B/s
	seriesDiskWrite = "disk write" // B/s
)

// seriesCharts are the charts that the series are made of.
var seriesCharts = []string{"system.cpu", "system.ram", "mem.available", "system.load", "system.net", "system.io"}

// Series reads the measurements of the last window: cpu, memory, load, network
// and disks, from the Netdata on the host or from its parent. A series that
// Netdata does not have is left out; with none at all it is an error, and
// [ErrNoHistory] where no Netdata has the host.
func (r *Reader) Series(ctx context.Context, l link.Link, st fleet.State, window time.Duration) ([]fleet.Series, error) {
	m, err := r.keeper(ctx, l, st)
	if err != nil {
		return nil, err
	}
	c := newClient(m.link)
	defer c.close()
	tables := make([]table, len(seriesCharts))
	errs := make([]error, len(seriesCharts))
	var group errgroup.Group
	for i, chart := range seriesCharts {
		group.Go(func() error {
			tables[i], errs[i] = history(ctx, c, m, chart, window)
			return nil
		})
	}
	_ = group.Wait()
	byChart := map[string]table{}
	for i, chart := range seriesCharts {
		byChart[chart] = tables[i]
	}
	from := source(m.agent)
	if m.link.Host().ID != l.Host().ID {
		from += " on " + m.link.Host().Name
	}
	if out := compose(byChart, from); len(out) > 0 {
		return out, nil
	}
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
	}
	return nil, fmt.Errorf("%s: no measurements of the last %s", from, window)
}

// keeper finds the Netdata that has the past of a host.
func (r *Reader) keeper(ctx context.Context, l link.Link, st fleet.State) (mirror, error) {
	known, err := r.recall(l)
	if err == nil && known == nil {
		c := newClient(l)
		defer c.close()
		var a agent
		if a, err = r.find(ctx, l, c); err == nil {
			known = &a
		}
	}
	if err == nil {
		self, ok := known.self()
		if !ok {
			self = node{guid: known.guid}
		}
		return mirror{l, *known, self}, nil
	}
	m, noParent := r.mirrorOf(l, st)
	switch {
	case noParent == nil:
		return m, nil
	case !errors.Is(noParent, errNoParent):
		return mirror{}, noParent
	case errors.Is(err, errNone):
		return mirror{}, fmt.Errorf("%w: %w", ErrNoHistory, err)
	}
	return mirror{}, err
}

// history reads one chart.
func history(ctx context.Context, c *client, m mirror, chart string, window time.Duration) (table, error) {
	seconds := max(1, int(window/time.Second))
	query := url.Values{
		"after":  {strconv.Itoa(-seconds)},
		"points": {strconv.Itoa(min(seconds, maxPoints))},
		"format": {"json"},
	}
	path, scope := m.agent.at(m.node, "data")
	if m.agent.api == 3 {
		for k, v := range scope {
			query[k] = v
		}
		query.Set("format", "json2")
		query.Set("contexts", chart)
		query.Set("group_by", "dimension")
	} else {
		query.Set("chart", chart)
	}
	ans, err := c.get(ctx, path, query)
	if err != nil {
		return table{}, err
	}
	return parseData(ans.body)
}

// table is what a chart held over time.
type table struct {
	at     []time.Time          // oldest first
	values map[string][]float64 // by dimension; NaN: not measured
}

// parseData reads the answer of /api/v1/data?format=json and of
// /api/v3/data?format=json2, whose cells are lists that "point" describes.
func parseData(body []byte) (table, error) {
	type result struct {
		Labels    []string       `json:"labels"`
		Point     map[string]int `json:"point"`
		LongPoint map[string]int `json:"point_schema"`
		Data      [][]cell       `json:"data"`
	}
	var in struct {
		result
		Result *result `json:"result"`
	}
	if err := decode(body, &in, "data"); err != nil {
		return table{}, err
	}
	res := in.result
	if in.Result != nil {
		res = *in.Result
	}
	if len(res.Labels) < 2 || res.Labels[0] != "time" {
		return table{}, errors.New("data: no dimensions")
	}
	at, ok := res.Point["value"]
	if !ok {
		at = res.LongPoint["value"]
	}
	return tabulate(res.Labels[1:], res.Data, at)
}

// tabulate sorts rows by time and turns them into columns.
func tabulate(labels []string, rows [][]cell, at int) (table, error) {
	type line struct {
		when   time.Time
		values []float64
	}
	lines := make([]line, 0, len(rows))
	for _, row := range rows {
		if len(row) != len(labels)+1 {
			return table{}, errors.New("data: a row has not as many values as there are dimensions")
		}
		when := row[0].value(0)
		if when > 1e11 { // milliseconds
			when /= 1000
		}
		if !finite(when) || when <= 0 || when > 1<<33 {
			return table{}, errors.New("data: a row without its time")
		}
		l := line{when: time.Unix(0, int64(when*1e9)).UTC()}
		for _, c := range row[1:] {
			l.values = append(l.values, c.value(at))
		}
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.when.Compare(b.when) })
	t := table{values: map[string][]float64{}}
	for _, l := range lines {
		t.at = append(t.at, l.when)
		for i, name := range labels {
			t.values[name] = append(t.values[name], l.values[i])
		}
	}
	for _, column := range t.values {
		if len(column) != len(t.at) {
			return table{}, errors.New("data: two dimensions have one name")
		}
	}
	return t, nil
}

// compose makes the series of the charts.
func compose(charts map[string]table, from string) []fleet.Series {
	var out []fleet.Series
	add := func(name, unit string, t table, value func(i int) float64) {
		s := fleet.Series{Name: name, Unit: unit, Source: from}
		known := false
		for i, at := range t.at {
			v := value(i)
			if !finite(v) || v < 0 {
				v = math.NaN()
			}
			known = known || !math.IsNaN(v)
			s.Points = append(s.Points, fleet.Point{At: at, Value: v})
		}
		if known {
			out = append(out, s)
		}
	}
	column := func(t table, factor float64, names ...string) func(int) float64 {
		for _, n := range names {
			if values, ok := t.values[n]; ok {
				return func(i int) float64 { return values[i] * factor }
			}
		}
		return func(int) float64 { return math.NaN() }
	}
	cpu, net, disk, load := charts["system.cpu"], charts["system.net"], charts["system.io"], charts["system.load"]
	add(seriesCPU, "%", cpu, func(i int) float64 { return cpu.sum(i, "idle", "iowait") })
	mem := charts["mem.available"]
	add(seriesMemory, "B", mem, used(charts["system.ram"], mem))
	add(seriesLoad, "", load, column(load, 1, "load1"))
	add(seriesNetIn, "B/s", net, column(net, kilobit, "received", "InOctets"))
	add(seriesNetOut, "B/s", net, column(net, -kilobit, "sent", "OutOctets"))
	add(seriesDiskRead, "B/s", disk, column(disk, kib, "in"))
	add(seriesDiskWrite, "B/s", disk, column(disk, -kib, "out"))
	return out
}

// sum adds a row's dimensions up, but for some.
func (t table) sum(i int, but ...string) float64 {
	total := 0.0
	for name, values := range t.values {
		if !slices.Contains(but, name) {
			total += values[i]
		}
	}
	return total
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
	values := available.values["avail"]
	if values == nil {
		values = available.values["MemAvailable"]
	}
	return func(i int) float64 {
		if values == nil {
			return math.NaN()
		}
		return (total - values[i]) * mib
	}
}
