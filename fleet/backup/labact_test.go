//go:build lab

package backup_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// secrets are what the lab's backups have to keep to themselves (test/lab/seed/backups).
var secrets = []string{"restic-lab", "rustic-lab", "nowhere"}

// keepsSecrets holds that nothing that was told has one of them.
func keepsSecrets(t *testing.T, told string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(told, s) {
			t.Errorf("it tells %q:\n%s", s, told)
		}
	}
}

// jobsOf are the jobs of a host by name, as its units tell.
func jobsOf(t *testing.T, l link.Link) map[string]fleet.BackupJob {
	t.Helper()
	jobs := map[string]fleet.BackupJob{}
	for _, j := range backup.FromState(probed(t, l), time.Now(), nil).Value {
		jobs[j.Name] = j
	}
	return jobs
}

func TestWorkOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	storage, cloud := lab.Link(t, "storage"), lab.Link(t, "cloud")
	jobs := jobsOf(t, storage)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, c := range []struct {
		job, unit, says string
		order           backup.Order
	}{
		{"home", "restic-backups-home.service", "snapshot ", backup.Order{Work: backup.Run}},
		{"home", "sextant-check-restic-home.service", "no errors were found", backup.Order{Work: backup.Check}},
		{"home", "sextant-check-restic-home.service", "no errors were found", backup.Order{Work: backup.Check, Data: "50%"}},
		{"home", "sextant-prune-restic-home.service", "", backup.Order{Work: backup.Prune}},
		{"cold", "rustic-cold-check.service", "", backup.Order{Work: backup.Check}},
		{"cold", "sextant-check-rustic-cold.service", "", backup.Order{Work: backup.Check, Data: "all"}},
		{"cold", "rustic-cold-prune.service", "", backup.Order{Work: backup.Prune}},
	} {
		var said []string
		b, err := backup.Begin(ctx, storage, jobs[c.job], c.order)
		if err != nil {
			t.Fatalf("%s %v: %v", c.job, c.order, err)
		}
		if c.order.Data == "all" { // it is at work now
			if _, err := backup.Begin(ctx, storage, jobs[c.job], backup.Order{Work: backup.Check}); err != nil && !errors.Is(err, backup.ErrBusy) {
				t.Errorf("a second check: %v", err)
			}
		}
		err = b.Follow(ctx, storage, func(line string) { said = append(said, line) })
		text := strings.Join(said, "\n")
		if err != nil || b.Unit != c.unit || !strings.Contains(text, c.says) {
			t.Errorf("%s %v by %s: %v\n%s", c.job, c.order, b.Unit, err, text)
		}
		keepsSecrets(t, text)
	}
	// What fails says why; what is skipped is not taken for done.
	b, err := backup.Begin(ctx, cloud, jobsOf(t, cloud)["broken"], backup.Order{Work: backup.Run})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Follow(ctx, cloud, func(string) {}); err == nil || !strings.Contains(err.Error(), "Fatal:") {
		t.Errorf("broken: %v", err)
	}
	if _, err := backup.Begin(ctx, storage, jobs["offsite"], backup.Order{Work: backup.Run}); err == nil || !strings.Contains(err.Error(), "skipped it: ConditionPathIsMountPoint=/mnt/offsite") {
		t.Errorf("offsite: %v", err)
	}
	if out := labtest.Output(t, storage, "sh", "-c", "systemctl --failed --plain --no-legend"); strings.Contains(out, "sextant-") {
		t.Errorf("units are left: %s", out)
	}
}
