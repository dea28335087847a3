package services

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// told is a configuration's routes, a line each.
func told(sites []fleet.Site) string {
	var b strings.Builder
	for _, s := range sites {
		for _, r := range s.Routes {
			fmt.Fprintf(&b, "%s tls=%v: %s -> %s", s.Label(), s.TLS, fleet.Condition(r.When), r.Leads())
			if r.Strip != "" {
				fmt.Fprintf(&b, " strip %s", r.Strip)
			}
			if r.Auth != nil {
				fmt.Fprintf(&b, " auth %s %v%s when [%s]", r.Auth.Kind, r.Auth.Upstream, r.Auth.URI, fleet.Condition(r.Auth.When))
			}
			if r.Through != nil {
				fmt.Fprintf(&b, " through %v", r.Through)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// TestParse: what Caddy really writes down is read as it is meant.
func TestParse(t *testing.T) {
	const auth = " auth forward_auth [127.0.0.1:9091]/api/verify?rd=https://auth.lab.example.com/ when []\n"
	for name, want := range map[string]string{
		"caddy-2.6.2-config.json": "any name at :28080 tls=false:  -> static_response\nphotos.example.test tls=true:  -> 127.0.0.1:28081, 127.0.0.1:28082\n",
		"caddy-2.11-config.json":  "any name at :28080 tls=false:  -> static_response\nphotos.example.test tls=true:  -> 127.0.0.1:28081, 127.0.0.1:28082\n",
		"caddy-2.6.2-forward-auth.json": "photos.lab.example.com tls=true: path /dead/* -> 127.0.0.1:9" + auth +
			"photos.lab.example.com tls=true: path /api/* -> 127.0.0.1:8090 strip /api" + auth +
			"photos.lab.example.com tls=true:  -> 127.0.0.1:8096" + auth +
			"jellyfin.lab.example.com tls=false:  -> 127.0.0.1:8096\nauth.lab.example.com tls=false:  -> 127.0.0.1:9091\nany name at :80 tls=false:  -> static_response\n",
		"caddy-nested-CONSTRUCTED.json": "git.fleet.example tls=true:  -> crowdsec (not known to Sextant)\n" +
			"git.fleet.example tls=true:  -> storage:3000 auth http_basic [] when [path /admin/*] through [crowdsec]\n" +
			"old.fleet.example tls=true: host www.fleet.example or host old.fleet.example -> https://fleet.example/\n" +
			"www.fleet.example tls=true: host www.fleet.example or host old.fleet.example -> https://fleet.example/\n" +
			"*.fleet.example tls=true: not path /x/* -> /srv/www\n" +
			"*.fleet.example tls=true:  -> an empty answer\n" +
			"files.fleet.example tls=true: method GET and remote_ip -> teapot (not known to Sextant)\n" +
			"files.fleet.example tls=true: method GET and remote_ip -> an empty answer through [teapot]\n" +
			"any name at tcp/:443 tls=true:  -> static_response\n",
	} {
		sites, err := parseCaddy(sample(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := told(sites); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if out, err := json.Marshal(sites); err != nil || strings.Contains(string(out), "SECRET") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestRoute: the route is found that Caddy takes.
func TestRoute(t *testing.T) {
	sites, err := parseCaddy(sample(t, "caddy-2.6.2-forward-auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := fleet.Proxy{Sites: sites}
	for url, want := range map[string]string{
		"443 photos.lab.example.com /":       "127.0.0.1:8096",
		"443 photos.lab.example.com /API/x":  "127.0.0.1:8090",
		"443 photos.lab.example.com /api":    "127.0.0.1:8096",
		"443 photos.lab.example.com /dead/x": "127.0.0.1:9",
		"80 elsewhere.example /":             "static_response",
	} {
		var port uint16
		var name, path string
		if _, err := fmt.Sscan(url, &port, &name, &path); err != nil {
			t.Fatal(err)
		}
		site, ok := p.Answers(name, port)
		r, _, taken := site.Route(name, path)
		if !ok || !taken || r.Leads() != want {
			t.Errorf("%s: %s, want %s", url, r.Leads(), want)
		}
	}
	if _, ok := p.Answers("elsewhere.example", 443); ok {
		t.Error("a name that is not served is")
	}
}

// state is a host with a Caddy.
func state() fleet.State {
	now := time.Now()
	return fleet.State{
		Host:      fleet.Host{ID: "n-storage", Name: "storage"},
		Inventory: fleet.Known(fleet.Inventory{Ports: []int{2019}}, now, "probe"),
		Units:     fleet.Known([]fleet.Unit{{Name: "caddy.service", Active: "active"}}, now, "probe"),
		Listens:   fleet.Known([]fleet.Listener{{Proto: "tcp", Address: "0.0.0.0", Port: 28081}}, now, "ss"),
	}
}

// caddy answers as the recorded one did.
func caddy(t testing.TB) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Host != "localhost:2019" {
			t.Errorf("%s with Host %s", r.Method, r.Host)
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/config/":
			w.Write(sample(t, "caddy-2.11-config.json"))
		case "/reverse_proxy/upstreams":
			w.Write(sample(t, "caddy-2.11-upstreams.json"))
		case "/metrics":
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte(strings.Replace(string(sample(t, "caddy-2.11-metrics.txt")), `28082"} 1`, `28082"} 0`, 1)))
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
	})
}

// TestRead: sites, health and reload reach the fact, and only by GET.
func TestRead(t *testing.T) {
	l := &webtest.Link{Name: "storage", Web: map[string]http.Handler{"tcp 127.0.0.1:2019": caddy(t)}}
	st := state()
	st.Sites, st.Services = New().Read(t.Context(), l, st)
	if !st.Sites.Current() || !st.Services.None {
		t.Fatalf("%+v\n%+v", st.Sites, st.Services)
	}
	p := st.Sites.Value[0]
	if p.ReloadOK == nil || !*p.ReloadOK || p.Reloaded.Year() != 2026 || p.Unit != "caddy.service" || p.Unread != nil {
		t.Errorf("%+v", p)
	}
	site := p.Sites[1]
	ups := site.Routes[0].Upstreams
	if ups[0].Healthy == nil || !*ups[0].Healthy || ups[1].Healthy == nil || *ups[1].Healthy || ups[1].By != "caddy's health check" {
		t.Errorf("%+v", ups)
	}
	if site.Cert == nil || !strings.Contains(site.Cert.Error, "no handshake at port 28443") {
		t.Errorf("%+v", site.Cert)
	}
}

// TestNoAdmin: a Caddy that tells nothing is unknown, not without sites.
func TestNoAdmin(t *testing.T) {
	st := state()
	st.Inventory.Value.Ports = nil
	f, _ := New().Read(t.Context(), &webtest.Link{Name: "storage"}, st)
	if f.HasValue() || f.None || f.Cure != cureAdmin {
		t.Errorf("%+v", f)
	}
	f, _ = New().Read(t.Context(), &webtest.Link{Name: "storage"}, fleet.State{})
	if !f.None {
		t.Errorf("a host without Caddy: %+v", f)
	}
}

// TestBad: a Caddy that answers badly is unknown, in time, with a reason.
func TestBad(t *testing.T) {
	webtest.Bad(t, caddyTime, func(l link.Link) error {
		f := readCaddy(t.Context(), l, state())
		if f.Err == "" {
			return nil
		}
		return errors.New(f.Err)
	})
	for _, k := range kinds {
		webtest.Bad(t, 2*askLimits.Time, func(l link.Link) error {
			v := place{kind: k, ports: []uint16{k.port}}.ask(t.Context(), l)
			if v.Health == fleet.HealthOK {
				return nil
			}
			return errors.New(v.Why)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"caddy-2.6.2-config.json", "caddy-2.6.2-forward-auth.json", "caddy-nested-CONSTRUCTED.json"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sites, err := parseCaddy(body)
		if err == nil && len(sites) > maxSites {
			t.Errorf("%d sites", len(sites))
		}
		for _, s := range sites {
			s.Route("a.example", "/x")
		}
	})
}

// TestATokenOfAQuestionIsNotKept: an authorisation service may be asked with one.
func TestATokenOfAQuestionIsNotKept(t *testing.T) {
	for uri, want := range map[string]string{
		"/api/authz/forward-auth":                     "/api/authz/forward-auth",
		"/api/verify?rd=https://auth.example.org/%3F": "/api/verify?rd=https://auth.example.org/%3F",
		"/check?token=hunter2&rd=x":                   "/check?token=…&rd=x",
		"/check?hunter2":                              "/check?…",
		"/check?":                                     "/check",
	} {
		if got := authURI(uri); got != want {
			t.Errorf("%s: %s", uri, got)
		}
	}
}
