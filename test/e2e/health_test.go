//go:build lab

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// health is what the command says with --json.
type health struct{ Findings []fleet.Finding }

func (h health) find(t *testing.T, key string) fleet.Finding {
	t.Helper()
	i := slices.IndexFunc(h.Findings, func(f fleet.Finding) bool { return f.Key == key })
	if i < 0 {
		t.Fatalf("%s is not found: %+v", key, h.Findings)
	}
	return h.Findings[i]
}

// TestHealth: what explains another problem has it below it, and what one process
// acknowledges counts for none of the others.
func TestHealth(t *testing.T) {
	labtest.Load(t)
	state := t.TempDir()
	out, errs, code := sextantIn(t, state, "health", "storage", "--json")
	unit := decode[health](t, out).find(t, "unit:podman-crashed.service")
	if code != 1 || len(unit.Folded) != 1 || unit.Folded[0].Key != "container:crashed" || unit.Since.IsZero() {
		t.Errorf("%d: %+v %s", code, unit, errs)
	}
	for rounds := 0; code != 0 && rounds < 10; rounds++ { // alarms of its Netdata come and go
		for _, p := range decode[health](t, out).Findings {
			if p.Acked != nil {
				continue
			}
			if out, errs, code := sextantIn(t, state, "health", "ack", "storage", p.Key, "--for", "1h", "--why", "the lab's"); code != 0 && !strings.Contains(errs, "has no problem") {
				t.Fatalf("%s: %d: %s %s", p.Key, code, out, errs)
			}
		}
		out, errs, code = sextantIn(t, state, "health", "storage", "--json")
	}
	unit = decode[health](t, out).find(t, "unit:podman-crashed.service")
	if code != 0 || unit.Acked == nil || unit.Acked.Why != "the lab's" || unit.Folded[0].Acked == nil {
		t.Errorf("%d: %+v %s", code, unit, errs)
	}
	if out, errs, code := sextantIn(t, state, "health", "unack", "storage", unit.Key); code != 0 {
		t.Errorf("%d: %s %s", code, out, errs)
	}
	if out, _, code := sextantIn(t, state, "status", "storage", "--json"); code != 1 {
		t.Errorf("%d: %s", code, out)
	}
}
