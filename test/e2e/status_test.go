//go:build lab

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
	OS     string
	Reach  fact[struct{ State, Via, Path, Address string }]
	System fact[struct {
		NixOS                    bool
		Running, Default, Booted path
		RebootNeeded             bool
		RebootWhy                []string
		NixOSVersion             string
	}]
	FailedUnits fact[[]string]
	Containers  fact[struct{ Running, Total, Unhealthy int }]
	Backups     fact[map[string]int]
	Metrics     fact[struct {
		Memory struct{ Used, Total uint64 }
		Disks  []struct {
			Mount, Source      string
			Used, Total, Avail uint64
		}
	}]
	Alarms   fact[[]struct{ Name, Status string }]
	Problems []struct{ What, Severity string }
}

// named gives a host's part of the status.
func (s status) named(t testing.TB, name string) hostStatus {
	t.Helper()
	i := slices.IndexFunc(s.Hosts, func(h hostStatus) bool { return h.Name == name })
	if i < 0 {
		t.Fatalf("%s is missing among %d hosts", name, len(s.Hosts))
	}
	return s.Hosts[i]
}

// statusNow is `sextant status --json` of the whole fleet.
func statusNow(t testing.TB) status {
	t.Helper()
	out, stderr, code := sextant(t, "status", "--json")
	if code != 1 {
		t.Errorf("exit code %d, want 1: the lab has problems. %s", code, stderr)
	}
	st := decode[status](t, out)
	if st.Schema != 1 {
		t.Errorf("schema %d", st.Schema)
	}
	return st
}

// differences are those between what is told and what is true, as far as they
// were found.
type differences []string

// same compares one thing.
func (d *differences) same(what string, told, true any) {
	if !reflect.DeepEqual(told, true) {
		*d = append(*d, fmt.Sprintf("%s:\n told %v\n true %v", what, told, true))
	}
}

func (d *differences) add(format string, args ...any) {
	*d = append(*d, fmt.Sprintf(format, args...))
}

// agree compares until there is no difference. Hosts live: what changed
// between two questions is asked about again.
func agree(t *testing.T, compare func(d *differences)) {
	t.Helper()
	var d differences
	for range 4 {
		d = nil
		if compare(&d); len(d) == 0 {
			return
		}
		time.Sleep(2 * time.Second)
	}
	t.Error(strings.Join(d, "\n"))
}

// aspects are what the commands tell of a host, each with the host's own
// command that knows better.
var aspects = []struct {
	name    string
	compare func(t *testing.T, h labtest.Host, d *differences)
}{
	{"status", compareStatus},
	{"generations", compareGenerations},
	{"containers", compareContainers},
	{"units", compareUnits},
	{"backups", compareBackups},
}

// TestCommandsAgreeWithTheHosts compares what every command says of every host
// with what the host's own commands say inside it.
func TestCommandsAgreeWithTheHosts(t *testing.T) {
	for _, h := range labtest.Load(t).Hosts {
		for _, a := range aspects {
			t.Run(h.Name+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				agree(t, func(d *differences) { a.compare(t, h, d) })
			})
		}
	}
}

func compareStatus(t *testing.T, h labtest.Host, d *differences) {
	out, _, _ := sextant(t, "status", "--json", h.Name)
	got := decode[status](t, out).named(t, h.Name)
	if got.Reach.Value == nil {
		d.add("not reached: %s", got.Reach.Error)
		return
	}
	if age := time.Since(got.Reach.At); age < 0 || age > time.Minute {
		d.add("reach is from %s", got.Reach.At)
	}
	wantVia := "tailnet"
	if h.Tailnet == "" {
		wantVia = "config"
	}
	d.same("the way", got.Reach.Value.Via, wantVia)
	if h.Base == "debian" {
		d.same("NixOS", got.System.Value != nil && got.System.Value.NixOS, false)
	} else {
		compareSystem(t, h, got, d)
	}
	if got.FailedUnits.Value == nil {
		d.add("failed units: %s", got.FailedUnits.Error)
	} else {
		d.same("failed units", slices.Sorted(slices.Values(*got.FailedUnits.Value)), failedOf(t, h.Name))
	}
	compareCounts(t, h, got, d)
	compareDisks(t, h, got, d)
}

func compareSystem(t *testing.T, h labtest.Host, got hostStatus, d *differences) {
	if got.System.Value == nil {
		d.add("system: %s", got.System.Error)
		return
	}
	sys, want, all := *got.System.Value, systemOf(t, h.Name), generationsOf(t, h.Name)
	d.same("systems", []path{sys.Running, sys.Default, sys.Booted}, []path{
		{want.Running, numbered(all, want.Running)}, {want.Default, numbered(all, want.Default)}, {want.Booted, numbered(all, want.Booted)},
	})
	d.same("version", sys.NixOSVersion, want.Version)
	why := rebootWhy(t, h.Name)
	d.same("reboot needed", sys.RebootNeeded, len(why) > 0)
	d.same("what needs a reboot", append([]string{}, sys.RebootWhy...), append([]string{}, why...))
}

// compareCounts compares how many containers and backups there are in each state.
func compareCounts(t *testing.T, h labtest.Host, got hostStatus, d *differences) {
	var running, unhealthy int
	all := containersOf(t, h)
	for _, c := range all {
		if c.State == "running" {
			running++
		}
		if c.Health == "unhealthy" {
			unhealthy++
		}
	}
	switch c := got.Containers.Value; {
	case h.Name == "laptop":
		needsPassword(got.Containers.Error, d)
	case len(h.Runs) == 0 || !slices.Contains(h.Runs, "podman") && !slices.Contains(h.Runs, "docker"):
		d.same("no containers", got.Containers.None, true)
	case c == nil:
		d.add("containers: %s", got.Containers.Error)
	default:
		d.same("counts of containers", []int{c.Running, c.Total, c.Unhealthy}, []int{running, len(all), unhealthy})
	}
	compareBackupCounts(t, h, got, d)
}

// compareBackupCounts: without asking the repositories, only what the units
// remember since the host booted is known; with --deep, all of it is. Switching to
// another system makes systemd forget that one has failed, not with what status.
func compareBackupCounts(t *testing.T, h labtest.Host, got hostStatus, d *differences) {
	none := map[string]int{"fresh": 0, "stale": 0, "failed": 0, "never": 0, "unknown": 0}
	quick, deep := maps.Clone(none), maps.Clone(none)
	jobs := backupsOf(t, h.Name)
	for name, j := range jobs {
		state := backupStates[h.Name+"/"+name]
		deep[state]++
		switch {
		case j.Result != "success", j.Exit != "0":
			quick["failed"]++
		case j.Ended.IsZero():
			quick["unknown"]++
		default:
			quick[state]++
		}
	}
	if len(jobs) == 0 {
		d.same("no backups", got.Backups.None, true)
		return
	}
	if got.Backups.Value == nil {
		d.add("backups: %s", got.Backups.Error)
		return
	}
	d.same("counts of backups", *got.Backups.Value, quick)
	out, _, _ := sextant(t, "status", "--deep", "--json", h.Name)
	if asked := decode[status](t, out).named(t, h.Name).Backups.Value; asked == nil || !maps.Equal(*asked, deep) {
		d.add("counts of backups, asking the repositories: %v, want %v", asked, deep)
	}
}

// needsPassword holds what a command says of a host whose root is behind a
// password: nobody is asked for one to look at something.
func needsPassword(why string, d *differences) {
	if !strings.Contains(why, "sudo") || !strings.Contains(why, "password") {
		d.add("it needs a password, and that is not said: %q", why)
	}
}

// compareDisks compares sizes with df and memory with the kernel's.
func compareDisks(t *testing.T, h labtest.Host, got hostStatus, d *differences) {
	m := got.Metrics.Value
	if m == nil {
		d.add("metrics: %s", got.Metrics.Error)
		return
	}
	near := func(a, b uint64) bool { return math.Abs(float64(a)-float64(b)) < 64<<20+0.01*float64(b) }
	truth, sources := disksOf(t, h.Name), map[string]bool{}
	for _, told := range m.Disks {
		sources[told.Source] = true
		want, ok := truth[told.Mount]
		if !ok || !near(told.Total, want.Total) || !near(told.Used, want.Used) || !near(told.Avail, want.Free) {
			d.add("disk %+v, df says %+v", told, want)
		}
	}
	for mount, want := range truth {
		if strings.HasPrefix(want.Source, "/dev/") && !strings.HasPrefix(mount, "/run/") && !sources[want.Source] {
			d.add("%s at %s is missing", want.Source, mount)
		}
	}
	if total := memoryOf(t, h.Name); !near(m.Memory.Total, total) || m.Memory.Used > m.Memory.Total {
		d.add("memory %+v, want a total of %d", m.Memory, total)
	}
}

func compareGenerations(t *testing.T, h labtest.Host, d *differences) {
	out, stderr, code := sextant(t, "generations", "--json", h.Name)
	if h.Base == "debian" {
		if code != 1 || !strings.Contains(stderr, "generations of "+h.Name+": not NixOS: Debian") {
			d.add("exit code %d: %s", code, stderr)
		}
		return
	}
	type told struct {
		Generation               int
		Path, NixOSVersion       string
		Date                     time.Time
		Running, Default, Booted bool
		BootEntry                *bool
	}
	got := decode[struct {
		Host        string
		Generations []told
	}](t, out)
	d.same("exit code", code, 0)
	d.same("host", got.Host, h.Name)
	sys, all := systemOf(t, h.Name), generationsOf(t, h.Name)
	var want []told
	for _, n := range slices.Sorted(maps.Keys(all)) {
		g := all[n]
		menu := &g.InMenu
		if h.Name == "laptop" { // only root may read the boot menu
			menu = nil
		}
		want = append(want, told{n, g.Path, g.Version, g.Made.UTC(), g.Path == sys.Running, g.Path == sys.Default, g.Path == sys.Booted, menu})
	}
	slices.SortFunc(got.Generations, func(a, b told) int { return a.Generation - b.Generation })
	for i := range got.Generations {
		got.Generations[i].Date = got.Generations[i].Date.UTC().Truncate(time.Second)
	}
	text := func(list []told) string { b, _ := json.Marshal(list); return string(b) }
	d.same("generations", text(got.Generations), text(want))
}

func compareContainers(t *testing.T, h labtest.Host, d *differences) {
	out, _, code := sextant(t, "containers", "--json", h.Name)
	got := decode[struct {
		Containers []struct {
			Host, User, Name, State, Health, Unit, Engine string
			ExitCode                                      int
		}
		Errors []struct{ Host, Error string }
	}](t, out)
	if h.Name == "laptop" {
		d.same("exit code", code, 3)
		d.same("hosts that cannot tell", len(got.Errors), 1)
		for _, e := range got.Errors {
			needsPassword(e.Error, d)
		}
		return
	}
	d.same("exit code", code, 0)
	d.same("errors", len(got.Errors), 0)
	told := []string{}
	for _, c := range got.Containers {
		told = append(told, fmt.Sprint(container{c.Engine, c.User, c.Name, c.State, c.Health, c.ExitCode}))
	}
	want := []string{}
	for _, c := range containersOf(t, h) {
		want = append(want, fmt.Sprint(c))
	}
	slices.Sort(told)
	slices.Sort(want)
	d.same("containers", told, want)
}

func compareUnits(t *testing.T, h labtest.Host, d *differences) {
	out, _, code := sextant(t, "units", "--json", h.Name)
	got := decode[struct {
		Units []struct{ Host, User, Unit, Active, Sub string }
	}](t, out)
	d.same("exit code", code, 0)
	told, want := map[string]string{}, unitsOf(t, h.Name)
	for _, u := range got.Units {
		if u.User == "" && !passing(u.Unit) {
			told[u.Unit] = u.Active + "/" + u.Sub
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(want)) {
		d.same(unit, told[unit], want[unit])
		delete(told, unit)
	}
	d.same("units that are not there", told, map[string]string{})
	if len(want) < 10 {
		d.add("only %d units", len(want))
	}
}

// backupStates are what the lab's jobs are there for (test/lab/README.md).
var backupStates = map[string]string{
	"storage/home": "fresh", "storage/cold": "fresh", "storage/offsite": "stale", "cloud/broken": "failed", "r2s/never": "never",
}

func compareBackups(t *testing.T, h labtest.Host, d *differences) {
	out, _, code := sextant(t, "backups", "--json", h.Name)
	got := decode[struct {
		Jobs []struct {
			Host, Name, Tool, Unit, State, Error string
			LastSuccess, NewestSnapshot          time.Time
			Snapshots                            int
		}
	}](t, out)
	want := backupsOf(t, h.Name)
	d.same("number of jobs", len(got.Jobs), len(want))
	bad := 0
	for _, j := range got.Jobs {
		truth, state := want[j.Name], backupStates[h.Name+"/"+j.Name]
		d.same(j.Name, []string{j.Tool, j.Unit, j.State}, []string{truth.Tool, truth.Unit, state})
		if state != "fresh" {
			bad = 1
		}
		if state == "failed" && j.Error == "" {
			d.add("%s failed, and why is not told", j.Name)
		}
		if state == "fresh" && j.LastSuccess.Sub(truth.Ended).Abs() > 2*time.Second {
			d.add("%s was well last at %s, its unit says %s", j.Name, j.LastSuccess, truth.Ended)
		}
		newest := time.Time{}
		for _, at := range truth.Snapshots {
			if at.After(newest) {
				newest = at
			}
		}
		if j.Snapshots != 0 { // not every source counts them
			d.same(j.Name+"'s snapshots", j.Snapshots, len(truth.Snapshots))
		}
		if j.NewestSnapshot.Sub(newest).Abs() > time.Second {
			d.add("%s: newest snapshot %s, the repository says %s", j.Name, j.NewestSnapshot, newest)
		}
	}
	d.same("exit code", code, bad)
}

// TestAlarmsAgreeWithNetdata compares the alarms of every host with those that
// Netdata has of it, on the host or on the parent.
func TestAlarmsAgreeWithNetdata(t *testing.T) {
	lab := labtest.Load(t)
	agree(t, func(d *differences) {
		st := statusNow(t)
		out, _, _ := sextant(t, "alarms", "--json")
		list := decode[struct {
			Alarms []struct {
				Host, Name, Status string
				Sources            []string
			}
		}](t, out)
		for _, h := range lab.Hosts {
			want, told, listed := alarmsOf(t, h), map[string]string{}, map[string]string{}
			if want == nil {
				d.same(h.Name+" has no monitoring", st.named(t, h.Name).Alarms.None, true)
				want = map[string]string{}
			} else if v := st.named(t, h.Name).Alarms.Value; v == nil {
				d.add("alarms of %s: %s", h.Name, st.named(t, h.Name).Alarms.Error)
			} else {
				for _, a := range *v {
					told[a.Name] = a.Status
				}
				d.same("alarms of "+h.Name, told, want)
			}
			for _, a := range list.Alarms {
				if a.Host == h.Name && slices.ContainsFunc(a.Sources, func(s string) bool { return strings.HasPrefix(s, "netdata") }) { // other monitors have a test of their own
					listed[a.Name] = a.Status
				}
			}
			d.same("listed alarms of "+h.Name, listed, want)
		}
	})
}

// absent are nodes of the tailnet that are hosts and cannot be reached, with
// their addresses and what is wrong besides.
var absent = map[string]struct {
	address  string
	problems []string
}{
	"cottage": {"100.64.0.107", nil},
	"octopi":  {"100.64.0.108", []string{"Tailscale key expired"}},
}

// TestHostsThatAreAway: nothing is told of them as if it were known.
func TestHostsThatAreAway(t *testing.T) {
	labtest.Load(t)
	st := statusNow(t)
	for name, away := range absent {
		h, why := st.named(t, name), "no address answers: "+away.address
		if h.Reach.Value != nil || !strings.HasPrefix(h.Reach.Error, why) {
			t.Errorf("%s: reach %+v", name, h.Reach)
		}
		var problems []string
		for _, p := range h.Problems {
			problems = append(problems, p.What)
		}
		if want := append(slices.Clone(away.problems), "offline: "+h.Reach.Error); !slices.Equal(problems, want) {
			t.Errorf("%s: problems %q, want %q", name, problems, want)
		}
		for what, known := range map[string]bool{
			"system": h.System.Value != nil, "units": h.FailedUnits.Value != nil, "containers": h.Containers.Value != nil,
			"backups": h.Backups.Value != nil, "metrics": h.Metrics.Value != nil, "alarms": h.Alarms.Value != nil,
		} {
			if known {
				t.Errorf("%s: its %s are told as if they were known", name, what)
			}
		}
		for command, want := range map[string]int{"generations": 1, "units": 3, "containers": 3, "backups": 3} {
			out, stderr, code := sextant(t, command, "--json", name)
			if code != want || !strings.Contains(out+stderr, why) {
				t.Errorf("%s of %s: exit code %d, want %d: %s%s", command, name, code, want, out, stderr)
			}
		}
	}
}

// TestHostsSaysWhyNot holds of every node what it is: a host, or the exact
// reason why it is none.
func TestHostsSaysWhyNot(t *testing.T) {
	lab := labtest.Load(t)
	out, _, code := sextant(t, "hosts", "--all", "--json")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	got := decode[struct {
		Hosts []struct {
			Name      string
			Sources   []string
			Addresses []struct{ Via, Host string }
			Tags      []string
		}
		Others []struct{ Name, Why string }
	}](t, out)
	var hosts, want []string
	for _, h := range got.Hosts {
		hosts = append(hosts, h.Name)
		if i := slices.IndexFunc(lab.Hosts, func(x labtest.Host) bool { return x.Name == h.Name }); i >= 0 {
			known := lab.Hosts[i]
			at := slices.ContainsFunc(h.Addresses, func(a struct{ Via, Host string }) bool {
				return a.Host == known.Tailnet || known.Tailnet == "" && a.Host == known.LAN
			})
			if !at || known.Tailnet != "" && !slices.Contains(h.Sources, "tailscale") {
				t.Errorf("%s is at %v, found by %v", h.Name, h.Addresses, h.Sources)
			}
			for _, tag := range known.Tags {
				if !slices.ContainsFunc(h.Tags, func(x string) bool { return "tag:"+x == tag || x == tag }) {
					t.Errorf("%s has the tags %v, not %s", h.Name, h.Tags, tag)
				}
			}
		}
	}
	for _, h := range lab.Hosts {
		want = append(want, h.Name)
	}
	want = append(want, slices.Collect(maps.Keys(absent))...)
	slices.Sort(hosts)
	slices.Sort(want)
	if !slices.Equal(hosts, want) {
		t.Errorf("hosts are\n%v, want\n%v", hosts, want)
	}
	others := map[string]string{}
	for _, o := range got.Others {
		others[o.Name] = o.Why
	}
	if !maps.Equal(others, whyNot) {
		t.Errorf("no hosts are\n%v, want\n%v", others, whyNot)
	}
}

// whyNot are the nodes of the lab's tailnet that are no hosts.
var whyNot = map[string]string{
	"phone": "phone (iOS)", "tablet": "phone (Android)", "jellyfin": "service node (tag:service)", "grafana": "service node (tag:service)",
	"photos": "service node (tag:service)", "storage-1": "duplicate of storage", "brazil-exit": "exit node",
	"nas.neighbour.ts.net": "shared in by neighbour@example.org", "operator": "this machine, which is not NixOS",
}

// TestHostsOfTheFlake: what the flake declares and what the tailnet knows is one host.
func TestHostsOfTheFlake(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(conf, []byte(fmt.Sprintf("flake = %q\n", filepath.Join(os.Getenv("HOME"), "fleet"))), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := sextant(t, "hosts", "--json", "--config", conf)
	if code != 0 {
		t.Errorf("%d: %s", code, errs)
	}
	found := map[string][]string{}
	for _, h := range decode[struct {
		Hosts []struct {
			Name    string
			Sources []string
		}
	}](t, out).Hosts {
		found[h.Name] = h.Sources
	}
	for _, name := range []string{"storage", "cloud", "router", "r2s", "desktop", "laptop", "vault"} {
		if from := found[name]; !slices.Contains(from, "flake") || name != "vault" && !slices.Contains(from, "tailscale") {
			t.Errorf("%s is found by %v", name, from)
		}
	}
	if _, ok := found["phone"]; ok {
		t.Error("a phone is a host")
	}
}
