package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		lists := srv.count("/containers/json")
		// A container is replaced: many events at once, one change, of which one thing is asked.
		for _, l := range recorded(t, "podman-5.4.2-events.jsonl")[:4] {
			srv.stream <- l
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n, some := calls.Swap(0), srv.count("filters=%7B%22id%22"); n != 1 || some != 1 || srv.count("/containers/json") != lists+1 {
			t.Errorf("%d calls for one storm, %d lists of some, %d in all", n, some, srv.count("/containers/json"))
		}
		lists = srv.count("/containers/json")
		// Health checks tell the same again and again.
		const check = `{"Type":"container","Action":"health_status","HealthStatus":"healthy","Actor":{"ID":"6e0b693469934dc1caeb2fb69c4ad99e2a28b0fa9ec4b10fcbc4fae93c2ecd3f"}}`
		const run = `{"Type":"container","Action":"exec_died","Actor":{"ID":"6e0b693469934dc1caeb2fb69c4ad99e2a28b0fa9ec4b10fcbc4fae93c2ecd3f"}}`
		for range 20 {
			srv.stream <- check
			srv.stream <- run
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := calls.Swap(0); n > 1 || srv.count("/containers/json") > lists+1 {
			t.Errorf("%d calls for health checks that tell nothing new", n)
		}
		srv.stream <- strings.Replace(check, `"healthy"`, `"unhealthy"`, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := calls.Swap(0); n != 1 {
			t.Errorf("%d calls when it became unhealthy", n)
		}
		// Nothing happens: no list is read, but what is known is known to be so.
		lists = srv.count("/containers/json")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if f := e.Fact(); srv.count("/containers/json") != lists || f.Age(time.Now()) > heartbeat || !f.Current() {
			t.Errorf("%d lists in 20 quiet minutes; what is known is %s old: %s", srv.count("/containers/json")-lists, f.Age(time.Now()), f.Err)
		}
		time.Sleep(safety)
		synctest.Wait()
		if n := srv.count("/containers/json") - lists; n != 1 {
			t.Errorf("%d lists for safety", n)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		e.Close()
	})
}

// gone is an event of a container that is no more.
func gone(id string) string {
	return `{"Type":"container","Action":"remove","Actor":{"ID":"` + id + `"}}`
}

// TestWatchReadsWhatHappened: only the containers concerned are read again, those
// that are gone are dropped, and of many the whole list is read.
func TestWatchReadsWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newPodman(t, "5.4.2")
		h.sockets[rootSocket] = srv
		e, _, _, cancel := watching(t, h, state(rootSock))
		var all []map[string]any
		if err := json.Unmarshal(srv.containers, &all); err != nil || len(all) < 3 {
			t.Fatal(len(all), err)
		}
		all[1]["State"] = "paused"
		all[2]["State"] = "paused" // of which nothing is told
		less, _ := json.Marshal(all[1:])
		srv.set(less)
		first, second, third := all[0]["Id"].(string), all[1]["Id"].(string), all[2]["Id"].(string)
		srv.stream <- gone(first)
		srv.stream <- strings.Replace(gone(second), "remove", "pause", 1)
		time.Sleep(time.Second)
		synctest.Wait()
		states := func() map[string]string {
			out := map[string]string{}
			for _, c := range e.Fact().Value {
				out[c.ID] = c.State
			}
			return out
		}
		if s := states(); len(s) != len(all)-1 || s[first] != "" || s[second] != "paused" || s[third] == "paused" {
			t.Errorf("%v", s)
		}
		some := srv.count("filters=")
		for i := range maxSome + 1 {
			srv.stream <- gone(fmt.Sprintf("%064x", i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := states(); srv.count("filters=") != some || s[third] != "paused" {
			t.Errorf("of many: %v", s)
		}
		cancel()
		e.Close()
	})
}

// TestSocketThatGoesAndComes: what was known is unknown with its age as soon as
// the socket is gone, and live again soon after it is back; the other engine's
// containers are live meanwhile.
func TestSocketThatGoesAndComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv, ada := newPodman(t, "5.4.2"), newPodman(t, "4.3.1")
		h.sockets[rootSocket], h.sockets[adaSock.Path] = srv, ada
		e, calls, _, cancel := watching(t, h, state(rootSock, adaSock))
		for _, away := range []time.Duration{3 * time.Second, 10 * time.Minute} {
			began := time.Now()
			h.listen(rootSocket, nil)
			close(srv.stream)
			srv.mu.Lock()
			srv.stream = make(chan string)
			srv.mu.Unlock()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			f := e.Fact()
			if f.Current() || !f.HasValue() || !strings.Contains(f.Err, "Podman (/run/podman/podman.sock)") || f.At.After(began) {
				t.Errorf("2 s after it went: %d, of %s: %s", len(f.Value), f.At, f.Err)
			}
			time.Sleep(away)
			synctest.Wait()
			calls.Store(0)
			ada.stream <- gone("6e0b693469934dc1caeb2fb69c4ad99e2a28b0fa9ec4b10fcbc4fae93c2ecd3f")
			time.Sleep(time.Second)
			synctest.Wait()
			if calls.Load() == 0 {
				t.Error("of the other nothing is told any more")
			}
			h.listen(rootSocket, srv)
			time.Sleep(2 * time.Second)
			if away > awayLong {
				time.Sleep(retryLate)
			}
			synctest.Wait()
			if f := e.Fact(); !f.Current() {
				t.Errorf("back for 2 s, after %s: %s", away, f.Err)
			}
		}
		cancel()
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
	p.note([]fleet.Container{{ID: "a", Health: "healthy"}}, nil)
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

// TestWatchGoesOn: a stream that breaks or tells rubbish is begun again.
func TestWatchGoesOn(t *testing.T) {
	for name, do := range map[string]func(srv *podmanServer){
		"the stream breaks": func(srv *podmanServer) {
			srv.mu.Lock()
			defer srv.mu.Unlock()
			close(srv.stream)
			srv.stream = make(chan string)
		},
		"rubbish comes":   func(srv *podmanServer) { srv.stream <- "<html>" },
		"an endless line": func(srv *podmanServer) { srv.stream <- strings.Repeat(" ", 2*maxLine) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				srv := newPodman(t, "5.4.2")
				h.sockets[rootSocket] = srv
				e, _, ended, cancel := watching(t, h, state(rootSock))
				streams := srv.count("/events")
				do(srv)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if n := srv.count("/events"); n != streams+1 || !e.Fact().Current() {
					t.Errorf("%d streams, then %d; %s", streams, n, e.Fact().Err)
				}
				cancel()
				<-ended
				e.Close()
			})
		})
	}
}

func TestWatchEnds(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(e *Engines)
		want error
	}{
		"it is closed": {func(e *Engines) { e.Close() }, context.Canceled},
		"another engine came": {func(e *Engines) {
			e.Read(context.Background(), probed(state(rootSock, adaSock)))
		}, ErrOthers},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				h.sockets[rootSocket], h.sockets[adaSock.Path] = newPodman(t, "5.4.2"), newPodman(t, "4.3.1")
				e, _, ended, _ := watching(t, h, state(rootSock))
				c.do(e)
				if err := <-ended; !errors.Is(err, c.want) {
					t.Error(err)
				}
				e.Close()
			})
		})
	}
}

func TestWatchBeforeRead(t *testing.T) {
	if err := newHost(t).engines().Watch(t.Context(), func() {}); !errors.Is(err, ErrNotRead) {
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
