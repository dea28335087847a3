package nixops

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestNameVersion(t *testing.T) {
	for store, want := range map[string][2]string{
		"/nix/store/abc-openssh-10.0p2":                        {"openssh", "10.0p2"},
		"/nix/store/abc-openssh-10.0p2-man":                    {"openssh", "10.0p2"},
		"/nix/store/abc-linux-6.12.31-modules":                 {"linux", "6.12.31"},
		"/nix/store/abc-python3.12-requests-2.32.3":            {"python3.12-requests", "2.32.3"},
		"/nix/store/abc-unit-caddy.service":                    {"unit-caddy.service", ""},
		"/nix/store/abc-nixos-system-storage-25.05.2025.abc-x": {"nixos-system-storage", "25.05.2025.abc-x"},
		"/nix/store/abc-etc":                                   {"etc", ""},
		"abc":                                                  {"abc", ""},
		"/nix/store/abc-":                                      {"", ""},
	} {
		if name, version := nameVersion(store); name != want[0] || version != want[1] {
			t.Errorf("%s: %q %q, want %q", store, name, version, want)
		}
	}
}

func answer(sections ...string) []byte {
	var b strings.Builder
	for i := 0; i+1 < len(sections); i += 2 {
		fmt.Fprintf(&b, "\nXX %s\n%s\n", sections[i], sections[i+1])
	}
	b.WriteString("\nXX end\n")
	return []byte(b.String())
}

func TestParseDifference(t *testing.T) {
	out := answer(
		"paths-from", "/nix/store/a-caddy-2.9.1\n/nix/store/b-nano-8.3\n/nix/store/c-etc\n/nix/store/d-glibc-2.40",
		"kernel-from", "6.12.25", "parts-from", "kernel /nix/store/k1\ninitrd /nix/store/i", "units-from", "11 5 ./web.service\n12 5 ./old.service\n13 9 ./same.service\n1 1 ./web.service.d/over.conf",
		"paths-to", "/nix/store/e-caddy-2.10.0\n/nix/store/f-etc\n/nix/store/d-glibc-2.40\n/nix/store/g-new-1",
		"kernel-to", "6.12.31", "parts-to", "kernel /nix/store/k2\ninitrd /nix/store/i", "units-to", "11 5 ./web.service\n13 9 ./same.service\n2 1 ./web.service.d/over.conf\n7 7 ./new.service",
		"sizes", "100 /nix/store/a-caddy-2.9.1\n20 /nix/store/b-nano-8.3\n5 /nix/store/c-etc\n150 /nix/store/e-caddy-2.10.0\n6 /nix/store/f-etc\n1 /nix/store/g-new-1",
	)
	got, err := parseDifference(out, "XX")
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.Difference{
		Packages: []fleet.PackageChange{
			{Name: "caddy", Old: []string{"2.9.1"}, New: []string{"2.10.0"}, Size: 50},
			{Name: "nano", Old: []string{"8.3"}, New: []string{}, Size: -20},
			{Name: "new", Old: []string{}, New: []string{"1"}, Size: 1},
		},
		Added: 3, Removed: 3, Size: 32, Kernel: [2]string{"6.12.25", "6.12.31"}, Reboot: []string{"kernel"},
		Units: []fleet.UnitChange{{Unit: "new.service", How: "added"}, {Unit: "old.service", How: "removed"}, {Unit: "web.service", How: "changed"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDifferenceThatCannotBeTold(t *testing.T) {
	if _, err := parseDifference(answer("missing", "/nix/store/gone"), "XX"); err == nil || !strings.Contains(err.Error(), "/nix/store/gone") {
		t.Errorf("a system that is gone: %v", err)
	}
	whole := answer("paths-from", "/nix/store/a-b-1", "paths-to", "/nix/store/a-b-1")
	for n := range len(whole) - 4 {
		if _, err := parseDifference(whole[:n], "XX"); err == nil {
			t.Fatalf("cut at %d it passes for whole", n)
		}
	}
	if d, err := parseDifference(whole, "XX"); err != nil || len(d.Packages) != 0 || len(d.Units) != 0 {
		t.Errorf("the same system twice: %+v, %v", d, err)
	}
}

// closure is a made-up closure of n paths, whose versions end in v where their
// number is divisible by every.
func closure(n, every int, v string) []string {
	list := make([]string, n)
	for i := range list {
		version := "1.0"
		if i%every == 0 {
			version = v
		}
		list[i] = fmt.Sprintf("/nix/store/%032d-package%d-%s", i, i, version)
	}
	return list
}

func TestLargeClosures(t *testing.T) {
	list, added, removed := packageChanges(closure(5000, 7, "1.0"), closure(5000, 7, "2.0"), nil)
	if len(list) != 715 || added != 715 || removed != 715 {
		t.Errorf("%d changes, %d added, %d removed", len(list), added, removed)
	}
}

func BenchmarkDifferenceOf5000Paths(b *testing.B) {
	out := answer("paths-from", strings.Join(closure(5000, 3, "1.0"), "\n"), "paths-to", strings.Join(closure(5000, 3, "2.0"), "\n"))
	for b.Loop() {
		if _, err := parseDifference(out, "XX"); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParseDifference(f *testing.F) {
	f.Add(answer("paths-from", "/nix/store/a-b-1", "paths-to", "/nix/store/c-b-2", "sizes", "1 /nix/store/c-b-2", "units-to", "1 2 ./x.service"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseDifference(b, "XX")
		_, _ = parseDifference(append(b, "\nXX end\n"...), "XX")
	})
}

// TestDiffScript runs the program on systems of files, with a nix-store that
// tells what lies there.
func TestDiffScript(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range []string{"one", "two"} {
		put(g+"/bin/switch-to-configuration", "")
		put(g+"/kernel-modules/lib/modules/6.1-"+g+"/x", "")
		put(g+"/kernel", "")
		put(g+"/etc/systemd/system/same.service", "as it was")
		put(g+"/etc/systemd/system/web.service", g)
		put(g+"/paths", dir+"/store/a-caddy-"+g+"\n"+dir+"/store/b-same-1\n")
	}
	put("bin/nix-store", "#!/bin/sh\ncase $1$2 in -qR*) cat \"$2/paths\" ;; -q--size) shift 2; for p; do echo 7; done ;; esac\n")
	run := func(from, to string) (fleet.Difference, error) {
		t.Helper()
		cmd := exec.CommandContext(context.Background(), "sh", "-c", diffScript, "sextant", "XX", filepath.Join(dir, from), filepath.Join(dir, to))
		cmd.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return parseDifference(out, "XX")
	}
	d, err := run("one", "two")
	if err != nil {
		t.Fatal(err)
	}
	if d.Added != 1 || d.Removed != 1 || d.Kernel != [2]string{"6.1-one", "6.1-two"} || len(d.Reboot) == 0 {
		t.Errorf("%+v", d)
	}
	if len(d.Units) != 1 || d.Units[0] != (fleet.UnitChange{Unit: "web.service", How: "changed"}) {
		t.Errorf("units %+v", d.Units)
	}
	if _, err := run("one", "gone"); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a system that is gone: %v", err)
	}
	if d, err := run("one", "one"); err != nil || d.Added != 0 || len(d.Units) != 0 {
		t.Errorf("the same twice: %+v, %v", d, err)
	}
}
