package simulate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where a Blocky of this world has its HTTP API, and how long reading its lists takes.
const (
	blockyPort    = 4000
	blockyRefresh = 3 * time.Second
)

// blocky is what of a Blocky can change; it is read and written with its machine's lock.
type blocky struct {
	off       bool
	until     time.Time // zero, where off: nothing turns it on again
	groups    []string  // of lists, that are off
	refreshed time.Time // since the world began; zero: as it was then
}

// blockyGroups are its groups of lists, with the entries of their denylists and
// allowlists.
var blockyGroups = []struct {
	name        string
	deny, allow int
}{{"ads", 531_204, 12}, {"malware", 88_410, 0}, {"smart-tv", 1_207, 0}}

// blockyTop are the names that are asked for most, and whether they are blocked.
var blockyTop = []struct {
	name    string
	share   float64
	blocked bool
}{
	{"time.cloudflare.com", 0.041, false}, {"api.github.com", 0.037, false}, {"scribe.logs.roku.com", 0.035, true}, {"mobile.pipe.aria.microsoft.com", 0.028, true},
	{"gateway.icloud.com", 0.024, false}, {"app-measurement.com", 0.019, true}, {"photos.fleet.example", 0.015, false}, {"doubleclick.net", 0.011, true},
}

// dailyQueries is what a house asks in a day.
const dailyQueries = 48_300

// serveBlocky answers as Blocky 0.34 does.
func (m *machine) serveBlocky(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	switch r.Method + " " + r.URL.Path {
	case "GET /api/blocking/status":
		answer(w, m.blockingStatus())
	case "GET /api/blocking/disable":
		m.disableBlocking(w, r)
	case "GET /api/blocking/enable":
		m.mu.Lock()
		m.block = blocky{refreshed: m.block.refreshed}
		m.mu.Unlock()
	case "GET /api/stats":
		answer(w, m.blockyStats())
	case "GET /metrics":
		m.blockyMetrics(w)
	case "POST /api/lists/refresh":
		select {
		case <-time.After(blockyRefresh):
		case <-r.Context().Done(): // it goes on
		}
		m.mu.Lock()
		m.block.refreshed = time.Now()
		m.mu.Unlock()
	case "POST /api/query":
		m.blockyQuery(w, r)
	default:
		http.NotFound(w, r)
	}
}

// blockingStatus is how blocking stands; a pause that is over is none any more.
func (m *machine) blockingStatus() object {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &m.block
	left := time.Until(b.until)
	if b.off && !b.until.IsZero() && left <= 0 {
		*b = blocky{refreshed: b.refreshed}
	}
	out := object{"enabled": !b.off}
	if b.off && left >= time.Second {
		out["autoEnableInSec"] = int(left.Seconds())
	}
	if b.off && len(b.groups) > 0 {
		out["disabledGroups"] = slices.Clone(b.groups)
	}
	return out
}

func (m *machine) disableBlocking(w http.ResponseWriter, r *http.Request) {
	off := blocky{off: true}
	if text := r.URL.Query().Get("duration"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		off.until = time.Now().Add(length)
	}
	if text := r.URL.Query().Get("groups"); text != "" {
		off.groups = strings.Split(text, ",")
	}
	for _, name := range off.groups {
		if !slices.ContainsFunc(blockyGroups, func(g struct {
			name        string
			deny, allow int
		}) bool {
			return g.name == name
		}) {
			http.Error(w, fmt.Sprintf("group '%s' is unknown", name), http.StatusBadRequest)
			return
		}
	}
	m.mu.Lock()
	off.refreshed = m.block.refreshed
	m.block = off
	m.mu.Unlock()
}

// listsRefreshed is when its lists were last read: every four hours.
func (m *machine) listsRefreshed() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.block.refreshed.IsZero() {
		return m.block.refreshed
	}
	return m.began.Add(-97 * time.Minute)
}

// asked is how many queries came since a time, as the host's network is busy.
func asked(since time.Duration) int { return int(since.Hours() / 24 * dailyQueries) }

func (m *machine) blockyStats() object {
	now := time.Now().UTC()
	n := asked(24*time.Hour) + int(now.Unix()%600)
	var domains, blocked []object
	for _, t := range blockyTop {
		row := object{"name": t.name, "count": int(t.share * float64(n))}
		domains = append(domains, row)
		if t.blocked {
			blocked = append(blocked, row)
		}
	}
	deny, allow := object{}, object{}
	for _, g := range blockyGroups {
		deny[g.name], allow[g.name] = g.deny, g.allow
	}
	return object{
		"start": now.Add(-24 * time.Hour), "end": now,
		"summary": object{
			"queries": n, "cached": n * 58 / 100, "forwarded": n * 22 / 100, "blocked": n * 17 / 100, "filtered": 0, "local": n * 3 / 100, "dropped": 0, "errors": 14,
			"avgResponseMs": 6, "cacheHitRate": 0.725,
		},
		"byResponseType": object{"CACHED": n * 58 / 100, "BLOCKED": n * 17 / 100}, "byQueryType": object{"A": n * 7 / 10}, "byResponseCode": object{"NOERROR": n}, "perHour": []object{},
		"topDomains": domains, "topBlockedDomains": blocked,
		"topClients": []object{{"name": "desktop.lan", "count": n / 3}, {"name": "roku.lan", "count": n / 5}, {"name": "192.168.1.77", "count": n / 9}},
		"lists":      object{"denylist": deny, "allowlist": allow}, "cache": object{"entries": 3120},
	}
}

func (m *machine) blockyMetrics(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	enabled, started := 1, m.boot().Add(20*time.Second)
	if m.blockingStatus()["enabled"] == false {
		enabled = 0
	}
	n := asked(time.Since(started))
	fmt.Fprintf(w, "# HELP blocky_blocking_enabled Blocking status\n# TYPE blocky_blocking_enabled gauge\nblocky_blocking_enabled %d\n", enabled)
	fmt.Fprintf(w, "blocky_build_info{build_time=\"20261012\",version=\"v0.34.0\"} 1\nblocky_query_total{client=\"desktop.lan\",type=\"A\"} %d\nblocky_error_total 14\n", n)
	fmt.Fprintf(w, "blocky_response_total{reason=\"BLOCKED (ads)\",response_code=\"NOERROR\",response_type=\"BLOCKED\"} %d\n", n*17/100)
	fmt.Fprintf(w, "blocky_cache_hits_total %d\nblocky_cache_misses_total %d\nblocky_failed_downloads_total 0\n", n*58/100, n*22/100)
	fmt.Fprintf(w, "blocky_last_list_group_refresh_timestamp_seconds %s\nprocess_start_time_seconds %s\n", stampOf(m.listsRefreshed()), stampOf(started))
	for _, g := range blockyGroups {
		fmt.Fprintf(w, "blocky_denylist_cache_entries{group=%q} %d\nblocky_allowlist_cache_entries{group=%q} %d\n", g.name, g.deny, g.name, g.allow)
	}
}

// stampOf is a time as Prometheus' client writes it: 1.7953e+09.
func stampOf(t time.Time) string { return strconv.FormatFloat(float64(t.Unix()), 'g', -1, 64) }

func (m *machine) blockyQuery(w http.ResponseWriter, r *http.Request) {
	var in struct{ Query, Type string }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in) != nil || in.Type != strings.ToUpper(in.Type) || in.Type == "" {
		http.Error(w, "unknown query type '"+in.Type+"'", http.StatusBadRequest)
		return
	}
	out := object{"reason": "RESOLVED (https://dns.quad9.net/dns-query)", "response": "A (203.0.113.80)", "responseType": "RESOLVED", "returnCode": "NOERROR"}
	name := strings.TrimSuffix(strings.ToLower(in.Query), ".")
	off := m.blockingStatus()["enabled"] == false
	for _, t := range blockyTop {
		if !off && t.blocked && (name == t.name || strings.HasSuffix(name, "."+t.name)) {
			out = object{"reason": "BLOCKED (ads)", "response": "A (0.0.0.0)", "responseType": "BLOCKED", "returnCode": "NOERROR"}
		}
	}
	answer(w, out)
}

// renamedHost is the host whose name in mDNS another machine had first.
const renamedHost = "raspi3"

// tellDNS prints what dns.sh does.
func tellDNS(c Call) int {
	m, mark := c.machine(), c.arg(1)
	tell := func(format string, args ...any) { fmt.Fprintf(c.Stdout, mark+" "+format+"\n", args...) }
	tell("hostname %s", m.name)
	for i := 2; i < len(c.Args); i++ {
		switch c.Args[i] {
		case "blocky":
			for line := range strings.SplitSeq("ports:\n  dns: 53\n  http: 4000\nprometheus:\n  enable: true\nrefreshPeriod: 4h", "\n") {
				tell("blocky %s", line)
			}
			tell("blocky-file /nix/store/%s-config.yaml", hexID(m.seed, 32, m.name, "blocky"))
		case "avahi":
			name := m.name
			if name == renamedHost {
				name += "-2"
			}
			tell("avahi-title avahi-daemon: running [%s.local]", name)
			publish := "no"
			if m.name == "router" || m.name == "vault" {
				publish = "yes"
			}
			tell("avahi host-name=%s", m.name)
			tell("avahi disable-publishing=%s", publish)
			tell("avahi-file /nix/store/%s-avahi-daemon.conf", hexID(m.seed, 32, m.name, "avahi"))
		}
	}
	tell("end")
	return 0
}
