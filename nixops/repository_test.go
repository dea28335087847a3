package nixops

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// As nix 2.26 writes it, of a flake with nixpkgs and an input that follows it.
const flakeLock = `{"nodes":{
"home-manager":{"inputs":{"nixpkgs":["nixpkgs"]},"locked":{"lastModified":1748391243,"owner":"nix-community","repo":"home-manager","rev":"f5b12be834874f7661db4ced969a621ab2d57971","type":"github"}},
"nixpkgs":{"locked":{"lastModified":1748370509,"narHash":"sha256-x","owner":"nixos","repo":"nixpkgs","rev":"4faa5f5321320e49a78ae7848582f684d64783e9","type":"github"}},
"unstable":{"locked":{"lastModified":1748370999,"owner":"nixos","repo":"nixpkgs","rev":"1111111111111111111111111111111111111111","type":"github"}},
"root":{"inputs":{"home-manager":"home-manager","nixpkgs":"nixpkgs","unstable":"unstable"}}},"root":"root","version":7}`

func TestAgeOfNixpkgs(t *testing.T) {
	for _, c := range []struct {
		lock, rev string
		at        int64
	}{
		{flakeLock, "4faa5f5321320e49a78ae7848582f684d64783e9", 1748370509},
		{strings.Replace(flakeLock, `"nixpkgs":"nixpkgs",`, ``, 1), "1111111111111111111111111111111111111111", 1748370999},
		{strings.Replace(flakeLock, `"nixpkgs":"nixpkgs",`, `"nixpkgs":["home-manager","nixpkgs"],`, 1), "1111111111111111111111111111111111111111", 1748370999},
		{`{"nodes":{"root":{}},"root":"root","version":7}`, "", 0},
		{`{`, "", 0},
	} {
		at, rev := nixpkgs([]byte(c.lock))
		if rev != c.rev || c.at == 0 != at.IsZero() || c.at != 0 && at.Unix() != c.at {
			t.Errorf("%.60s…: %v %q", c.lock, at, rev)
		}
	}
}

func FuzzLock(f *testing.F) {
	f.Add([]byte(flakeLock))
	f.Fuzz(func(_ *testing.T, b []byte) { nixpkgs(b) })
}

// TestRepository asks a real git of a repository with two branches.
func TestRepository(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=ada", "-c", "user.email=ada@example.org"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	record := func(text string) string {
		t.Helper()
		write("flake.nix", text)
		git("add", "-A")
		git("commit", "-qm", text)
		return git("rev-parse", "HEAD")
	}
	f := Flake{Ref: dir}
	if r, err := f.Repository(t.Context(), nil); err != nil || r.Revision != "" {
		t.Errorf("of a folder in no repository: %+v, %v", r, err)
	}
	git("init", "-q", "-b", "main")
	write("flake.lock", flakeLock)
	first := record("one")
	git("checkout", "-qb", "side")
	side := record("side")
	git("checkout", "-q", "main")
	record("two")
	newest := record("three")
	const strange = "0123456789012345678901234567890123456789"
	r, err := f.Repository(t.Context(), []string{first, first + "-dirty", side, newest, strange, "--output=/tmp/x", ""})
	if err != nil || r.Revision != newest || r.Dirty || r.Nixpkgs.Unix() != 1748370509 || time.Since(r.Committed) > time.Hour {
		t.Errorf("%+v, %v", r, err)
	}
	want := map[string]fleet.Distance{first: {Behind: 2}, side: {Behind: 2, Ahead: 1}, newest: {}, strange: {Lost: true}}
	if len(r.Distances) != len(want) {
		t.Errorf("distances %+v", r.Distances)
	}
	for rev, d := range want {
		if r.Distances[rev] != d {
			t.Errorf("%s: %+v, want %+v", rev, r.Distances[rev], d)
		}
	}
	write("flake.nix", "changed")
	if r, err := (Flake{Ref: "git+file://" + dir + "?ref=main"}).Repository(t.Context(), nil); err != nil || !r.Dirty || r.Revision != newest {
		t.Errorf("with a change that is not committed: %+v, %v", r, err)
	}
	changes := func() string {
		t.Helper()
		r, err := f.Repository(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Changes
	}
	is := changes()
	if is == "" || changes() != is {
		t.Error("the same changes are told as others, or not at all")
	}
	write("untracked", "nix does not see it")
	if changes() != is {
		t.Error("what git does not follow is told as a change")
	}
	for name, change := range map[string]func(){
		"the same file again": func() { write("flake.nix", "Changed") }, "another": func() { write("flake.lock", "{}") },
		"a new one": func() { git("add", "untracked") }, "one that is gone": func() { _ = os.Remove(filepath.Join(dir, "flake.lock")) },
	} {
		if change(); changes() == is {
			t.Errorf("%s was changed, and nobody can tell", name)
		}
		is = changes()
	}
	git("reset", "-q", "--hard")
	if got := changes(); got != "" {
		t.Errorf("all is committed, and there are changes %q", got)
	}
}
