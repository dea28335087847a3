package simulate_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestDifferencesOfTheDemo compares each two neighbours among the generations of
// hosts that do not exist: what nixops is told there must make sense to it.
func TestDifferencesOfTheDemo(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	d := dialer(t, f)
	for _, name := range []string{"storage", "router", "raspi3"} {
		l := d.Open(f.Host(name))
		st := probed(t, l)
		packages, kernels, units := 0, 0, 0
		gens := st.Generations.Value
		for i := 1; i < len(gens); i++ {
			newer, older := gens[i-1], gens[i]
			diff, err := nixops.ReadDifference(soon(t), l, older.Path, newer.Path)
			if err != nil {
				t.Fatal(err)
			}
			if diff.Kernel != [2]string{older.Kernel, newer.Kernel} || (len(diff.Reboot) > 0) != (older.Kernel != newer.Kernel) {
				t.Errorf("%s: kernels %v, reboot for %v; the probe tells of %s and %s", name, diff.Kernel, diff.Reboot, older.Kernel, newer.Kernel)
			}
			if diff.Added == 0 || diff.Removed == 0 || len(diff.Packages) == 0 || len(diff.Unseen) != 0 {
				t.Errorf("%s, %d to %d: %+v", name, older.Number, newer.Number, diff)
			}
			packages, kernels, units = packages+len(diff.Packages), kernels+len(diff.Reboot), units+len(diff.Units)
			again, err := nixops.ReadDifference(soon(t), l, older.Path, newer.Path)
			if err != nil || !reflect.DeepEqual(again, diff) {
				t.Errorf("%s: another one the second time: %+v, %+v, %v", name, diff, again, err)
			}
		}
		if packages == 0 || units == 0 && len(gens) > 2 || kernels == 0 && name != "raspi3" {
			t.Errorf("%s: %d packages, %d parts and %d units in %d generations", name, packages, kernels, units, len(gens))
		}
	}
}

// TestDifferenceToNowhere names the system that is not there.
func TestDifferenceToNowhere(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	l := dialer(t, f).Open(f.Host("vault"))
	running := probed(t, l).System.Value.Running.Path
	_, err := nixops.ReadDifference(soon(t), l, running, "/nix/store/x-gone")
	if err == nil || !strings.Contains(err.Error(), "vault") || !strings.Contains(err.Error(), "/nix/store/x-gone") || strings.Contains(err.Error(), running) {
		t.Errorf("got %v", err)
	}
	same, err := nixops.ReadDifference(soon(t), l, running, running)
	if err != nil || same.Added+same.Removed+len(same.Packages)+len(same.Units) != 0 || len(same.Unseen) != 0 {
		t.Errorf("the same twice: %+v, %v", same, err)
	}
}

// TestDryActivateOfTheDemo asks systems what their activation would do: it names
// the units that the comparison says are others, and nothing is activated.
func TestDryActivateOfTheDemo(t *testing.T) {
	f := begin(t, simulate.Options{Seed: 1})
	l := dialer(t, f).Open(f.Host("cloud"))
	st := probed(t, l)
	running, older := st.Generations.Value[0], st.Generations.Value[1]
	ask := func(path string) string {
		t.Helper()
		res, err := l.Run(soon(t), link.Command{Args: []string{path + "/bin/switch-to-configuration", "dry-activate"}, Root: true})
		if err != nil || res.Status != 0 {
			t.Fatalf("dry-activate of %s ended with %d: %v %s", path, res.Status, err, res.Stderr)
		}
		return string(res.Stderr)
	}
	diff, err := nixops.ReadDifference(soon(t), l, running.Path, older.Path)
	if err != nil {
		t.Fatal(err)
	}
	said := ask(older.Path)
	if len(diff.Units) == 0 || !strings.Contains(said, "would restart the following units: ") || !strings.Contains(said, "would stop the following units: ") {
		t.Errorf("of %+v it said %q", diff.Units, said)
	}
	for _, u := range diff.Units {
		if !strings.Contains(said, u.Unit) {
			t.Errorf("%s is another unit, and not in %q", u.Unit, said)
		}
	}
	if same := ask(running.Path); strings.Contains(same, "units") {
		t.Errorf("what runs already would do %q", same)
	}
	if now := probed(t, l).System.Value.Running.Path; now != running.Path {
		t.Errorf("it runs %s now", now)
	}
}
