package fleet

import (
	"slices"
	"strings"
	"time"
)

// SeriesQuery says which measurements are wanted.
type SeriesQuery struct {
	Window    time.Duration // back from now
	Container string        // by name; "" the host itself
	User      string        // whose container it is; "" root's
}

// Mark is something that happened and is worth a sign on the time axis of charts.
type Mark struct {
	At    time.Time `json:"at"`
	Kind  EventKind `json:"kind"` // EventDeploy, EventRollback, EventBoot or EventAlarm
	Level Level     `json:"level"`
	Text  string    `json:"text"`
}

// bootSoon is how soon after a reboot was asked for the host has booted.
const bootSoon = 15 * time.Minute

// Marks are those events that explain why a line changes: systems that came and
// went, boots and alarms; oldest first.
func Marks(events []Event, from, to time.Time) []Mark {
	var out []Mark
	add := func(at time.Time, kind EventKind, e Event) {
		if !at.Before(from) && !at.After(to) {
			out = append(out, Mark{At: at, Kind: kind, Level: e.Level, Text: e.Text})
		}
	}
	for _, e := range events {
		switch e.Kind {
		case EventDeploy, EventGeneration:
			if e.ended(Refused) {
				continue // nothing was changed
			}
			add(e.At, EventDeploy, e)
			if e.ended(RolledBack) || e.ended(Cancelled) {
				back := e
				back.Text = "it went back: " + e.Result
				add(e.At.Add(e.Duration.Duration()), EventRollback, back)
			}
		case EventRollback:
			add(e.At, EventRollback, e)
		case EventBoot:
			add(e.At, EventBoot, e)
		case EventReboot:
			if !slices.ContainsFunc(events, e.booted) {
				add(e.At, EventBoot, e)
			}
		case EventAlarm:
			add(e.At, EventAlarm, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Mark) int { return a.At.Compare(b.At) })
	return out
}

// ended tells whether a deploy ended in a state.
func (e Event) ended(in DeployState) bool { return strings.HasPrefix(e.Result, in.Words()) }

// booted tells whether another event is the boot that a reboot led to.
func (e Event) booted(b Event) bool {
	return b.Kind == EventBoot && b.HostID == e.HostID && !b.At.Before(e.At) && b.At.Sub(e.At) < bootSoon
}
