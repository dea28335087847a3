package simulate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
)

// TestDeployOfAStorePathThatIsTyped: what is typed on the screen in the place of a
// flake is deployed, on a machine that has no nix and knows no flake.
func TestDeployOfAStorePathThatIsTyped(t *testing.T) {
	y := inYard(t, "vault")
	to := y.target()
	earlier, err := nixops.Earlier(to.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	list := y.Actions()
	deploy := list[slices.IndexFunc(list, func(a fleet.Action) bool { return a.ID == "deploy" })]
	if why := deploy.Off(to); why != "" {
		t.Fatalf("it is off: %s", why)
	}
	to.Chosen = map[string]string{"flake": " " + earlier.Path + " "}
	var said []string
	say := func(line string) { said = append(said, line) }
	p, err := deploy.Planned(soon(t), to, say)
	if err != nil || !strings.Contains(p.Title, earlier.Path) {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := deploy.Run(soon(t), to, say); err != nil {
		t.Fatalf("%v, after %q", err, said)
	}
	if sys := y.state().System.Value; sys.Running.Path != earlier.Path || sys.Default.Path != earlier.Path {
		t.Errorf("it runs %s, and %s is its default, not %s", sys.Running.Path, sys.Default.Path, earlier.Path)
	}
	to.Chosen["flake"] = strings.Replace(earlier.Path, "nixos", "other", 1)
	if p, err := deploy.Planned(soon(t), to, say); err == nil {
		t.Errorf("of a system that is nowhere: %+v", p)
	}
}
