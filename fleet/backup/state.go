package backup

import (
	"errors"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// source is what the facts of this room are read from.
const source = "units, timers"

// FromState tells how the jobs of a host stand from what the probe read, and
// from what was known of them before (st.Backups): what [Read] found out, and
// what units forget at a reboot, stays known. It reads nothing and costs
// nothing. now is this machine's clock; the host's own is taken into account.
// A host without jobs gives fleet.Nothing.
func FromState(st fleet.State, now time.Time, limits Limits) fleet.Fact[[]fleet.BackupJob] {
	if f, ok := unread(st, now); !ok {
		return f
	}
	return conclude(st, gather(st, limits), now, source)
}

// unread is the fact where the units could not be read.
func unread(st fleet.State, now time.Time) (fleet.Fact[[]fleet.BackupJob], bool) {
	switch u := st.Units; {
	case u.Current():
		return fleet.Fact[[]fleet.BackupJob]{}, true
	case u.None:
		return fleet.Nothing[[]fleet.BackupJob]("no backup jobs: "+u.Err, now, source), false
	case u.Err != "":
		return fleet.Unknown[[]fleet.BackupJob](errors.New(u.Err), now, source), false
	}
	return fleet.Fact[[]fleet.BackupJob]{}, false
}

// conclude judges all jobs by the host's clock.
func conclude(st fleet.State, list []evidence, now time.Time, source string) fleet.Fact[[]fleet.BackupJob] {
	if list = withoutDaemons(list); len(list) == 0 {
		return fleet.Nothing[[]fleet.BackupJob]("no backup jobs: no unit of restic, rustic, borg, btrbk, syncoid, sanoid, backrest or zrepl", now, source)
	}
	clock := hostClock(st, now)
	jobs := make([]fleet.BackupJob, 0, len(list))
	for _, e := range list {
		jobs = append(jobs, e.judge(clock))
	}
	return fleet.Known(jobs, now, source)
}

// hostClock is what the host's clock shows now.
func hostClock(st fleet.State, now time.Time) time.Time {
	if st.System.HasValue() {
		return now.Add(st.System.Value.ClockSkew.Duration())
	}
	return now
}

// gather collects what is known of each job without asking anybody.
func gather(st fleet.State, limits Limits) []evidence {
	prior := map[string]fleet.BackupJob{} // by unit, or by name where there is none
	for _, j := range st.Backups.Value {
		prior[j.Unit+"\x00"+j.Name] = j
	}
	var out []evidence
	seen := hostClock(st, st.Backups.At)
	for _, f := range find(fleet.OfSystem(st.Units.Value), st.Timers.Value) {
		before := prior[f.unit.Name+"\x00"+f.name]
		delete(prior, f.unit.Name+"\x00"+f.name)
		e := start(f, before, limits)
		e.learn(f, seen)
		out = append(out, e)
	}
	status := !st.Inventory.Current() || st.Inventory.Value.Has("backup-status")
	backrest := slices.ContainsFunc(out, func(e evidence) bool { return e.daemon && e.Tool == backrestTool })
	for _, j := range st.Backups.Value { // what only backup-status and Backrest know
		e := again(j, limits)
		if _, left := prior[j.Unit+"\x00"+j.Name]; left && j.Unit == "" && (status && e.has(fromStatus) || backrest && e.has(fromBackrest)) {
			out = append(out, e)
		}
	}
	return out
}

// start takes up a job with what was known of it.
func start(f found, before fleet.BackupJob, limits Limits) evidence {
	e := evidence{daemon: f.tool.daemon, oneshot: f.unit.Type == "oneshot" || f.unit.Type == "", BackupJob: before, before: before}
	e.Name, e.Tool, e.Unit, e.Timer, e.Next = f.name, f.tool.name, f.unit.Name, f.timer.Name, f.timer.Next
	e.State, e.Error, e.Running = fleet.BackupUnknown, "", false
	e.Sources = slices.DeleteFunc(slices.Clone(before.Sources), func(s string) bool { return s == fromUnit || s == fromTimer })
	limit, own := limits.of(f.name, f.unit.Name, f.timer)
	e.own = own
	if own || !slices.Contains(e.Sources, fromStatus) || before.MaxAge <= 0 {
		e.MaxAge = fleet.Seconds(limit.Seconds())
	}
	e.listed = slices.Contains(e.Sources, fromSnapshots)
	return e
}

// again takes up a job that has no unit.
func again(j fleet.BackupJob, limits Limits) evidence {
	e := evidence{BackupJob: j, before: j, listed: slices.Contains(j.Sources, fromSnapshots)}
	if limit, own := limits.of(j.Name, "", fleet.Timer{}); own {
		e.own, e.MaxAge = true, fleet.Seconds(limit.Seconds())
	}
	if e.has(fromBackrest) {
		e.carry()
	}
	return e
}

// learn adds what the unit and the timer tell.
func (e *evidence) learn(f found, seen time.Time) {
	u := f.unit
	e.Running = runs(u) && !f.tool.daemon
	switch {
	case u.Failed(), bad(u) && !e.Running:
		e.failed, e.certain = reason(e.Tool, u.Result, u.ExitStatus), true
		e.ran(u.Exited)
		e.source(fromUnit)
	case f.tool.daemon:
	case e.Running: // how it stood before holds until the run has ended
		e.carry()
		e.never = false
	case u.Exited.IsZero():
		e.untold(f.timer, seen)
	default:
		e.ran(u.Exited)
		e.source(fromUnit)
		if u.ExitStatus == 0 {
			e.success(u.Exited)
		} else if e.LastSuccess.Before(u.Exited) { // else the journal told of it
			e.accepted = u.ExitStatus
			e.lost = true
		}
	}
}

// untold is a job whose unit did not run since boot. A timer's stamp says when
// the timer last elapsed, or was first enabled: neither that the job ran nor how
// that ended. What was known before holds until then. seen is when that was
// judged, by the host's clock: a stamp from before was taken into account.
func (e *evidence) untold(t fleet.Timer, seen time.Time) {
	newer := t.Last.After(e.LastRun.Add(time.Minute)) && t.Last.After(e.LastSuccess.Add(time.Minute)) &&
		(e.before.Name == "" || t.Last.After(seen))
	if newer { // what was listed is older than that run
		e.listed = false
		e.drop(fromSnapshots)
		e.ran(t.Last)
	}
	if newer || slices.Contains(e.before.Sources, fromTimer) && e.LastRun.Equal(t.Last) {
		e.lost, e.stamp = true, t.Last
		e.source(fromTimer)
		return
	}
	e.carry()
}

// carry takes over how the newest run before ended.
func (e *evidence) carry() {
	switch {
	case e.before.State == fleet.BackupFailed:
		e.failed = e.before.Error
	case e.before.State == fleet.BackupNever:
		e.never = true
	case e.LastRun.After(e.LastSuccess.Add(time.Minute)):
		e.lost = true
	}
}

// ran notes the end of a run.
func (e *evidence) ran(at time.Time) {
	if at.After(e.LastRun) {
		e.LastRun = at
	}
}

// success notes the end of a good run. Snapshots that were listed before it no
// longer decide.
func (e *evidence) success(at time.Time) {
	if at.After(e.LastSuccess) {
		e.LastSuccess, e.listed = at, false
		e.drop(fromSnapshots)
	}
}

// runs tells whether the unit is at work.
func runs(u fleet.Unit) bool {
	switch u.Active {
	case "activating", "deactivating", "reloading":
		return u.Sub != "auto-restart" && u.Sub != "auto-restart-queued"
	case "active":
		return u.Sub != "exited" // RemainAfterExit: it has ended
	}
	return false
}

// bad tells whether the last run of a unit that is not failed ended badly: it
// waits to be started again, or systemd was made to forget it.
func bad(u fleet.Unit) bool {
	return !u.Exited.IsZero() && (u.Forgotten || u.Result != "" && u.Result != "success" && u.Result != "exec-condition")
}

// hostNames are the names under which a host's snapshots may be.
func hostNames(st fleet.State) []string {
	names := append([]string{st.Host.Name}, st.Host.Aliases...)
	if st.System.HasValue() {
		names = append(names, st.System.Value.Hostname)
	}
	return names
}
