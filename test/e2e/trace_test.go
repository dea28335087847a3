//go:build lab

package e2e

import (
	"slices"
	"strings"
	"testing"

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
// then a container is stopped, and sign-in broken: each is what the verdict names,
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
		if got.Broken != -1 {
			t.Fatalf("it is broken already: %+v", got)
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
	t.Run("sign-in is broken", func(t *testing.T) {
		labtest.Output(t, l, "touch", "/etc/lab/signin/authelia.broken")
		defer labtest.Output(t, l, "rm", "-f", "/etc/lab/signin/authelia.broken")
		broken("sign-in", "sextant unit restart storage authelia-main.service", "unit authelia-main.service: active")
	})
	well()
}
