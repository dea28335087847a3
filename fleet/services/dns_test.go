package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// stub is a Blocky that answers as its documentation says; requests are written down.
type stub struct {
	mu      sync.Mutex
	status  []string // its answers, the last one again and again
	stats   string   // "" is HTTP 503
	metrics []string // likewise; none is HTTP 404
	clock   time.Time
	asked   []string
	refresh func(http.ResponseWriter, *http.Request)
	query   string
}

func next(list *[]string) string {
	one := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	return one
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	if !s.clock.IsZero() {
		w.Header().Set("Date", s.clock.UTC().Format(http.TimeFormat))
	}
	refresh := s.refresh
	defer func() {
		s.mu.Unlock()
		if r.URL.Path == "/api/lists/refresh" && refresh != nil {
			refresh(w, r)
		}
	}()
	js := func(text string) { w.Header().Set("Content-Type", "application/json"); fmt.Fprint(w, text) }
	switch path := r.URL.Path; {
	case path == "/api/blocking/status":
		js(next(&s.status))
	case path == "/api/blocking/disable" && strings.Contains(r.URL.RawQuery, "groups=nope"):
		http.Error(w, "group 'nope' is unknown", http.StatusBadRequest)
	case path == "/api/blocking/disable", path == "/api/blocking/enable", path == "/api/lists/refresh":
	case path == "/api/stats" && s.stats == "":
		http.Error(w, "statistics are disabled", http.StatusServiceUnavailable)
	case path == "/api/stats":
		js(s.stats)
	case path == "/metrics" && len(s.metrics) > 0:
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, next(&s.metrics))
	case path == "/api/query":
		js(s.query)
	default:
		http.NotFound(w, r)
	}
}

// requests gives those that were sent with a word in them.
func (s *stub) requests(word string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.asked {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return out
}

const (
	newMetrics = `# HELP blocky_build_info x
blocky_build_info{build_time="20261012",version="v0.34.0"} 1
blocky_denylist_cache_entries{group="ads"} 531204
blocky_denylist_cache_entries{group="a \"b\" \\ c"} 3
blocky_allowlist_cache_entries{group="ads"} 2
blocky_failed_downloads_total 2
blocky_last_list_group_refresh_timestamp_seconds 1.7953e+09
process_start_time_seconds 1.7952e+09
blocky_query_total{client="a",type="A"} 70
blocky_query_total{client="b",type="AAAA"} 30
blocky_response_total{reason="BLOCKED (ads)",response_code="NOERROR",response_type="BLOCKED"} 25
blocky_cache_hits_total 30
blocky_cache_misses_total 10
blocky_error_total 1
`
	oldMetrics = `blocky_blacklist_cache{group="ads"} 9
blocky_blacklist_cache{group="kids"} 3
blocky_whitelist_cache{group="ads"} 1
blocky_failed_download_count 0
blocky_last_list_group_refresh 1.7953e+09
blocky_cache_hit_count 1
blocky_cache_miss_count 3
`
	someStats = `{"start":"2026-11-28T15:00:00Z","end":"2026-11-29T15:00:00Z","summary":{"queries":200,"cached":100,"forwarded":50,"blocked":40,"filtered":0,"local":10,"dropped":0,"errors":3,"avgResponseMs":7,"cacheHitRate":0.66},
"byResponseType":{},"perHour":[],"topDomains":[{"name":"a.example","count":9}],"topBlockedDomains":[{"name":"b\u001b[31m.example","count":8}],"topClients":[{"name":"desk","count":7}],"lists":{"denylist":{"ads":11},"allowlist":{}},"cache":{"entries":4}}`
)

// host is one with a Blocky as its unit, whose configuration says config.
func blockyHost(config string, s http.Handler, more ...string) (*webtest.Link, fleet.State) {
	at := "tcp 127.0.0.1:4000"
	if len(more) > 0 {
		at = "tcp " + more[0]
	}
	l := &webtest.Link{Name: "router", Web: map[string]http.Handler{at: s}}
	l.Do = func(_ context.Context, cmd link.Command) (link.Result, error) {
		mark := cmd.Args[4]
		out := mark + " hostname router\n"
		for line := range strings.Lines(config) {
			out += mark + " blocky " + strings.TrimSuffix(line, "\n") + "\n"
		}
		if config != "" {
			out += mark + " blocky-file /etc/blocky.yaml\n"
		} else {
			out += mark + " blocky-unread its unit names no file with --config\n"
		}
		return link.Result{Stdout: []byte(out + mark + " end\n")}, nil
	}
	now := time.Now()
	st := fleet.State{Host: l.Host(), Units: fleet.Known([]fleet.Unit{{Name: "blocky.service", Active: "active"}}, now, "probe")}
	st.Containers = fleet.Nothing[[]fleet.Container]("no engine", now, "probe")
	return l, st
}

const onAt4000 = "ports:\n  dns: 53\n  http: 4000\nprometheus:\n  enable: true\n"

func one(t *testing.T, l link.Link, st fleet.State) fleet.DNSServer {
	t.Helper()
	f, _ := DNS(t.Context(), l, st)
	if !f.Current() || len(f.Value) != 1 {
		t.Fatalf("%+v", f)
	}
	return f.Value[0]
}

func TestBlocky(t *testing.T) {
	clock := time.Now().Add(-3 * time.Hour)
	s := &stub{status: []string{`{"enabled":true}`}, stats: someStats, metrics: []string{newMetrics}, clock: clock}
	l, st := blockyHost(onAt4000+"refreshPeriod: 24h\n", s)
	d := one(t, l, st)
	if d.Err != "" || d.Address != "127.0.0.1:4000" || d.Version != "v0.34.0" || !d.Blocking.Enabled || d.NoStats != "" || d.NoLists != "" {
		t.Fatalf("%+v", d)
	}
	if v := d.Stats; v.Source != "stats" || v.Queries != 200 || v.Blocked != 40 || v.Errors != 3 || *v.CacheHitRate != 0.66 || strings.Contains(v.TopBlocked[0].Name, "\x1b") || v.TopClients[0].Count != 7 {
		t.Errorf("%+v", v)
	}
	v := d.Lists
	if len(v.Groups) != 2 || v.Groups[0].Name != `a "b" \ c` || v.Groups[1] != (fleet.ListGroup{Name: "ads", Deny: 531204, Allow: 2}) || v.Failed != 2 || v.Period.Duration() != 24*time.Hour {
		t.Errorf("%+v", v)
	}
	if v.At.Sub(clock).Abs() > 2*time.Second || v.Refreshed.Unix() != 1795300000 || v.Started.Unix() != 1795200000 || !v.FailedFrom.Equal(v.Started) || !v.FailedSeen.Equal(v.At) {
		t.Errorf("times by the host's clock: %+v", v)
	}
	if got := s.requests("able"); len(got) != 0 {
		t.Errorf("a reading sent %q", got)
	}
}

func TestOlderBlockyAndWithoutStatistics(t *testing.T) {
	s := &stub{status: []string{`{"enabled":false,"autoEnableInSec":287,"disabledGroups":["ads"]}`}, metrics: []string{oldMetrics}}
	l, st := blockyHost(onAt4000, s)
	d := one(t, l, st)
	if left := time.Until(d.Blocking.Until); d.Blocking.Enabled || left < 280*time.Second || left > 288*time.Second || !slices.Equal(d.Blocking.Groups, []string{"ads"}) {
		t.Errorf("%+v", d.Blocking)
	}
	if !strings.Contains(d.NoStats, "off") || d.Lists == nil || d.Lists.Entries() != 12 || d.Lists.Unread != "" || d.Lists.Refreshed.IsZero() || d.Lists.Period.Duration() != 4*time.Hour {
		t.Errorf("%+v %+v", d, d.Lists)
	}
	l, st = blockyHost("ports: {http: [\":4000\"]}\n", s)
	if d = one(t, l, st); d.NoLists != fleet.NoMetrics || d.Lists != nil || d.Err != "" {
		t.Errorf("without metrics: %+v", d)
	}
	s.stats = strings.Replace(someStats, `"lists":{"denylist":{"ads":11},"allowlist":{}},`, "", 1)
	if d = one(t, l, st); d.Stats == nil || d.NoLists != fleet.NoMetrics || d.Lists != nil {
		t.Errorf("statistics without lists are not 0 entries: %+v", d)
	}
	s.stats = someStats
	if d = one(t, l, st); d.Lists == nil || d.Lists.Entries() != 11 || d.Lists.Unread != fleet.NoMetrics || d.NoLists != "" {
		t.Errorf("lists by the statistics: %+v", d)
	}
	if got := s.requests("/metrics"); len(got) != 1 {
		t.Errorf("metrics that are off were asked for: %q", got)
	}
	s.status = []string{`{"enabled":false,"disabledGroups":["ads","default","kids"]}`} // as Blocky tells of all
	l, st = blockyHost(onAt4000, s)
	if d = one(t, l, st); len(d.Blocking.Groups) > 0 {
		t.Errorf("all groups are off: %+v", d.Blocking)
	}
}

// TestGroupsThatOnlyTheStatisticsTell: one of which no list was ever loaded has no metrics.
func TestGroupsThatOnlyTheStatisticsTell(t *testing.T) {
	s := &stub{status: []string{`{"enabled":true}`}, metrics: []string{newMetrics}, stats: strings.Replace(someStats, `{"ads":11}`, `{"ads":11,"kids":0}`, 1)}
	l, st := blockyHost(onAt4000, s)
	if d := one(t, l, st); len(d.Lists.Groups) != 3 || d.Lists.Groups[1].Deny != 531204 || d.Lists.Groups[2].Name != "kids" || !d.Lists.Failing() {
		t.Errorf("%+v", d.Lists)
	}
	s.metrics = []string{newMetrics + strings.Repeat("x", 1<<17)}
	if d := one(t, l, st); d.Lists != nil || !strings.Contains(d.NoLists, "/metrics cannot be read") {
		t.Errorf("metrics that break off: %+v", d)
	}
	l, st = blockyHost(onAt4000, &stub{status: []string{`{"enabled":true}`}})
	if d := one(t, l, st); d.NoLists != "it has no metrics at /metrics" {
		t.Errorf("%+v", d)
	}
}

// TestTheLastSecondOfAPause: of it Blocky tells no seconds that are left; it is no pause
// without an end.
func TestTheLastSecondOfAPause(t *testing.T) {
	s := &stub{status: []string{`{"enabled":false}`, `{"enabled":true}`}}
	l, st := blockyHost(onAt4000, s)
	if d := one(t, l, st); !d.Blocking.Enabled {
		t.Errorf("%+v", d.Blocking)
	}
	s.status = []string{`{"enabled":false}`}
	if d := one(t, l, st); d.Blocking.Enabled || !d.Blocking.Until.IsZero() {
		t.Errorf("off without an end: %+v", d.Blocking)
	}
}

// TestWhereBlockyIsAsked: at the port that its configuration or its own listeners tell,
// and nobody else.
func TestWhereBlockyIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		at     string // where it answers; the test fails where anything else is dialled
		listen []fleet.Listener
		err    string
		none   bool
	}{
		"a number":            {config: onAt4000, at: "127.0.0.1:4000"},
		"with quotes":         {config: "\"ports\":\n  \"http\": \"4000\"\n", at: "127.0.0.1:4000"},
		"an address":          {config: "ports:\n  http: 100.64.0.13:4001\n", at: "100.64.0.13:4001"},
		"all addresses":       {config: "ports:\n  http: '[::]:4002'\n", at: "127.0.0.1:4002"},
		"IPv6":                {config: "ports:\n  http: '[::1]:4002'\n", at: "[::1]:4002"},
		"a list":              {config: "ports:\n  http:\n  - 127.0.0.2:4003\n  - 4004\n", at: "127.0.0.2:4003"},
		"with commas":         {config: "ports:\n  http: 127.0.0.1:4003,4004\n", at: "127.0.0.1:4003"},
		"before 0.20":         {config: "httpPort: 4005\n", at: "127.0.0.1:4005"},
		"off":                 {config: "ports:\n  dns: 53\n", err: "its HTTP API is off (ports.http)", none: true},
		"a name":              {config: "ports:\n  http: evil.example:4000\n", err: "no address"},
		"a fraction":          {config: "ports:\n  http: 4000.5\n", err: "no address"},
		"rubbish":             {config: "ports: [\n", err: "/etc/blocky.yaml cannot be read"},
		"a stranger's":        {config: onAt4000, err: "grafana.service listens", listen: []fleet.Listener{{Proto: "tcp", Address: "*", Port: 4000, Unit: "grafana.service"}}},
		"its listeners":       {at: "127.0.0.1:4006", listen: []fleet.Listener{{Proto: "tcp", Address: "*", Port: 53, Unit: "blocky.service"}, {Proto: "tcp", Address: "*", Port: 4006, Unit: "blocky.service"}, {Proto: "tcp", Address: "*", Port: 4000, Unit: "other.service"}}},
		"no listeners":        {err: "is not known: its configuration: its unit names no file"},
		"of DNS alone":        {err: "is not known", listen: []fleet.Listener{{Proto: "tcp", Address: "*", Port: 53, Unit: "blocky.service"}}},
		"a port out of range": {config: "ports:\n  http: 400000\n", err: "no address"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stub{status: []string{`{"enabled":true}`}}
			l, st := blockyHost(c.config, s, c.at)
			l.Seen = func(_, at string) {
				if at != c.at {
					t.Errorf("%s was dialled", at)
				}
			}
			st.Listens = fleet.Known(c.listen, time.Now(), "ss")
			d := one(t, l, st)
			if d.Address != c.at || c.err == "" != (d.Err == "") || !strings.Contains(d.Err, c.err) || d.None != c.none {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestBlockyInAContainer(t *testing.T) {
	s := &stub{status: []string{`{"enabled":true}`}, metrics: []string{newMetrics}}
	l, st := blockyHost("", s, "127.0.0.1:8053")
	now := time.Now()
	box := fleet.Container{Name: "dns", ID: strings.Repeat("a", 64), Image: "ghcr.io/0xerr0r/blocky:v0.34", State: "running", User: "root", Unit: "podman-dns.service", Ports: []fleet.Port{{Container: 53, Host: 53, Protocol: "tcp"}, {Container: 4000, Host: 8053, Protocol: "tcp"}}}
	st.Units = fleet.Known([]fleet.Unit{}, now, "probe")
	with := func(c fleet.Container) fleet.DNSServer {
		st.Containers = fleet.Known([]fleet.Container{c}, now, "podman")
		return one(t, l, st)
	}
	if d := with(box); d.Address != "" || d.None || !strings.Contains(d.Err, "who listens at 127.0.0.1:8053 could not be read") {
		t.Errorf("published, without listeners: %+v", d)
	}
	st.Listens = fleet.Known([]fleet.Listener{{Proto: "tcp", Address: "*", Port: 8053, Process: "conmon", Unit: box.Unit}}, now, "ss")
	if d := with(box); d.Err != "" || d.Address != "127.0.0.1:8053" || d.Lists == nil || d.Key() != "blocky/dns" {
		t.Errorf("published: %+v", d)
	}
	st.Listens = fleet.Fact[[]fleet.Listener]{}
	box.Ports = nil
	if d := with(box); d.None || !strings.Contains(d.Err, "who listens on the host could not be read") {
		t.Errorf("without listeners: %+v", d)
	}
	st.Listens = fleet.Known([]fleet.Listener{{Proto: "tcp", Address: "*", Port: 8053, Container: box.ID, Process: "blocky"}, {Proto: "tcp", Address: "*", Port: 4000, Unit: "other.service"}}, now, "ss")
	if d := with(box); d.Err != "" || d.Address != "127.0.0.1:8053" {
		t.Errorf("on the host's network: %+v", d)
	}
	st.Listens.Value = st.Listens.Value[1:]
	if d := with(box); !d.None || d.Err == "" || d.Address != "" {
		t.Errorf("nothing of its own is known: %+v", d)
	}
	box.State = "exited"
	if d := with(box); !d.None || !strings.Contains(d.Err, "does not run") {
		t.Errorf("stopped: %+v", d)
	}
}

// TestTwoBlockysInContainers: each is asked at the address that it publishes, and never
// who listens there in its place.
func TestTwoBlockysInContainers(t *testing.T) {
	now := time.Now()
	on, off := &stub{status: []string{`{"enabled":true}`}}, &stub{status: []string{`{"enabled":false,"autoEnableInSec":99}`}}
	l := &webtest.Link{Name: "router", Web: map[string]http.Handler{"tcp 10.0.0.1:4000": on, "tcp 10.0.0.2:4000": off}}
	st := fleet.State{Host: l.Host(), Units: fleet.Known([]fleet.Unit{}, now, "probe")}
	box := func(name, ip, id string) fleet.Container {
		return fleet.Container{Name: name, ID: strings.Repeat(id, 64), Image: "blocky", State: "running", User: "root", Ports: []fleet.Port{{HostIP: ip, Container: 4000, Host: 4000, Protocol: "tcp"}}}
	}
	st.Containers = fleet.Known([]fleet.Container{box("a", "10.0.0.1", "a"), box("b", "10.0.0.2", "b")}, now, "podman")
	for name, c := range map[string]struct {
		first fleet.Listener // at 10.0.0.1
		err   string
	}{
		"its own":           {fleet.Listener{Process: "conmon", Container: strings.Repeat("a", 64)}, ""},
		"Docker's":          {fleet.Listener{Process: "docker-proxy", Unit: "docker.service"}, ""},
		"rootless":          {fleet.Listener{Process: "rootlessport"}, ""},
		"another container": {fleet.Listener{Process: "conmon", Container: strings.Repeat("b", 64)}, "another container listens"},
		"a stranger":        {fleet.Listener{Process: "caddy", Unit: "caddy.service"}, "caddy.service listens"},
		"nobody told":       {fleet.Listener{}, "somebody who is not told listens"},
	} {
		t.Run(name, func(t *testing.T) {
			c.first.Proto, c.first.Address, c.first.Port = "tcp", "10.0.0.1", 4000
			st.Listens = fleet.Known([]fleet.Listener{c.first, {Proto: "tcp", Address: "10.0.0.2", Port: 4000, Process: "conmon", Container: strings.Repeat("b", 64)}}, now, "ss")
			before := len(on.requests("status"))
			f, _ := DNS(t.Context(), l, st)
			a, b := f.Value[0], f.Value[1]
			if c.err == "" != (a.Err == "") || !strings.Contains(a.Err, c.err) || c.err == "" && !a.Blocking.Enabled {
				t.Errorf("%+v", a)
			}
			if b.Address != "10.0.0.2:4000" || b.Blocking == nil || b.Blocking.Enabled {
				t.Errorf("%+v", b)
			}
			if asked := len(on.requests("status")) > before; asked != (c.err == "") {
				t.Errorf("it was asked: %v", asked)
			}
		})
	}
}

// TestBlockyThatStarts: only what is stopped is told as stopped.
func TestBlockyThatStarts(t *testing.T) {
	l, st := blockyHost(onAt4000, &stub{status: []string{`{"enabled":true}`}})
	for state, want := range map[string][2]bool{"active": {}, "reloading": {}, "inactive": {true, true}, "failed": {true, true}, "activating": {true, false}, "deactivating": {true, false}} {
		st.Units.Value[0].Active = state
		if d := one(t, l, st); (d.Err != "") != want[0] || d.None != want[1] {
			t.Errorf("%s: %+v", state, d)
		}
	}
}

// TestNoDNSServer: none is only where all that could be one was read.
func TestNoDNSServer(t *testing.T) {
	l, st := blockyHost("", nil)
	st.Units = fleet.Known([]fleet.Unit{{Name: "blocky-exporter.service", Active: "active"}}, time.Now(), "probe")
	if f, m := DNS(t.Context(), l, st); !f.None || !m.None {
		t.Errorf("%+v %+v", f, m)
	}
	st.Containers = fleet.Unknown[[]fleet.Container](errors.New("closed"), time.Now(), "podman")
	if f, _ := DNS(t.Context(), l, st); f.None || !strings.Contains(f.Err, "containers could not be read: closed") {
		t.Errorf("%+v", f)
	}
	st.Containers = fleet.Known([]fleet.Container{}, time.Now().Add(-time.Minute), "podman").Remember(time.Now())
	if f, _ := DNS(t.Context(), l, st); f.None || !strings.Contains(f.Err, "containers could not be read: "+fleet.Remembered) {
		t.Errorf("remembered: %+v", f)
	}
	old := fleet.Known([]fleet.Container{{Name: "dns", Image: "blocky", State: "running", User: "root"}}, time.Now(), "podman")
	st.Containers = old.Refresh(fleet.Unknown[[]fleet.Container](errors.New("closed"), time.Now(), "podman"))
	if f, _ := DNS(t.Context(), l, st); len(f.Value) != 1 || f.Value[0].None || !strings.Contains(f.Value[0].Err, "containers could not be read: closed") {
		t.Errorf("one that was there before: %+v", f)
	}
	st.Containers = fleet.Fact[[]fleet.Container]{}
	if f, _ := DNS(t.Context(), l, st); f.None || f.Err == "" {
		t.Errorf("%+v", f)
	}
	st.Units = fleet.Unknown[[]fleet.Unit](errors.New("no bus"), time.Now(), "probe")
	if f, m := DNS(t.Context(), l, st); f.None || m.None || !strings.Contains(f.Err, "no bus") {
		t.Errorf("%+v %+v", f, m)
	}
}

func TestBadBlockys(t *testing.T) {
	webtest.Bad(t, dnsTime, func(l link.Link) error {
		s := server{at: []string{"127.0.0.1:4000"}, metrics: defaultMetrics, DNSServer: fleet.DNSServer{Kind: "blocky", Address: "127.0.0.1:4000"}}
		return s.ask(t.Context(), l)
	})
	for name, body := range map[string]string{"an empty object": `{}`, "another's": `{"status":"ok"}`, "a word": `{"enabled":"yes"}`, "a list": `[]`} {
		l, st := blockyHost(onAt4000, &stub{status: []string{body}})
		if d := one(t, l, st); d.Err == "" || d.Blocking != nil || d.Silent {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestBadPartsOfBlocky: statistics and metrics that answer badly are not known, with the
// reason, and never none.
func TestBadPartsOfBlocky(t *testing.T) {
	for _, part := range []string{"stats", "metrics", "query"} {
		t.Run(part, func(t *testing.T) {
			webtest.Bad(t, queryTime, func(l link.Link) error {
				c := apiAt(l, "127.0.0.1:4000", blockyLimits)
				defer c.Close()
				switch part {
				case "stats":
					v, _, why := c.stats(t.Context())
					if v == nil && why != "" {
						return errors.New(why)
					}
				case "metrics":
					_, err := c.metrics(t.Context(), "/metrics")
					return err
				case "query":
					_, err := AskName(t.Context(), l, fleet.DNSServer{Address: "127.0.0.1:4000"}, "a.example", "A")
					return err
				}
				return nil
			})
		})
	}
}

func TestNothingAnswers(t *testing.T) {
	l, st := blockyHost(onAt4000, nil)
	l.Web = nil
	if d := one(t, l, st); !d.Silent || !strings.Contains(d.Err, web.ErrNone.Error()) {
		t.Errorf("%+v", d)
	}
	l.Raw = map[string]func(net.Conn){"tcp 127.0.0.1:4000": webtest.Answers()["silence"]}
	if d := one(t, l, st); d.Silent || !strings.Contains(d.Err, web.ErrLate.Error()) {
		t.Errorf("late is not silent: %+v", d)
	}
}
