//go:build lab

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// happened is what history says with --json.
type happened struct {
	Events []struct {
		At                                                                 time.Time
		Host, Kind, Text, Source, ID, Who, Client, Revision, Result, Level string
		From, To                                                           struct {
			Path       string
			Generation int
		}
		Duration float64
	}
}

// TestHistoryTellsOfARollBack: the host tells of it to every client, this
// machine keeps what it did, and of what a host refused only this machine can.
func TestHistoryTellsOfARollBack(t *testing.T) {
	l := labtest.Load(t).Link(t, "cloud")
	state := t.TempDir()
	from := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/run/current-system"))
	began := time.Now().Add(-2 * time.Second)
	if out, errs, code := sextantIn(t, state, "rollback", "cloud", "--yes", "--json"); code != 0 {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	to := strings.TrimSpace(labtest.Output(t, l, "readlink", "-f", "/run/current-system"))
	if out, errs, code := sextantIn(t, state, "deploy", "cloud", "--store-path", "/nix/store/none", "--yes", "--json"); code == 0 {
		t.Errorf("a system that does not exist: %s %s", out, errs)
	}
	since := fmt.Sprint(int(time.Since(began).Seconds())+2, "s")
	out, _, _ := sextant(t, "history", "cloud", "--since", since, "--json")
	told := 0
	for _, e := range decode[happened](t, out).Events {
		if e.Kind != "rollback" {
			continue
		}
		told++
		if e.Source != "guard" || e.From.Path != from || e.To.Path != to || e.Who == "" || e.Client == "" || e.Duration <= 0 || !strings.HasPrefix(e.Result, "confirmed") {
			t.Errorf("the host tells %+v", e)
		}
	}
	if told != 1 {
		t.Errorf("the roll-back is told %d times: %s", told, out)
	}
	out, errs, code := sextantIn(t, state, "history", "--here", "--json")
	var kinds []string
	for _, e := range decode[happened](t, out).Events {
		kinds = append(kinds, e.Kind)
		if e.Kind == "rollback" && (e.Source != "audit" || e.To.Path != to || !strings.HasPrefix(e.Result, "confirmed")) {
			t.Errorf("the audit tells %+v", e)
		}
	}
	if code != 0 || strings.Join(kinds, " ") != "deploy confirm rollback" {
		t.Errorf("the audit tells of %v, want of the refused deploy, the confirmation and the roll-back: %d %s", kinds, code, errs)
	}
	if out, errs, code := sextant(t, "rollback", "cloud", "--to", number(t, "cloud", from), "--yes", "--json"); code != 0 {
		t.Errorf("back again: %d: %s %s", code, out, errs)
	}
}
