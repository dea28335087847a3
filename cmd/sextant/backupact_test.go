package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/nixops"
)

// doBackup does something for a job of the demo as a person who agrees does.
func doBackup(t *testing.T, a *app, id, job string, chosen map[string]string) (lines []string, err error) {
	t.Helper()
	states, err := a.pick([]string{"storage"})
	if err != nil {
		t.Fatal(err)
	}
	target := fleet.Target{Hosts: states, Item: job, Chosen: chosen}
	action, err := a.allowed(a.deployer(), id, target)
	if err != nil {
		return nil, err
	}
	return lines, action.Run(t.Context(), target, func(l string) { lines = append(lines, l) })
}

// TestDemoBackupIsRun: what its unit says is followed, a second start meanwhile is
// refused, the new snapshot is there, and what was done is written down.
func TestDemoBackupIsRun(t *testing.T) {
	onDemo(t, "storage", func(a *app, states []fleet.State) {
		before := len(a.store.Snapshot().Audit)
		if lines, err := doBackup(t, a, "backup-run", "documents", map[string]string{"wait": "do not wait"}); err != nil || !strings.Contains(lines[0], "was started") {
			t.Fatal(lines, err)
		}
		if _, err := doBackup(t, a, "backup-check", "documents", nil); !errors.Is(err, backup.ErrBusy) {
			t.Errorf("a check while it runs: %v", err)
		}
		time.Sleep(3 * time.Second)
		lines, err := doBackup(t, a, "backup-check", "documents", nil)
		if err != nil || !slices.Contains(lines, "no errors were found") || lines[len(lines)-1] != "sextant-check-restic-documents.service ended well" {
			t.Errorf("%q %v", lines, err)
		}
		_, err = doBackup(t, a, "backup-run", "cottage", nil)
		if err == nil || !strings.Contains(err.Error(), "the repository does not exist (exit code 10): Fatal: ") {
			t.Errorf("a job that fails: %v", err)
		}
		a.ask(t.Context(), states, only("backups"))
		st, _ := a.store.Get(states[0].Host.ID)
		if j, _ := st.Job("documents"); time.Since(j.NewestSnapshot) > time.Minute || j.State != fleet.BackupFresh {
			t.Errorf("%+v", j)
		}
		events := a.store.Snapshot().Audit[before:]
		if len(events) < 3 || !slices.ContainsFunc(events, func(e fleet.Event) bool { return e.Text == "backup restic/cottage run" && e.Level == fleet.Error }) {
			t.Errorf("%+v", events)
		}
	})
}

func TestABackupIsRefusedWhereItCannotBe(t *testing.T) {
	onDemo(t, "storage", func(a *app, _ []fleet.State) {
		for job, want := range map[string]string{"nothing": "no one backup job nothing there", "restic/photos": ""} {
			_, err := doBackup(t, a, "backup-prune", job, map[string]string{"wait": "do not wait"})
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", job, err)
			}
		}
		a.opts.readOnly = true
		var no *nixops.Refusal
		if _, err := doBackup(t, a, "backup-run", "photos", nil); !errors.As(err, &no) || !strings.Contains(err.Error(), "--read-only") {
			t.Error(err)
		}
	})
}

// TestDemoRestore: what is in the snapshots of a host that does not exist, and what
// is restored from them.
func TestDemoRestore(t *testing.T) {
	onDemo(t, "storage", func(a *app, states []fleet.State) {
		ctx, host := t.Context(), states[0].Host
		for _, job := range []string{"documents", "ovh"} {
			list, err := console{a}.Snapshots(ctx, host.ID, job)
			if err != nil || len(list) < 3 {
				t.Fatalf("%d snapshots, %v", len(list), err)
			}
			folder := "/var/lib/" + job
			files, err := console{a}.SnapshotFiles(ctx, host.ID, job, list[0].ID, folder)
			if err != nil || len(files.Files) != len(list)+2 {
				t.Errorf("%d files, %v", len(files.Files), err)
			}
			diff, err := console{a}.SnapshotDiff(ctx, host.ID, job, list[1].ID, list[0].ID)
			if err != nil || len(diff.Changes) != 1 || diff.Changes[0].Sign != "+" {
				t.Errorf("%+v %v", diff, err)
			}
			target := fleet.Target{Hosts: states, Item: job, Snapshot: list[0].ID, Path: folder + "/archive"}
			done, err := a.restore(ctx, a.deployer(), target, "", func(string) {})
			if err != nil || done.Files != 6 || !strings.HasPrefix(done.Folder, backup.RestoreDir+"/") {
				t.Errorf("%+v %v", done, err)
			}
			here := filepath.Join(t.TempDir(), "new")
			if done, err = a.restore(ctx, a.deployer(), target, here, func(string) {}); err != nil || done.Files != 6 {
				t.Errorf("%+v %v", done, err)
			}
			target.Path += "/002.dat"
			if done, err = a.restore(ctx, a.deployer(), target, here+"2", func(string) {}); err != nil || done.Files != 1 {
				t.Errorf("%+v %v", done, err)
			}
			if info, err := os.Stat(here + "2/002.dat"); err != nil || info.Mode() != 0o600 {
				t.Error(info, err)
			}
			test, err := a.restoreTest(ctx, a.deployer(), target, 8, func(string) {})
			if err != nil || !test.Well() || test.Files != 8 {
				t.Errorf("%+v %v", test, err)
			}
			if _, err := a.restore(ctx, a.deployer(), target, here, func(string) {}); err == nil {
				t.Error("a folder that is there was taken")
			}
		}
		a.ask(ctx, states, only("backups"))
		st, _ := a.store.Get(host.ID)
		if j, _ := st.Job("ovh"); j.RestoreTest == nil || time.Since(j.RestoreTest.At) > time.Minute {
			t.Errorf("%+v", j)
		}
	})
}

// TestDemoRepositories: who saves there, the orphan of a renamed host, and that a
// check made now is known.
func TestDemoRepositories(t *testing.T) {
	onDemo(t, "storage", func(a *app, states []fleet.State) {
		if _, err := doBackup(t, a, "backup-check", "photos", nil); err != nil {
			t.Fatal(err)
		}
		a.ask(t.Context(), states, only("backups"))
		st, _ := a.store.Get(states[0].Host.ID)
		var out bytes.Buffer
		if err := printRepositories(&out, options{json: true}, []fleet.State{st}); err != nil {
			t.Fatal(err)
		}
		var got struct{ Repositories []fleet.SeenRepo }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Repositories) < 3 {
			t.Fatalf("%v: %s", err, out.String())
		}
		for _, r := range got.Repositories {
			switch r.Jobs[0] {
			case "storage:restic/documents":
				if len(r.Hosts) != 2 || !r.Hosts[1].Orphan || r.Hosts[1].Name != "attic" || r.Hosts[0].Host != "storage" || !r.Check.OK {
					t.Errorf("%+v", r)
				}
			case "storage:restic/photos":
				if r.Check.By != "sextant-check-restic-photos.service" || !r.Check.OK || !r.Prune.At.IsZero() || r.Prune.Since.IsZero() {
					t.Errorf("%+v", r)
				}
			}
		}
		out.Reset()
		if err := printRepositories(&out, options{}, []fleet.State{st}); err != nil || !strings.Contains(out.String(), "attic (orphan)") || !strings.Contains(out.String(), "not in 90d") {
			t.Errorf("%v: %s", err, out.String())
		}
	})
}
