package discover

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	api "tailscale.com/client/tailscale/v2"
	"tailscale.com/ipn/ipnstate"

	"github.com/sextant-fleet/sextant/fleet"
)

// nodeOf is a node as tailscaled tells of it.
func (r statusReader) nodeOf(p *ipnstate.PeerStatus, s Sighting, foreign bool) *fleet.Node {
	n := &fleet.Node{
		ID: s.NodeID, Name: s.Name, HostName: s.HostName, OS: s.OS, Tags: s.Tags, Addresses: hosts(s.Addresses), SSH: s.TailscaleOK,
		Self: p == r.status.Self, Shared: foreign, Exit: p.ExitNodeOption, Created: p.Created.UTC(),
	}
	take(n, s.Presence.Value)
	if n.Self {
		n.Online, n.Version = true, version(r.status.Version)
	}
	if p.PrimaryRoutes != nil {
		n.Routes = routes(p.PrimaryRoutes.AsSlice())
	}
	if u, ok := r.status.User[p.UserID]; ok && len(n.Tags) == 0 {
		n.User = clean(u.LoginName)
	}
	return n
}

// deviceNode is a node as the control plane tells of it.
func deviceNode(d api.Device, s Sighting) *fleet.Node {
	n := &fleet.Node{
		ID: s.NodeID, Name: s.Name, HostName: s.HostName, OS: s.OS, Tags: s.Tags, Addresses: hosts(s.Addresses), SSH: s.TailscaleOK,
		Shared: d.IsExternal, Ephemeral: d.IsEphemeral, Version: version(d.ClientVersion), Created: s.Joined.UTC(),
	}
	n.User = clean(d.User)
	if len(n.Tags) > 0 {
		n.User = ""
	}
	take(n, s.Presence.Value)
	for _, r := range d.EnabledRoutes {
		if r == "0.0.0.0/0" || r == "::/0" {
			n.Exit = true
		} else {
			n.Routes = add(n.Routes, clean(r))
		}
	}
	return n
}

// take takes in what is told of a node's presence.
func take(n *fleet.Node, p fleet.Presence) {
	n.Online, n.LastSeen, n.KeyExpiry, n.Expired = p.Online, p.LastSeen.UTC(), p.KeyExpiry.UTC(), p.Expired
	if p.Online {
		n.LastSeen = time.Time{}
	}
}

// version is a version without what stands behind the release: "1.102.5-tabc".
func version(text string) string {
	v, _, _ := strings.Cut(clean(text), "-")
	return fleet.Short(v, 20)
}

func hosts(list []fleet.Address) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Host)
	}
	return out
}

func routes(list []netip.Prefix) []string {
	var out []string
	for _, p := range list {
		if p.Bits() > 0 {
			out = append(out, p.String())
		}
	}
	return out
}

// both is a node of which the daemon and the control plane tell: what the one does not
// know the other may.
func both(a, b fleet.Node) fleet.Node {
	a.Version, a.User = cmp.Or(a.Version, b.Version), cmp.Or(a.User, b.User)
	a.Ephemeral, a.Exit, a.SSH, a.Shared = a.Ephemeral || b.Ephemeral, a.Exit || b.Exit, a.SSH || b.SSH, a.Shared || b.Shared
	if a.Created.IsZero() {
		a.Created = b.Created
	}
	if !a.Online && a.LastSeen.IsZero() && !b.Online {
		a.LastSeen = b.LastSeen
	}
	a.Routes = add(a.Routes, b.Routes...)
	return a
}

// tailnet is the tailnet as far as its two sources tell of it.
func (r *run) tailnet(f Found) fleet.Fact[fleet.Tailnet] {
	t := fleet.Tailnet{NoAPI: "no key for Tailscale's API is configured"}
	var at, errAt time.Time
	var why, cure string
	var told []string
	byID := map[string]int{}
	asked, current := false, false
	for i, s := range r.sources {
		if s.Name() != SourceTailscale && s.Name() != SourceControl {
			continue
		}
		state := r.told[i].state
		asked = asked || r.told[i].done
		if s.Name() == SourceControl {
			t.API, t.NoAPI = r.told[i].done && state.Err == "", state.Err
		}
		if state.Err != "" && errAt.IsZero() {
			why, cure, errAt = state.Err, state.Help, state.At
		}
		for _, seen := range r.told[i].list {
			if seen.Node == nil {
				continue
			}
			t.Name = cmp.Or(t.Name, seen.Tailnet)
			if have, known := byID[seen.NodeID]; known {
				t.Nodes[have] = both(t.Nodes[have], *seen.Node)
				continue
			}
			byID[seen.NodeID] = len(t.Nodes)
			t.Nodes = append(t.Nodes, *seen.Node)
		}
		if len(r.told[i].list) > 0 && seenAt(r.told[i].list).After(at) {
			at = seenAt(r.told[i].list)
		}
		if r.told[i].done && state.Err == "" {
			told, current = append(told, map[string]string{SourceTailscale: "tailscaled", SourceControl: "Tailscale API"}[s.Name()]), true
		}
	}
	place(t.Nodes, f)
	for _, n := range t.Nodes {
		if fleet.CompareReleases(n.Version, t.Newest) > 0 {
			t.Newest = n.Version
		}
	}
	slices.SortFunc(t.Nodes, func(a, b fleet.Node) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	out := fleet.Fact[fleet.Tailnet]{Source: strings.Join(told, " and ")}
	if len(t.Nodes) > 0 {
		out.Value, out.At = t, at
	}
	if asked && !current {
		out.Err, out.Cure, out.ErrAt = cmp.Or(why, "nobody tells of it"), cure, errAt
	}
	return out
}

// seenAt is when a list was told.
func seenAt(list []Sighting) time.Time {
	for _, s := range list {
		if s.Presence.HasValue() {
			return s.Presence.At
		}
	}
	return time.Time{}
}

// place says of each node which host it is, or why it is none.
func place(nodes []fleet.Node, f Found) {
	for i := range nodes {
		n := &nodes[i]
		for _, h := range f.Hosts {
			if h.NodeID == n.ID {
				n.Host, n.HostID = h.Name, h.ID
			}
		}
		for _, o := range f.Others {
			if o.NodeID == n.ID && n.Host == "" {
				n.Why, n.Duplicate, n.Service = o.Why, o.Duplicate, strings.HasPrefix(o.Why, "service node")
			}
		}
	}
}
