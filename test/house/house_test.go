// Package house holds the layout of the repository: who may import whom.
package house

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sextant-fleet/sextant/"

// rooms are the packages and what of this module each may import. A room
// covers the folders below it, unless they are rooms themselves. "*" is
// everything but the tests.
var rooms = map[string][]string{
	"cmd/sextant":    {"*"},
	"tui":            {"fleet", "themes", "tui"},
	"tui/tuitest":    {"fleet", "themes", "tui", "test/pty"}, // for tests only
	"themes":         {},
	"fleet":          {},
	"fleet/discover": {"fleet"},
	"fleet/link":     {"fleet"},
	"fleet/probe":    {"fleet", "fleet/link"},
	"fleet/units":    {"fleet", "fleet/link"},
	"fleet/backup":   {"fleet", "fleet/link"},
	"fleet/metrics":  {"fleet", "fleet/link"},
	"fleet/network":  {"fleet", "fleet/link"},
	"fleet/services": {"fleet", "fleet/link"},
	"fleet/secrets":  {"fleet", "fleet/link"},
	"fleet/watch":    {"fleet", "fleet/link"},
	"fleet/history":  {"fleet"},
	"fleet/simulate": {"fleet"},
	"podman":         {"fleet", "fleet/link"},
	"nixops":         {"fleet", "fleet/link"},
	"test/lab":       {},
	"test/labtest":   {"fleet", "fleet/link", "fleet/probe"}, // for tests only
	"test/pty":       {},                                     // for tests only
	"test/e2e":       {},
	"test/faults":    {"test/labtest"},
	"test/house":     {},
	"test/report":    {},
}

// worldly are packages of Go's own that read, write or start something. The
// room "fleet" is the vocabulary, and has none of them.
var worldly = []string{"os", "net", "syscall", "log", "database", "plugin", "embed", "io/ioutil", "crypto/tls"}

// topLevel is what may stand at the top of the repository.
var topLevel = []string{
	"cmd", "tui", "fleet", "podman", "nixops", "themes", "docs", "go.mod", "go.sum", ".goreleaser.yaml",
	"README.md", "LICENSE", "Makefile", "flake.nix", "nix", "test", ".ci", ".gitignore", ".golangci.yaml",
}

// TestImports holds the arrows between the rooms.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec, seen := json.NewDecoder(bytes.NewReader(out)), 0
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		seen++
		from := room(strings.TrimPrefix(p.ImportPath, module))
		if from == "" {
			t.Errorf("%s stands in no room", p.ImportPath)
			continue
		}
		if from == "fleet" {
			pure(t, p.ImportPath, p.Imports)
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if !ours || room(to) == from {
				continue
			}
			all := slices.Contains(rooms[from], "*") && !strings.HasPrefix(to, "test/")
			if !all && !slices.Contains(rooms[from], room(to)) {
				t.Errorf("%s may not import %s", p.ImportPath, imp)
			}
		}
	}
	if seen < 8 {
		t.Fatalf("only %d packages were seen", seen)
	}
}

// pure holds that a package does no input and no output.
func pure(t *testing.T, pkg string, imports []string) {
	for _, imp := range imports {
		for _, w := range worldly {
			if imp == w || strings.HasPrefix(imp, w+"/") && imp != "net/netip" { // addresses, without a network
				t.Errorf("%s imports %s: it may do no input or output", pkg, imp)
			}
		}
	}
}

// room gives the innermost room a package stands in.
func room(pkg string) string {
	for ; pkg != "."; pkg = path.Dir(pkg) {
		if _, ok := rooms[pkg]; ok {
			return pkg
		}
	}
	return ""
}

// TestTopLevel holds what stands at the top.
func TestTopLevel(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-tree", "--name-only", "HEAD").Output()
	if err != nil {
		t.Fatalf("git ls-tree: %v", err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if !slices.Contains(topLevel, name) {
			t.Errorf("%s may not stand at the top of the repository", name)
		}
	}
}

// TestNoBinaries holds that nothing built is committed: no tracked file is
// large enough to be a program.
func TestNoBinaries(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-tree", "-r", "-l", "HEAD").Output()
	if err != nil {
		t.Fatalf("git ls-tree: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // mode, type, object, size, path
		if size, err := strconv.Atoi(f[3]); err == nil && size > 1<<20 {
			t.Errorf("%s has %d bytes", f[4], size)
		}
	}
}
