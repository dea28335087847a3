// Package dialog holds the popups that ask a person something: questions of
// the fleet, the confirmation of an action, its progress. Whatever they ask,
// No is the default, and keys that were typed before they were there to be
// read do not count.
package dialog

import "time"

// Grace swallows what was typed ahead: keys count only after a moment without
// any, or after a while in any case.
type Grace struct {
	since, last time.Time
	over        bool
}

// How long no key must come before keys count, and when they count at all
// events. A popup that opens by itself waits longer than one that was asked for.
const (
	quietSurprise = 425 * time.Millisecond
	quietAsked    = 200 * time.Millisecond
	graceCap      = 1500 * time.Millisecond
)

// begin starts the grace period.
func (g *Grace) begin(now time.Time) { *g = Grace{since: now, last: now} }

// swallow tells whether a key that comes now is not meant for the popup.
func (g *Grace) swallow(now time.Time, quiet time.Duration) bool {
	if g.over || now.Sub(g.since) >= graceCap || now.Sub(g.last) >= quiet {
		g.over = true
		return false
	}
	g.last = now
	return true
}
