package simulate_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/probe"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSameSeedSameWorld: the world does not depend on when or how often it is made.
func TestSameSeedSameWorld(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tell := func(seed uint64) (string, []fleet.Host) {
		f := begin(t, simulate.Options{Seed: seed, Hosts: 12, Now: func() time.Time { return now }})
		d := dialer(t, f)
		var b bytes.Buffer
		for _, name := range []string{"storage", "host-001", "host-003"} {
			facts, err := prober(t).Read(soon(t), d.Open(f.Host(name)))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%+v\n", []any{facts.Units.Value, facts.Generations.Value[0].Path, facts.System.Value.MachineID, facts.Proc.Value})
		}
		return b.String(), f.Hosts()
	}
	one, hosts := tell(1)
	again, _ := tell(1)
	other, _ := tell(2)
	if one != again {
		t.Error("the same seed made another world")
	}
	if one == other {
		t.Error("another seed made the same world")
	}
	for i, h := range hosts {
		if h.Name == "" || h.ID == "" || len(h.HostKeys) != 1 || h.Addresses[0].Port == 0 || h.Presence.At.IsZero() {
			t.Errorf("host %d: %+v", i, h)
		}
	}
}

// TestTimeGoesOn: counters grow, and what is busy changes.
func TestTimeGoesOn(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().Unix())
	f := begin(t, simulate.Options{Seed: 1, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	l := dialer(t, f).Open(f.Host("storage"))
	var last fleet.Proc
	busy := map[int]bool{}
	for i := range 5 {
		facts, err := prober(t).Read(soon(t), l)
		if err != nil {
			t.Fatal(err)
		}
		p := facts.Proc.Value
		if i > 0 {
			total := p.After.CPUTotal - last.After.CPUTotal
			share := float64(p.After.CPUBusy-last.After.CPUBusy) / float64(total)
			if total == 0 || share <= 0 || share >= 1 || p.After.NetIn <= last.After.NetIn || p.After.DiskOut <= last.After.DiskOut {
				t.Errorf("%+v after %+v", p.After, last.After)
			}
			busy[int(share*1000)] = true
		}
		last = p
		now.Add(60)
	}
	if len(busy) < 3 {
		t.Errorf("it is always as busy: %v", busy)
	}
}

// TestFaultsComeAndGo: a host goes and comes back at the same port.
func TestFaultsComeAndGo(t *testing.T) {
	f := begin(t, simulate.Options{})
	d := dialer(t, f)
	h := f.Host("cloud")
	for range 3 {
		if _, err := d.Open(h).Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
		if err := f.SetFault("cloud", simulate.Fault{Refuse: true}); err != nil {
			t.Fatal(err)
		}
		for f.Connections("cloud") > 0 {
			time.Sleep(time.Millisecond)
		}
		if _, err := d.Open(h).Run(soon(t), link.Command{Args: []string{"true"}}); err == nil {
			t.Fatal("it answers")
		}
		if err := f.SetFault("cloud", simulate.Fault{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.SetFault("laptop", simulate.Fault{}); err != nil { // switched on
		t.Fatal(err)
	}
	if _, err := d.Open(f.Host("laptop")).Connect(soon(t)); err != nil {
		t.Error(err)
	}
	if err := f.SetFault("nobody", simulate.Fault{}); err == nil {
		t.Error("a host that is not there misbehaves")
	}
	if _, err := simulate.Start(context.Background(), simulate.Options{Faults: map[string]simulate.Fault{"nobody": {}}}); err == nil {
		t.Error("a fault of a host that is not there was taken")
	}
	if _, err := simulate.Start(context.Background(), simulate.Options{Hosts: 1 << 20}); err == nil {
		t.Error("a million hosts were started")
	}
}

// TestProbeOfOddHosts reads hosts that are not what the probe likes best.
func TestProbeOfOddHosts(t *testing.T) {
	f := begin(t, simulate.Options{Faults: map[string]simulate.Fault{
		"storage": {NotNixOS: true}, "cloud": {NoSystemd: true}, "router": {Cut: 700}, "r2s": {NoPodman: true, NoNetdata: true}, "vault": {Drip: 100 * time.Microsecond},
	}, Logins: map[string]simulate.Login{"cottage": {User: "ada", Sudo: simulate.SudoNone}}})
	d := dialer(t, f)
	ask := func(name string) (probe.Facts, error) { return prober(t).Read(soon(t), d.Open(f.Host(name))) }
	if facts, err := ask("storage"); err != nil || facts.System.Value.NixOS || !facts.Generations.None || !strings.HasPrefix(facts.System.Value.OSName, "Debian") {
		t.Errorf("a Debian: %+v, %v", facts.System.Value, err)
	}
	if facts, err := ask("cloud"); err != nil || !facts.Units.None || facts.System.Value.Manager != "none" {
		t.Errorf("no systemd: %+v, %v", facts.Units, err)
	}
	if _, err := ask("router"); err == nil {
		t.Error("a probe that broke off was believed")
	}
	if facts, err := ask("vault"); err != nil || !facts.System.Value.NixOS {
		t.Errorf("a dripping line: %v", err)
	}
	if facts, err := ask("cottage"); err != nil || facts.System.Value.UID != 1000 || len(facts.System.Value.Unseen) == 0 {
		t.Errorf("not root: %+v, %v", facts.System.Value, err)
	}
}

// TestActionsChangeTheWorld: what people do to units shows in the next facts.
func TestActionsChangeTheWorld(t *testing.T) {
	f := begin(t, simulate.Options{})
	l := dialer(t, f).Open(f.Host("vault"))
	do := func(status int, args ...string) string {
		t.Helper()
		res, err := l.Run(soon(t), link.Command{Args: args, Root: true})
		if err != nil || res.Status != status {
			t.Errorf("%v: status %d, %v: %s", args, res.Status, err, res.Stderr)
		}
		return strings.TrimSpace(string(res.Stdout))
	}
	if got := do(1, "systemctl", "is-system-running"); got != "degraded" {
		t.Errorf("it is %s", got)
	}
	do(0, "systemctl", "restart", "podman-step-ca.service", "postgresqlBackup-vaultwarden")
	if got := do(0, "systemctl", "is-system-running"); got != "running" {
		t.Errorf("it is %s", got)
	}
	do(0, "systemctl", "stop", "postgresql.service")
	if got := do(3, "systemctl", "is-active", "postgresql.service"); got != "inactive" {
		t.Errorf("it is %s", got)
	}
	do(5, "systemctl", "start", "nothing.service")
	if got := do(0, "systemctl", "show", "-p", "ActiveState", "--value", "sshd.service"); got != "active" {
		t.Errorf("sshd is %q", got)
	}
}

// TestShellSaysWhatItIs: nobody shall take it for a real host.
func TestShellSaysWhatItIs(t *testing.T) {
	f := begin(t, simulate.Options{})
	s, err := dialer(t, f).Open(f.Host("cloud")).Shell(link.Command{})
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	s.SetStdin(strings.NewReader("help\nid -un\nrm -rf /\nls | wc\nexit\n"))
	s.SetStdout(&out)
	s.SetStderr(&errs)
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"does not exist (sextant demo)", "root\r\n", "rm: not found", "cannot run a shell program"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

// TestProgram: tests play programs and scripts of their own.
func TestProgram(t *testing.T) {
	f := begin(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
	f.Program("cloud", "nix-env", func(c simulate.Call) int {
		fmt.Fprint(c.Stdout, c.Host, c.User, c.Root, c.Args)
		return 3
	})
	f.Script("# my program", func(c simulate.Call) int {
		b, _ := io.ReadAll(c.Stdin)
		fmt.Fprintf(c.Stdout, "%s%v", b, c.Args)
		return 0
	})
	l := dialer(t, f).Open(f.Host("cloud"))
	res, err := l.Run(soon(t), link.Command{Args: []string{"nix-env", "-p", "x"}, Root: true})
	if err != nil || res.Status != 3 || string(res.Stdout) != "cloudadatrue [nix-env -p x]" {
		t.Errorf("%+v, %v", res, err)
	}
	cmd := link.Script("# my program\nwhile :; do :; done", "one", "two")
	cmd.Stdin = strings.NewReader("in ")
	if res, err := l.Run(soon(t), cmd); err != nil || string(res.Stdout) != "in [sextant one two]" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestThousandHosts starts a large fleet and asks every host what it is.
func TestThousandHosts(t *testing.T) {
	n := 1000
	if testing.Short() || os.Getenv("SEXTANT_SMALL") != "" {
		n = 100
	}
	began := time.Now()
	f := begin(t, simulate.Options{Hosts: n, Seed: 7})
	started := time.Since(began)
	d := dialer(t, f)
	work := make(chan fleet.Host)
	var wg sync.WaitGroup
	var units, away atomic.Int64
	for range 32 {
		wg.Go(func() {
			for h := range work {
				facts, err := prober(t).Read(soon(t), d.Open(h))
				switch {
				case !h.Presence.Value.Online:
					away.Add(1)
				case err != nil:
					t.Errorf("%s: %v", h.Name, err)
				}
				units.Add(int64(len(facts.Units.Value)))
			}
		})
	}
	for _, h := range f.Hosts() {
		work <- h
	}
	close(work)
	wg.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d hosts: started in %s, asked in %s; %d units, %d away; %d MiB in use with both sides of all connections",
		n, started.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), units.Load(), away.Load(), m.Sys>>20)
	if away.Load() == 0 || away.Load() > int64(n)/10 {
		t.Errorf("%d hosts are away", away.Load())
	}
}
