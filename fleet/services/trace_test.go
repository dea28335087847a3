package services

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// way is a fleet of two hosts: cloud has the proxy and sign-in, storage the photos.
type way struct {
	cloud, storage fleet.State
	link           *webtest.Link
	until          time.Time // the end of the certificate
	out            Outside
	auth, front    int // what sign-in and the proxy answer with
}

func newWay(t *testing.T) *way {
	now := time.Now()
	addr := func(a string) []fleet.Address { return []fleet.Address{{Host: a}} }
	w := &way{until: now.Add(60 * 24 * time.Hour), auth: http.StatusFound, front: http.StatusOK}
	reach := fleet.Known(fleet.Reach{State: fleet.Up}, now, "ssh")
	guard := &fleet.ForwardAuth{Kind: "forward_auth", Upstream: []string{"127.0.0.1:9091"}, URI: "/api/verify?rd=x"}
	photos := fleet.Route{Handler: "reverse_proxy", Known: true, Auth: guard, Upstreams: []fleet.Upstream{{Dial: "storage:2283"}}}
	site := fleet.Site{Name: "photos.example.org", Port: 443, TLS: true, Routes: []fleet.Route{photos}}
	w.cloud = fleet.State{
		Host: fleet.Host{ID: "n-cloud", Name: "cloud", Addresses: addr("203.0.113.3")}, Reach: reach,
		Sites: fleet.Known([]fleet.Proxy{{Kind: "caddy", Unit: "caddy.service", Sites: []fleet.Site{site}}}, now, "caddy"),
		Units: fleet.Known([]fleet.Unit{{Name: "caddy.service", Active: "active"}, {Name: "authelia-main.service", Active: "active"},
			{Name: "cloudflared-tunnel-t1.service", Active: "active"}}, now, "probe"),
		Listens: fleet.Known([]fleet.Listener{{Proto: "tcp", Address: "127.0.0.1", Port: 9091, Unit: "authelia-main.service"}}, now, "ss"),
	}
	w.storage = fleet.State{
		Host: fleet.Host{ID: "n-storage", Name: "storage"}, Reach: reach, Sites: fleet.Nothing[[]fleet.Proxy]("none", now, "probe"),
		Containers: fleet.Known([]fleet.Container{{Name: "immich", ID: "1", State: "running", Health: "healthy", Unit: "podman-immich.service", Created: now.Add(-time.Hour),
			Ports: []fleet.Port{{Host: 2283, Container: 2283, Protocol: "tcp"}}}}, now, "podman"),
		Deploys: fleet.Known([]fleet.Deploy{{ID: "d1", State: fleet.Confirmed, Kind: "deploy", Started: now.Add(-2 * time.Hour)}}, now, "guard"),
	}
	w.out = Outside{Server: "1.1.1.1", Lookup: func(context.Context, string) ([]string, string, error) {
		return []string{"203.0.113.3"}, "photos.example.org.", nil
	}}
	w.link = &webtest.Link{Name: "cloud", Web: map[string]http.Handler{
		"tcp 127.0.0.1:9091": http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Forwarded-Host") != "photos.example.org" || r.Header.Get("X-Forwarded-Uri") != "/album?id=1" || r.URL.RequestURI() != "/api/verify?rd=x" {
				t.Errorf("sign-in is asked for %s, %v", r.URL, r.Header)
			}
			rw.WriteHeader(w.auth)
		}),
	}, Raw: map[string]func(net.Conn){
		"tcp storage:2283": func(c net.Conn) { c.Close() },
		"tcp 127.0.0.1:443": func(c net.Conn) {
			defer c.Close()
			conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{issue(t, "photos.example.org", w.until)}, MinVersion: tls.VersionTLS12})
			buf := make([]byte, 4096)
			if _, err := conn.Read(buf); err == nil {
				fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", w.front)
			}
		},
	}}
	return w
}

// issue makes a certificate that nobody trusts.
func issue(t *testing.T, name string, until time.Time) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{name}, NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (w *way) trace(t *testing.T, text string) fleet.Trace {
	t.Helper()
	u, err := ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return Tracer{
		Snap: fleet.Snapshot{Hosts: []fleet.State{w.cloud, w.storage}}, Out: w.out, Now: time.Now,
		Link: func(fleet.HostID) (link.Link, error) { return w.link, nil },
	}.Trace(t.Context(), u)
}

// TestTrace: a whole way is well, and whatever is broken on it is what the verdict
// names, with the action that mends it; after it nothing is gone.
func TestTrace(t *testing.T) {
	cloud := func(tunnel string, records string) *Cloud {
		return &Cloud{Token: "SECRET", Base: "http://api.example/client/v4", Dial: (&webtest.Link{Web: map[string]http.Handler{"tcp api.example:80": cloudflare(t, tunnel, records)}}).Dial}
	}
	for name, tt := range map[string]struct {
		change  func(*way)
		url     string
		state   fleet.Health
		kind    string
		verdict string
		command string
	}{
		"well":            {func(*way) {}, "photos.example.org/album?id=1", fleet.HealthOK, "", "the whole way is well", ""},
		"not served":      {func(*way) {}, "elsewhere.example.org", fleet.HealthBroken, "name", "no host serves elsewhere.example.org at port 443", ""},
		"sites not known": {func(w *way) { w.cloud.Sites = fleet.Fact[[]fleet.Proxy]{} }, "", fleet.HealthUnknown, "", "name", ""},
		"no such name in DNS": {func(w *way) {
			w.out.Lookup = func(context.Context, string) ([]string, string, error) {
				return nil, "", &net.DNSError{IsNotFound: true}
			}
		}, "", fleet.HealthBroken, "dns", "public DNS (1.1.1.1) does not know the name", ""},
		"DNS does not answer": {func(w *way) {
			w.out.Lookup = func(context.Context, string) ([]string, string, error) { return nil, "", errors.New("timeout") }
		}, "", fleet.HealthUnknown, "", "dns", ""},
		"behind Cloudflare, no token": {func(w *way) {
			w.out.Lookup = func(context.Context, string) ([]string, string, error) { return []string{"104.16.1.1"}, "", nil }
		}, "", fleet.HealthUnknown, "", "cloudflare", ""},
		"proxied": {func(w *way) {
			w.out.Lookup = func(context.Context, string) ([]string, string, error) { return []string{"104.16.1.1"}, "", nil }
			w.out.Cloud = cloud("", `{"name":"photos.example.org","type":"A","content":"203.0.113.3","proxied":true}`)
		}, "", fleet.HealthOK, "", "the whole way is well", ""},
		"public DNS has another address": {func(w *way) {
			w.out.Cloud = cloud("", `{"name":"photos.example.org","type":"A","content":"198.51.100.7","proxied":false}`)
		}, "", fleet.HealthBroken, "cloudflare", "public DNS has 203.0.113.3, Cloudflare's record 198.51.100.7", ""},
		"tunnel down": {func(w *way) {
			w.out.Lookup = func(context.Context, string) ([]string, string, error) { return []string{"104.16.1.1"}, "", nil }
			w.out.Cloud = cloud("down", `{"name":"photos.example.org","type":"CNAME","content":"t1.cfargotunnel.com","proxied":true}`)
		}, "", fleet.HealthBroken, "cloudflare", "its tunnel home is down", "sextant unit restart cloud cloudflared-tunnel-t1.service"},
		"no route": {func(w *way) {
			w.cloud.Sites.Value[0].Sites[0].Routes[0].When = []fleet.AnyOf{{{{Kind: "path", Values: []string{"/x"}}}}}
		}, "", fleet.HealthBroken, "proxy", "no route of photos.example.org takes /album", ""},
		"host lost": {func(w *way) {
			w.cloud.Reach = fleet.Unknown[fleet.Reach](errors.New("no answer"), time.Now(), "ssh")
		}, "", fleet.HealthBroken, "proxy", "cloud is not reached: no answer", ""},
		"certificate over": {func(w *way) { w.until = time.Now().Add(-time.Hour) }, "", fleet.HealthBroken, "certificate", "the certificate expired", "sextant logs cloud caddy"},
		"caddy stopped": {func(w *way) {
			w.cloud.Units.Value[0].Active = "inactive"
			delete(w.link.Raw, "tcp 127.0.0.1:443")
		}, "", fleet.HealthBroken, "certificate", "caddy.service is inactive", "sextant unit start cloud caddy.service"},
		"sign-in broken": {func(w *way) { w.auth = 500 }, "", fleet.HealthBroken, "sign-in", "answers HTTP 500", "sextant unit restart cloud authelia-main.service"},
		"sign-in gone": {func(w *way) {
			delete(w.link.Web, "tcp 127.0.0.1:9091")
			w.cloud.TakeListens(fleet.Known([]fleet.Listener{}, time.Now(), "ss"))
			w.cloud.Units.Value[1].Active = "failed"
		}, "", fleet.HealthBroken, "sign-in", "does not answer: nothing answers on 127.0.0.1:9091", "sextant unit start cloud authelia-main.service"},
		"container stopped": {func(w *way) {
			delete(w.link.Raw, "tcp storage:2283")
			w.storage.Containers.Value[0].State, w.storage.Containers.Value[0].Health = "exited", ""
		}, "", fleet.HealthBroken, "upstream", "upstream storage:2283: nothing listens there", "sextant unit start storage podman-immich.service"},
		"container unhealthy": {func(w *way) { w.storage.Containers.Value[0].Health = "unhealthy" }, "", fleet.HealthBroken, "service", "container immich is running, unhealthy", "sextant unit restart storage podman-immich.service"},
		"bad gateway":         {func(w *way) { w.front = 502 }, "", fleet.HealthBroken, "answer", "caddy answers HTTP 502", "sextant unit restart storage podman-immich.service"},
		"a route that may take it": {func(w *way) {
			w.cloud.Sites.Value[0].Sites[0].Routes[0].When = []fleet.AnyOf{{{{Kind: "header", Values: []string{"X-A"}}}}}
		}, "", fleet.HealthUnknown, "", "proxy", ""},
		"a socket that is the proxy's alone": {func(w *way) {
			w.cloud.Sites.Value[0].Sites[0].Routes[0].Upstreams = []fleet.Upstream{{Dial: "unix//run/phpfpm/x.sock"}}
			w.link.Shut = map[string]string{"unix /run/phpfpm/x.sock": "permission denied"}
		}, "", fleet.HealthUnknown, "", "upstream", ""},
		"sshd forwards nothing": {func(w *way) {
			delete(w.link.Raw, "tcp 127.0.0.1:443")
			w.link.Shut = map[string]string{"tcp 127.0.0.1:443": "administratively prohibited: open failed"}
		}, "", fleet.HealthUnknown, "", "certificate", ""},
		"unknown handler": {func(w *way) {
			w.cloud.Sites.Value[0].Sites[0].Routes[0] = fleet.Route{Handler: "teapot"}
		}, "", fleet.HealthUnknown, "", "proxy", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay(t)
			tt.change(w)
			if tt.url == "" {
				tt.url = "https://photos.example.org/album?id=1"
			}
			got := w.trace(t, tt.url)
			kind := ""
			if got.Broken >= 0 {
				kind = got.Hops[got.Broken].Kind
				for _, h := range got.Hops[got.Broken+1:] {
					if !h.Skipped {
						t.Errorf("%s is gone after it was broken: %+v", h.Kind, h)
					}
				}
			}
			command := ""
			if got.Help != nil {
				command = got.Help.Command
			}
			if got.State != tt.state || kind != tt.kind || !strings.Contains(got.Verdict, tt.verdict) || command != tt.command {
				t.Errorf("%s, broken at %q, %q, %q", got.State, kind, got.Verdict, command)
				for _, h := range got.Hops {
					t.Logf("%+v", h)
				}
			}
			if out := fmt.Sprintf("%+v %+v", got, w.out.Cloud); strings.Contains(out, "SECRET") {
				t.Errorf("the token is told: %s", out)
			}
		})
	}
}

// cloudflare answers as Cloudflare's API is documented to, with a page of zones
// before the one in question.
func cloudflare(t *testing.T, tunnel, records string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer SECRET" || r.Method != http.MethodGet {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		say := func(result string, pages int) {
			fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":%s,"result_info":{"page":1,"total_pages":%d}}`, result, pages)
		}
		switch r.URL.Path {
		case "/client/v4/zones":
			if r.URL.Query().Get("page") == "1" {
				say(`[{"id":"z0","name":"org","account":{"id":"a0"}}]`, 2)
				return
			}
			say(`[{"id":"z1","name":"example.org","account":{"id":"a1"}}]`, 2)
		case "/client/v4/zones/z1/dns_records":
			if r.URL.Query().Get("name") != "photos.example.org" {
				say("[]", 1)
				return
			}
			say("["+records+"]", 1)
		case "/client/v4/accounts/a1/cfd_tunnel/t1":
			say(`{"id":"t1","name":"home","status":"`+tunnel+`"}`, 1)
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
	})
}

// TestCloudflareBad: an API that answers badly is unknown, in time, with a reason.
func TestCloudflareBad(t *testing.T) {
	webtest.Bad(t, cloudTime, func(l link.Link) error {
		_, err := Cloud{Token: "SECRET", Base: "http://api.example", Dial: l.Dial}.Look(t.Context(), "photos.example.org")
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Error(err)
		}
		return err
	})
}

// TestCloudflareRefuses: a token that is refused is said to be, with what it needs.
func TestCloudflareRefuses(t *testing.T) {
	for status, want := range map[int]string{403: "it refuses the token (HTTP 403)", 200: "Invalid request headers (code 6003)", 400: "Invalid request headers (code 6003)"} {
		l := &webtest.Link{Web: map[string]http.Handler{"tcp api.example:80": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"success":false,"errors":[{"code":6003,"message":"Invalid request headers"}],"result":null}`)
		})}}
		_, err := Cloud{Base: "http://api.example", Dial: l.Dial}.Look(t.Context(), "x.example.org")
		if err == nil || err.Error() != want || fleet.Cure(err) != cureToken {
			t.Errorf("%v", err)
		}
	}
}

// TestParseURL: what is no address is refused, and what a person types is taken.
func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"photos.example.org": "https://photos.example.org", "http://x:8080/a?b#c": "http://x:8080/a?b", "https://u:p@x/": "https://x/",
		"": "", "ftp://x": "", "https://": "", "x\x1b[31m": "", "https://[::1]:443/": "https://[::1]:443/", strings.Repeat("x", 3000): "",
	} {
		u, err := ParseURL(text)
		if got := fmt.Sprint(u); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
