//go:build lab

package metrics_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/metrics"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// probing gives a host's state as the watcher would.
func probing(t testing.TB, l link.Link) func(context.Context) (fleet.State, error) {
	return func(ctx context.Context) (fleet.State, error) {
		f, err := labtest.Probe(t).Read(ctx, l)
		return fleet.State{
			Host: l.Host(), System: f.System, Inventory: f.Inventory, Units: f.Units, Timers: f.Timers, Proc: f.Proc,
		}, err
	}
}

func read(t *testing.T, r *metrics.Reader, l link.Link) (fleet.Fact[fleet.Metrics], fleet.Fact[[]fleet.Alarm]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m, alarms := r.Read(ctx, l, probing(t, l))
	if !m.Current() {
		t.Fatalf("%s: %s", l.Host().Name, m.Err)
	}
	return m, alarms
}

// TestMetricsOfTheLab: storage is the parent, cloud streams to it and has no
// web server, router has no Netdata. All share one kernel, so that what each
// source tells can be compared with /proc.
func TestMetricsOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	r := metrics.New()
	storage, cloud, router := lab.Link(t, "storage"), lab.Link(t, "cloud"), lab.Link(t, "router")

	proc, none := read(t, r, router)
	if proc.Source != "/proc" || !none.None || !strings.HasPrefix(none.Err, "no monitoring") {
		t.Errorf("router: %s, %+v", proc.Source, none)
	}
	m, alarms := read(t, r, cloud)
	if m.Source != "/proc" || alarms.Current() || alarms.None {
		t.Errorf("cloud before storage was asked: %s, %+v", m.Source, alarms)
	}
	// a Netdata that was late is asked again after a minute; alarms come and go
	labtest.Agree(t, 3*time.Minute, func() string {
		proc, _ := read(t, r, router)
		m, alarms := read(t, r, storage)
		return cmp.Or(compare(proc.Value, m, "netdata v1.37.1"), raised(t, storage, "", alarms))
	})
	if !r.Due(cloud.Host().ID) {
		t.Error("cloud is not due though its parent is known")
	}
	labtest.Agree(t, 3*time.Minute, func() string {
		proc, _ := read(t, r, router)
		m, alarms := read(t, r, cloud)
		return cmp.Or(compare(proc.Value, m, "netdata v1.37.1 on storage"), raised(t, storage, "/host/cloud", alarms))
	})
}

// compare holds measurements against those of the same kernel from /proc.
func compare(proc fleet.Metrics, m fleet.Fact[fleet.Metrics], source string) string {
	v := m.Value
	switch age := time.Since(m.At); {
	case m.Source != source:
		return fmt.Sprintf("read from %q, not %q", m.Source, source)
	case age > 15*time.Second, age < -time.Second:
		return fmt.Sprintf("%s is %s old", source, age)
	case v.CPU < 0, v.CPU > 1, v.Cores != proc.Cores, math.Abs(v.Load1-proc.Load1) > 3+proc.Load1/2: // they are moments apart
		return fmt.Sprintf("%s: %+v, /proc: %+v", source, v, proc)
	case v.Memory.Total != proc.Memory.Total, math.Abs(float64(v.Memory.Used)-float64(proc.Memory.Used)) > 4e9:
		return fmt.Sprintf("%s: memory %+v, /proc: %+v", source, v.Memory, proc.Memory)
	case len(v.Disks) == 0, v.Disks[0].Total == 0:
		return fmt.Sprintf("%s: disks %+v", source, v.Disks)
	}
	return ""
}

// raised holds alarms against what Netdata tells curl on its own host.
func raised(t *testing.T, parent link.Link, host string, alarms fleet.Fact[[]fleet.Alarm]) string {
	t.Helper()
	if !alarms.Current() {
		return fmt.Sprintf("alarms%s: %s", host, alarms.Err)
	}
	out := labtest.Output(t, parent, "curl", "-sS", "http://127.0.0.1:19999"+host+"/api/v1/alarms")
	if n := strings.Count(out, `"WARNING"`) + strings.Count(out, `"CRITICAL"`); n != len(alarms.Value) {
		return fmt.Sprintf("%d alarms, Netdata has %d", len(alarms.Value), n)
	}
	for _, a := range alarms.Value {
		if !strings.Contains(out, a.Name) || a.Since.IsZero() || a.Value == "" {
			return fmt.Sprintf("%+v", a)
		}
	}
	return ""
}

func TestSeriesOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	r := metrics.New()
	storage, cloud, router := lab.Link(t, "storage"), lab.Link(t, "cloud"), lab.Link(t, "router")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, l := range []link.Link{storage, cloud} {
		series, err := r.Series(ctx, l, fleet.State{Host: l.Host()}, fleet.SeriesQuery{Window: 2 * time.Minute})
		if err != nil || len(series) < 7 {
			t.Fatalf("%s: %d series, %v", l.Host().Name, len(series), err)
		}
		for _, s := range series {
			last := s.Points[len(s.Points)-1]
			if len(s.Points) < 5 || time.Since(last.At) > 30*time.Second || time.Since(s.Points[0].At) > 3*time.Minute {
				t.Errorf("%s: %s has %d points, the last at %s", l.Host().Name, s.Name, len(s.Points), last.At)
			}
		}
	}
	if _, err := r.Series(ctx, router, fleet.State{Host: router.Host()}, fleet.SeriesQuery{Window: time.Minute}); !errors.Is(err, metrics.ErrNoHistory) {
		t.Error(err)
	}
}

// TestThePastOfTheLab: windows that are longer than what Netdata remembers give what
// there is; disks, pressure and a container's control group are read where Netdata
// has charts of them, and hold against what the host itself tells.
func TestThePastOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	r := metrics.New()
	l := lab.Link(t, "storage")
	m, _ := read(t, r, l)
	st := fleet.State{Host: l.Host(), Metrics: m}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	began := time.Now()
	for _, window := range []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
		series, err := r.Series(ctx, l, st, fleet.SeriesQuery{Window: window})
		if err != nil {
			t.Fatalf("%s: %v", window, err)
		}
		names := map[string]fleet.Series{}
		for _, s := range series {
			names[s.Name] = s
			first, last := s.Points[0], s.Points[len(s.Points)-1]
			if math.IsNaN(first.Value) || began.Sub(first.At) > window+window/4 || began.Sub(last.At) > window/100+time.Minute || last.At.After(began.Add(window/100+time.Minute)) {
				t.Errorf("%s of %s: from %s to %s", s.Name, window, first.At, last.At)
			}
		}
		for _, want := range charted(t, l, m.Value.Disks) {
			if _, ok := names[want]; !ok {
				t.Errorf("%s: no series %q", window, want)
			}
		}
	}
}

// TestTheChartsOfAContainerOfTheLab: Netdata there may not ask Podman for names, and
// calls control groups by the containers' IDs.
func TestTheChartsOfAContainerOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	r := metrics.New()
	l := lab.Link(t, "storage")
	st := fleet.State{Host: l.Host()}
	id := strings.TrimSpace(labtest.Output(t, l, "podman", "inspect", "jellyfin", "-f", "{{.Id}}"))
	st.Containers = fleet.Known([]fleet.Container{{Name: "jellyfin", User: "root", ID: id}}, time.Now(), "podman")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	series, err := r.Series(ctx, l, st, fleet.SeriesQuery{Window: time.Hour, Container: "jellyfin"})
	if err != nil || len(series) != 2 {
		t.Fatalf("%+v, %v", series, err)
	}
	memory := series[1].Points[len(series[1].Points)-1].Value
	if cpu := series[0].Points[0].Value; cpu < 0 || cpu > 64 || memory < 1<<16 || memory > 1<<32 {
		t.Errorf("cpu %v, memory %v", cpu, memory)
	}
	if _, err := r.Series(ctx, l, st, fleet.SeriesQuery{Window: time.Hour, Container: "nobody"}); !errors.Is(err, metrics.ErrNoContainer) {
		t.Error(err)
	}
}

// charted are the series for which Netdata on the host has a chart, as curl tells.
func charted(t *testing.T, l link.Link, disks []fleet.Disk) []string {
	t.Helper()
	out := labtest.Output(t, l, "curl", "-sS", "http://127.0.0.1:19999/api/v1/charts")
	want := []string{"cpu", "memory", "load"}
	for _, kind := range []string{"cpu", "memory", "io"} {
		if strings.Contains(out, `"system.`+kind+`_some_pressure"`) {
			want = append(want, "pressure "+kind)
		}
	}
	for _, d := range disks {
		if strings.Contains(out, `"disk_space.`+strings.ReplaceAll(d.Mount, "/", "_")+`"`) && len(disks) <= 5 {
			want = append(want, "disk "+d.Mount)
		}
	}
	t.Logf("charts: %q", want)
	return want
}

// TestLiveOfTheLab measures the hosts that no Netdata has, and holds that nothing
// of it is left there.
func TestLiveOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	for _, name := range []string{"router", "r2s"} {
		t.Run(name, func(t *testing.T) {
			l := lab.Link(t, name)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var lines []fleet.Series
			err := metrics.Follow(ctx, l, time.Second, func(now []fleet.Series) {
				if lines = now; len(now[0].Points) == 3 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			want := []string{"cpu", "memory", "load", "net in", "net out", "disk read", "disk write"}
			if out := labtest.Output(t, l, "sh", "-c", "cat /proc/pressure/cpu 2>/dev/null || true"); out != "" {
				want = append(want, "pressure cpu", "pressure memory", "pressure io")
			}
			var got []string
			for _, s := range lines {
				got = append(got, s.Name)
				if len(s.Points) < 2 || s.Source != "/proc" {
					t.Errorf("%+v", s)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			memory := lines[1].Points[0].Value
			if memory < 1<<20 || lines[0].Points[0].Value < 0 || lines[0].Points[0].Value > 100 {
				t.Errorf("%+v", lines[:2])
			}
			gone(t, l)
		})
	}
}

// gone waits until the program that measures has ended on a host.
func gone(t *testing.T, l link.Link) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		out := labtest.Output(t, l, "sh", "-c", "ps -eo args | grep -c '[e]nd of turn' || true")
		if strings.TrimSpace(out) == "0" {
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("the command still runs on the host")
		}
	}
}
