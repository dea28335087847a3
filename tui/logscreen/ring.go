package logscreen

import "github.com/sextant-fleet/sextant/fleet"

// Bounds of what a log keeps: the oldest lines go first.
const (
	maxLines = 10_000
	maxBytes = 8 << 20
)

// ring holds the newest lines. Lines are numbered from the first that came, so
// that a place in the log stays the same when old lines go.
type ring struct {
	lines []fleet.LogLine
	first int // number of lines[0]
	bytes int
}

// lineCost is what a line takes beside its text, roughly.
const lineCost = 100

func (r *ring) add(lines []fleet.LogLine) {
	for _, l := range lines {
		r.bytes += len(l.Text) + lineCost
	}
	r.lines = append(r.lines, lines...)
	drop := max(0, len(r.lines)-maxLines)
	for i := range drop {
		r.bytes -= len(r.lines[i].Text) + lineCost
	}
	for r.bytes > maxBytes && drop < len(r.lines)-1 {
		r.bytes -= len(r.lines[drop].Text) + lineCost
		drop++
	}
	if drop > 0 {
		r.first += drop
		// a new array now and then, so that what was dropped is given back
		r.lines = append(make([]fleet.LogLine, 0, len(r.lines)-drop+maxLines/10), r.lines[drop:]...)
	}
}

// end is the number after the last line.
func (r *ring) end() int { return r.first + len(r.lines) }

// at is the line with a number, which must be in the ring.
func (r *ring) at(n int) fleet.LogLine { return r.lines[n-r.first] }
