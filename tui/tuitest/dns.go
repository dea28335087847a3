package tuitest

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// NameServing gives hosts DNS servers in every state, and names in mDNS, one of which
// another machine had first.
func NameServing(st fleet.State) fleet.State {
	yes, no := true, false
	at := ago(25 * time.Second)
	name := func(m fleet.MDNS) {
		m.Judge()
		st.MDNS = fleet.Known([]fleet.MDNS{m}, ago(40*time.Second), "avahi, systemd-resolved")
	}
	switch st.Host.Name {
	case "router":
		rate := 0.725
		st.DNS = fleet.Known([]fleet.DNSServer{{
			Kind: "blocky", Unit: "blocky.service", Address: "127.0.0.1:4000", Version: "v0.34.0", At: at, MetricsPath: "/metrics",
			Blocking: &fleet.Blocking{Until: Now.Add(4*time.Minute + 10*time.Second)},
			Stats: &fleet.DNSStats{
				Source: "stats", Start: ago(day), End: Now, Queries: 48_420, Blocked: 8_231, Cached: 28_000, Errors: 14, CacheHitRate: &rate, AverageMs: 6,
				TopDomains: []fleet.NameCount{{Name: "time.example.org", Count: 1984}, {Name: "api.example.com", Count: 1790}},
				TopBlocked: []fleet.NameCount{{Name: "scribe.logs.example.net", Count: 1693}, {Name: "doubleclick.example", Count: 532}},
				TopClients: []fleet.NameCount{{Name: "desk.lan", Count: 16_100}, {Name: "192.168.1.77", Count: 5376}},
			},
			Lists: &fleet.DNSLists{Groups: []fleet.ListGroup{{Name: "ads", Deny: 531_204, Allow: 12}, {Name: "malware", Deny: 88_410}}, Refreshed: ago(97 * time.Minute), Period: 14_400, Started: ago(9 * day), At: at},
		}}, at, "its HTTP API")
		name(fleet.MDNS{Responder: "avahi", State: "running", Name: "router.local", Wanted: "router.local", Publishes: &yes, Links: []string{"eth0"}})
	case "cloud":
		st.DNS = fleet.Known([]fleet.DNSServer{{
			Kind: "blocky", Container: "dns", Unit: "podman-dns.service", Address: "127.0.0.1:8053", Version: "v0.26.1", At: at, MetricsPath: "/metrics",
			Blocking: &fleet.Blocking{}, NoStats: "this version has no statistics",
			Stats: &fleet.DNSStats{Source: "metrics", Start: ago(3 * day), End: at, Queries: 9_120, Blocked: 310, Errors: 2},
			Lists: &fleet.DNSLists{Groups: []fleet.ListGroup{{Name: "ads", Deny: 9_310}}, Refreshed: ago(5 * time.Hour), Failed: 3, Started: ago(3 * day), FailedFrom: ago(3 * time.Hour), FailedSeen: ago(2 * time.Hour), At: at},
		}}, at, "its HTTP API")
		name(fleet.MDNS{Responder: "avahi", State: "running", Name: "cloud-2.local", Wanted: "cloud.local", Publishes: &yes})
	case "storage":
		st.DNS = fleet.Known([]fleet.DNSServer{{Kind: "blocky", Unit: "blocky.service", At: at, None: true, Err: "its HTTP API is off (ports.http)", Cure: "set ports.http in its configuration"}}, at, "its HTTP API")
		name(fleet.MDNS{Responder: "avahi", State: "running", Name: "storage.local", Wanted: "storage.local", Publishes: &no, Why: "disable-publishing"})
	}
	return st
}
