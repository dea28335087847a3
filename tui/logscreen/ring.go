package logscreen

import (
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of what a log keeps.
const (
	maxLines = 10_000
	maxBytes = 6 << 20
)

// ring holds a piece of a log. Lines are numbered from the first that came, so
// that a place in the log stays the same when lines go and when older ones are
// put in front, which have numbers below.
type ring struct {
	lines []fleet.LogLine
	first int // number of lines[0]
	bytes int
}

// lineCost is what a line takes beside its text, roughly.
const lineCost = 200

func cost(lines ...fleet.LogLine) int {
	n := 0
	for _, l := range lines {
		n += len(l.Text) + lineCost
	}
	return n
}

// add puts lines at the end. The oldest go where there is no room.
func (r *ring) add(lines []fleet.LogLine) {
	r.lines, r.bytes = append(r.lines, lines...), r.bytes+cost(lines...)
	drop := 0
	for len(r.lines)-drop > maxLines || r.bytes > maxBytes && drop < len(r.lines)-1 {
		r.bytes -= cost(r.lines[drop])
		drop++
	}
	clear(r.lines[:drop]) // the array stays until append needs a larger one
	r.lines, r.first = r.lines[drop:], r.first+drop
}

// room tells whether lines can be added and nothing must go.
func (r *ring) room(lines []fleet.LogLine) bool {
	return len(r.lines)+len(lines) <= maxLines && r.bytes+cost(lines...) <= maxBytes
}

// prepend puts older lines in front. The newest go where there is no room; it
// tells how many.
func (r *ring) prepend(lines []fleet.LogLine) int {
	r.lines, r.first, r.bytes = slices.Concat(lines, r.lines), r.first-len(lines), r.bytes+cost(lines...)
	keep := len(r.lines)
	for keep > maxLines || r.bytes > maxBytes && keep > 1 {
		keep--
		r.bytes -= cost(r.lines[keep])
	}
	gone := len(r.lines) - keep
	clear(r.lines[keep:])
	r.lines = r.lines[:keep]
	return gone
}

// end is the number after the last line.
func (r *ring) end() int { return r.first + len(r.lines) }

// at is the line with a number, which must be in the ring.
func (r *ring) at(n int) fleet.LogLine { return r.lines[n-r.first] }

// key names a line wherever it is held.
type key struct {
	at   int64
	id   uint64
	host string
	text string
}

func keyOf(l fleet.LogLine) key { return key{l.At.UnixNano(), l.ID, l.Host, l.Text} }

// number finds a line in the ring.
func (r *ring) number(k key) (int, bool) {
	i := slices.IndexFunc(r.lines, func(l fleet.LogLine) bool { return keyOf(l) == k })
	return r.first + i, i >= 0
}

// unheld leaves out lines that the ring holds already: a page of a log begins
// with the moment at which the one before ended.
func (r *ring) unheld(lines []fleet.LogLine) []fleet.LogLine {
	if len(r.lines) == 0 || len(lines) == 0 {
		return lines
	}
	held := map[key]bool{}
	from, to := lines[0].Here, lines[len(lines)-1].Here
	for _, l := range r.lines {
		if !l.Here.Before(from) && !l.Here.After(to) {
			held[keyOf(l)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(lines), func(l fleet.LogLine) bool { return held[keyOf(l)] })
}
