package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Message IDs of systemd (systemd's catalog, sd-messages.h) that tell how a
// unit's run went. They are the same in every version.
const (
	msgStarted = "39f53479d3a045ac8e11786248231fbf" // a job has started a unit; of a oneshot: it has finished, or was skipped
	msgFailed  = "be02cf6855d2428ba40df7e9d022f03d" // a job has failed to
	msgExit    = "98e322203f7a4ed290d09fe03c09fe15" // a process of the unit ended badly
	msgBad     = "d9b373ed55a64feb8242e02dbe79a49c" // the unit has failed
	msgWell    = "7ad2d189f7e94e70a38c781354912448" // the unit has ended well, also when it was stopped
	msgStopped = "9d1aaa27d60140bd96365438aad20286" // a job has stopped the unit
)

// journalScript prints for each unit what systemd said of it, newest first, and
// the last lines of its programs. Lines of the journal begin with "{"; others
// say what follows. $1 is how many of each; then a unit and its timer, or "-".
const journalScript = `
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER=
n=$1; shift
read_journal() { timeout 20 journalctl -q --no-pager -r "$@" 2>/dev/null; }
echo "uid $(id -u)"
echo "since $(timeout 5 journalctl -q --no-pager -o short-unix 2>/dev/null | head -n 1 | cut -d. -f1)"
while [ $# -ge 2 ]; do
	echo "unit $1"
	read_journal -n "$n" -o json --output-fields=MESSAGE_ID,MESSAGE,INVOCATION_ID,UNIT_RESULT,EXIT_CODE,EXIT_STATUS,JOB_TYPE,JOB_RESULT "UNIT=$1" \
		MESSAGE_ID=` + msgStarted + ` MESSAGE_ID=` + msgFailed + ` MESSAGE_ID=` + msgExit + ` \
		MESSAGE_ID=` + msgBad + ` MESSAGE_ID=` + msgWell + ` MESSAGE_ID=` + msgStopped + ` || echo unread
	echo "log $1"
	read_journal -n "$n" -o json --output-fields=MESSAGE,PRIORITY,_SYSTEMD_INVOCATION_ID "_SYSTEMD_UNIT=$1"
	[ "$2" = - ] || echo "persistent $(systemctl show -p Persistent --value "$2" 2>/dev/null)"
	shift 2
done
`

// linesEach is how many lines of each kind are read of a unit.
const linesEach = 40

// told is what the journal tells of one unit.
type told struct {
	events     []entry // systemd's, newest first
	log        []entry // the programs', newest first
	persistent bool    // its timer keeps a stamp across reboots
	unread     bool    // journalctl failed
}

// journal is what the journal of a host tells.
type journal struct {
	whole bool      // read as root: what is not in it did not happen since it begins
	since time.Time // its first entry
	units map[string]told
}

// entry is one line of the journal.
type entry struct {
	at         time.Time
	id         string // of the message
	text       string
	invocation string
	result     string // UNIT_RESULT, or JOB_RESULT
	killed     bool   // a process was ended by a signal
	status     int
	priority   int
}

// readJournal asks for all units in one go.
func readJournal(ctx context.Context, l link.Link, jobs []evidence) (journal, error) {
	args := []string{strconv.Itoa(linesEach)}
	for _, e := range jobs {
		if e.Unit != "" {
			timer := e.Timer
			if timer == "" {
				timer = "-"
			}
			args = append(args, e.Unit, timer)
		}
	}
	if len(args) == 1 {
		return journal{}, nil
	}
	cmd := link.Script(journalScript, args...)
	cmd.IfRoot, cmd.Limit = true, 16<<20
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return journal{}, fmt.Errorf("journal: %w", err)
	}
	return parseJournal(res.Stdout)
}

// parseJournal reads what journalScript printed.
func parseJournal(out []byte) (journal, error) {
	j := journal{units: map[string]told{}}
	unit, log := "", false
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if line[0] == '{' {
			e, ok := parseEntry(line)
			if t := j.units[unit]; ok && log {
				t.log = append(t.log, e)
				j.units[unit] = t
			} else if ok {
				t.events = append(t.events, e)
				j.units[unit] = t
			}
			continue
		}
		word, rest, _ := strings.Cut(string(line), " ")
		t := j.units[unit]
		switch word {
		case "uid":
			j.whole = rest == "0"
		case "since":
			if s, err := strconv.ParseInt(rest, 10, 64); err == nil && s > 0 && s < 1<<33 {
				j.since = time.Unix(s, 0).UTC()
			}
		case "unit":
			unit, log = rest, false
			j.units[unit] = told{}
		case "log":
			log = true
		case "persistent":
			t.persistent = rest == "yes"
			j.units[unit] = t
		case "unread":
			t.unread = true
			j.units[unit] = t
		}
	}
	if unit == "" {
		return j, errors.New("journal: nothing was told")
	}
	return j, nil
}

// parseEntry reads one line of journalctl -o json. Every value is text, or a
// list of bytes where it is not text, or null where it is long.
func parseEntry(line []byte) (entry, bool) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(line, &raw) != nil {
		return entry{}, false
	}
	text := func(key string) string { return field(raw[key]) }
	us, err := strconv.ParseInt(text("__REALTIME_TIMESTAMP"), 10, 64)
	if err != nil || us <= 0 || us > 1e17 {
		return entry{}, false
	}
	e := entry{
		at: time.UnixMicro(us).UTC(), id: text("MESSAGE_ID"), text: fleet.Clean(text("MESSAGE")), priority: 6,
		invocation: text("INVOCATION_ID"), result: text("UNIT_RESULT"), killed: text("EXIT_CODE") == "killed" || text("EXIT_CODE") == "dumped",
	}
	if e.invocation == "" {
		e.invocation = text("_SYSTEMD_INVOCATION_ID")
	}
	if e.result == "" {
		e.result = text("JOB_RESULT")
	}
	e.status, _ = strconv.Atoi(text("EXIT_STATUS"))
	if p, err := strconv.Atoi(text("PRIORITY")); err == nil {
		e.priority = p
	}
	return e, true
}

// field is a value of the journal as text; of several the first.
func field(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var numbers []int
	if json.Unmarshal(raw, &numbers) == nil {
		b := make([]byte, 0, len(numbers))
		for _, n := range numbers {
			b = append(b, byte(n)) //nolint:gosec // bytes
		}
		return string(b)
	}
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) == nil && len(many) > 0 && len(many[0]) > 0 && many[0][0] != '[' {
		return field(many[0])
	}
	return ""
}

// run is one run of a unit, put together from what systemd said of it.
type run struct {
	invocation string
	end        time.Time
	well, bad  bool
	stopped    bool
	result     string
	status     int
}

// runsOf gives the runs that have ended, newest first, and the condition for
// which the newest start was skipped, if it was. A oneshot has gone well when
// it was "started"; others when they end well and nobody stopped them.
func runsOf(events []entry, oneshot bool) (runs []run, skipped string) {
	byID := map[string]*run{}
	var order []string
	for i, e := range events {
		if e.id == msgStarted && strings.Contains(e.text, "skipped") {
			if i == 0 {
				skipped = condition(e.text)
			}
			continue
		}
		if e.invocation == "" {
			continue
		}
		r := byID[e.invocation]
		if r == nil {
			r = &run{invocation: e.invocation}
			byID[e.invocation] = r
			order = append(order, e.invocation)
		}
		r.note(e, oneshot)
	}
	for _, id := range order {
		if r := byID[id]; r.bad || r.well || r.stopped {
			if r.stopped && !oneshot || r.bad {
				r.well = false
			}
			runs = append(runs, *r)
		}
	}
	return runs, skipped
}

// note adds one message of systemd to a run; newer ones come first.
func (r *run) note(e entry, oneshot bool) {
	ended := false
	switch e.id {
	case msgBad, msgFailed:
		ended, r.bad = true, true
		if e.id == msgBad {
			r.result = e.result
		}
	case msgExit:
		if r.status == 0 {
			r.status = e.status
		}
	case msgWell:
		ended = true
		r.well = r.well || !oneshot
	case msgStarted:
		if oneshot && e.result == "done" {
			ended, r.well = true, true
		}
	case msgStopped:
		r.stopped = true
		ended = true
	}
	if ended && r.end.IsZero() {
		r.end = e.at
	}
}

// condition is what stands in "… skipped, unmet condition check X" (systemd 257)
// or "… was skipped because of an unmet condition check (X)." (252).
func condition(text string) string {
	_, what, ok := strings.Cut(text, "condition check ")
	if !ok {
		return "a condition of its unit was not met"
	}
	return say(strings.Trim(what, "()."))
}

// line picks the line of a run's programs that says what went wrong.
func (t told) line(invocation string) string {
	var lines []string
	for _, e := range t.log {
		if e.invocation == invocation && e.text != "" {
			lines = append(lines, e.text)
		}
	}
	slices.Reverse(lines)
	return complaint([]byte(strings.Join(lines, "\n")))
}

// hear adds what the journal tells of the job's unit.
func (e *evidence) hear(j journal) {
	t, ok := j.units[e.Unit]
	if !ok || e.daemon {
		return
	}
	runs, skipped := runsOf(t.events, e.oneshot)
	e.skipped = skipped
	complete := j.whole && !t.unread && !j.since.IsZero()
	if complete && !e.stamp.IsZero() && j.since.Before(e.stamp) && (len(runs) == 0 || runs[0].end.Before(e.stamp)) {
		e.unstamp()
	}
	if len(runs) == 0 {
		e.never = e.never || complete && t.persistent && !e.Running && e.LastRun.IsZero() && e.LastSuccess.IsZero()
		return
	}
	e.source(fromJournal)
	newest := runs[0]
	e.ran(newest.end)
	for _, r := range runs {
		if r.well && r.end.After(e.LastSuccess) {
			e.LastSuccess = r.end
		}
	}
	if newest.end.Before(e.LastRun.Add(-time.Minute)) {
		return // a later run is not in the journal
	}
	e.lost, e.accepted, e.never = false, 0, false
	switch {
	case newest.bad:
		e.failed = reason(e.Tool, newest.result, newest.status)
		if line := t.line(newest.invocation); line != "" {
			e.failed += ": " + line
		}
	case e.certain: // the unit says that it failed
	case newest.well:
		e.failed = ""
	default:
		e.failed, e.lost = "", true
	}
}

// unstamp takes back a run that only the timer's stamp told of, because the
// journal has all since and no such run: a start may have been skipped, and a
// stamp is also made when a timer is first enabled.
func (e *evidence) unstamp() {
	e.LastRun, e.lost = e.LastSuccess, false
	e.drop(fromTimer)
}
