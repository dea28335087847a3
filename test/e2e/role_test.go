//go:build lab

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// placed is what status and hosts say of the place of a host in the fleet.
type placed struct {
	Hosts []struct {
		Name, Role, RoleFrom, Tier, TierFrom string
		Sleeps                               bool
		Problems                             []fleet.Problem
	}
}

// TestASleepingDesktop is no problem, and a server that is off is one.
func TestASleepingDesktop(t *testing.T) {
	lab := labtest.Load(t)
	lab.NewPeer(t, "notebook", "os=linux&tags=tag:laptop&lastSeen=3h")
	is := func(want int, sleeps bool, problem string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) { // until tailscaled was told
			out, errs, code := sextant(t, "status", "notebook", "--json")
			if out == "" && time.Now().Before(end) { // it is not found yet
				continue
			}
			h := decode[placed](t, out).Hosts[0]
			if code == want && h.Sleeps == sleeps && (len(h.Problems) == 0) == (problem == "") && (problem == "" || strings.Contains(h.Problems[0].What, problem)) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("exit code %d, want %d; %+v, want %q: %s", code, want, h, problem, errs)
			}
		}
	}
	is(0, true, "")
	if out, _, code := sextant(t, "status", "@desktop", "!desktop", "!laptop", "--plain"); code != 0 || !strings.Contains(out, "off  as a desktop may be (tag laptop)") {
		t.Errorf("%d: %s", code, out)
	}
	if out, _, code := sextant(t, "backups", "notebook", "--json"); code != 0 || !strings.Contains(out, `"sleeps":true`) {
		t.Errorf("its backups: %d: %s", code, out)
	}
	lab.Peer(t, http.MethodPost, "notebook?tags=tag:server")
	is(3, false, "offline")
	lab.Peer(t, http.MethodPost, "notebook?tags=tag:laptop&online=true")
	is(3, false, "not reachable")
}

// TestRolesAndTiers: of tags, of names, of the configuration and of the flake, each
// told with who says so; selectors take them.
func TestRolesAndTiers(t *testing.T) {
	labtest.Load(t)
	home, _ := os.UserHomeDir()
	flake := filepath.Join(t.TempDir(), "fleet")
	if err := os.CopyFS(flake, os.DirFS(filepath.Join(home, "fleet"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(flake, "flake.nix")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(string(text), "hosts = builtins", `tiers.tier1 = [ "cloud" "vault" ]; hosts = builtins`, 1)
	if err := os.WriteFile(file, []byte(with), 0o644); err != nil || with == string(text) {
		t.Fatalf("the flake has no place for tiers: %v", err)
	}
	config := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(config, []byte("flake = \"path:"+flake+"\"\n[[host]]\nname = \"media\"\nrole = \"storage\"\ntier = \"tier2\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := sextant(t, "hosts", "--json", "--config", config)
	if code != 0 {
		t.Fatalf("%d: %s", code, errs)
	}
	got := map[string]string{}
	for _, h := range decode[placed](t, out).Hosts {
		got[h.Name] = strings.Join([]string{h.Role, h.RoleFrom, h.Tier, h.TierFrom}, "|")
	}
	for name, want := range map[string]string{
		"storage": "storage|its name||", "r2s": "router|tag router||", "laptop": "desktop|its name||",
		"media": "storage|configuration|tier2|configuration", "cloud": "cloud|its name|tier1|the flake's tiers", "vault": "||tier1|the flake's tiers",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	out, errs, code = sextant(t, "drift", "@tier1", "--config", config, "--json")
	if !strings.Contains(out, `"vault"`) || !strings.Contains(out, `"cloud"`) || strings.Contains(out, `"storage"`) {
		t.Errorf("%d: %s %s", code, out, errs)
	}
}
