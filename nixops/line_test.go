package nixops

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestTheLastLineOfALog is told while a deploy is under way, without the states
// between, and clean; of what is over it is not.
func TestTheLastLineOfALog(t *testing.T) {
	for _, from := range userlands {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, from)
			if out, code := s.stage("a-1", "window=60"); code != 0 {
				t.Fatal(code, out)
			}
			s.comes("a-1", fleet.Awaiting)
			log := filepath.Join(s.root, "var/lib/sextant/deploys/a-1/log")
			f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
			s.must(err)
			_, err = f.WriteString("starting \x1b[2Jcaddy.service\n== AWAITING it runs\n")
			s.must(err)
			s.must(f.Close())
			if d := s.deploy("a-1"); d.Line != "starting caddy.service" {
				t.Errorf("%q", d.Line)
			}
			s.guard("cancel", "a-1", "n1", "ada")
			if d := s.comes("a-1", fleet.Cancelled); d.Line != "" {
				t.Errorf("it is over, and its last line is %q", d.Line)
			}
		})
	}
}
