package labtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Program is how a program of the trees that the hosts are made of is run on this
// machine: with its own loader and libraries. Which tree it is from is chosen by
// its name: "podman" is 5.4.2, "docker" 20.10.
func Program(t testing.TB, name string) []string {
	t.Helper()
	cache := os.Getenv("SEXTANT_LAB_CACHE")
	if cache == "" {
		cache = "/var/cache/sextant-lab"
	}
	tree := map[string]string{"podman": "base-trixie-*", "docker": "base-debian-*"}[name]
	found, _ := filepath.Glob(filepath.Join(cache, tree, "usr/bin", name))
	if len(found) == 0 {
		t.Fatalf("the lab has no %s in %s/%s", name, cache, tree)
	}
	root := strings.TrimSuffix(found[0], "/usr/bin/"+name)
	return []string{root + "/lib64/ld-linux-x86-64.so.2", "--library-path", root + "/usr/lib/x86_64-linux-gnu", found[0]}
}
