package backup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func hours(n float64) time.Time { return now.Add(-time.Duration(n * float64(time.Hour))) }

const day = fleet.Seconds(24 * 3600)

// on makes the state of a host with one restic job, "home", that runs daily.
func on(u fleet.Unit, t fleet.Timer, before ...fleet.BackupJob) fleet.State {
	u.Name, u.Load = "restic-backups-home.service", "loaded"
	if u.Type == "" {
		u.Type = "oneshot"
	}
	if u.Active == "" {
		u.Active, u.Sub = "inactive", "dead"
	}
	t.Name, t.Activates = "restic-backups-home.timer", u.Name
	if t.Period == 0 {
		t.Period = day
	}
	st := fleet.State{
		Host:   fleet.Host{Name: "storage"},
		Units:  fleet.Known([]fleet.Unit{u, {Name: "caddy.service", Active: "active"}}, now, "probe"),
		Timers: fleet.Known([]fleet.Timer{t}, now, "probe"),
	}
	if before != nil {
		for i := range before {
			before[i].Name, before[i].Unit = "home", u.Name
		}
		st.Backups = fleet.Known(before, now.Add(-time.Minute), "before")
	}
	return st
}

func one(t *testing.T, f fleet.Fact[[]fleet.BackupJob]) fleet.BackupJob {
	t.Helper()
	if !f.Current() || len(f.Value) != 1 {
		t.Fatalf("%+v", f)
	}
	return f.Value[0]
}

func TestStatesOfAJob(t *testing.T) {
	well := fleet.Unit{Result: "success", Exited: hours(3)}
	snap := []string{fromSnapshots}
	for name, c := range map[string]struct {
		st    fleet.State
		state fleet.BackupState
		says  string // part of Error
	}{
		"went well":          {on(well, fleet.Timer{}), fleet.BackupFresh, ""},
		"went well long ago": {on(fleet.Unit{Result: "success", Exited: hours(60)}, fleet.Timer{}), fleet.BackupStale, "its last good run was 2 days ago"},
		"failed": {on(fleet.Unit{Active: "failed", Sub: "failed", Result: "exit-code", ExitStatus: 10, Exited: hours(3)}, fleet.Timer{}),
			fleet.BackupFailed, "the repository does not exist (exit code 10)"},
		"killed": {on(fleet.Unit{Active: "failed", Result: "oom-kill", ExitStatus: 9, Exited: hours(3)}, fleet.Timer{}),
			fleet.BackupFailed, "lack of memory"},
		"waits to be started again": {on(fleet.Unit{Active: "activating", Sub: "auto-restart", Result: "exit-code", ExitStatus: 1, Exited: hours(0.1)}, fleet.Timer{}),
			fleet.BackupFailed, "failed (exit code 1)"},
		"never seen to run": {on(fleet.Unit{Result: "success"}, fleet.Timer{}), fleet.BackupUnknown, "did not run since the host booted"},
		"ran before the boot": {on(fleet.Unit{Result: "success"}, fleet.Timer{Last: hours(9)}), fleet.BackupUnknown,
			"how that ended is not known"},
		"ran before the boot, and went well as was known": {on(fleet.Unit{Result: "success"}, fleet.Timer{Last: hours(9)},
			fleet.BackupJob{State: fleet.BackupFresh, LastRun: hours(8.9), LastSuccess: hours(8.9)}), fleet.BackupFresh, ""},
		"failed before the boot, as was known": {on(fleet.Unit{Result: "success"}, fleet.Timer{Last: hours(9)},
			fleet.BackupJob{State: fleet.BackupFailed, LastRun: hours(8.9), LastSuccess: hours(33), Error: "wrong password"}), fleet.BackupFailed, "wrong password"},
		"failed before the boot and ran again before it": {on(fleet.Unit{Result: "success"}, fleet.Timer{Last: hours(0.005)},
			fleet.BackupJob{State: fleet.BackupFailed, LastRun: hours(9), LastSuccess: hours(70), Error: "wrong password"}), fleet.BackupUnknown, "not known"},
		"went well before, ran since without a known end": {on(fleet.Unit{Result: "success"}, fleet.Timer{Last: hours(0.005)},
			fleet.BackupJob{State: fleet.BackupFresh, LastRun: hours(24), LastSuccess: hours(24)}), fleet.BackupFresh, ""},
		"runs, and was well before": {on(fleet.Unit{Active: "activating", Sub: "start", Started: hours(0.1)}, fleet.Timer{Last: hours(0.1)},
			fleet.BackupJob{State: fleet.BackupFresh, LastRun: hours(24), LastSuccess: hours(24)}), fleet.BackupFresh, ""},
		"runs, and failed before": {on(fleet.Unit{Active: "activating", Sub: "start"}, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupFailed, LastRun: hours(24), Error: "locked"}), fleet.BackupFailed, "locked"},
		"runs for days": {on(fleet.Unit{Active: "activating", Sub: "start"}, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupFresh, LastRun: hours(80), LastSuccess: hours(80)}), fleet.BackupStale, "3 days ago"},
		"runs for the first time":       {on(fleet.Unit{Active: "activating", Sub: "start"}, fleet.Timer{}), fleet.BackupUnknown, "it runs"},
		"made to forget that it failed": {on(fleet.Unit{Result: "success", ExitStatus: 10, Forgotten: true, Exited: hours(3)}, fleet.Timer{}), fleet.BackupFailed, "exit code 10"},
		"reset after it failed":         {on(fleet.Unit{Result: "success", ExitStatus: 10, Exited: hours(3)}, fleet.Timer{}), fleet.BackupUnknown, "status 10"},
		"stopped by a person":           {on(fleet.Unit{Result: "success", ExitStatus: 15, Exited: hours(3)}, fleet.Timer{}), fleet.BackupUnknown, "status 15"},
		"a status its unit accepts, and the journal calls well": {on(fleet.Unit{Result: "success", ExitStatus: 3, Exited: hours(3)}, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupFresh, LastRun: hours(2.99), LastSuccess: hours(2.99), Sources: []string{fromJournal}}), fleet.BackupFresh, ""},
		"well, but its snapshots are old": {on(well, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupStale, LastRun: hours(3), LastSuccess: hours(3), NewestSnapshot: hours(24 * 40), Sources: snap}), fleet.BackupStale, "though its unit went well 3 h ago"},
		"well again since the snapshots were listed": {on(well, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupStale, LastRun: hours(27), LastSuccess: hours(27), NewestSnapshot: hours(24 * 40), Sources: snap}), fleet.BackupFresh, ""},
		"well, but there is no snapshot": {on(well, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupNever, LastRun: hours(3), LastSuccess: hours(3), Sources: snap}), fleet.BackupNever, "no snapshot"},
		"never ran, as was found out": {on(fleet.Unit{Result: "success"}, fleet.Timer{},
			fleet.BackupJob{State: fleet.BackupNever, Error: "the repository does not exist: there"}), fleet.BackupNever, "does not exist: there"},
		"never ran, with the stamp of the day it was enabled": {on(fleet.Unit{Result: "success"}, fleet.Timer{Last: hours(200)},
			fleet.BackupJob{State: fleet.BackupNever}), fleet.BackupNever, ""},
		"dated in the future":      {on(fleet.Unit{Result: "success", Exited: now.Add(5 * time.Hour)}, fleet.Timer{}), fleet.BackupUnknown, "future"},
		"a little ahead":           {on(fleet.Unit{Result: "success", Exited: now.Add(time.Minute)}, fleet.Timer{}), fleet.BackupFresh, ""},
		"a condition of systemd's": {on(fleet.Unit{Result: "exec-condition"}, fleet.Timer{}), fleet.BackupUnknown, "did not run"},
	} {
		t.Run(name, func(t *testing.T) {
			first := one(t, FromState(c.st, now, nil))
			if first.State != c.state || !strings.Contains(first.Error, c.says) || (c.says == "" && first.Error != "") {
				t.Fatalf("%s: %q", first.State, first.Error)
			}
			// Judging again what was judged changes nothing.
			c.st.Backups = fleet.Known([]fleet.BackupJob{first}, now, "before")
			if d := cmp.Diff(first, one(t, FromState(c.st, now.Add(time.Second), nil))); d != "" {
				t.Errorf("judged again: %s", d)
			}
		})
	}
}

func TestRunningIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		u    fleet.Unit
		want bool
	}{
		"oneshot":           {fleet.Unit{Active: "activating", Sub: "start"}, true},
		"simple":            {fleet.Unit{Active: "active", Sub: "running", Type: "simple"}, true},
		"remains after":     {fleet.Unit{Active: "active", Sub: "exited"}, false},
		"waits for restart": {fleet.Unit{Active: "activating", Sub: "auto-restart"}, false},
		"cleans up":         {fleet.Unit{Active: "deactivating", Sub: "stop-post"}, true},
		"done":              {fleet.Unit{}, false},
	} {
		if j := one(t, FromState(on(c.u, fleet.Timer{}), now, nil)); j.Running != c.want {
			t.Errorf("%s: %v", name, j.Running)
		}
	}
}

func TestLimits(t *testing.T) {
	const h = time.Hour
	for name, c := range map[string]struct {
		limits Limits
		timer  fleet.Timer
		want   time.Duration
	}{
		"nothing known":       {nil, fleet.Timer{}, 48 * h},
		"daily":               {nil, fleet.Timer{Period: day}, 48 * h},
		"weekly":              {nil, fleet.Timer{Period: 7 * day, Last: hours(24), Next: now.Add(6 * 24 * h)}, 14 * 24 * h},
		"hourly":              {nil, fleet.Timer{Period: 3600}, 2 * h},
		"every minute":        {nil, fleet.Timer{Period: 60}, h},
		"by its runs":         {nil, fleet.Timer{Last: hours(24), Next: now.Add(6 * 24 * h)}, 14 * 24 * h},
		"made up for a run":   {nil, fleet.Timer{Last: hours(1), Next: now.Add(h), Period: 2 * 3600}, 48 * h},
		"a person's, by name": {Limits{"home": 8 * 24 * h}, fleet.Timer{Period: day}, 8 * 24 * h},
		"a person's, by unit": {Limits{"restic-backups-home.service": h}, fleet.Timer{Period: day}, h},
		"of another job":      {Limits{"away": h, "": h}, fleet.Timer{Period: day}, 48 * h},
	} {
		if got, _ := c.limits.of("home", "restic-backups-home.service", c.timer); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestJobsAreFound(t *testing.T) {
	names := func(units []string, timers ...fleet.Timer) []string {
		var list []fleet.Unit
		for _, u := range units {
			list = append(list, fleet.Unit{Name: u, Load: "loaded"})
		}
		var out []string
		for _, f := range find(list, timers) {
			out = append(out, f.tool.name+" "+f.name)
		}
		slices.Sort(out)
		return out
	}
	got := names([]string{
		"restic-backups-home.service", "rustic-ovh.service", "rustic-ovh-prune.service", "rustic-ovh-check.service",
		"rustic-backup-docs.service", "rustic-check-docs.service", "rustic-prune.service", "rustic-postgres-db-x@y.service", "rustic-backups-b2.service",
		"borgbackup-job-nas.service", "backrest.service", "btrbk-root.service", "btrbk.service", "syncoid-tank.service", "sanoid.service", "zrepl.service",
		"rustic-@.service", "restic-rest-server.service", "restic-backups-.service", "sanoid.timer", "podman-backrest.service",
		"restic-backups-home-prune.service", "restic-backups-pre-check.service",
	}, fleet.Timer{Name: "rustic-never.timer", Activates: "rustic-never.service"}, fleet.Timer{Name: "x.timer", Activates: "x.service"})
	want := []string{
		"backrest backrest", "borg nas", "btrbk btrbk", "btrbk root", "restic home", "restic pre-check", "rustic b2", "rustic docs", "rustic never", "rustic ovh",
		"sanoid sanoid", "syncoid tank", "zrepl zrepl",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	gone := find([]fleet.Unit{{Name: "restic-backups-a.service", Load: "not-found"}, {Name: "rustic-b.service", Load: "masked"}}, nil)
	if len(gone) != 0 {
		t.Error(gone)
	}
}

func TestDaemonsDoNotTell(t *testing.T) {
	st := on(fleet.Unit{}, fleet.Timer{})
	st.Units.Value = []fleet.Unit{{Name: "backrest.service", Load: "loaded", Active: "active", Sub: "running"}}
	st.Timers.Value = nil
	if j := one(t, FromState(st, now, nil)); j.State != fleet.BackupUnknown || j.Running || !strings.Contains(j.Error, "plans for itself") {
		t.Errorf("%+v", j)
	}
	st.Units.Value[0].Active, st.Units.Value[0].Result = "failed", "exit-code"
	if j := one(t, FromState(st, now, nil)); j.State != fleet.BackupFailed {
		t.Errorf("%+v", j)
	}
}

func TestHostsWithoutJobsOrWithoutUnits(t *testing.T) {
	st := fleet.State{Units: fleet.Known([]fleet.Unit{{Name: "caddy.service"}}, now, "probe")}
	if f := FromState(st, now, nil); !f.None || f.HasValue() {
		t.Errorf("%+v", f)
	}
	if f := FromState(fleet.State{}, now, nil); f.Asked() {
		t.Errorf("%+v", f)
	}
	st.Units = fleet.Unknown[[]fleet.Unit](errors.New("no answer"), now, "probe")
	if f := FromState(st, now, nil); f.None || f.Err != "no answer" {
		t.Errorf("%+v", f)
	}
	st.Units = fleet.Nothing[[]fleet.Unit]("systemd does not run here", now, "probe")
	if f := FromState(st, now, nil); !f.None {
		t.Errorf("%+v", f)
	}
}

func TestTheHostsOwnClockCounts(t *testing.T) {
	st := on(fleet.Unit{Result: "success", Exited: now.Add(7 * time.Hour)}, fleet.Timer{}) // its clock is 10 h ahead
	st.System = fleet.Known(fleet.System{ClockSkew: 10 * 3600}, now, "probe")
	if j := one(t, FromState(st, now, nil)); j.State != fleet.BackupFresh {
		t.Errorf("%+v", j)
	}
}

func TestWhatOnlyBackupStatusKnewStays(t *testing.T) {
	st := on(fleet.Unit{Result: "success", Exited: hours(1)}, fleet.Timer{})
	plan := fleet.BackupJob{
		Name: "plan", Tool: "restic", State: fleet.BackupFresh, NewestSnapshot: hours(40), MaxAge: fleet.Seconds(48 * 3600),
		Sources: []string{fromStatus, fromSnapshots},
	}
	st.Backups = fleet.Known([]fleet.BackupJob{plan, {Name: "gone", Unit: "restic-backups-gone.service"}}, hours(1), "before")
	f := FromState(st, now, nil)
	if len(f.Value) != 2 || f.Value[1].Name != "plan" || f.Value[1].State != fleet.BackupFresh {
		t.Fatalf("%+v", f.Value)
	}
	if f = FromState(st, now.Add(10*time.Hour), nil); f.Value[1].State != fleet.BackupStale {
		t.Errorf("%+v", f.Value[1])
	}
	if f = FromState(st, now, Limits{"plan": time.Hour}); f.Value[1].State != fleet.BackupStale {
		t.Errorf("%+v", f.Value[1])
	}
	st.Inventory = fleet.Known(fleet.Inventory{}, now, "probe")
	if f = FromState(st, now, nil); len(f.Value) != 1 {
		t.Errorf("%+v", f.Value)
	}
}

func TestReasons(t *testing.T) {
	for want, got := range map[string]string{
		"wrong password (exit code 12)":                                          reason("restic", "exit-code", 12),
		"some files could not be read: the snapshot is incomplete (exit code 3)": reason("restic", "exit-code", 3),
		"the repository is locked (exit code 11)":                                reason("restic", "exit-code", 11),
		"failed (exit code 12)":                                                  reason("rustic", "exit-code", 12),
		"a folder it needs is missing (exit code 226)":                           reason("borg", "exit-code", 226),
		"its program is missing or cannot be run (exit code 203)":                reason("restic", "exit-code", 203),
		"took longer than its limit and was stopped":                             reason("restic", "timeout", 15),
		"was killed by signal 9":                                                 reason("restic", "signal", 9),
		"failed":                                                                 reason("restic", "exit-code", 0),
		"failed: something new":                                                  reason("restic", "something\x1b[31m new", 1),
		"Fatal: unable to open repository at rest:http://…@host/":                say("Fatal: unable to open repository at rest:http://user:secret@host/"),
		"Fatal: wrong password or no key found":                                  complaint([]byte(`{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found\nmore"}`)),
		"No repository config file found for `local:/mnt`. Please check.":        complaint([]byte("[INFO] x\n\x1b[1m\x1b[31merror:\x1b[0m `rustic_core` experienced an error.\n\nMessage:\nNo repository config file found for `local:/mnt`. Please check.\n\nBacktrace:\nnone\n")),
		"Fatal: repository does not exist":                                       complaint([]byte("Fatal: repository does not exist\nIs there a repository at the following location?\n/mnt\n")),
		"the last line":                                                          complaint([]byte("one\nthe last line\n\n")),
		"":                                                                       complaint(nil),
		"error: {broken":                                                         complaint([]byte("{not json\nerror: {broken\n")),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := complaint([]byte("\xff\xfe\x1b]0;x\x07" + strings.Repeat("long ", 100))); len([]rune(got)) > 200 || strings.ContainsAny(got, "\x1b\x07") {
		t.Errorf("%q", got)
	}
}
