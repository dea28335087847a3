package fleet_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// links makes links of "name zone address".
func links(list ...string) []fleet.FirewallLink {
	var out []fleet.FirewallLink
	for _, l := range list {
		f := strings.Fields(l)
		out = append(out, fleet.FirewallLink{Name: f[0], Zone: fleet.Zone(f[1]), Addresses: []netip.Prefix{netip.MustParsePrefix(f[2])}})
	}
	return out
}

// door makes doors of "internet lan tailnet" in one letter each: y, n, ?.
func doors(letters string) fleet.Doors {
	one := func(c byte) fleet.Door {
		return map[byte]fleet.Door{'y': {State: fleet.Passes, Why: "rule"}, 'n': {State: fleet.Stopped, Why: "policy"}, '?': {State: fleet.PassesUnknown, Why: "odd rule"}}[c]
	}
	return fleet.Doors{Internet: one(letters[0]), LAN: one(letters[1]), Tailnet: one(letters[2])}
}

// walled is a host with listeners, each "proto port process doors".
func walled(name string, l []fleet.FirewallLink, listeners ...string) fleet.State {
	fw := fleet.Firewall{Kind: "nftables", Links: l}
	var list []fleet.Listener
	for _, text := range listeners {
		f := strings.Fields(text)
		var port uint16
		_, _ = fmt.Sscan(f[1], &port)
		v := fleet.Listener{Proto: f[0], Address: "*", Port: port, Process: f[2], Unit: f[2] + ".service"}
		list = append(list, v)
		fw.Listeners = append(fw.Listeners, fleet.ListenerDoors{Proto: v.Proto, Address: v.Address, Port: v.Port, Doors: doors(f[3])})
	}
	st := fleet.State{Host: fleet.Host{ID: fleet.HostID("n-" + name), Name: name}, Reach: fleet.Known(fleet.Reach{State: fleet.Up}, noon, "ssh")}
	st.Listens, st.Firewall = fleet.Known(list, noon, "ss"), fleet.Known(fw, noon, "nft")
	return st
}

// exposed are the problems of a host that are about exposure.
func exposed(st fleet.State) string {
	var all []string
	for _, p := range st.Problems(noon) {
		if p.Of.Kind == fleet.KindExposure {
			all = append(all, string(p.Severity)+" "+p.Key)
		}
	}
	return strings.Join(all, ", ")
}

var public = links("eth0 internet 203.0.113.3/24")

// TestExposed: what the internet reaches and nobody listed is a problem, as bad as
// what is behind it.
func TestExposed(t *testing.T) {
	auth, bypassed := &fleet.ForwardAuth{Kind: "forward_auth"}, &fleet.ForwardAuth{Kind: "forward_auth", Nobody: &fleet.AuthAnswer{Passes: true}}
	site := func(name string, a *fleet.ForwardAuth) fleet.Site {
		return fleet.Site{Name: name, Port: 443, Routes: []fleet.Route{{Handler: "reverse_proxy", Known: true, Auth: a, Upstreams: []fleet.Upstream{{Dial: "127.0.0.1:8096"}}}}}
	}
	serves := func(sites ...fleet.Site) func(*fleet.State) {
		return func(s *fleet.State) {
			s.Sites = fleet.Known([]fleet.Proxy{{Kind: "caddy", Unit: "caddy.service", Sites: sites}}, noon, "caddy")
		}
	}
	meant := func(list ...fleet.Meant) func(*fleet.State) {
		return func(s *fleet.State) { s.Meant = append(s.Meant, list...) }
	}
	web, half := "tcp 443 caddy yyy", site("half.example.org", auth)
	half.Routes = append(half.Routes, site("", nil).Routes...)
	for name, c := range map[string]struct {
		listener string
		with     []func(*fleet.State)
		want     string
	}{
		"closed":                            {"tcp 8096 jellyfin nyy", nil, ""},
		"open":                              {"tcp 8096 jellyfin yyy", nil, "fail exposure:tcp/8096"},
		"ssh asks who comes":                {"tcp 22 sshd yyy", nil, "warn exposure:tcp/22"},
		"not known":                         {"tcp 8096 jellyfin ?yy", nil, "unknown exposure:unknown"},
		"not known, and meant":              {"tcp 8096 jellyfin ?yy", []func(*fleet.State){meant(fleet.Meant{Port: "tcp/8096"})}, ""},
		"tailscale itself":                  {"udp 41641 tailscaled yyy", nil, ""},
		"tailscale, but not its port":       {"tcp 41641 tailscaled yyy", nil, "fail exposure:tcp/41641"},
		"meant":                             {"udp 51820 x yyy", []func(*fleet.State){meant(fleet.Meant{Host: "cloud", Port: "udp/51820"})}, ""},
		"meant, in a range":                 {"udp 60500 mosh yyy", []func(*fleet.State){meant(fleet.Meant{Port: "udp/60000-61000"})}, ""},
		"meant of another host":             {"udp 51820 x yyy", []func(*fleet.State){meant(fleet.Meant{Host: "router", Port: "udp/51820"})}, "fail exposure:udp/51820"},
		"meant of another protocol":         {"tcp 51820 x yyy", []func(*fleet.State){meant(fleet.Meant{Port: "udp/51820"})}, "fail exposure:tcp/51820"},
		"a proxy whose sites are not known": {web, nil, "fail exposure:tcp/443"},
		"all with sign-in":                  {web, []func(*fleet.State){serves(site("a.example.org", auth))}, "warn exposure:tcp/443"},
		"one whose sign-in lets all pass":   {web, []func(*fleet.State){serves(site("a.example.org", auth), site("b.example.org", bypassed))}, "fail exposure:tcp/443"},
		"one without":                       {web, []func(*fleet.State){serves(site("a.example.org", auth), site("b.example.org", nil))}, "fail exposure:tcp/443"},
		"sign-in in part":                   {web, []func(*fleet.State){serves(half)}, "fail exposure:tcp/443"},
		"the port is meant, a name is not":  {web, []func(*fleet.State){serves(site("a.example.org", auth), site("b.example.org", nil)), meant(fleet.Meant{Port: "tcp/443"})}, "fail exposure:b.example.org"},
		"the name too":                      {web, []func(*fleet.State){serves(site("b.example.org", nil)), meant(fleet.Meant{Port: "tcp/443"}, fleet.Meant{Name: "*.example.org"})}, ""},
		"the name at another host":          {web, []func(*fleet.State){serves(site("b.example.org", nil)), meant(fleet.Meant{Port: "tcp/443"}, fleet.Meant{Host: "storage", Name: "b.example.org"})}, "fail exposure:b.example.org"},
		"any name, at a port that is meant": {web, []func(*fleet.State){serves(site("", nil)), meant(fleet.Meant{Port: "tcp/443"})}, ""},
		"a handler that is not known":       {web, []func(*fleet.State){serves(fleet.Site{Name: "t.example.org", Port: 443, Routes: []fleet.Route{{Handler: "teapot"}}}), meant(fleet.Meant{Port: "tcp/443"})}, "unknown exposure:t.example.org"},
		"only sends elsewhere":              {"tcp 80 caddy yyy", []func(*fleet.State){serves(fleet.Site{Name: "a.example.org", Port: 80, Routes: []fleet.Route{{Handler: "static_response", Known: true, Status: 308}}})}, "warn exposure:tcp/80"},
		"Caddy's own way to HTTPS":          {"tcp 80 caddy yyy", []func(*fleet.State){serves(fleet.Site{Name: "a.example.org", Port: 443, TLS: true})}, "warn exposure:tcp/80"},
		"HTTP/3 is meant with HTTPS":        {"udp 443 caddy yyy", []func(*fleet.State){serves(site("a.example.org", auth)), meant(fleet.Meant{Port: "tcp/443"})}, ""},
		"read an hour ago":                  {"tcp 8096 x yyy", []func(*fleet.State){func(s *fleet.State) { s.Firewall, s.Listens = s.Firewall.Remember(noon), s.Listens.Remember(noon) }}, "fail exposure:tcp/8096"},
		"read long ago": {"tcp 8096 x yyy", []func(*fleet.State){func(s *fleet.State) {
			s.Firewall.At = noon.Add(-3 * time.Hour)
			s.Firewall = s.Firewall.Remember(noon)
		}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			st := walled("cloud", public, c.listener)
			for _, change := range c.with {
				change(&st)
			}
			if got := exposed(st); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestExposedCure: a problem says how it is closed, and how it is said to be meant.
func TestExposedCure(t *testing.T) {
	st := walled("cloud", public, "tcp 8096 jellyfin yyy", "tcp 8097 conmon yyy")
	var cures []string
	for _, p := range st.Problems(noon) {
		if p.Of.Kind == fleet.KindExposure {
			cures = append(cures, p.Cure)
		}
	}
	if len(cures) != 2 || !strings.HasPrefix(cures[0], "take 8096 out of networking.firewall.allowedTCPPorts") || !strings.Contains(cures[0], `host = "cloud", port = "tcp/8096"`) || !strings.HasPrefix(cures[1], "publish it for the host alone (127.0.0.1:8097)") {
		t.Errorf("%q", cures)
	}
}

// TestBehind: a host without an address of the internet's own is judged by the router
// before it.
func TestBehind(t *testing.T) {
	home := links("eth0 lan 192.168.1.50/24")
	router := func(change func(*fleet.Firewall)) fleet.State {
		st := walled("router", links("wan internet 203.0.113.2/24", "lan lan 192.168.1.1/24"))
		change(&st.Firewall.Value)
		return st
	}
	sends := func(d string, port uint16) func(*fleet.Firewall) {
		return func(f *fleet.Firewall) {
			f.Sent = []fleet.PortForward{{Proto: "tcp", Port: 8443, To: "192.168.1.50", ToPort: port, Doors: doors(d)}}
		}
	}
	for name, c := range map[string]struct {
		gateway string
		router  fleet.State
		door    string
		want    string
	}{
		"sent on":                    {"192.168.1.1", router(sends("ynn", 443)), "nyy", "yes"},
		"sent on, but closed here":   {"192.168.1.1", router(sends("ynn", 443)), "nny", "no"},
		"sent on, not known here":    {"192.168.1.1", router(sends("ynn", 443)), "n?y", "unknown"},
		"another port is sent on":    {"192.168.1.1", router(sends("ynn", 80)), "nyy", "no"},
		"sent on, perhaps":           {"192.168.1.1", router(sends("?nn", 443)), "nyy", "unknown"},
		"nothing is sent on":         {"192.168.1.1", router(func(*fleet.Firewall) {}), "nyy", "no"},
		"somebody else's router":     {"192.168.1.254", router(sends("ynn", 443)), "nyy", "unknown"},
		"no way out":                 {"", router(sends("ynn", 443)), "nyy", "no"},
		"by IPv6, stopped before it": {"192.168.1.1", router(func(f *fleet.Firewall) { f.Through6 = fleet.Door{State: fleet.Stopped} }), "yyy", "no"},
		"by IPv6":                    {"192.168.1.1", router(func(f *fleet.Firewall) { f.Through6 = fleet.Door{State: fleet.Passes} }), "yyy", "yes"},
		"by IPv6, perhaps":           {"192.168.1.1", router(func(f *fleet.Firewall) { f.Through6 = fleet.Door{State: fleet.PassesUnknown} }), "yyy", "unknown"},
		"a router behind another":    {"192.168.1.1", walled("router", links("wan lan 10.0.0.2/24", "lan lan 192.168.1.1/24")), "nyy", "unknown"},
		"a router that is not read": {"192.168.1.1", func() fleet.State {
			st := router(sends("ynn", 443))
			st.Firewall = st.Firewall.Refresh(fleet.Unknown[fleet.Firewall](fmt.Errorf("gone"), noon, "nft"))
			return st
		}(), "nyy", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			st := walled("desktop", home, "tcp 443 caddy "+c.door)
			if c.gateway != "" {
				st.Firewall.Value.Gateways = []string{c.gateway}
			}
			snap := fleet.Snapshot{Hosts: []fleet.State{st, c.router}}
			list := snap.ExposuresOf(st, noon, nil)
			if len(list) != 1 || string(list[0].Internet.State) != c.want || list[0].Internet.Why == "" {
				t.Errorf("%+v, want %s", list, c.want)
			}
			if got := exposed(st); got != "" {
				t.Errorf("what another decides is a problem of the host's own: %s", got)
			}
		})
	}
	st := router(sends("ynn", 443))
	if got := exposed(st); got != "fail exposure:tcp/8443" {
		t.Errorf("what a router sends on is no problem of its own: %q", got)
	}
	st.Firewall.Value.Links[1].Addresses = append(st.Firewall.Value.Links[1].Addresses, netip.MustParsePrefix("2001:db8:1::1/64"))
	st.Firewall.Value.Through6.State = fleet.Passes
	if got := exposed(st); !strings.Contains(got, "warn exposure:ipv6") {
		t.Errorf("IPv6 without any rule is no problem: %q", got)
	}
	st.Meant = []fleet.Meant{{Host: "router", Port: fleet.IPv6}, {Port: "tcp/8443"}}
	if got := exposed(st); got != "" {
		t.Errorf("what is meant is a problem: %q", got)
	}
}

// TestExposedNames: the names of proxies that lead to a listener are told with it,
// those of other hosts too.
func TestExposedNames(t *testing.T) {
	storage, cloud := walled("storage", links("eth0 lan 10.0.0.9/24"), "tcp 8096 jellyfin nyy"), walled("cloud", public, "tcp 443 caddy yyy")
	storage.Listens.Value = append(storage.Listens.Value, fleet.Listener{Proto: "tcp", Address: "127.0.0.1", Port: 3000, Process: "grafana"})
	at := func(name, dial string) fleet.Site {
		return fleet.Site{Name: name, Port: 443, Routes: []fleet.Route{{Handler: "reverse_proxy", Known: true, Upstreams: []fleet.Upstream{{Dial: dial}}}}}
	}
	cloud.Sites = fleet.Known([]fleet.Proxy{{Kind: "caddy", Unit: "caddy.service", Sites: []fleet.Site{at("a.example.org", "storage:8096"), at("b.example.org", "10.0.0.9:8096"), at("c.example.org", "storage:3000"), at("d.example.org", "127.0.0.1:8096")}}}, noon, "caddy")
	snap := fleet.Snapshot{Hosts: []fleet.State{cloud, storage}}
	var got []string
	for _, e := range snap.Exposures(noon, map[string]bool{"a.example.org": true, "b.example.org": false}) {
		for _, n := range e.Names {
			cf := "?"
			if n.Cloudflare != nil {
				cf = fmt.Sprint(*n.Cloudflare)
			}
			got = append(got, fmt.Sprintf("%s/%d %s %s", e.Host, e.Port, n.Name, cf))
		}
	}
	want := []string{"cloud/443 a.example.org true", "cloud/443 b.example.org false", "cloud/443 c.example.org ?", "cloud/443 d.example.org ?", "storage/8096 a.example.org true", "storage/8096 b.example.org false"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if names := snap.ExposedNames(noon); len(names) != 4 {
		t.Errorf("asked are %q", names)
	}
}

// TestPorts: what a port of the configuration may be.
func TestPorts(t *testing.T) {
	for text, ok := range map[string]bool{"tcp/443": true, "udp/60000-61000": true, "443": false, "tcp/0": false, "tcp/70000": false, "tcp/9-5": false, "sctp/5": false, "tcp/": false, "": false, "tcp/1-": false} {
		if _, _, _, got := fleet.ParsePorts(text); got != ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}
