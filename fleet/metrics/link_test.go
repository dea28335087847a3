package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLink is a host whose port 19999 is a server of the test, or closed.
type fakeLink struct {
	link.Link
	host   fleet.Host
	server *httptest.Server
	dial   func(context.Context) (net.Conn, error) // in place of the server
}

func (f fakeLink) Host() fleet.Host { return f.host }

func (f fakeLink) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if network != "tcp" || addr != address {
		return nil, fmt.Errorf("dialled %s %s", network, addr)
	}
	switch {
	case f.dial != nil:
		return f.dial(ctx)
	case f.server == nil:
		return nil, fmt.Errorf("%w: %s on %s: Connection refused", link.ErrForbidden, addr, f.host.Name)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", f.server.Listener.Addr().String())
}

func (f fakeLink) Start(ctx context.Context, cmd link.Command) (link.Process, error) {
	c := exec.CommandContext(ctx, cmd.Args[0], cmd.Args[1:]...)
	c.WaitDelay = time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &fakeProcess{ReadCloser: out, cmd: c}, c.Start()
}

type fakeProcess struct {
	io.ReadCloser
	cmd *exec.Cmd
}

func (p *fakeProcess) Wait() (link.Result, error) { return link.Result{}, p.cmd.Wait() }
func (p *fakeProcess) Close() error {
	_ = p.cmd.Process.Kill()
	_ = p.ReadCloser.Close()
	_ = p.cmd.Wait()
	return nil
}

// serve starts a server for one test.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func host(name string, s *httptest.Server) fakeLink {
	return fakeLink{host: fleet.Host{ID: fleet.HostID("id-" + name), Name: name}, server: s}
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// netdata is a Netdata that says what its map says, by path, as JSON, at the
// time at which the row in the samples was collected.
type netdata struct {
	t     testing.TB
	says  map[string]string // path → sample
	clock time.Time
}

func (n *netdata) handler() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Netdata Embedded HTTP Server v1.37.1")
		w.Header().Set("Date", n.clock.UTC().Format(http.TimeFormat))
		if r.Host != "127.0.0.1:19999" {
			n.t.Errorf("Host header %q", r.Host)
		}
		name, ok := n.says[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "Unsupported API version: v3")
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Write(sample(n.t, name))
	}
}

// v1 is the Netdata on galactica, which is the parent of router.
func v1(t testing.TB) *netdata {
	const router = "/host/36779ef2-e6aa-11f1-8e7c-02fc00000001"
	return &netdata{t: t, clock: time.Unix(1795375367, 0), says: map[string]string{
		"/api/v1/info":                "netdata-1.37-parent-info.json",
		"/api/v1/allmetrics":          "netdata-1.37-allmetrics-filtered.json",
		"/api/v1/alarms":              "netdata-1.37-alarms-raised.json",
		router + "/api/v1/allmetrics": "netdata-1.37-parent-child-allmetrics.json",
		router + "/api/v1/alarms":     "netdata-1.37-alarms-all-excerpt.json",
		router + "/api/v1/data":       "netdata-1.37-parent-child-data-cpu.json",
		"/api/v1/data":                "netdata-1.37-data-cpu.json",
	}}
}

// state is what the probe found on a host.
func state(name string) fleet.State {
	now := time.Now()
	return fleet.State{
		Host:   fleet.Host{ID: fleet.HostID("id-" + name), Name: name},
		System: fleet.Known(fleet.System{Hostname: name}, now, "probe"),
		Proc: fleet.Known(fleet.Proc{
			Before: fleet.Counters{Uptime: 1000, CPUBusy: 100, CPUTotal: 1000},
			After:  fleet.Counters{Uptime: 1001, CPUBusy: 150, CPUTotal: 1200, NetIn: 500},
			Load:   [3]float64{0.1, 0.2, 0.3}, Cores: 2,
			Memory: fleet.Memory{Used: 1 << 30, Total: 24106 * mib},
			Disks:  []fleet.Disk{{Mount: "/", Used: 1, Avail: 9, Total: 10}},
		}, now, "probe"),
		Units: fleet.Known([]fleet.Unit{}, now, "probe"),
	}
}

func probed(st fleet.State) func(context.Context) (fleet.State, error) {
	return func(context.Context) (fleet.State, error) { return st, nil }
}

var errProbe = errors.New("the probe failed")
