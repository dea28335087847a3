package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

func read(t *testing.T, r *Reader, l link.Link, st fleet.State) (fleet.Fact[fleet.Metrics], fleet.Fact[[]fleet.Alarm]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return r.Read(ctx, l, probed(st))
}

func TestNetdataOnTheHost(t *testing.T) {
	nd := v1(t)
	r, l := New(), host("galactica", serve(t, nd.handler()))
	for range 2 { // the second time without looking for it again
		m, alarms := read(t, r, l, state("galactica"))
		if !m.Current() || m.Source != "netdata v1.37.1" || m.Value.CPU < 0.99 || m.Value.Load1 != 7.09 || len(m.Value.Disks) != 1 {
			t.Errorf("%+v", m)
		}
		if age := time.Since(m.At); age < 2*time.Second || age > 10*time.Second {
			t.Error("the age of the row is", age)
		}
		if !alarms.Current() || len(alarms.Value) != 1 || alarms.Value[0].Status != "WARNING" {
			t.Errorf("%+v", alarms)
		}
	}
}

func TestNetdataOfTheThirdAPI(t *testing.T) {
	nd := v1(t)
	nd.says = map[string]string{
		"/api/v3/info":       "netdata-2-info-CONSTRUCTED.json",
		"/api/v3/nodes":      "netdata-2-nodes-CONSTRUCTED.json",
		"/api/v3/allmetrics": "netdata-1.37-allmetrics-filtered.json",
		"/api/v3/alerts":     "netdata-2-alerts-CONSTRUCTED.json",
		"/api/v3/data":       "netdata-2-data-system.cpu-CONSTRUCTED.json",
	}
	answer := nd.handler()
	l := host("galactica", serve(t, func(w http.ResponseWriter, req *http.Request) {
		if p := req.URL.Path; (p == "/api/v3/alerts" || p == "/api/v3/data") && req.URL.Query().Get("scope_nodes") != galactica {
			t.Errorf("%s asks for nodes %q", p, req.URL.Query().Get("scope_nodes"))
		}
		answer(w, req)
	}))
	r := New()
	m, alarms := read(t, r, l, state("galactica"))
	if m.Source != "netdata v2.7.3" || m.Value.CPU < 0.99 || len(alarms.Value) != 2 {
		t.Errorf("%+v %+v", m, alarms)
	}
	r.now = func() time.Time { return nd.clock }
	series, err := r.Series(t.Context(), l, state("galactica"), fleet.SeriesQuery{Window: time.Minute})
	if err != nil || len(series) == 0 || series[0].Name != "cpu" || series[0].Points[0].Value != 13 {
		t.Errorf("%+v %v", series, err)
	}
}

func TestNoNetdataAnywhere(t *testing.T) {
	r, l := New(), host("router", nil)
	m, alarms := read(t, r, l, state("router"))
	if !m.Current() || m.Source != "/proc" || m.Value.CPU != 0.25 || m.Value.NetIn != 500 {
		t.Errorf("%+v", m)
	}
	if !alarms.None || !strings.HasPrefix(alarms.Err, "no monitoring") {
		t.Errorf("%+v", alarms)
	}
	if _, err := r.Series(t.Context(), l, state("router"), fleet.SeriesQuery{Window: time.Minute}); !errors.Is(err, ErrNoHistory) {
		t.Error(err)
	}
}

func TestAChildIsReadFromItsParent(t *testing.T) {
	nd := v1(t)
	nd.clock = time.Unix(1795375471, 0)
	r := New()
	parent, child := host("galactica", serve(t, nd.handler())), host("router", nil)
	st := state("router")
	st.Units = fleet.Known([]fleet.Unit{{Name: "netdata.service", Active: "active"}}, time.Now(), "probe")

	m, alarms := read(t, r, child, st)
	if m.Source != "/proc" || alarms.Current() || alarms.None || !strings.Contains(alarms.Err, "without a web server") {
		t.Errorf("before the parent is known: %+v %+v", m.Source, alarms)
	}
	if r.Due(child.host.ID) {
		t.Error("due before a parent is known")
	}
	nd.clock = time.Unix(1795375367, 0)
	if m, _ := read(t, r, parent, state("galactica")); !m.Current() {
		t.Fatal(m.Err)
	}
	nd.clock = time.Unix(1795375471, 0)
	if !r.Due(child.host.ID) {
		t.Error("not due though its parent is known")
	}
	m, alarms = read(t, r, child, st)
	if m.Source != "netdata v1.37.1 on galactica" || m.Value.CPU < 0.44 || m.Value.CPU > 0.45 || len(m.Value.Disks) != 1 {
		t.Errorf("%+v", m)
	}
	if !alarms.Current() || len(alarms.Value) != 0 || alarms.Source != m.Source {
		t.Errorf("%+v", alarms)
	}
	if r.Due(child.host.ID) {
		t.Error("still due")
	}
	r.now = func() time.Time { return nd.clock }
	series, err := r.Series(t.Context(), child, st, fleet.SeriesQuery{Window: time.Minute})
	if err != nil || len(series) == 0 || series[0].Source != "netdata v1.37.1 on galactica" {
		t.Errorf("%+v %v", series, err)
	}
	r.Forget(parent.host.ID)
	if m, _ := read(t, r, child, st); m.Source != "/proc" {
		t.Error("after the parent left the fleet:", m.Source)
	}
}

func TestAChildIsFoundByTheNameItHasForItself(t *testing.T) {
	nd := v1(t)
	r := New()
	read(t, r, host("galactica", serve(t, nd.handler())), state("galactica"))
	nd.clock = time.Unix(1795375471, 0)
	child, st := host("core-gw", nil), state("core-gw")
	st.System.Value.Hostname = "Router.example.org"
	if m, _ := read(t, r, child, st); m.Source != "netdata v1.37.1 on galactica" {
		t.Error(m.Source)
	}
}

func TestRowsOfAParentThatMayNotBeTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		clock  int64
		info   string // replaced in the parent's info
		by     string
		memory uint64
		want   string
	}{
		"gone, and the parent says so":  {1795375471, `"hostname": "router", "reachable": true`, `"hostname": "router", "reachable": false`, 0, "does not stream"},
		"gone, and only its rows tell":  {1795375471 + 300, "", "", 0, "heard nothing of it for 5m1s"},
		"from the future":               {1795375471 - 300, "", "", 0, "future"},
		"the parent does not know it":   {1795375471, router, "36779ef2-e6aa-11f1-8e7c-02fc00000099", 0, "does not know"},
		"two machines with that name":   {1795375471, `{ "guid": "` + galactica, `{"guid":"36779ef2-e6aa-11f1-8e7c-02fc00000077","hostname":"router","reachable":true},{ "guid": "` + galactica, 0, "two machines"},
		"no more memory than this host": {1795375471, "", "", 1 << 30, "another machine"},
	} {
		t.Run(name, func(t *testing.T) {
			nd := v1(t)
			nd.says["/host/"+router+"/api/v1/allmetrics"] = "netdata-1.37-row.json"
			if c.want != "another machine" {
				nd.says["/host/"+router+"/api/v1/allmetrics"] = "netdata-1.37-parent-child-allmetrics.json"
			}
			answer := nd.handler()
			parent := host("galactica", serve(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/api/v1/info" && c.info != "" {
					w.Header().Set("Content-Type", "application/json")
					io.WriteString(w, strings.Replace(string(sample(t, "netdata-1.37-parent-info.json")), c.info, c.by, 1))
					return
				}
				answer(w, req)
			}))
			r := New()
			read(t, r, parent, state("galactica"))
			nd.clock = time.Unix(c.clock, 0)
			st := state("router")
			if c.want == "another machine" {
				nd.clock = rowTime(t).Add(time.Second)
				st.Proc.Value.Memory.Total = c.memory
			}
			m, alarms := read(t, r, host("router", nil), st)
			if m.Source != "/proc" || !m.Current() {
				t.Errorf("metrics from %q", m.Source)
			}
			if alarms.Current() || alarms.None || !strings.Contains(alarms.Err, c.want) {
				t.Errorf("alarms: %+v", alarms)
			}
		})
	}
}

func rowTime(t *testing.T) time.Time {
	t.Helper()
	r, err := parseRow(sample(t, "netdata-1.37-row.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r.newest()
}

func TestTwoHostsWithOneNameAreToldApartByTheirUptime(t *testing.T) {
	nd := v1(t)
	nd.says["/host/"+router+"/api/v1/allmetrics"] = "netdata-1.37-row.json"
	r := New()
	read(t, r, host("galactica", serve(t, nd.handler())), state("galactica"))
	nd.clock = rowTime(t)
	row, _ := parseRow(sample(t, "netdata-1.37-row.json"))
	up, _ := row.uptime()
	for name, uptime := range map[string]time.Duration{"left": up, "right": up + time.Hour} {
		st := state(name)
		st.System.Value.Hostname = "router"
		st.Proc.Value.After.Uptime = fleet.Seconds(uptime.Seconds())
		r.meet(host(name, nil), st)
	}
	for name, want := range map[string]string{"left": "netdata v1.37.1 on galactica", "right": "/proc"} {
		st := state(name)
		st.System.Value.Hostname = "router"
		st.Proc.Value.After.Uptime = fleet.Seconds(up.Seconds())
		if name == "right" {
			st.Proc.Value.After.Uptime += 3600
		}
		if m, _ := read(t, r, host(name, nil), st); m.Source != want {
			t.Errorf("%s: %s", name, m.Source)
		}
	}
}

func TestHealthChecksThatAreOffAreNoGoodNews(t *testing.T) {
	nd := v1(t)
	answer := nd.handler()
	l := host("galactica", serve(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/api/v1/alarms" {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"status":false,"alarms":{}}`)
			return
		}
		answer(w, req)
	}))
	m, alarms := read(t, New(), l, state("galactica"))
	if !m.Current() || alarms.Current() || !alarms.None || !strings.Contains(alarms.Err, "health checks are off") {
		t.Errorf("%+v", alarms)
	}
}

// TestAnswersThatAreNotNetdatas: whatever answers there, metrics come from
// /proc and the alarms are unknown with a reason, within the bounds.
func TestAnswersThatAreNotNetdatas(t *testing.T) {
	jsonHead := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"bearer token":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPreconditionFailed) }, "bearer token"},
		"forbidden":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "bearer token"},
		"HTML":              {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>hello</html>") }, "text/html"},
		"HTML as JSON":      {func(w http.ResponseWriter, _ *http.Request) { jsonHead(w); io.WriteString(w, "<html>hello</html>") }, "cannot be read"},
		"half of an answer": {func(w http.ResponseWriter, _ *http.Request) { jsonHead(w); io.WriteString(w, `{"version":"v1`) }, "cannot be read"},
		"other JSON":        {func(w http.ResponseWriter, _ *http.Request) { jsonHead(w); io.WriteString(w, `{"hello":"world"}`) }, "no agent"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "redirect"},
		"not found": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "\x1b[31mno")
		}, "does not know"},
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, "busy")
		}, "HTTP 503: busy"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			jsonHead(w)
			for spaces := []byte(strings.Repeat(" ", 1<<20)); ; {
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		}, "larger than|in time"}, // which of them comes first depends on the machine
		"binary": {func(w http.ResponseWriter, _ *http.Request) { jsonHead(w); w.Write([]byte{0xff, 0xfe, 0}) }, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			m, alarms := read(t, New(), host("galactica", serve(t, c.handler)), state("galactica"))
			if !m.Current() || m.Source != "/proc" {
				t.Errorf("%+v", m)
			}
			if alarms.Current() || alarms.None || !regexp.MustCompile(c.want).MatchString(alarms.Err) || strings.Contains(alarms.Err, "\x1b") {
				t.Errorf("%+v", alarms)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Error("took", d)
			}
		})
	}
}

// TestAHangingNetdataIsNotWaitedFor: neither one that accepts and says
// nothing, nor one that drips, nor a dial that never ends.
func TestAHangingNetdataIsNotWaitedFor(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	drip := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for {
			io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-release:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	never := host("c", nil)
	never.dial = func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	for _, l := range []fakeLink{host("a", serve(t, drip)), host("b", serve(t, silent)), never} {
		r := New()
		for i, limit := range []time.Duration{grace + 2*time.Second, grace / 2} { // the second time it is not even asked
			began := time.Now()
			m, alarms := read(t, r, l, state(l.host.Name))
			if !m.Current() || alarms.Current() || alarms.None || alarms.Err == "" {
				t.Errorf("%+v %+v", m, alarms)
			}
			if d := time.Since(began); d > limit {
				t.Errorf("reading %d of %s took %s", i, l.host.Name, d)
			}
		}
	}
}

func TestASlowProbeGivesNetdataAsMuchTime(t *testing.T) {
	nd := v1(t)
	answer := nd.handler()
	l := host("galactica", serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(700 * time.Millisecond)
		answer(w, r)
	}))
	m, _ := New().Read(t.Context(), l, func(context.Context) (fleet.State, error) {
		time.Sleep(1200 * time.Millisecond)
		return state("galactica"), nil
	})
	if m.Source != "netdata v1.37.1" {
		t.Error(m.Source)
	}
}

func TestWithoutTheProbe(t *testing.T) {
	fail := func(context.Context) (fleet.State, error) { return fleet.State{}, errProbe }
	m, alarms := New().Read(t.Context(), host("galactica", serve(t, v1(t).handler())), fail)
	if !m.Current() || m.Value.CPU < 0.99 || !alarms.Current() {
		t.Errorf("%+v %+v", m, alarms)
	}
	m, _ = New().Read(t.Context(), host("router", nil), fail)
	if m.Current() || m.HasValue() || !strings.Contains(m.Err, errProbe.Error()) {
		t.Errorf("%+v", m)
	}
}

func TestCancelledReadsEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	l := host("a", nil)
	l.dial = func(ctx context.Context) (net.Conn, error) {
		cancel(errors.New("screen closed"))
		<-ctx.Done()
		return nil, ctx.Err()
	}
	m, alarms := New().Read(ctx, l, func(ctx context.Context) (fleet.State, error) { <-ctx.Done(); return fleet.State{}, ctx.Err() })
	if m.Current() || alarms.Current() {
		t.Errorf("%+v %+v", m, alarms)
	}
}

func TestForbiddenForwardingIsUnknownUnlessTheProbeKnowsBetter(t *testing.T) {
	l := host("a", nil)
	l.dial = func(context.Context) (net.Conn, error) {
		return nil, fmt.Errorf("%w: %s on a: open failed", link.ErrForbidden, address)
	}
	st := state("a")
	if _, alarms := read(t, New(), l, st); alarms.None || alarms.Err == "" {
		t.Errorf("%+v", alarms)
	}
	st.Inventory = fleet.Known(fleet.Inventory{Ports: []int{22, 80}}, time.Now(), "probe")
	if _, alarms := read(t, New(), l, st); !alarms.None {
		t.Errorf("%+v", alarms)
	}
	st.Inventory.Value.Ports = append(st.Inventory.Value.Ports, port)
	if _, alarms := read(t, New(), l, st); alarms.None {
		t.Errorf("%+v", alarms)
	}
}

func TestRatesOverTwoReadings(t *testing.T) {
	r, l := New(), host("a", nil)
	st := state("a")
	read(t, r, l, st)
	next := state("a")
	next.Proc.Value.Before = fleet.Counters{Uptime: 1010, CPUBusy: 1000, CPUTotal: 3000}
	next.Proc.Value.After = fleet.Counters{Uptime: 1011, CPUBusy: 1150, CPUTotal: 3200, NetIn: 1500}
	m, _ := read(t, r, l, next)
	if m.Value.CPU != 0.5 || m.Value.NetIn != 100 { // since 1001: 1000 of 2000 ticks, 1000 bytes in 10 s
		t.Errorf("cpu %v, in %v", m.Value.CPU, m.Value.NetIn)
	}
	if again, _ := read(t, r, l, next); again.Value.CPU != 0.75 {
		t.Errorf("the same reading again: %v", again.Value.CPU)
	}
}

func TestManyHostsAtOnce(t *testing.T) {
	var asked atomic.Int64
	nd := v1(t)
	answer := nd.handler()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); answer(w, r) })
	r := New()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			var server *httptest.Server
			if i%2 == 0 {
				server = s
			}
			l := host(fmt.Sprintf("h%d", i), server)
			for range 3 {
				if m, _ := r.Read(t.Context(), l, probed(state(l.host.Name))); !m.Current() {
					t.Error(m.Err)
				}
				r.Due(l.host.ID)
			}
			if i%3 == 0 {
				r.Forget(l.host.ID)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n > 20*(2+3*2)+20 {
		t.Error("netdata was asked", n, "times")
	}
}

func TestLive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	count := 0
	err := Live(ctx, host("here", nil), time.Second, func(_ time.Time, m fleet.Metrics) {
		if m.Memory.Total == 0 || m.CPU < 0 || m.CPU > 1 || m.Cores == 0 {
			t.Errorf("%+v", m)
		}
		if len(Point(time.Now(), m)) != 7+len(m.Pressure) {
			t.Error("not all series have a point")
		}
		if count++; count == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || count != 2 {
		t.Error(err, count)
	}
}

// TestFollow: lines grow, are bounded, and what was handed out stays as it is.
func TestFollow(t *testing.T) {
	turn := func(up int) string {
		return fmt.Sprintf("%d.00 1.00\n0.5 0.4 0.3 1/2 3\ncpu 1 0 0 %d 0 0 0 0\npressure cpu some avg10=25.00 avg60=0\npressure io some avg10=nonsense\npressure memory full avg10=1\n", up, up*100)
	}
	m := FromProc(fleet.Proc{}, parseTurn([]byte(turn(10))))
	if m.Pressure["cpu"] != 0.25 || m.Pressure["io"] != 0 || len(m.Pressure) != 2 {
		t.Errorf("%+v", m.Pressure)
	}
	var lines, first []fleet.Series
	for i := range 3 * maxPoints {
		lines = behind(lines, Point(time.Unix(int64(i), 0), m))
		if i == 0 {
			first = lines
		}
	}
	if len(lines) != 7 || len(first[0].Points) != 1 || first[0].Points[0].At != time.Unix(0, 0) {
		t.Errorf("%d lines, the first reading now %+v", len(lines), first[0])
	}
	for _, s := range lines {
		if n := len(s.Points); n != maxPoints || s.Points[n-1].At != time.Unix(3*maxPoints-1, 0) || s.Source != "/proc" {
			t.Errorf("%s: %d points to %s, %s", s.Name, n, s.Points[n-1].At, s.Source)
		}
	}
}

func TestLiveOfAHostThatTellsNonsense(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":  "",
		"one line": strings.Repeat("x", 2<<20),
		"no end":   strings.Repeat("lots of lines\n", maxTurn/10),
		"garbage":  "\xff\xfe\n" + endOfTurn + "\n\n\n" + endOfTurn + "\ncpu\n" + endOfTurn + "\n",
	} {
		err := link.Turns(strings.NewReader(text), endOfTurn, maxTurn, func(b []byte) {
			if p := parseTurn(b); p.After.Uptime != 0 {
				t.Errorf("%s: %+v", name, p)
			}
		})
		if (err != nil) != (name == "one line" || name == "no end") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
