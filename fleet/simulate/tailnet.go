package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// visitors are nodes of the tailnet that are no hosts.
var visitors = []struct {
	node  fleet.Node
	away  time.Duration // 0: it is online
	since time.Duration
}{
	{fleet.Node{Name: "pixel", OS: "android", User: "ada@fleet.example", Why: "phone (Android)"}, 0, 400 * day},
	{fleet.Node{Name: "storage-1", HostName: "storage", OS: "linux", Tags: []string{"server"}, Why: "duplicate of storage", Duplicate: "storage"}, 40 * day, 200 * day},
	{fleet.Node{Name: "grafana", OS: "linux", Tags: []string{"service"}, Why: "service node (tag:service)", Service: true, Ephemeral: true}, 0, 3 * day},
	{fleet.Node{Name: "photos", OS: "linux", Tags: []string{"service"}, Why: "service node (tag:service)", Service: true, Ephemeral: true}, 9 * day, 30 * day},
	{fleet.Node{Name: "sweden-exit", OS: "linux", Tags: []string{"exit"}, Why: "exit node", Exit: true}, 0, 60 * day},
	{fleet.Node{Name: "nas.neighbour.ts.net", OS: "linux", Why: "shared in by bea@example.org", Shared: true}, 0, 90 * day},
}

// Tailnet is the network of this world, as tailscaled and the control plane would
// tell of it.
func (f *Fleet) Tailnet() fleet.Fact[fleet.Tailnet] {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	t := fleet.Tailnet{Name: "demo.ts.net", API: true, Newest: "1.102.5"}
	for i, h := range f.Hosts() {
		p := h.Presence.Value
		n := fleet.Node{
			ID: h.NodeID, Name: h.Name, HostName: h.Name, OS: "linux", Tags: h.Tags, Version: "1.102.5", Addresses: []string{fmt.Sprintf("100.64.0.%d", 11+i)},
			Host: h.Name, HostID: h.ID, Online: p.Online, KeyExpiry: p.KeyExpiry, Created: now.Add(-500 * day).UTC(), SSH: i%3 == 0,
		}
		if !n.Online {
			n.LastSeen = p.LastSeen.UTC()
		}
		switch h.Name {
		case "router":
			n.Exit, n.Routes = true, []string{"192.168.1.0/24"}
		case "r2s":
			n.Version = "1.94.2"
		}
		t.Nodes = append(t.Nodes, n)
	}
	for i, v := range visitors {
		n := v.node
		n.ID, n.Version, n.Addresses = fmt.Sprintf("nvisitor%d", i), "1.100.1", []string{fmt.Sprintf("100.64.1.%d", 1+i)}
		n.HostName, n.Online, n.Created = cmp.Or(n.HostName, n.Name), v.away == 0, now.Add(-v.since).UTC()
		if !n.Online {
			n.LastSeen = now.Add(-v.away).UTC()
		}
		t.Nodes = append(t.Nodes, n)
	}
	t.Nodes = slices.DeleteFunc(t.Nodes, func(n fleet.Node) bool { return f.gone[n.ID] })
	for i := range t.Nodes {
		t.Nodes[i].Name = cmp.Or(f.named[t.Nodes[i].ID], t.Nodes[i].Name)
	}
	slices.SortFunc(t.Nodes, func(a, b fleet.Node) int { return strings.Compare(a.Name, b.Name) })
	return fleet.Known(t, now, "demo")
}

// Path is how a node is reached: those far away over a relay.
func (f *Fleet) Path(n fleet.Node) fleet.Fact[fleet.Path] {
	for _, h := range f.hosts {
		if h.role.name == n.Name && h.role.relay != "" {
			return fleet.Known(fleet.Path{Relay: h.role.relay, Latency: 0.118}, f.now(), "demo")
		}
	}
	return fleet.Known(fleet.Path{Direct: true, Endpoint: "192.168.1." + fmt.Sprint(10+len(n.Name)) + ":41641", Latency: fleet.Seconds(len(n.Name)) / 900}, f.now(), "demo")
}

// RemoveNode takes a node out of the tailnet; hosts stay as they are.
func (f *Fleet) RemoveNode(id string) error {
	if _, ok := f.Tailnet().Value.Node(id); !ok {
		return fmt.Errorf("no node %s", id)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone == nil {
		f.gone = map[string]bool{}
	}
	f.gone[id] = true
	return nil
}

// RenameNode gives a node of the tailnet another name.
func (f *Fleet) RenameNode(id, name string) error {
	if _, ok := f.Tailnet().Value.Node(id); !ok {
		return fmt.Errorf("no node %s", id)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.named == nil {
		f.named = map[string]string{}
	}
	f.named[id] = name
	return nil
}
