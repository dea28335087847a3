//go:build lab

package probe_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// TestProbeAgreesWithTheHosts compares what one round trip told with what the
// hosts' own commands say.
func TestProbeAgreesWithTheHosts(t *testing.T) {
	lab := labtest.Load(t)
	for _, h := range lab.Hosts {
		if h.Via != "" {
			continue
		}
		t.Run(h.Name, func(t *testing.T) {
			l := lab.Link(t, h.Name)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			f, err := labtest.Probe(t).Read(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			sys := f.System.Value
			if sys.Hostname != h.Name {
				t.Errorf("host name %q", sys.Hostname)
			}
			if nixos := h.Base != "debian"; sys.NixOS != nixos {
				t.Errorf("NixOS %v, want %v", sys.NixOS, nixos)
			}
			if sys.NixOS {
				same(t, "running", sys.Running.Path, labtest.Output(t, l, "readlink", "-f", "/run/current-system"))
				same(t, "default", sys.Default.Path, labtest.Output(t, l, "readlink", "-f", "/nix/var/nix/profiles/system"))
				same(t, "booted", sys.Booted.Path, labtest.Output(t, l, "readlink", "-f", "/run/booted-system"))
				gens := labtest.Output(t, l, "sh", "-c", "ls -d /nix/var/nix/profiles/system-*-link | wc -l")
				if n := len(f.Generations.Value); strings.TrimSpace(gens) != itoa(n) {
					t.Errorf("%d generations, want %s", n, gens)
				}
			}
			var failed []string
			for _, u := range f.Units.Value {
				if u.Failed() && u.User == "" && !labtest.OfCheck(u.Name) {
					failed = append(failed, u.Name)
				}
			}
			out := labtest.Output(t, l, "sh", "-c", "systemctl list-units --failed --plain --no-legend --full | awk '{print $1}' | sort")
			want := slices.DeleteFunc(strings.Fields(out), labtest.OfCheck)
			if got := sorted(failed); got != strings.Join(want, " ") {
				t.Errorf("failed units %q, want %q", got, want)
			}
		})
	}
}

// TestAGenerationThatCannotBoot: its kernel is gone from the boot partition, or has
// nothing in it.
func TestAGenerationThatCannotBoot(t *testing.T) {
	l := labtest.Load(t).Link(t, "cloud")
	number := strings.TrimSpace(labtest.Output(t, l, "sh", "-c", "readlink /nix/var/nix/profiles/system | tr -dc 0-9"))
	kernel := "/boot" + strings.TrimSpace(labtest.Output(t, l, "sed", "-n", "s/^linux //p", "/boot/loader/entries/nixos-generation-"+number+".conf"))
	reader := labtest.Probe(t) // which is told only what has moved
	look := func() []string {
		f, err := reader.Read(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range f.Generations.Value {
			if g.Default && itoa(g.Number) == number {
				return g.BootMissing
			}
		}
		t.Fatalf("generation %s is not the default", number)
		return nil
	}
	if got := look(); len(got) != 0 {
		t.Errorf("of a system that was just written is missing %q", got)
	}
	labtest.Output(t, l, "mv", kernel, kernel+".away")
	defer labtest.Output(t, l, "mv", kernel+".away", kernel)
	if got := look(); !slices.Equal(got, []string{kernel}) {
		t.Errorf("missing is %q, not %s", got, kernel)
	}
	labtest.Output(t, l, "touch", kernel+".new")
	labtest.Output(t, l, "mv", kernel+".new", kernel)
	if got := look(); !slices.Equal(got, []string{kernel}) {
		t.Errorf("empty is %q, not %s", got, kernel)
	}
	labtest.Output(t, l, "mv", "/boot/EFI/nixos", "/boot/EFI/away")
	gone := look()
	labtest.Output(t, l, "mv", "/boot/EFI/away", "/boot/EFI/nixos")
	if len(gone) != 2 || !slices.Contains(gone, kernel) {
		t.Errorf("with all of the folder %q is gone", gone)
	}
}

// TestEntriesNamedByAHash: which generations they are of is in them.
func TestEntriesNamedByAHash(t *testing.T) {
	l := labtest.Load(t).Link(t, "laptop")
	if _, err := l.Run(t.Context(), link.Command{Args: []string{"true"}, Root: true}); err != nil { // with sudo's password
		t.Fatal(err)
	}
	f, err := labtest.Probe(t).Read(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if names := labtest.Output(t, l, "ls", "/boot/loader/entries"); strings.Contains(names, "generation") {
		t.Errorf("the names tell more than a hash: %s", names)
	}
	in := strings.Fields(labtest.Output(t, l, "sh", "-c", `cd /boot/loader/entries && grep -lx 'title NixOS' *.conf | xargs sed -n 's/^version Generation \([0-9]*\) .*/\1/p'`))
	var told []string
	for _, g := range f.Generations.Value {
		if g.BootEntry != nil && *g.BootEntry && len(g.BootMissing) == 0 {
			told = append(told, itoa(g.Number))
		}
	}
	if slices.Sort(in); len(in) == 0 || sorted(told) != strings.Join(in, " ") {
		t.Errorf("in the menu are %q, told is %q", in, told)
	}
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != strings.TrimSpace(want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestProbeSeesWhatMoved asks again and again while a unit fails, and while it
// is forgotten, which leaves no trace but in systemd's own count.
func TestProbeSeesWhatMoved(t *testing.T) {
	lab := labtest.Load(t)
	for _, name := range []string{"storage", "router"} { // systemd 257 and 252
		t.Run(name, func(t *testing.T) {
			l, r := lab.Link(t, name), labtest.Probe(t)
			const unit = "sextant-test-moved.service"
			see := func(want bool) {
				t.Helper()
				for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
					f, err := r.Read(t.Context(), l)
					if err != nil {
						t.Fatal(err)
					}
					if slices.ContainsFunc(f.Units.Value, func(u fleet.Unit) bool { return u.Name == unit && u.Failed() }) == want {
						return
					}
					if age := time.Since(f.Units.At); age > 15*time.Second || time.Since(began) > time.Minute {
						t.Fatalf("the unit's failure is not told as %v; the units are of %s ago", want, age)
					}
				}
			}
			see(false)
			see(false)
			labtest.Output(t, l, "systemd-run", "--unit="+unit, "--quiet", "sh", "-c", "exit 3")
			t.Cleanup(func() {
				_, _ = l.Run(context.Background(), link.Command{Args: []string{"systemctl", "reset-failed", unit}, Root: true})
			})
			see(true)
			labtest.Output(t, l, "systemctl", "reset-failed", unit)
			see(false)
		})
	}
}

// TestProbeSeesThatADeployMoved: what a guard writes down is noticed when it is
// renamed into place, and nothing is noticed where nothing was.
func TestProbeSeesThatADeployMoved(t *testing.T) {
	lab := labtest.Load(t)
	l, r := lab.Link(t, "storage"), labtest.Probe(t)
	const dir = "/var/lib/sextant/deploys/sextant-test"
	see := func() string {
		t.Helper()
		f, err := r.Read(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return f.Inventory.Value.Deploys
	}
	labtest.Output(t, l, "mkdir", "-p", dir)
	t.Cleanup(func() {
		_, _ = l.Run(context.Background(), link.Command{Args: []string{"rm", "-r", dir}, Root: true})
	})
	last := see()
	if last == "" || see() != last {
		t.Errorf("it told %q, then something else, and nothing was written", last)
	}
	for range 2 {
		labtest.Output(t, l, "sh", "-c", `echo STAGED >"$0/state.new" && mv "$0/state.new" "$0/state"`, dir)
		now := see()
		if now == last {
			t.Error("a state was written, and it told the same as before")
		}
		last = now
	}
}

// TestProbeSeesUsersUnits compares what is told of the users' own systemds with
// what those say, by root and by the user; and of who may see none it is said.
func TestProbeSeesUsersUnits(t *testing.T) {
	lab := labtest.Load(t)
	for _, c := range []struct{ host, user, failed string }{{"desktop", "ada", "photos-sync.service reader.service"}, {"router", "bea", ""}} {
		t.Run(c.host, func(t *testing.T) {
			l := lab.Link(t, c.host)
			f, err := labtest.Probe(t).Read(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			var got, failed []string
			for _, u := range f.Units.Value {
				if u.User == c.user && strings.HasSuffix(u.Name, ".service") {
					got = append(got, u.Name+" "+u.Active+" "+u.Sub)
				}
				if u.User == c.user && u.Failed() {
					failed = append(failed, u.Name)
				}
			}
			uid := strings.TrimSpace(labtest.Output(t, l, "id", "-u", c.user))
			res, err := l.Run(t.Context(), link.Command{User: c.user, Env: []string{"XDG_RUNTIME_DIR=/run/user/" + uid},
				Args: []string{"sh", "-c", "systemctl --user list-units --all --plain --no-legend --full --type=service | awk '$2 != \"not-found\" {print $1, $3, $4}'"}})
			if err != nil {
				t.Fatal(err)
			}
			if want := sorted(strings.Split(strings.TrimSpace(string(res.Stdout)), "\n")); sorted(got) != want || want == "" {
				t.Errorf("units of %s:\n%s\nwant\n%s", c.user, sorted(got), want)
			}
			same(t, "failed", sorted(failed), c.failed)
			if i := slices.IndexFunc(f.Inventory.Value.Rootless, func(r fleet.Rootless) bool { return r.User == c.user }); i < 0 {
				t.Errorf("%s has containers: %+v", c.user, f.Inventory.Value.Rootless)
			} else if r := f.Inventory.Value.Rootless[i]; r.Runtime != "/run/user/"+uid || r.Home == "" {
				t.Errorf("%+v", r)
			}
		})
	}
	t.Run("admin sees none", func(t *testing.T) {
		h := lab.Named(t, "router").Fleet()
		h.User = "admin"
		f, err := labtest.Probe(t).Read(t.Context(), lab.Dialer(t, nil).Open(h))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(f.Units.Value, func(u fleet.Unit) bool { return u.User == "bea" }) ||
			!slices.ContainsFunc(f.System.Value.Unseen, func(s string) bool { return strings.Contains(s, "units") && strings.Contains(s, "not root") }) {
			t.Errorf("%q", f.System.Value.Unseen)
		}
	})
}

// TestProbeSeesWhatMovedOfAUser: a user's unit that fails, and is forgotten; and a
// systemd of a user that hangs keeps nobody from knowing the rest.
func TestProbeSeesWhatMovedOfAUser(t *testing.T) {
	l, r := labtest.Load(t).Link(t, "router"), labtest.Probe(t)
	uid := strings.TrimSpace(labtest.Output(t, l, "id", "-u", "bea"))
	user := func(args ...string) {
		t.Helper()
		cmd := link.Command{User: "bea", Env: []string{"XDG_RUNTIME_DIR=/run/user/" + uid}, Args: args}
		if res, err := l.Run(context.Background(), cmd); err != nil || res.Status != 0 {
			t.Errorf("%v: %v %s", args, err, res.Stderr)
		}
	}
	const unit = "sextant-test-user.service"
	see := func(want bool) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			f, err := r.Read(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(f.Units.Value, func(u fleet.Unit) bool { return u.Name == unit && u.User == "bea" && u.Failed() }) == want {
				t.Logf("%v after %s", want, time.Since(began).Round(time.Millisecond))
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("the unit's failure is not told as %v", want)
			}
		}
	}
	see(false)
	user("systemd-run", "--user", "--unit="+unit, "--quiet", "sh", "-c", "exit 3")
	see(true)
	user("systemctl", "--user", "reset-failed", unit)
	see(false)

	pid := strings.TrimSpace(labtest.Output(t, l, "systemctl", "show", "-p", "MainPID", "--value", "user@"+uid+".service"))
	labtest.Output(t, l, "kill", "-STOP", pid)
	defer labtest.Output(t, l, "kill", "-CONT", pid)
	began := time.Now()
	f, err := labtest.Probe(t).Read(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("with a user's systemd that hangs: %s", time.Since(began))
	if len(f.Units.Value) == 0 || !slices.ContainsFunc(f.System.Value.Unseen, func(s string) bool { return strings.Contains(s, "user "+uid) }) {
		t.Errorf("%d units, unseen %q", len(f.Units.Value), f.System.Value.Unseen)
	}
}

// TestProbeWithoutRoot asks as admin, who may do nothing special: what everyone
// may see is the same, and what could not be seen is named.
func TestProbeWithoutRoot(t *testing.T) {
	lab := labtest.Load(t)
	for _, name := range []string{"storage", "router", "media"} { // systemd 257, 252, and a Debian
		t.Run(name, func(t *testing.T) {
			h := lab.Named(t, name).Fleet()
			h.ID, h.User = "admin:"+h.ID, "admin"
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			f, err := labtest.Probe(t).Read(ctx, lab.Dialer(t, nil).Open(h))
			if err != nil {
				t.Fatal(err)
			}
			sys := f.System.Value
			if sys.UID == 0 || !f.System.Current() || !f.Units.Current() {
				t.Errorf("uid %d, system %v, units %v", sys.UID, f.System.Err, f.Units.Err)
			}
			for _, want := range []string{"rootless sockets, units and files of other users: not root", "journal of other users: not root"} {
				if !slices.Contains(sys.Unseen, want) {
					t.Errorf("%q is not among what could not be seen: %q", want, sys.Unseen)
				}
			}
			root := lab.Link(t, name)
			if sys.NixOS {
				same(t, "running", sys.Running.Path, labtest.Output(t, root, "readlink", "-f", "/run/current-system"))
				same(t, "default", sys.Default.Path, labtest.Output(t, root, "readlink", "-f", "/nix/var/nix/profiles/system"))
			}
			whole, err := labtest.Probe(t).Read(ctx, root)
			if err != nil || slices.ContainsFunc(whole.System.Value.Unseen, func(s string) bool { return strings.Contains(s, "not root") }) {
				t.Errorf("as root: %v, unseen %q", err, whole.System.Value.Unseen)
			}
		})
	}
}
