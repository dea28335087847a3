package fleet

import (
	"slices"
	"time"
)

// PausedFile is on a host where what deploys to it by itself was paused.
const PausedFile = "/run/sextant/paused"

// Pulled is the newest deployment that comin wrote down, in its store.json.
type Pulled struct {
	Began     time.Time `json:"began"`
	Ended     time.Time `json:"ended,omitzero"` // zero: it is under way, or was cut off
	Operation string    `json:"operation,omitempty"`
	Commit    string    `json:"commit,omitempty"`
	Err       string    `json:"error,omitempty"` // "": it went well, if it ended
}

// result is how it ended, as systemd calls it: comin calls those that failed "done".
func (p Pulled) result() string {
	switch {
	case p.Err != "":
		return "failed"
	case p.Ended.IsZero():
		return "running"
	}
	return "success"
}

// Puller is a unit that deploys to its host by itself, so that it may undo what
// others deploy: comin, or system.autoUpgrade of NixOS.
type Puller struct {
	Unit   string    `json:"unit"`
	Since  time.Time `json:"since,omitzero"`   // of one that goes on: when it was started
	Last   time.Time `json:"last,omitzero"`    // when its last run began; zero: not known of comin, none yet of a timer
	Result string    `json:"result,omitempty"` // of that run: "success", "running", else what went wrong, as systemd calls it
	Commit string    `json:"commit,omitempty"` // that it deployed, or tried to
	Err    string    `json:"error,omitempty"`
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
		p := Puller{Unit: u.Name, Since: u.Started}
		if last := s.Inventory.Value.Pulled; last != nil {
			p.Last, p.Result, p.Commit, p.Err = last.Began, last.result(), last.Commit, last.Err
		}
		out = append(out, p)
	}
	for _, t := range s.Timers.Value {
		if t.Name == "nixos-upgrade.timer" && !t.Next.IsZero() {
			out = append(out, Puller{Unit: t.Name, Last: t.Last, Result: unit("nixos-upgrade.service").Result})
		}
	}
	return out
}

// Failed tells whether the last run went wrong.
func (p Puller) Failed() bool {
	return p.Result != "" && p.Result != "success" && p.Result != "running"
}

// Tell says of the last run what there is to say; when puts a time in words.
func (p Puller) Tell(when func(time.Time) string) string {
	of := ""
	if p.Commit != "" {
		of = " of " + p.Commit[:min(len(p.Commit), 8)]
	}
	switch {
	case p.Last.IsZero() && !p.Since.IsZero():
		return "runs since " + when(p.Since) + ", its last run is not known"
	case p.Last.IsZero():
		return "has not run yet"
	case p.Result == "running":
		return "a run" + of + " began " + when(p.Last)
	case p.Err != "":
		return "last run" + of + " failed " + when(p.Last) + ": " + Short(p.Err, 200)
	case p.Failed():
		return "last run" + of + " " + p.Result + " " + when(p.Last)
	}
	return "last run" + of + " " + when(p.Last)
}

// PullPaused tells whether what deploys to the host by itself was paused from here.
func (s State) PullPaused() bool { return slices.Contains(s.Inventory.Value.Files, PausedFile) }
