package simulate_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// begin starts a fleet that ends with the test.
func begin(t testing.TB, o simulate.Options) *simulate.Fleet {
	t.Helper()
	f, err := simulate.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// dialer reaches the hosts of a fleet with its key.
func dialer(t testing.TB, f *simulate.Fleet) *link.Dialer {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "id_ed25519"), f.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &link.Dialer{SSHDir: dir}
	t.Cleanup(d.Close)
	return d
}

// soon is a context for what must not take long.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestProbeReadsEveryHost(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1, Hosts: 30})
	d := dialer(t, f)
	for _, h := range f.Hosts() {
		if !h.Presence.Value.Online {
			continue
		}
		facts, err := prober(t).Read(soon(t), d.Open(h))
		if err != nil {
			t.Errorf("%s: %v", h.Name, err)
			continue
		}
		sys := facts.System.Value
		if !sys.NixOS || sys.Hostname != h.Name || sys.Running.Generation == 0 || sys.Booted.Path == "" || sys.Uptime <= 0 || sys.Revision == "" {
			t.Errorf("%s: %+v", h.Name, sys)
		}
		p := facts.Proc.Value
		if p.After.CPUTotal <= p.Before.CPUTotal || p.Memory.Used == 0 || len(p.Disks) == 0 || p.After.NetIn == 0 || p.After.DiskIn == 0 {
			t.Errorf("%s: %+v", h.Name, p)
		}
		if len(facts.Units.Value) < 10 || len(facts.Timers.Value) < 3 || len(facts.Generations.Value) < 2 {
			t.Errorf("%s: %d units, %d timers, %d generations", h.Name, len(facts.Units.Value), len(facts.Timers.Value), len(facts.Generations.Value))
		}
	}
}

// web gives a client that speaks to a service of a host.
func web(l link.Link, network, address string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return l.Dial(ctx, network, address)
	}}}
}

func get(t testing.TB, c *http.Client, url string) []byte {
	t.Helper()
	req, _ := http.NewRequestWithContext(soon(t), http.MethodGet, url, nil)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, resp.Status, err, b)
	}
	return b
}

func TestPodmanAndNetdata(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	storage := d.Open(f.Host("storage"))
	c := web(storage, "unix", "/run/podman/podman.sock")
	defer c.CloseIdleConnections()
	var list []struct{ Names []string }
	if err := json.Unmarshal(get(t, c, "http://d/v5.0.0/libpod/containers/json?all=true"), &list); err != nil || len(list) != 40 {
		t.Errorf("%d containers, %v", len(list), err)
	}
	n := web(storage, "tcp", "127.0.0.1:19999")
	defer n.CloseIdleConnections()
	if b := get(t, n, "http://127.0.0.1:19999/host/cloud/api/v1/data?chart=system.cpu&after=-60&points=6"); strings.Count(string(b), "],[") != 5 {
		t.Errorf("data: %s", b)
	}
	if b := get(t, n, "http://127.0.0.1:19999/api/v1/info"); !strings.Contains(string(b), `"mirrored_hosts":["storage","cloud","vault","cottage"]`) {
		t.Errorf("info: %s", b)
	}
	if _, err := storage.Dial(soon(t), "tcp", "127.0.0.1:1"); err == nil {
		t.Error("a port nobody listens on was opened")
	}
	if _, err := storage.Dial(soon(t), "unix", "/run/nothing.sock"); err == nil {
		t.Error("a socket that is not there was opened")
	}
}

func TestLaptopIsAway(t *testing.T) {
	f := begin(t, simulate.Options{})
	if _, err := dialer(t, f).Open(f.Host("laptop")).Connect(soon(t)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownProgram(t *testing.T) {
	f := begin(t, simulate.Options{})
	res, err := dialer(t, f).Open(f.Host("cloud")).Run(soon(t), link.Command{Args: []string{"frobnicate"}})
	if err != nil || res.Status != 127 || !strings.Contains(string(res.Stderr), "not found") {
		t.Errorf("%+v, %v", res, err)
	}
	_ = fleet.Host{}
}
