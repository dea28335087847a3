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

// TestChangesAreSentOnce: also where the answer is bad, and then it is not said that
// nothing was done.
func TestChangesAreSentOnce(t *testing.T) {
	webtest.Bad(t, changeTime, func(l link.Link) error {
		_, err := PauseBlocking(t.Context(), l, fleet.DNSServer{Address: "127.0.0.1:4000"}, time.Minute, nil)
		return err
	})
	n := 0
	l := &webtest.Link{Name: "router", Web: map[string]http.Handler{"tcp 127.0.0.1:4000": http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
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
	every, quiet := refreshEvery, refreshQuiet
	refreshEvery, refreshQuiet = 10*time.Millisecond, 200*time.Millisecond
	t.Cleanup(func() { refreshEvery, refreshQuiet = every, quiet })
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
	quick(t)
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	on := []string{`{"enabled":true}`}
	first := []string{figures(10, 1, 5000), figures(10, 1, 5000)}
	t.Run("it answers in time", func(t *testing.T) {
		s := &stub{status: on, metrics: append(slices.Clone(first), figures(20, 1, 6000))}
		if out, _, err := refreshed(t, t.Context(), s); err != nil || out != "the lists were refreshed: 20 entries in 1 groups" {
			t.Errorf("%q %v", out, err)
		}
		if got := s.requests("refresh"); !slices.Equal(got, []string{"POST /api/lists/refresh"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("its answer is cut off", func(t *testing.T) {
		s := &stub{status: on, refresh: cut, metrics: append(slices.Clone(first), figures(10, 1, 5000), figures(15, 1, 6000), figures(20, 1, 6010))}
		out, said, err := refreshed(t, t.Context(), s)
		if err != nil || out != "the lists were refreshed: 20 entries in 1 groups" || !strings.Contains(said, "15 entries after") || len(s.requests("refresh")) != 1 {
			t.Errorf("%q %v; said %q", out, err, said)
		}
	})
	t.Run("downloads fail", func(t *testing.T) {
		s := &stub{status: on, refresh: cut, metrics: append(slices.Clone(first), figures(10, 3, 5000))}
		if _, said, err := refreshed(t, t.Context(), s); err == nil || !strings.Contains(err.Error(), "2 downloads failed") || !strings.Contains(said, "2 downloads failed") {
			t.Errorf("%v; said %q", err, said)
		}
	})
	t.Run("it says that it failed", func(t *testing.T) {
		s := &stub{status: on, metrics: first, refresh: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no route\x1b[31m", 500) }}
		if _, _, err := refreshed(t, t.Context(), s); err == nil || err.Error() != "it says: no route" {
			t.Errorf("%v", err)
		}
	})
	t.Run("without metrics", func(t *testing.T) {
		s := &stub{status: on, stats: someStats, refresh: cut}
		if _, _, err := refreshed(t, t.Context(), s); err == nil || !strings.Contains(err.Error(), "how it ends is not known") {
			t.Errorf("%v", err)
		}
		s.refresh = nil
		if out, _, err := refreshed(t, t.Context(), s); err != nil || !strings.Contains(out, "whether downloads failed is not known") {
			t.Errorf("%q %v", out, err)
		}
	})
	t.Run("nobody waits", func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		s := &stub{status: on, metrics: first, refresh: cut}
		if _, _, err := refreshed(t, ctx, s); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "it goes on in Blocky") {
			t.Errorf("%v", err)
		}
	})
	t.Run("started anew", func(t *testing.T) {
		s := &stub{status: on, metrics: append(slices.Clone(first), strings.Replace(figures(20, 0, 6000), "seconds 1000", "seconds 5500", 1))}
		if _, _, err := refreshed(t, t.Context(), s); err == nil || !strings.Contains(err.Error(), "started anew") {
			t.Errorf("%v", err)
		}
	})
}
