package services

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

func TestPauseAndResume(t *testing.T) {
	s := &stub{status: []string{`{"enabled":true}`}}
	l, st := blockyHost(onAt4000, s)
	d := one(t, l, st)
	s.status = []string{`{"enabled":false,"autoEnableInSec":299}`}
	b, err := PauseBlocking(t.Context(), l, d, 5*time.Minute, nil)
	if err != nil || b.Enabled || b.Until.IsZero() {
		t.Errorf("%+v %v", b, err)
	}
	if got := s.requests("disable"); !slices.Equal(got, []string{"GET /api/blocking/disable?duration=5m0s"}) {
		t.Errorf("a pause of all names no groups, and is asked for once: %q", got)
	}
	if _, err = PauseBlocking(t.Context(), l, d, 90*time.Second, []string{"ads", "kids"}); err != nil {
		t.Error(err)
	}
	if got := s.requests("groups"); !slices.Equal(got, []string{"GET /api/blocking/disable?duration=1m30s&groups=ads%2Ckids"}) {
		t.Errorf("%q", got)
	}
	if _, err = PauseBlocking(t.Context(), l, d, time.Minute, []string{"nope"}); err == nil || !strings.Contains(err.Error(), "group 'nope' is unknown") {
		t.Errorf("%v", err)
	}
	for _, length := range []time.Duration{0, -time.Minute, 900 * time.Millisecond} {
		if _, err = PauseBlocking(t.Context(), l, d, length, nil); err == nil {
			t.Errorf("%s is a pause", length)
		}
	}
	if n := len(s.requests("disable")); n != 3 {
		t.Errorf("%d requests", n)
	}
	if _, err = ResumeBlocking(t.Context(), l, d); err == nil || !strings.Contains(err.Error(), "does not block") {
		t.Errorf("what Blocky tells is believed, not what was asked for: %v", err)
	}
	s.status = []string{`{"enabled":true}`}
	if b, err = ResumeBlocking(t.Context(), l, d); err != nil || !b.Enabled || len(s.requests("enable")) != 2 {
		t.Errorf("%+v %v", b, err)
	}
}

// TestAPauseThatHasNoEnd: what is off for ever is an error, also right after a pause was
// asked for.
func TestAPauseThatHasNoEnd(t *testing.T) {
	l, _ := blockyHost(onAt4000, &stub{status: []string{`{"enabled":true}`, `{"enabled":false}`}})
	_, err := PauseBlocking(t.Context(), l, fleet.DNSServer{Kind: "blocky", Unit: "blocky.service", Address: "127.0.0.1:4000"}, time.Minute, nil)
	if err == nil || !strings.Contains(err.Error(), "nothing turns it on again") || fleet.Cure(err) != "sextant dns resume router --server blocky/blocky.service" {
		t.Errorf("%v", err)
	}
}

// TestNothingIsChangedAtAnothersAddress: where no Blocky answers any more.
func TestNothingIsChangedAtAnothersAddress(t *testing.T) {
	d := fleet.DNSServer{Address: "127.0.0.1:4000", MetricsPath: "/metrics"}
	for name, s := range map[string]*stub{"another": {status: []string{`{"status":"ok"}`}}, "nobody": nil} {
		l := &webtest.Link{Name: "router"}
		if s != nil {
			l.Web = map[string]http.Handler{"tcp 127.0.0.1:4000": s}
		}
		_, pause := PauseBlocking(t.Context(), l, d, time.Minute, nil)
		_, resume := ResumeBlocking(t.Context(), l, d)
		_, refresh := RefreshLists(t.Context(), l, d, func(string) {})
		for _, err := range []error{pause, resume, refresh} {
			if err == nil || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s != nil && (len(s.requests("able")) > 0 || len(s.requests("refresh")) > 0) {
			t.Errorf("%q", s.asked)
		}
	}
}

// TestChangesAreSentOnce: also where the answer is bad, and then it is not said that
// nothing was done.
func TestChangesAreSentOnce(t *testing.T) {
	webtest.Bad(t, changeTime, func(l link.Link) error {
		_, err := PauseBlocking(t.Context(), l, fleet.DNSServer{Address: "127.0.0.1:4000"}, time.Minute, nil)
		return err
	})
	n := 0
	l := &webtest.Link{Name: "router", Web: map[string]http.Handler{"tcp 127.0.0.1:4000": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/blocking/status" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"enabled":false}`)
			return
		}
		n++
		panic(http.ErrAbortHandler) // the connection ends without an answer
	})}}
	_, err := ResumeBlocking(t.Context(), l, fleet.DNSServer{Address: "127.0.0.1:4000"})
	if err == nil || !strings.Contains(err.Error(), "not known whether") || n != 1 {
		t.Errorf("%d times: %v", n, err)
	}
	if _, err := ResumeBlocking(t.Context(), l, fleet.DNSServer{Err: "its HTTP API is off"}); !errors.Is(err, errNoAPI) || n != 1 {
		t.Errorf("%v", err)
	}
}

func TestAskName(t *testing.T) {
	s := &stub{status: []string{`{"enabled":true}`}, query: `{"reason":"BLOCKED (ads)","response":"A (0.0.0.0)\u001b[31m","responseType":"BLOCKED","returnCode":"NOERROR"}`}
	l, st := blockyHost(onAt4000, s)
	d := one(t, l, st)
	got, err := AskName(t.Context(), l, d, "ads.example.com", "AAAA")
	if err != nil || got.Line() != "ads.example.com AAAA: BLOCKED, because: BLOCKED (ads), NOERROR A (0.0.0.0)" {
		t.Errorf("%q %v", got.Line(), err)
	}
	if got := s.requests("query"); !slices.Equal(got, []string{`POST /api/query {"query":"ads.example.com","type":"AAAA"}`}) {
		t.Errorf("%q", got)
	}
	for _, q := range [][2]string{{"", "A"}, {"a b", "A"}, {"a\x1b.example", "A"}, {"x.example", "a"}, {"x.example", ""}, {strings.Repeat("a.", 200), "A"}} {
		if _, err := AskName(t.Context(), l, d, q[0], q[1]); err == nil {
			t.Errorf("%q was asked for", q)
		}
	}
	s.query = `{"response":"x"}`
	if _, err := AskName(t.Context(), l, d, "a.example", "A"); err == nil {
		t.Error("an answer without a reason was taken")
	}
}

// figures are metrics of lists as they are at a moment of a refresh.
func figures(entries, failed int, refreshed int64) string {
	return fmt.Sprintf("blocky_denylist_cache_entries{group=\"ads\"} %d\nblocky_failed_downloads_total %d\nblocky_last_list_group_refresh_timestamp_seconds %d\nprocess_start_time_seconds 1000\n", entries, failed, refreshed)
}

// quick has a refresh watched quickly.
func quick(t *testing.T) {
	every, quiet, cut := refreshEvery, refreshQuiet, refreshCut
	refreshEvery, refreshQuiet, refreshCut = 10*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	t.Cleanup(func() { refreshEvery, refreshQuiet, refreshCut = every, quiet, cut })
}

func refreshed(t *testing.T, ctx context.Context, s *stub) (string, string, error) {
	t.Helper()
	l, st := blockyHost(onAt4000, s)
	d := one(t, l, st)
	var said []string
	out, err := RefreshLists(ctx, l, d, func(line string) { said = append(said, line) })
	return out, strings.Join(said, "\n"), err
}

func TestRefreshOfLists(t *testing.T) {
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	late := func(http.ResponseWriter, *http.Request) {
		time.Sleep(150 * time.Millisecond)
		panic(http.ErrAbortHandler)
	}
	on := []string{`{"enabled":true}`}
	first := []string{figures(10, 1, 5000), figures(10, 1, 5000)}
	then := func(more ...string) []string { return append(slices.Clone(first), more...) }
	for name, c := range map[string]struct {
		stub      *stub
		out, err  string // what it ends with
		said, not string
	}{
		"it answers in time":     {stub: &stub{metrics: then(figures(20, 1, 6000))}, out: "the lists were refreshed: 20 entries in 1 groups"},
		"attempts failed":        {stub: &stub{metrics: then(figures(20, 3, 6000))}, out: "the lists were refreshed: 20 entries in 1 groups (2 attempts to download failed)"},
		"cut off, some are done": {stub: &stub{refresh: late, metrics: then(figures(15, 1, 6000), figures(20, 2, 6010))}, err: "nothing has moved for 0s; whether all groups are done is not known: a group or more were made anew, 20 entries in 1 groups (1 attempts to download failed)", said: "15 entries after"},
		"cut off, nothing moves": {stub: &stub{refresh: late, metrics: first}, err: "whether all groups are done is not known: no group was made anew"},
		"closed at once":         {stub: &stub{refresh: cut, metrics: first}, err: "it is not known whether it refreshes its lists", not: "cut off"},
		"it says that it failed": {stub: &stub{metrics: first, refresh: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no route\x1b[31m", http.StatusInternalServerError)
		}}, err: "it says: no route"},
		"cut off without metrics":   {stub: &stub{stats: someStats, refresh: late}, err: "how it ends is not known: it has no metrics at /metrics"},
		"without metrics":           {stub: &stub{stats: someStats}, out: "Blocky says that its lists were refreshed; whether attempts to download failed is not known: it has no metrics at /metrics"},
		"started anew":              {stub: &stub{metrics: then(strings.Replace(figures(20, 0, 6000), "seconds 1000", "seconds 5500", 1))}, err: "started anew"},
		"started anew, and cut off": {stub: &stub{refresh: late, metrics: then(strings.Replace(figures(20, 0, 6000), "seconds 1000", "seconds 5500", 1))}, err: "started anew"},
	} {
		t.Run(name, func(t *testing.T) {
			quick(t)
			if c.not != "" {
				refreshCut = 10 * time.Second // at once is sooner than that, however busy the machine
			}
			s := c.stub
			s.status = on
			out, said, err := refreshed(t, t.Context(), s)
			if out != c.out || c.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) || !strings.Contains(said, c.said) || c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("%q %v; said %q", out, err, said)
			}
			if got := s.requests("refresh"); !slices.Equal(got, []string{"POST /api/lists/refresh"}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestARefreshKeepsItsRequestOpen: a newer Blocky may stop one whose request has ended.
func TestARefreshKeepsItsRequestOpen(t *testing.T) {
	quick(t)
	first := []string{figures(10, 1, 5000), figures(10, 1, 5000), figures(20, 1, 6000)}
	done := make(chan bool, 1)
	s := &stub{status: []string{`{"enabled":true}`}, metrics: first, refresh: func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			done <- false
		case <-time.After(time.Second): // longer than nothing moves
			done <- true
		}
	}}
	if out, _, err := refreshed(t, t.Context(), s); err != nil || !<-done || !strings.HasPrefix(out, "the lists were refreshed") {
		t.Errorf("%q %v", out, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	answer := s.refresh
	s.metrics, s.refresh = first, func(w http.ResponseWriter, r *http.Request) { stop(); answer(w, r) }
	if _, _, err := refreshed(t, ctx, s); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "may go on, or stop it") {
		t.Errorf("%v", err)
	}
}
