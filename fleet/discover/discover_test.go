package discover

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// source is a source that tells what a test sends it.
type source struct {
	name string
	slow bool
	say  chan emission
	end  bool // it returns after the first word
}

func (s *source) Name() string { return s.name }
func (s *source) Slow() bool   { return s.slow }
func (s *source) Watch(ctx context.Context, emit func([]Sighting, error)) {
	for {
		select {
		case e := <-s.say:
			emit(e.list, e.err)
			if s.end {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func newSource(name string, slow bool) *source {
	return &source{name: name, slow: slow, say: make(chan emission, 10)}
}

// discover runs Discover for the length of a test.
func discover(t *testing.T, o Options) <-chan Found {
	t.Helper()
	leaks(t)
	ctx, cancel := context.WithCancel(context.Background())
	out, done := make(chan Found, 100), make(chan error)
	go func() { done <- Discover(ctx, o, func(f Found) { out <- f }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
	return out
}

func found(t *testing.T, from <-chan Found) Found {
	t.Helper()
	select {
	case f := <-from:
		return f
	case <-time.After(time.Minute):
		t.Fatal("nothing was found")
		return Found{}
	}
}

func quiet(t *testing.T, from <-chan Found, d time.Duration) {
	t.Helper()
	select {
	case f := <-from:
		t.Fatalf("told without a reason: %s", render(f.Hosts, f.Others))
	case <-time.After(d):
	}
}

func TestDiscoverFirstWordAndSettled(t *testing.T) {
	quick, late, slow := newSource("tailscale", false), newSource("ssh_config", false), newSource("flake", true)
	from := discover(t, Options{Sources: []Source{quick, slow, late}, gather: 3 * time.Second})
	began := time.Now()
	quick.say <- emission{list: []Sighting{tail("n1", "storage")}}
	f := found(t, from)
	if took := time.Since(began); took >= 3*time.Second {
		t.Errorf("the first word took %v", took)
	}
	if f.Settled || len(f.Hosts) != 1 || f.Sources[0].Count != 1 || f.Sources[2].Count != 0 {
		t.Errorf("at first: %+v", f)
	}
	late.say <- emission{err: &Trouble{errors.New("it is \x1b[2Jbroken"), "mend it"}}
	if f = found(t, from); !f.Settled || f.Sources[2].Err != "it is broken" || f.Sources[2].Help != "mend it" {
		t.Errorf("all fast ones have told, or failed: %+v", f)
	}
	began = time.Now()
	slow.say <- emission{list: []Sighting{named(SourceFlake, "storage", "")}}
	if f = found(t, from); f.Hosts[0].Flake != "storage" {
		t.Errorf("then the slow one: %+v", f)
	} else if took := time.Since(began); took < 2*time.Second {
		t.Errorf("later changes are gathered, not told after %v", took)
	}
	quiet(t, from, 300*time.Millisecond)
}

func TestDiscoverDoesNotWaitForEver(t *testing.T) {
	dead, quick := newSource("tailscale", false), newSource("ssh_config", false)
	quick.end = true
	from := discover(t, Options{Sources: []Source{dead, quick}, Patience: 200 * time.Millisecond})
	quick.say <- emission{list: []Sighting{named(SourceSSHConfig, "nas", "")}}
	if f := found(t, from); f.Settled {
		t.Error("settled before its time")
	}
	if f := found(t, from); !f.Settled || len(f.Hosts) != 1 {
		t.Errorf("%+v", f)
	}
}

func TestDiscoverNothing(t *testing.T) {
	only := newSource("config", false)
	from := discover(t, Options{Sources: []Source{only}})
	only.say <- emission{list: []Sighting{}}
	if f := found(t, from); !f.Settled || len(f.Hosts)+len(f.Others) != 0 || f.Hosts == nil {
		t.Errorf("%+v", f)
	}
}

func TestDiscoverGathers(t *testing.T) {
	s := newSource("tailscale", false)
	from := discover(t, Options{Sources: []Source{s}})
	s.say <- emission{list: []Sighting{tail("n1", "a")}}
	found(t, from)
	for range 10 {
		s.say <- emission{list: []Sighting{tail("n1", "a"), tail("n2", "b")}}
	}
	if f := found(t, from); len(f.Hosts) != 2 {
		t.Errorf("%+v", f)
	}
	quiet(t, from, 250*time.Millisecond)
}

func TestDiscoverKeepsWhatItKnew(t *testing.T) {
	s := newSource("tailscale", false)
	from := discover(t, Options{Sources: []Source{s}})
	s.say <- emission{list: []Sighting{tail("n1", "storage")}}
	found(t, from)
	s.say <- emission{err: errors.New("tailscaled is not running")}
	f := found(t, from)
	if len(f.Hosts) != 1 || f.Sources[0].Err == "" || f.Sources[0].Count != 1 {
		t.Fatalf("%+v", f)
	}
	if p := f.Hosts[0].Presence; p.Current() || !p.HasValue() || p.Err != "tailscaled is not running" {
		t.Errorf("old presence passes for new: %+v", p)
	}
	s.say <- emission{list: []Sighting{tail("n2", "cloud")}}
	if f = found(t, from); len(f.Hosts) != 1 || f.Hosts[0].Name != "cloud" || f.Sources[0].Err != "" {
		t.Errorf("%+v", f)
	}
}

func TestDiscoverRemembers(t *testing.T) {
	s, ssh, learned := newSource("tailscale", false), newSource("ssh_config", false), make(chan Identity)
	from := discover(t, Options{Sources: []Source{s, ssh}, Learned: learned})
	s.say <- emission{list: []Sighting{tail("n1", "storage")}}
	ssh.say <- emission{list: []Sighting{named(SourceSSHConfig, "nas", "nas.example.org")}}
	f := found(t, from)
	for !f.Settled {
		f = found(t, from)
	}
	s.say <- emission{list: []Sighting{tail("n1", "galactica")}}
	if f = found(t, from); f.Hosts[0].ID != "ts:n1" || !slices.Contains(f.Hosts[0].Aliases, "storage") {
		t.Errorf("renamed: %+v", f.Hosts)
	}
	s.say <- emission{list: []Sighting{tail("n2", "galactica")}}
	if f = found(t, from); f.Hosts[0].ID != "ts:n1" || f.Hosts[0].NodeID != "n2" {
		t.Errorf("registered anew: %+v", f.Hosts)
	}
	// Both turn out to be one machine.
	learned <- Identity{ID: "ts:n1", MachineID: "m1"}
	learned <- Identity{ID: "name:nas", MachineID: "m1"}
	close(learned)
	for f = found(t, from); len(f.Hosts) != 1; f = found(t, from) {
	}
	if h := f.Hosts[0]; h.Name != "galactica" || h.MachineID != "m1" || !slices.Contains(h.Aliases, "nas") {
		t.Errorf("%+v", h)
	}
	quiet(t, from, 250*time.Millisecond)
}

func TestOnce(t *testing.T) {
	leaks(t)
	s, never := newSource("tailscale", false), newSource("flake", true)
	s.say <- emission{list: []Sighting{tail("n1", "storage")}}
	f, err := Once(context.Background(), Options{Sources: []Source{s, never}, Quick: true})
	if err != nil || !f.Settled || len(f.Hosts) != 1 {
		t.Errorf("%v %+v", err, f)
	}
	slow := newSource("flake", true)
	s.say <- emission{list: []Sighting{tail("n1", "storage")}}
	slow.say <- emission{list: []Sighting{named(SourceFlake, "storage", "")}}
	f, err = Once(context.Background(), Options{Sources: []Source{s, slow}, Thorough: true})
	if err != nil || !f.Settled || f.Hosts[0].Flake != "storage" {
		t.Errorf("all: %v %+v", err, f)
	}
	f, err = Once(context.Background(), Options{Sources: []Source{newSource("tailscale", false), never}, Thorough: true, Patience: 50 * time.Millisecond})
	if err != nil || !f.Settled {
		t.Errorf("it waits for ever: %v %+v", err, f)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	f, err = Once(ctx, Options{Sources: []Source{newSource("tailscale", false)}})
	if err == nil || f.Settled {
		t.Errorf("%v %+v", err, f)
	}
}

// TestUsualSources runs the real ones, with a recorded tailscaled.
func TestUsualSources(t *testing.T) {
	leaks(t)
	d := startDaemon(t)
	ssh := home(t, map[string]string{"config": "Host vault\n  HostName 10.78.0.18\n  Port 2222\n  ProxyJump root@router\nHost storage\n  User root\n"})
	t.Setenv("HOME", filepath.Dir(filepath.Dir(ssh)))
	t.Setenv("TS_API_KEY", "")
	t.Setenv("SEXTANT_TAILSCALE_API_KEY", "")
	t.Setenv("SEXTANT_TAILSCALE_SOCKET", d.socket)
	config, err := ParseConfig("c", []byte("include = [\"grafana\"]\n[[host]]\nname = \"storage\"\ntags = [\"tier1\"]\n[sources]\nmdns = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := Once(context.Background(), Options{Config: config, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]fleet.Host{}
	for _, h := range f.Hosts {
		byName[h.Name] = h
	}
	if h := byName["storage"]; h.User != "root" || !slices.Contains(h.Tags, "tier1") || strings.Join(h.Sources, " ") != "config tailscale ssh_config" {
		t.Errorf("storage: %+v", h)
	}
	if h := byName["vault"]; h.Jump != "root@router" || h.Port != 2222 {
		t.Errorf("vault: %+v", h)
	}
	if _, ok := byName["grafana"]; !ok {
		t.Error("the pattern did not overrule")
	}
	var names []string
	for _, s := range f.Sources {
		names = append(names, s.Source)
	}
	if got := strings.Join(names, " "); got != "config tailscale local ssh_config" {
		t.Errorf("sources: %s", got)
	}
}

func TestWithoutTailscaled(t *testing.T) {
	leaks(t)
	ssh := home(t, map[string]string{"config": "Host nas\n"})
	t.Setenv("SEXTANT_TAILSCALE_SOCKET", "")
	off := false
	began := time.Now()
	f, err := Once(context.Background(), Options{
		TailscaleSocket: filepath.Join(t.TempDir(), "none"), SSHConfig: ssh, Config: &Config{Sources: SourcesConfig{MDNS: &off, Local: &off}},
	})
	if err != nil || len(f.Hosts) != 1 || f.Hosts[0].Name != "nas" || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %v: %+v", err, time.Since(began), f)
	}
	if s := f.Sources[1]; s.Source != "tailscale" || !strings.HasPrefix(s.Err, "no tailscaled at") || s.Help == "" {
		t.Errorf("the reason is not told: %+v", s)
	}
}

func TestSourcesTurnedOff(t *testing.T) {
	off := false
	t.Setenv("HOME", t.TempDir())
	t.Setenv("TS_API_KEY", "tskey-api-x")
	if got := (Options{}).sources(); len(got) != 6 {
		t.Errorf("usually: %d sources", len(got))
	}
	c := &Config{Flake: "x", Sources: SourcesConfig{&off, &off, &off, &off, &off, &off}}
	if got := (Options{Config: c}).sources(); len(got) != 1 || got[0].Name() != "config" {
		t.Errorf("all off: %v", got)
	}
}
