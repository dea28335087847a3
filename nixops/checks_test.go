package nixops

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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
