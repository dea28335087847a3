package simulate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// site answers checks: the n-th time with what it is told to.
type site struct {
	mu   sync.Mutex
	seen map[string]int
	is   func(path string, n int) int
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen[r.URL.Path]++
	status := s.is(r.URL.Path, s.seen[r.URL.Path])
	s.mu.Unlock()
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
}

func (s *site) looks(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[path]
}

// hesitant answers questions as it is told to, and keeps which of them were
// withdrawn before they had an answer.
type hesitant struct {
	mu        sync.Mutex
	asked     [][]string
	withdrawn int
	answer    func(ctx context.Context, n int) (fleet.Reply, error)
}

func (h *hesitant) Ask(ctx context.Context, q fleet.Question) (fleet.Reply, error) {
	h.mu.Lock()
	h.asked = append(h.asked, q.Detail)
	n := len(h.asked)
	h.mu.Unlock()
	reply, err := h.answer(ctx, n)
	if err != nil {
		h.mu.Lock()
		h.withdrawn++
		h.mu.Unlock()
	}
	return reply, err
}

// ended gives what was asked, and how many of those were withdrawn, once so many
// were: a question ends a moment after it is withdrawn.
func (h *hesitant) ended(withdrawn int) (asked [][]string, n int) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		asked, n = h.asked, h.withdrawn
		h.mu.Unlock()
		if n >= withdrawn || time.Now().After(end) {
			return asked, n
		}
	}
}

// never leaves a question without an answer.
func never(ctx context.Context, _ int) (fleet.Reply, error) {
	<-ctx.Done()
	return fleet.Reply{}, context.Cause(ctx)
}

// watched is a roll-back of vault that a site's paths judge.
type watched struct {
	*yard
	site  *site
	dep   fleet.Deploy
	lines []string
}

func watching(t *testing.T, is func(path string, n int) int) (*watched, func(confirm nixops.Confirmation, paths ...string)) {
	t.Helper()
	w := &watched{yard: inYard(t, "vault"), site: &site{seen: map[string]int{}, is: is}}
	web := httptest.NewServer(w.site)
	t.Cleanup(web.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return w, func(confirm nixops.Confirmation, paths ...string) {
		t.Helper()
		target := w.target()
		for _, p := range paths {
			target.Hosts[0].Host.Checks = append(target.Hosts[0].Host.Checks, web.URL+p)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var err error
		w.dep, err = w.RollBack(ctx, target, confirm, func(p nixops.Progress) { w.lines = append(w.lines, strings.ReplaceAll(p.Line, web.URL, "")) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// told asserts that lines were told, in this order.
func (w *watched) told(lines ...string) {
	w.t.Helper()
	rest := w.lines
	for _, want := range lines {
		i := slices.IndexFunc(rest, func(l string) bool { return strings.Contains(l, want) })
		if i < 0 {
			w.t.Fatalf("%q was not told, or not then: %q", want, w.lines)
		}
		rest = rest[i+1:]
	}
}

func upTo(last, first, then int) func(string, int) int {
	return func(_ string, n int) int {
		if n <= last {
			return first
		}
		return then
	}
}

// TestWhatPassesIsNotAskedAbout: a check that is ill for the first looks, and then
// well, is waited for, and confirmed without a question.
func TestWhatPassesIsNotAskedAbout(t *testing.T) {
	w, roll := watching(t, upTo(3, http.StatusBadGateway, http.StatusOK))
	w.Lasting = 0 // as usual
	roll(nixops.ConfirmAuto, "/health")
	if w.dep.State != fleet.Confirmed || len(w.dep.Findings) > 0 || len(w.asked.asked) > 0 {
		t.Errorf("%+v, asked %+v", w.dep, w.asked.asked)
	}
	w.told(`found: check "/health": 502 Bad Gateway`, "what was found is gone")
}

// TestOneLookIsNotEnough: what is well once, and then ill again, is not confirmed.
func TestOneLookIsNotEnough(t *testing.T) {
	w, roll := watching(t, func(_ string, n int) int {
		if n%2 == 1 {
			return http.StatusOK
		}
		return http.StatusBadGateway
	})
	w.Ask, w.Limits.Confirm = nil, 20*time.Second
	roll(nixops.ConfirmAuto, "/health")
	if w.dep.State != fleet.RolledBack || w.site.looks("/health") < 3 {
		t.Errorf("%+v after %d looks", w.dep, w.site.looks("/health"))
	}
}

// TestNobodyToAsk: it is looked at until the host goes back by itself, and the result
// says what lasted.
func TestNobodyToAsk(t *testing.T) {
	w, roll := watching(t, upTo(0, 0, http.StatusBadGateway))
	w.Ask, w.Limits.Confirm, w.Lasting = nil, 20*time.Second, time.Millisecond
	roll(nixops.ConfirmAuto, "/health")
	if w.dep.State != fleet.RolledBack || !strings.Contains(w.dep.Reason(), "nobody confirmed in time; found: check") || w.site.looks("/health") < 3 {
		t.Errorf("%+v after %d looks", w.dep, w.site.looks("/health"))
	}
	w.told(`found: check "/health": 502`, "nobody can be asked here: unless it becomes well it goes back by itself")
	if n := strings.Count(strings.Join(w.lines, "\n"), "\nfound: "); n != 1 {
		t.Errorf("the same finding was told %d times", n)
	}
}

// TestAQuestionIsWithdrawn where what it told of is gone.
func TestAQuestionIsWithdrawn(t *testing.T) {
	w, roll := watching(t, upTo(2, http.StatusBadGateway, http.StatusOK))
	h := &hesitant{answer: never}
	w.Ask, w.Lasting = h, time.Millisecond
	roll(nixops.ConfirmAuto, "/health")
	if w.dep.State != fleet.Confirmed || len(w.dep.Findings) > 0 {
		t.Errorf("%+v", w.dep)
	}
	if asked, withdrawn := h.ended(1); len(asked) != 1 || withdrawn != 1 {
		t.Errorf("asked %q, withdrawn %d", asked, withdrawn)
	}
	w.told("it waits to be confirmed", "what was found is gone", "nobody is asked any more")
}

// TestAskedAnew: a finding that comes while a question is open, and lasts, is in
// the question that is answered.
func TestAskedAnew(t *testing.T) {
	w, roll := watching(t, func(path string, n int) int {
		if path == "/late" && n <= 2 {
			return http.StatusOK
		}
		return http.StatusBadGateway
	})
	h := &hesitant{answer: func(ctx context.Context, n int) (fleet.Reply, error) {
		if n == 1 {
			return never(ctx, n)
		}
		return fleet.Reply{Refuse: true}, nil
	}}
	w.Ask, w.Lasting = h, time.Millisecond
	roll(nixops.ConfirmAuto, "/early", "/late")
	if w.dep.State != fleet.Cancelled || len(h.asked) != 2 || len(h.asked[0]) != 1 || len(h.asked[1]) != 2 {
		t.Errorf("%+v, asked %q", w.dep, h.asked)
	}
}

// TestLater: who leaves it open is not asked the same again, and it is still
// confirmed when all is well.
func TestLater(t *testing.T) {
	w, roll := watching(t, upTo(2, http.StatusBadGateway, http.StatusOK))
	h := &hesitant{answer: func(context.Context, int) (fleet.Reply, error) { return fleet.Reply{Later: true}, nil }}
	w.Ask, w.Lasting = h, time.Millisecond
	roll(nixops.ConfirmAuto, "/health")
	if w.dep.State != fleet.Confirmed || len(h.asked) != 1 {
		t.Errorf("%+v, asked %q", w.dep, h.asked)
	}
	if strings.Contains(strings.Join(w.lines, "\n"), "nobody is asked any more") {
		t.Errorf("a question that was left is withdrawn: %q", w.lines)
	}
}

// TestAnAnswerIsNotKeptUp by a look that takes its time.
func TestAnAnswerIsNotKeptUp(t *testing.T) {
	w, roll := watching(t, upTo(1, http.StatusBadGateway, 0))
	h := &hesitant{answer: func(context.Context, int) (fleet.Reply, error) {
		for w.site.looks("/health") < 2 { // the second look never ends
			time.Sleep(10 * time.Millisecond)
		}
		return fleet.Reply{}, nil
	}}
	w.Ask, w.Lasting = h, time.Millisecond
	began := time.Now()
	roll(nixops.ConfirmAuto, "/health")
	if took := time.Since(began); w.dep.State != fleet.Confirmed || len(w.dep.Findings) != 1 || took > 30*time.Second {
		t.Errorf("%+v after %s", w.dep, took)
	}
}

// TestAPersonIsAskedAnyway with "ask": at once where all is well, and anew without
// what has gone.
func TestAPersonIsAskedAnyway(t *testing.T) {
	w, roll := watching(t, upTo(2, http.StatusBadGateway, http.StatusOK))
	h := &hesitant{answer: func(ctx context.Context, n int) (fleet.Reply, error) {
		if n == 1 {
			return never(ctx, n)
		}
		return fleet.Reply{}, nil
	}}
	w.Ask, w.Lasting = h, time.Millisecond
	roll(nixops.ConfirmAsk, "/health")
	if w.dep.State != fleet.Confirmed || len(h.asked) != 2 || len(h.asked[0]) != 1 || len(h.asked[1]) != 0 {
		t.Errorf("%+v, asked %q", w.dep, h.asked)
	}
}
