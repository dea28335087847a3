package fleet_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

const aDay = 24 * time.Hour

func away(d time.Duration, n fleet.Node) fleet.Node {
	n.ID, n.LastSeen = n.Name, noon.Add(-d)
	return n
}

// TestCleanUp: what is taken for a node that nobody needs, and what never is.
func TestCleanUp(t *testing.T) {
	tailnet := fleet.Tailnet{Nodes: []fleet.Node{
		away(40*aDay, fleet.Node{Name: "storage-1", Duplicate: "storage"}),
		away(2*time.Hour, fleet.Node{Name: "storage-2", Duplicate: "storage"}), // it may be another machine that restarts
		{ID: "dup", Name: "storage-3", Duplicate: "storage"},                   // when it was seen is not told
		away(9*aDay, fleet.Node{Name: "photos", Ephemeral: true}),
		away(6*aDay, fleet.Node{Name: "grafana", Service: true}),
		away(8*aDay, fleet.Node{Name: "media", Service: true}),
		{ID: "jellyfin", Name: "jellyfin", Service: true, Online: true},
		away(99*aDay, fleet.Node{Name: "cottage", Host: "cottage"}),
		away(99*aDay, fleet.Node{Name: "tablet", Why: "phone (Android)"}),
		away(99*aDay, fleet.Node{Name: "nas.neighbour.ts.net", Shared: true, Ephemeral: true}),
		away(99*aDay, fleet.Node{Name: "me", Self: true, Duplicate: "storage"}),
		{ID: "cloud", Name: "cloud", Host: "cloud", Online: true, LastSeen: noon.Add(-99 * aDay), Duplicate: "x"},
	}}
	for _, c := range []struct {
		older time.Duration
		want  string
	}{
		{0, "storage-1 photos media"},
		{90 * aDay, "storage-1 photos media cottage tablet"},
		{30 * aDay, "storage-1 photos media cottage tablet"},
		{aDay, "storage-1 photos grafana media cottage tablet"},
	} {
		var got []string
		for _, r := range tailnet.CleanUp(noon, c.older) {
			got = append(got, r.Node.Name)
			if r.Why == "" || r.Node.Keeps() != "" {
				t.Errorf("%s: why %q, keeps %q", r.Node.Name, r.Why, r.Node.Keeps())
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("older than %s: %q, want %q", c.older, got, c.want)
		}
	}
	for name, want := range map[string]string{"me": "this machine", "nas.neighbour.ts.net": "not of this tailnet", "cloud": "the host cloud", "jellyfin": "online", "tablet": "", "cottage": ""} {
		n, _ := tailnet.Node(name)
		if got := n.Keeps(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestRenames: a host has the name back that an earlier registration holds, once that
// is gone, and no other.
func TestRenames(t *testing.T) {
	tailnet := fleet.Tailnet{Nodes: []fleet.Node{
		{ID: "old", Name: "storage", HostName: "storage", Duplicate: "storage"},
		{ID: "new", Name: "storage-1", HostName: "storage", Host: "storage", Online: true},
		{ID: "web", Name: "web-1", HostName: "web-1", Host: "web-1", Online: true},     // that is its own name
		{ID: "free", Name: "vault-2", HostName: "Vault", Host: "vault", Online: true},  // nobody has it
		{ID: "a", Name: "cloud-1", HostName: "cloud", Host: "cloud", Online: true},     // another has it
		{ID: "b", Name: "cloud", HostName: "cloud", Host: "cloud-b", Online: true},     //
		{ID: "svc", Name: "git-1", HostName: "git", Why: "service node (tag:service)"}, // no host
		{ID: "theirs", Name: "nas-1", HostName: "nas", Host: "nas", Shared: true, Online: true},
	}}
	if got := tailnet.Renames(nil); len(got) != 1 || got["free"] != "Vault" && got["free"] != "vault" {
		t.Errorf("with the old one there: %v", got)
	}
	got := tailnet.Renames([]fleet.Removal{{Node: tailnet.Nodes[0]}})
	if len(got) != 2 || got["new"] != "storage" {
		t.Errorf("%v", got)
	}
}

func TestReleases(t *testing.T) {
	tailnet := fleet.Tailnet{Newest: "1.102.5"}
	for version, want := range map[string]int{"1.102.5": 0, "1.102.1": 0, "1.100.1": 1, "1.94.2-tabc": 4, "v1.98": 2, "1.103.0": 0, "": -1, "2.0.1": -1, "stable": -1, "99999999999999999999.1": -1} {
		got, ok := tailnet.Behind(fleet.Node{Version: version})
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
	if _, ok := (fleet.Tailnet{}).Behind(fleet.Node{Version: "1.2.3"}); ok {
		t.Error("it is behind of nothing")
	}
	versions := []string{"1.102.5", "1.9.9", "", "1.102.10", "x"}
	slices.SortStableFunc(versions, fleet.CompareReleases)
	if !slices.Equal(versions, []string{"", "x", "1.9.9", "1.102.5", "1.102.10"}) {
		t.Errorf("%q", versions)
	}
}

// TestKeyEnds in a word, and as a problem of the host.
func TestKeyEnds(t *testing.T) {
	for _, c := range []struct {
		presence fleet.Presence
		word     string
		problem  string
	}{
		{fleet.Presence{Online: true}, "never", ""},
		{fleet.Presence{Online: true, KeyExpiry: noon.Add(90 * aDay)}, "90d", ""},
		{fleet.Presence{Online: true, KeyExpiry: noon.Add(6*aDay + time.Hour)}, "6d", "Tailscale key ends in 6 days"},
		{fleet.Presence{Online: true, KeyExpiry: noon.Add(-time.Minute)}, "expired", "Tailscale key ends in 0 days"}, // nobody has said so yet
		{fleet.Presence{Expired: true, KeyExpiry: noon.Add(-time.Hour)}, "expired", "Tailscale key expired"},
	} {
		word, soon := fleet.Node{KeyExpiry: c.presence.KeyExpiry, Expired: c.presence.Expired}.KeyEnds(noon)
		if word != c.word || soon != (c.problem != "") {
			t.Errorf("%+v: %q, %v", c.presence, word, soon)
		}
		s := up()
		s.Host.Presence = fleet.Known(c.presence, noon, "tailscaled")
		got := ""
		for _, p := range s.Problems(noon) {
			got += p.What
		}
		if got != c.problem {
			t.Errorf("%+v: %q, want %q", c.presence, got, c.problem)
		}
	}
}

func TestPathInWords(t *testing.T) {
	for want, p := range map[string]fleet.Path{
		"direct 2 ms": {Direct: true, Endpoint: "10.0.0.1:41641", Latency: 0.0021}, "relay fra 48 ms": {Relay: "fra", Latency: 0.048}, "relay 1 ms": {Latency: 0.001},
	} {
		if got := p.Word(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
