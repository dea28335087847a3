package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/screen"
)

var update = flag.Bool("update", false, "write the files that are made from the code")

// keysDoc is docs/keys.md.
func keysDoc() string {
	var b strings.Builder
	b.WriteString("# Keys\n\nMade from the key map by `go test ./cmd/sextant -update`; `?` in the program shows the same, with the reason where a key is off.\n" +
		"Nothing needs Ctrl, Alt or a function key, and everything can be tapped. `[ui] keys` in the [configuration](configuration.md) binds other keys, by ID.\n\n" +
		"| key | does | where | ID |\n|---|---|---|---|\n")
	for _, k := range tui.Bindings(declared()) {
		var names []string
		for _, key := range k.Keys {
			names = append(names, "`"+screen.KeyName(key)+"`")
		}
		does := k.Help
		if k.Action != nil && k.Action.Disabled != nil {
			if why := k.Action.Off(fleet.Target{}); why != "" {
				does += " (" + why + ")"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.Join(names, " "), does, strings.Join(k.In, ", "), k.ID)
	}
	return b.String()
}

// TestKeysDoc holds docs/keys.md to the key map.
func TestKeysDoc(t *testing.T) {
	const path = "../../docs/keys.md"
	if *update {
		if err := os.WriteFile(path, []byte(keysDoc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != keysDoc() {
		t.Errorf("%s is not what the key map says (%v): go test ./cmd/sextant -update", path, err)
	}
}

func TestBoundKeys(t *testing.T) {
	got, err := boundKeys(map[string]string{"refresh": "r f5"})
	if err != nil || strings.Join(got["refresh"], ",") != "r,f5" {
		t.Errorf("%v, %v", got, err)
	}
	for _, keys := range []map[string]string{{"refresh": "q"}, {"quit": ""}, {"mark": "enter"}} {
		if _, err := boundKeys(keys); err == nil || !strings.Contains(err.Error(), "left without a key") {
			t.Errorf("%v: %v", keys, err)
		}
	}
	if _, err := boundKeys(map[string]string{"back": "x", "quit": "x"}); err == nil || !strings.Contains(err.Error(), `both have "x"`) {
		t.Errorf("got %v", err)
	}
	if _, err := boundKeys(map[string]string{"newer": "x", "only": "x"}); err != nil { // on screens apart
		t.Error(err)
	}
	if got, err := boundKeys(map[string]string{"refresh": "q", "quit": "Q"}); err != nil || got["quit"][0] != "Q" {
		t.Error(got, err)
	}
	if _, err := boundKeys(map[string]string{"rolback": "R"}); err == nil || !strings.Contains(err.Error(), `"rollback"`) {
		t.Errorf("got %v, want the nearest ID", err)
	}
}

// command runs a subcommand with an empty home and gives what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// TestDemoStatus runs the whole program on simulated hosts and holds the
// contract of its machine output.
func TestDemoStatus(t *testing.T) {
	out, err := command(t, "demo", "--json")
	if code(err) != exitProblem {
		t.Errorf("exit code %d (%v), want %d: the demo has problems", code(err), err, exitProblem)
	}
	var got struct {
		Schema int
		At     time.Time
		Hosts  []map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %.300s", err, out)
	}
	if got.Schema != 1 || got.At.IsZero() || len(got.Hosts) != 9 {
		t.Fatalf("schema %d, at %s, %d hosts", got.Schema, got.At, len(got.Hosts))
	}
	for _, h := range got.Hosts {
		for _, key := range []string{"name", "tags", "os", "reach", "system", "failedUnits", "containers", "backups", "metrics", "alarms", "problems"} {
			if _, ok := h[key]; !ok {
				t.Errorf("%s lacks %q", h["name"], key)
			}
		}
		var reach struct{ Value, Error json.RawMessage }
		if err := json.Unmarshal(h["reach"], &reach); err != nil || (reach.Value == nil) == (reach.Error == nil) {
			t.Errorf("%s: reach %s: either a value or an error", h["name"], h["reach"])
		}
	}
}

func TestJudge(t *testing.T) {
	host := func(sev ...fleet.Severity) hostStatus {
		var h hostStatus
		for _, s := range sev {
			h.Problems = append(h.Problems, fleet.Problem{Severity: s})
		}
		return h
	}
	for _, c := range []struct {
		hosts []hostStatus
		want  int
	}{
		{nil, 0},
		{[]hostStatus{host()}, 0},
		{[]hostStatus{host(fleet.SeverityUnknown)}, exitUnknown},
		{[]hostStatus{host(fleet.SeverityUnknown), host(fleet.SeverityWarn)}, exitProblem},
		{[]hostStatus{host(fleet.SeverityFail)}, exitProblem},
	} {
		if got := code(judge(statusOut{Hosts: c.hosts})); got != c.want {
			t.Errorf("%+v: exit code %d, want %d", c.hosts, got, c.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for err, want := range map[error]int{
		nil: 0, exitCode(4): 4, failed(errors.New("x")): exitProblem,
		failed(usageError{errors.New("x")}): exitUsage, errors.New("unknown flag"): exitUsage,
		failed(fmt.Errorf("x: %w", exitCode(3))): 3,
	} {
		if got := code(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestSinceTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"": {}, "15m": now.Add(-15 * time.Minute), "3d": now.AddDate(0, 0, -3), "2026-11-01T00:00:00Z": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := sinceTime("--since", in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
	if _, err := sinceTime("--since", "yesterday", now); err == nil {
		t.Error("a word is no span")
	}
}

func TestNamedFindsContainerThenUnit(t *testing.T) {
	st := fleet.State{Host: fleet.Host{Name: "storage"}}
	st.Containers = fleet.Known([]fleet.Container{{Name: "jellyfin", User: "ada"}}, time.Now(), "podman")
	st.Units = fleet.Known([]fleet.Unit{{Name: "caddy.service"}}, time.Now(), "probe")
	for name, want := range map[string]fleet.LogSource{
		"jellyfin": {Container: "jellyfin", User: "ada"}, "caddy": {Unit: "caddy.service"},
		"caddy.service": {Unit: "caddy.service"}, "gone.timer": {Unit: "gone.timer"},
	} {
		if got, err := named(st, name, ""); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := named(st, "cady", ""); err == nil || !strings.Contains(err.Error(), "caddy") {
		t.Errorf("got %v, want the nearest name", err)
	}
}

// TestRememberedFactsAreShownAndNotCurrent saves a fleet and starts again
// where no host answers.
func TestRememberedFactsAreShownAndNotCurrent(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	err := withDemo(t.Context(), options{timeout: 20 * time.Second}, &discover.Config{}, 0, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, quick)
		return remembers(t, filepath.Join(dir, "state"), a.store.Snapshot().Hosts)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func remembers(t *testing.T, dir string, states []fleet.State) error {
	h, err := history.Open(dir)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.Save(states); err != nil {
		return err
	}
	back, err := h.Load()
	if err != nil || len(back) != len(states) {
		return fmt.Errorf("%d of %d hosts came back: %w", len(back), len(states), err)
	}
	for _, s := range back {
		if s.System.Current() || s.Containers.Current() {
			t.Errorf("%s: what is remembered passes for current", s.Host.Name)
		}
		if s.Host.Name == "storage" && len(s.Containers.Value) == 0 {
			t.Error("storage's containers are forgotten")
		}
	}
	return nil
}
