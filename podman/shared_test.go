package podman

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/sextant-fleet/sextant/fleet"
)

// sharing answers like Podman what containers share, beside what it has recorded.
func sharing(t *testing.T, version string) *podmanServer {
	p := newPodman(t, version)
	p.more = func(w http.ResponseWriter, r *http.Request, path string) bool {
		filters := r.URL.Query().Get("filters")
		switch {
		case path == "/pods/json":
			fmt.Fprint(w, `[{"Cgroup":"machine.slice","Containers":[{"Id":"aa11","Names":"aa11-infra","Status":"running"},{"Id":"bb22","Names":"web","Status":"running"},{"Id":"cc33","Names":"db","Status":"exited"}],
				"Created":"2026-11-20T10:00:00.5+01:00","Id":"f00d","InfraId":"aa11","Name":"shop","Namespace":"","Networks":["shopnet"],"Status":"Degraded","Labels":{}},
				{"Containers":[{"Id":"dd44","Names":"dd44-infra","Status":"created"}],"Created":"2026-11-20T10:00:00Z","Id":"f00e","InfraId":"dd44","Name":"empty","Status":"Created"}]`)
		case path == "/networks/json":
			fmt.Fprint(w, `[{"name":"podman","id":"2f25","driver":"bridge","network_interface":"podman0","created":"2026-11-22T20:00:00Z","subnets":[{"subnet":"10.88.0.0/16","gateway":"10.88.0.1"}],"ipv6_enabled":false,"internal":false,"dns_enabled":false,"ipam_options":{"driver":"host-local"}},
				{"name":"shopnet","id":"31aa","driver":"bridge","network_interface":"podman1","created":"2026-11-22T20:00:00Z","subnets":[{"subnet":"10.89.0.0/24"}],"internal":true,"dns_enabled":true},
				{"name":"idle\u001b[2J","id":"31ab","driver":"macvlan","created":"2026-11-22T20:00:00Z","dns_enabled":false}]`)
		case path == "/volumes/json" && strings.Contains(filters, "dangling"):
			fmt.Fprint(w, `[{"Name":"idle","Driver":"local","Mountpoint":"/x/idle/_data","CreatedAt":"2026-11-22T20:00:00Z"}]`)
		case path == "/volumes/json":
			fmt.Fprint(w, `[{"Name":"data","Driver":"local","Mountpoint":"/x/data/_data","CreatedAt":"2026-11-22T20:00:00.123+01:00","Labels":{},"Scope":"local","Options":{}},
				{"Name":"idle","Driver":"local","Mountpoint":"/x/idle/_data","CreatedAt":"2026-11-22T20:00:00Z","Anonymous":true},
				{"Name":"a:b\u001b]0;x","Driver":"local","Mountpoint":"/x\u001b[31m","CreatedAt":"2026-11-22T20:00:00Z"}]`)
		case path == "/containers/json" && strings.Contains(filters, `"volume":["data"]`):
			fmt.Fprint(w, `[{"Id":"bb22","Names":["web"]},{"Id":"aa11","Names":["aa11-infra"]}]`)
		case path == "/containers/json" && strings.Contains(filters, "volume"):
			t.Errorf("asked for %s", filters)
			return false
		default:
			return false
		}
		return true
	}
	return p
}

func TestWhatContainersShare(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = sharing(t, "5.4.2")
	broken := newPodman(t, "4.3.1") // it has no answer to what is shared
	h.sockets[adaSock.Path] = broken
	e := h.engines()
	read(t, e, state(rootSock, adaSock))
	f := e.Shared(t.Context())
	if !f.HasValue() || !strings.Contains(f.Err, "ada's Podman") || f.Source != "podman 5.4.2" {
		t.Fatalf("%+v", f)
	}
	s := f.Value
	if len(s.Pods) != 2 || !slices.Equal(s.Pods[1].Containers, []string{"db", "web"}) || !slices.Equal(s.Pods[1].Stopped, []string{"db"}) || s.Pods[1].State != "degraded" ||
		s.Pods[1].User != "root" || !s.Pods[0].Unused() || s.Pods[1].Unused() || !s.Pods[1].Created.Equal(time.Date(2026, 11, 20, 9, 0, 0, 5e8, time.UTC)) {
		t.Errorf("%+v", s.Pods)
	}
	byName := map[string]fleet.Network{}
	for _, n := range s.Networks {
		byName[n.Name] = n
		if strings.ContainsRune(n.Name, 0x1b) {
			t.Errorf("%q", n.Name)
		}
	}
	if own := byName["podman"]; !own.Builtin || own.Unused() || !slices.Contains(own.Containers, "jellyfin") || own.Subnets[0] != "10.88.0.0/16" {
		t.Errorf("%+v", own)
	}
	if shop := byName["shopnet"]; !slices.Equal(shop.Containers, []string{"pod shop"}) || !shop.Internal || !shop.DNS || shop.Unused() {
		t.Errorf("%+v", shop)
	}
	if len(byName) != 3 {
		t.Errorf("%v", byName)
	}
	for _, v := range s.Volumes {
		switch {
		case v.Name == "data" && slices.Equal(v.Containers, []string{"pod shop", "web"}) && !v.Unused() && v.Engine == "podman":
		case v.Name == "idle" && v.Unused() && v.Anonymous:
		case strings.HasPrefix(v.Name, "a:b") && v.Containers == nil && !v.Unused() && !strings.ContainsRune(v.Name+v.Path, 0x1b):
		default:
			t.Errorf("%+v", v)
		}
	}
	if len(s.Volumes) != 3 {
		t.Errorf("%d volumes", len(s.Volumes))
	}
}

func TestWhatIsSharedWhereNobodyTells(t *testing.T) {
	h := newHost(t)
	e := h.engines()
	if f := e.Shared(t.Context()); f.HasValue() || f.Err == "" || f.None {
		t.Errorf("before anything was read: %+v", f)
	}
	st := state()
	st.Inventory.Value.Programs = nil
	read(t, e, st)
	if f := e.Shared(t.Context()); !f.None {
		t.Errorf("without an engine: %+v", f)
	}
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	read(t, e, state(rootSock))
	if f := e.Shared(t.Context()); f.HasValue() || !strings.Contains(f.Err, "no such thing") || strings.ContainsRune(f.Err, 0x1b) {
		t.Errorf("%+v", f)
	}
}

func TestSharedIsBoundedAndNoJSONIsAnError(t *testing.T) {
	var many []map[string]any
	for i := range maxShared + 100 {
		many = append(many, map[string]any{"Name": fmt.Sprintf("v%d", i), "name": fmt.Sprintf("v%d", i), "Mountpoint": strings.Repeat("x", 10*maxText)})
	}
	b, _ := json.Marshal(many)
	volumes, err := parseVolumes(b)
	if err != nil || len(volumes) != maxShared || len(volumes[0].Path) > maxText {
		t.Errorf("%d volumes, %v", len(volumes), err)
	}
	if networks, err := parseNetworks(b, nil, nil); err != nil || len(networks) != maxShared {
		t.Errorf("%d networks, %v", len(networks), err)
	}
	if pods, _, err := parsePods(b); err != nil || len(pods) != maxShared {
		t.Errorf("%d pods, %v", len(pods), err)
	}
	for _, bad := range []string{"", "{}", `"\u001b[2J"`, "[1"} {
		_, err1 := parseVolumes([]byte(bad))
		_, err2 := parseNetworks([]byte(bad), nil, nil)
		_, _, err3 := parsePods([]byte(bad))
		if err1 == nil || err2 == nil || err3 == nil || strings.ContainsRune(err1.Error()+err2.Error()+err3.Error(), 0x1b) {
			t.Errorf("%q: %v %v %v", bad, err1, err2, err3)
		}
	}
}

func TestWhatDockersContainersShare(t *testing.T) {
	list := []fleet.Container{{Name: "plex", Networks: []string{"media"}}}
	nets := dockerNetworks([]network.Summary{
		{Name: "bridge", Driver: "bridge", IPAM: network.IPAM{Config: []network.IPAMConfig{{Subnet: "172.17.0.0/16"}}}}, {Name: "media", Driver: "bridge"}, {Name: "old\x1b[2J", Driver: "bridge", Internal: true},
	}, list)
	if len(nets) != 3 || nets[0].Unused() || !nets[0].Builtin || nets[0].Subnets[0] != "172.17.0.0/16" || nets[1].Unused() || !nets[2].Unused() || strings.ContainsRune(nets[2].Name, 0x1b) {
		t.Errorf("%+v", nets)
	}
	vols := dockerVolumes([]*volume.Volume{{Name: "config", Mountpoint: "/v", CreatedAt: "2026-11-22T20:00:00Z"}, nil, {Name: strings.Repeat("ab", 32)}}, map[string][]string{"config": {"plex", "kodi"}})
	if len(vols) != 2 || !vols[0].Anonymous || !vols[0].Unused() || !slices.Equal(vols[1].Containers, []string{"kodi", "plex"}) || vols[1].Created.IsZero() {
		t.Errorf("%+v", vols)
	}
}

// TestWhatTheCheckSaid: of a container that is not healthy the list tells it, of
// the others who asks for it.
func TestWhatTheCheckSaid(t *testing.T) {
	h := newHost(t)
	p := newPodman(t, "5.4.2")
	p.more = func(w http.ResponseWriter, _ *http.Request, path string) bool {
		if !strings.HasPrefix(path, "/containers/") || !strings.HasSuffix(path, "/json") || path == "/containers/json" {
			return false
		}
		fmt.Fprint(w, `{"Config":{"Healthcheck":{"Test":["CMD","true"]}},"State":{"Health":{"Status":"unhealthy","FailingStreak":3,"Log":[{"Start":"2026-11-22T20:00:00.1+01:00","End":"2026-11-22T20:00:00.2+01:00","ExitCode":0,"Output":"old"},
			{"Start":"2026-11-22T20:00:30+01:00","End":"2026-11-22T20:00:31+01:00","ExitCode":7,"Output":"no\u001b[2J way\n"}]}}}`)
		return true
	}
	h.sockets[rootSocket] = p
	e := h.engines()
	f := read(t, e, state(rootSock))
	sick, well := 0, 0
	for _, c := range f.Value {
		switch {
		case c.Health == "unhealthy" || c.Health == "starting":
			sick++
			if c.Check == nil || c.Check.ExitCode != 7 || strings.ContainsRune(c.Check.Output, 0x1b) || !strings.HasPrefix(c.Check.Output, "no") || c.Check.End.Hour() != 19 {
				t.Errorf("%s: %+v", c.Name, c.Check)
			}
		case c.Check != nil:
			t.Errorf("%s is %q and was asked: %+v", c.Name, c.Health, c.Check)
		case c.Health == "healthy":
			well++
		}
	}
	if sick == 0 || well == 0 {
		t.Fatalf("%d sick and %d well ones", sick, well)
	}
	for _, c := range e.Checks(t.Context(), f.Value) {
		if (c.Health != "") != (c.Check != nil) {
			t.Errorf("%s is %q: %+v", c.Name, c.Health, c.Check)
		}
	}
}

func TestOneReadingOfEach(t *testing.T) {
	h := newHost(t)
	p := newPodman(t, "5.4.2")
	h.sockets[rootSocket] = p
	e := h.engines()
	f := read(t, e, state(rootSock))
	var running []fleet.Container
	for _, c := range f.Value {
		if c.Running() {
			running = append(running, c)
		}
	}
	go func() {
		for i := range 4 { // the stream goes on; two reports are enough
			var rows []string
			for _, c := range running {
				rows = append(rows, fmt.Sprintf(`{"ContainerID":%q,"CPU":99,"CPUNano":%d,"SystemNano":%d,"MemUsage":5}`, c.ID, 1000000*(i+1), 2000000*(i+1)))
			}
			select {
			case p.stats <- `{"Error":null,"Stats":[` + strings.Join(rows, ",") + `]}`:
			case <-t.Context().Done():
				return
			}
		}
	}()
	got := e.Measure(t.Context(), f.Value)
	if len(got) != len(running) || len(got) == 0 {
		t.Fatalf("%d of %d", len(got), len(running))
	}
	for _, s := range got {
		if s.CPU != 0.5 || s.Memory != 5 {
			t.Errorf("%+v", s)
		}
	}
	if got := e.Measure(t.Context(), nil); got != nil {
		t.Errorf("%v", got)
	}
}

// TestSharedAsRecorded: answers of real hosts.
func TestSharedAsRecorded(t *testing.T) {
	for _, version := range []string{"4.3.1", "5.4.2"} {
		pods, holders, err := parsePods(fixture(t, "podman-"+version+"-pods.json"))
		if err != nil || len(holders) != 1 {
			t.Fatal(holders, err)
		}
		golden(t, "podman-"+version+"-pods", pods)
		networks, err := parseNetworks(fixture(t, "podman-"+version+"-networks.json"), []fleet.Container{{Name: "fltwo", Networks: []string{"flnet"}}}, pods)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "podman-"+version+"-networks", networks)
		volumes, err := parseVolumes(fixture(t, "podman-"+version+"-volumes.json"))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "podman-"+version+"-volumes", volumes)
	}
}
