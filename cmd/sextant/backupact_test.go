package main

import (
	"errors"
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
