package services

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// TestWhomTheSignInLetsPass: for each route who is asked says what becomes of a stranger
// of the internet, once an hour, and never by what its rules seem to say.
func TestWhomTheSignInLetsPass(t *testing.T) {
	var asked atomic.Int32
	authelia := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h := r.Header
		if r.Method != http.MethodGet || r.URL.Path != "/api/authz/forward-auth" || h.Get("X-Forwarded-For") != anybody || h.Get("X-Forwarded-Proto") != "https" || h.Get("Cookie")+h.Get("Authorization") != "" {
			t.Errorf("asked %s %s %v", r.Method, r.URL, h)
		}
		switch host, uri := h.Get("X-Forwarded-Host"), h.Get("X-Forwarded-Uri"); {
		case host == "open.example.org", host == "photos.example.org" && strings.HasPrefix(uri, "/api/"):
		case host == "odd.example.org:8443":
			w.WriteHeader(http.StatusTeapot)
		case host == "denied.example.org":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("Location", "https://auth.example.org/")
			w.WriteHeader(http.StatusFound)
		}
	})
	l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:9091": authelia}}
	path := func(p ...string) []fleet.AnyOf { return []fleet.AnyOf{{{{Kind: "path", Values: p}}}} }
	one := &fleet.ForwardAuth{Kind: "forward_auth", Upstream: []string{"127.0.0.1:9091"}, URI: "/api/authz/forward-auth"}
	elsewhere, basic, found := *one, fleet.ForwardAuth{Kind: "http_basic"}, *one
	elsewhere.Upstream, found.Upstream = []string{"127.0.0.1:9"}, nil
	site := func(name string, port uint16, tls bool, routes ...fleet.Route) fleet.Site {
		return fleet.Site{Name: name, Port: port, TLS: tls, Routes: routes}
	}
	sites := []fleet.Site{
		site("photos.example.org", 443, true, fleet.Route{When: path("/api/*"), Auth: one}, fleet.Route{Auth: one}),
		site("open.example.org", 80, false, fleet.Route{Auth: one}),
		site("denied.example.org", 443, true, fleet.Route{Auth: one}),
		site("odd.example.org", 8443, true, fleet.Route{Auth: one}),
		site("*.example.org", 443, true, fleet.Route{Auth: one}),
		site("posts.example.org", 443, true, fleet.Route{When: []fleet.AnyOf{{{{Kind: "method", Values: []string{"POST"}}}}}, Auth: one}),
		site("silent.example.org", 443, true, fleet.Route{Auth: &elsewhere}),
		site("found.example.org", 443, true, fleet.Route{Auth: &found}),
		site("basic.example.org", 443, true, fleet.Route{Auth: &basic}, fleet.Route{}),
	}
	keeper := &auths{}
	for range 2 {
		keeper.add(t.Context(), l, sites)
	}
	if n := asked.Load(); n != 6 { // the one that gives no answer is asked again
		t.Errorf("asked %d times", n)
	}
	if one.Nobody != nil || one.Unasked != "" {
		t.Errorf("what routes share was changed: %+v", one)
	}
	want := []string{
		"photos /api/: passes 200", "photos /: kept out 302", "open /: passes 200", "denied /: kept out 403",
		"odd: ? 127.0.0.1:9091 answers HTTP 418", "*: ? the site is for more than one name", "posts: ? for what addresses the route is taken is not known",
		"silent: ? nothing answers on 127.0.0.1:9", "found: ? who is asked is found anew for each request", "basic: -", "basic: nobody",
	}
	var got []string
	for _, s := range sites {
		name, _, _ := strings.Cut(s.Name, ".")
		for _, r := range s.Routes {
			switch a := r.Auth; {
			case a == nil:
				got = append(got, name+": nobody")
			case a.Nobody != nil && a.Nobody.Passes != a.Bypassed():
				t.Errorf("%+v", a)
			case a.Nobody != nil:
				word := map[bool]string{true: "passes", false: "kept out"}[a.Nobody.Passes]
				got = append(got, fmt.Sprintf("%s %s: %s %d", name, strings.TrimPrefix(a.Nobody.URL, "https://"+s.Name), word, a.Nobody.Status))
			case a.Unasked != "":
				got = append(got, name+": ? "+a.Unasked)
			default:
				got = append(got, name+": -")
			}
		}
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%d: %q, want %q", i, got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
	keeper.forget("n-storage")
	keeper.add(t.Context(), l, sites[2:3])
	if n := asked.Load(); n != 7 {
		t.Errorf("after it was forgotten asked %d times", n)
	}
}
