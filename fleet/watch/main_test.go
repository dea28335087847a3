package watch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/fleet/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a simulated fleet, a store that knows its hosts, and a watcher that
// counts what it asks.
type scene struct {
	*simulate.Fleet
	*watch.Watcher
	t     *testing.T
	mu    sync.Mutex
	asked map[string]int // by "what host"
}

func newScene(t *testing.T, o simulate.Options) *scene {
	t.Helper()
	f, err := simulate.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "id_ed25519"), f.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	links := &link.Dialer{SSHDir: dir}
	t.Cleanup(links.Close)
	s := &scene{Fleet: f, t: t, asked: map[string]int{}}
	s.Watcher = &watch.Watcher{Store: fleet.NewStore(), Links: links, Probe: s.probe}
	watch.Hurry(s.Watcher)
	s.Collectors = []watch.Collector{{Name: "metrics", Every: time.Hour, Looked: 50 * time.Millisecond, Read: s.load}}
	s.Store.SetHosts(f.Hosts(), nil, nil)
	return s
}

// probe asks for the name and the kernel.
func (s *scene) probe(ctx context.Context, l link.Link) (watch.Change, error) {
	s.count("probe", l)
	res, err := l.Run(ctx, link.Command{Args: []string{"uname", "-r"}})
	if err != nil {
		return nil, err
	}
	if res.Status != 0 {
		return nil, errors.New("no uname")
	}
	sys := fleet.System{Kernel: strings.TrimSpace(string(res.Stdout))}
	return func(st *fleet.State) { st.System = fleet.Known(sys, time.Now(), "probe") }, nil
}

// load asks for what a collector asks, and needs the probe for it.
func (s *scene) load(ctx context.Context, a watch.Ask) watch.Change {
	s.count("metrics", a.Link)
	f := fleet.Known(fleet.Metrics{CPU: 0.5}, time.Now(), "uptime")
	if _, err := a.Probed(ctx); err != nil {
		f = fleet.Unknown[fleet.Metrics](err, time.Now(), "uptime")
	} else if _, err := a.Link.Run(ctx, link.Command{Args: []string{"true"}}); err != nil {
		f = fleet.Unknown[fleet.Metrics](err, time.Now(), "uptime")
	}
	return func(st *fleet.State) { st.Metrics = st.Metrics.Refresh(f) }
}

func (s *scene) count(what string, l link.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[what+" "+l.Host().Name]++
}

// times is how often something was asked of a host.
func (s *scene) times(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

func (s *scene) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.asked)
}

func (s *scene) state(name string) fleet.State {
	st, ok := s.Store.Snapshot().Named(name)
	if !ok {
		s.t.Fatalf("%s is not in the store", name)
	}
	return st
}

// run watches until the test ends, or stop is called.
func (s *scene) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	s.t.Cleanup(stop)
	return stop
}

func (s *scene) eventually(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	s.t.Fatalf("%s: not within a minute", what)
}

// known waits until a host has facts.
func (s *scene) known(name string) {
	s.t.Helper()
	s.eventually("facts of "+name, func() bool { return s.state(name).Metrics.Current() })
}
