package labtest

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Fork is the folder of a copy of the operator's flake in which a text of its
// hosts.nix is another.
func Fork(t testing.TB, from, to string) string {
	t.Helper()
	home, _ := os.UserHomeDir()
	dir := filepath.Join(t.TempDir(), "fleet")
	if out, err := exec.Command("cp", "-r", filepath.Join(home, "fleet"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(dir, "hosts.nix")
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), from) {
		t.Fatalf("no %q in %s: %v", from, file, err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Changed is a fork whose systems have never been built: they restart the units
// that hold the lab's payload.
func Changed(t testing.TB) string {
	t.Helper()
	return Fork(t, `payload = "four"`, `payload = "`+rand.Text()+`"`)
}

// Toplevel builds a host's system on this machine and gives its store path.
func Toplevel(t testing.TB, flake, host string) string {
	t.Helper()
	// nix 2.8 does not print what it has built
	script := `nix --extra-experimental-features "nix-command flakes" build -o "$1" "$2" >&2 && readlink "$1"`
	return path(t, exec.Command("sh", "-ec", script, "sh", filepath.Join(t.TempDir(), "result"), flake+"#nixosConfigurations."+host+".config.system.build.toplevel"))
}

// Altered adds to the store of this machine a copy of a system that a script of
// the shell, which is told its folder, has changed.
func Altered(t testing.TB, system, script string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.Base(system)[33:])
	return path(t, exec.Command("sh", "-ec", `cp -a "$1" "$2"; chmod -R u+w "$2"; (set -- "$2"; `+script+`); nix-store --add "$2"`, "sh", system, dir))
}

// path is the path that a program prints.
func path(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, errs.String())
	}
	return strings.TrimSpace(string(out))
}
