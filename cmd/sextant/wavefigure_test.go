//go:build bench

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wave are four NixOS hosts that can be deployed to together: no router among
// them, which would have a wave of its own, and none that asks for a password.
var wave = []string{"storage", "cloud", "desktop", "vault"}

// waveRuns is how often a wave is measured.
const waveRuns = 5

// oneSystem has the flake declare one and the same system for every host.
const oneSystem = `toplevel ({ host = "wave"; inherit revision; } // settings.vault)`

// inOneWave deploys one closure to each of the four hosts by itself, and then
// another one, the same for all, to them in one wave. It gives the times of the
// slowest alone and of the wave, and how many times the one the other is. All is
// built before: a figure of deploying, not of the compiler.
func inOneWave(t *testing.T, bin string) (slowest, together time.Duration, times float64) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	flake := filepath.Join(t.TempDir(), "fleet")
	shell(t, "cp", "-r", filepath.Join(home, "fleet"), flake)
	rewrite(t, filepath.Join(flake, "flake.nix"), "toplevel ({ host = name; inherit revision; } // settings.${name})", oneSystem)
	text, err := os.ReadFile(filepath.Join(flake, "hosts.nix"))
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	change := func() {
		next++
		payload := fmt.Sprintf(`payload = "wave %d of %d"`, next, time.Now().Unix())
		changed := strings.Replace(string(text), `payload = "four"`, payload, 1)
		if err := os.WriteFile(filepath.Join(flake, "hosts.nix"), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		shell(t, "nix", "--extra-experimental-features", "nix-command flakes", "build", "--no-link",
			flake+`#nixosConfigurations."`+wave[0]+`".config.system.build.toplevel`)
	}
	deploy := func(hosts ...string) time.Duration {
		began := time.Now()
		deployed(t, bin, append([]string{"--wave", "4", "--as", "wave", "--flake", flake}, hosts...)...)
		return time.Since(began)
	}
	for _, h := range wave {
		ran := runningGeneration(t, bin, h)
		defer shell(t, bin, "rollback", h, "--to", ran, "--yes")
	}
	var alone, waves []time.Duration
	var ratios []float64
	for range waveRuns {
		change()
		var longest time.Duration
		for _, h := range wave {
			longest = max(longest, deploy(h))
		}
		change()
		all := deploy(wave...)
		alone, waves, ratios = append(alone, longest), append(waves, all), append(ratios, ratio(all, longest))
		t.Logf("the slowest alone %s, the wave %s: %.2f ×", longest, all, ratio(all, longest))
	}
	slices.Sort(ratios)
	return median(alone), median(waves), ratios[len(ratios)/2]
}

// rewrite replaces a text of a file, which must be in it.
func rewrite(t *testing.T, path, from, to string) {
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		t.Fatalf("no %q in %s: %v", from, path, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// deployed deploys, and every host must end with the new system.
func deployed(t *testing.T, bin string, args ...string) {
	cmd := exec.Command(bin, append([]string{"deploy", "--yes"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// runningGeneration is the number of what a host runs.
func runningGeneration(t *testing.T, bin, host string) string {
	out, err := exec.Command(bin, "status", "--json", host).Output()
	var got struct {
		Hosts []struct {
			System struct {
				Value *struct{ Running struct{ Generation int } }
			}
		}
	}
	if json.Unmarshal(out, &got) != nil || len(got.Hosts) != 1 || got.Hosts[0].System.Value == nil {
		t.Fatalf("what %s runs is not told: %v: %s", host, err, out)
	}
	return strconv.Itoa(got.Hosts[0].System.Value.Running.Generation)
}
