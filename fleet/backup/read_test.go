package backup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// fakeLink answers the four commands of Read.
type fakeLink struct {
	link.Link
	journal, status func(context.Context, link.Command) (link.Result, error)
	snapshots       func(ctx context.Context, tool, name, unit string) (link.Result, error)

	ties string // what tieScript prints; "": it cannot be run

	web webtest.Link // what is dialled

	mu    sync.Mutex
	asked []string
}

func (f *fakeLink) Host() fleet.Host { return fleet.Host{Name: "storage"} }

func (f *fakeLink) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return f.web.Dial(ctx, network, address)
}

func (f *fakeLink) Run(ctx context.Context, cmd link.Command) (link.Result, error) {
	note := func(s string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, s)
	}
	switch {
	case cmd.Args[0] == "backup-status" && cmd.Root:
		note("status")
		return f.status(ctx, cmd)
	case slices.Contains(cmd.Args, journalScript) && cmd.IfRoot:
		note("journal")
		if f.journal == nil {
			return link.Result{Stdout: []byte("uid 0\nsince 1795300000\nunit none\n")}, nil
		}
		return f.journal(ctx, cmd)
	case slices.Contains(cmd.Args, tieScript) && cmd.Root:
		if f.ties == "" {
			return link.Result{}, link.ErrNoRoot
		}
		return link.Result{Stdout: []byte(f.ties)}, nil
	case slices.Contains(cmd.Args, throughScript) && cmd.Root && (slices.Contains(cmd.Args, "snapshots") || slices.Contains(cmd.Args, "list")):
		a := cmd.Args[slices.Index(cmd.Args, throughScript)+2:]
		note("list " + a[1])
		if a[3] != "120" {
			return link.Result{}, fmt.Errorf("limit %q", a[3])
		}
		return f.snapshots(ctx, a[0], a[1], a[2])
	}
	return link.Result{}, fmt.Errorf("unexpected command %q", cmd.Args)
}

func prints(out []byte) func(context.Context, link.Command) (link.Result, error) {
	return func(context.Context, link.Command) (link.Result, error) { return link.Result{Stdout: out}, nil }
}

// lab is what the probe finds on the lab's storage after a reboot: units have
// forgotten their runs.
func lab() fleet.State {
	unit := func(name string) fleet.Unit {
		return fleet.Unit{Name: name, Load: "loaded", Active: "inactive", Sub: "dead", Result: "success", Type: "oneshot"}
	}
	timer := func(name string, period fleet.Seconds) fleet.Timer {
		return fleet.Timer{Name: name + ".timer", Activates: name + ".service", Period: period}
	}
	return fleet.State{
		Host:   fleet.Host{Name: "storage"},
		System: fleet.Known(fleet.System{Hostname: "storage"}, now, "probe"),
		Units: fleet.Known([]fleet.Unit{
			unit("restic-backups-home.service"), unit("restic-backups-offsite.service"), unit("rustic-cold.service"), unit("rustic-cold-prune.service"),
		}, now, "probe"),
		Timers: fleet.Known([]fleet.Timer{
			timer("restic-backups-home", day), timer("restic-backups-offsite", 7*day), timer("rustic-cold", 30*day),
		}, now, "probe"),
		Inventory: fleet.Known(fleet.Inventory{Programs: map[string]string{"backup-status": "/usr/local/bin/backup-status"}}, now, "probe"),
	}
}

// later is a moment after the samples of the lab were recorded.
var later = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func byName(t *testing.T, f fleet.Fact[[]fleet.BackupJob]) map[string]fleet.BackupJob {
	t.Helper()
	if !f.Current() {
		t.Fatalf("%+v", f)
	}
	out := map[string]fleet.BackupJob{}
	for _, j := range f.Value {
		out[j.Name] = j
	}
	return out
}

func TestReadJoinsWhatEverybodyTells(t *testing.T) {
	l := &fakeLink{
		journal: prints(sample(t, "journal-storage.txt")), status: prints(sample(t, "backup-status-lab.json")),
		snapshots: func(context.Context, string, string, string) (link.Result, error) {
			return link.Result{}, errors.New("asked twice")
		},
	}
	st := lab()
	before := byName(t, FromState(st, later, nil))
	for _, j := range before {
		if j.State != fleet.BackupUnknown {
			t.Errorf("before: %+v", j)
		}
	}
	f := Read(t.Context(), l, st, later, nil)
	jobs := byName(t, f)
	home, offsite, cold := jobs["home"], jobs["offsite"], jobs["cold"]
	if home.State != fleet.BackupFresh || home.LastSuccess.IsZero() || home.NewestSnapshot != at("2026-11-22T21:17:23.701247622Z") ||
		home.MaxAge != 48*3600 || home.Error != "" || !slices.Equal(home.Sources, []string{fromJournal, fromStatus, fromSnapshots}) {
		t.Errorf("%+v", home)
	}
	if cold.State != fleet.BackupFresh || cold.MaxAge != 792*3600 || cold.Tool != "rustic" {
		t.Errorf("%+v", cold)
	}
	if offsite.State != fleet.BackupStale || !offsite.LastRun.IsZero() || offsite.MaxAge != 192*3600 ||
		offsite.Error != "its newest snapshot was made 40 days ago; its last start was skipped: ConditionPathIsMountPoint=/mnt/offsite" {
		t.Errorf("%+v", offsite)
	}
	// What was found out stays known in the rounds that ask nobody.
	st.Backups = f
	for range 3 {
		st.Backups = FromState(st, later, nil)
	}
	if d := cmp.Diff(jobs, byName(t, st.Backups)); d != "" {
		t.Error(d)
	}
	if f := Read(t.Context(), l, st, later, Limits{"cold": time.Hour, "offsite": 9999 * time.Hour}); byName(t, f)["cold"].State != fleet.BackupStale ||
		byName(t, f)["offsite"].State != fleet.BackupFresh {
		t.Errorf("a person's own limits: %+v", f.Value)
	}
}

func TestReadAsksTheRepositoriesWhereThereIsNoBackupStatus(t *testing.T) {
	st := lab()
	st.Inventory.Value.Programs = nil
	l := &fakeLink{
		journal: prints(sample(t, "journal-storage.txt")),
		snapshots: func(_ context.Context, tool, name, unit string) (link.Result, error) {
			switch tool + " " + name + " " + unit {
			case "restic home restic-backups-home.service":
				return link.Result{Stdout: sample(t, "restic-0.18-snapshots.json")}, nil
			case "rustic cold rustic-cold.service":
				return link.Result{Stdout: sample(t, "rustic-0.11-snapshots.json")}, nil
			}
			return link.Result{Status: 10, Stderr: []byte(`{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist: x"}`)}, nil
		},
	}
	jobs := byName(t, Read(t.Context(), l, st, later, nil))
	if home := jobs["home"]; home.State != fleet.BackupFresh || home.Snapshots != 6 || home.Size != 600145 || !slices.Contains(home.Sources, fromSnapshots) {
		t.Errorf("%+v", home)
	}
	if cold := jobs["cold"]; cold.State != fleet.BackupFresh || cold.Snapshots != 4 {
		t.Errorf("%+v", cold)
	}
	if off := jobs["offsite"]; off.State != fleet.BackupNever || !strings.Contains(off.Error, "skipped") {
		t.Errorf("%+v", off)
	}
}

func TestReadOfAJobThatFailed(t *testing.T) {
	u := fleet.Unit{Name: "restic-backups-broken.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code", ExitStatus: 10, Type: "oneshot", Exited: at("2026-11-22T21:16:00Z")}
	st := fleet.State{
		Host:  fleet.Host{Name: "cloud"},
		Units: fleet.Known([]fleet.Unit{u}, now, "probe"), Timers: fleet.Known([]fleet.Timer(nil), now, "probe"),
	}
	l := &fakeLink{
		journal: prints(sample(t, "journal-cloud.txt")),
		snapshots: func(context.Context, string, string, string) (link.Result, error) {
			return link.Result{Status: exitNoWay}, nil
		},
	}
	f := Read(t.Context(), l, st, later, nil)
	j := one(t, f)
	const want = "the repository does not exist (exit code 10): Fatal: repository does not exist: unable to open config file: stat /mnt/nowhere/repository/config: no such file or directory"
	if j.State != fleet.BackupFailed || j.Error != want {
		t.Errorf("%+v", j)
	}
	st.Backups = f
	if again := one(t, FromState(st, later, nil)); again.Error != want {
		t.Errorf("%+v", again)
	}
	// After a reboot the unit has forgotten; the journal has not.
	st.Backups = fleet.Fact[[]fleet.BackupJob]{}
	st.Units.Value[0] = fleet.Unit{Name: u.Name, Load: "loaded", Active: "inactive", Sub: "dead", Result: "success", Type: "oneshot"}
	if j := one(t, Read(t.Context(), l, st, later, nil)); j.State != fleet.BackupFailed || j.LastRun.IsZero() {
		t.Errorf("%+v", j)
	}
}

func TestReadOfAJobThatNeverRan(t *testing.T) {
	st := fleet.State{
		Host:   fleet.Host{Name: "r2s"},
		Units:  fleet.Known([]fleet.Unit{{Name: "rustic-never.service", Load: "loaded", Active: "inactive", Sub: "dead", Result: "success", Type: "oneshot"}}, now, "probe"),
		Timers: fleet.Known([]fleet.Timer{{Name: "rustic-never.timer", Activates: "rustic-never.service", Period: 30 * day}}, now, "probe"),
	}
	noRepo := "error: `rustic_core` experienced an error related to `the configuration`.\n\nMessage:\nNo repository config file found for `local:/mnt/backup/never`. Please check the repository.\n"
	result := link.Result{Status: 1, Stderr: []byte(noRepo)}
	l := &fakeLink{
		journal:   prints(sample(t, "journal-r2s.txt")),
		snapshots: func(context.Context, string, string, string) (link.Result, error) { return result, nil },
	}
	f := Read(t.Context(), l, st, later, nil)
	if j := one(t, f); j.State != fleet.BackupNever || !strings.Contains(j.Error, "No repository config file") {
		t.Errorf("%+v", j)
	}
	st.Backups = f
	if j := one(t, FromState(st, later, nil)); j.State != fleet.BackupNever {
		t.Errorf("%+v", j)
	}
	st.Backups = fleet.Fact[[]fleet.BackupJob]{}
	result = link.Result{Status: exitNoWay} // nobody can be asked: it may have run before the journal begins
	if j := one(t, Read(t.Context(), l, st, later, nil)); j.State != fleet.BackupUnknown {
		t.Errorf("%+v", j)
	}
	persistent := strings.Replace(string(sample(t, "journal-r2s.txt")), "persistent no", "persistent yes", 1)
	l.journal = prints([]byte(persistent)) // its timer would have kept a stamp
	if j := one(t, Read(t.Context(), l, st, later, nil)); j.State != fleet.BackupNever {
		t.Errorf("%+v", j)
	}
	// A stamp that is in the time of the journal, without a run there, was made when the timer was enabled.
	st.Timers.Value[0].Last = later.Add(-time.Hour)
	f = Read(t.Context(), l, st, later, nil)
	if j := one(t, f); j.State != fleet.BackupNever || !j.LastRun.IsZero() {
		t.Errorf("%+v", j)
	}
	for range 2 {
		st.Backups = f
		f = FromState(st, later.Add(time.Minute), nil)
		if j := one(t, f); j.State != fleet.BackupNever {
			t.Errorf("%+v", j)
		}
	}
	l.journal = prints([]byte(strings.Replace(persistent, "uid 0", "uid 1000", 1))) // not all of it may be read
	st.Backups = fleet.Fact[[]fleet.BackupJob]{}
	if j := one(t, Read(t.Context(), l, st, later, nil)); j.State != fleet.BackupUnknown {
		t.Errorf("%+v", j)
	}
}

// TestRepositoriesThatDoNotTell: the units' word stands, and the reason is said.
func TestRepositoriesThatDoNotTell(t *testing.T) {
	st := on(fleet.Unit{Result: "success", Exited: hours(3)}, fleet.Timer{})
	unknown := on(fleet.Unit{Result: "success"}, fleet.Timer{})
	for name, c := range map[string]struct {
		res     link.Result
		err     error
		says    string
		unknown fleet.BackupState // of a job of which the unit tells nothing
	}{
		"hangs":           {link.Result{Status: exitLate}, nil, "snapshots: no answer within 120 s", fleet.BackupUnknown},
		"locked":          {link.Result{Status: 11, Stderr: []byte("Fatal: unable to create lock\n")}, nil, "the repository is locked (exit code 11): Fatal: unable to create lock", fleet.BackupUnknown},
		"wrong password":  {link.Result{Status: 12, Stderr: []byte("Fatal: wrong password or no key found\n")}, nil, "wrong password", fleet.BackupUnknown},
		"says nothing":    {link.Result{Status: 1}, nil, "failed (exit code 1)", fleet.BackupUnknown},
		"HTML":            {link.Result{Stdout: []byte("<html>")}, nil, "cannot be read", fleet.BackupUnknown},
		"half":            {link.Result{Stdout: sample(t, "restic-0.18-snapshots.json")[:300]}, nil, "cannot be read", fleet.BackupUnknown},
		"too much":        {link.Result{}, link.ErrTooMuch, "larger than its limit", fleet.BackupUnknown},
		"lost connection": {link.Result{}, errors.New("connection to storage lost"), "connection to storage lost", fleet.BackupUnknown},
		"a URL with a password": {link.Result{Status: 1, Stderr: []byte("Fatal: unable to open rest:https://ada:hunter2@host/repo\n")}, nil,
			"rest:https://…@host/repo", fleet.BackupUnknown},
		"of other hosts": {link.Result{Stdout: []byte(`[{"time":"2026-11-22T11:00:00Z","hostname":"cloud","id":"x"}]`)}, nil,
			"1 snapshot, none of this host: they are of cloud", fleet.BackupUnknown},
		"no root": {link.Result{}, fmt.Errorf("%w on storage", link.ErrNoRoot), "", fleet.BackupUnknown},
		"no way":  {link.Result{Status: exitNoWay}, nil, "", fleet.BackupUnknown},
		"no repository": {link.Result{Status: 1, Stderr: []byte("Fatal: unable to open config file: stat /x/config: no such file or directory\nIs there a repository at the following location?\n/x\n")}, nil,
			"the repository does not exist", fleet.BackupNever},
	} {
		t.Run(name, func(t *testing.T) {
			l := &fakeLink{snapshots: func(context.Context, string, string, string) (link.Result, error) { return c.res, c.err }}
			j := one(t, Read(t.Context(), l, st, now, nil))
			if j.State != fleet.BackupFresh || !strings.Contains(j.Error, c.says) || (c.says == "") != (j.Error == "") || strings.Contains(j.Error, "hunter2") {
				t.Errorf("%+v", j)
			}
			if j := one(t, Read(t.Context(), l, unknown, now, nil)); j.State != c.unknown || j.Error == "" {
				t.Errorf("%+v", j)
			}
		})
	}
}

func TestAnEmptyRepositoryOfAJobThatGoesWell(t *testing.T) {
	l := &fakeLink{snapshots: func(context.Context, string, string, string) (link.Result, error) {
		return link.Result{Stdout: []byte("[]")}, nil
	}}
	j := one(t, Read(t.Context(), l, on(fleet.Unit{Result: "success", Exited: hours(3)}, fleet.Timer{}), now, nil))
	if j.State != fleet.BackupNever || !strings.Contains(j.Error, "no snapshot of this host") {
		t.Errorf("%+v", j)
	}
}

func TestBackupStatusThatDoesNotTell(t *testing.T) {
	for name, c := range map[string]struct {
		res  link.Result
		err  error
		list string
	}{
		"fails":     {link.Result{Status: 1, Stderr: []byte("jq: not found")}, nil, "list home"},
		"no JSON":   {link.Result{Stdout: []byte("all is well")}, nil, "list home"},
		"hangs":     {link.Result{}, context.DeadlineExceeded, "list home"},
		"bad query": {link.Result{Stdout: []byte(`[{"name":"home","kind":"restic","lastSnapshot":null,"ok":false,"error":"query failed"}]`)}, nil, "list home"},
	} {
		st := on(fleet.Unit{Result: "success", Exited: hours(3)}, fleet.Timer{})
		st.Inventory = lab().Inventory
		l := &fakeLink{
			status: func(context.Context, link.Command) (link.Result, error) { return c.res, c.err },
			snapshots: func(context.Context, string, string, string) (link.Result, error) {
				return link.Result{Stdout: []byte(`[{"time":"2026-11-22T09:00:00Z","hostname":"storage","id":"x"}]`)}, nil
			},
		}
		j := one(t, Read(t.Context(), l, st, now, nil))
		if !slices.Contains(l.asked, c.list) || j.State != fleet.BackupFresh || j.Snapshots != 1 || j.Error != "" {
			t.Errorf("%s: %v %+v", name, l.asked, j)
		}
	}
}

func TestPlansOfADaemonAreToldByBackupStatus(t *testing.T) {
	st := on(fleet.Unit{}, fleet.Timer{})
	st.Units.Value = []fleet.Unit{{Name: "backrest.service", Load: "loaded", Active: "active", Sub: "running"}}
	st.Timers.Value, st.Inventory = nil, lab().Inventory
	l := &fakeLink{status: prints(sample(t, "reference-backup-status-CONSTRUCTED.json"))}
	f := Read(t.Context(), l, st, at("2026-08-17T12:00:00Z"), nil)
	jobs := byName(t, f)
	if len(jobs) != 2 || jobs["ovh"].State != fleet.BackupFresh || jobs["hetzner"].State != fleet.BackupUnknown || jobs["hetzner"].Error != "query failed" {
		t.Errorf("%+v", jobs)
	}
	st.Backups = f
	l.status = prints([]byte(`[{"name":"ovh","kind":"rustic","lastSnapshot":"2026-08-01T00:00:00Z","maxAgeHours":192,"ok":false,"error":null}]`))
	jobs = byName(t, Read(t.Context(), l, st, at("2026-08-17T12:00:00Z"), nil))
	if len(jobs) != 1 || jobs["ovh"].State != fleet.BackupStale {
		t.Errorf("%+v", jobs)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("the screen was closed"))
	defer cancel()
	wait := func(ctx context.Context) (link.Result, error) { <-ctx.Done(); return link.Result{}, context.Cause(ctx) }
	l := &fakeLink{
		journal:   func(ctx context.Context, _ link.Command) (link.Result, error) { return wait(ctx) },
		status:    func(ctx context.Context, _ link.Command) (link.Result, error) { return wait(ctx) },
		snapshots: func(ctx context.Context, _, _, _ string) (link.Result, error) { return wait(ctx) },
	}
	began := time.Now()
	f := Read(ctx, l, lab(), now, nil)
	if time.Since(began) > 20*time.Second || !f.Current() || !strings.Contains(f.Value[0].Error, "the screen was closed") {
		t.Errorf("%s %+v", time.Since(began), f)
	}
}

func TestNothingIsAskedWhereThereIsNothing(t *testing.T) {
	l := &fakeLink{}
	st := fleet.State{Units: fleet.Known([]fleet.Unit{{Name: "caddy.service"}}, now, "probe")}
	if f := Read(t.Context(), l, st, now, nil); !f.None || len(l.asked) != 0 {
		t.Errorf("%+v %v", f, l.asked)
	}
}

// TestThroughScript runs the script against programs of the test's own, and holds
// what it asks them.
func TestThroughScript(t *testing.T) {
	for name, c := range map[string]struct {
		programs   map[string]string // name → shell text
		tool, unit string
		want       string // standard output
		status     int
	}{
		"a wrapper":     {map[string]string{"restic-home": `echo "wrapper $*"`}, "restic", "u.service", "wrapper snapshots --json --no-lock\n", 0},
		"of rustic":     {map[string]string{"rustic-home": `echo "wrapper $*"`}, "rustic", "u.service", "wrapper snapshots --json --group-by host,label,paths\n", 0},
		"of borg":       {map[string]string{"borg-job-home": `echo "wrapper $* $TZ"`}, "borg", "u.service", "wrapper list --json --bypass-lock UTC\n", 0},
		"its exit code": {map[string]string{"restic-home": `echo no >&2; exit 12`}, "restic", "u.service", "", 12},
		"by a unit like the job's": {map[string]string{
			"systemd-run": `for a; do echo "[$a]"; done`,
			"systemctl": `case $1 in
show) echo '{ path=/nix/store/x-restic/bin/restic ; argv[]=/nix/store/x-restic/bin/restic backup /home ; ignore_errors=no }' ;;
cat) printf '%s\n' '# /etc/x' '[Service]' 'Environment="A=b c"' 'ExecStart=/bin/false' 'EnvironmentFile=/run/secrets/$(touch hacked)' 'Environment=B=\' '1' 'User=backup' ;;
esac`,
		}, "restic", "u.service", strings.Join([]string{
			"[-p]", `[Environment="A=b c"]`, "[-p]", "[EnvironmentFile=/run/secrets/$(touch hacked)]", "[-p]", "[Environment=B=1]", "[-p]", "[User=backup]",
			"[--pipe]", "[--wait]", "[--quiet]", "[--collect]", "[-E]", "[TZ=UTC]", "[-p]", "[RuntimeMaxSec=9]", "[--]", "[/nix/store/x-restic/bin/restic]", "[snapshots]", "[--json]", "[--no-lock]", "",
		}, "\n"), 0},
		"rustic by its profile": {map[string]string{
			"systemd-run": `echo "$*"`, "rustic": "exit 1",
			"systemctl": `[ $1 = cat ] || echo '{ path=/bin/rustic ; argv[]=/bin/rustic -P ovh backup ; ignore_errors=no }'`,
		}, "rustic", "u.service", "--pipe --wait --quiet --collect -E TZ=UTC -p RuntimeMaxSec=9 -- /bin/rustic -P ovh snapshots --json --group-by host,label,paths\n", 0},
		"no way": {nil, "restic", "u.service", "", exitNoWay},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for p, text := range c.programs {
				if err := os.WriteFile(filepath.Join(dir, p), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range []string{"sh", "sed", "head", "timeout"} {
				path, err := exec.LookPath(p)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(dir, p)); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("sh", append([]string{"-c", throughScript, "sextant", c.tool, "home", c.unit, "9", "-"}, listArgs(c.tool)...)...)
			cmd.Env, cmd.Dir = []string{"PATH=" + dir}, dir
			out, _ := cmd.Output()
			if string(out) != c.want || cmd.ProcessState.ExitCode() != c.status {
				t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), cmp.Diff(c.want, string(out)))
			}
			if _, err := os.Stat(filepath.Join(dir, "hacked")); err == nil {
				t.Error("text of the unit was run")
			}
		})
	}
}
