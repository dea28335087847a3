package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// watched are hosts of which the first has a Netdata, the second a Prometheus and
// its Alertmanager.
func watched() []State {
	at := func(name string, addr string) State {
		return State{
			Host:   Host{ID: HostID("n-" + name), Name: name, Aliases: []string{name + "-old"}, Addresses: []Address{{Host: addr}}},
			System: Known(System{Hostname: "the-" + name}, noon, "probe"),
		}
	}
	storage, router, cloud := at("storage", "10.0.0.1"), at("router", "10.0.0.2"), at("cloud", "fd00::3")
	storage.Alarms = Known([]Alarm{{Name: "ram", Status: "WARNING", Chart: "system.ram", Since: noon.Add(-time.Hour)}}, noon, "netdata v1.37.1")
	down := func(on string, labels ...string) Alarm {
		return Alarm{Name: "Down", Status: "CRITICAL", On: on, Labels: append([]string{"instance=" + on}, labels...), Since: noon.Add(-2 * time.Hour), Value: "0"}
	}
	known := down("cloud:9100", "job=node", "cluster=home")
	known.On, known.Silenced, known.Value, known.Info, known.Since = "cloud", true, "", "cloud is down", noon.Add(-3*time.Hour)
	first := down("cloud:9100", "job=node")
	first.On = "cloud"
	router.Monitors = Known([]Monitor{
		{Kind: "prometheus", Alarms: []Alarm{first, down("10.0.0.1"), down("printer.lan"), down(""), down("THE-STORAGE.lan", "job=x")}},
		{Kind: "alertmanager", Alarms: []Alarm{known}},
	}, noon, "their APIs")
	return []State{storage, router, cloud}
}

func TestAlarmsOfAllMonitoring(t *testing.T) {
	var got []string
	for _, a := range AlarmsOf(watched()) {
		got = append(got, fmt.Sprintf("%s(%s) %s silenced=%v by %s", a.Host, a.HostID, a.Name, a.Silenced, strings.Join(a.Sources, "+")))
	}
	want := []string{
		"printer.lan() Down silenced=false by prometheus on router",
		"router(n-router) Down silenced=false by prometheus on router",
		"storage(n-storage) Down silenced=false by prometheus on router",
		"storage(n-storage) Down silenced=false by prometheus on router",
		"storage(n-storage) ram silenced=false by netdata v1.37.1",
		"cloud(n-cloud) Down silenced=true by prometheus on router+alertmanager on router",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	list := AlarmsOf(watched())
	last := list[len(list)-1]
	if last.Info != "cloud is down" || last.Value != "0" || !last.Since.Equal(noon.Add(-3*time.Hour)) || len(last.Labels) != 3 {
		t.Errorf("what two tell of one alarm: %+v", last)
	}
}

// TestWhatIsRaisedIsAProblemOfItsHost: on whatever host the monitor is, but not
// what is silenced, nor what is an hour old.
func TestWhatIsRaisedIsAProblemOfItsHost(t *testing.T) {
	problems := func(change func([]State)) map[string][]string {
		store := NewStore()
		var hosts []Host
		states := watched()
		if change != nil {
			change(states)
		}
		for _, s := range states {
			hosts = append(hosts, s.Host)
		}
		store.SetHosts(hosts, nil, nil)
		for _, s := range states {
			store.Update(s.Host.ID, func(st *State) {
				*st = s
				st.Reach = Known(Reach{State: Up}, noon, "ssh")
			})
		}
		out := map[string][]string{}
		for _, s := range store.Snapshot().Hosts {
			for _, p := range s.Problems(noon.Add(time.Minute)) {
				out[s.Host.Name] = append(out[s.Host.Name], p.Key+" "+string(p.Severity))
			}
		}
		return out
	}
	got := problems(nil)
	if len(got["storage"]) != 3 || len(got["cloud"]) != 0 || len(got["router"]) != 1 || !strings.HasPrefix(got["router"][0], "alarm:Down/ fail") {
		t.Errorf("%q", got)
	}
	got = problems(func(s []State) { s[1].Monitors.At = noon.Add(-2 * time.Hour) })
	if len(got["storage"]) != 1 {
		t.Errorf("of two hours ago: %q", got)
	}
	got = problems(func(s []State) {
		s[1].Monitors.Value = []Monitor{{Kind: "prometheus", Unit: "prometheus.service", Err: "HTTP 500"}, {Kind: "grafana", Err: "it wants a token", None: true}}
	})
	if want := []string{"monitor:prometheus/prometheus.service unknown"}; !slices.Equal(got["router"], want) {
		t.Errorf("a monitor that does not tell: %q", got["router"])
	}
}

func TestWebLink(t *testing.T) {
	for address, want := range map[string]bool{
		"https://grafana.example.org/d/x?y=1#z": true, "http://100.64.0.2:19999/host/cloud/": true, "http://[fd00::1]:9090/": true,
		"javascript:alert(1)": false, "file:///etc/passwd": false, "HTTPS://x": false, "https://": false, "http:///x": false, "": false,
		"https://x\x1b]8;;http://evil\x1b\\": false, "https://x/ä": false, "https://x/ y": false, "https://x\n": false, "https://good.example@evil.example/": false,
		"https://x?y": false, "https://x\\y": false, "https://x/" + strings.Repeat("a", 2000): false, "https://x/\x7f": false,
	} {
		if got := WebLink(address); (got != "") != want || got != "" && got != address {
			t.Errorf("%q: %q", address, got)
		}
	}
}

// TestLinks: a site that leads there comes before the host's own address, and what
// nobody else can reach has none.
func TestLinks(t *testing.T) {
	grafana := Monitor{Kind: "grafana", Port: 3000}
	for name, c := range map[string]struct {
		change  func(s []State)
		netdata string
		grafana string
	}{
		"by address":      {nil, "http://10.0.0.1:19999/", "http://10.0.0.1:3000/"},
		"nothing listens": {func(s []State) { s[0].Listens = Known([]Listener{{Proto: "tcp", Address: "*", Port: 22}}, noon, "ss") }, "", ""},
		"only for itself": {func(s []State) {
			s[0].Listens = Known([]Listener{{Proto: "tcp", Address: "127.0.0.1", Port: 3000}, {Proto: "tcp", Address: "*", Port: 19999}}, noon, "ss")
		}, "http://10.0.0.1:19999/", ""},
		"by a site": {func(s []State) {
			s[0].Listens = Known([]Listener{{Proto: "tcp", Address: "127.0.0.1", Port: 3000}}, noon, "ss")
			s[0].Sites = Known([]Proxy{{Sites: []Site{{Name: "g.example.org", TLS: true, Routes: []Route{{Upstreams: []Upstream{{Dial: "127.0.0.1:3000"}}}}}}}}, noon, "caddy")
		}, "", "https://g.example.org/"},
		"by a site elsewhere": {func(s []State) {
			s[1].Sites = Known([]Proxy{{Sites: []Site{{Name: "*.x"}, {Name: "g.example.org", Routes: []Route{{Upstreams: []Upstream{{Dial: "storage:3000"}}}}}}}}, noon, "caddy")
		}, "http://10.0.0.1:19999/", "http://g.example.org/"},
		"a hostile site": {func(s []State) {
			s[1].Sites = Known([]Proxy{{Sites: []Site{{Name: "g\x1b]8;;", Routes: []Route{{Upstreams: []Upstream{{Dial: "storage:3000"}}}}}}}}, noon, "caddy")
		}, "http://10.0.0.1:19999/", ""},
		"through a forwarded port": {func(s []State) { s[0].Host.Addresses = []Address{{Host: "127.0.0.1", Port: 2222}} }, "", ""},
		"this machine":             {func(s []State) { s[0].Host.Addresses, s[0].Host.Local = nil, true }, "http://127.0.0.1:19999/", "http://127.0.0.1:3000/"},
	} {
		states := watched()
		states[0].Metrics = Known(Metrics{}, noon, "netdata v1.37.1")
		if c.change != nil {
			c.change(states)
		}
		snap := Snapshot{Hosts: states}
		if got := snap.NetdataLink(states[0]); got != c.netdata {
			t.Errorf("%s: netdata at %q", name, got)
		}
		if got := snap.MonitorLink(states[0], grafana); got != c.grafana {
			t.Errorf("%s: grafana at %q", name, got)
		}
	}
	states := watched()
	states[1].Metrics, states[1].Alarms = Known(Metrics{}, noon, "/proc"), Nothing[[]Alarm]("no monitoring", noon, "netdata")
	if got := (Snapshot{Hosts: states}).NetdataLink(states[1]); got != "" {
		t.Errorf("of a host that has none: %q", got)
	}
	states[2].Metrics = Known(Metrics{}, noon, "netdata v1.37.1 on storage")
	if got := (Snapshot{Hosts: states}).NetdataLink(states[2]); got != "http://10.0.0.1:19999/host/the-cloud/" {
		t.Errorf("of a child: %q", got)
	}
}
