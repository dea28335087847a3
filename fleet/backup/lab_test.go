//go:build lab

package backup_test

import (
	"context"
	"encoding/json"
	"slices"
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
ExecStart=/usr/bin/restic backup /srv/home
U
systemctl daemon-reload`)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _ = storage.Run(ctx, link.Script(`rm -rf /run/systemd/system/`+unit+` /run/sextant-test.env /run/sextant-test-cache; systemctl daemon-reload`))
	})
	st := probed(t, storage)
	st.Inventory.Value.Programs = nil
	st.Units.Value = []fleet.Unit{{Name: unit, Load: "loaded", Active: "inactive", Sub: "dead", Type: "oneshot"}}
	at, count := newest(t, storage, "restic-home --no-lock")
	j := read(t, storage, st)["sextant-test"]
	if !j.NewestSnapshot.Equal(at) || j.Snapshots != count || j.State != fleet.BackupFresh {
		t.Errorf("%+v; restic has %d, the newest %s", j, count, at)
	}
}
