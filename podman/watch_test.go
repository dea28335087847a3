package podman

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestEvents(t *testing.T) {
	for version, want := range map[string]string{
		"5.4.2": "create init start health_status:starting health_status:unhealthy health_status:unhealthy rename pause unpause died remove",
		"4.3.1": "create init start health_status:starting health_status:starting health_status:unhealthy rename pause unpause health_status:unhealthy died remove",
	} {
		var got []string
		for _, l := range recorded(t, "podman-"+version+"-events.jsonl") {
			ev, err := parseEvent([]byte(l))
			if err != nil {
				t.Fatal(err)
			}
			if ev.health != "" {
				ev.action += ":" + ev.health
			}
			if ev.action != "" {
				got = append(got, ev.action)
				if len(ev.id) != 64 {
					t.Errorf("%s of %q", ev.action, ev.id)
				}
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("Podman %s: %s", version, s)
		}
	}
}

// watching runs Watch in a bubble and gives how often it called changed.
func watching(t *testing.T, h *host, s fleet.State) (*Engines, *atomic.Int32, <-chan error, context.CancelFunc) {
	e := h.engines()
	if f := e.Read(t.Context(), probed(s)); !f.Current() {
		t.Fatal(f.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var calls atomic.Int32
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(ctx, func() { calls.Add(1) }) }()
	time.Sleep(time.Second)
	synctest.Wait()
	return e, &calls, ended, cancel
}

func TestWatchTellsChangesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newPodman(t, "5.4.2")
		h.sockets[rootSocket] = srv
		e, calls, ended, cancel := watching(t, h, state(rootSock))
		if n := calls.Swap(0); n != 1 {
			t.Errorf("%d calls when it began to listen", n)
		}
		// A container is replaced: many events at once, one change.
		for _, l := range recorded(t, "podman-5.4.2-events.jsonl")[:4] {
			srv.stream <- l
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := calls.Swap(0); n != 1 {
			t.Errorf("%d calls for one storm", n)
		}
		// Health checks tell the same again and again.
		const check = `{"Type":"container","Action":"health_status","HealthStatus":"healthy","Actor":{"ID":"6e0b693469934dc1caeb2fb69c4ad99e2a28b0fa9ec4b10fcbc4fae93c2ecd3f"}}`
		const run = `{"Type":"container","Action":"exec_died","Actor":{"ID":"6e0b693469934dc1caeb2fb69c4ad99e2a28b0fa9ec4b10fcbc4fae93c2ecd3f"}}`
		for range 20 {
			srv.stream <- check
			srv.stream <- run
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := calls.Swap(0); n > 1 {
			t.Errorf("%d calls for health checks that tell nothing new", n)
		}
		srv.stream <- strings.Replace(check, `"healthy"`, `"unhealthy"`, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := calls.Swap(0); n != 1 {
			t.Errorf("%d calls when it became unhealthy", n)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		e.Close()
	})
}

// TestWatchIsNoFasterThan100ms.
func TestWatchIsNoFasterThan100ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newPodman(t, "5.4.2")
		h.sockets[rootSocket] = srv
		e, calls, _, _ := watching(t, h, state(rootSock))
		calls.Store(0)
		line := recorded(t, "podman-5.4.2-events.jsonl")[0]
		for range 1000 { // a crash loop: 1 s
			srv.stream <- line
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if n := calls.Load(); n < 5 || n > 11 {
			t.Errorf("%d calls in one second", n)
		}
		e.Close()
	})
}

// TestKnownHealthIsNoChange: what the list told is not told again by an event.
func TestKnownHealthIsNoChange(t *testing.T) {
	p := newPodmanAPI(nil, "")
	p.note([]fleet.Container{{ID: "a", Health: "healthy"}})
	for _, c := range []struct {
		ev   event
		want bool
	}{
		{event{"health_status", "a", "healthy"}, false},
		{event{"health_status", "a", "unhealthy"}, true},
		{event{"health_status", "a", "unhealthy"}, false},
		{event{"health_status", "b", "starting"}, true}, // not seen in a list yet
		{event{"health_status", "b", "starting"}, false},
		{event{"died", "b", ""}, true},
	} {
		if got := p.matters(c.ev); got != c.want {
			t.Errorf("%+v: %v", c.ev, got)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(h *host, e *Engines, srv *podmanServer)
		want string
	}{
		"the stream breaks": {func(_ *host, _ *Engines, srv *podmanServer) { close(srv.stream) }, "the stream of events ended"},
		"rubbish comes":     {func(_ *host, _ *Engines, srv *podmanServer) { srv.stream <- "<html>" }, "this is no event"},
		"an endless line":   {func(_ *host, _ *Engines, srv *podmanServer) { srv.stream <- strings.Repeat(" ", 2*maxLine) }, "larger than its limit"},
		"it is closed":      {func(_ *host, e *Engines, _ *podmanServer) { e.Close() }, "context canceled"},
		"another engine came": {func(h *host, e *Engines, _ *podmanServer) {
			e.Read(context.Background(), probed(state(rootSock, adaSock)))
		}, "other container engines"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				srv := newPodman(t, "5.4.2")
				h.sockets[rootSocket], h.sockets[adaSock.Path] = srv, newPodman(t, "4.3.1")
				e, _, ended, _ := watching(t, h, state(rootSock))
				c.do(h, e, srv)
				if err := <-ended; err == nil || !strings.Contains(err.Error(), c.want) {
					t.Error(err)
				}
				e.Close()
			})
		})
	}
}

func TestWatchBeforeRead(t *testing.T) {
	if err := newHost(t).engines().Watch(t.Context(), func() {}); !errors.Is(err, errNotRead) {
		t.Error(err)
	}
}

func TestWatchDocker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		events := make(chan string)
		h.sockets[dockerSock.Path] = dockerServer(t, events)
		e, calls, ended, cancel := watching(t, h, state(dockerSock))
		if n := calls.Swap(0); n != 1 {
			t.Errorf("%d calls when it began to listen", n)
		}
		events <- `{"Type":"container","Action":"die","Actor":{"ID":"x"}}`
		time.Sleep(time.Second)
		synctest.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
		cancel()
		<-ended
		e.Close()
	})
}

// TestStreamsLeaveSessions: through commands there are only a few streams,
// and an engine that gets none is still read.
func TestStreamsLeaveSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.reach = fleet.Reach{State: fleet.Up, User: "ben", Root: "sudo"}
		sockets := []fleet.Socket{}
		for _, p := range []string{"/run/user/1/podman/podman.sock", "/run/user/2/podman/podman.sock", "/run/user/3/podman/podman.sock", "/run/user/4/podman/podman.sock", "/run/user/5/podman/podman.sock"} {
			h.sockets[p], h.closed[p] = newPodman(t, "4.3.1"), true
			sockets = append(sockets, fleet.Socket{Path: p})
		}
		e := h.engines()
		f := e.Read(t.Context(), probed(state(sockets...)))
		if f.Err != "" {
			t.Fatal(f.Err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Watch(ctx, func() {}) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(e.streams); n != maxStreams {
			t.Errorf("%d streams", n)
		}
		select {
		case err := <-ended:
			t.Error("ended:", err)
		default:
		}
		cancel()
		<-ended
		synctest.Wait()
		if n := len(e.streams); n != 0 {
			t.Errorf("%d places not given back", n)
		}
		e.Close()
	})
}
