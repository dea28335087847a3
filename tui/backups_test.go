package tui_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

func TestBackupsOfTheFleetNameWhoHasNone(t *testing.T) {
	o := sample()
	o.Store.Update("n-desk", func(s *fleet.State) {
		s.Backups = fleet.Nothing[[]fleet.BackupJob]("no backup jobs", tuitest.Now, "units")
	})
	term := open(t, o, 80, 24).WaitFor("> cloud").Press("B").WaitFor("no backup: desk", "not known: cloud")
	rows := strings.Split(term.Screen(), "\n")
	if !strings.HasPrefix(rows[4], "> storage   offsite") || !strings.HasPrefix(rows[5], "  storage   postgres") {
		t.Errorf("what failed, then what is stale, comes first:\n%s", term.Screen())
	}
	term.Press("/", "photos", "enter").WaitFor("1 of 7").Settle(50*time.Millisecond).Press("enter").WaitFor("storage › Backups › photos", "growth")
	term.Press("esc").WaitGone("told by")
}

// TestARowInFull: on a phone what is known of a repository needs more room than there
// is below the list; it opens, scrolls, and closes.
func TestARowInFull(t *testing.T) {
	term := open(t, sample(), 40, 20).WaitFor("cloud").Press("B", "v").WaitFor("cd184609").WaitGone("cd1846095d92")
	term.Press("enter").WaitFor("cd1846095d9260cad0720c00c7").Press("G").WaitFor("listed").WaitGone("holds").Press("esc").WaitFor("snapshots", "holds")
	term.Press("esc").WaitFor("[Jobs 8]")
}

// TestWhatIsInASnapshot: folders are gone into and left again, two snapshots are
// compared, and what cannot be read says why.
func TestWhatIsInASnapshot(t *testing.T) {
	o := sample()
	var got fleet.Target
	o.Actions = append(o.Actions, fleet.Action{ID: "backup-restore", Title: "Restore from the backup", Help: "restore", Keys: []string{"X"}, Scope: fleet.ScopeJob, Run: func(_ context.Context, t fleet.Target, _ func(string)) error { got = t; return nil }})
	term := open(t, o, 80, 24).WaitFor("> cloud").Press("B").WaitFor("> storage   offsite").Press("f").WaitFor("3 snapshots", "983504bd")
	term.Press("j", "enter").WaitFor("1bc82735: 1 of /", "srv/").Settle(50*time.Millisecond).Press("enter").WaitFor("2 of /srv", "notes.txt").Settle(50 * time.Millisecond)
	term.Press("j", "X").WaitFor("done").Press("esc")
	if got.Path != "/srv/notes.txt" || got.Item != "restic/offsite" || !strings.HasPrefix(got.Snapshot, "1bc82735") {
		t.Errorf("%+v", got)
	}
	term.Press("k").Settle(50*time.Millisecond).Press("enter").WaitFor("no answer within 60 s", "r asks again")
	term.Press("esc").WaitFor("notes.txt").Press("esc").WaitFor("1 of /").Press("esc").WaitFor("3 snapshots")
	term.Press("g", "space", "j", "space").Press("d").WaitFor("3 changes from aeb74f4e to 983504bd", "/srv/old").Press("esc").WaitFor("3 snapshots").Press("esc").Press("esc").WaitFor("age/limit")
}

func TestFilesOfASnapshotOnEveryScreen(t *testing.T) {
	for _, size := range sizes {
		name := fmt.Sprintf("snapshot-files-%dx%d", size[0], size[1])
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term := open(t, sample(), size[0], size[1]).WaitFor("storage").Press("B").WaitFor("> ", "offsite").Press("f").WaitFor("3 snapshots").Settle(50 * time.Millisecond)
			term.Press("enter").WaitFor("1 of /").Settle(50 * time.Millisecond).Press("enter").WaitFor("notes.txt")
			term.Golden(name, *update)
			term.Press("esc").WaitFor("1 of /").Press("esc").WaitFor("3 snapshots").Settle(50 * time.Millisecond)
			term.Press("d").WaitFor("/srv/old")
			term.Golden(strings.Replace(name, "files", "diff", 1), *update)
		})
	}
}
