package nixops

import (
	"slices"
	"strings"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
)

// TestTheLogTellsTheStatesInTheirPlace: between the lines that belong to them, each once,
// also where the log comes in pieces and is ahead of the state.
func TestTheLogTellsTheStatesInTheirPlace(t *testing.T) {
	const log = "== STAGED by ada\n== ACTIVATING /nix/store/x\nstopping a\n== ended with 0\n== AWAITING it runs\nswitching profile\n== COMMITTING /nix/store/x by ada\n== CONFIRMED by ada\n"
	want := []string{"staged: by ada", "activating: /nix/store/x", "stopping a", "awaiting: it runs", "switching profile", "committing: /nix/store/x by ada", "confirmed: by ada"}
	for size := 1; size <= len(log); size += 7 {
		var got []string
		f := follower{tell: Saying(func(line string) { got = append(got, line) }), last: fleet.Deploy{State: fleet.Awaiting}}
		for rest := log; rest != ""; {
			n := min(size, len(rest))
			f.say([]byte(rest[:n]), false)
			rest = rest[n:]
		}
		if f.state(fleet.Deploy{State: fleet.Confirmed, Why: "by ada"}); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %s", size, strings.Join(got, " | "))
		}
	}
}
