package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/metrics"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// imaginary is the whole product on a simulated fleet, which a test may bend.
type imaginary struct {
	*app
	*simulate.Fleet
	t *testing.T
}

func imagine(t *testing.T, so simulate.Options, o options) *imaginary {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	f, err := simulate.Start(context.Background(), so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := os.WriteFile(filepath.Join(dir, "id_ed25519"), f.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.timeout == 0 {
		o.timeout = 20 * time.Second
	}
	a := newApp(o, &discover.Config{})
	t.Cleanup(a.close)
	a.links.SSHDir, a.links.KnownHosts = dir, []string{filepath.Join(dir, "known_hosts")}
	a.links.ConfigFiles, a.links.AgentSocket = nil, ""
	a.finder = imagined{f}
	return &imaginary{a, f, t}
}

// follow watches the fleet until the end of the test.
func (i *imaginary) follow() { i.t.Cleanup(i.start(i.t.Context(), 0)) }

func (i *imaginary) state(name string) fleet.State {
	st, _ := i.store.Snapshot().Named(name)
	return st
}

func (i *imaginary) eventually(what string, is func() bool) {
	i.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	i.t.Fatalf("never came true: %s", what)
}

// TestAnEventChangesTheList: what happens to a container is told by Podman's
// events, long before the list would be read again.
func TestAnEventChangesTheList(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{})
	i.follow()
	id := i.Host("cloud").ID
	state := func(name string) string {
		for _, c := range i.state("cloud").Containers.Value {
			if c.Name == name {
				return c.State
			}
		}
		return ""
	}
	i.eventually("cloud's containers", func() bool { return i.state("cloud").Containers.Current() })
	var name, unit string
	for _, c := range i.state("cloud").Containers.Value {
		if c.Running() {
			name, unit = c.Name, c.Unit
		}
	}
	time.Sleep(500 * time.Millisecond) // the events are asked for once the containers are known
	l, _, err := console{i.app}.link(id)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := l.Run(t.Context(), link.Command{Args: []string{"systemctl", "stop", unit}, Root: true}); err != nil || res.Status != 0 {
		t.Fatalf("%v %s", err, res.Stderr)
	}
	began := time.Now()
	i.eventually(name+" has stopped", func() bool { return state(name) != "running" })
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("the list changed after %s: not by the event", d)
	}
}

// TestStatsAreOfTheContainersOnTheScreen: of others nothing is streamed, and
// nothing is left when nobody looks.
func TestStatsAreOfTheContainersOnTheScreen(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{})
	i.follow()
	storage := i.Host("storage").ID
	i.eventually("storage's containers", func() bool { return len(i.state("storage").Containers.Value) > 2 })
	list := i.state("storage").Containers.Value
	one, two := list[0].ID, list[1].ID
	only := func(id string) func() bool {
		return func() bool { s := i.state("storage").Stats; return len(s) == 1 && !s[id].At.IsZero() }
	}
	look := console{i.app}.Look
	look(fleet.Focus{Host: storage, Tab: "containers", Containers: []string{one}})
	i.eventually("stats of the first", only(one))
	look(fleet.Focus{Host: storage, Tab: "containers", Containers: []string{two}})
	i.eventually("two readings of the second", func() bool { return len(i.state("storage").Use[two]) > 1 })
	last := i.state("storage").Stats[one].At
	i.eventually("the first is no longer measured, and then forgotten", only(two))
	if n := len(i.state("storage").Use[two]); n < 4 || time.Since(last) < fleet.StatsAge {
		t.Errorf("the first was forgotten %s after its last reading, the second has %d", time.Since(last), n)
	}
	look(fleet.Focus{Tab: "containers", Containers: []string{two, i.state("cloud").Containers.Value[0].ID}})
	i.eventually("of the fleet's list, those of each host", func() bool {
		return only(two)() && len(i.state("cloud").Stats) == 1 && len(i.state("vault").Stats) == 0
	})
	for name, f := range map[string]fleet.Focus{
		"none on the screen": {Host: storage, Tab: "units"}, "another host": {Host: i.Host("cloud").ID}, "nobody looks": {Host: storage, Containers: []string{two}, Idle: true},
	} {
		look(f)
		i.eventually("no stats: "+name, func() bool { return i.state("storage").Stats == nil })
		look(fleet.Focus{Host: storage, Tab: "containers", Containers: []string{two}})
		i.eventually("stats again", only(two))
	}
}

// TestAHostWithoutNetdataIsMeasuredWhileItsMetricsAreOpen counts what runs there.
func TestAHostWithoutNetdataIsMeasuredWhileItsMetricsAreOpen(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{})
	var running, begun atomic.Int32
	turn := func() string {
		return strings.Join([]string{"1 1", "0.5 0.4 0.3 1/2 3", "cpu 1 0 0 9 0 0 0 0", "MemTotal: 100 kB", "MemAvailable: 60 kB", "pressure io some avg10=5.00 avg60=0"}, "\n")[1:]
	}
	i.Script("cat /proc/uptime /proc/loadavg", func(c simulate.Call) int {
		running.Add(1)
		begun.Add(1)
		defer running.Add(-1)
		for n := 1; ; n++ {
			if _, err := c.Stdout.Write([]byte(strings.Repeat("1", n%5+1) + turn() + "\n" + c.Args[2] + "\n")); err != nil {
				return 1
			}
			select {
			case <-c.Context.Done():
				return 1
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	i.follow()
	router, storage := i.Host("router").ID, i.Host("storage").ID
	i.eventually("metrics", func() bool { return i.state("router").Metrics.Current() && i.state("storage").Metrics.Current() })
	look := console{i.app}.Look
	look(fleet.Focus{Host: router, Tab: "units"})
	look(fleet.Focus{Host: storage, Tab: "metrics"}) // Netdata keeps its past
	time.Sleep(300 * time.Millisecond)
	if n := begun.Load(); n != 0 {
		t.Errorf("%d hosts are measured though nobody looks at one without Netdata", n)
	}
	for _, away := range []fleet.Focus{{Host: router, Tab: "units"}, {}, {Host: router, Tab: "metrics", Idle: true}} {
		look(fleet.Focus{Host: router, Tab: "metrics"})
		i.eventually("lines that grow", func() bool {
			lines := i.state("router").Live
			return len(lines) > 0 && len(lines[0].Points) > 2 && lines[0].Source == "/proc"
		})
		for _, want := range []string{"memory", "load", "net in", "net out", "disk read", "disk write", "pressure io"} {
			if !slices.ContainsFunc(i.state("router").Live, func(s fleet.Series) bool { return s.Name == want }) {
				t.Errorf("no line %q", want)
			}
		}
		if n := running.Load(); n != 1 {
			t.Errorf("%d programs measure", n)
		}
		look(away)
		i.eventually("its end there, and no lines", func() bool { return running.Load() == 0 && i.state("router").Live == nil })
	}
	if n := begun.Load(); n != 3 {
		t.Errorf("it was begun %d times, want 3", n)
	}
}

// TestSeriesComeFromNetdata: of the host itself, of a parent; of the rest
// nobody keeps any.
func TestSeriesComeFromNetdata(t *testing.T) {
	i := imagine(t, simulate.Options{}, options{})
	if err := i.find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	i.ask(t.Context(), i.store.Snapshot().Hosts, only("metrics"))
	for host, source := range map[string]string{"storage": "netdata v1.37.1", "cloud": "netdata v1.37.1", "router": ""} {
		series, err := console{i.app}.Series(t.Context(), i.Host(host).ID, fleet.SeriesQuery{Window: time.Hour})
		switch {
		case source == "" && !errors.Is(err, metrics.ErrNoHistory):
			t.Errorf("%s: %v", host, err)
		case source != "" && (err != nil || len(series) < 5 || !strings.HasPrefix(series[0].Source, source) || len(series[0].Points) < 2):
			t.Errorf("%s: %v, %+v", host, err, series)
		}
	}
	if _, err := (console{i.app}).Series(t.Context(), "nobody", fleet.SeriesQuery{Window: time.Hour}); err == nil {
		t.Error("series of a host that is not in the fleet")
	}
}

// without tells of all hosts but one.
type without struct {
	imagined
	tell found
}

func (w *without) follow(ctx context.Context, tell found) error {
	w.tell = tell
	w.now("")
	<-ctx.Done()
	return nil
}

// now leaves a host out from now on.
func (w *without) now(name string) {
	w.tell(slices.DeleteFunc(w.f.Hosts(), func(h fleet.Host) bool { return h.Name == name }), nil, nil)
}

func (w *without) identities(fleet.Snapshot) []history.Identity { return nil }

// TestAParentThatLeavesIsForgotten: its children are read otherwise, and found
// with it again when it is back.
func TestAParentThatLeavesIsForgotten(t *testing.T) {
	i := imagine(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {NoNetdata: true}}}, options{})
	finder := &without{imagined: imagined{i.Fleet}}
	i.finder = finder
	i.follow()
	i.eventually("hosts", func() bool { return len(i.store.Snapshot().Hosts) > 0 })
	console{i.app}.Look(fleet.Focus{Host: i.Host("cloud").ID}) // asked every few seconds
	by := func(source string) func() bool {
		return func() bool { m := i.state("cloud").Metrics; return m.Current() && m.Source == source }
	}
	i.eventually("cloud through its parent", by("netdata v1.37.1 on storage"))
	finder.now("storage")
	i.eventually("cloud by itself", by("/proc"))
	if a := i.state("cloud").Alarms; !a.None && !strings.Contains(a.Err, "no Netdata of the fleet is known to have its data") {
		t.Errorf("alarms of an orphan: %+v", a)
	}
	finder.now("")
	i.eventually("cloud through its parent again", by("netdata v1.37.1 on storage"))
}
