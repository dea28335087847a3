package nixops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// nixStore plays nix-store on systems of files: a closure is what the file
// "paths" of a system names.
const nixStore = `#!/bin/sh
[ -z "$BROKEN" ] || { echo "error: cannot connect to nix's daemon" >&2; exit 1; }
case $1$2 in
-qR*) cat "$2/paths" ;;
-q--size) shift 2; for p; do case $p in *sizeless*) exit 1 ;; esac; echo 7; done ;;
esac
`

// tree is a folder of made-up systems.
type tree struct {
	*testing.T
	dir string
	env []string
}

// systems makes two systems, "one" and "two".
func systems(t *testing.T) *tree {
	x := &tree{t, t.TempDir(), nil}
	for _, g := range []string{"one", "two"} {
		x.put(g+"/kernel-modules/lib/modules/6.1-"+g+"/x", "")
		x.put(g+"/kernel", "")
		x.put(g+"/etc/systemd/system/same.service", "as it was")
		x.put(g+"/etc/systemd/system/web.service", g)
		x.paths(g, "a-caddy-"+g, "b-same-1")
	}
	x.put("bin/nix-store", nixStore)
	return x
}

func (x *tree) put(name, text string) {
	x.Helper()
	path := filepath.Join(x.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		x.Fatal(err)
	}
}

func (x *tree) symlink(target, name string) {
	x.Helper()
	if err := os.Symlink(target, filepath.Join(x.dir, name)); err != nil {
		x.Fatal(err)
	}
}

func (x *tree) paths(system string, names ...string) {
	x.put(system+"/paths", "/nix/store/"+strings.Join(names, "\n/nix/store/")+"\n")
}

func (x *tree) difference(from, to string) (fleet.Difference, error) {
	return ReadDifference(x.Context(), files{tree: x}, filepath.Join(x.dir, from), filepath.Join(x.dir, to))
}

// files is a link to a host of files: what it is sent runs here.
type files struct {
	link.Link

	tree *tree
}

func (files) Host() fleet.Host { return fleet.Host{ID: "1", Name: "storage"} }

func (f files) Run(ctx context.Context, c link.Command) (link.Result, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env = append(append(os.Environ(), "PATH="+f.tree.dir+"/bin:"+os.Getenv("PATH")), f.tree.env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return link.Result{Stdout: out, Stderr: []byte(stderr.String())}, err
}

// TestDiffScript runs the program on systems of files, with a nix-store that
// tells what lies there.
func TestDiffScript(t *testing.T) {
	x := systems(t)
	d, err := x.difference("one", "two")
	if err != nil {
		t.Fatal(err)
	}
	if d.Added != 1 || d.Removed != 1 || d.Kernel != [2]string{"6.1-one", "6.1-two"} || d.From != x.dir+"/one" || d.To != x.dir+"/two" {
		t.Errorf("%+v", d)
	}
	if !slices.Equal(d.Reboot, []string{"kernel", "kernel-modules"}) || len(d.Unseen) != 0 {
		t.Errorf("reboot for %v, unseen %v", d.Reboot, d.Unseen)
	}
	if want := []fleet.UnitChange{{Unit: "web.service", How: "changed"}}; !slices.Equal(d.Units, want) {
		t.Errorf("units %+v", d.Units)
	}
	if d, err := x.difference("one", "one"); err != nil || d.Added != 0 || len(d.Units) != 0 || len(d.Packages) != 0 || len(d.Unseen) != 0 {
		t.Errorf("the same twice: %+v, %v", d, err)
	}
}

// TestUnitFilesOfTheScript: what a unit says counts, whatever kind of file it is.
func TestUnitFilesOfTheScript(t *testing.T) {
	x := systems(t)
	const units = "/etc/systemd/system/"
	for _, g := range []string{"one", "two"} {
		x.put(g+"/store/linked.service", "the same in another path")
		x.symlink("../../../store/linked.service", g+units+"linked.service")
		x.symlink("/dev/null", g+units+"always.service")
		x.symlink("/nowhere", g+units+"nowhere.service")
		x.put(g+units+`dev-disk-by\x2dlabel-a b.swap`, "an odd name")
		x.put(g+units+"sshd.service.d/overrides.conf", g)
		x.put(g+units+"multi-user.target.wants/"+g+".service", "only that it is wanted")
	}
	x.put("one"+units+"masked.service", "[Service]")
	x.symlink("/dev/null", "two"+units+"masked.service")
	x.put("one"+units+"gone.timer", "")
	x.put("two"+units+"fresh.socket", "")
	d, err := x.difference("one", "two")
	want := []fleet.UnitChange{
		{Unit: "fresh.socket", How: "added"}, {Unit: "gone.timer", How: "removed"}, {Unit: "masked.service", How: "changed"},
		{Unit: "sshd.service", How: "changed"}, {Unit: "web.service", How: "changed"},
	}
	if err != nil || !slices.Equal(d.Units, want) || len(d.Unseen) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestScriptSaysWhatItCannotSee: a hole is told as one.
func TestScriptSaysWhatItCannotSee(t *testing.T) {
	x := systems(t)
	for _, gone := range []string{"one/etc", "one/kernel", "one/kernel-modules", "two/kernel", "two/kernel-modules"} {
		if err := os.RemoveAll(filepath.Join(x.dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	x.paths("two", "a-sizeless-2", "b-same-1")
	d, err := x.difference("one", "two")
	if want := []string{"all unit files of " + x.dir + "/one", "sizes of what differs"}; err != nil || !slices.Equal(d.Unseen, want) {
		t.Errorf("%+v, %v", d, err)
	}
	if len(d.Reboot) != 0 || d.Kernel != [2]string{} || d.Size != 0 {
		t.Errorf("made up for a container: %+v", d)
	}
}

func TestScriptFails(t *testing.T) {
	x := systems(t)
	for _, pair := range [][2]string{{"one", "gone"}, {"gone", "one"}, {"gone", "gone"}} {
		if _, err := x.difference(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "storage") || !strings.Contains(err.Error(), x.dir+"/gone") {
			t.Errorf("%v: %v", pair, err)
		}
	}
	l := files{tree: x}
	if _, err := ReadDifference(t.Context(), l, "-qR", "$(touch x)"); !errors.Is(err, errGone) {
		t.Errorf("what is no path: %v", err)
	}
	x.env = []string{"BROKEN=1"}
	if _, err := x.difference("one", "two"); err == nil || !strings.Contains(err.Error(), "cannot connect to nix's daemon") {
		t.Errorf("nix's own words are lost: %v", err)
	}
}

// TestLargeSystems: two closures of 20,000 paths that have nothing in common do
// not fit on one command line.
func TestLargeSystems(t *testing.T) {
	x := systems(t)
	for _, g := range []string{"one", "two"} {
		names := make([]string, 20_000)
		for i := range names {
			names[i] = fmt.Sprintf("%032d-package-with-a-name-%s-1.%d", i, g, i)
		}
		x.paths(g, names...)
	}
	d, err := x.difference("one", "two")
	if err != nil || d.Added != 20_000 || d.Removed != 20_000 || len(d.Unseen) != 0 {
		t.Errorf("%d added, %d removed, unseen %v, %v", d.Added, d.Removed, d.Unseen, err)
	}
}

// TestDifferencesAreKept: what was read whole is not read again; what was not, is.
func TestDifferencesAreKept(t *testing.T) {
	x := systems(t)
	var kept Differences
	read := func(from, to string) (fleet.Difference, error) {
		return kept.Read(t.Context(), files{tree: x}, filepath.Join(x.dir, from), filepath.Join(x.dir, to))
	}
	if _, err := read("one", "two"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(x.dir, "one/etc")); err != nil {
		t.Fatal(err)
	}
	if d, err := read("two", "one"); err != nil || len(d.Unseen) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	x.env = []string{"BROKEN=1"}
	if d, err := read("one", "two"); err != nil || d.Added != 1 {
		t.Errorf("it was asked again: %+v, %v", d, err)
	}
	if _, err := read("two", "one"); err == nil {
		t.Error("what was not seen whole was kept")
	}
	for i := range 3 * diffsKept {
		kept.keep(fmt.Sprint(i), fleet.Difference{})
	}
	if len(kept.kept) != diffsKept || len(kept.order) != diffsKept {
		t.Errorf("%d are kept", len(kept.kept))
	}
}
