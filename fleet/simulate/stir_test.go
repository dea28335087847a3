package simulate

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWhatChangesIsReadWithItsLock: while everything of a host that can change
// is written, all that a host can be asked is asked. What reads without the
// lock is found by the race detector.
func TestWhatChangesIsReadWithItsLock(t *testing.T) {
	f, err := Start(t.Context(), Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, h := range f.hosts {
		var ports []uint32
		for port := range uint32(20000) {
			if h.machine().serves(port) != nil {
				ports = append(ports, port)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var stirs sync.WaitGroup
		stirs.Go(func() {
			for m := h.machine(); ctx.Err() == nil; {
				stir(h, m)
				time.Sleep(50 * time.Microsecond)
			}
		})
		for range 20 { // the moment between two locks is short
			f.Hosts()
			_ = f.KnownHosts()
			askAll(t, h, ports)
		}
		cancel()
		stirs.Wait()
	}
}

// written writes what stands there again.
//
//go:noinline
func written[T any](p *T) {
	v := *p
	*p = v
}

func stir(h *host, m *machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	written(&m.gens)
	written(&m.running)
	written(&m.standard)
	written(&m.booted)
	written(&m.block)
	for _, u := range m.units {
		written(&u.active)
		written(&u.sub)
		written(&u.result)
		written(&u.started)
		written(&u.exited)
		written(&u.next)
	}
	for _, b := range m.boxes {
		written(&b.state)
		written(&b.health)
		written(&b.gone)
		written(&b.made)
		written(&b.imageID)
		written(&b.round)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	written(&h.fault)
	written(&h.login)
	written(&h.port)
}

// askAll runs every program and script of a host, and asks all its services.
func askAll(t *testing.T, h *host, ports []uint32) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // for those that follow
	defer cancel()
	m := h.machine()
	call := Call{
		Context: context.WithoutCancel(ctx), Host: h.role.name, User: "root", Root: true, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, h: h, w: &wire{},
	}
	for _, line := range []string{
		"uname -a", "nixos-version", "readlink /run/current-system", "systemctl list-units", "systemctl show sshd.service", "systemctl list-timers --output=json",
		"journalctl -n 3 -o json", "backup-status", "cat /proc/stat /proc/uptime /proc/net/dev /proc/diskstats /proc/sys/kernel/random/boot_id /etc/services.json",
	} {
		call.line(line)
	}
	call.Context = ctx
	for _, k := range known {
		k.play(call.with([]string{"sh", "1", "2", "3", "4", "5", "6", "7"}))
	}
	var services []service
	for _, port := range ports {
		if s := m.serves(port); s != nil {
			services = append(services, s)
		}
	}
	for _, s := range append(services, &podman{h: h, m: m}, &netdata{h: h, m: m}) {
		for _, path := range []string{
			"/", "/config/", "/metrics", "/healthz", "/api/health", "/api/v1/alerts", "/api/v2/alerts", "/api/v1/info", "/api/v1/charts", "/api/v1/alarms", "/api/v1/allmetrics?filter=*",
			"/api/v1/data?chart=system.uptime", "/info", "/version", "/containers/json?all=true", "/containers/stats?stream=false", "/events?stream=false", "/images/json", "/system/df",
			"/pods/json", "/networks/json", "/volumes/json", "/containers/dex/json", "/containers/dex/logs?tail=3", "/containers/dex/top",
			"/api/blocking/status", "/api/blocking/disable?duration=1s&groups=ads", "/api/blocking/enable", "/api/stats",
		} {
			s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		}
	}
}
