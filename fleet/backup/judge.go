package backup

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// What told something about a job; they stand in BackupJob.Sources.
const (
	fromUnit      = "unit"
	fromTimer     = "timer stamp"
	fromJournal   = "journal"
	fromStatus    = "backup-status"
	fromSnapshots = "snapshots"
	fromBackrest  = "backrest"
)

// DefaultMaxAge is how old the last good backup may be where neither the
// configuration nor a timer tells how often it runs.
const DefaultMaxAge = 48 * time.Hour

// ahead is how far a time may lie in the future before it is nonsense: clocks
// differ a little.
const ahead = 10 * time.Minute

// Limits are a person's own limits for the age of the last good backup, by the
// job's name or its unit's.
type Limits map[string]time.Duration

// of gives the limit of a job and whether a person set it. Else it is twice
// the distance between two runs, so that one may fail.
func (l Limits) of(name string, unit string, t fleet.Timer) (time.Duration, bool) {
	for _, key := range []string{name, unit} {
		if d, ok := l[key]; ok && key != "" && d > 0 {
			return d, true
		}
	}
	period := t.Period.Duration()
	if gap := t.Next.Sub(t.Last); !t.Last.IsZero() && gap > 0 && (period <= 0 || (gap-period).Abs() < time.Millisecond) {
		// Only told by the last and the next run: after a run that was made up
		// for, they may lie much closer than usual.
		return max(DefaultMaxAge, 2*gap), false
	}
	if period <= 0 {
		return DefaultMaxAge, false
	}
	return max(2*period, time.Hour), false
}

// evidence is what is known of a job before it is judged.
type evidence struct {
	fleet.BackupJob
	before   fleet.BackupJob // how it was judged last
	toldNow  bool            // backup-status told its newest snapshot this time
	asked    bool            // sources beyond the units were asked this time
	daemon   bool            // its unit tells nothing of its backups
	own      bool            // MaxAge was set by a person
	failed   string          // why the newest run ended badly; "" it did not
	certain  bool            // the unit itself says that it failed
	stamp    time.Time       // of the timer, where it stands for a run
	oneshot  bool            // the unit's type
	lost     bool            // there was a run whose end nobody knows
	accepted int             // exit status of a run that its unit calls well, though it is not 0
	listed   bool            // the snapshots are known: they decide, not the unit
	never    bool            // it is known that it never ran
	skipped  string          // the condition for which its last start was skipped
	trouble  string          // why a source that was asked could not tell
}

// source notes what told something.
func (e *evidence) source(name string) {
	if !slices.Contains(e.Sources, name) {
		e.Sources = append(e.Sources, name)
	}
}

// has tells whether something told of the job.
func (e *evidence) has(source string) bool { return slices.Contains(e.Sources, source) }

func (e *evidence) drop(name string) {
	e.Sources = slices.DeleteFunc(slices.Clone(e.Sources), func(s string) bool { return s == name })
}

// good is when the data were last known to be saved: by the snapshots where
// these are known, else by the unit.
func (e *evidence) good() time.Time {
	if e.listed {
		return e.NewestSnapshot
	}
	if e.NewestSnapshot.After(e.LastSuccess) {
		return e.NewestSnapshot
	}
	return e.LastSuccess
}

// judge gives the job with its state. Error says what is wrong; of a fresh job
// it says which source could not be asked.
func (e evidence) judge(now time.Time) fleet.BackupJob {
	j := e.BackupJob
	good := e.good()
	age := now.Sub(good)
	limit := j.MaxAge.Duration()
	switch {
	case e.failed != "":
		j.State, j.Error = fleet.BackupFailed, e.failed
	case good.IsZero() && e.never:
		j.State, j.Error = fleet.BackupNever, cmp.Or(e.skip(), e.trouble)
	case good.IsZero() && e.listed:
		j.State, j.Error = fleet.BackupNever, cmp.Or(e.skip(), "the repository holds no snapshot of this host")
	case good.IsZero():
		j.State, j.Error = fleet.BackupUnknown, e.unknown()
	case age < -ahead:
		j.State, j.Error = fleet.BackupUnknown, "its newest backup is dated in the future: "+good.UTC().Format(time.DateTime)
	case age <= limit:
		j.State, j.Error = fleet.BackupFresh, e.trouble
	case e.lost && !e.listed:
		j.State, j.Error = fleet.BackupUnknown, e.unknown()
	default:
		j.State, j.Error = fleet.BackupStale, e.stale(now, good)
	}
	if !e.asked && e.same(j) { // who was asked before said it better
		j.Error = e.before.Error
	}
	return j
}

// same tells whether nothing has changed since the job was judged last.
func (e evidence) same(j fleet.BackupJob) bool {
	b := e.before
	return b.Error != "" && b.State == j.State && b.Running == j.Running && b.LastRun.Equal(j.LastRun) &&
		b.LastSuccess.Equal(j.LastSuccess) && b.NewestSnapshot.Equal(j.NewestSnapshot)
}

// skip says that the last start was skipped, which no failure shows.
func (e evidence) skip() string {
	if e.skipped == "" {
		return ""
	}
	return "its last start was skipped: " + e.skipped
}

// unknown says why nothing can be said.
func (e evidence) unknown() string {
	switch {
	case e.trouble != "":
		return e.trouble
	case e.daemon:
		return "it runs all the time and plans for itself: its unit does not tell of its backups"
	case e.skipped != "":
		return e.skip()
	case e.Running:
		return "it runs; how earlier runs ended is not known"
	case e.accepted != 0:
		return fmt.Sprintf("its last run ended with status %d, which its unit calls well: whether it saved anything is not known", e.accepted)
	case e.lost:
		return "it ran, but how that ended is not known: units forget it at a reboot"
	}
	return "it did not run since the host booted; of the time before nothing is known"
}

// stale says how old the newest backup is, and why nobody noticed.
func (e evidence) stale(now, good time.Time) string {
	text := "its last good run was " + ago(now.Sub(good))
	if good.Equal(e.NewestSnapshot) {
		text = "its newest snapshot was made " + ago(now.Sub(good))
	}
	switch well := now.Sub(e.LastSuccess); {
	case e.skipped != "":
		text += "; " + e.skip()
	case e.listed && !e.LastSuccess.IsZero() && well <= e.MaxAge.Duration():
		text += fmt.Sprintf(", though its unit went well %s", ago(well))
	case e.trouble != "":
		text += "; " + e.trouble
	}
	return text
}
