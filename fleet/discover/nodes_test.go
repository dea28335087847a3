package discover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tailscale.com/ipn/ipnstate"
	"tailscale.com/tailcfg"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestNodesOfTheTailnet: what the daemon and the control plane tell of one node is one
// node, with the host that it is, or why it is none.
func TestNodesOfTheTailnet(t *testing.T) {
	d, server := startDaemon(t), controlServer(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	off := false
	config := &Config{Tailscale: TailscaleConfig{APIURL: server.URL, APIKeyFile: key}, Sources: SourcesConfig{Local: &off, SSHConfig: &off, MDNS: &off, Flake: &off}}
	f, err := Once(t.Context(), Options{Config: config, TailscaleSocket: d.socket})
	if err != nil || !f.Tailnet.Current() || f.Tailnet.Source != "tailscaled and Tailscale API" {
		t.Fatalf("%v, %+v", err, f.Tailnet)
	}
	net := f.Tailnet.Value
	if len(net.Nodes) != recorded || !net.API || net.Name != "lab.ts.net" || net.Newest != "1.102.5" {
		t.Errorf("%d nodes, API %v, %q, %q", len(net.Nodes), net.API, net.Name, net.Newest)
	}
	node := func(name string) fleet.Node {
		t.Helper()
		for _, n := range net.Nodes {
			if n.Name == name {
				return n
			}
		}
		t.Fatalf("no node %s", name)
		return fleet.Node{}
	}
	if n := node("storage"); n.Host != "storage" || !n.Online || n.Version != "1.102.5" || n.ID != "nlab11CNTRL" || n.Self || !n.LastSeen.IsZero() {
		t.Errorf("%+v", n)
	}
	if n := node("storage-1"); n.Duplicate != "storage" || n.Host != "" || n.Online || n.LastSeen.IsZero() {
		t.Errorf("%+v", n)
	}
	if n := node("operator"); !n.Self || !n.Online {
		t.Errorf("%+v", n)
	}
	if n := node("nas.neighbour.ts.net"); !n.Shared || n.Host != "" {
		t.Errorf("%+v", n)
	}
	if n := node("brazil-exit"); !n.Exit || n.Why != "exit node" {
		t.Errorf("%+v", n)
	}
	if n := node("photos"); !n.Ephemeral || !n.Service || n.User != "" {
		t.Errorf("%+v", n)
	}
	if n := node("octopi"); !n.Expired {
		t.Errorf("%+v", n)
	}
	var gone []string
	for _, r := range net.CleanUp(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), 0) {
		gone = append(gone, r.Node.Name)
	}
	if strings.Join(gone, " ") != "storage-1" {
		t.Errorf("nobody needs %q", gone)
	}
}

// TestTheTailnetWithoutItsSources says why it is not known, and keeps what was.
func TestTheTailnetWithoutItsSources(t *testing.T) {
	off := false
	quiet := SourcesConfig{Local: &off, SSHConfig: &off, MDNS: &off, Flake: &off}
	f, _ := Once(t.Context(), Options{Config: &Config{Sources: quiet}, TailscaleSocket: filepath.Join(t.TempDir(), "none")})
	if f.Tailnet.Current() || !strings.Contains(f.Tailnet.Err, "no tailscaled at") || f.Tailnet.Cure == "" {
		t.Errorf("%+v", f.Tailnet)
	}
	d := startDaemon(t)
	f, _ = Once(t.Context(), Options{Config: &Config{Sources: quiet}, TailscaleSocket: d.socket})
	if !f.Tailnet.Current() || f.Tailnet.Value.API || f.Tailnet.Value.NoAPI == "" || f.Tailnet.Source != "tailscaled" {
		t.Errorf("%+v", f.Tailnet)
	}
	quiet.Tailscale = &off
	if f, _ = Once(t.Context(), Options{Config: &Config{Sources: quiet}}); f.Tailnet.Asked() {
		t.Errorf("nobody was asked: %+v", f.Tailnet)
	}
}

// plane is a control plane that changes its mind.
type plane struct {
	mu      sync.Mutex
	devices map[string]map[string]any
	code    int // of writing; 0: as it should be
	deleted []string
	named   map[string]string
}

func (p *plane) serve(t *testing.T) *Control {
	t.Helper()
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	may := func(w http.ResponseWriter) bool {
		if p.code != 0 {
			say(w, p.code, map[string]string{"message": "calling actor does not have enough permissions"})
		}
		return p.code == 0
	}
	mux.HandleFunc("GET /api/v2/device/{id}", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if d, ok := p.devices[r.PathValue("id")]; ok {
			say(w, 200, d)
			return
		}
		say(w, 404, map[string]string{"message": "no such device"})
	})
	mux.HandleFunc("DELETE /api/v2/device/{id}", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if may(w) {
			p.deleted = append(p.deleted, r.PathValue("id")) // and says nothing at all
		}
	})
	mux.HandleFunc("POST /api/v2/device/{id}/name", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		var in struct{ Name string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if may(w) {
			p.named[r.PathValue("id")] = in.Name
			say(w, 200, nil)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return NewControl(Options{Config: &Config{Tailscale: TailscaleConfig{APIURL: server.URL, APIKeyFile: key}}})
}

// TestRemove looks at a node once more, and keeps one that is not as it was.
func TestRemove(t *testing.T) {
	seen := time.Date(2026, 10, 13, 20, 0, 0, 0, time.UTC)
	device := func(id string, with map[string]any) map[string]any {
		d := map[string]any{"nodeId": id, "name": id + ".lab.ts.net", "connectedToControl": false, "lastSeen": seen.Format(time.RFC3339)}
		for k, v := range with {
			d[k] = v
		}
		return d
	}
	p := &plane{named: map[string]string{}, devices: map[string]map[string]any{
		"old": device("old", nil), "back": device("back", map[string]any{"connectedToControl": true, "lastSeen": nil}),
		"seen":   device("seen", map[string]any{"lastSeen": seen.Add(2 * time.Hour).Format(time.RFC3339)}),
		"theirs": device("theirs", map[string]any{"isExternal": true}), "other": device("another", nil),
	}}
	c := p.serve(t)
	node := func(id string) fleet.Node { return fleet.Node{ID: id, Name: id, LastSeen: seen} }
	for id, want := range map[string]string{
		"old": "", "back": "it came online", "seen": "it was seen since", "theirs": "not of this tailnet", "other": "another node", "gone": "no such device",
	} {
		err := c.Remove(t.Context(), node(id))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", id, err, want)
		}
	}
	if len(p.deleted) != 1 || p.deleted[0] != "old" {
		t.Errorf("removed are %q", p.deleted)
	}
	for _, n := range []fleet.Node{{ID: "old", Self: true}, {ID: "old", Online: true}, {ID: "old", Shared: true}} {
		if err := c.Remove(t.Context(), n); err == nil {
			t.Errorf("%+v was removed", n)
		}
	}
	if err := c.Rename(t.Context(), "old", "new"); err != nil || p.named["old"] != "new" {
		t.Errorf("%v, %v", err, p.named)
	}
	p.code = 403
	if err := c.Remove(t.Context(), node("old")); !errors.Is(err, ErrMayNot) || !strings.Contains(fleet.Cure(err), "devices:core") || strings.Contains(fmt.Sprint(err), "SECRET") {
		t.Errorf("%v; %s", err, fleet.Cure(err))
	}
	p.code = 429
	if err := c.Remove(t.Context(), node("old")); err == nil || errors.Is(err, ErrMayNot) {
		t.Errorf("%v", err)
	}
	if len(p.deleted) != 1 {
		t.Errorf("removed are %q", p.deleted)
	}
	t.Setenv("SEXTANT_TAILSCALE_API_KEY", "")
	t.Setenv("TS_API_KEY", "")
	if err := NewControl(Options{}).Remove(t.Context(), node("old")); err == nil || !strings.Contains(fleet.Cure(err), "api_key_file") {
		t.Errorf("without a credential: %v", err)
	}
}

// TestPinged is what an answer of the daemon says, and what none does.
func TestPinged(t *testing.T) {
	node := fleet.Node{ID: "a", Addresses: []string{"100.64.0.11"}}
	for name, c := range map[string]struct {
		node fleet.Node
		res  *ipnstate.PingResult
		err  error
		want string
	}{
		"direct":        {node, &ipnstate.PingResult{Endpoint: "10.77.0.11:41641", LatencySeconds: 0.0012}, nil, "direct 1 ms"},
		"by a relay":    {node, &ipnstate.PingResult{DERPRegionCode: "fra", LatencySeconds: 0.048}, nil, "relay fra 48 ms"},
		"by a peer":     {node, &ipnstate.PingResult{PeerRelay: "10.0.0.1:1:vni:7", LatencySeconds: 0.01}, nil, "relay 10.0.0.1:1:vni:7 10 ms"},
		"with escapes":  {node, &ipnstate.PingResult{DERPRegionCode: "\x1b[2Jx", LatencySeconds: 0.001}, nil, "relay x 1 ms"},
		"no answer":     {node, &ipnstate.PingResult{Err: "no reply"}, nil, "no answer: no reply"},
		"nothing":       {node, nil, nil, "no answer"},
		"refused":       {node, nil, errors.New("403"), "403"},
		"no address":    {fleet.Node{}, nil, nil, "no answer: it has no address"},
		"a bad address": {fleet.Node{Addresses: []string{"storage"}}, nil, nil, "no answer: it has no address"},
	} {
		p, err := pinged(t.Context(), c.node, func(_ context.Context, ip netip.Addr, _ tailcfg.PingType) (*ipnstate.PingResult, error) {
			if ip.String() != "100.64.0.11" {
				t.Errorf("%s: %s was asked", name, ip)
			}
			return c.res, c.err
		})
		got := p.Word()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pinged(ctx, node, func(ctx context.Context, _ netip.Addr, _ tailcfg.PingType) (*ipnstate.PingResult, error) {
		return nil, ctx.Err()
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestPing asks all nodes, several at a time, and tells each; a daemon that is not there
// is told of each, too.
func TestPing(t *testing.T) {
	leaks(t)
	d := startDaemon(t)
	var nodes []fleet.Node
	for i := range 20 {
		nodes = append(nodes, fleet.Node{ID: fmt.Sprint(i), Addresses: []string{fmt.Sprintf("100.64.0.%d", i)}})
	}
	c := NewControl(Options{TailscaleSocket: d.socket})
	told := map[string]fleet.Fact[fleet.Path]{}
	c.Ping(t.Context(), nodes, func(id string, p fleet.Fact[fleet.Path]) { told[id] = p })
	if len(told) != len(nodes) || told["7"].Value.Relay != "lab" || !told["8"].Value.Direct {
		t.Errorf("%d: %+v %+v", len(told), told["7"], told["8"])
	}
	c = NewControl(Options{TailscaleSocket: d.socket + "-none"})
	c.Ping(t.Context(), nodes[:1], func(_ string, p fleet.Fact[fleet.Path]) {
		if p.Current() || !strings.Contains(p.Err, "no tailscaled at") {
			t.Errorf("%+v", p)
		}
	})
}
