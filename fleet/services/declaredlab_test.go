//go:build lab

package services

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/network"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// known is a host with all of its own that the matrix is made of.
func known(t *testing.T, l link.Link) fleet.State {
	t.Helper()
	f, err := labtest.Probe(t).Read(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	st := fleet.State{Host: l.Host(), System: f.System, Inventory: f.Inventory, Units: f.Units, Listens: network.Listens(t.Context(), l)}
	st.Declared = Declares(t.Context(), l)
	if !st.Declared.Current() {
		t.Fatal(st.Declared.Err)
	}
	return st
}

// TestDeclaredAgrees: where a unit comes from is what the hosts' own commands say, for
// every service that runs on every host of the lab.
func TestDeclaredAgrees(t *testing.T) {
	lab := labtest.Load(t)
	for _, h := range lab.Hosts {
		t.Run(h.Name, func(t *testing.T) {
			l := lab.Link(t, h.Name)
			st := known(t, l)
			d := st.Declared.Value
			if top := strings.TrimSpace(labtest.Output(t, l, "sh", "-c", "readlink -f /run/current-system || :")); strings.HasPrefix(top, "/nix/store/") && d.Toplevel != top {
				t.Errorf("%s runs, told is %q", top, d.Toplevel)
			}
			has := strings.Fields(labtest.Output(t, l, "sh", "-c", "ls /run/current-system/etc/systemd/system 2>/dev/null || :"))
			running := strings.Fields(labtest.Output(t, l, "sh", "-c", "systemctl list-units --type=service --state=active --plain --no-legend --no-pager | awk '{print $1}'"))
			n := 0
			for _, name := range running {
				u, ok := d.Unit(name)
				if !ok {
					t.Errorf("%s runs, and is not told", name)
					continue
				}
				n++
				file := strings.TrimSpace(labtest.Output(t, l, "systemctl", "show", "-P", "FragmentPath", name))
				source := strings.TrimSpace(labtest.Output(t, l, "systemctl", "show", "-P", "SourcePath", name))
				template, _, _ := strings.Cut(name, "@")
				want := fleet.FromPackage
				switch {
				case strings.HasSuffix(source, ".container"):
					want = fleet.FromQuadlet // or by hand: neither is of the system
					if u.Origin == fleet.FromHand {
						want = fleet.FromHand
					}
				case slices.Contains(has, name), slices.Contains(has, template+"@.service"):
					want = fleet.FromModules
				case strings.HasPrefix(file, "/run/systemd/transient/"):
					want = fleet.FromTransient
				case strings.Contains(path.Dir(file), "generator"):
					want = fleet.FromGenerator
				case file == "":
					want = fleet.FromNowhere
				case strings.HasPrefix(file, "/run/"), strings.HasPrefix(file, "/etc/") && d.Toplevel != "":
					want = fleet.FromHand
				}
				if u.Origin != want {
					t.Errorf("%s (%s, %s) is told to be from %s, not %s", name, file, source, u.Origin, want)
				}
			}
			if n < 3 {
				t.Errorf("only %d units were compared", n)
			}
		})
	}
}

// TestDeclaredMissing: a unit of the system that is stopped and would stay is missing,
// one that was started by hand is not declared, and both are no more when it is undone.
func TestDeclaredMissing(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "r2s")
	sh := func(script string) string { return labtest.Output(t, l, "sh", "-c", script) }
	const dir = "/run/systemd/system/lab-worker.service.d"
	undo := "systemctl stop lab-byhand.service 2>/dev/null; rm -rf " + dir + "; systemctl daemon-reload; systemctl start lab-worker.service; rm -f /etc/services.json"
	sh(undo + "; mkdir -p " + dir + "; printf '[Service]\\nRestart=always\\n' >" + dir + "/stays.conf; systemctl daemon-reload; touch -h -d '1 hour ago' /run/current-system")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // that of the test is over
		defer cancel()
		if _, err := l.Run(ctx, link.Command{Args: []string{"sh", "-c", undo}, IfRoot: true}); err != nil {
			t.Error(err)
		}
	})
	state := func(name string) fleet.ServiceRow {
		st := known(t, l)
		st.Containers = fleet.Nothing[[]fleet.Container]("no Podman", time.Now(), "probe")
		for _, r := range (fleet.Snapshot{Hosts: []fleet.State{st}}).Matrix(time.Now()).Rows {
			if r.Name == name {
				return r
			}
		}
		u, _ := st.Declared.Value.Unit(name + ".service")
		t.Logf("%s has no row: settled %v %s, %+v", name, st.Declared.Value.Settled, st.Declared.Value.Why, u)
		return fleet.ServiceRow{}
	}
	if r := state("lab-worker"); r.Missing || r.Undeclared {
		t.Errorf("before: %+v", r)
	}
	sh("systemctl stop lab-worker.service; systemd-run -q --unit=lab-byhand.service sleep 600; printf '%s' '{\"nobody\":{\"listenPort\":7999}}' >/etc/services.json")
	if r := state("lab-worker"); !r.Missing || r.Configured.State != fleet.CellBroken || r.Defined.State != fleet.CellYes {
		t.Errorf("stopped: %+v", r)
	}
	if r := state("lab-byhand"); !r.Undeclared || !strings.Contains(r.Defined.Why, "systemd-run") {
		t.Errorf("by hand: %+v", r)
	}
	if r := state("nobody"); !r.Missing || !r.Listed {
		t.Errorf("of the registry: %+v", r)
	}
	sh("printf '<html>' >/etc/services.json")
	if d := Declares(t.Context(), l).Value; !strings.Contains(d.Registry.Err, "HTML") {
		t.Errorf("rubbish: %+v", d.Registry)
	}
	sh(undo)
	if r := state("lab-worker"); r.Missing || r.Undeclared {
		t.Errorf("after: %+v", r)
	}
}

// TestDeclaredOfStorage: its registry and what its containers mount are what its own
// commands say.
func TestDeclaredOfStorage(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "storage")
	d := known(t, l).Declared.Value
	names := strings.Fields(labtest.Output(t, l, "sh", "-c", `grep -o '"[a-z]*":{' /etc/services.json | tr -d '":{'`))
	slices.Sort(names)
	var got []string
	for _, e := range d.Registry.Entries {
		got = append(got, e.Name)
	}
	if !slices.Equal(got, names) || len(names) < 2 {
		t.Errorf("%v, want %v (%s)", got, names, d.Registry.Err)
	}
	for _, name := range strings.Fields(labtest.Output(t, l, "podman", "ps", "-a", "--format", "{{.Names}}")) {
		if _, ok := d.Data[name]; !ok {
			t.Errorf("what %s mounts is not told: %v, %v", name, d.Data, d.Unseen)
		}
	}
	if jelly, ok := d.Unit("podman-jellyfin.service"); !ok || !jelly.Runs() || jelly.Origin != fleet.FromHand {
		t.Errorf("%+v", jelly)
	}
}
