package probe_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/probe"
)

// recorded are outputs of real hosts; their mark is "XX".
func recorded(t testing.TB) map[string][]byte {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = b
	}
	return out
}

// TestParseRecorded reads whole outputs of real hosts.
func TestParseRecorded(t *testing.T) {
	for name, b := range recorded(t) {
		f, err := probe.Parse(b, "XX", time.Unix(1795375729, 0))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sys := f.System.Value
		if !sys.NixOS || sys.Running.Path == "" || sys.Default.Generation == 0 || sys.MachineID == "" || sys.Uptime <= 0 {
			t.Errorf("%s: system %+v", name, sys)
		}
		if len(f.Generations.Value) < 3 || len(f.Units.Value) < 10 {
			t.Errorf("%s: %d generations, %d units", name, len(f.Generations.Value), len(f.Units.Value))
		}
		home := slices.IndexFunc(f.Timers.Value, func(x fleet.Timer) bool { return x.Name == "restic-backups-home.timer" })
		if backs := name == "systemd257.txt"; backs != (home >= 0) {
			t.Errorf("%s: timers %+v", name, f.Timers.Value)
		} else if backs && (f.Timers.Value[home].Next.IsZero() || f.Timers.Value[home].Activates != "restic-backups-home.service" || f.Timers.Value[home].Period.Duration() != 24*time.Hour) {
			t.Errorf("%s: %+v", name, f.Timers.Value[home])
		}
		p := f.Proc.Value
		if p.Memory.Total == 0 || p.Cores == 0 || len(p.Disks) == 0 || p.After.CPUTotal <= p.Before.CPUTotal {
			t.Errorf("%s: proc %+v", name, p)
		}
		if !slices.Contains(f.Inventory.Value.Ports, 22) {
			t.Errorf("%s: sshd's port is missing among %v", name, f.Inventory.Value.Ports)
		}
	}
}

// TestARunningSpecialisation: what runs is a store path of its own, and belongs to
// the generation that has it as a specialisation.
func TestARunningSpecialisation(t *testing.T) {
	b := recorded(t)["systemd257.txt"]
	const base, rescue = "/nix/store/5w2p5hs3bggs29wjqsqd3yk1vvrm2bf8-nixos-system-storage-25.05.20250603.abcdef4",
		"/nix/store/3mx4k5a0w7cv5xm39dr8kzbh7d1ksz3p-nixos-system-storage-25.05.20250603.abcdef4"
	b = bytes.Replace(b, []byte("XX targets\n"+base), []byte("XX targets\n"+rescue), 1)
	f, err := probe.Parse(b, "XX", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sys := f.System.Value
	if want := (fleet.Toplevel{Path: rescue, Generation: 143, Specialisation: "rescue", Base: base}); sys.Running != want || sys.Running.Short() != "143+rescue" {
		t.Errorf("running %+v, want %+v", sys.Running, want)
	}
	if sys.Differs() || sys.Default.Path != base {
		t.Errorf("default %+v", sys.Default)
	}
	i := slices.IndexFunc(f.Generations.Value, func(g fleet.Generation) bool { return g.Running })
	if i < 0 || f.Generations.Value[i].Number != 143 {
		t.Errorf("no generation is the running one: %+v", f.Generations.Value)
	}
}

// TestBootMenu: entries are of generations by their names, and by what is in them. What
// one starts and is not there is told of its generation; of specialisations and other
// profiles, and where it is not known what is there, nothing.
func TestBootMenu(t *testing.T) {
	const told = "title NixOS\nversion Generation 143\nlinux /EFI/nixos/k\x1b[2J.efi\ninitrd /EFI/nixos/i.efi\n" +
		"title NixOS (rescue)\nversion Generation 140\nlinux /EFI/nixos/i.efi\n" +
		"title NixOS [test]\nversion Generation 142\nlinux /EFI/nixos/i.efi\n" +
		"title\tNixOS\nversion\tGeneration 139\nlinux\t/EFI/nixos/there.efi\ninitrd /elsewhere/i.efi\n" +
		"title mine\nlinux\n\nversion Generation 99999999999999999999\nrubbish\n"
	const files = "XX bootfiles\n/boot/EFI/nixos/\n/boot/EFI/nixos/there.efi\n"
	for name, c := range map[string]struct{ told, entries, missing string }{
		"all is told":           {told + files, "139 143", "143 /boot/EFI/nixos/k.efi 143 /boot/EFI/nixos/i.efi"},
		"not what is there":     {told, "139 140 143", ""},
		"names alone":           {"", "139 140 143", ""},
		"nothing is there":      {told + "XX bootfiles\n/boot/EFI/nixos/\n", "139 140 143", "143 /boot/EFI/nixos/k.efi 143 /boot/EFI/nixos/i.efi 139 /boot/EFI/nixos/there.efi"},
		"names of hashes alone": {"", "?", ""},
	} {
		b := bytes.Replace(recorded(t)["systemd257.txt"], []byte("XX boot\n"), []byte("XX entries\n"+c.told+"XX boot\n"), 1)
		if name == "all is told" || name == "names of hashes alone" {
			b = bytes.ReplaceAll(b, []byte("\nnixos-generation-"), []byte("\nnixos-0a1b2c"))
		}
		f, err := probe.Parse(b, "XX", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var entries, missing []string
		for _, g := range f.Generations.Value {
			n := strconv.Itoa(g.Number)
			if g.BootEntry != nil && *g.BootEntry {
				entries = append(entries, n)
			}
			for _, m := range g.BootMissing {
				missing = append(missing, n, m)
			}
		}
		if f.Generations.Value[0].BootEntry == nil {
			entries = []string{"?"}
		}
		if slices.Sort(entries); strings.Join(entries, " ") != c.entries {
			t.Errorf("%s: in the menu are %v, want %s", name, entries, c.entries)
		}
		if got := strings.Join(missing, " "); got != c.missing {
			t.Errorf("%s: %q is missing, want %q", name, got, c.missing)
		}
	}
}

// TestParseBrokenOff cuts real outputs everywhere: what is not whole is not believed.
func TestParseBrokenOff(t *testing.T) {
	for name, b := range recorded(t) {
		for n := 0; n < len(b)-8; n += 97 {
			if _, err := probe.Parse(b[:n], "XX", time.Now()); err == nil {
				t.Fatalf("%s: cut at %d of %d passed for whole", name, n, len(b))
			}
		}
	}
}

// TestHostileText puts control characters into what a host says.
func TestHostileText(t *testing.T) {
	for name, b := range recorded(t) {
		b = bytes.ReplaceAll(b, []byte("Description="), []byte("Description=\x1b[2J\x1b]0;gone\x07\xe2\x80\xae"))
		f, err := probe.Parse(b, "XX", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range f.Units.Value {
			if strings.ContainsAny(u.Description, "\x1b\x07\u202e") {
				t.Fatalf("%s: %q", name, u.Description)
			}
		}
	}
}

func TestPeriod(t *testing.T) {
	const day = 24 * time.Hour
	for calendar, want := range map[string]time.Duration{
		"{ OnCalendar=*-*-* 00:00:00 ; next_elapse=Mon 2026-11-23 00:00:00 UTC }": day,
		"{ OnCalendar=*-*-* 03:15:00 ; next_elapse=n/a }":                         day,
		"{ OnCalendar=*-*-* *:00:00 ; next_elapse=n/a }":                          time.Hour,
		"{ OnCalendar=Mon *-*-* 00:00:00 ; next_elapse=n/a }":                     7 * day,
		"{ OnCalendar=*-*-01 00:00:00 ; next_elapse=n/a }":                        30 * day,
		"{ OnCalendar=Mon..Fri *-*-* 00:00:00 ; next_elapse=n/a }":                0,
		"{ OnCalendar=*-*-* 00/6:00:00 ; next_elapse=n/a }":                       0,
		"": 0,
	} {
		if got := probe.Period(calendar); got != want {
			t.Errorf("%s: %s, want %s", calendar, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range recorded(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = probe.Parse(b, "XX", time.Now())
		_, _ = probe.Parse(append(b, "\nXX end\n"...), "XX", time.Now())
	})
}

// TestCertainSkew: what an answer took is no difference of clocks.
func TestCertainSkew(t *testing.T) {
	for _, tt := range []struct {
		skew, want fleet.Seconds
		took       time.Duration
	}{{0, 0, 0}, {1, 0, 100 * time.Millisecond}, {-2, -2, 100 * time.Millisecond}, {3, 0, 2 * time.Second}, {-3600, -3600, 20 * time.Second}} {
		if got := probe.Certain(tt.skew, tt.took); got != tt.want {
			t.Errorf("%v of an answer that took %s: %v", tt.skew, tt.took, got)
		}
	}
}
