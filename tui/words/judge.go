package words

import (
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Words for the state of a host.
const (
	OK      = "ok"
	Warn    = "warn"
	Fail    = "FAIL"
	Unknown = "?"
	Off     = "off"
	Asking  = "…"
)

// Judgement is what a host's facts amount to.
type Judgement struct {
	Word     string // one of the words above
	Role     themes.Role
	Problems []fleet.Problem // worst first
	Oldest   time.Time       // when the oldest of the facts on its row was read
	Old      bool            // its facts are from before the newest attempt, or from a former run
}

// staleAfter is the age from which facts are shown as old although nobody
// failed to renew them: they were remembered, or nobody asks any more.
const staleAfter = 15 * time.Minute

// Judge tells how a host is.
func Judge(st fleet.State, now time.Time) Judgement {
	j := Judgement{Problems: st.Problems(now), Oldest: oldest(st)}
	j.Word, j.Role = word(st, fleet.Worst(j.Problems))
	j.Old = st.Reach.Err != "" || !j.Oldest.IsZero() && now.Sub(j.Oldest) > staleAfter
	return j
}

func word(st fleet.State, worst fleet.Severity) (string, themes.Role) {
	switch {
	case !st.Reach.Asked(), st.Reach.Err == fleet.Remembered:
		if st.Asking {
			return Asking, themes.Dim
		}
		return Unknown, themes.Unknown
	case st.Reach.Err != "":
		switch {
		case st.Sleeps() && worst != "": // of what others tell of it
			return Severity(worst)
		case st.Sleeps():
			return Off, themes.Dim
		case st.Host.Offline() && worst != fleet.SeverityFail && worst != fleet.SeverityWarn:
			return Off, themes.Unknown // it may not be: others need it
		case st.Host.Offline():
			return Severity(worst)
		}
		return Unknown, themes.Unknown
	case worst != "":
		return Severity(worst)
	case !read(st):
		if st.Asking {
			return Asking, themes.Dim
		}
		return Unknown, themes.Unknown
	}
	return OK, themes.OK
}

// read tells whether everything a host is judged by was asked for: a host of
// which only little is known is not fine yet.
func read(st fleet.State) bool {
	return st.System.Asked() && st.Units.Asked() && st.Containers.Asked() && st.Backups.Asked() && st.Metrics.Asked()
}

// oldest is when the oldest fact of a host's row was read, of those that have
// a value. Backups are asked less often, on purpose, and do not count.
func oldest(st fleet.State) time.Time {
	var at time.Time
	for _, t := range []time.Time{st.Reach.At, st.System.At, st.Units.At, st.Containers.At, st.Metrics.At} {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// Fleet is what all hosts amount to.
type Fleet struct {
	Hosts map[fleet.HostID]Judgement
	Count map[string]int // hosts by word
	Total int
}

// JudgeAll judges every host.
func JudgeAll(hosts []fleet.State, now time.Time) Fleet {
	f := Fleet{Hosts: make(map[fleet.HostID]Judgement, len(hosts)), Count: map[string]int{}, Total: len(hosts)}
	for _, st := range hosts {
		j := Judge(st, now)
		f.Hosts[st.Host.ID] = j
		f.Count[j.Word]++
	}
	return f
}

// Part of a sum, with its role.
type Part struct {
	Text string
	Role themes.Role
}

// Sum is the fleet in one line, "7 hosts · 5 ok · 1 FAIL · 1 ?", as parts. The
// asking sign is the glyph set's.
func (f Fleet) Sum(asking string) []Part {
	parts := []Part{{fleet.Count(f.Total, "host"), themes.Text}}
	for _, w := range []struct {
		word string
		role themes.Role
	}{{OK, themes.OK}, {Warn, themes.Warn}, {Fail, themes.Fail}, {Unknown, themes.Unknown}, {Off, themes.Dim}, {Asking, themes.Dim}} {
		if n := f.Count[w.word]; n > 0 {
			parts = append(parts, Part{fmt.Sprintf("%d %s", n, strings.Replace(w.word, Asking, asking, 1)), w.role})
		}
	}
	return parts
}
