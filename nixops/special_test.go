package nixops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// special gives a generation of the sandbox a specialisation, a system of its own,
// and gives its path.
func (s *sandbox) special(g int, name string) string {
	s.Helper()
	path := s.system(g) + "-" + name
	text, err := os.ReadFile(s.system(g) + "/bin/switch-to-configuration")
	s.must(err)
	inside, _ := filepath.Rel(s.dir, path)
	s.write(inside+"/bin/switch-to-configuration", strings.Replace(string(text), "ln -sfn "+s.system(g), "ln -sfn "+path, 1))
	s.must(os.MkdirAll(s.system(g)+"/specialisation", 0o755))
	s.must(os.Symlink(path, s.system(g)+"/specialisation/"+name))
	return path
}

// TestGuardKeepsASpecialisation: what runs is named by what it is of its system; the
// one of the same name is activated, the system itself becomes the default, and what
// goes back goes back to exactly what ran.
func TestGuardKeepsASpecialisation(t *testing.T) {
	for _, from := range userlands {
		for _, confirmed := range []bool{true, false} {
			t.Run(from+map[bool]string{true: ", confirmed", false: ", not confirmed"}[confirmed], func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t, from)
				before, after := s.special(2, "night"), s.special(1, "night")
				current := filepath.Join(s.root, "run/current-system")
				s.must(os.Remove(current))
				s.must(os.Symlink(before, current))
				out, _ := s.guard("look", s.system(1))
				look := parseLook([]byte(out))
				if look.Special != "night" || look.Run != after {
					t.Fatalf("special %q, run %q: %s", look.Special, look.Run, out)
				}
				if out, code := s.stage("a-1", "run="+look.Run, "window=60"); code != 0 {
					t.Fatal(code, out)
				}
				s.comes("a-1", fleet.Awaiting)
				word, end, runs, byDefault := "confirm", fleet.Confirmed, after, s.system(1)
				if !confirmed {
					word, end, runs, byDefault = "cancel", fleet.Cancelled, before, s.system(2)
				}
				s.guard(word, "a-1", "n1", "ada")
				s.comes("a-1", end)
				run, _ := filepath.EvalSymlinks(current)
				def, _ := filepath.EvalSymlinks(s.profile())
				if run != runs || def != byDefault {
					t.Errorf("running %s, default %s; want %s, %s", run, def, runs, byDefault)
				}
			})
		}
	}
}

// TestLookWithoutThatSpecialisation: it is said what is lost.
func TestLookWithoutThatSpecialisation(t *testing.T) {
	s := newSandbox(t, "gnu")
	before := s.special(2, "night")
	s.special(1, "day")
	look := func() Preflight {
		out, code := s.guard("look", s.system(1))
		if code != 0 {
			t.Fatal(code, out)
		}
		return parseLook([]byte(out))
	}
	if p := look(); p.Special != "" || p.tellSpecial() != nil {
		t.Errorf("none runs: %+v", p)
	}
	current := filepath.Join(s.root, "run/current-system")
	s.must(os.Remove(current))
	s.must(os.Symlink(before, current))
	p := look()
	if p.Special != "night" || p.Run != "" || !strings.Contains(strings.Join(p.tellSpecial(), ""), "has none of that name") {
		t.Errorf("%+v: %q", p, p.tellSpecial())
	}
}
