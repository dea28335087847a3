package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// kept is a Netdata 1.x that keeps the charts it is given, each with rows of one
// dimension or several, and remembers what it was asked.
type kept struct {
	clock  time.Time
	charts map[string]string // what data says
	newest string            // what allmetrics says

	mu    sync.Mutex
	asked []string
}

func (k *kept) handler(t *testing.T) http.HandlerFunc {
	info := sample(t, "netdata-1.37-info.json")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", k.clock.UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/json")
		q := r.URL.Query()
		switch body, ok := k.charts[q.Get("chart")]; {
		case r.URL.Path == "/api/v1/info":
			w.Write(info)
		case r.URL.Path == "/api/v1/allmetrics":
			fmt.Fprint(w, k.newest)
		case r.URL.Path == "/api/v1/data" && ok:
			k.mu.Lock()
			k.asked = append(k.asked, q.Get("after")+"/"+q.Get("points"))
			k.mu.Unlock()
			fmt.Fprint(w, body)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "No metrics where matched to query.")
		}
	}
}

func (k *kept) reader() *Reader {
	r := New()
	r.now = func() time.Time { return k.clock }
	return r
}

// rows are the answer of data, newest first, with these values an hour apart.
func (k *kept) rows(labels string, values ...string) string {
	var rows []string
	for i, v := range values {
		rows = append(rows, fmt.Sprintf("[%d,%s]", k.clock.Add(-time.Duration(i)*time.Hour).Unix(), v))
	}
	return `{"labels":["time",` + labels + `],"data":[` + strings.Join(rows, ",") + `]}`
}

func TestAllThatIsKept(t *testing.T) {
	k := &kept{clock: time.Now().Truncate(time.Second)}
	k.charts = map[string]string{
		"system.cpu":              k.rows(`"user","system"`, "10,5", "null,null", "20,5", "null,null"),
		"system.io_some_pressure": k.rows(`"some 10","some 60"`, "12,1", "3,1"),
		"disk_space._srv_my_data": k.rows(`"avail","used","reserved for root"`, "25,75,5", "30,70,5"),
		"disk_space._":            k.rows(`"avail","used","reserved for root"`, "90,10,0"),
		"sensors.cpu_temp":        k.rows(`"Core 0","Package"`, "50,61", "48,59"),
	}
	k.newest = `{"sensors.cpu_temp":{"family":"coretemp","context":"sensors.temperature","units":"Celsius","dimensions":{"a":{"name":"Core 0","value":50},"b":{"name":"Package","value":61}}},
		"sensors.fan":{"units":"RPM","dimensions":{"a":{"name":"fan","value":900}}}}`
	st := state("galactica")
	st.Metrics = fleet.Known(fleet.Metrics{
		Disks: []fleet.Disk{{Mount: "/", Used: 1, Avail: 9}, {Mount: "/srv/my data", Used: 7, Avail: 3}},
		Temps: []fleet.Temperature{{Sensor: "coretemp Package", Celsius: 61}},
	}, k.clock, "/proc")
	got, err := k.reader().Series(t.Context(), host("galactica", serve(t, k.handler(t))), st, fleet.SeriesQuery{Window: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, s := range got {
		line := s.Name + " " + s.Unit
		for _, p := range s.Points {
			line += fmt.Sprintf(" %g", p.Value)
		}
		told = append(told, line)
	}
	want := []string{ // what was not measured is a gap, but at the beginning
		"cpu % 25 NaN 15", "pressure io % 3 12", "disk /srv/my data % 70 75", "disk / % 10", "heat coretemp Package °C 59 61", "heat coretemp Core 0 °C 48 50",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q\nwant %q", told, want)
	}
	if !slices.Contains(k.asked, "-86400/240") {
		t.Errorf("asked for %q", k.asked)
	}
}

// TestTheClockOfTheMeasurements: what was measured when is not told by a clock that
// is not ours, nor what a child that has gone left behind.
func TestTheClockOfTheMeasurements(t *testing.T) {
	k := &kept{clock: time.Now().Truncate(time.Second)}
	l := host("galactica", serve(t, k.handler(t)))
	for name, c := range map[string]struct {
		ours   time.Duration // ahead of Netdata's
		oldest time.Duration
		want   string
	}{
		"right":           {0, time.Minute, ""},
		"a little off":    {4 * time.Minute, time.Minute, ""},
		"behind":          {5 * time.Hour, time.Minute, "the clock of galactica is 5h0m0s behind ours"},
		"ahead":           {-30 * time.Hour, time.Minute, "30h0m0s ahead of ours"},
		"of one who left": {0, 3 * time.Hour, "no measurements of the last 1h0m0s"},
	} {
		k.charts = map[string]string{"system.cpu": fmt.Sprintf(`{"labels":["time","user"],"data":[[%d,7]]}`, k.clock.Add(-c.oldest).Unix())}
		r := New()
		r.now = func() time.Time { return k.clock.Add(c.ours) }
		got, err := r.Series(t.Context(), l, state("galactica"), fleet.SeriesQuery{Window: time.Hour})
		if c.want == "" && (err != nil || len(got) != 1) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if strings.Contains(c.want, "ours") && fleet.Cure(err) == "" {
			t.Errorf("%s: nothing is said that could be done about it", name)
		}
	}
	k.clock = time.Time{} // as good as none
	r := New()
	if _, err := r.Series(t.Context(), l, state("galactica"), fleet.SeriesQuery{Window: time.Hour}); err == nil {
		t.Error("a Netdata from the year one is believed")
	}
}

func TestAContainersCharts(t *testing.T) {
	k := &kept{clock: time.Now().Truncate(time.Second)}
	k.charts = map[string]string{
		"cgroup_web.cpu":       k.rows(`"user","system"`, "30,20", "10,5"),
		"cgroup_web.mem_usage": k.rows(`"ram","swap"`, "100,1", "90,1"),
	}
	k.newest = `{"cgroup_web.cpu":{"units":"percentage","dimensions":{}},"cgroup_web.mem_usage":{"units":"MiB","dimensions":{}}}`
	l, st := host("galactica", serve(t, k.handler(t))), state("galactica")
	st.Containers = fleet.Known([]fleet.Container{{Name: "web", User: "root", ID: strings.Repeat("ab", 32)}, {Name: "db", ID: "12"}}, k.clock, "podman")
	got, err := k.reader().Series(t.Context(), l, st, fleet.SeriesQuery{Window: 2 * time.Hour, Container: "web"})
	if err != nil || len(got) != 2 || got[0].Unit != "cores" || got[0].Points[1].Value != 0.5 || got[1].Name != "memory" || got[1].Points[0].Value != 90<<20 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := k.reader().Series(t.Context(), l, st, fleet.SeriesQuery{Window: time.Hour, Container: "db"}); !errors.Is(err, ErrNoContainer) || !strings.Contains(err.Error(), "db") {
		t.Errorf("one that Netdata does not know: %v", err)
	}
}

func TestWhichControlGroupIsAContainers(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	other := strings.Repeat("f", 64)
	for name, c := range map[string]struct {
		groups []string
		list   []fleet.Container
		q      fleet.SeriesQuery
		want   string
	}{
		"by name":             {[]string{"cgroup_db", "cgroup_web"}, []fleet.Container{{Name: "web", ID: id}}, fleet.SeriesQuery{Container: "web"}, "cgroup_web"},
		"by ID":               {[]string{"cgroup_libpod-" + id[:12], "cgroup_x"}, []fleet.Container{{Name: "web", ID: id}}, fleet.SeriesQuery{Container: "web"}, "cgroup_libpod-" + id[:12]},
		"by payload":          {[]string{"cgroup_libpod-payload-" + id}, []fleet.Container{{Name: "web", ID: id}}, fleet.SeriesQuery{Container: "web"}, "cgroup_libpod-payload-" + id},
		"not who watches it":  {[]string{"cgroup_machine-slice_libpod-conmon-" + id + "-scope", "cgroup_" + id[:12]}, []fleet.Container{{Name: "web", ID: id}}, fleet.SeriesQuery{Container: "web"}, "cgroup_" + id[:12]},
		"as Netdata spells":   {[]string{"cgroup_my_web"}, []fleet.Container{{Name: "my web", ID: id}}, fleet.SeriesQuery{Container: "my web"}, "cgroup_my_web"},
		"not one with less":   {[]string{"cgroup_web2"}, []fleet.Container{{Name: "web", ID: id}}, fleet.SeriesQuery{Container: "web"}, ""},
		"two of that name":    {[]string{"cgroup_web"}, []fleet.Container{{Name: "web", ID: id}, {Name: "web", User: "ada", ID: other}}, fleet.SeriesQuery{Container: "web"}, ""},
		"two, told by ID":     {[]string{"cgroup_libpod-" + other, "cgroup_libpod-" + id}, []fleet.Container{{Name: "web", ID: id}, {Name: "web", User: "ada", ID: other}}, fleet.SeriesQuery{Container: "web", User: "ada"}, "cgroup_libpod-" + other},
		"root's by two names": {[]string{"cgroup_libpod-" + id}, []fleet.Container{{Name: "web", User: "root", ID: id}}, fleet.SeriesQuery{Container: "web"}, "cgroup_libpod-" + id},
		"no ID":               {[]string{"cgroup_anything"}, []fleet.Container{{Name: "web"}}, fleet.SeriesQuery{Container: "web"}, ""},
		"none":                {nil, nil, fleet.SeriesQuery{Container: "web"}, ""},
	} {
		r := row{}
		for _, g := range c.groups {
			r[g+".cpu"] = chart{}
		}
		got, err := groupOf(r, fleet.State{Containers: fleet.Known(c.list, time.Now(), "")}, c.q)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, ErrNoContainer) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestBadAnswersInPlaceOfThePast: what answers badly once it was found gives no
// charts, and says why.
func TestBadAnswersInPlaceOfThePast(t *testing.T) {
	webtest.Bad(t, callTimeout, func(l link.Link) error {
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		defer cancel()
		p := past{client: newClient(l), mirror: mirror{link: l, agent: agent{api: 1, guid: "x"}, node: node{guid: "x"}}, window: time.Hour, from: "netdata", now: time.Now}
		defer p.client.close()
		if lines := p.heatLines(ctx); len(lines) > 0 {
			t.Errorf("sensors: %+v", lines)
		}
		got, err := p.read(ctx, hostLines([]fleet.Disk{{Mount: "/"}}))
		for _, s := range got {
			for _, v := range s.Points {
				if math.IsInf(v.Value, 0) {
					t.Errorf("%+v", s)
				}
			}
		}
		return err
	})
}
