package simulate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/metrics"
	"github.com/sextant-fleet/sextant/fleet/probe"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/fleet/units"
	"github.com/sextant-fleet/sextant/nixops"
)

// The rooms that read real hosts read simulated ones here: what they send must
// be understood, and what they are told must make sense to them.

// prober probes hosts until the end of the test.
func prober(t testing.TB) *probe.Reader {
	r := probe.New()
	t.Cleanup(r.Close)
	return r
}

// probed is the state of a host after its probe.
func probed(t testing.TB, l link.Link) fleet.State {
	t.Helper()
	st := fleet.State{Host: l.Host()}
	reach, err := l.Connect(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	st.Reach = fleet.Known(reach, time.Now(), "ssh")
	f, err := prober(t).Read(soon(t), l)
	if err != nil {
		t.Fatal(err)
	}
	st.System, st.Inventory, st.Generations, st.Units, st.Timers, st.Proc = f.System, f.Inventory, f.Generations, f.Units, f.Timers, f.Proc
	return st
}

func given(st fleet.State) func(context.Context) (fleet.State, error) {
	return func(context.Context) (fleet.State, error) { return st, nil }
}

// TestTheWorld holds what the screens of the demo are meant to show.
func TestTheWorld(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	state := map[string]fleet.State{}
	for _, h := range f.Hosts() {
		if h.Name != "laptop" {
			state[h.Name] = probed(t, d.Open(h))
		}
	}
	for name, n := range map[string]int{"storage": 12, "router": 6, "cloud": 5} {
		if got := len(state[name].Generations.Value); got != n {
			t.Errorf("%s has %d generations", name, got)
		}
	}
	for name, st := range state {
		sys := st.System.Value
		if want := name == "router"; sys.RebootNeeded != want {
			t.Errorf("%s: reboot needed %v, %v", name, sys.RebootNeeded, sys.RebootWhy)
		}
		if want := name == "desktop"; (sys.Running.Path != sys.Default.Path) != want {
			t.Errorf("%s: running %+v, default %+v", name, sys.Running, sys.Default)
		}
		if sys.Booted.Generation == 0 || sys.Manager == "" || sys.MachineID == "" {
			t.Errorf("%s: %+v", name, sys)
		}
	}
	if failed := state["vault"].FailedUnits().Value; len(failed) != 2 {
		t.Errorf("vault's failed units: %v", failed)
	}
	if got := state["r2s"].System.Value.Arch; got != "aarch64" {
		t.Errorf("r2s is a %s", got)
	}
}

func TestBackupsInEveryState(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	got := map[string]fleet.BackupJob{}
	for _, name := range []string{"storage", "desktop", "cloud"} {
		l := d.Open(f.Host(name))
		fact := backup.Read(soon(t), l, probed(t, l), time.Now(), nil)
		if !fact.Current() {
			t.Fatalf("%s: %s", name, fact.Err)
		}
		for _, j := range fact.Value {
			got[name+"/"+j.Name] = j
		}
	}
	for name, want := range map[string]fleet.BackupState{
		"storage/photos": fleet.BackupFresh, "storage/documents": fleet.BackupFresh, "storage/ovh": fleet.BackupFresh,
		"storage/cottage": fleet.BackupFailed, "storage/vm": fleet.BackupNever, "desktop/home": fleet.BackupStale, "cloud/state": fleet.BackupFresh,
	} {
		j, ok := got[name]
		if !ok || j.State != want {
			t.Errorf("%s is %q (%s), want %q", name, j.State, j.Error, want)
		}
		if want == fleet.BackupFresh && (j.NewestSnapshot.IsZero() || j.Snapshots == 0 || j.Size == 0) {
			t.Errorf("%s: nothing of its snapshots is known: %+v", name, j)
		}
	}
	if why := got["storage/cottage"].Error; !strings.Contains(why, "does not exist") {
		t.Errorf("why cottage failed: %s", why)
	}
	if len(got) != 7 {
		t.Errorf("%d jobs", len(got))
	}
}

func TestMeasurements(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	r := metrics.New()
	for _, name := range []string{"storage", "cloud", "router"} { // the parent, a child of it, one without
		l := d.Open(f.Host(name))
		st := probed(t, l)
		m, alarms := r.Read(soon(t), l, given(st))
		v := m.Value
		if !m.Current() || v.CPU <= 0 || v.CPU >= 1 || v.Memory.Used == 0 || len(v.Disks) == 0 || v.NetIn <= 0 || v.Load1 <= 0 {
			t.Errorf("%s: %+v, %s", name, v, m.Err)
		}
		if want := map[string]int{"storage": 2}[name]; len(alarms.Value) != want || alarms.Current() != (name != "router") {
			t.Errorf("%s: alarms %+v, %s", name, alarms.Value, alarms.Err)
		}
		series, err := r.Series(soon(t), l, st, fleet.SeriesQuery{Window: 10 * time.Minute})
		switch {
		case name == "router":
			if !errors.Is(err, metrics.ErrNoHistory) {
				t.Errorf("router's past: %v", err)
			}
		case err != nil || len(series) < 10 || len(series[0].Points) < 200:
			t.Errorf("%s: %d series, %v", name, len(series), err)
		}
	}
}

// TestMonitorsOfTheWorld: what watches the fleet is read as the real ones are.
func TestMonitorsOfTheWorld(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	got := map[string]fleet.Monitor{}
	for _, name := range []string{"router", "storage", "r2s"} {
		l := d.Open(f.Host(name))
		st := probed(t, l)
		if name == "storage" {
			st.Containers = fleet.Known([]fleet.Container{{Name: "grafana", State: "running", Image: "docker.io/grafana/grafana:latest", Ports: []fleet.Port{{Host: 3999, Container: 3000, Protocol: "tcp"}}}}, time.Now(), "podman")
		}
		ms := services.Monitors(soon(t), l, st, "")
		for _, m := range ms.Value {
			got[m.Kind+" on "+name] = m
		}
		if ms.None != (name == "r2s") {
			t.Errorf("%s: %+v", name, ms)
		}
	}
	p, a, g := got["prometheus on router"], got["alertmanager on router"], got["grafana on storage"]
	if p.Err != "" || len(p.Alarms) != 4 || p.Down != 2 || a.Err != "" || len(a.Alarms) != 4 || !g.None || g.Version == "" && g.Err == "" {
		t.Errorf("%+v", got)
	}
}

func TestLiveMeasurements(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := metrics.Live(ctx, dialer(t, f).Open(f.Host("router")), time.Second, func(_ time.Time, m fleet.Metrics) {
		if m.CPU <= 0 || m.CPU >= 1 || m.Memory.Used == 0 || m.Cores != 4 || m.NetIn <= 0 {
			t.Errorf("%+v", m)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLogs(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	l := dialer(t, f).Open(f.Host("storage"))
	for name, q := range map[string]fleet.LogSource{
		"unit": {Unit: "caddy.service"}, "container": {Container: "jellyfin"}, "failed job": {Unit: "restic-backups-cottage.service"},
	} {
		s, err := units.Logs(soon(t), l, q, fleet.LogQuery{Lines: 30})
		if err != nil {
			t.Fatal(err)
		}
		var lines []fleet.LogLine
		for err == nil {
			var more []fleet.LogLine
			more, err = s.Next(soon(t))
			lines = append(lines, more...)
		}
		s.Close()
		if !errors.Is(err, io.EOF) || len(lines) != 30 {
			t.Errorf("%s: %d lines, %v", name, len(lines), err)
		}
		for i, line := range lines {
			if line.Text == "" || line.From == "" || line.At.After(time.Now()) || i > 0 && line.At.Before(lines[i-1].At) {
				t.Errorf("%s: %+v", name, line)
			}
		}
	}
	s, err := units.Logs(soon(t), l, fleet.LogSource{}, fleet.LogQuery{Lines: 1, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := 0; n < 3; { // of forty containers somebody speaks soon
		lines, err := s.Next(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		n += len(lines)
	}
}

// dirty finds what must not reach a terminal in anything a host told.
func dirty(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	return dirtyIn(plain)
}

func dirtyIn(v any) error {
	switch v := v.(type) {
	case string:
		for _, r := range v {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				return fmt.Errorf("%U in %.80q", r, v)
			}
		}
	case []any:
		for _, e := range v {
			if err := dirtyIn(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if err := errors.Join(dirtyIn(k), dirtyIn(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestHostileHost: what a host tells, however it is meant, comes clean and in time.
func TestHostileHost(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1, Faults: map[string]simulate.Fault{"storage": {Hostile: true}, "cloud": {Latin: true}}})
	d := dialer(t, f)
	l := d.Open(f.Host("storage"))
	st := probed(t, l)
	if len(st.Units.Value) < 10000 {
		t.Errorf("%d units", len(st.Units.Value))
	}
	m, alarms := metrics.New().Read(soon(t), l, given(st))
	st.Metrics, st.Alarms = m, alarms
	st.Backups = backup.Read(soon(t), l, st, time.Now(), nil)
	list, err := nixops.Deploys(soon(t), l)
	if err != nil || len(list) == 0 {
		t.Errorf("deploys %+v, %v", list, err)
	}
	st.Deploys = fleet.Known(list, time.Now(), "guard")
	if err := dirty(st); err != nil {
		t.Error(err)
	}
	if !st.System.Current() || !m.Current() || !alarms.Current() {
		t.Errorf("system %q, metrics %q, alarms %q", st.System.Err, m.Err, alarms.Err)
	}
	s, err := units.Logs(soon(t), l, fleet.LogSource{Unit: "caddy.service"}, fleet.LogQuery{Lines: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lines, err := s.Next(soon(t))
	if err != nil || dirty(lines) != nil {
		t.Errorf("%v, %v", lines, err)
	}
	if err := dirty(probed(t, d.Open(f.Host("cloud")))); err != nil {
		t.Error(err)
	}
}
