package podman

import (
	"encoding/json"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestStatsOfPodman(t *testing.T) {
	for _, version := range []string{"5.4.2", "4.3.1"} {
		before := map[string]sample{}
		var all [][]fleet.ContainerStats
		for _, l := range recorded(t, "podman-"+version+"-stats.jsonl") {
			s, err := parseStats([]byte(l), before, 25276502016, time.Unix(0, 0).UTC())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		golden(t, "podman-"+version+"-stats", all)
	}
}

func TestStatsAreCoresBetweenTwoReadings(t *testing.T) {
	before := map[string]sample{}
	at := time.Now()
	line := `{"Error":null,"Stats":[{"ContainerID":"a","CPU":12.5,"CPUNano":1000000000,"SystemNano":5000000000,"MemUsage":10,"MemLimit":100}]}`
	s, _ := parseStats([]byte(line), before, 1000, at)
	if s[0].CPU != 0.125 || s[0].MemLimit != 100 || s[0].At != at {
		t.Errorf("first %+v", s[0])
	}
	s, _ = parseStats([]byte(strings.NewReplacer("1000000000", "4000000000", "5000000000", "7000000000").Replace(line)), before, 100, at)
	if s[0].CPU != 1.5 || s[0].MemLimit != 0 { // the limit is all the host has: none
		t.Errorf("second %+v", s[0])
	}
	s, _ = parseStats([]byte(line), before, 100, at) // counters that went back: it was started anew
	if s[0].CPU != 0 || math.IsNaN(s[0].CPU) {
		t.Errorf("third %+v", s[0])
	}
}

func TestStatsErrors(t *testing.T) {
	for _, l := range []string{`{"Error":{},"Stats":null}`, `<html>`, `{"Stats":[{"CPUNano":-1}]}`} {
		if s, err := parseStats([]byte(l), map[string]sample{}, 0, time.Now()); err == nil {
			t.Errorf("%s: %+v", l, s)
		}
	}
}

func TestStatsOfDocker(t *testing.T) {
	var r container.StatsResponse
	if err := json.Unmarshal(fixture(t, "docker-20.10-stats.json"), &r); err != nil {
		t.Fatal(err)
	}
	golden(t, "docker-20.10-stats", dockerStats(&r, map[string]sample{}, 25276502016, time.Unix(0, 0).UTC()))
}

// readings gathers what Stats calls out with.
type readings struct {
	mu    sync.Mutex
	lists [][]fleet.ContainerStats
}

func (r *readings) add(s []fleet.ContainerStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists = append(r.lists, s)
}

func (r *readings) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lists)
}

const (
	hostile  = "2fec69e773f085bc46daf2b4d40376c665b87882b5e7c2b84e327c4d1b3fdbec"
	handmade = "e0e096a8c1cf9351987b4df72c0fe77e7bbb0dc768b8391d03b8cc8de2115848"
	finished = "bbcfb399bc7012fbfe95b760b2902482334d9220f64f35ceb799d450de9c2d52"
	plex     = "084b5894a697634d849bc8d9cd9326a0090ddb4acf1541c854213fba832b7584"
)

func TestStatsStreamForWhatIsOnScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newPodman(t, "5.4.2")
		h.sockets[rootSocket] = srv
		h.sockets[dockerSock.Path] = dockerServer(t, nil)
		e := h.engines()
		e.Read(t.Context(), probed(state(rootSock, dockerSock)))
		var got readings
		ended := make(chan error, 1)
		go func() { ended <- e.Stats(t.Context(), []string{hostile, finished, plex, "gone"}, got.add) }()
		time.Sleep(100 * time.Millisecond)
		srv.stats <- recorded(t, "podman-5.4.2-stats.jsonl")[0]
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := got.count(); n < 5 || n > 7 { // one of Podman's, Docker's every 2 s
			t.Errorf("%d readings", n)
		}
		srv.mu.Lock()
		asked := strings.Join(srv.asked, " ")
		srv.mu.Unlock()
		if !strings.Contains(asked, "containers="+hostile) || strings.Contains(asked, finished) || strings.Contains(asked, "gone") {
			t.Errorf("asked for %s", asked)
		}
		for _, l := range got.lists {
			if s := l[0]; s.ID == plex && s.CPU <= 0 {
				t.Errorf("plex uses nothing: %+v", s)
			}
		}
		e.Close()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Error(err)
		}
	})
}

// TestStatsGoOnWithoutOneThatEnded: Podman ends the whole stream then.
func TestStatsGoOnWithoutOneThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		srv := newPodman(t, "5.4.2")
		h.sockets[rootSocket] = srv
		e := h.engines()
		e.Read(t.Context(), probed(state(rootSock)))
		var got readings
		ended := make(chan error, 1)
		go func() { ended <- e.Stats(t.Context(), []string{hostile, handmade}, got.add) }()
		time.Sleep(time.Second)
		srv.mu.Lock()
		srv.containers = []byte(strings.ReplaceAll(string(srv.containers), handmade, strings.Repeat("0", 64)))
		srv.mu.Unlock()
		srv.stats <- `{"Error":{},"Stats":null}`
		time.Sleep(time.Second)
		synctest.Wait()
		srv.stats <- recorded(t, "podman-5.4.2-stats.jsonl")[0]
		time.Sleep(time.Second)
		synctest.Wait()
		if got.count() != 1 {
			t.Errorf("%d readings", got.count())
		}
		srv.mu.Lock()
		srv.containers = []byte("[]")
		srv.mu.Unlock()
		srv.stats <- `{"Error":{},"Stats":null}`
		if err := <-ended; err != nil { // none is left: no error
			t.Error(err)
		}
		e.Close()
	})
}

func TestStatsOfNothing(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	e := h.engines()
	e.Read(t.Context(), probed(state(rootSock)))
	if err := e.Stats(t.Context(), []string{finished, "../../x"}, func([]fleet.ContainerStats) { t.Error("called") }); err != nil {
		t.Error(err)
	}
}

// TestManyAreMeasuredMoreSeldom: what measuring costs a host does not grow with what
// is on the screen.
func TestManyAreMeasuredMoreSeldom(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 2 * time.Second, 16: 2 * time.Second, 17: 3 * time.Second, 200: 25 * time.Second} {
		if got := statsEvery(n); got != want {
			t.Errorf("%d: every %s, want %s", n, got, want)
		}
	}
}
