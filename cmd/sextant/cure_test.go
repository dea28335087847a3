package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// told tells of hosts that a test names.
type told struct {
	imagined
	hosts []fleet.Host
}

func (w told) once(_ context.Context, tell found, _ bool) error {
	tell(w.hosts, nil, []fleet.SourceState{{Source: "test", At: time.Now(), Count: len(w.hosts)}})
	return nil
}

// TestCuresReachTheScreen: what the link says can be done about a host that it
// cannot reach stands on the screen, in the command's output and in its JSON.
func TestCuresReachTheScreen(t *testing.T) {
	f, err := simulate.Start(t.Context(), simulate.Options{Faults: map[string]simulate.Fault{"cloud": {NoLogin: true}, "vault": {WrongKey: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unknown := f.Host("router")
	unknown.HostKeys = nil
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a port that is closed again: nothing listens there
	if err != nil {
		t.Fatal(err)
	}
	off := f.Host("desktop")
	off.Addresses = []fleet.Address{{Via: fleet.ViaTailnet, Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port}}
	silent.Close()
	dir := t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(fmt.Sprintf("[vault]:%d %s\n", f.Host("vault").Addresses[0].Port, f.Host("vault").HostKeys[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newApp(options{timeout: 20 * time.Second}, &discover.Config{})
	defer a.close()
	a.links.SSHDir, a.links.KnownHosts = dir, []string{known}
	a.links.ConfigFiles, a.links.AgentSocket = nil, ""
	a.finder = told{imagined{f}, []fleet.Host{f.Host("cloud"), f.Host("vault"), unknown, off}}
	if err := a.find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	states, err := a.pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	a.ask(t.Context(), states, quick)
	if states, err = a.pick(nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Reach.Err == "" || s.Reach.Cure == "" {
			t.Fatalf("%s: error %q, cure %q", s.Host.Name, s.Reach.Err, s.Reach.Cure)
		}
	}
	t.Run("json", func(t *testing.T) { curesInJSON(t, states) })
	t.Run("text", func(t *testing.T) {
		var b bytes.Buffer
		if err := printStatus(&b, options{}, fleet.Snapshot{Hosts: states}); code(err) != exitUnknown {
			t.Errorf("%v", err)
		}
		for _, s := range states {
			if !strings.Contains(b.String(), "-> "+s.Reach.Cure+"\n") {
				t.Errorf("the cure of %s, %q, is not in\n%s", s.Host.Name, s.Reach.Cure, b.String())
			}
		}
	})
	for _, s := range states {
		t.Run("screen of "+s.Host.Name, func(t *testing.T) { cureOnScreen(t, a.store, s) })
	}
	t.Run("sample", func(t *testing.T) {
		for _, st := range tuitest.Sample().Snapshot().Hosts {
			if real, ok := a.store.Get(f.Host("cloud").ID); ok && st.Host.Name == "cloud" && (st.Reach.Err != real.Reach.Err || st.Reach.Cure != real.Reach.Cure) {
				t.Errorf("the screens' sample says %q, %q; the link says %q, %q", st.Reach.Err, st.Reach.Cure, real.Reach.Err, real.Reach.Cure)
			}
		}
	})
}

func curesInJSON(t *testing.T, states []fleet.State) {
	var b bytes.Buffer
	_ = printStatus(&b, options{json: true}, fleet.Snapshot{Hosts: states})
	var out struct {
		Hosts []struct {
			Name     string
			Reach    struct{ Error, Cure string }
			Problems []struct{ What, Cure string }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || len(out.Hosts) != len(states) {
		t.Fatalf("%v in %s", err, b.String())
	}
	for i, h := range out.Hosts {
		want := states[i].Reach.Cure
		if h.Reach.Cure != want || len(h.Problems) != 1 || h.Problems[0].Cure != want || strings.Contains(h.Reach.Error, want) {
			t.Errorf("%+v, want cure %q", h, want)
		}
	}
}

// cureOnScreen opens the host's screen and looks for the cure, whose words may
// stand on several lines.
func cureOnScreen(t *testing.T, store *fleet.Store, s fleet.State) {
	ctx, cancel := context.WithCancel(t.Context())
	ui := tuitest.Run(t, 120, 40, func(tty *os.File) error {
		return tui.Run(ctx, tui.Options{Store: store, Version: "test", Input: tty, Output: tty, Environ: []string{"TERM=xterm-256color"}})
	})
	defer cancel()
	ui.WaitFor(s.Host.Name).Press("/").Send(s.Host.Name).Press("enter", "enter").WaitFor("› "+s.Host.Name, "→")
	var text []string
	for line := range strings.Lines(ui.Screen()) {
		left, _, _ := strings.Cut(line, "│")
		text = append(text, strings.Fields(left)...)
	}
	if !strings.Contains(strings.Join(text, " "), s.Reach.Cure) {
		t.Errorf("%q is not on\n%s", s.Reach.Cure, ui.Screen())
	}
}
