package nixops

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestChecked does checks of a configuration: commands on the host, and URLs from here.
func TestChecked(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ill":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	defer web.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	host := hostLink{store: newStore(t, "")}
	for check, want := range map[string]string{
		"true":                                  "",
		"exit 3":                                "exit 3",
		"echo on its way >&2; echo out; exit 1": "exit 1: on its way",
		"echo only out; exit 1":                 "exit 1: only out",
		`printf 'a\033[2Jb\n'; exit 1`:          "exit 1: ab",
		"exec sleep 60":                         "no end within 300ms",
		web.URL + "/well":                       "",
		web.URL + "/ill":                        "503 Service Unavailable",
		web.URL + "/slow":                       "no end within 300ms",
		gone.URL:                                "connection refused",
	} {
		limit := time.Minute
		if strings.Contains(want, "no end") {
			limit = 300 * time.Millisecond
		}
		got := checked(t.Context(), host, check, limit)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", check, got, want)
		}
		if strings.ContainsRune(got, '\x1b') {
			t.Errorf("%q: an escape sequence in %q", check, got)
		}
	}
}

// TestWhatContainersAreWorseBy: what was broken before is not, and that they cannot be
// read is worse only where they could be.
func TestWhatContainersAreWorseBy(t *testing.T) {
	lost := errors.New("no socket")
	for name, c := range map[string]struct {
		before kept
		now    []string
		err    error
		want   []string
	}{
		"as before":         {kept{Broken: []string{"a is exited"}}, []string{"a is exited"}, nil, nil},
		"one more":          {kept{Broken: []string{"a is exited"}}, []string{"a is exited", "b is unhealthy"}, nil, []string{"b is unhealthy"}},
		"not read any more": {kept{}, nil, lost, []string{"containers cannot be read: no socket"}},
		"not read before":   {kept{Unread: true}, nil, lost, nil},
		"read only now":     {kept{Unread: true}, []string{"a is exited"}, nil, []string{"a is exited"}},
	} {
		f := &follower{kept: c.before, d: &Deployer{Broken: func(context.Context, fleet.Host) ([]string, error) { return c.now, c.err }}}
		if got := f.containers(t.Context()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
