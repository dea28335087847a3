//go:build lab

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// program is the binary under test, made by `make build`.
func program(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/sextant")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("make build comes first: %v", err)
	}
	return path
}

// sextant runs the program with a home of its own for state and gives what it
// printed and its exit code.
func sextant(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return sextantIn(t, t.TempDir(), args...)
}

// sextantIn is sextant on a machine that remembers what is in a folder.
func sextantIn(t testing.TB, state string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state, "XDG_CONFIG_HOME="+t.TempDir())
	cmd.Dir = t.TempDir()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// decode reads machine output, which must be one JSON value and nothing else.
func decode[T any](t testing.TB, out string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(out))
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v\n%.500s", err, out)
	}
	if dec.More() {
		t.Fatalf("more than one value:\n%.500s", out)
	}
	return v
}

// fact is a fact in machine output.
type fact[T any] struct {
	Value  *T
	Error  string
	At     time.Time
	Source string
	None   bool
}

type path struct {
	Path       string
	Generation int
}

type status struct {
	Schema int
	Hosts  []hostStatus
}

type hostStatus struct {
	Name   string
	Reach  fact[struct{ State, Via, Path, Address string }]
	System fact[struct {
		Running, Default, Booted path
		RebootNeeded             bool
		NixOSVersion             string
	}]
	FailedUnits fact[[]string]
	Containers  fact[struct{ Running, Total, Unhealthy int }]
	Metrics     fact[struct {
		CPU    float64
		Memory struct{ Used, Total uint64 }
	}]
	Problems []struct{ What, Severity string }
}

// TestStatusAgreesWithTheHosts compares every host of the lab with what its
// own commands say.
func TestStatusAgreesWithTheHosts(t *testing.T) {
	lab := labtest.Load(t)
	out, stderr, code := sextant(t, "status", "--json")
	if code != 1 {
		t.Errorf("exit code %d, want 1: the lab has problems. %s", code, stderr)
	}
	st := decode[status](t, out)
	if st.Schema != 1 {
		t.Errorf("schema %d", st.Schema)
	}
	for _, h := range lab.Hosts {
		t.Run(h.Name, func(t *testing.T) {
			i := slices.IndexFunc(st.Hosts, func(x hostStatus) bool { return x.Name == h.Name })
			if i < 0 {
				t.Fatalf("%s is missing among %d hosts", h.Name, len(st.Hosts))
			}
			compare(t, lab, h, st.Hosts[i])
		})
	}
}

func compare(t *testing.T, lab labtest.Lab, h labtest.Host, got hostStatus) {
	if got.Reach.Value == nil {
		t.Fatalf("not reached: %s", got.Reach.Error)
	}
	if age := time.Since(got.Reach.At); age < 0 || age > time.Minute {
		t.Errorf("reach is from %s", got.Reach.At)
	}
	l := lab.Link(t, h.Name)
	if h.Base != "debian" {
		compareSystem(t, l, got)
	}
	failed := strings.Fields(labtest.Output(t, l, "sh", "-c", "systemctl list-units --failed --plain --no-legend --full | awk '{print $1}'"))
	sort.Strings(failed)
	if got.FailedUnits.Value == nil {
		t.Errorf("failed units: %s", got.FailedUnits.Error)
	} else if sort.Strings(*got.FailedUnits.Value); !slices.Equal(*got.FailedUnits.Value, failed) {
		t.Errorf("failed units %v, want %v", *got.FailedUnits.Value, failed)
	}
	kb, _ := strconv.ParseUint(strings.TrimSpace(labtest.Output(t, l, "sh", "-c", "awk '/^MemTotal/{print $2}' /proc/meminfo")), 10, 64)
	total := kb * 1024
	if m := got.Metrics.Value; m == nil {
		t.Errorf("metrics: %s", got.Metrics.Error)
	} else if diff := int64(m.Memory.Total) - int64(total); diff > 16<<20 || diff < -16<<20 || m.Memory.Used > m.Memory.Total {
		t.Errorf("memory %+v, want a total of %d", m.Memory, total)
	}
}

func compareSystem(t *testing.T, l link.Link, got hostStatus) {
	sys := got.System.Value
	if sys == nil {
		t.Fatalf("system: %s", got.System.Error)
	}
	for want, have := range map[string]string{
		"/run/current-system": sys.Running.Path, "/run/booted-system": sys.Booted.Path,
		"/nix/var/nix/profiles/system": sys.Default.Path,
	} {
		if w := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", want)); w != have {
			t.Errorf("%s is %q, want %q", want, have, w)
		}
	}
	kernel := labtest.Output(t, l, "sh", "-c", `for k in kernel initrd kernel-modules systemd; do
		[ "$(readlink -f /run/booted-system/$k)" = "$(readlink -f /run/current-system/$k)" ] || echo $k; done`)
	if sys.RebootNeeded != (strings.TrimSpace(kernel) != "") {
		t.Errorf("reboot needed: %v; differs: %s", sys.RebootNeeded, kernel)
	}
	version := strings.TrimSpace(labtest.Output(t, l, "cat", "/run/current-system/nixos-version"))
	if sys.NixOSVersion != version {
		t.Errorf("version %q, want %q", sys.NixOSVersion, version)
	}
}

// TestContainersAgreeWithPodman compares names and states with `podman ps`.
func TestContainersAgreeWithPodman(t *testing.T) {
	lab := labtest.Load(t)
	out, _, _ := sextant(t, "containers", "--json")
	got := decode[struct {
		Containers []struct{ Host, User, Name, State, Unit, Engine string }
		Errors     []struct{ Host, Error string }
	}](t, out)
	for _, h := range lab.Hosts {
		if !slices.Contains(h.Runs, "podman") || h.Name == "laptop" { // laptop's sudo wants a password: nobody is asked in a command
			continue
		}
		t.Run(h.Name, func(t *testing.T) {
			var want []string
			for _, c := range decode[[]struct {
				Names []string
				State string
			}](t, labtest.Output(t, lab.Link(t, h.Name), "podman", "ps", "-a", "--format", "json")) {
				want = append(want, c.Names[0]+"="+c.State)
			}
			var have []string
			for _, c := range got.Containers {
				if c.Host == h.Name && c.User == "root" && c.State != "absent" && c.Engine == "podman" {
					have = append(have, c.Name+"="+c.State)
				}
			}
			sort.Strings(want)
			sort.Strings(have)
			if !slices.Equal(want, have) {
				t.Errorf("containers\n%v, want\n%v", have, want)
			}
		})
	}
	crashed := slices.ContainsFunc(got.Containers, func(c struct{ Host, User, Name, State, Unit, Engine string }) bool {
		return c.Host == "storage" && c.Name == "crashed" && c.State == "absent" && c.Unit == "podman-crashed.service"
	})
	if !crashed {
		t.Error("the crashed --rm container is not seen")
	}
	if !slices.ContainsFunc(got.Errors, func(e struct{ Host, Error string }) bool { return e.Host == "laptop" }) {
		t.Error("laptop's containers need a password: that must be said")
	}
}

// TestBackupsAgreeWithRestic compares the newest snapshot with what the
// repository's own program lists.
func TestBackupsAgreeWithRestic(t *testing.T) {
	lab := labtest.Load(t)
	out, _, code := sextant(t, "backups", "--json", "storage", "cloud", "r2s")
	if code != 1 {
		t.Errorf("exit code %d, want 1: there are stale, failed and missing backups", code)
	}
	got := decode[struct {
		Jobs []struct {
			Host, Name, Tool, State, Error string
			NewestSnapshot                 time.Time
		}
	}](t, out)
	states := map[string]string{}
	for _, j := range got.Jobs {
		states[j.Host+"/"+j.Name] = j.State
		if j.Name != "home" {
			continue
		}
		list := decode[[]struct{ Time time.Time }](t, labtest.Output(t, lab.Link(t, j.Host), "restic-home", "snapshots", "--json", "--no-lock"))
		newest := time.Time{}
		for _, s := range list {
			if s.Time.After(newest) {
				newest = s.Time
			}
		}
		if d := j.NewestSnapshot.Sub(newest).Abs(); d > time.Second {
			t.Errorf("newest snapshot %s, want %s", j.NewestSnapshot, newest)
		}
	}
	for job, want := range map[string]string{
		"storage/home": "fresh", "storage/cold": "fresh", "storage/offsite": "stale", "cloud/broken": "failed", "r2s/never": "never",
	} {
		if states[job] != want {
			t.Errorf("%s is %q, want %q", job, states[job], want)
		}
	}
}

// TestHostsSaysWhyNot holds what is a host and what is not.
func TestHostsSaysWhyNot(t *testing.T) {
	lab := labtest.Load(t)
	out, _, code := sextant(t, "hosts", "--all", "--json")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	got := decode[struct {
		Hosts  []struct{ Name string }
		Others []struct{ Name, Why string }
	}](t, out)
	for _, h := range lab.Hosts {
		if !slices.ContainsFunc(got.Hosts, func(x struct{ Name string }) bool { return x.Name == h.Name }) {
			t.Errorf("%s is not found", h.Name)
		}
	}
	for _, o := range got.Others {
		if o.Why == "" {
			t.Errorf("%s is no host, but why?", o.Name)
		}
	}
	if len(got.Others) < 4 {
		t.Errorf("only %d others: %+v", len(got.Others), got.Others)
	}
}
