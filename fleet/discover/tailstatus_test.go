package discover

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"tailscale.com/ipn/ipnstate"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
	"tailscale.com/types/views"

	"github.com/sextant-fleet/sextant/fleet"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStatusOfLab reads what a real tailscaled v1.102.5 answered.
func TestStatusOfLab(t *testing.T) {
	var st ipnstate.Status
	if err := json.Unmarshal(readFile(t, "testdata/status-lab.json"), &st); err != nil {
		t.Fatal(err)
	}
	list := fromStatus(&st, testNow, nil)
	hosts, others := Merge(list, Rules{}, nil)
	names := map[string]fleet.Host{}
	for _, h := range hosts {
		names[h.Name] = h
	}
	for _, want := range []string{"storage", "cloud", "router", "r2s", "cottage", "octopi", "operator"} {
		if _, ok := names[want]; !ok {
			t.Errorf("%s is no host", want)
		}
	}
	if h := names["r2s"]; !h.TailscaleOK || len(h.HostKeys) != 3 || names["storage"].TailscaleOK {
		t.Errorf("Tailscale SSH: r2s %+v", h)
	}
	if p := names["octopi"].Presence.Value; !p.Expired || p.Online || p.KeyExpiry.IsZero() || p.LastSeen.IsZero() {
		t.Errorf("octopi: %+v", p)
	}
	if h := names["operator"]; !h.Local || !h.Presence.Value.Online {
		t.Errorf("operator: %+v", h)
	}
	if h := names["router"]; h.ID != "ts:nlab13CNTRL" || strings.Join(h.Tags, " ") != "router server" || h.Addresses[0].Host != "100.64.0.13" {
		t.Errorf("router: %+v", h)
	}
	want := `- brazil-exit: exit node (tailscale)
- grafana: service node (tag:service) (tailscale)
- jellyfin: service node (tag:service) (tailscale)
- nas.neighbour.ts.net: shared in by neighbour@example.org (tailscale)
- phone: phone (iOS) (tailscale)
- photos: service node (tag:service) (tailscale)
- storage-1: duplicate of storage (tailscale)
- tablet: phone (Android) (tailscale)
`
	if got := render(nil, others); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestStatusKinds(t *testing.T) {
	tags := func(t ...string) *views.Slice[string] { v := views.SliceOf(t); return &v }
	for _, c := range []struct {
		name  string
		peer  ipnstate.PeerStatus
		tags  []string // service tags
		why   string
		guess bool
	}{
		{name: "linux", peer: ipnstate.PeerStatus{OS: "linux"}},
		{name: "nobody says", peer: ipnstate.PeerStatus{}},
		{name: "mac", peer: ipnstate.PeerStatus{OS: "macOS"}, why: "Mac"},
		{name: "windows", peer: ipnstate.PeerStatus{OS: "windows"}, why: "Windows machine"},
		{name: "television", peer: ipnstate.PeerStatus{OS: "tvOS"}, why: "television (tvOS)"},
		{name: "browser", peer: ipnstate.PeerStatus{OS: "js"}, why: "browser"},
		{name: "bsd", peer: ipnstate.PeerStatus{OS: "freebsd"}, why: "FreeBSD machine"},
		{name: "service", peer: ipnstate.PeerStatus{OS: "linux", Tags: tags("tag:prod", "tag:tsnsrv")}, why: "service node (tag:tsnsrv)"},
		{name: "own service tag", peer: ipnstate.PeerStatus{OS: "linux", Tags: tags("tag:svc")}, tags: []string{"svc"}, why: "service node (tag:svc)"},
		{name: "own list replaces", peer: ipnstate.PeerStatus{OS: "linux", Tags: tags("tag:service")}, tags: []string{"svc"}},
		{name: "router that offers an exit", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "router.tail.ts.net.", ExitNodeOption: true, Tags: tags("tag:router")}},
		{name: "exit by name", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "exit-fr.tail.ts.net.", ExitNodeOption: true}, why: "exit node", guess: true},
		{name: "exit by tag", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "fr.tail.ts.net.", ExitNodeOption: true, Tags: tags("tag:exit-node")}, why: "exit node", guess: true},
		{name: "exit by name only", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "exit-fr.tail.ts.net."}},
		{name: "a machine to log in to", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "exit-fr.tail.ts.net.", ExitNodeOption: true, SSH_HostKeys: []string{"ssh-ed25519 AAA"}}},
		{name: "brexit", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "brexit.tail.ts.net.", ExitNodeOption: true}},
		{name: "mullvad by tag", peer: ipnstate.PeerStatus{OS: "linux", Tags: tags("tag:mullvad-exit-node")}, why: "Mullvad exit node"},
		{name: "mullvad by name", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "se-got-wg-001.mullvad.ts.net."}, why: "Mullvad exit node"},
		{name: "shared in", peer: ipnstate.PeerStatus{OS: "linux", AltSharerUserID: 7}, why: "shared in by bob@example.org"},
		{name: "shared by nobody known", peer: ipnstate.PeerStatus{OS: "linux", AltSharerUserID: 8}, why: "shared in"},
		{name: "other tailnet", peer: ipnstate.PeerStatus{OS: "linux", DNSName: "nas.other.ts.net."}, why: "shared in from another tailnet"},
		{name: "sharee", peer: ipnstate.PeerStatus{OS: "linux", ShareeNode: true}, why: "of somebody a machine here is shared with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := &ipnstate.Status{
				CurrentTailnet: &ipnstate.TailnetStatus{MagicDNSSuffix: "tail.ts.net"},
				Peer:           map[key.NodePublic]*ipnstate.PeerStatus{{}: &c.peer},
				User:           map[tailcfg.UserID]tailcfg.UserProfile{7: {LoginName: "bob@example.org"}},
			}
			s := fromStatus(st, testNow, c.tags)[0]
			if s.NotHost != c.why || s.Guess != c.guess {
				t.Errorf("got %q, guess %v; want %q, %v", s.NotHost, s.Guess, c.why, c.guess)
			}
		})
	}
}

func TestPresence(t *testing.T) {
	seen := testNow.Add(-time.Hour)
	for _, c := range []struct {
		name string
		peer ipnstate.PeerStatus
		want fleet.Presence
	}{
		{"direct", ipnstate.PeerStatus{Online: true, CurAddr: "192.0.2.1:41641", Relay: "fra", Active: true}, fleet.Presence{Online: true, Path: "direct", Relay: "fra"}},
		{"relay", ipnstate.PeerStatus{Online: true, Relay: "fra", Active: true}, fleet.Presence{Online: true, Path: "relay", Relay: "fra"}},
		{"peer relay", ipnstate.PeerStatus{Online: true, PeerRelay: "192.0.2.1:1:vni:1", Active: true}, fleet.Presence{Online: true, Path: "relay"}},
		{"no traffic", ipnstate.PeerStatus{Online: true, Relay: "fra", LastSeen: seen}, fleet.Presence{Online: true, Relay: "fra"}},
		{"offline", ipnstate.PeerStatus{LastSeen: seen, KeyExpiry: &seen, Expired: true}, fleet.Presence{LastSeen: seen, KeyExpiry: seen, Expired: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := presence(&c.peer); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// clean strings have nothing in them that a terminal would obey.
func checkClean(t *testing.T, list []Sighting) {
	t.Helper()
	for _, s := range list {
		for _, text := range append(append(append([]string{s.Name, s.HostName, s.NodeID, s.OS, s.User, s.Jump, s.Identity, s.NotHost,
			s.Presence.Value.Relay}, s.Aliases...), s.Tags...), s.HostKeys...) {
			if text != fleet.Clean(text) {
				t.Errorf("not clean: %q", text)
			}
		}
		for _, a := range s.Addresses {
			if a.Host != fleet.Clean(a.Host) || strings.HasPrefix(a.Host, "-") {
				t.Errorf("not an address: %q", a.Host)
			}
		}
		if s.Name == "" {
			t.Error("a sighting without a name")
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(readFile(f, "testdata/status-lab.json"))
	f.Add([]byte(`{"BackendState":"Running","Self":null,"Peer":{"nodekey:7c7114b923552973a5c18f4ec1fe004ff75216b412a6ca103d446cd3378d0e33":null}}`))
	f.Add([]byte(`{"Self":{"DNSName":"\u001b]0;x\u0007.","HostName":"-o","OS":"\u0000"},"Peer":{"nodekey:7c7114b923552973a5c18f4ec1fe004ff75216b412a6ca103d446cd3378d0e33":{"Tags":["tag:\u001b[2J"],"TailscaleIPs":[""]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var st ipnstate.Status
		if json.Unmarshal(b, &st) != nil {
			return
		}
		list := fromStatus(&st, testNow, nil)
		checkClean(t, list)
		hosts, others := Merge(list, Rules{}, nil)
		checkInvariants(t, list, hosts, others)
	})
}
