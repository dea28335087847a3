package discover

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// recorded is how many nodes the recorded status has.
const recorded = 18

// daemon is the part of tailscaled's LocalAPI that is asked, on a real socket:
// a recorded status, and a watch that a test can write to.
type daemon struct {
	socket string
	server *http.Server
	mu     sync.Mutex
	status map[string]any
	code   int
	notes  []chan string
	asked  int
}

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{socket: filepath.Join(dir, "s"), code: 200}
	if err := json.Unmarshal(readFile(t, "testdata/status-lab.json"), &d.status); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	t.Cleanup(d.stop)
	return d
}

func (d *daemon) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/localapi/v0/status", d.serveStatus)
	mux.HandleFunc("/localapi/v0/watch-ipn-bus", d.serveWatch)
	mux.HandleFunc("POST /localapi/v0/ping", servePing)
	d.server = &http.Server{Handler: mux}
	go d.server.Serve(l)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}}}
	res, err := client.Get("http://local-tailscaled.sock/") // it serves from here on
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func (d *daemon) stop() { d.server.Close() }

func (d *daemon) serveStatus(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	w.WriteHeader(d.code)
	_ = json.NewEncoder(w).Encode(d.status)
}

// servePing has those with an even address be reached directly, the others by a relay.
func servePing(w http.ResponseWriter, r *http.Request) {
	res := map[string]any{"IP": r.FormValue("ip"), "LatencySeconds": 0.002, "DERPRegionCode": "lab"}
	if last := r.FormValue("ip"); (last[len(last)-1]-'0')%2 == 0 {
		res = map[string]any{"IP": last, "LatencySeconds": 0.001, "Endpoint": "10.77.0.1:41641"}
	}
	_ = json.NewEncoder(w).Encode(res)
}

func (d *daemon) serveWatch(w http.ResponseWriter, r *http.Request) {
	if d.code != 200 {
		http.Error(w, "watch ipn bus access denied", d.code)
		return
	}
	lines := make(chan string, 10)
	d.mu.Lock()
	d.notes = append(d.notes, lines)
	d.mu.Unlock()
	_, _ = io.WriteString(w, `{"Version":"1.102.5","SessionID":"x","State":6}`+"\n")
	for {
		w.(http.Flusher).Flush()
		select {
		case line := <-lines:
			_, _ = io.WriteString(w, line+"\n")
		case <-r.Context().Done():
			return
		}
	}
}

// change changes the status and tells the watchers with a line of the bus.
func (d *daemon) change(line string, change func(status map[string]any)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d.status)
	for _, n := range d.notes {
		select {
		case n <- line:
		default:
		}
	}
}

// peer finds a peer of the recorded status by its host name.
func peer(status map[string]any, name string) map[string]any {
	for _, p := range status["Peer"].(map[string]any) {
		if p := p.(map[string]any); p["HostName"] == name {
			return p
		}
	}
	return nil
}

// emission is one call of emit.
type emission struct {
	list []Sighting
	err  error
	at   time.Time
}

// watch runs a source and gives what it tells; the goroutines end with the test.
func watch(t *testing.T, s Source) <-chan emission {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done := make(chan emission, 100), make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, func(list []Sighting, err error) { out <- emission{list, err, time.Now()} })
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("Watch did not return")
		}
	})
	return out
}

func next(t *testing.T, from <-chan emission) emission {
	t.Helper()
	select {
	case e := <-from:
		return e
	case <-time.After(5 * time.Second):
		t.Fatal("nothing was told")
		return emission{}
	}
}

func find(list []Sighting, name string) *Sighting {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

func leaks(t *testing.T) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

func TestTailnetChanges(t *testing.T) {
	leaks(t)
	d := startDaemon(t)
	told := watch(t, &tailnet{socket: d.socket})
	if e := next(t, told); e.err != nil || len(e.list) != recorded || !find(e.list, "cloud").Presence.Value.Online {
		t.Fatalf("at first: %d, %v", len(e.list), e.err)
	}
	for _, c := range []struct {
		name   string
		line   string
		change func(map[string]any)
		check  func([]Sighting) bool
	}{
		{
			"goes offline", `{"Version":"x","PeerChangedPatch":[{"NodeID":12,"Online":false}]}`,
			func(st map[string]any) { peer(st, "cloud")["Online"] = false },
			func(l []Sighting) bool { return !find(l, "cloud").Presence.Value.Online },
		},
		{
			"is renamed", `{"Version":"x","PeersChanged":[{"ID":12}]}`,
			func(st map[string]any) { peer(st, "cloud")["DNSName"] = "basestar.lab.ts.net." },
			func(l []Sighting) bool {
				return find(l, "basestar") != nil && find(l, "basestar").NodeID == "nlab12CNTRL" && find(l, "cloud") == nil
			},
		},
		{
			"leaves, told by an odd message of another version", `{"Version":7,"PeersRemoved":"all of them"}`,
			func(st map[string]any) {
				for k, p := range st["Peer"].(map[string]any) {
					if p.(map[string]any)["HostName"] == "r2s" {
						delete(st["Peer"].(map[string]any), k)
					}
				}
			},
			func(l []Sighting) bool { return find(l, "r2s") == nil && len(l) == recorded-1 },
		},
	} {
		began := time.Now()
		d.change(c.line, c.change)
		if e := next(t, told); e.err != nil || !c.check(e.list) {
			t.Fatalf("%s: %v %+v", c.name, e.err, e.list)
		} else if late := e.at.Sub(began); late > 2*time.Second {
			t.Errorf("%s: told after %v", c.name, late)
		}
	}
}

func TestTailnetGathersNotices(t *testing.T) {
	leaks(t)
	d := startDaemon(t)
	told := watch(t, &tailnet{socket: d.socket})
	next(t, told)
	d.mu.Lock()
	before := d.asked
	d.mu.Unlock()
	for range 50 {
		d.change(`{"PeersChanged":[{"ID":12}]}`, func(map[string]any) {})
		time.Sleep(5 * time.Millisecond)
	}
	select {
	case e := <-told:
		t.Errorf("told again though nothing changed: %v", e.err)
	case <-time.After(600 * time.Millisecond):
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.asked - before; n < 1 || n > 5 {
		t.Errorf("50 notices asked %d times", n)
	}
}

func TestTailnetRestart(t *testing.T) {
	leaks(t)
	d := startDaemon(t)
	told := watch(t, &tailnet{socket: d.socket})
	next(t, told)
	d.stop()
	if e := next(t, told); e.err == nil {
		t.Fatal("the daemon is gone and nothing is wrong")
	}
	time.Sleep(300 * time.Millisecond)
	d.start(t)
	for e := next(t, told); ; e = next(t, told) {
		if e.err == nil && len(e.list) == recorded {
			return
		}
	}
}

func TestTailnetTroubles(t *testing.T) {
	state := func(s string) func(*daemon) { return func(d *daemon) { d.status["BackendState"] = s } }
	for _, c := range []struct {
		name      string
		change    func(*daemon)
		err, help string
	}{
		{"logged out", state("NeedsLogin"), "logged out", "tailscale up"},
		{"turned off", state("Stopped"), "turned off", "tailscale up"},
		{"to be approved", state("NeedsMachineAuth"), "approved", "admin console"},
		{"another user's", state("InUseOtherUser"), "another user", "log that user out"},
		{"some new state", state("Sleeping"), `"Sleeping"`, "tailscale status"},
		{"forbidden", func(d *daemon) { d.code = 403 }, "not allowed", "--operator"},
		{"broken", func(d *daemon) { d.code = 500 }, "asking tailscaled", "tailscale status"},
		{"gone", func(d *daemon) { d.stop() }, "no tailscaled at", "path"},
		{"dead socket", func(d *daemon) {
			d.stop()
			l, err := net.Listen("unix", d.socket)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				l.Close()
			}
		}, "not running", "systemctl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaks(t)
			d := startDaemon(t)
			c.change(d)
			e := next(t, watch(t, &tailnet{socket: d.socket}))
			trouble := (*Trouble)(nil)
			if !errors.As(e.err, &trouble) || !strings.Contains(trouble.Error(), c.err) || !strings.Contains(trouble.Help, c.help) || e.list != nil {
				t.Errorf("got %v, %+v", e.err, trouble)
			}
		})
	}
}

// A daemon that starts is waited for; it is no trouble.
func TestTailnetStarting(t *testing.T) {
	leaks(t)
	d := startDaemon(t)
	d.status["BackendState"] = "Starting"
	told := watch(t, &tailnet{socket: d.socket})
	select {
	case e := <-told:
		t.Fatalf("told too early: %v", e)
	case <-time.After(300 * time.Millisecond):
	}
	d.change(`{"State":6}`, func(st map[string]any) { st["BackendState"] = "Running" })
	if e := next(t, told); e.err != nil || len(e.list) != recorded {
		t.Errorf("%v, %d", e.err, len(e.list))
	}
}
