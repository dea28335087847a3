package nixops

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
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

// TestRecordedDifference reads what the script told of two systems in a store of
// nix 2.8. Between them a unit was rebuilt with the same content, one masked, and
// one's drop-in changed; an old openssl came beside the new one.
func TestRecordedDifference(t *testing.T) {
	out, err := os.ReadFile("testdata/diff.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseDifference(out, "MARK")
	if err != nil {
		t.Fatal(err)
	}
	kernel := func(name string, size int64) fleet.PackageChange {
		return fleet.PackageChange{Name: name, Old: []string{"6.12.25"}, New: []string{"6.12.31"}, Size: size}
	}
	want := fleet.Difference{
		Packages: []fleet.PackageChange{
			{Name: "caddy", Old: []string{"2.9.1"}, New: []string{"2.10.0"}, Size: 1000},
			kernel("initrd-linux", 0),
			{Name: "jq", Old: []string{}, New: []string{"1.7.1"}, Size: 984},
			kernel("linux", 0),
			{Name: "nano", Old: []string{"8.3"}, New: []string{}, Size: -880},
			{Name: "nixos-system-storage", Old: []string{"25.05.20251101.aaaaaaa"}, New: []string{"25.05.20251120.bbbbbbb"}, Size: 64},
			{Name: "openssl", Old: []string{"3.4.1"}, New: []string{"1.1.1w", "3.4.2"}, Size: 5280},
		},
		Added: 13, Removed: 12, Size: 6384, Kernel: [2]string{"6.12.25", "6.12.31"}, Reboot: []string{"kernel", "initrd", "kernel-modules"},
		Units: []fleet.UnitChange{
			{Unit: "caddy.service", How: "changed"}, {Unit: "getty@.service", How: "changed"}, {Unit: "jq.timer", How: "added"},
			{Unit: "nano.service", How: "removed"}, {Unit: "sshd.service", How: "changed"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDifferenceThatCannotBeTold(t *testing.T) {
	if _, err := parseDifference(answer("missing", "/nix/store/gone"), "XX"); !errors.Is(err, errGone) || !strings.Contains(err.Error(), "/nix/store/gone") {
		t.Errorf("a system that is gone: %v", err)
	}
	if _, err := parseDifference(answer("paths-from", "/nix/store/a-b-1", "paths-to", ""), "XX"); err == nil || !strings.Contains(err.Error(), "nix-store") {
		t.Errorf("a closure that nix-store does not tell: %v", err)
	}
	whole := answer("paths-from", "/nix/store/a-b-1", "paths-to", "/nix/store/a-b-1")
	for n := range len(whole) - 4 {
		if _, err := parseDifference(whole[:n], "XX"); err == nil {
			t.Fatalf("cut at %d it passes for whole", n)
		}
	}
	if d, err := parseDifference(whole, "XX"); err != nil || len(d.Packages) != 0 || len(d.Units) != 0 || len(d.Unseen) != 0 {
		t.Errorf("the same system twice: %+v, %v", d, err)
	}
}

// TestSizesInPart holds that no sum is told where one of its parts is missing.
func TestSizesInPart(t *testing.T) {
	for _, sizes := range []string{
		"", "100 /nix/store/a-caddy-1", "100 /nix/store/a-caddy-1\n-5 /nix/store/b-caddy-2",
		"100 /nix/store/a-caddy-1\n9223372036854775807 /nix/store/b-caddy-2", "100 /nix/store/a-caddy-1\n5 /nix/store/of-something-else",
	} {
		d, err := parseDifference(answer("paths-from", "/nix/store/a-caddy-1", "paths-to", "/nix/store/b-caddy-2", "sizes", sizes, "unseen", "all unit files of x"), "XX")
		if err != nil || d.Size != 0 || d.Packages[0].Size != 0 || !slices.Equal(d.Unseen, []string{"all unit files of x", "sizes of what differs"}) {
			t.Errorf("%q: %+v, %v", sizes, d, err)
		}
	}
}

// TestNothingDiffers: where neither has a kernel, no reboot is needed; where the
// folder gives its files in another order, no unit has changed.
func TestNothingDiffers(t *testing.T) {
	both := []string{"paths-from", "/nix/store/a-b-1", "paths-to", "/nix/store/a-b-1", "parts-from", "systemd /s", "parts-to", "systemd /s"}
	d, err := parseDifference(answer(append(both, "units-from", "1 1 ./a.service\n2 2 ./a.service.d/x.conf\n3 3 ./a.service.d/y.conf",
		"units-to", "3 3 ./a.service.d/y.conf\n2 2 ./a.service.d/x.conf\n1 1 ./a.service")...), "XX")
	if err != nil || len(d.Reboot) != 0 || len(d.Units) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

const hostile = "\x1b[2J\x1b]0;owned\x07\u202egnp\x9b5m\xff\x00"

func TestHostileDifference(t *testing.T) {
	d, err := parseDifference(answer("paths-from", "/nix/store/a-"+hostile+"b-1"+hostile, "paths-to", "/nix/store/b-"+hostile+"b-2",
		"kernel-from", hostile, "units-from", "1 1 ./"+hostile+".service", "parts-from", hostile+" "+hostile, "unseen", hostile, "sizes", "x "+hostile), "XX")
	if err != nil || len(d.Packages) != 1 || len(d.Units) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := dirty(d); err != nil {
		t.Error(err)
	}
	if _, err := parseDifference(answer("missing", hostile+"x"), "XX"); err == nil || dirty(fleet.Difference{From: err.Error()}) != nil {
		t.Errorf("%q", err)
	}
}

// dirty tells of text in a difference that must not reach a terminal.
func dirty(d fleet.Difference) error {
	words := append([]string{d.From, d.To, d.Kernel[0], d.Kernel[1]}, append(d.Reboot, d.Unseen...)...)
	for _, p := range d.Packages {
		words = append(append(append(words, p.Name), p.Old...), p.New...)
	}
	for _, u := range d.Units {
		words = append(words, u.Unit)
	}
	for _, w := range words {
		if w != fleet.Clean(w) {
			return fmt.Errorf("%q", w)
		}
	}
	return nil
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
	list, added, removed := packageChanges(set(closure(5000, 7, "1.0")), set(closure(5000, 7, "2.0")), nil)
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
	recorded, err := os.ReadFile("testdata/diff.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(recorded)
	f.Add(answer("paths-from", "/nix/store/a-b-1", "paths-to", "/nix/store/c-b-2", "sizes", "1 /nix/store/c-b-2", "units-to", "1 2 ./x.service"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, mark := range []string{"XX", "MARK"} {
			d, err := parseDifference(slices.Concat(b, []byte("\n"+mark+" end\n")), mark)
			if err != nil {
				continue
			}
			if err := dirty(d); err != nil {
				t.Error(err)
			}
			for _, p := range d.Packages {
				if slices.Equal(p.Old, p.New) {
					t.Errorf("%+v is no change", p)
				}
			}
		}
	})
}
