//go:build lab

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackupsKeepSecrets has everything about backups told and done, and looks for the
// passwords of the lab's repositories in all that is printed and kept.
func TestBackupsKeepSecrets(t *testing.T) {
	state := t.TempDir()
	var all strings.Builder
	for _, args := range [][]string{
		{"backups", "--json"}, {"backups", "--repos", "--json"}, {"backups", "-v"}, {"backup", "snapshots", "storage", "home", "--json"}, {"backup", "files", "storage", "cold", "/srv/archive", "--json"},
		{"backup", "check", "storage", "home", "--yes"}, {"backup", "test", "storage", "cold", "--yes", "--json"}, {"backup", "run", "cloud", "broken", "--yes"}, {"history", "--here", "--json"}, {"logs", "storage", "restic-backups-home"},
	} {
		out, errs, code := sextantIn(t, state, args...)
		if code == 2 {
			t.Errorf("%v: wrong usage: %s", args, errs)
		}
		all.WriteString(out + errs)
	}
	if !strings.Contains(all.String(), "no errors were found") || !strings.Contains(all.String(), "backup restic/home checked") {
		t.Errorf("what was done is not told:\n%s", all.String())
	}
	kept := 0
	_ = filepath.WalkDir(state, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			b, _ := os.ReadFile(p)
			all.Write(b)
			kept++
		}
		return nil
	})
	if kept == 0 {
		t.Error("nothing was kept to look through")
	}
	for _, secret := range []string{"restic-lab", "rustic-lab", "RUSTIC_LAB_REGION=nowhere"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q is told or kept", secret)
		}
	}
}
