//go:build lab

package services

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// hostState is a host as the probe and its listeners tell of it.
func hostState(t *testing.T, l link.Link) fleet.State {
	t.Helper()
	f, err := labtest.Probe(t).Read(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.State{Host: l.Host(), Inventory: f.Inventory, Units: f.Units, Listens: network.Listens(t.Context(), l)}
}

// TestListensAgree: who listens on the lab's hosts is who ss inside of them says.
func TestListensAgree(t *testing.T) {
	lab := labtest.Load(t)
	for _, h := range lab.Hosts {
		t.Run(h.Name, func(t *testing.T) {
			l := lab.Link(t, h.Name)
			labtest.Agree(t, 30*time.Second, func() string { // tailscaled opens ports for moments
				f := network.Listens(t.Context(), l)
				if !f.Current() {
					t.Fatal(f.Err)
				}
				want := labtest.Output(t, l, "sh", "-c", `ss -Htuln | awk '{print $1, $5}' | sort -u`)
				rows := map[string]bool{}
				for _, v := range f.Value {
					at := v.Address
					if strings.Contains(at, ":") {
						at = "[" + at + "]"
					}
					if v.Device != "" {
						at += "%" + v.Device
					}
					rows[v.Proto+" "+at+":"+itoa(v.Port)] = true
				}
				lines := strings.Split(strings.TrimSpace(want), "\n")
				for _, line := range lines {
					if !rows[line] {
						t.Logf("told are %v", rows)
						return line + " is not told"
					}
				}
				if len(rows) != len(lines) {
					t.Logf("%v are told, ss says %q", rows, lines)
					return "more are told than ss says"
				}
				return ""
			})
		})
	}
}

func itoa(n uint16) string { b, _ := json.Marshal(n); return string(b) }

// TestCaddy: what a real Caddy 2.6.2 serves is read as its configuration means it:
// sign-in, paths, upstreams that are there and that are not, and a certificate
// whose end is the one that openssl sees.
func TestCaddy(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "storage")
	st := hostState(t, l)
	st.Sites, st.Services = New().Read(t.Context(), l, st)
	if !st.Sites.Current() {
		t.Fatal(st.Sites.Err)
	}
	p := st.SeenSites().Value[0]
	site, ok := p.Answers("photos.lab.example.com", 443)
	if !ok || !site.TLS || site.Cert == nil || site.Cert.Error != "" {
		t.Fatalf("%+v", site)
	}
	for path, want := range map[string]struct {
		dial, word string
	}{"/": {"127.0.0.1:8096", "ok"}, "/dead/x": {"127.0.0.1:9", "down"}, "/api/x": {"127.0.0.1:8090", "ok"}} {
		r, _, ok := site.Route(site.Name, path)
		if !ok || r.Leads() != want.dial || st.RouteWord(r) != want.word || r.Auth == nil || r.Auth.Upstream[0] != "127.0.0.1:9091" {
			t.Errorf("%s: %+v: %s", path, r, st.RouteWord(r))
		}
	}
	end := labtest.Output(t, l, "sh", "-c", "openssl s_client -connect 127.0.0.1:443 -servername photos.lab.example.com </dev/null 2>/dev/null | openssl x509 -noout -enddate")
	_, end, _ = strings.Cut(strings.TrimSpace(end), "=")
	if at, err := time.Parse("Jan _2 15:04:05 2006 MST", end); err != nil || !at.Equal(site.Cert.NotAfter) {
		t.Errorf("it ends %s, openssl says %s (%v)", site.Cert.NotAfter, end, err)
	}
	if sev, why := site.Cert.Judge(time.Now()); sev != "" {
		t.Errorf("a certificate of twelve hours is said to be %s: %s", sev, why)
	}
}

// TestSignIn: Authelia and the stand-ins for the others are found by their units and
// ports, and are told broken when they say so, or say nothing.
func TestSignIn(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "storage")
	health := func() map[string]fleet.Health {
		_, f := New().Read(t.Context(), l, hostState(t, l))
		out := map[string]fleet.Health{}
		for _, v := range f.Value {
			if v.Container == "" {
				out[v.Kind] = v.Health
			}
		}
		return out
	}
	if got := health(); got["authelia"] != fleet.HealthOK || got["dex"] != fleet.HealthOK || got["lldap"] != fleet.HealthOK {
		t.Fatalf("%v", got)
	}
	labtest.Output(t, l, "touch", "/etc/lab/signin/dex.broken")
	got := health()
	labtest.Output(t, l, "rm", "/etc/lab/signin/dex.broken")
	if got["dex"] != fleet.HealthBroken || got["authelia"] != fleet.HealthOK {
		t.Errorf("%v", got)
	}
	defer labtest.Output(t, l, "systemctl", "kill", "-s", "CONT", "authelia-main")
	labtest.Output(t, l, "systemctl", "kill", "-s", "STOP", "authelia-main")
	got = health()
	if got["dex"] != fleet.HealthOK || got["authelia"] != fleet.HealthBroken {
		t.Errorf("Authelia hangs: %v", got)
	}
}
