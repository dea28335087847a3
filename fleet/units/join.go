package units

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// pieceWait is how long a piece of a line waits for the rest: an engine hands
// over what has no end yet, such as a question, as a piece too.
const pieceWait = 300 * time.Millisecond

// maxPieces bounds the lines that wait for their rest.
const maxPieces = 64

// joiner puts the pieces together into which engines cut long lines of their
// containers.
type joiner struct {
	off   bool
	open  map[string]*entry
	order []string // of open
}

// add takes an entry in and gives the lines that are whole by it.
func (j *joiner) add(e entry) []fleet.LogLine {
	begun := j.open[e.of]
	switch {
	case j.off || begun == nil && !e.more:
		return []fleet.LogLine{e.whole()}
	case begun == nil:
		if j.open == nil {
			j.open = map[string]*entry{}
		}
		var lines []fleet.LogLine
		if len(j.order) >= maxPieces {
			lines = j.all()
		}
		j.open[e.of], j.order = &e, append(j.order, e.of)
		return lines
	}
	if len(begun.raw) < maxText {
		begun.raw += e.raw
	}
	if e.more {
		return nil
	}
	return []fleet.LogLine{j.take(e.of)}
}

// all gives what waits as it is.
func (j *joiner) all() []fleet.LogLine {
	var lines []fleet.LogLine
	for len(j.order) > 0 {
		lines = append(lines, j.take(j.order[0]))
	}
	return lines
}

func (j *joiner) take(of string) fleet.LogLine {
	e := j.open[of]
	delete(j.open, of)
	for i, o := range j.order {
		if o == of {
			j.order = append(j.order[:i:i], j.order[i+1:]...)
			break
		}
	}
	return e.whole()
}
