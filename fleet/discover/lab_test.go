//go:build lab

// Tests against real hosts: test/lab/lab operator go test -tags lab ./fleet/discover/

package discover

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// labOptions are those of the operator's machine.
func labOptions(l labtest.Lab) Options {
	return Options{
		TailscaleSocket: l.Operator.Socket, SSHConfig: filepath.Join(l.Operator.Home, ".ssh/config"),
		Config: &Config{},
	}
}

func hostNamed(f Found, name string) (fleet.Host, bool) {
	i := slices.IndexFunc(f.Hosts, func(h fleet.Host) bool { return h.Name == name })
	if i < 0 {
		return fleet.Host{}, false
	}
	return f.Hosts[i], true
}

// within waits until what is found is as wanted, and gives how long it took.
func within(t *testing.T, from <-chan Found, limit time.Duration, what string, ok func(Found) bool) Found {
	t.Helper()
	began, last := time.Now(), Found{}
	for {
		select {
		case last = <-from:
			if ok(last) {
				t.Logf("%s: after %v", what, time.Since(began).Round(time.Millisecond))
				return last
			}
		case <-time.After(time.Until(began.Add(limit))):
			t.Fatalf("%s: not within %v:\n%s", what, limit, render(last.Hosts, last.Others))
		}
	}
}

func TestLabFleet(t *testing.T) {
	l := labtest.Load(t)
	o := labOptions(l)
	o.Quick = true
	began := time.Now()
	f, err := Once(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("settled after %v", time.Since(began).Round(time.Millisecond))
	for _, want := range l.Hosts {
		if want.Name == "operator" {
			continue
		}
		h, ok := hostNamed(f, want.Name)
		if !ok {
			t.Errorf("%s is not found", want.Name)
			continue
		}
		if want.Tailnet != "" && (len(h.Addresses) == 0 || h.Addresses[0] != (fleet.Address{Via: fleet.ViaTailnet, Host: want.Tailnet}) || !h.Presence.Value.Online) {
			t.Errorf("%s: %+v", want.Name, h)
		}
		if h.User != want.User {
			t.Errorf("%s: user %q, want %q", want.Name, h.User, want.User)
		}
		if want.Via != "" && (!strings.HasSuffix(h.Jump, want.Via) || h.Port != want.Port) {
			t.Errorf("%s: jump %q, port %d", want.Name, h.Jump, h.Port)
		}
	}
	for name, expired := range map[string]bool{"cottage": false, "octopi": true} {
		if h, ok := hostNamed(f, name); !ok || h.Presence.Value.Online || h.Presence.Value.Expired != expired {
			t.Errorf("%s: %v %+v", name, ok, h)
		}
	}
	if h, _ := hostNamed(f, "r2s"); !h.TailscaleOK || len(h.HostKeys) == 0 {
		t.Errorf("r2s has Tailscale SSH: %+v", h)
	}
	why := map[string]string{}
	for _, o := range f.Others {
		why[o.Name] = o.Why
	}
	for name, want := range map[string]string{
		"phone": "phone (iOS)", "tablet": "phone (Android)", "jellyfin": "service node (tag:service)", "grafana": "service node (tag:service)",
		"photos": "service node (tag:service)", "storage-1": "duplicate of storage", "brazil-exit": "exit node",
		"nas.neighbour.ts.net": "shared in by neighbour@example.org",
	} {
		if why[name] != want {
			t.Errorf("%s: %q, want %q", name, why[name], want)
		}
	}
}

func TestLabChanges(t *testing.T) {
	l := labtest.Load(t)
	from := discover(t, labOptions(l))
	within(t, from, time.Minute, "settled", func(f Found) bool { return f.Settled })
	t.Cleanup(func() { l.Peer(t, "POST", "cottage?online=false&lastSeen=144h") })
	online := func(name string, want bool) func(Found) bool {
		return func(f Found) bool { h, ok := hostNamed(f, name); return ok && h.Presence.Value.Online == want }
	}
	l.Peer(t, "POST", "cottage?online=true")
	within(t, from, time.Minute, "cottage comes", online("cottage", true))
	l.Peer(t, "POST", "cottage?online=false")
	within(t, from, time.Minute, "cottage goes", online("cottage", false))

	l.Peer(t, "PUT", "discoverer?os=linux&tags=tag:server")
	gone := false
	t.Cleanup(func() {
		if !gone {
			l.Peer(t, "DELETE", "discoverer-two")
		}
	})
	f := within(t, from, time.Minute, "a new node", online("discoverer", true))
	before, _ := hostNamed(f, "discoverer")
	l.Peer(t, "POST", "discoverer?name=discoverer-two")
	f = within(t, from, time.Minute, "its new name", online("discoverer-two", true))
	if after, _ := hostNamed(f, "discoverer-two"); after.ID != before.ID || !slices.Contains(after.Aliases, "discoverer") {
		t.Errorf("renamed: %+v, was %+v", after, before)
	}
	l.Peer(t, "POST", "discoverer-two?tags=tag:service")
	within(t, from, time.Minute, "it becomes a service", func(f Found) bool { _, ok := hostNamed(f, "discoverer-two"); return !ok })
	l.Peer(t, "DELETE", "discoverer-two")
	gone = true
	within(t, from, time.Minute, "it leaves", func(f Found) bool {
		return !slices.ContainsFunc(f.Others, func(o fleet.Other) bool { return o.Name == "discoverer-two" })
	})
}

func TestLabMDNS(t *testing.T) {
	l := labtest.Load(t)
	from := discover(t, labOptions(l))
	lan := func(f Found, name, ip string) bool {
		h, _ := hostNamed(f, name)
		return slices.Contains(h.Addresses, fleet.Address{Via: fleet.ViaMDNS, Host: ip})
	}
	within(t, from, 2*time.Minute, "what mDNS tells", func(f Found) bool {
		return lan(f, "storage", "10.77.0.11") && lan(f, "r2s", "10.77.0.14")
	})
}

func TestLabControlPlane(t *testing.T) {
	l := labtest.Load(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(l.API.OAuthSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LAB_KEY", l.API.Key)
	off := false
	for name, conf := range map[string]TailscaleConfig{
		"key": {APIURL: l.API.URL, APIKeyEnv: "LAB_KEY"}, "OAuth": {APIURL: l.API.URL, OAuthClientID: l.API.OAuthID, OAuthSecretFile: secret},
	} {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			o := labOptions(l)
			o.Config = &Config{Tailscale: conf, Sources: SourcesConfig{Tailscale: &off, MDNS: &off, Flake: &off}}
			f, err := Once(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range l.Hosts {
				if h, ok := hostNamed(f, want.Name); want.Name != "operator" && (!ok || want.Tailnet != "" && h.ID == "") {
					t.Errorf("%s is not found: %+v", want.Name, f.Sources)
				}
			}
			if _, ok := hostNamed(f, "jellyfin"); ok {
				t.Error("a service is a host")
			}
		})
	}
}
