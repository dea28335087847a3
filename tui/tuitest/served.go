package tuitest

import (
	"net/netip"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Serving adds to a host what it serves: sites of which one is down and one's
// certificate ends soon, a chain of sign-in, and who listens.
func Serving(st fleet.State) fleet.State {
	at := ago(2 * time.Minute)
	yes, no, trusted := true, false, true
	cert := func(name string, left time.Duration) *fleet.Certificate {
		return &fleet.Certificate{Names: []string{name}, Issuer: "Let's Encrypt E7", NotBefore: Now.Add(left - 90*day), NotAfter: Now.Add(left), Covers: true, Trusted: &trusted, At: at}
	}
	auth := &fleet.ForwardAuth{Kind: "forward_auth", Upstream: []string{"127.0.0.1:9091"}, URI: "/api/authz/forward-auth", Nobody: &fleet.AuthAnswer{URL: "https://photos.example.org/", Status: 302, At: at}}
	proxied := func(dial string, up *bool, a *fleet.ForwardAuth, when ...fleet.AnyOf) fleet.Route {
		return fleet.Route{When: when, Handler: "reverse_proxy", Known: true, Auth: a, Upstreams: []fleet.Upstream{{Dial: dial, Checked: true, Healthy: up, By: "caddy's health check"}}}
	}
	api := fleet.AnyOf{{{Kind: "path", Values: []string{"/api/*"}}}}
	site := func(name string, left time.Duration, routes ...fleet.Route) fleet.Site {
		return fleet.Site{Name: name, Listen: []string{":443"}, Port: 443, TLS: true, Cert: cert(name, left), Routes: routes}
	}
	st.Sites = fleet.Known([]fleet.Proxy{{Kind: "caddy", Unit: "caddy.service", Admin: "127.0.0.1:2019", Reloaded: ago(3 * day), ReloadOK: &yes, Sites: []fleet.Site{
		site("photos.example.org", 61*day, proxied("127.0.0.1:2283", &yes, nil, api), proxied("127.0.0.1:2283", &yes, auth)),
		site("paperless.example.org", 61*day, proxied("127.0.0.1:8010", &no, auth)),
		site("git.example.org", 5*day, proxied("127.0.0.1:3000", &yes, nil)),
		site("shop.example.org", 61*day, fleet.Route{Handler: "teapot"}),
	}}}, at, "caddy's admin API")
	st.Services = fleet.Known([]fleet.Service{
		{Kind: "authelia", Unit: "authelia-main.service", Address: "127.0.0.1:9091", Health: fleet.HealthOK, Why: "it answers; whether it reaches its users is not in its health check"},
		{Kind: "dex", Container: "dex", Unit: "podman-dex.service", Address: "127.0.0.1:5556", Health: fleet.HealthBroken, Why: "HTTP 500: Health check failed"},
	}, at, "their health checks")
	st.Listens = fleet.Known([]fleet.Listener{
		{Proto: "tcp", Address: "0.0.0.0", Port: 22, Process: "sshd", PID: 700, Unit: "sshd.service"},
		{Proto: "tcp", Address: "*", Port: 443, Process: "caddy", PID: 801, Unit: "caddy.service"},
		{Proto: "tcp", Address: "127.0.0.1", Port: 2019, Process: "caddy", PID: 801, Unit: "caddy.service"},
		{Proto: "udp", Address: "0.0.0.0", Port: 41641, Process: "tailscaled", PID: 702, Unit: "tailscaled.service"},
	}, at, "ss")
	st.Firewall = fleet.Known(firewall(), at, "nft")
	return st
}

// firewall is that of a host which the internet reaches at two ports, one of which
// nobody says is meant.
func firewall() fleet.Firewall {
	allowed := fleet.Door{State: fleet.Passes, Why: "input-allow: tcp dport { 22, 443 } accept"}
	denied := fleet.Door{State: fleet.Stopped, Why: "policy drop of chain input in table inet nixos-fw"}
	trusted := fleet.Door{State: fleet.Passes, Why: "input: iifname { lo, tailscale0 } accept (trusted interfaces)"}
	odd := fleet.Door{State: fleet.PassesUnknown, Why: "input-allow: skuid 0 udp dport 41641 accept"}
	at := func(name string, zone fleet.Zone, address string) fleet.FirewallLink {
		return fleet.FirewallLink{Name: name, Zone: zone, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
	}
	return fleet.Firewall{
		Kind: "nftables", Rules: 14,
		Links: []fleet.FirewallLink{at("eth0", fleet.FromInternet, "203.0.113.9/24"), at("eth1", fleet.FromLAN, "192.168.1.9/24"), at("tailscale0", fleet.FromTailnet, "100.64.0.9/32")},
		Listeners: []fleet.ListenerDoors{
			{Proto: "tcp", Address: "0.0.0.0", Port: 22, Doors: fleet.Doors{Internet: allowed, LAN: allowed, Tailnet: trusted}},
			{Proto: "tcp", Address: "*", Port: 443, Doors: fleet.Doors{Internet: allowed, LAN: denied, Tailnet: trusted}},
			{Proto: "udp", Address: "0.0.0.0", Port: 41641, Doors: fleet.Doors{Internet: odd, LAN: denied, Tailnet: trusted}},
		},
	}
}

// Way is a trace of a name whose container does not run.
func Way(url string) fleet.Trace {
	t := fleet.Trace{URL: url, At: ago(3 * time.Second), Hops: []fleet.Hop{
		{Kind: "name", State: fleet.HealthOK, What: "paperless.example.org is served by storage"},
		{Kind: "dns", State: fleet.HealthOK, What: "paperless.example.org → 104.16.9.9"},
		{Kind: "cloudflare", State: fleet.HealthUnknown, What: "it stands before: the address is Cloudflare's", Why: "not asked: no token", Cure: "set CLOUDFLARE_API_TOKEN"},
		{Kind: "address", State: fleet.HealthUnknown, Host: "storage", What: "going on at storage, which serves the name", Why: "it is not known whether the public address leads there"},
		{Kind: "proxy", State: fleet.HealthOK, Host: "storage", What: "caddy: paperless.example.org / leads to 127.0.0.1:8010"},
		{Kind: "certificate", State: fleet.HealthOK, Host: "storage", What: "ends in 61d, by Let's Encrypt E7"},
		{Kind: "sign-in", State: fleet.HealthOK, Host: "storage", What: "forward_auth at 127.0.0.1:9091: sign-in is needed, and the way to it is shown"},
		{Kind: "upstream", State: fleet.HealthBroken, Host: "storage", HostID: "n-storage", Why: "upstream 127.0.0.1:8010: nothing listens there", Seen: []string{"container paperless: exited"},
			Help:    &fleet.Help{Action: "unit-start", Unit: "podman-paperless.service", Command: "sextant unit start storage podman-paperless.service"},
			Changed: &fleet.Event{At: ago(3 * day), Text: "confirmed: 141 to 142"}},
		{Kind: "service", Skipped: true}, {Kind: "answer", Skipped: true},
	}}
	t.Conclude()
	return t
}
