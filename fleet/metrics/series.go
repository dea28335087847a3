package metrics

import (
	"context"
	"errors"
	"fmt"
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

// maxSkew is how far Netdata's clock may be from ours: what was measured when is
// held against what happened when by it.
const maxSkew = 5 * time.Minute

// Series reads the measurements of the last window from the Netdata on the host or
// from its parent: cpu, memory, load, network and disks, pressure, how full the
// disks are, temperatures; of a container its cpu and memory. A series that
// Netdata does not have is left out; with none at all it is an error,
// [ErrNoHistory] where no Netdata has the host and [ErrNoContainer] where it has
// no charts of the container.
func (r *Reader) Series(ctx context.Context, l link.Link, st fleet.State, q fleet.SeriesQuery) ([]fleet.Series, error) {
	m, err := r.keeper(ctx, l, st)
	if err != nil {
		return nil, err
	}
	p := past{client: newClient(m.link), mirror: m, window: q.Window, now: r.now}
	defer p.client.close()
	p.from = source(m.agent)
	if m.link.Host().ID != l.Host().ID {
		p.from += " on " + m.link.Host().Name
	}
	lines := hostLines(st.Metrics.Value.Disks)
	if q.Container != "" {
		if lines, err = p.containerLines(ctx, st, q); err != nil {
			return nil, fmt.Errorf("%s: %w", p.from, err)
		}
	} else if len(st.Metrics.Value.Temps) > 0 {
		lines = append(lines, p.heatLines(ctx)...)
	}
	return p.read(ctx, lines)
}

// past is what one Netdata has kept of one node.
type past struct {
	client *client
	mirror mirror
	window time.Duration
	from   string // who tells
	now    func() time.Time
}

// read reads the charts that lines are made of, each once, and makes them.
func (p past) read(ctx context.Context, lines []line) ([]fleet.Series, error) {
	var charts []chartID
	for _, l := range lines {
		for _, c := range l.charts {
			if !slices.Contains(charts, c) {
				charts = append(charts, c)
			}
		}
	}
	tables := make([]table, len(charts))
	errs := make([]error, len(charts))
	var group errgroup.Group
	for i, chart := range charts {
		group.Go(func() error {
			tables[i], errs[i] = p.history(ctx, chart)
			return nil
		})
	}
	_ = group.Wait()
	byChart := map[string]table{}
	for i, chart := range charts {
		byChart[chart.id] = tables[i]
	}
	if out := compose(lines, byChart, p.from); len(out) > 0 {
		return out, nil
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, errNotFound) {
			return nil, fmt.Errorf("%s: %w", p.from, err)
		}
	}
	return nil, fmt.Errorf("%s: no measurements of the last %s", p.from, p.window)
}

// history reads one chart.
func (p past) history(ctx context.Context, chart chartID) (table, error) {
	seconds := max(1, int(p.window/time.Second))
	query := url.Values{
		"after":  {strconv.Itoa(-seconds)},
		"points": {strconv.Itoa(min(seconds, maxPoints))},
		"format": {"json"},
		// else the newest are left out: in a week up to 42 minutes
		"options": {"unaligned"},
	}
	path, scope := p.mirror.agent.at(p.mirror.node, "data")
	if p.mirror.agent.api == 3 {
		for k, v := range scope {
			query[k] = v
		}
		query.Set("format", "json2")
		query.Set("contexts", chart.context)
		query.Set("group_by", "dimension")
		query.Set("time_group", "average")
		if chart.id != chart.context {
			query.Set("instances", chart.id)
		}
	} else {
		query.Set("chart", chart.id)
		query.Set("group", "average")
	}
	ans, err := p.client.get(ctx, path, query)
	if err != nil {
		return table{}, err
	}
	if err := p.clock(ans.clock); err != nil {
		return table{}, err
	}
	t, err := parseData(ans.body)
	if err != nil {
		return table{}, err
	}
	return t.since(ans.clock.Add(-p.window - p.window/10 - time.Minute)), nil
}

// clock refuses what a Netdata tells whose clock is not ours.
func (p past) clock(told time.Time) error {
	if told.IsZero() {
		return errors.New("netdata does not tell its time: when its measurements are from is unknown")
	}
	skew := told.Sub(p.now()).Round(time.Minute)
	if skew.Abs() <= maxSkew {
		return nil
	}
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	host := p.mirror.link.Host().Name
	return fleet.WithCure(fmt.Errorf("the clock of %s is %s %s ours: when its measurements are from is unknown", host, skew.Abs(), way),
		"set the clock of "+host+", or this machine's: timedatectl tells whether it is kept right")
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

// since leaves out what is older: Netdata answers for ever for a child that has
// gone.
func (t table) since(at time.Time) table {
	first := slices.IndexFunc(t.at, func(when time.Time) bool { return !when.Before(at) })
	if first < 0 {
		first = len(t.at)
	}
	out := table{at: t.at[first:], values: map[string][]float64{}}
	for name, values := range t.values {
		out.values[name] = values[first:]
	}
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

// column gives a dimension by one of its names; NaN where there is none.
func (t table) column(names ...string) []float64 {
	for _, n := range names {
		if values, ok := t.values[n]; ok {
			return values
		}
	}
	return nil
}
