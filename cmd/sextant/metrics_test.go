package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// TestMetricsHaveTheSeriesOfTheCharts: what the screen draws is in the machine output,
// with who keeps it; of a host whose past nobody keeps it says that there is none.
func TestMetricsHaveTheSeriesOfTheCharts(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{json: true})
	i.store.SetHosts([]fleet.Host{i.Host("storage"), i.Host("r2s"), i.Host("laptop")}, nil, nil)
	q := pastQuery{since: "10m", SeriesQuery: fleet.SeriesQuery{Window: 10 * time.Minute}}
	i.ask(t.Context(), i.store.Snapshot().Hosts, q.scope())
	states := i.store.Snapshot().Hosts
	var out bytes.Buffer
	if exit := code(printMetrics(&out, options{json: true}, i.store.Snapshot(), states, i.pastOf(t.Context(), states, q))); exit != exitUnknown {
		t.Errorf("exit %d with a host that is off", exit)
	}
	var got struct {
		Hosts []struct {
			Host   string
			Series struct {
				Value []struct {
					Name, Unit, Source string
					Points             []struct {
						At    time.Time
						Value *float64
					}
				}
				Error, Source string
				None          bool
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Hosts) != 3 {
		t.Fatalf("%v in %.500s", err, out.String())
	}
	for _, h := range got.Hosts {
		s := h.Series
		switch h.Host {
		case "storage":
			if len(s.Value) < 5 || s.Value[0].Name != "cpu" || s.Value[0].Unit != "%" || s.Value[0].Source == "" {
				t.Fatalf("storage: %+v", s)
			}
			p := s.Value[0].Points
			if len(p) < 10 || p[len(p)-1].Value == nil || time.Since(p[0].At) > 12*time.Minute || time.Since(p[0].At) < 5*time.Minute {
				t.Errorf("storage: %d points of the cpu from %v on", len(p), p[0].At)
			}
		case "r2s":
			if !s.None || s.Error == "" {
				t.Errorf("r2s has no Netdata: %+v", s)
			}
		default:
			if s.None || s.Error == "" || s.Value != nil {
				t.Errorf("%s is off: %+v", h.Host, s)
			}
		}
	}
}

// TestThePastOfADay: what happened is told with what was measured, in short to
// people and in full to programs.
func TestThePastOfADay(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{})
	i.store.SetHosts([]fleet.Host{i.Host("storage")}, nil, nil)
	q := pastQuery{since: "7d"}
	if err := q.check(time.Now()); err != nil {
		t.Fatal(err)
	}
	i.ask(t.Context(), i.store.Snapshot().Hosts, q.scope())
	states := i.store.Snapshot().Hosts
	pasts := i.pastOf(t.Context(), states, q)
	got := pasts[states[0].Host.ID]
	kinds, names := map[fleet.EventKind]int{}, map[string]bool{}
	for _, m := range got.marks {
		kinds[m.Kind]++
	}
	for _, s := range got.series.Value {
		names[s.Name] = true
		if d := time.Since(s.Points[0].At); d < 6*24*time.Hour || len(s.Points) < 200 {
			t.Errorf("%s: %d points, from %s ago on", s.Name, len(s.Points), d)
		}
	}
	if kinds[fleet.EventBoot] != 1 || kinds[fleet.EventDeploy] == 0 || kinds[fleet.EventAlarm] != 2 {
		t.Errorf("what happened: %v", kinds)
	}
	for _, want := range []string{"cpu", "disk /mnt/storage", "pressure io", "heat coretemp Package id 0"} {
		if !names[want] {
			t.Errorf("no series %q of %v", want, names)
		}
	}
	var text bytes.Buffer
	if exit := code(printMetrics(&text, options{}, i.store.Snapshot(), states, pasts)); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	for _, want := range []string{"HIGHEST", "disk /mnt/storage", "alarm: disk_space_usage", "boot: started"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

// TestThePastOfAContainer: of a container that Netdata knows, of one that there is
// not, and where nobody keeps any past.
func TestThePastOfAContainer(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{})
	i.store.SetHosts([]fleet.Host{i.Host("storage"), i.Host("router")}, nil, nil)
	q := pastQuery{SeriesQuery: fleet.SeriesQuery{Container: "jellyfin"}}
	if err := q.check(time.Now()); err != nil || q.Window != time.Hour {
		t.Fatal(q.Window, err)
	}
	i.ask(t.Context(), i.store.Snapshot().Hosts, q.scope())
	for host, c := range map[string]struct {
		container string
		series    int
	}{"storage": {"jellyfin", 2}, "router": {"unifi", 0}} {
		st := i.state(host)
		q.Container = c.container
		f := i.pastOf(t.Context(), []fleet.State{st}, q)[st.Host.ID].series
		if len(f.Value) != c.series || f.None != (c.series == 0) {
			t.Errorf("%s of %s: %+v", c.container, host, f)
		}
	}
	q.Container = "nobody"
	st := i.state("storage")
	if f := i.pastOf(t.Context(), []fleet.State{st}, q)[st.Host.ID].series; !f.None || !strings.Contains(f.Err, "no charts of the container nobody") {
		t.Errorf("%+v", f)
	}
}

// TestTheWorstHostFirst: and those that do not tell last.
func TestTheWorstHostFirst(t *testing.T) {
	at := time.Now()
	of := func(name string, cpu float64, disk uint64) fleet.State {
		return fleet.State{Host: fleet.Host{Name: name}, Metrics: fleet.Known(fleet.Metrics{CPU: cpu, Disks: []fleet.Disk{{Mount: "/srv", Used: disk, Avail: 100 - disk, Total: 100}}}, at, "/proc")}
	}
	lost := of("lost", 0.99, 99)
	lost = lost.Lost(errors.New("no answer"), at)
	var out bytes.Buffer
	if exit := code(printMetrics(&out, options{}, fleet.Snapshot{}, []fleet.State{lost, of("idle", 0.1, 5), of("full", 0.2, 93), of("busy", 0.8, 5)}, nil)); exit != exitUnknown {
		t.Errorf("exit %d with a host that does not answer", exit)
	}
	var order []string
	for _, l := range strings.Split(out.String(), "\n")[1:] {
		if f := strings.Fields(l); len(f) > 2 {
			order = append(order, f[0]+" "+f[1])
		}
	}
	if want := []string{"full disk", "busy cpu", "idle cpu", "? lost:"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q in\n%s", order, want, &out)
	}
}
