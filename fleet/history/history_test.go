package history

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *History {
	t.Helper()
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

var then = time.Date(2026, 11, 20, 3, 4, 5, 0, time.UTC)

// sample is a host with something of every kind.
func sample(name string, containers int) fleet.State {
	list := make([]fleet.Container, containers)
	for i := range list {
		list[i] = fleet.Container{
			Engine: "podman", User: "root", Name: fmt.Sprintf("app-%d", i), ID: strings.Repeat("ab", 32), State: "running",
			Health: "healthy", Image: "registry.example.org/team/app:1.2.3", ImageID: strings.Repeat("cd", 32), ImageAt: then,
			Unit: fmt.Sprintf("podman-app-%d.service", i), Created: then, Started: then,
			Ports:   []fleet.Port{{HostIP: "127.0.0.1", Host: 8080, Container: 80, Protocol: "tcp"}},
			Command: []string{"serve", "--password=hunter2"},
		}
	}
	units := []fleet.Unit{
		{Name: "caddy.service", Load: "loaded", Active: "active", Sub: "running"},
		{Name: "broken.service", Load: "loaded", Active: "failed", Sub: "failed"},
		{Name: "restic-backups-home.service", Load: "loaded", Active: "inactive", Sub: "dead"},
	}
	for i := range list {
		units = append(units, fleet.Unit{Name: list[i].Unit, Load: "loaded", Active: "active", Sub: "running", Description: "container", Started: then})
	}
	var gens []fleet.Generation
	for i := range 40 {
		gens = append(gens, fleet.Generation{Number: 100 + i, Path: "/nix/store/" + strings.Repeat("x", 32) + "-nixos-system-" + name, Date: then, NixOSVersion: "25.05.1234"})
	}
	return fleet.State{
		Host:        fleet.Host{ID: fleet.HostID("node-" + name), Name: name, Addresses: []fleet.Address{{Via: fleet.ViaLAN, Host: "10.0.0.1"}}, NodeID: "n" + name},
		Reach:       fleet.Known(fleet.Reach{State: fleet.Up, Via: fleet.ViaTailnet, Path: "direct"}, then, "link"),
		System:      fleet.Known(fleet.System{NixOS: true, Hostname: name, MachineID: strings.Repeat("1", 32)}, then, "probe"),
		Inventory:   fleet.Known(fleet.Inventory{Programs: map[string]string{"podman": "/bin/podman"}}, then, "probe"),
		Generations: fleet.Known(gens, then, "probe"),
		Units:       fleet.Known(units, then, "probe"),
		Containers:  fleet.Known(list, then, "podman"),
		Backups:     fleet.Known([]fleet.BackupJob{{Name: "home", Unit: "restic-backups-home.service", State: fleet.BackupFresh, LastSuccess: then}}, then, "units"),
		Metrics:     fleet.Known(fleet.Metrics{CPU: 0.5, Disks: []fleet.Disk{{Mount: "/", Used: 1, Total: 2}}}, then, "/proc"),
		Alarms:      fleet.Nothing[[]fleet.Alarm]("no monitoring", then, "netdata"),
	}
}

func TestFactsComeBackWithTheirAgeButNotAsCurrent(t *testing.T) {
	h := open(t, t.TempDir())
	in := sample("storage", 3)
	in.NetChanges = []fleet.NetChange{{At: then, Level: fleet.Warn, Text: "wg0 is gone"}}
	in.Timers = fleet.Unknown[[]fleet.Timer](fmt.Errorf("refused"), then, "probe")
	if err := h.Save([]fleet.State{in, sample("cloud", 0)}); err != nil {
		t.Fatal(err)
	}
	out, err := h.Load()
	if err != nil || len(out) != 2 {
		t.Fatal(len(out), err)
	}
	got := out[0]
	if d := cmp.Diff(in.Host, got.Host); d != "" {
		t.Error(d)
	}
	if !got.Containers.At.Equal(then) || got.Containers.Current() || got.Containers.Err != fleet.Remembered {
		t.Errorf("containers: at %v, error %q", got.Containers.At, got.Containers.Err)
	}
	want := in.Containers.Value
	for i := range want {
		want[i].Command = nil
	}
	if d := cmp.Diff(want, got.Containers.Value); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(in.Generations.Value, got.Generations.Value); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(in.NetChanges, got.NetChanges); d != "" {
		t.Error(d)
	}
	if !got.Alarms.None || got.Alarms.Err != "no monitoring" {
		t.Errorf("alarms: %+v", got.Alarms)
	}
	if got.Timers.Asked() || got.Proc.Asked() {
		t.Error("what was never read came back")
	}
	var names []string
	for _, u := range got.Units.Value {
		names = append(names, u.Name)
	}
	if d := cmp.Diff([]string{"caddy.service", "broken.service", "restic-backups-home.service", "podman-app-0.service", "podman-app-1.service", "podman-app-2.service"}, names); d != "" {
		t.Error(d)
	}
	if p := got.Problems(time.Now()); len(p) != 1 || p[0].What != "not asked yet" {
		t.Errorf("a remembered host has problems %+v", p)
	}
}

func TestRememberedFactsAreKeptAgainWithTheirOwnAge(t *testing.T) {
	h := open(t, t.TempDir())
	if err := h.Save([]fleet.State{sample("a", 1)}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		states, err := h.Load()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Save(states); err != nil {
			t.Fatal(err)
		}
	}
	states, err := h.Load()
	if err != nil || !states[0].System.At.Equal(then) || !states[0].Alarms.None || !states[0].Alarms.ErrAt.Equal(then) {
		t.Fatal(err, states)
	}
}

func TestSecretsOfCommandsAndChecksAreNotStored(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	s := sample("a", 1)
	s.Host.Checks = []string{"https://ada:hunter2@media.example.org/"}
	if err := h.Save([]fleet.State{s}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, statesFile))
	if err != nil || strings.Contains(string(data), "hunter2") {
		t.Fatal("a secret is on the disk", err)
	}
	if s.Containers.Value[0].Command == nil {
		t.Error("saving changed the state it was given")
	}
}

func TestNothingThereIsNoError(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "deep", "sextant"))
	if s, err := h.Load(); err != nil || s != nil {
		t.Error(s, err)
	}
	if l, err := h.Identities(); err != nil || l != nil {
		t.Error(l, err)
	}
	if a := h.Remembered("x"); a != (fleet.Address{}) {
		t.Error(a)
	}
}

func TestUnusableFilesAreMovedAside(t *testing.T) {
	good := func(dir string) []byte {
		h := open(t, dir)
		if err := h.Save([]fleet.State{sample("a", 2)}); err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(filepath.Join(dir, statesFile))
		return data
	}
	for name, make := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"torn":        func(b []byte) []byte { return b[:len(b)/2] },
		"newer":       func(b []byte) []byte { return []byte(strings.Replace(string(b), `"schema":1`, `"schema":2`, 1)) },
		"no schema":   func([]byte) []byte { return []byte(`{}`) },
		"not UTF-8":   func([]byte) []byte { return []byte("\xff\xfe\x00") },
		"other types": func([]byte) []byte { return []byte(`{"schema":1,"hosts":1}` + "\n" + `{"host":7}` + "\n") },
		"a list":      func([]byte) []byte { return []byte(`[1,2]`) },
		"deep":        func([]byte) []byte { return []byte(strings.Repeat("[", 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, statesFile)
			if err := os.WriteFile(file, make(good(dir)), 0o600); err != nil {
				t.Fatal(err)
			}
			h := open(t, dir)
			states, err := h.Load()
			if err == nil || states != nil || !strings.Contains(err.Error(), ".bad") {
				t.Fatalf("%d states, error %v", len(states), err)
			}
			if _, err := os.Stat(file + ".bad"); err != nil {
				t.Error(err)
			}
			if _, err := h.Load(); err != nil {
				t.Error("the second load still complains:", err)
			}
			if err := h.Save([]fleet.State{sample("a", 0)}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHugeFileIsNotRead(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	f, _ := os.Create(filepath.Join(dir, statesFile))
	f.Truncate(maxFile + 1)
	f.Close()
	if _, err := h.Load(); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Fatal(err)
	}
}

func TestLinksAndPipesAreNotFollowed(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := open(t, dir)
	file := filepath.Join(dir, statesFile)
	if err := os.Symlink(victim, file); err != nil {
		t.Fatal(err)
	}
	if err := h.Save(nil); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(victim); string(b) != "precious" {
		t.Error("a symbolic link was written through")
	}
	os.Remove(file)
	os.Symlink(victim, file)
	if _, err := h.Load(); err == nil {
		t.Error("a symbolic link was read")
	}
	inside := filepath.Join(dir, "other.json")
	os.WriteFile(inside, []byte(`{"schema":1}`), 0o600)
	os.Remove(file)
	os.Symlink("other.json", file)
	if _, err := h.Load(); err == nil {
		t.Error("a symbolic link inside the folder was read")
	}
	os.Remove(file)
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Load(); err == nil {
		t.Error("a pipe was read")
	}
}

func TestFolderAndFilesAreOursAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sextant")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := open(t, dir)
	if err := h.Save([]fleet.State{sample("a", 1)}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, statesFile): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v (%v)", path, info.Mode(), err)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("leftovers: %v", entries)
	}
}

func TestFolderOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can make one")
		return
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if h, err := Open(dir); err == nil {
		h.Close()
		t.Error("accepted")
	}
	if _, err := Open("/dev/null/sextant"); err == nil {
		t.Error("a folder below a file was accepted")
	}
}

func TestManyWritersAndReadersNeverSeeATornFile(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for w := range 4 { // each as a process of its own would
		h := open(t, dir)
		wg.Go(func() {
			for range 15 {
				if err := h.Save([]fleet.State{sample(fmt.Sprintf("w%d", w), 5*w)}); err != nil {
					t.Error(err)
				}
				h.Remember(fleet.HostID(fmt.Sprint(w)), fleet.Address{Via: fleet.ViaLAN, Host: fmt.Sprint(w)})
				if s, err := h.Load(); err != nil || len(s) != 1 {
					t.Error(len(s), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNonsenseNumbersCostOnlyTheirFact(t *testing.T) {
	h := open(t, t.TempDir())
	s := sample("a", 1)
	s.Metrics.Value.CPU = math.NaN()
	deep := sample("b", 1)
	deep.Metrics.Value.Pressure = map[string]float64{"io": math.Inf(1)}
	err := h.Save([]fleet.State{s, deep, sample("c", 1)})
	if err == nil || !strings.Contains(err.Error(), "facts of b") {
		t.Error(err)
	}
	out, err := h.Load()
	if err != nil || len(out) != 2 || out[0].Metrics.Asked() || !out[0].System.HasValue() {
		t.Fatal(len(out), err)
	}
}

func TestIdentitiesAndAddressesSurvive(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	in := []Identity{{ID: "n1", Names: []string{"basestar", "cloud"}, NodeID: "n1", MachineID: "m", HostKeys: []string{"ssh-ed25519 AAAA"}, Seen: then}}
	if err := h.SaveIdentities(in); err != nil {
		t.Fatal(err)
	}
	h.Remember("n1", fleet.Address{Via: fleet.ViaLAN, Host: "10.0.0.2"})
	other := open(t, dir)
	other.Remember("n2", fleet.Address{Via: fleet.ViaTailnet, Host: "100.64.0.2", Port: 2222})
	h.Remember("n3", fleet.Address{Via: fleet.ViaLAN, Host: "10.0.0.3"})

	again := open(t, dir)
	if got, err := again.Identities(); err != nil || cmp.Diff(in, got) != "" {
		t.Error(err, cmp.Diff(in, got))
	}
	for id, want := range map[fleet.HostID]string{"n1": "10.0.0.2", "n2": "100.64.0.2", "n3": "10.0.0.3", "n4": ""} {
		if got := again.Remembered(id); got.Host != want {
			t.Errorf("%s: %+v", id, got)
		}
	}
	os.WriteFile(filepath.Join(dir, addressesFile), []byte("{"), 0o600)
	if err := again.remember("n5", fleet.Address{Host: "h"}); err == nil {
		t.Error("a damaged file went unsaid")
	}
	if got := open(t, dir).Remembered("n2"); got.Host != "100.64.0.2" {
		t.Error("a damaged file lost what this process knew")
	}
}

func FuzzLoad(f *testing.F) {
	h := open(f, f.TempDir())
	if err := h.Save([]fleet.State{sample("a", 2)}); err != nil {
		f.Fatal(err)
	}
	data, _ := h.read(statesFile)
	f.Add(data)
	f.Add([]byte(`{"schema":1,"hosts":1}` + "\n" + `{"host":{"id":"x"},"metrics":{"value":null,"at":"2026-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		states, err := parseStates(data, time.Now())
		if err != nil {
			return
		}
		for _, s := range states {
			if s.System.Current() || s.Containers.Current() || s.Host.Presence.Current() {
				t.Error("a remembered fact counts as current")
			}
		}
	})
}

func BenchmarkLoad30Hosts60Containers(b *testing.B) {
	h := open(b, b.TempDir())
	var states []fleet.State
	for i := range 30 {
		states = append(states, sample(fmt.Sprintf("host-%d", i), 60))
	}
	if err := h.Save(states); err != nil {
		b.Fatal(err)
	}
	data, _ := h.read(statesFile)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := h.Load(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhatAHostIsForIsRemembered, where only what runs there tells it: a laptop that
// is off from the beginning sleeps.
func TestWhatAHostIsForIsRemembered(t *testing.T) {
	h := open(t, t.TempDir())
	st := sample("box", 2)
	st.Units = fleet.Known(append(st.Units.Value, fleet.Unit{Name: "greetd.service", Load: "loaded", Active: "active", Sub: "running"}), st.Units.At, "probe")
	if err := h.Save([]fleet.State{st}); err != nil {
		t.Fatal(err)
	}
	back, err := h.Load()
	if err != nil || len(back) != 1 {
		t.Fatalf("%v %+v", err, back)
	}
	if role, from := back[0].Role(); role != fleet.RoleDesktop || from != "its greetd.service" {
		t.Errorf("%q, %q", role, from)
	}
}

// TestEmptyListsAreRemembered: that nothing had failed is not the same as that
// nobody knows.
func TestEmptyListsAreRemembered(t *testing.T) {
	h, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	then := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	st := fleet.State{
		Host: fleet.Host{ID: "a", Name: "a"}, Units: fleet.Known([]fleet.Unit{{Name: "sshd.service", Active: "active"}}, then, "probe"),
		Alarms: fleet.Known([]fleet.Alarm(nil), then, "netdata"), Deploys: fleet.Known([]fleet.Deploy(nil), then, "guard"),
	}
	if err := h.Save([]fleet.State{st, {Host: fleet.Host{ID: "b", Name: "b"}}}); err != nil {
		t.Fatal(err)
	}
	back, err := h.Load()
	if err != nil || len(back) != 2 {
		t.Fatalf("%v %+v", err, back)
	}
	a, b := back[0], back[1]
	if !a.Units.At.Equal(then) || !a.Alarms.At.Equal(then) || !a.Deploys.At.Equal(then) || a.Units.Current() {
		t.Errorf("%+v %+v %+v", a.Units, a.Alarms, a.Deploys)
	}
	if b.Units.HasValue() || b.Alarms.HasValue() {
		t.Errorf("what was never read is remembered: %+v", b.Units)
	}
}
