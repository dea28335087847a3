package tuitest

import (
	"errors"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Tailnet gives the store a tailnet: hosts, one of them over a relay, one whose key ends
// soon and one that is off; and what is no host.
func Tailnet(s *fleet.Store) {
	t := fleet.Tailnet{Name: "example.ts.net", Newest: "1.102.5", API: true}
	for i, st := range s.Snapshot().Hosts {
		p := st.Host.Presence.Value
		n := fleet.Node{
			ID: "n" + st.Host.Name, Name: st.Host.Name, HostName: st.Host.Name, OS: "linux", Tags: st.Host.Tags, Version: "1.102.5",
			Addresses: []string{st.Host.Addresses[0].Host, "fd7a:115c:a1e0::" + string(rune('1'+i))}, Host: st.Host.Name, HostID: st.Host.ID,
			Self: st.Host.Local, Online: p.Online, LastSeen: p.LastSeen, KeyExpiry: p.KeyExpiry, Created: ago(200 * day), SSH: i%2 == 0,
		}
		switch n.Name {
		case "router":
			n.Exit, n.Routes, n.KeyExpiry = true, []string{"192.168.1.0/24"}, Now.Add(6*day+time.Hour)
		case "media-r2s":
			n.Version = "1.94.2"
		}
		t.Nodes = append(t.Nodes, n)
	}
	t.Nodes = append(t.Nodes,
		fleet.Node{ID: "npixel", Name: "pixel", OS: "android", User: "ada@example.org", Why: "phone (Android)", Online: true, KeyExpiry: Now.Add(40 * day), Addresses: []string{"100.64.0.90"}},
		fleet.Node{ID: "nold", Name: "storage-1", HostName: "storage", OS: "linux", Tags: []string{"storage"}, Why: "duplicate of storage", Duplicate: "storage", LastSeen: ago(40 * day), Addresses: []string{"100.64.0.91"}},
		fleet.Node{ID: "nsvc", Name: "photos", OS: "linux", Tags: []string{"service"}, Why: "service node (tag:service)", Service: true, Ephemeral: true, LastSeen: ago(9 * day), Addresses: []string{"100.64.0.92"}},
	)
	s.SetTailnet(fleet.Known(t, ago(20*time.Second), "tailscaled and Tailscale API"))
}

// Reached is how the nodes of that tailnet are reached.
func Reached(n fleet.Node) fleet.Fact[fleet.Path] {
	switch n.Name {
	case "media-r2s":
		return fleet.Known(fleet.Path{Relay: "fra", Latency: 0.048}, Now, "tailscale ping")
	case "lab":
		return fleet.Unknown[fleet.Path](errors.New("no answer within 3s"), Now, "tailscale ping")
	}
	return fleet.Known(fleet.Path{Direct: true, Endpoint: "10.77.0.1:41641", Latency: 0.0023}, Now, "tailscale ping")
}
