//go:build lab

package probe_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestProbeAgreesWithTheHosts compares what one round trip told with what the
// hosts' own commands say.
func TestProbeAgreesWithTheHosts(t *testing.T) {
	lab := labtest.Load(t)
	for _, h := range lab.Hosts {
		if h.Via != "" {
			continue
		}
		t.Run(h.Name, func(t *testing.T) {
			l := lab.Link(t, h.Name)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			f, err := labtest.Probe(t).Read(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			sys := f.System.Value
			if sys.Hostname != h.Name {
				t.Errorf("host name %q", sys.Hostname)
			}
			if nixos := h.Base != "debian"; sys.NixOS != nixos {
				t.Errorf("NixOS %v, want %v", sys.NixOS, nixos)
			}
			if sys.NixOS {
				same(t, "running", sys.Running.Path, labtest.Output(t, l, "readlink", "-f", "/run/current-system"))
				same(t, "default", sys.Default.Path, labtest.Output(t, l, "readlink", "-f", "/nix/var/nix/profiles/system"))
				same(t, "booted", sys.Booted.Path, labtest.Output(t, l, "readlink", "-f", "/run/booted-system"))
				gens := labtest.Output(t, l, "sh", "-c", "ls -d /nix/var/nix/profiles/system-*-link | wc -l")
				if n := len(f.Generations.Value); strings.TrimSpace(gens) != itoa(n) {
					t.Errorf("%d generations, want %s", n, gens)
				}
			}
			var failed []string
			for _, u := range f.Units.Value {
				if u.Failed() {
					failed = append(failed, u.Name)
				}
			}
			out := labtest.Output(t, l, "sh", "-c", "systemctl list-units --failed --plain --no-legend --full | awk '{print $1}' | sort")
			if got := sorted(failed); got != strings.Join(strings.Fields(out), " ") {
				t.Errorf("failed units %q, want %q", got, out)
			}
		})
	}
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != strings.TrimSpace(want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestProbeSeesWhatMoved asks again and again while a unit fails, and while it
// is forgotten, which leaves no trace but in systemd's own count.
func TestProbeSeesWhatMoved(t *testing.T) {
	lab := labtest.Load(t)
	for _, name := range []string{"storage", "router"} { // systemd 257 and 252
		t.Run(name, func(t *testing.T) {
			l, r := lab.Link(t, name), labtest.Probe(t)
			const unit = "sextant-test-moved.service"
			see := func(want bool) {
				t.Helper()
				for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
					f, err := r.Read(t.Context(), l)
					if err != nil {
						t.Fatal(err)
					}
					if slices.ContainsFunc(f.Units.Value, func(u fleet.Unit) bool { return u.Name == unit && u.Failed() }) == want {
						return
					}
					if age := time.Since(f.Units.At); age > 15*time.Second || time.Since(began) > time.Minute {
						t.Fatalf("the unit's failure is not told as %v; the units are of %s ago", want, age)
					}
				}
			}
			see(false)
			see(false)
			labtest.Output(t, l, "systemd-run", "--unit="+unit, "--quiet", "sh", "-c", "exit 3")
			t.Cleanup(func() {
				_, _ = l.Run(context.Background(), link.Command{Args: []string{"systemctl", "reset-failed", unit}, Root: true})
			})
			see(true)
			labtest.Output(t, l, "systemctl", "reset-failed", unit)
			see(false)
		})
	}
}

// TestProbeSeesThatADeployMoved: what a guard writes down is noticed when it is
// renamed into place, and nothing is noticed where nothing was.
func TestProbeSeesThatADeployMoved(t *testing.T) {
	lab := labtest.Load(t)
	l, r := lab.Link(t, "storage"), labtest.Probe(t)
	const dir = "/var/lib/sextant/deploys/sextant-test"
	see := func() string {
		t.Helper()
		f, err := r.Read(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return f.Inventory.Value.Deploys
	}
	labtest.Output(t, l, "mkdir", "-p", dir)
	t.Cleanup(func() {
		_, _ = l.Run(context.Background(), link.Command{Args: []string{"rm", "-r", dir}, Root: true})
	})
	last := see()
	if last == "" || see() != last {
		t.Errorf("it told %q, then something else, and nothing was written", last)
	}
	for range 2 {
		labtest.Output(t, l, "sh", "-c", `echo STAGED >"$0/state.new" && mv "$0/state.new" "$0/state"`, dir)
		now := see()
		if now == last {
			t.Error("a state was written, and it told the same as before")
		}
		last = now
	}
}
