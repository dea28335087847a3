package backup

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestUpkeepByTheJournal(t *testing.T) {
	line := func(us int64, unit, id, more string) string {
		return fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"%d","UNIT":%q,"MESSAGE_ID":%q,"INVOCATION_ID":"%d"%s}`, us, unit, id, us, more)
	}
	const at = 1795300000000000
	text := strings.Join([]string{
		"uid 0", "since 1790000000",
		line(at+3e9, "rustic-cold-check.service", msgBad, `,"UNIT_RESULT":"exit-code"`),
		line(at, "rustic-cold-check.service", msgStarted, `,"JOB_RESULT":"done"`),
		line(at+1e9, "sextant-prune-rustic-cold.service", msgWell, ""),
		line(at+9e9, "other.service", msgStarted, `,"JOB_RESULT":"done"`),
		"{broken", "end",
	}, "\n")
	ends, since := parseChores([]byte(text))
	j := fleet.BackupJob{Name: "cold", Tool: "rustic", Unit: "rustic-cold.service"}
	check := upkeep(fleet.Upkeep{}, ends, since, choresOf(j, Check))
	if check.OK || check.By != "rustic-cold-check.service" || !check.At.Equal(time.UnixMicro(at+3e9)) || check.Since.Unix() != 1790000000 {
		t.Errorf("the newest check failed: %+v", check)
	}
	prune := upkeep(fleet.Upkeep{}, ends, since, choresOf(j, Prune))
	if !prune.OK || prune.By != "sextant-prune-rustic-cold.service" {
		t.Errorf("%+v", prune)
	}
	// What was known stays where the journal no longer goes as far.
	before := fleet.Upkeep{At: time.UnixMicro(at).UTC(), OK: true, By: "x"}
	if u := upkeep(before, nil, since, choresOf(j, Check)); !u.At.Equal(before.At) || !u.OK || u.By != "x" {
		t.Errorf("%+v", u)
	}
	// Who is not root sees a part of the journal: that there is nothing in it says nothing.
	if _, since := parseChores([]byte(strings.Replace(text, "uid 0", "uid 1000", 1))); !since.IsZero() {
		t.Error(since)
	}
}

func TestWhoseSnapshotsARepositoryHolds(t *testing.T) {
	all := []Snapshot{{Host: "attic", At: at("2025-01-01T00:00:00Z")}, {Host: "storage", At: at("2026-01-01T00:00:00Z")}, {Host: "storage", At: at("2026-01-02T00:00:00Z")}}
	r := repoOf(&fleet.BackupRepo{ID: "x", Check: fleet.Upkeep{By: "c"}}, all, now)
	if r.ID != "x" || r.Check.By != "c" || r.Snapshots != 3 || len(r.Hosts) != 2 || r.Hosts[0].Name != "storage" || r.Hosts[0].Snapshots != 2 || !r.Hosts[0].Newest.Equal(all[2].At) {
		t.Errorf("%+v", r)
	}
	var many []Snapshot
	for i := range 500 {
		many = append(many, Snapshot{Host: fmt.Sprint(i)})
	}
	if r := repoOf(nil, many, now); len(r.Hosts) != maxRepoHosts || r.Snapshots != 500 {
		t.Errorf("%d hosts", len(r.Hosts))
	}
}
