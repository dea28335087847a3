package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// emptyFleet is a configuration by which nobody is found.
func emptyFleet(t *testing.T) string {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	path := filepath.Join(t.TempDir(), "config.toml")
	off := "[sources]\ntailscale = false\ncontrol = false\nlocal = false\nflake = false\nssh_config = false\nmdns = false\n"
	if err := os.WriteFile(path, []byte(off), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNobodyIsNotWell holds that a fleet without hosts is unknown, for programs
// too, and never well.
func TestNobodyIsNotWell(t *testing.T) {
	cfg := emptyFleet(t)
	for _, args := range [][]string{{"status"}, {"containers"}, {"units", "all"}, {"backups"}} {
		if _, err := command(t, append(args, "--config", cfg)...); code(err) != exitUnknown {
			t.Errorf("%v ended with %d (%v), want %d", args, code(err), err, exitUnknown)
		}
	}
	out, err := command(t, "status", "--json", "--config", cfg)
	var got struct{ Hosts []any }
	if code(err) != exitUnknown || json.Unmarshal([]byte(out), &got) != nil || got.Hosts == nil || len(got.Hosts) != 0 {
		t.Errorf("status --json ended with %d and printed %q", code(err), out)
	}
	if _, err := command(t, "generations", "nope", "--config", cfg); code(err) != exitUsage || !strings.Contains(err.Error(), `"nope": no hosts were found`) {
		t.Errorf("a named host: %d, %v", code(err), err)
	}
	if out, err := command(t, "hosts", "--config", cfg); err != nil || !strings.Contains(out, "no hosts were found") {
		t.Errorf("hosts: %v, %q", err, out)
	}
	why := whyNobody([]fleet.SourceState{{Source: "tailscale", Err: "not running", Help: "start it"}, {Source: "local", Count: 1}})
	if want := "no hosts were found; tailscale: not running (start it); sextant hosts --all tells who was seen, and why a node is no host"; why != want {
		t.Errorf("got %q, want %q", why, want)
	}
}

func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"stat":             `did you mean "status"?`,
		"frobnicate":       "sextant --help lists them",
		"metrcs":           `did you mean "metrics"?`,
		"container remvoe": `did you mean "remove"?`,
		"unit sow x y":     `did you mean "show"?`,
		"generations":      "usage: sextant generations HOST",
		"logs storage":     "usage: sextant logs SEL NAME…",
		"hosts x":          "usage: sextant hosts",
		"unit show x":      "usage: sextant unit show HOST UNIT",
		"--json":           "sextant status --json",
		"status --jsno":    "did you mean --json?",
		"status --zzzzzzz": "sextant status --help lists them",
		"--plain":          "sextant status --json",
	} {
		if _, err := command(t, strings.Fields(line)...); code(err) != exitUsage || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("sextant %s: exit code %d, %v; want %d and %q", line, code(err), err, exitUsage, want)
		}
	}
	if out, err := command(t, "container"); err != nil || !strings.Contains(out, "restart") {
		t.Errorf("sextant container: %v, %q", err, out)
	}
}

// TestSSHCommandHasItsFlags holds that what stands behind the host is not read as
// Sextant's flags.
func TestSSHCommandHasItsFlags(t *testing.T) {
	_, err := command(t, "ssh", "--config", emptyFleet(t), "web", "ls", "-la", "--json")
	if err == nil || !strings.Contains(err.Error(), `no host matches "web"`) {
		t.Errorf("got %v, want that the host is looked for", err)
	}
}

// TestDefaultsThatAreTold holds that no flag shows a 0 as its default where the
// text names another.
func TestDefaultsThatAreTold(t *testing.T) {
	c, _, err := rootCommand().Find([]string{"deploy"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"confirm-timeout", "activation-timeout"} {
		if d := c.Flags().Lookup(name).DefValue; d != "" {
			t.Errorf("--%s shows the default %q", name, d)
		}
	}
}

// TestErrorsNameTheHost: a shell that cannot be opened says where; the status of a
// command is its own.
func TestErrorsNameTheHost(t *testing.T) {
	if err := onHost("web", errors.New("no answer")); err == nil || err.Error() != "web: no answer" {
		t.Errorf("got %v", err)
	}
	if err := onHost("web", exitCode(4)); code(err) != 4 {
		t.Errorf("the command ended with 4, and we with %d", code(err))
	}
	if err := onHost("web", nil); err != nil {
		t.Errorf("got %v", err)
	}
}
