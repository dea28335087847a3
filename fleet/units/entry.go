package units

import (
	"encoding/json"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// record are the fields of the journal's JSON that are read; every value is a
// string, a list of byte numbers where it holds bytes that are not printable,
// a list of these where the field is repeated, or null where it is too large.
type record struct {
	Cursor     text `json:"__CURSOR"`
	Time       text `json:"__REALTIME_TIMESTAMP"` // microseconds since 1970
	Priority   text `json:"PRIORITY"`
	Message    text `json:"MESSAGE"`
	Identifier text `json:"SYSLOG_IDENTIFIER"`
	Unit       text `json:"_SYSTEMD_UNIT"`
	OfUnit     text `json:"UNIT"` // what PID 1 says about a unit
	Container  text `json:"CONTAINER_NAME"`
	ID         text `json:"CONTAINER_ID"`
	Partial    text `json:"CONTAINER_PARTIAL_MESSAGE"`
	Last       text `json:"CONTAINER_PARTIAL_LAST"` // Docker's: the last piece is a piece too
	Boot       text `json:"_BOOT_ID"`
}

// text is a value of the journal in any of its shapes.
type text string

// UnmarshalJSON reads any of the shapes.
func (t *text) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = text(one)
		return nil
	}
	var numbers []int
	if json.Unmarshal(b, &numbers) == nil {
		raw := make([]byte, len(numbers))
		for i, n := range numbers {
			raw[i] = byte(n)
		}
		*t = text(raw)
		return nil
	}
	var many []text
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	parts := make([]string, len(many))
	for i, m := range many {
		parts[i] = string(m)
	}
	*t = text(strings.Join(parts, " "))
	return nil
}

// entry is an entry of the journal: a line, or a piece of one.
type entry struct {
	line fleet.LogLine // without its text and level, where raw is a piece
	raw  string
	of   string // what the pieces of a line have in common
	more bool   // the line goes on
}

// ParseEntry reads one line of `journalctl -o json`.
func ParseEntry(b []byte) (fleet.LogLine, error) {
	e, err := parse(b)
	if err != nil {
		return fleet.LogLine{}, err
	}
	return e.whole(), nil
}

func parse(b []byte) (entry, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return entry{}, err
	}
	us, err := strconv.ParseInt(string(r.Time), 10, 64)
	if err != nil {
		return entry{}, errors.New("an entry without a time, or too long to be read")
	}
	e := entry{raw: string(r.Message), of: string(r.ID + " " + r.Priority), more: r.Partial == "true" && r.Last != "true"}
	e.line = fleet.LogLine{At: time.UnixMicro(us).UTC(), Level: 6, Boot: fleet.Clean(string(r.Boot)), ID: numberOf(string(r.Cursor))}
	p, err := strconv.Atoi(string(r.Priority))
	if err == nil && p >= 0 && p <= 7 {
		e.line.Level = p
	}
	// What a program wrote to its output has one level, and to its errors
	// another, where a container's are told apart: the text knows better.
	e.line.Guessed = e.line.Level == 6 || r.Container != "" && e.line.Level == 3
	for _, from := range []text{r.Container, r.Identifier, r.OfUnit, r.Unit} {
		if from != "" {
			e.line.From = fleet.Clean(string(from))
			break
		}
	}
	return e, nil
}

// whole gives the entry as a line.
func (e entry) whole() fleet.LogLine {
	l := e.line
	if l.Note { // its text is our own
		return l
	}
	l.Text = fleet.Clean(fleet.Short(strings.TrimRight(e.raw, "\r\n"), maxText)) // conmon leaves the end of the line on
	level, told := fleet.GuessLevel(l.Text)
	if l.Guessed = l.Guessed && told; l.Guessed {
		l.Level = level
	}
	return l
}

// numberOf makes a number of a cursor, which is long and kept for every line.
func numberOf(cursor string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(cursor))
	return h.Sum64()
}
