package tui_test

import (
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
	if !strings.HasPrefix(rows[3], "> storage   offsite") || !strings.HasPrefix(rows[4], "  storage   postgres") {
		t.Errorf("what failed, then what is stale, comes first:\n%s", term.Screen())
	}
	term.Press("/", "photos", "enter").WaitFor("1 of 7").Settle(50*time.Millisecond).Press("enter").WaitFor("storage › Backups › photos", "growth")
	term.Press("esc").WaitGone("told by")
}
