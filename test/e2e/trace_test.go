//go:build lab

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/test/labtest"
)

// wayOut is what `trace --json` tells.
type wayOut struct {
	State, Verdict string
	Broken         int
	Hops           []hopOut
	Help           struct{ Command string }
}

type hopOut struct {
	Kind, State, Host, What, Why string
	Seen                         []string
	Skipped                      bool
}

// TestTraceNamesWhatIsBroken: with the lab's real Caddy a way is gone to its end;
// then a container is stopped, and sign-in hangs, or is stopped: each is what the verdict names,
// with the command that mends it, and that command mends it.
func TestTraceNamesWhatIsBroken(t *testing.T) {
	const url = "https://photos.lab.example.com/"
	l := labtest.Load(t).Link(t, "storage")
	state := t.TempDir() // who has left is told by what earlier processes have read
	trace := func() (wayOut, int) {
		out, _, code := sextantIn(t, state, "trace", url, "--host", "storage", "--json")
		return decode[wayOut](t, out), code
	}
	well := func() {
		t.Helper()
		got, _ := trace()
		for began := time.Now(); got.Broken != -1; got, _ = trace() { // what was started just now needs a moment
			if time.Since(began) > time.Minute {
				t.Fatalf("it is broken already: %+v", got)
			}
		}
		if !slices.ContainsFunc(got.Hops, func(h hopOut) bool { return h.Kind == "answer" && h.State == "ok" }) {
			t.Fatalf("nothing answered: %+v", got)
		}
	}
	broken := func(kind, command, seen string) {
		t.Helper()
		got, code := trace()
		if code != 1 || got.Broken < 0 || got.Hops[got.Broken].Kind != kind || got.Help.Command != command {
			t.Fatalf("exit code %d: %+v", code, got)
		}
		if !strings.Contains(strings.Join(got.Hops[got.Broken].Seen, "\n"), seen) {
			t.Errorf("%+v", got.Hops[got.Broken])
		}
	}
	well()

	t.Run("a container is stopped", func(t *testing.T) {
		labtest.Output(t, l, "systemctl", "stop", "podman-jellyfin")
		defer labtest.Output(t, l, "systemctl", "start", "podman-jellyfin")
		const mend = "sextant unit start storage podman-jellyfin.service"
		broken("upstream", mend, "container jellyfin: absent")
		if _, errs, code := sextantIn(t, state, append(strings.Fields(strings.TrimPrefix(mend, "sextant ")), "--yes")...); code != 0 {
			t.Errorf("what mends it ends with %d: %s", code, errs)
		}
		well()
	})
	// the real Authelia, which hangs, and which is stopped
	for how, mend := range map[string]string{"kill -s STOP": "restart", "stop": "start"} {
		t.Run("sign-in: "+how, func(t *testing.T) {
			labtest.Output(t, l, "sh", "-c", "systemctl "+how+" authelia-main")
			defer labtest.Output(t, l, "sh", "-c", "systemctl kill -s CONT authelia-main 2>/dev/null; systemctl start authelia-main")
			seen := "unit authelia-main.service: active"
			if how == "stop" {
				seen = "unit authelia-main.service: inactive"
			}
			broken("sign-in", "sextant unit "+mend+" storage authelia-main.service", seen)
			if _, errs, code := sextantIn(t, state, "unit", mend, "storage", "authelia-main.service", "--yes"); code != 0 {
				t.Errorf("what mends it ends with %d: %s", code, errs)
			}
			well()
		})
	}
}
