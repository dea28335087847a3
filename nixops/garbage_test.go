package nixops

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// lookedAt is what a host with systemd-boot tells; the kernel of 12 and 13 is the same.
const lookedAt = `room store 264212084 17649376 77851888 /nix
room boot 523248 104649 418599 /boot
file 12 /boot/EFI/nixos/aaa-linux-6.12.31-bzImage.efi
file 12 /boot/EFI/nixos/bbb-initrd-linux-6.12.31-initrd.efi
file 12 /boot/EFI/nixos/aaa-linux-6.12.31-bzImage.efi
file 13 /boot/EFI/nixos/aaa-linux-6.12.31-bzImage.efi
file 13 /boot/EFI/nixos/ccc-initrd-linux-6.12.31-initrd.efi
file 14 /boot/EFI/nixos/gone-linux-6.12.35-bzImage.efi
size 12000000 /boot/EFI/nixos/aaa-linux-6.12.31-bzImage.efi
size 30000000 /boot/EFI/nixos/bbb-initrd-linux-6.12.31-initrd.efi
size 31000000 /boot/EFI/nixos/ccc-initrd-linux-6.12.31-initrd.efi
size 77 /boot/EFI/nixos/nobodys
generation 12 1787736633 /nix/store/206n-nixos-system-cloud-25.05
generation 13 1792488633 /nix/store/y39z-nixos-system-cloud-25.05
kept 13 booted
kept 13 running
generation 14 1794475833 /nix/store/0fyi-nixos-system-cloud-25.05
kept 14 default
dead 120 734003200 118
busy 20261124T100054-gnjwxy
unseen which was confirmed last` + "\x1b[2J" + `
looked
`

func TestParseGarbage(t *testing.T) {
	g := parseGarbage([]byte(lookedAt))
	if want := (Room{Mount: "/nix", Total: 264212084 << 10, Used: 17649376 << 10, Avail: 77851888 << 10}); g.Store != want {
		t.Errorf("store %+v", g.Store)
	}
	if g.Boot == nil || g.Boot.Mount != "/boot" || !g.Boot.Own() || g.Boot.String() != "20 % full: 102.2 MiB of 511.0 MiB used, 408.8 MiB free" {
		t.Errorf("boot %v", g.Boot)
	}
	want := []BootFile{
		{Path: "/boot/EFI/nixos/ccc-initrd-linux-6.12.31-initrd.efi", Bytes: 31000000, Generations: []int{13}},
		{Path: "/boot/EFI/nixos/bbb-initrd-linux-6.12.31-initrd.efi", Bytes: 30000000, Generations: []int{12}},
		{Path: "/boot/EFI/nixos/aaa-linux-6.12.31-bzImage.efi", Bytes: 12000000, Generations: []int{12, 13}},
		{Path: "/boot/EFI/nixos/gone-linux-6.12.35-bzImage.efi", Missing: true, Generations: []int{14}},
	}
	if !reflect.DeepEqual(g.BootFiles, want) {
		t.Errorf("boot files %+v", g.BootFiles)
	}
	if alone, shared := g.Occupies(12); alone != 30000000 || shared != 12000000 {
		t.Errorf("12 takes %d and %d", alone, shared)
	}
	if one, both := g.BootFrees([]int{12}), g.BootFrees([]int{12, 13}); one != 30000000 || both != 73000000 {
		t.Errorf("12 frees %d, with 13 %d", one, both)
	}
	if use, _ := g.Generation(13); !slices.Equal(use.Kept, []string{"booted", "running"}) || !use.Date.Equal(time.Unix(1792488633, 0)) || use.Path != "/nix/store/y39z-nixos-system-cloud-25.05" {
		t.Errorf("13: %+v", use)
	}
	if use, _ := g.Generation(12); len(use.Kept) != 0 {
		t.Errorf("12 is kept: %v", use.Kept)
	}
	if g.Dead == nil || g.Dead.String() != "120 dead store paths, 700.0 MiB in the 118 of them whose size is known" {
		t.Errorf("dead %v", g.Dead)
	}
	if !slices.Equal(g.Deploys, []string{"20261124T100054-gnjwxy"}) || !slices.Equal(g.Unseen, []string{"which was confirmed last"}) {
		t.Errorf("under way %q, unseen %q", g.Deploys, g.Unseen)
	}
	lines := strings.Join(g.Lines(), "\n")
	for _, want := range []string{"120 dead", "store 18 % full", "boot  20 % full", "12  28.6 MiB alone, 11.4 MiB shared", "was booted, runs", "gone-linux-6.12.35-bzImage.efi is not there: generation 14 cannot boot"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
}

// TestHostileGarbage: what is no number, or too large to be one, is not counted.
func TestHostileGarbage(t *testing.T) {
	g := parseGarbage([]byte("room store -1 2 3 /\nroom boot 1 2\nroom boot 9223372036854775807 1 1 /boot\ngeneration -4 1 /x\ngeneration x 1 /x\nkept 4 running\n" +
		"file 0 /boot/a\nfile 1\nsize 99999999999999999999 /boot/a\ndead 1 -5 1\ndead 3 3 9\nlooked\n"))
	if g.Store != (Room{}) || g.Boot != nil || len(g.Generations) != 0 || g.Dead != nil {
		t.Errorf("%+v", g)
	}
}

func FuzzParseGarbage(f *testing.F) {
	f.Add([]byte(lookedAt))
	f.Add([]byte("deleted 12\nnix-env 1 x\nmenu 11 y\ndone\n12 store paths deleted, 8.03 MiB freed\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g := parseGarbage(b)
		for _, file := range g.BootFiles {
			if file.Bytes < 0 || len(file.Generations) == 0 || fleet.Clean(file.Path) != file.Path {
				t.Errorf("%+v", file)
			}
		}
		for _, line := range g.Lines() {
			if fleet.Clean(line) != line {
				t.Errorf("%q", line)
			}
		}
		gone, err := parseDeletion(b, "cloud", []int{12, 13})
		if len(gone) < 2 && err == nil || len(gone) > 2 {
			t.Errorf("gone %v, %v", gone, err)
		}
		c := collecting{tell: func(line string) {
			if fleet.Clean(line) != line {
				t.Errorf("%q", line)
			}
		}}
		for line := range strings.Lines(string(b)) {
			c.hear(line)
		}
		if c.freed.Paths < 0 || c.freed.Bytes < 0 {
			t.Errorf("%+v", c.freed)
		}
	})
}

func TestParseFreed(t *testing.T) {
	for line, want := range map[string]Freed{
		"3 store paths deleted, 0.41 MiB freed":   {3, 429916}, // nix 2.8 to 2.26
		"1204 store paths deleted, 8.0 GiB freed": {1204, 8 << 30},
		"0 store paths deleted, 0.00 MiB freed":   {},
		"1 store path deleted, 512.0 KiB freed":   {1, 512 << 10},
		"12 store paths deleted, 100 bytes freed": {12, 100},
	} {
		if got, ok := parseFreed(line); !ok || got != want {
			t.Errorf("%s: %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{"", "deleting unused links...", "-3 store paths deleted, 1.00 MiB freed", "3 store paths deleted, -1 MiB freed", "3 store paths deleted, NaN MiB freed", "9 store paths deleted, 17.2 furlong freed", "3 store paths deleted, 1e300 TiB freed"} {
		if got, ok := parseFreed(line); ok {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestParseDeletion(t *testing.T) {
	for _, c := range []struct {
		out  string
		gone []int
		errs []string
	}{
		{"deleted 12\ndeleted 13\nnix-env 0 removing generation 13\nmenu 0 updated\ndone", []int{12, 13}, nil},
		{"deleted 12\nnix-env 1 error: cannot unlink\nmenu 0 \ndone", []int{12}, []string{"ended with 1: error: cannot unlink; it left generation 13"}},
		{"deleted 12\ndeleted 13\nnix-env 0 \nmenu 11 Could not acquire lock\ndone", []int{12, 13}, []string{"cloud: generations 12, 13 deleted", "ended with 11: Could not acquire lock", "as root: /nix/var/nix/profiles"}},
		{"deleted 99\ndone", nil, []string{"left generations 12, 13"}},
	} {
		gone, err := parseDeletion([]byte(c.out), "cloud", []int{12, 13})
		if !slices.Equal(gone, c.gone) || (err == nil) != (c.errs == nil) {
			t.Errorf("%q: %v, %v", c.out, gone, err)
		}
		for _, want := range c.errs {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v lacks %q", c.out, err, want)
			}
		}
	}
}

// TestCollecting: of the paths that go by some are told, and how it ended counts.
func TestCollecting(t *testing.T) {
	var told []string
	c := collecting{tell: func(line string) { told = append(told, line) }}
	for _, line := range []string{
		"finding garbage collector roots...", "deleting '/nix/store/abc-one'", "deleting '/nix/store/def-two'", "deleting unused links...",
		"note: currently hard linking saves -0.00 MiB", "2 store paths deleted, 0.50 MiB freed", "ended 0",
	} {
		c.hear(line)
	}
	if c.freed != (Freed{2, 512 << 10}) || c.failure("cloud") != nil || c.deleted != 2 {
		t.Errorf("%+v, %v", c.freed, c.failure("cloud"))
	}
	if !slices.Contains(told, "deleting path 1: abc-one") || slices.Contains(told, "ended 0") || !slices.Contains(told, "2 store paths deleted, 0.50 MiB freed") {
		t.Errorf("told %q", told)
	}
	c.hear("ended 1")
	c.hear("error: disk full")
	if err := c.failure("cloud"); err == nil || err.Error() != "cloud: nix-store --gc ended with 1: error: disk full" {
		t.Error(err)
	}
}

func TestOffDelete(t *testing.T) {
	now := time.Now()
	base := fleet.State{Host: fleet.Host{Name: "cloud"}}
	base.Reach = fleet.Known(fleet.Reach{State: fleet.Up}, now, "test")
	base.System = fleet.Known(fleet.System{NixOS: true}, now, "test")
	base.Generations = fleet.Known([]fleet.Generation{
		{Number: 1, Path: "/nix/store/a"}, {Number: 2, Path: "/nix/store/b", Booted: true}, {Number: 3, Path: "/nix/store/c"}, {Number: 4, Path: "/nix/store/d", Running: true}, {Number: 5, Path: "/nix/store/e", Default: true},
	}, now, "test")
	deploys := func(list ...fleet.Deploy) fleet.State {
		s := base
		s.Deploys = fleet.Known(list, now, "test")
		return s
	}
	confirmed := fleet.Deploy{State: fleet.Confirmed, To: fleet.Toplevel{Path: "/nix/store/c"}}
	for _, c := range []struct {
		state fleet.State
		n     int
		want  string
	}{
		{base, 1, ""}, {base, 2, "was booted"}, {base, 4, "runs"}, {base, 5, "is the default"}, {base, 9, "has no generation 9"}, {base, 0, "choose a generation"},
		{base, 3, ""}, {deploys(confirmed), 3, "was confirmed last"}, {deploys(fleet.Deploy{State: fleet.Awaiting}), 1, "a deploy is under way"}, {deploys(fleet.Deploy{State: fleet.RolledBack}), 1, ""},
	} {
		got := offDelete(fleet.Target{Hosts: []fleet.State{c.state}, Generation: c.n})
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("generation %d: %q, want %q", c.n, got, c.want)
		}
	}
}

func TestPlanDeletion(t *testing.T) {
	s := fleet.State{Host: fleet.Host{Name: "router"}.Told()}
	entry := true
	s.Generations = fleet.Known([]fleet.Generation{{Number: 12, NixOSVersion: "25.05", BootEntry: &entry}}, time.Now(), "test")
	g := parseGarbage([]byte(lookedAt))
	p, err := PlanDeletion(s, g, []int{12})
	if err != nil || p.Typed != "router" || p.Title != "Delete generation 12 of router" {
		t.Fatalf("%+v, %v", p, err)
	}
	lines := strings.Join(p.Lines, "\n")
	for _, want := range []string{"12  25.05  with its boot entry", "gains 28.6 MiB", "\n  13  was booted, runs", "\n  14  is the default"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}
	g.BootFiles[1].Generations = []int{12, 13} // all that it boots with another needs too
	if p, err = PlanDeletion(s, g, []int{12}); err != nil || !strings.Contains(strings.Join(p.Lines, "\n"), "the boot partition gains nothing: others boot with the same files") {
		t.Errorf("%+v, %v", p.Lines, err)
	}
	for n, want := range map[int]string{13: "generation 13 must stay: it was booted, runs", 15: "there is no generation 15"} {
		if _, err := PlanDeletion(s, g, []int{12, n}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", n, err)
		}
	}
}
