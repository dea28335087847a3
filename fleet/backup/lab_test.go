//go:build lab

package backup_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

func probed(t *testing.T, l link.Link) fleet.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	f, err := labtest.Probe(t).Read(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.State{Host: l.Host(), System: f.System, Inventory: f.Inventory, Units: f.Units, Timers: f.Timers}
}

func read(t *testing.T, l link.Link, st fleet.State) map[string]fleet.BackupJob {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f := backup.Read(ctx, l, st, time.Now(), nil)
	if !f.Current() {
		t.Fatalf("%s: %s", l.Host().Name, f.Err)
	}
	jobs := map[string]fleet.BackupJob{}
	for _, j := range f.Value {
		jobs[j.Name] = j
	}
	st.Backups = f // judging again what was found out changes nothing
	for _, j := range backup.FromState(st, time.Now(), nil).Value {
		if before := jobs[j.Name]; j.State != before.State || j.Error != before.Error || !j.NewestSnapshot.Equal(before.NewestSnapshot) {
			t.Errorf("%s: judged again %+v, before %+v", j.Name, j, before)
		}
	}
	return jobs
}

// newest is what the tool itself says on the host.
func newest(t *testing.T, l link.Link, wrapper string) (at time.Time, count int) {
	t.Helper()
	out := labtest.Output(t, l, "sh", "-c", wrapper+` snapshots --json 2>/dev/null | jq -c '[.. | objects | select(has("time") and has("tree")) | .time]'`)
	var times []time.Time
	if err := json.Unmarshal([]byte(out), &times); err != nil {
		t.Fatal(err)
	}
	return slices.MaxFunc(times, time.Time.Compare), len(times)
}

func TestBackupsOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	storage := lab.Link(t, "storage")
	st := probed(t, storage)
	told := read(t, storage, st)

	delete(st.Inventory.Value.Programs, "backup-status") // then the repositories are asked
	listed := read(t, storage, st)
	for name, wrapper := range map[string]string{"home": "restic-home --no-lock", "offsite": "restic-offsite --no-lock", "cold": "rustic-cold"} {
		at, count := newest(t, storage, wrapper)
		if j := listed[name]; !j.NewestSnapshot.Equal(at) || j.Snapshots != count || j.Size == 0 || j.Unit == "" || j.Timer == "" {
			t.Errorf("%s: %d snapshots, the newest %s; told %+v", name, count, at, j)
		}
		if _, within := listed[name].Growth(); name != "offsite" && within <= 0 {
			t.Errorf("%s: how much it grew is not told: %+v", name, listed[name])
		}
		id := strings.TrimSpace(labtest.Output(t, storage, "sh", "-c", strings.Fields(wrapper)[0]+" cat config 2>/dev/null | jq -r .id"))
		for _, j := range []fleet.BackupJob{told[name], listed[name]} {
			if j.Repo == nil || j.Repo.ID != id || j.Repo.Snapshots != count || len(j.Repo.Hosts) != 1 || j.Repo.Check.Since.IsZero() {
				t.Errorf("%s: the repository is %s with %d snapshots; told %+v", name, id, count, j.Repo)
			}
		}
		if j := told[name]; !j.NewestSnapshot.Equal(at) || !slices.Contains(j.Sources, "backup-status") {
			t.Errorf("%s: the newest %s; backup-status told %+v", name, at, j)
		}
	}
	for name, want := range map[string]fleet.BackupState{"home": fleet.BackupFresh, "offsite": fleet.BackupStale, "cold": fleet.BackupFresh} {
		if told[name].State != want || listed[name].State != want {
			t.Errorf("%s: %+v, %+v", name, told[name], listed[name])
		}
	}
	if off := listed["offsite"]; !strings.Contains(off.Error, "skipped: ConditionPathIsMountPoint=/mnt/offsite") || !off.LastSuccess.IsZero() {
		t.Errorf("%+v", off)
	}
	if len(told) != 3 || told["home"].LastSuccess.IsZero() {
		t.Errorf("%+v", told)
	}
}

func TestJobsThatFailedOrNeverRanInTheLab(t *testing.T) {
	lab := labtest.Load(t)
	cloud, r2s, router := lab.Link(t, "cloud"), lab.Link(t, "r2s"), lab.Link(t, "router")
	broken := read(t, cloud, probed(t, cloud))["broken"]
	if broken.State != fleet.BackupFailed || broken.LastRun.IsZero() || !strings.Contains(broken.Error, "the repository does not exist (exit code 10): Fatal:") {
		t.Errorf("%+v", broken)
	}
	never := read(t, r2s, probed(t, r2s))["never"]
	if never.State != fleet.BackupNever || !never.LastRun.IsZero() || never.Next.IsZero() {
		t.Errorf("%+v", never)
	}
	if f := backup.FromState(probed(t, router), time.Now(), nil); !f.None {
		t.Errorf("%+v", f)
	}
}

// TestAJobWithoutAWrapper makes one for a while, with its environment in the
// unit and in a file, and asks for its snapshots through systemd-run.
func TestAJobWithoutAWrapper(t *testing.T) {
	const unit = "restic-backups-sextant-test.service"
	storage := labtest.Load(t).Link(t, "storage")
	labtest.Output(t, storage, "sh", "-ec", `
umask 077
echo RESTIC_PASSWORD=restic-lab >/run/sextant-test.env
cat >/run/systemd/system/`+unit+` <<U
[Service]
Type=oneshot
Environment="RESTIC_REPOSITORY=/mnt/backup/home" \
  "RESTIC_CACHE_DIR=/run/sextant-test-cache"
EnvironmentFile=/run/sextant-test.env
ExecStart=/usr/bin/restic backup /srv/home /srv/photos
U
systemctl daemon-reload`)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _ = storage.Run(ctx, link.Script(`rm -rf /run/systemd/system/`+unit+` /run/sextant-test.env /run/sextant-test-cache; systemctl daemon-reload`))
	})
	st := probed(t, storage)
	st.Inventory.Value.Programs, st.Timers.Value = nil, nil // of this job alone: that of home saves the same
	st.Units.Value = []fleet.Unit{{Name: unit, Load: "loaded", Active: "inactive", Sub: "dead", Type: "oneshot"}}
	at, count := newest(t, storage, "restic-home --no-lock")
	j := read(t, storage, st)["sextant-test"]
	if !j.NewestSnapshot.Equal(at) || j.Snapshots != count || j.State != fleet.BackupFresh {
		t.Errorf("%+v; restic has %d, the newest %s", j, count, at)
	}
}

// TestEveryJobOfTheLabAgainstItsHost holds each job against what systemd and
// the tool itself say on its host.
func TestEveryJobOfTheLabAgainstItsHost(t *testing.T) {
	lab := labtest.Load(t)
	hosts := map[string]map[string]fleet.BackupJob{}
	links := map[string]link.Link{}
	for _, host := range []string{"storage", "cloud", "r2s"} {
		links[host] = lab.Link(t, host)
		st := probed(t, links[host])
		delete(st.Inventory.Value.Programs, "backup-status") // then the repositories are asked
		hosts[host] = read(t, links[host], st)
	}
	for _, c := range []struct {
		host, job, unit string
		state           fleet.BackupState
		list            string // lists the snapshots; "" there is no repository
	}{
		{"storage", "home", "restic-backups-home", fleet.BackupFresh, "restic-home --no-lock"},
		{"storage", "offsite", "restic-backups-offsite", fleet.BackupStale, "restic-offsite --no-lock"},
		{"storage", "cold", "rustic-cold", fleet.BackupFresh, "rustic-cold"},
		{"cloud", "broken", "restic-backups-broken", fleet.BackupFailed, ""},
		{"r2s", "never", "rustic-never", fleet.BackupNever, ""},
	} {
		t.Run(c.job, func(t *testing.T) {
			j, l := hosts[c.host][c.job], links[c.host]
			if j.State != c.state || j.Unit != c.unit+".service" || j.Timer != c.unit+".timer" {
				t.Errorf("%+v", j)
			}
			if next := nextRun(t, l, c.unit+".timer"); j.Next.Sub(next).Abs() > time.Second {
				t.Errorf("next %s; systemctl list-timers says %s", j.Next, next)
			}
			if well := wentWell(t, l, c.unit+".service"); !well.Equal(j.LastSuccess.Truncate(time.Second)) {
				t.Errorf("last success %s; systemd says %s", j.LastSuccess, well)
			}
			var at time.Time
			count := 0
			if c.list != "" {
				at, count = newest(t, l, c.list)
			}
			if !j.NewestSnapshot.Equal(at) || j.Snapshots != count {
				t.Errorf("%d snapshots, the newest %s; the repository has %d, the newest %s", j.Snapshots, j.NewestSnapshot, count, at)
			}
		})
	}
}

// nextRun is what `systemctl list-timers` says of a timer.
func nextRun(t *testing.T, l link.Link, timer string) time.Time {
	t.Helper()
	var rows []struct {
		Next int64 // microseconds
		Unit string
	}
	out := labtest.Output(t, l, "systemctl", "list-timers", "--all", "--output=json", timer)
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return time.UnixMicro(rows[0].Next)
}

// wentWell is when the last run of a unit ended, where it ended well.
func wentWell(t *testing.T, l link.Link, unit string) time.Time {
	t.Helper()
	out := labtest.Output(t, l, "sh", "-c", `
[ "$(systemctl show -p Result --value "$1")" = success ] || exit 0
at=$(systemctl show -p ExecMainExitTimestamp --value "$1")
[ -z "$at" ] || date -d "$at" +%s`, "sh", unit)
	if out = strings.TrimSpace(out); out == "" {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(out, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(seconds, 0).UTC()
}

// TestTwoJobsInOneRepositoryOfTheLab makes jobs for a while that save other data
// into the repositories of home and cold: none is taken for the other.
func TestTwoJobsInOneRepositoryOfTheLab(t *testing.T) {
	storage := labtest.Load(t).Link(t, "storage")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _ = storage.Run(ctx, link.Command{Root: true, Args: []string{"sh", "-c", `
rm -f /run/systemd/system/restic-backups-sextant-shares.service /run/systemd/system/rustic-sextant-shares.service /etc/rustic/sextant-shares.toml
rm -rf /run/sextant-shares
systemctl reset-failed 'r*-sextant-shares.service' 2>/dev/null
systemctl daemon-reload`}})
	})
	labtest.Output(t, storage, "sh", "-ec", `
cat >/run/systemd/system/restic-backups-sextant-shares.service <<U
[Service]
Type=oneshot
Environment=RESTIC_REPOSITORY=/mnt/backup/home RESTIC_PASSWORD_FILE=/run/secrets/restic-password RESTIC_CACHE_DIR=/run/sextant-shares
ExecStart=/usr/bin/restic backup --exclude-caches /srv/archive
U
sed 's/^label = .*/label = "sextant-shares"/' /etc/rustic/cold.toml >/etc/rustic/sextant-shares.toml
cat >/run/systemd/system/rustic-sextant-shares.service <<U
[Service]
Type=oneshot
Environment=RUSTIC_CACHE_DIR=/var/cache/rustic
ExecStart=/opt/lab/bin/rustic -P sextant-shares backup
U
systemctl daemon-reload`)
	st := probed(t, storage)
	delete(st.Inventory.Value.Programs, "backup-status")
	for _, unit := range []string{"restic-backups-sextant-shares.service", "rustic-sextant-shares.service"} {
		st.Units.Value = slices.DeleteFunc(st.Units.Value, func(u fleet.Unit) bool { return u.Name == unit })
		st.Units.Value = append(st.Units.Value, fleet.Unit{Name: unit, Load: "loaded", Active: "inactive", Sub: "dead", Type: "oneshot"})
	}
	// The jobs have made nothing yet: what is in the repositories is not theirs.
	list := backup.Read(t.Context(), storage, st, time.Now(), nil)
	for _, j := range list.Value {
		shares := j.Name == "sextant-shares"
		if shares && (!j.NewestSnapshot.IsZero() || j.State != fleet.BackupUnknown || !strings.Contains(j.Error, "none with the label, tags and paths of this job")) {
			t.Errorf("%+v", j)
		}
		if !shares && (j.NewestSnapshot.IsZero() || j.Snapshots == 0) {
			t.Errorf("%+v", j)
		}
	}
	if len(list.Value) != 5 {
		t.Errorf("%+v", list)
	}
}
