//go:build lab

package services

import (
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// blockyOfTheLab is the real Blocky of the lab's router.
func blockyOfTheLab(t *testing.T, l link.Link) fleet.DNSServer {
	t.Helper()
	f, _ := DNS(t.Context(), l, hostState(t, l))
	for _, d := range f.Value {
		if d.Key() == "blocky/blocky.service" {
			return d
		}
	}
	t.Fatalf("%+v", f)
	return fleet.DNSServer{}
}

// TestBlockyOfTheLab: it is found by its configuration, which keeps its secrets; it is
// paused, resumed and asked, and told as it is.
func TestBlockyOfTheLab(t *testing.T) {
	l := labtest.Load(t).Link(t, "router")
	labtest.Output(t, l, "systemctl", "restart", "blocky") // its statistics are of now
	d := answering(t, l)
	for _, want := range []struct{ name, kind, reason, response string }{
		{"ads.example.com", "BLOCKED", "BLOCKED (ads: ads.example.com)", "A (0.0.0.0)"},
		{"storage.lab.example.com", "CUSTOMDNS", "CUSTOM DNS", "A (10.77.0.11)"},
	} {
		if a, err := AskName(t.Context(), l, d, want.name, "A"); err != nil || a.Kind != want.kind || a.Reason != want.reason || a.Response != want.response {
			t.Errorf("%+v %v", a, err)
		}
	}
	if a, err := AskName(t.Context(), l, d, "elsewhere.example.org", "A"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("of a name that nobody knows: %+v %v", a, err)
	}
	d = blockyOfTheLab(t, l)
	if d.Err != "" || d.Address != "127.0.0.1:4000" || d.Version != "v0.34.0" || !d.Blocking.Enabled || d.NoLists != "" || d.Lists == nil || d.Lists.Period.Duration() != 24*time.Hour || d.Lists.Entries() != 2 || d.Lists.Failing() {
		t.Fatalf("%+v", d)
	}
	if s := d.Stats; s == nil || s.Source != "stats" || s.Queries != 3 || s.Blocked != 1 || s.Errors != 1 || len(s.TopBlocked) != 1 || s.TopBlocked[0] != (fleet.NameCount{Name: "ads.example.com", Count: 1}) || len(s.TopClients) != 1 {
		t.Errorf("%+v", s)
	}
	if told := askDNS(t.Context(), l, hostState(t, l)); told.err != nil || strings.Contains(strings.Join(told.lines["blocky"], "\n"), "secret") || len(told.lines["blocky"]) == 0 {
		t.Errorf("%+v", told)
	}
	b, err := PauseBlocking(t.Context(), l, d, 3*time.Second, nil)
	if err != nil || b.Enabled || b.Until.IsZero() {
		t.Errorf("%+v %v", b, err)
	}
	if len(b.Groups) > 0 {
		t.Errorf("all are off, told are %q", b.Groups)
	}
	if a, err := AskName(t.Context(), l, d, "ads.example.com", "A"); err == nil && a.Kind == "BLOCKED" {
		t.Errorf("while it is paused: %+v", a)
	}
	time.Sleep(3200 * time.Millisecond)
	if d = blockyOfTheLab(t, l); !d.Blocking.Enabled {
		t.Errorf("after the pause: %+v", d.Blocking)
	}
	if _, err := PauseBlocking(t.Context(), l, d, time.Minute, []string{"nope"}); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("%v", err)
	}
	labtest.Output(t, l, "curl", "-fsS", "http://127.0.0.1:4000/api/blocking/disable")
	if d = blockyOfTheLab(t, l); d.Blocking.Enabled || !d.Blocking.Until.IsZero() || len(d.Blocking.Groups) > 0 {
		t.Errorf("off without an end: %+v", d.Blocking)
	}
	if b, err = ResumeBlocking(t.Context(), l, d); err != nil || !b.Enabled {
		t.Errorf("%+v %v", b, err)
	}
	if a, err := AskName(t.Context(), l, d, "ads.example.com", "A"); err != nil || a.Kind != "BLOCKED" {
		t.Errorf("%+v %v", a, err)
	}
}

// answering waits until it runs and has its lists.
func answering(t *testing.T, l link.Link) fleet.DNSServer {
	t.Helper()
	for began := time.Now(); ; time.Sleep(300 * time.Millisecond) {
		d := blockyOfTheLab(t, l)
		if d.Lists != nil && d.Lists.Entries() > 0 {
			return d
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%+v", d)
		}
	}
}

// TestRefreshInTheLab: of a refresh whose answer the server cuts off it is told what its
// metrics do, of one that it answers how many attempts to download failed, and of one
// that fails why, without the token in the address of its list.
func TestRefreshInTheLab(t *testing.T) {
	l := labtest.Load(t).Link(t, "router")
	defer labtest.Output(t, l, "sh", "-c", "rm -f /etc/lab/blocky/slow /etc/lab/blocky/failing; systemctl restart blocky")
	labtest.Output(t, l, "systemctl", "restart", "blocky")
	d := answering(t, l)
	labtest.Output(t, l, "sh", "-c", "echo 24 >/etc/lab/blocky/slow")
	var said []string
	began := time.Now()
	out, err := RefreshLists(t.Context(), l, d, func(line string) { said = append(said, line) })
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "whether all groups are done is not known: a group or more were made anew") || took < 40*time.Second {
		t.Errorf("%q %v after %s; said %q", out, err, took, said)
	}
	labtest.Output(t, l, "sh", "-c", "echo 1 >/etc/lab/blocky/slow; echo 2 >/etc/lab/blocky/failing")
	if out, err = RefreshLists(t.Context(), l, d, func(string) {}); err != nil || !strings.HasPrefix(out, "the lists were refreshed: ") || !strings.HasSuffix(out, "(2 attempts to download failed)") {
		t.Errorf("%q %v", out, err)
	}
	if d = blockyOfTheLab(t, l); d.Lists == nil || d.Lists.Failed != 2 || d.Lists.Entries() != 2 {
		t.Errorf("%+v", d.Lists)
	}
	labtest.Output(t, l, "sh", "-c", "echo 99 >/etc/lab/blocky/failing")
	if out, err = RefreshLists(t.Context(), l, d, func(string) {}); err == nil || !strings.Contains(err.Error(), "failed to refresh") || strings.Contains(err.Error(), "lab-secret") {
		t.Errorf("%q %v", out, err)
	}
	if d = blockyOfTheLab(t, l); d.Lists == nil || d.Lists.Failed != 5 || d.Lists.Entries() != 2 || !d.Lists.Failing() {
		t.Errorf("what was there stays: %+v", d.Lists)
	}
	labtest.Output(t, l, "systemctl", "stop", "blocky")
	if d = blockyOfTheLab(t, l); !d.None || d.Err == "" {
		t.Errorf("stopped: %+v", d)
	}
}

// TestNamesOfTheLab: the real avahi of storage publishes its name; its title tells it.
func TestNamesOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	for host, want := range map[string]bool{"storage": true, "r2s": true, "vault": false} {
		l := lab.Link(t, host)
		st := hostState(t, l)
		began := time.Now()
		_, f := DNS(t.Context(), l, st)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", host, took)
		}
		switch {
		case !want:
			if !f.None {
				t.Errorf("%s: %+v", host, f)
			}
		case !f.Current() || len(f.Value) != 1 || f.Value[0].Name != host+".local" || f.Value[0].Publishes == nil || !*f.Value[0].Publishes || f.Value[0].Conflict:
			t.Errorf("%s: %+v", host, f)
		}
	}
}
