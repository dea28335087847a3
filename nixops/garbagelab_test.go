//go:build lab

package nixops_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// dump is a host of the lab on which there is something to tidy away.
type dump struct {
	*nixops.Deployer
	t    *testing.T
	link link.Link
	host fleet.Host
}

// inDump gives a host two more generations than it had, 5 and 6, of the systems of 1
// and 2, with entries in its boot menu. It is left as it was found.
func inDump(t *testing.T, name string) *dump {
	lab := labtest.Load(t)
	d := &dump{t: t, host: lab.Named(t, name).Fleet()}
	d.Deployer = &nixops.Deployer{Links: lab.Dialer(t, nil), Who: "test", Client: "operator", Differences: &nixops.Differences{}}
	d.link = d.Links.Open(d.host)
	if before := d.generations(); !slices.Equal(before, []string{"1", "2", "3", "4"}) { // other tests have deployed to it
		d.sh(`p=/nix/var/nix/profiles/system; nix-env -p $p --switch-generation 4 && $p/bin/switch-to-configuration switch >&2 &&
			for l in $p-*-link; do n=${l#$p-} n=${n%-link}; [ "$n" -le 4 ] || nix-env -p $p --delete-generations "$n"; done; $p/bin/switch-to-configuration boot`)
	}
	if before := d.generations(); !slices.Equal(before, []string{"1", "2", "3", "4"}) {
		t.Fatalf("%s has generations %v: test/lab/lab seed %s", name, before, name)
	}
	menu := d.sh("cat /boot/loader/entries/* /boot/loader/loader.conf")
	t.Cleanup(func() {
		d.sh(`p=/nix/var/nix/profiles/system; for n in 5 6; do [ ! -h $p-$n-link ] || nix-env -p $p --delete-generations $n; done; rm -rf /boot/EFI; $p/bin/switch-to-configuration boot`)
		if after := d.generations(); !slices.Equal(after, []string{"1", "2", "3", "4"}) {
			t.Errorf("it is left with generations %v", after)
		}
		if after := d.sh("cat /boot/loader/entries/* /boot/loader/loader.conf"); after != menu {
			t.Errorf("it is left with another boot menu:\n%s", after)
		}
	})
	d.sh(`p=/nix/var/nix/profiles/system; set -e
		for n in 1 2; do nix-env -p $p --set "$(readlink -f $p-$n-link)"; done
		nix-env -p $p --switch-generation 4
		$p/bin/switch-to-configuration boot`)
	return d
}

// sh runs a shell program on the host as root.
func (d *dump) sh(text string) string {
	d.t.Helper()
	res, err := d.link.Run(context.WithoutCancel(d.t.Context()), link.Command{Args: []string{"sh", "-c", text}, Root: true})
	if err != nil || res.Status != 0 {
		d.t.Fatalf("%s: %v, %d: %s", text, err, res.Status, res.Stderr)
	}
	return strings.TrimSpace(string(res.Stdout))
}

// generations are the numbers that nix lists.
func (d *dump) generations() []string {
	d.t.Helper()
	return strings.Fields(d.sh(`nix-env -p /nix/var/nix/profiles/system --list-generations | while read -r n _; do echo $n; done`))
}

func (d *dump) look() nixops.Garbage {
	d.t.Helper()
	g, err := d.Garbage(d.t.Context(), d.host)
	if err != nil {
		d.t.Fatal(err)
	}
	if len(g.Unseen) != 0 || g.Dead == nil || g.Boot == nil {
		d.t.Fatalf("not all was seen: %+v", g)
	}
	return g
}

// discard makes store paths that nothing leads to, of 3 MiB each.
func (d *dump) discard(n int) {
	d.t.Helper()
	d.sh(fmt.Sprintf(`cd "$(mktemp -d)" && for i in $(seq %d); do head -c 3145728 /dev/urandom >garbage-$i && nix-store --add garbage-$i; done; rm -rf "$PWD"`, n))
}

// holds has a lock held on the host until the function that it gives is called.
func (d *dump) holds(lock string) (release func()) {
	d.t.Helper()
	in, end := io.Pipe()
	cmd := link.Script(`exec 9>>"$1" && flock 9 && echo held && cat`, lock)
	cmd.Root, cmd.Stdin = true, in
	p, err := d.link.Start(d.t.Context(), cmd)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.ReadFull(p, make([]byte, 5)); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		end.Close()
		if _, err := p.Wait(); err != nil {
			d.t.Error(err)
		}
	}
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// near tells whether two sizes are the same but for what others write meanwhile.
func near(a, b int64) bool { return a-b < b/10+1<<20 && b-a < b/10+1<<20 }

// TestGarbageIsWhatTheHostSays compares with the host's own commands, of an old nix
// and of a new one, and collects.
func TestGarbageIsWhatTheHostSays(t *testing.T) {
	for _, name := range []string{"cloud", "router"} {
		t.Run(name, func(t *testing.T) {
			d := inDump(t, name)
			d.discard(4)
			d.sh(`cd /boot/loader/entries && mkdir -p /boot/EFI/nixos && cat nixos-generation-[46].conf | while read -r key path; do case $key in linux|initrd) head -c 1500000 /dev/zero >/boot$path ;; esac; done`)
			g := d.look()
			if want := strings.Fields(d.sh(`df -P -k /nix/store | tail -n 1`)); g.Store.Total != number(t, want[1])<<10 || !near(g.Store.Used, number(t, want[2])<<10) || g.Store.Mount != want[5] {
				t.Errorf("store %+v, df says %v", g.Store, want)
			}
			if want := strings.Fields(d.sh(`df -P -k /boot | tail -n 1`)); g.Boot.Total != number(t, want[1])<<10 || g.Boot.Mount != want[5] {
				t.Errorf("boot %+v, df says %v", g.Boot, want)
			}
			var numbers []string
			for _, u := range g.Generations {
				numbers = append(numbers, strconv.Itoa(u.Number))
				if want := d.sh(fmt.Sprintf("readlink -f /nix/var/nix/profiles/system-%d-link", u.Number)); u.Path != want {
					t.Errorf("%d is %s, not %s", u.Number, want, u.Path)
				}
			}
			if want := d.generations(); !slices.Equal(numbers, want) {
				t.Errorf("generations %v, nix lists %v", numbers, want)
			}
			there := 0
			for _, f := range g.BootFiles {
				if f.Missing {
					continue
				}
				there++
				if size := number(t, d.sh("stat -c %s "+f.Path)); f.Bytes != size {
					t.Errorf("%s: %d, not %d", f.Path, f.Bytes, size)
				}
			}
			if want := number(t, d.sh("ls /boot/EFI/nixos | wc -l")); int64(there) != want || want == 0 {
				t.Errorf("%d boot files of %d", there, want)
			}
			paths := number(t, d.sh("nix-store --gc --print-dead 2>/dev/null | wc -l"))
			size := number(t, d.sh("n=0; for s in $(nix-store --gc --print-dead 2>/dev/null | xargs nix-store -q --size); do n=$((n + s)); done; echo $n"))
			if int64(g.Dead.Paths) != paths || g.Dead.Counted != g.Dead.Paths || g.Dead.Bytes != size || paths < 4 {
				t.Errorf("dead %+v, nix says %d of %d bytes", *g.Dead, paths, size)
			}
			var told told
			freed, err := d.Collect(t.Context(), d.host, told.tell)
			if err != nil || int64(freed.Paths) != paths || !near(freed.Bytes, size) {
				t.Errorf("%+v, %v: %s", freed, err, told.text())
			}
			if !strings.Contains(told.text(), "deleting path 1: ") || !strings.Contains(told.text(), "freed") {
				t.Errorf("told %s", told.text())
			}
			if left := d.sh("nix-store --gc --print-dead 2>/dev/null | wc -l"); left != "0" {
				t.Errorf("%s are left", left)
			}
			if after := d.generations(); !slices.Equal(after, numbers) {
				t.Errorf("generations %v became %v", numbers, after)
			}
		})
	}
}

// TestGarbageDeletesGenerations: they go, with their entries in the boot menu; and
// then older ones have room there again.
func TestGarbageDeletesGenerations(t *testing.T) {
	for _, name := range []string{"cloud", "router"} {
		t.Run(name, func(t *testing.T) {
			d := inDump(t, name)
			entries := func() string { return d.sh("ls /boot/loader/entries | grep -c 'generation-[56]' || true") }
			if entries() != "3" { // 6 is of the system with a specialisation
				t.Fatalf("%s entries of the new generations", entries())
			}
			gone, err := d.DeleteGenerations(t.Context(), d.host, []int{6, 5})
			if err != nil || !slices.Equal(gone, []int{5, 6}) {
				t.Errorf("%v, %v", gone, err)
			}
			if left := d.generations(); !slices.Equal(left, []string{"1", "2", "3", "4"}) {
				t.Errorf("nix lists %v", left)
			}
			if entries() != "0" {
				t.Errorf("%s boot entries of what is deleted", entries())
			}
		})
	}
}

// TestGarbageKeepsWhatIsNeeded: each kind that must stay is refused, and nothing is
// changed.
func TestGarbageKeepsWhatIsNeeded(t *testing.T) {
	d := inDump(t, "cloud")
	const profile, confirmed = "/nix/var/nix/profiles/system", "/nix/var/nix/gcroots/sextant/last-confirmed"
	before := d.sh("readlink " + confirmed + " || true")
	t.Cleanup(func() {
		d.sh("rm -rf /var/lib/sextant/deploys/garbage-test " + confirmed)
		if before != "" {
			d.sh("ln -sfn " + before + " " + confirmed)
		}
	})
	d.sh("mkdir -p /nix/var/nix/gcroots/sextant; ln -sfn $(readlink -f " + profile + "-1-link) " + confirmed)
	menu := d.sh("cat /boot/loader/entries/* /boot/loader/loader.conf")
	refuses := func(want string, busy bool, numbers ...int) {
		t.Helper()
		gone, err := d.DeleteGenerations(t.Context(), d.host, numbers)
		var no *nixops.Refusal
		if !errors.As(err, &no) || no.Busy != busy || !strings.Contains(err.Error(), want) || len(gone) != 0 {
			t.Errorf("%v: %v, %v; want %q", numbers, gone, err, want)
		}
		if left := d.generations(); !slices.Equal(left, []string{"1", "2", "3", "4", "5", "6"}) {
			t.Errorf("%v: nix lists %v", numbers, left)
		}
		if d.sh("cat /boot/loader/entries/* /boot/loader/loader.conf") != menu {
			t.Errorf("%v: the boot menu is another", numbers)
		}
	}
	refuses("generation 3 must stay: booted", false, 6, 3)
	refuses("generation 4 must stay: default running", false, 6, 4)
	refuses("generation 1 must stay: last-confirmed", false, 6, 1)
	refuses("there is no generation 9", false, 6, 9)
	d.sh(fmt.Sprintf("nix-env -p %s --switch-generation 5", profile))
	refuses("generation 5 must stay: default", false, 6, 5)
	refuses("generation 4 must stay: running", false, 6, 4)
	d.sh(fmt.Sprintf("nix-env -p %s --switch-generation 4", profile))
	d.sh("mkdir -p /var/lib/sextant/deploys/garbage-test && cd /var/lib/sextant/deploys/garbage-test && readlink -f " + profile + "-6-link >new && readlink -f /run/current-system >prev && echo AWAITING it runs >state && echo ada >who && echo phone >client && cat /proc/sys/kernel/random/boot_id >boot-id")
	g := d.look()
	if use, _ := g.Generation(6); !slices.Equal(use.Kept, []string{"deploy"}) || !slices.Equal(g.Deploys, []string{"garbage-test"}) {
		t.Errorf("during a deploy: %+v, under way %v", use, g.Deploys)
	}
	refuses("deploy garbage-test of ada, from phone, is under way", true, 6)
	d.sh("rm -rf /var/lib/sextant/deploys/garbage-test")
	release := d.holds("/run/sextant.lock")
	refuses("somebody holds the lock", true, 6)
	var no *nixops.Refusal
	if _, err := d.Collect(t.Context(), d.host, func(string) {}); !errors.As(err, &no) || !no.Busy {
		t.Errorf("collecting: %v", err)
	}
	release()
}

// TestGarbageCollectionIsStopped: nix is made to wait; who gives up finds it ended,
// and the lock free.
func TestGarbageCollectionIsStopped(t *testing.T) {
	for _, name := range []string{"cloud", "router"} {
		t.Run(name, func(t *testing.T) {
			d := inDump(t, name)
			release := d.holds("/nix/var/nix/gc.lock")
			ctx, stop := context.WithCancel(t.Context())
			_, err := d.Collect(ctx, d.host, func(line string) {
				if strings.Contains(line, "waiting for the big garbage collector lock") {
					stop()
				}
			})
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), name) {
				t.Errorf("it ended with %v", err)
			}
			if left := d.sh("pgrep -x nix-store || true"); left != "" {
				t.Errorf("nix-store runs on as %s", left)
			}
			release()
			if _, err := d.DeleteGenerations(t.Context(), d.host, []int{5, 6}); err != nil {
				t.Errorf("the lock is not free: %v", err)
			}
		})
	}
}

// program runs the program and gives all that it said, and its exit code.
func program(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../bin/sextant", args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestGarbageForPeople runs the program itself, as a person would.
func TestGarbageForPeople(t *testing.T) {
	d := inDump(t, "cloud")
	if _, err := os.Stat("../bin/sextant"); err != nil {
		t.Fatal("bin/sextant is not built: make build")
	}
	out, code := program(t, "garbage", "cloud")
	if code != 0 || !strings.Contains(out, "is the default") || !strings.Contains(out, "no partition of its own") {
		t.Errorf("%d: %s", code, out)
	}
	if out, code := program(t, "garbage", "cloud", "--delete", "5,4", "--yes"); code != 10 || !strings.Contains(out, "generation 4 runs") {
		t.Errorf("one that runs: %d: %s", code, out)
	}
	if out, code := program(t, "garbage", "cloud", "--delete", "5", "--collect", "--yes", "--read-only"); code != 10 {
		t.Errorf("read-only: %d: %s", code, out)
	}
	release := d.holds("/run/sextant.lock")
	if out, code := program(t, "garbage", "cloud", "--delete", "5", "--yes"); code != 11 {
		t.Errorf("locked out: %d: %s", code, out)
	}
	release()
	out, code = program(t, "garbage", "cloud", "--delete", "5,6", "--collect", "--yes")
	if code != 0 || !strings.Contains(out, "cloud: generations deleted: 5, 6") || !strings.Contains(out, "freed") {
		t.Errorf("%d: %s", code, out)
	}
	if left := d.generations(); !slices.Equal(left, []string{"1", "2", "3", "4"}) {
		t.Errorf("nix lists %v", left)
	}
}
