package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// badHost is a host that misbehaves, and what a person and a program are told.
type badHost struct {
	host    string // of the cast; r2s is one that is well
	fault   simulate.Fault
	login   simulate.Login
	address string // in place of the simulated one
	timeout time.Duration
	asker   link.Asker
	exit    int
	reach   string // in the error of reach; "" it is reached
	problem string // among the problems
	facts   func(t *testing.T, h hostStatus)
	keys    []string // pressed before the screen is looked at
	screen  []string
}

// wrongPassword answers every question with what is not the answer.
type wrongPassword struct{}

func (wrongPassword) Ask(context.Context, fleet.Question) (fleet.Reply, error) {
	return fleet.Reply{Text: "wrong"}, nil
}

// badHosts are all kinds of bad input that a host can be.
var badHosts = map[string]badHost{
	"unreachable": {
		address: "192.0.2.1", timeout: 3 * time.Second, exit: exitUnknown, reach: "192.0.2.1", problem: "not reachable: ", screen: []string{"?"},
	},
	"refusing": {fault: simulate.Fault{Refuse: true}, exit: exitUnknown, reach: "connection refused", problem: "not reachable: ", screen: []string{"refused"}},
	"hanging": {
		fault: simulate.Fault{Hang: true}, timeout: 2 * time.Second, exit: exitUnknown, reach: "no answer within 2s (--timeout)", problem: "not reachable: ", screen: []string{"no answer within 2s"},
	},
	"half-open": { // it logs us in, then the cable is pulled
		fault: simulate.Fault{Silent: 4000}, timeout: 3 * time.Second, exit: exitUnknown, problem: "system unknown: ", screen: []string{"?", "unknown"},
		facts: func(t *testing.T, h hostStatus) { unread(t, h, "") },
	},
	"another server":   {fault: simulate.Fault{Garbage: true}, timeout: 5 * time.Second, exit: exitUnknown, reach: "", problem: "not reachable: ", screen: []string{"?"}},
	"another host key": {fault: simulate.Fault{WrongKey: true}, exit: exitUnknown, reach: "SHA256:", problem: "not reachable: ", screen: []string{"?"}},
	"no way to log in": {fault: simulate.Fault{NoLogin: true}, exit: exitUnknown, reach: "no way to log in", problem: "not reachable: ", screen: []string{"?"}},
	"wrong password": {
		login: simulate.Login{NoKey: true, Password: "right"}, asker: wrongPassword{}, exit: exitUnknown, reach: "password", problem: "not reachable: ", screen: []string{"?"},
	},
	"not NixOS": {fault: simulate.Fault{NotNixOS: true}, exit: 0, screen: []string{"ok"}, facts: func(t *testing.T, h hostStatus) {
		if !h.System.Current() || h.System.Value.NixOS || h.System.Value.Running.Generation != 0 {
			t.Errorf("%+v", h.System)
		}
	}},
	"no Podman": {host: "desktop", fault: simulate.Fault{NoPodman: true}, exit: exitProblem, screen: []string{"–"}, facts: func(t *testing.T, h hostStatus) {
		if !h.Containers.None || h.Containers.Current() {
			t.Errorf("%+v", h.Containers)
		}
	}},
	"no systemd": {fault: simulate.Fault{NoSystemd: true}, exit: 0, screen: []string{"–"}, facts: func(t *testing.T, h hostStatus) {
		if h.FailedUnits.Current() || !h.FailedUnits.None {
			t.Errorf("%+v", h.FailedUnits)
		}
	}},
	"truncated": {
		fault: simulate.Fault{Cut: 2000}, exit: exitUnknown, problem: "system unknown: ", screen: []string{"?", "system unknown"},
		facts: func(t *testing.T, h hostStatus) { unread(t, h, "") },
	},
	"huge": { // every command floods
		fault: simulate.Fault{Flood: 100 << 20}, exit: exitUnknown, problem: "larger than its limit", screen: []string{"larger than its limit"},
		facts: func(t *testing.T, h hostStatus) { unread(t, h, "larger than its limit") },
	},
	"a huge line in the probe's answer": {
		fault: simulate.Fault{Long: 100 << 20}, exit: exitUnknown, problem: "larger than its limit", screen: []string{"larger than its limit"},
		facts: func(t *testing.T, h hostStatus) { unread(t, h, "larger than its limit") },
	},
	"deaf": {
		fault: simulate.Fault{Deaf: true}, timeout: 3 * time.Second, exit: exitUnknown, problem: "no answer within", screen: []string{"?", "no answer within"},
		facts: func(t *testing.T, h hostStatus) { unread(t, h, "no answer within") },
	},
	"not UTF-8": {fault: simulate.Fault{Latin: true}, exit: 0, screen: []string{"ok"}, facts: known},
	"hostile":   {host: "storage", fault: simulate.Fault{Hostile: true}, exit: exitProblem, screen: []string{"FAIL"}, facts: known},
	"hostile containers": {
		host: "storage", fault: simulate.Fault{Hostile: true}, exit: exitProblem, keys: []string{"enter", "3"}, screen: []string{"[3 Containers]", "gnp.exe"},
	},
	"hostile units": {
		host: "storage", fault: simulate.Fault{Hostile: true}, exit: exitProblem, keys: []string{"enter", "4"}, screen: []string{"[4 Units]", "evil"},
	},
	"hostile alarms": {
		host: "storage", fault: simulate.Fault{Hostile: true}, exit: exitProblem, keys: []string{"enter"}, screen: []string{"[1 Overview]", "alarm disk_space_usage", "evil"},
	},
	"hostile logs": {
		host: "storage", fault: simulate.Fault{Hostile: true}, exit: exitProblem, keys: []string{"enter", "4", "enter", "L"}, screen: []string{"Log"},
	},
}

// unread holds that nothing of a host that did not tell passes for known.
func unread(t *testing.T, h hostStatus, why string) {
	t.Helper()
	if h.System.Current() || h.FailedUnits.Current() || h.Backups.Current() {
		t.Errorf("what was not read passes for known: %+v %+v %+v", h.System, h.FailedUnits, h.Backups)
	}
	if h.System.Err == "" || !strings.Contains(h.System.Err, why) {
		t.Errorf("%q, want %q", h.System.Err, why)
	}
}

// known holds that a host that tells odd things is read all the same.
func known(t *testing.T, h hostStatus) {
	t.Helper()
	if !h.System.Current() || !h.FailedUnits.Current() || !h.Metrics.Current() {
		t.Errorf("%+v %+v %+v", h.System, h.FailedUnits, h.Metrics)
	}
}

// TestBadHosts: each bad host gets a clear line in `status --json` and on the
// screen, the exit code that tells programs so, and no more than its time.
func TestBadHosts(t *testing.T) {
	for name, b := range badHosts {
		t.Run(name, func(t *testing.T) {
			if b.host == "" {
				b.host = "r2s"
			}
			i := imagine(t, simulate.Options{Faults: map[string]simulate.Fault{b.host: b.fault}, Logins: map[string]simulate.Login{b.host: b.login}}, options{json: true, timeout: b.timeout})
			i.links.Asker = b.asker
			h := i.Host(b.host)
			if b.address != "" {
				h.Addresses = []fleet.Address{{Via: fleet.ViaTailnet, Host: b.address}}
			}
			i.store.SetHosts([]fleet.Host{h}, nil, nil)
			began := time.Now()
			i.ask(t.Context(), i.store.Snapshot().Hosts, quick)
			if d := time.Since(began); d > max(b.timeout, 20*time.Second)+10*time.Second {
				t.Errorf("it took %s", d)
			}
			// with thousands of everything beside it, its Netdata may be late on a busy machine
			for range 5 {
				if !b.fault.Hostile || i.store.Snapshot().Hosts[0].Alarms.Current() {
					break
				}
				i.ask(t.Context(), i.store.Snapshot().Hosts, quick)
			}
			b.inJSON(t, i)
			b.onScreen(t, i)
		})
	}
}

// inJSON holds what `status --json` says.
func (b badHost) inJSON(t *testing.T, i *imaginary) {
	t.Helper()
	var out bytes.Buffer
	if exit := code(printStatus(&out, options{json: true}, i.store.Snapshot())); exit != b.exit {
		t.Errorf("exit code %d, want %d", exit, b.exit)
	}
	var got struct{ Hosts []hostStatus }
	var all any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Hosts) != 1 || json.Unmarshal(out.Bytes(), &all) != nil {
		t.Fatalf("%v in %.300s", err, out.String())
	}
	h := got.Hosts[0]
	if reached := h.Reach.Current(); b.reach != "" && (reached || !strings.Contains(h.Reach.Err, b.reach)) {
		t.Errorf("reach: %+v, want an error with %q", h.Reach, b.reach)
	}
	if b.problem != "" && !slices.ContainsFunc(h.Problems, func(p fleet.Problem) bool { return strings.Contains(p.What, b.problem) }) {
		t.Errorf("no problem %q among %+v", b.problem, h.Problems)
	}
	if b.facts != nil {
		b.facts(t, h)
	}
	clean(t, all)
}

// clean holds that no text of machine output could move a cursor.
func clean(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if fleet.Clean(v) != v || len(v) > 100_000 {
			t.Errorf("in JSON: %.200q", v)
		}
	case []any:
		for _, x := range v {
			clean(t, x)
		}
	case map[string]any:
		for k, x := range v {
			clean(t, k)
			clean(t, x)
		}
	}
}

// onScreen holds what the screen shows, at 80×24, and that its frame stands.
func (b badHost) onScreen(t *testing.T, i *imaginary) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	term := tuitest.Run(t, 80, 24, func(tty *os.File) error {
		return tui.Run(ctx, tui.Options{Input: tty, Output: tty, Environ: []string{"TERM=xterm-256color"}, Store: i.store, Console: console{i.app}, Version: "test"})
	})
	defer func() {
		cancel()
		_ = term.Wait()
	}()
	term.WaitFor(b.host)
	for _, key := range b.keys {
		term.Press(key).Settle(150 * time.Millisecond)
	}
	term.WaitFor(b.screen...).Settle(150 * time.Millisecond)
	rows := strings.Split(term.Screen(), "\n")
	if !strings.Contains(rows[0], "sextant") || !strings.Contains(rows[len(rows)-1], "help") || term.Title() != "sextant" || !term.AltScreen() {
		t.Errorf("the frame is broken, or the title %q:\n%s", term.Title(), term.Screen())
	}
	for _, bad := range []string{"\x1b]0;owned", "\u202e", "\u2066", "\x9b5m"} {
		if strings.Contains(term.Raw(), bad) {
			t.Errorf("%q was written", bad)
		}
	}
	if testing.Verbose() {
		t.Log("\n" + term.Screen())
	}
}

// TestHugeLogs: a line of 100 MB in the journal ends the reading of a log with a
// clear reason, or is cut; what is kept is bounded, of a flood of short ones, too.
func TestHugeLogs(t *testing.T) {
	for name, fault := range map[string]simulate.Fault{"a huge line": {Long: 100 << 20}, "a flood before it": {Flood: 100 << 20}} {
		t.Run(name, func(t *testing.T) {
			i := imagine(t, simulate.Options{Faults: map[string]simulate.Fault{"r2s": fault}}, options{})
			i.store.SetHosts([]fleet.Host{i.Host("r2s")}, nil, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it ends by itself: on a busy machine late
			defer cancel()
			log, err := console{i.app}.Logs(ctx, fleet.LogQuery{Sources: []fleet.LogSource{{Host: i.Host("r2s").ID, Unit: "sshd.service"}}, Lines: 20})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			lines, longest, left := 0, 0, false
			for {
				var batch []fleet.LogLine
				if batch, err = log.Next(ctx); err != nil {
					break
				}
				for _, l := range batch {
					lines++
					longest = max(longest, len(l.Text))
					left = left || strings.Contains(l.Text, "too long to be read")
					if fleet.Clean(l.Text) != l.Text {
						t.Errorf("%.100q", l.Text)
					}
				}
			}
			if ctx.Err() != nil || longest > 1<<20 {
				t.Errorf("%v: %d lines, the longest of %d bytes", err, lines, longest)
			}
			if lines == 0 || fault.Long > 0 && !left {
				t.Errorf("%v after %d lines: nobody says that something was left out", err, lines)
			}
			t.Logf("%v after %d lines, the longest of %d bytes", err, lines, longest)
		})
	}
}
