package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// wholeCloud answers with all there is, on two pages of zones and of records.
func wholeCloud(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer SECRET" || r.Method != http.MethodGet {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		result, pages := "[]", 1
		switch key := r.URL.Path + " " + r.URL.Query().Get("page"); key {
		case "/client/v4/zones 1":
			result, pages = `[{"id":"z0","name":"org","account":{"id":"a1"}}]`, 2
		case "/client/v4/zones 2":
			result, pages = `[{"id":"z1","name":"example.org","account":{"id":"a1"}}]`, 2
		case "/client/v4/zones/z0/dns_records 1":
		case "/client/v4/zones/z1/dns_records 1":
			result, pages = `[{"name":"photos.example.org","type":"A","content":"203.0.113.3","proxied":true},{"name":"example.org","type":"MX","content":"mail"}]`, 2
		case "/client/v4/zones/z1/dns_records 2":
			result, pages = `[{"name":"*.example.org","type":"CNAME","content":"t1.cfargotunnel.com","proxied":true},{"name":"home.example.org","type":"CNAME","content":"t1.cfargotunnel.com","proxied":true}]`, 2
		case "/client/v4/accounts/a1/cfd_tunnel 1":
			if r.URL.Query().Get("is_deleted") != "false" {
				t.Errorf("deleted tunnels too: %s", r.URL)
			}
			result = `[{"id":"t1","name":"home\u001b[31m","status":"degraded","connections":[]}]`
		default:
			t.Errorf("asked for %s", key)
		}
		fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":%s,"result_info":{"page":1,"total_pages":%d}}`, result, pages)
	})
}

// lookup is a public name server that knows some names.
func lookup(_ context.Context, name string) ([]string, string, error) {
	switch name {
	case "photos.example.org", "paper.example.org", "home.example.org":
		return []string{"104.16.132.229", "2606:4700::6810:84e5"}, name + ".", nil
	case "direct.example.net":
		return []string{"203.0.113.3"}, "host.example.net.", nil
	case "slow.example.net":
		return nil, "", errors.New("i/o timeout")
	}
	return nil, "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func TestPublic(t *testing.T) {
	l := &webtest.Link{Web: map[string]http.Handler{"tcp api.example:80": wholeCloud(t)}}
	o := Outside{Lookup: lookup, Server: "192.0.2.53", Cloud: &Cloud{Token: "SECRET", Base: "http://api.example/client/v4", Dial: l.Dial}}
	p := o.Public(t.Context(), []string{"photos.example.org", "paper.example.org", "direct.example.net", "slow.example.net", "lan.example.net", "nas.lan"})
	if p.Cloud != "" || !slices.Equal(p.Zones, []string{"org", "example.org"}) || len(p.Tunnels) != 1 || p.Tunnels[0].Name != "home" {
		t.Fatalf("%+v", p)
	}
	var got []string
	for _, n := range p.Names {
		state, _, _ := n.Judge()
		got = append(got, fmt.Sprintf("%s %s %s %d", n.Name, n.Way(), state, len(n.Records)))
	}
	want := []string{
		"photos.example.org proxied ok 1", "paper.example.org tunnel ok 1", "direct.example.net direct ok 0", "slow.example.net ? unknown 0",
		"lan.example.net - ok 0", "home.example.org tunnel ok 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if n, _ := p.Name("direct.example.net"); n.Canonical != "host.example.net" {
		t.Errorf("%+v", n)
	}
	if text := fmt.Sprintf("%+v", p); strings.Contains(text, "SECRET") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

func TestPublicWithoutCloudflare(t *testing.T) {
	p := Outside{Lookup: lookup}.Public(t.Context(), []string{"photos.example.org"})
	n, ok := p.Name("photos.example.org")
	if state, _, _ := n.Judge(); !ok || n.Asked || state != fleet.HealthOK || p.Cloud == "" || p.Cure == "" {
		t.Errorf("%+v", p)
	}
	refuses := &webtest.Link{Web: map[string]http.Handler{"tcp api.example:80": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })}}
	p = Outside{Lookup: lookup, Cloud: &Cloud{Token: "SECRET", Base: "http://api.example", Dial: refuses.Dial}}.Public(t.Context(), []string{"photos.example.org"})
	if len(p.Names) != 1 || p.Names[0].Asked || p.Cloud != "it refuses the token (HTTP 403)" || p.Cure != cureToken {
		t.Errorf("%+v", p)
	}
}

// TestAllOfCloudflareBad: an API that answers badly is unknown, in time, with a reason.
func TestAllOfCloudflareBad(t *testing.T) {
	webtest.Bad(t, cloudTime+time.Second, func(l link.Link) error {
		_, _, _, err := Cloud{Token: "SECRET", Base: "http://api.example", Dial: l.Dial}.All(t.Context())
		return err
	})
}
