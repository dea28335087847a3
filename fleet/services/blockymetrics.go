package services

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// blockyMetrics are those of Blocky's metrics that are read.
type blockyMetrics struct {
	version   string
	groups    map[string]*fleet.ListGroup
	refreshed time.Time
	started   time.Time
	failed    *float64

	queries, blocked, cached, errors, hits, misses float64
}

// metrics asks for the metrics, as Prometheus would.
func (c api) metrics(ctx context.Context, path string) (blockyMetrics, error) {
	m := blockyMetrics{groups: map[string]*fleet.ListGroup{}}
	a, err := c.Ask(ctx, web.Request{Path: path, Header: map[string]string{"Accept": "text/plain"}})
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		return m, err
	}
	known := false
	lines := bufio.NewScanner(bytes.NewReader(a.Body))
	for lines.Scan() {
		name, labels, v, ok := metric(lines.Text())
		if ok {
			known = known || strings.HasPrefix(name, "blocky_")
			m.add(name, labels, v)
		}
	}
	if err := lines.Err(); err != nil {
		return m, web.Unreadable(path, err)
	}
	if !known {
		return m, errors.New(path + " has none of Blocky's metrics: what listens there may be something else")
	}
	return m, nil
}

// metric reads a line of Prometheus' text format: name{label="value"} number.
func metric(line string) (name string, labels map[string]string, v float64, ok bool) {
	if strings.HasPrefix(line, "#") {
		return "", nil, 0, false
	}
	name, rest, inBraces := strings.Cut(line, "{")
	if !inBraces {
		name, rest, _ = strings.Cut(line, " ")
	} else {
		labels = map[string]string{}
		for rest != "" && !strings.HasPrefix(rest, "}") {
			key, value, found := strings.Cut(rest, `="`)
			if !found {
				return "", nil, 0, false
			}
			end := closing(value)
			if end < 0 {
				return "", nil, 0, false
			}
			labels[strings.TrimSpace(key)] = unescape.Replace(value[:end])
			rest = strings.TrimLeft(value[end+1:], ", ")
		}
		rest = strings.TrimPrefix(rest, "}")
	}
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ") // a time may stand behind it
	v, err := strconv.ParseFloat(number, 64)
	return strings.TrimSpace(name), labels, v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

var unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, " ")

// closing is where the quote is that ends a label's value.
func closing(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// add takes in one of the metrics, by its name of now or of before 0.24.
func (m *blockyMetrics) add(name string, labels map[string]string, v float64) {
	switch name {
	case "blocky_build_info":
		m.version = fleet.Short(fleet.Clean(labels["version"]), 40)
	case "blocky_denylist_cache_entries", "blocky_denylist_cache", "blocky_blacklist_cache":
		m.group(labels["group"]).Deny = count(v)
	case "blocky_allowlist_cache_entries", "blocky_allowlist_cache", "blocky_whitelist_cache":
		m.group(labels["group"]).Allow = count(v)
	case "blocky_last_list_group_refresh_timestamp_seconds", "blocky_last_list_group_refresh":
		if at := seconds(v); at.After(m.refreshed) {
			m.refreshed = at
		}
	case "process_start_time_seconds":
		m.started = seconds(v)
	case "blocky_failed_downloads_total", "blocky_failed_download_count":
		m.failed = &v
	case "blocky_query_total":
		m.queries += v
	case "blocky_response_total":
		switch strings.ToUpper(labels["response_type"]) {
		case "BLOCKED":
			m.blocked += v
		case "CACHED":
			m.cached += v
		}
	case "blocky_error_total":
		m.errors += v
	case "blocky_cache_hits_total", "blocky_cache_hit_count":
		m.hits = v
	case "blocky_cache_misses_total", "blocky_cache_miss_count":
		m.misses = v
	}
}

func count(v float64) uint64 { return uint64(min(max(v, 0), 1<<53)) }

// seconds is a time in seconds since 1970; zero where it is none.
func seconds(v float64) time.Time {
	if v <= 0 || v > math.MaxUint32 {
		return time.Time{}
	}
	return time.UnixMilli(int64(v * 1000)).UTC()
}

func (m *blockyMetrics) group(name string) *fleet.ListGroup {
	name = word(name)
	g := m.groups[name]
	if g == nil {
		g = &fleet.ListGroup{Name: name}
		if len(m.groups) < maxGroups {
			m.groups[name] = g
		}
	}
	return g
}

// join takes groups in that only the statistics tell.
func (m *blockyMetrics) join(groups []fleet.ListGroup) {
	for _, g := range groups {
		if m.groups[g.Name] == nil && len(m.groups) < maxGroups {
			m.groups[g.Name] = &g
		}
	}
}

// take puts into a server what its metrics tell; clock is the host's own when it
// answered, zero where it did not tell.
func (m blockyMetrics) take(d *fleet.DNSServer, clock time.Time, every fleet.Seconds) {
	if clock.IsZero() {
		clock = d.At
	}
	d.Version = m.version
	l := &fleet.DNSLists{Groups: m.list(), Refreshed: m.refreshed, Started: m.started, Period: every, At: clock.UTC()}
	if l.Unread = "its metrics do not tell"; m.failed != nil {
		l.Unread = ""
		l.Failed = count(*m.failed)
		l.FailedFrom, l.FailedSeen = m.started, l.At
	}
	if l.Failed == 0 {
		l.FailedFrom, l.FailedSeen = time.Time{}, time.Time{}
	}
	d.Lists = l
	if d.Stats == nil && m.queries > 0 {
		d.Stats = &fleet.DNSStats{
			Source: "metrics", Start: m.started, End: l.At, Queries: count(m.queries), Blocked: count(m.blocked), Cached: count(m.cached), Errors: count(m.errors),
		}
	}
	if s := d.Stats; s != nil && s.CacheHitRate == nil && m.hits+m.misses > 0 {
		share := m.hits / (m.hits + m.misses)
		s.CacheHitRate = &share
	}
}

// list are the groups by name; those without entries are there too.
func (m blockyMetrics) list() []fleet.ListGroup {
	out := []fleet.ListGroup{}
	for _, g := range m.groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b fleet.ListGroup) int { return strings.Compare(a.Name, b.Name) })
	return out
}
