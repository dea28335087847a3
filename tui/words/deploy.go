package words

import (
	"strconv"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Deploy is a state of a deploy with its sign: the word alone says it too.
func (w Teller) Deploy(s fleet.DeployState) Cell {
	word := s.Words()
	switch s {
	case fleet.Confirmed:
		return Cell{Text: w.Glyphs.Check + " " + word, Role: themes.OK}
	case fleet.RollbackFailed:
		return Cell{Text: w.Glyphs.Cross + " FAIL back", Role: themes.Fail}
	case fleet.RolledBack, fleet.Conflict, fleet.NeedsReboot:
		return Cell{Text: w.Glyphs.Cross + " " + word, Role: themes.Warn}
	case fleet.Cancelled, fleet.Refused:
		return Cell{Text: w.Glyphs.None + " " + word, Role: themes.Dim}
	case fleet.Awaiting:
		return Cell{Text: "! waits", Role: themes.Warn}
	case fleet.Unreachable, "":
		return Cell{Text: w.Glyphs.Unknown + " unknown", Role: themes.Unknown}
	}
	return Cell{Text: w.Glyphs.Asking + " " + word, Role: themes.Accent}
}

// Newest is the newest deploy of a host, where the host tells of it now.
func Newest(st fleet.State) (fleet.Deploy, bool) {
	if !st.Deploys.Current() || len(st.Deploys.Value) == 0 {
		return fleet.Deploy{}, false
	}
	return st.Deploys.Value[0], true
}

// Waits tells how long the new system of a host still waits to be confirmed
// until the host goes back by itself; false: none waits.
func Waits(st fleet.State, now time.Time) (time.Duration, bool) {
	d, ok := Newest(st)
	if !ok || d.State != fleet.Awaiting {
		return 0, false
	}
	return max(0, d.Deadline.Sub(now)), true
}

// Until is how long it is until something happens: by the second where that is
// soon, else by minutes of which the last has begun.
func Until(d time.Duration) string {
	if s := int((d + time.Second - 1) / time.Second); s < 100 {
		return strconv.Itoa(max(0, s)) + "s"
	}
	return strconv.Itoa(int((d+time.Minute-1)/time.Minute)) + "m"
}

// Toplevel is a system of a host in one word: its generation, or what its path
// says beyond the host's name.
func Toplevel(st fleet.State, t fleet.Toplevel) string {
	return st.Numbered(t).Of(st.Host.Name)
}
