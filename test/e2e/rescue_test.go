//go:build lab

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// bare gives an environment for a machine without nix, and a folder without a
// flake: what it has is a shell and the program alone.
func bare(t *testing.T) (env []string, dir string) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"sh", "env"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PATH=") && !strings.HasPrefix(v, "NIX_") {
			env = append(env, v)
		}
	}
	return append(env, "PATH="+bin, "XDG_STATE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "TERM=xterm-256color"), t.TempDir()
}

// alone takes every network from a host but those it is in itself: no caches, no
// names, nothing beyond. What it gives undoes that.
func alone(t *testing.T, l link.Link) (undo func()) {
	t.Helper()
	labtest.Output(t, l, "sh", "-c", "ip route show default >/run/route.before; ip route del default || :")
	return func() {
		labtest.Output(t, l, "sh", "-c", "while read -r r; do ip route add $r; done </run/route.before; rm -f /run/route.before")
	}
}

// TestRollBackWithoutFlakeNixOrNetwork: from a machine without nix, in a folder
// without a flake, to a host that has no network but the way to us.
func TestRollBackWithoutFlakeNixOrNetwork(t *testing.T) {
	l := labtest.Load(t).Link(t, "cloud")
	defer stay(t, "cloud")()
	before := runs(t, "cloud")
	env, dir := bare(t)
	undo := alone(t, l)
	defer undo()
	cmd := exec.Command(program(t), "rollback", "cloud", "--yes", "--json")
	cmd.Env, cmd.Dir = env, dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	after := runs(t, "cloud")
	def := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/nix/var/nix/profiles/system"))
	if after == before || after != def || !strings.Contains(string(out), `"CONFIRMED"`) {
		t.Errorf("it ran %s, runs %s, its default is %s: %s", before, after, def, out)
	}
}

// TestRollBackOfWhatWaitsIsACancel: R on a host whose newest deploy waits sends it
// back to what ran, by the screen and by command.
func TestRollBackOfWhatWaitsIsACancel(t *testing.T) {
	l := labtest.Load(t).Link(t, "cloud")
	state := func() string {
		return labtest.Output(t, l, "readlink", "-f", "/run/current-system", "/nix/var/nix/profiles/system")
	}
	before := state()
	wait := func() {
		t.Helper()
		if out, errs, code := sextant(t, "rollback", "cloud", "--confirm", "none", "--confirm-timeout", "5m", "--yes"); code != 0 {
			t.Fatalf("%d: %s %s", code, out, errs)
		}
		if state() == before {
			t.Fatal("nothing waits")
		}
	}
	newest := func() string {
		t.Helper()
		out, _, _ := sextant(t, "deploys", "cloud", "--json")
		got := decode[struct{ Deploys []struct{ State string } }](t, out)
		return got.Deploys[0].State
	}
	t.Run("on the screen", func(t *testing.T) {
		wait()
		env, dir := bare(t)
		cmd := exec.Command(program(t))
		cmd.Env, cmd.Dir = env, dir
		ui := tuitest.Start(t, cmd, 40, 20)
		answer(ui)
		pick(ui, "cloud")
		ui.WaitFor("waits")
		opens(ui, "R", "Cancel the deploy of cloud")
		time.Sleep(attention)
		ui.Press("y").WaitFor("done after").Press("esc", "q")
		if now := state(); now != before || newest() != "CANCELLED" {
			t.Errorf("%s: was %s, is %s", newest(), before, now)
		}
	})
	t.Run("by command", func(t *testing.T) {
		wait()
		out, errs, code := sextant(t, "rollback", "cloud", "--yes", "--json")
		if code != 0 || !strings.Contains(out, `"CANCELLED"`) {
			t.Errorf("%d: %s %s", code, out, errs)
		}
		if now := state(); now != before {
			t.Errorf("was %s, is %s", before, now)
		}
	})
}

// TestAttachFromASecondClient: ada begins a deploy on desktop and leaves; another
// client, that never heard of it, sees it wait, confirms it, and a third looks on.
func TestAttachFromASecondClient(t *testing.T) {
	lab := labtest.Load(t)
	defer stay(t, "desktop")()
	before := runs(t, "desktop")
	if out, errs, code := sextant(t, "rollback", "desktop", "--confirm", "none", "--confirm-timeout", "5m", "--yes"); code != 0 {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	l := lab.Link(t, "desktop")
	env, dir := bare(t)
	looking := exec.Command(program(t), "attach", "desktop", "--json")
	looking.Env, looking.Dir = slices.Concat(env, []string{"USER=eve", "LOGNAME=eve"}), dir
	var said strings.Builder
	looking.Stdout, looking.Stderr = &said, &said
	if err := looking.Start(); err != nil {
		t.Fatal(err)
	}
	env, dir = bare(t)
	other := exec.Command(program(t), "attach", "desktop", "--confirm", "auto", "--json")
	other.Env, other.Dir = env, dir
	out, err := other.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"CONFIRMED"`) {
		t.Errorf("the client that confirms: %v: %s", err, out)
	}
	if err := looking.Wait(); err != nil || !strings.Contains(said.String(), `"CONFIRMED"`) {
		t.Errorf("the client that looks on: %v: %s", err, said.String())
	}
	after := runs(t, "desktop")
	def := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/nix/var/nix/profiles/system"))
	if after == before || after != def {
		t.Errorf("it ran %s, runs %s, its default is %s", before, after, def)
	}
}

// TestASpecialisationStays: on a host that runs a specialisation a roll-back goes to
// that of the same name, and where there is none, that is said.
func TestASpecialisationStays(t *testing.T) {
	l := labtest.Load(t).Link(t, "storage")
	sh := func(script string) string { return strings.TrimSpace(labtest.Output(t, l, "sh", "-c", script)) }
	before := runs(t, "storage")
	sh("/run/current-system/specialisation/rescue/bin/switch-to-configuration test >/dev/null 2>&1 || [ $? = 4 ]")
	defer sh("systemctl start podman-crashed || true") // switching forgets what has failed
	defer sh(before + "/bin/switch-to-configuration test >/dev/null 2>&1 || [ $? = 4 ]")
	ran := runs(t, "storage")
	out, _, _ := sextant(t, "status", "storage", "--json")
	got := decode[struct {
		Hosts []struct {
			System fact[struct {
				Running struct {
					Path, Specialisation, Base string
					Generation                 int
				}
			}]
		}
	}](t, out)
	if r := got.Hosts[0].System.Value.Running; r.Path != ran || r.Specialisation != "rescue" || r.Base != before || r.Generation == 0 {
		t.Errorf("it is told to run %+v", r)
	}
	var older, without string // a generation with that specialisation, and one without
	for line := range strings.Lines(sh(`for l in /nix/var/nix/profiles/system-*-link; do n=${l##*/system-}; [ -e "$l/specialisation/rescue" ] && w=with || w=without; echo "${n%-link} $w $(readlink -f $l)"; done`)) {
		switch f := strings.Fields(line); {
		case f[2] == before:
		case f[1] == "with":
			older = f[0]
		default:
			without = f[0]
		}
	}
	defer func() {
		if out, errs, code := sextant(t, "rollback", "storage", "--to", number(t, "storage", before), "--yes"); code != 0 {
			t.Errorf("back again: %d: %s %s", code, out, errs)
		}
	}()
	for _, c := range []struct{ to, says, link string }{
		{older, "specialisation rescue runs, and that of the same name will", "/specialisation/rescue"},
		{number(t, "storage", before), "specialisation rescue runs, and that of the same name will", "/specialisation/rescue"},
		{without, "has none of that name", ""},
	} {
		out, errs, code := sextant(t, "rollback", "storage", "--to", c.to, "--yes")
		if code != 0 || !strings.Contains(errs, c.says) {
			t.Fatalf("to %s: %d: %s %s; want %q", c.to, code, out, errs, c.says)
		}
		want := sh("readlink -f /nix/var/nix/profiles/system-" + c.to + "-link" + c.link)
		def := sh("readlink /nix/var/nix/profiles/system")
		if now := runs(t, "storage"); now != want || def != "system-"+c.to+"-link" {
			t.Errorf("to %s: it runs %s, its default is %s; want %s", c.to, now, def, want)
		}
	}
}
