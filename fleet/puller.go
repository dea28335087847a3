package fleet

import (
	"slices"
	"time"
)

// PausedFile is on a host where what deploys to it by itself was paused.
const PausedFile = "/run/sextant/paused"

// Puller is a unit that deploys to its host by itself, so that it may undo what
// others deploy: comin, or system.autoUpgrade of NixOS.
type Puller struct {
	Unit   string    `json:"unit"`
	Last   time.Time `json:"last,omitzero"`    // when it last began: a run of the timer, or comin itself, which goes on
	Result string    `json:"result,omitempty"` // of that run, as systemd calls it
}

// Pullers are those of a host that are not stopped.
func (s State) Pullers() []Puller {
	var out []Puller
	unit := func(name string) Unit {
		i := slices.IndexFunc(s.Units.Value, func(u Unit) bool { return u.Name == name && u.User == "" })
		if i < 0 {
			return Unit{}
		}
		return s.Units.Value[i]
	}
	if u := unit("comin.service"); u.Active == "active" {
		out = append(out, Puller{Unit: u.Name, Last: u.Started})
	}
	for _, t := range s.Timers.Value {
		if t.Name == "nixos-upgrade.timer" && !t.Next.IsZero() {
			out = append(out, Puller{Unit: t.Name, Last: t.Last, Result: unit("nixos-upgrade.service").Result})
		}
	}
	return out
}

// PullPaused tells whether what deploys to the host by itself was paused from here.
func (s State) PullPaused() bool { return slices.Contains(s.Inventory.Value.Files, PausedFile) }
