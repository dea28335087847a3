package backup

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
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

func TestArchivesOfBorg(t *testing.T) {
	list, err := ParseBorg(sample(t, "borg-1.2-list.json"), "home")
	if err != nil || len(list) != 1 || list[0].Host != "galactica" || !list[0].At.Equal(at("2026-11-22T19:34:38Z")) || list[0].ID == "" {
		t.Errorf("%+v %v", list, err)
	}
	for name, want := range map[string]string{"db-1-home-2026-11-22T19:34:38": "db-1", "db-1-2026-11-22T19:34:38": "db-1", "by hand": "by hand", `a\u001b[31mb-2026-11-22T1`: "ab"} {
		list, err := ParseBorg([]byte(`{"archives":[{"id":"x","name":"`+name+`","start":"2026-11-22T19:34:38.000000"}]}`), "home")
		if err != nil || list[0].Host != want {
			t.Errorf("%q: %+v %v", name, list, err)
		}
	}
	for _, bad := range []string{"", "null", "<html>", "[]", `{"archives":[{"start":"yesterday"}]}`} {
		if list, err := ParseBorg([]byte(bad), "home"); err == nil {
			t.Errorf("%s: %+v", bad, list)
		}
	}
	for _, name := range []string{"nas-home-2026-11-22T19:34:38.failed", "nas-home-2026-11-22T19:34:38.checkpoint", "x.checkpoint.2"} {
		list, err := ParseBorg([]byte(`{"archives":[{"id":"x","name":"`+name+`","start":"2026-11-22T19:34:38.000000"}]}`), "home")
		if err != nil || len(list) != 0 {
			t.Errorf("%s is no whole archive: %+v %v", name, list, err)
		}
	}
	if list, err := ParseBorg([]byte(`{"archives":[]}`), "home"); err != nil || list == nil {
		t.Error(list, err)
	}
}

// TestABorgJobIsRead: its archives tell the newest, of its host alone.
func TestABorgJobIsRead(t *testing.T) {
	asked := ""
	l := &fakeLink{snapshots: func(_ context.Context, tool, job, _ string) (link.Result, error) {
		asked = tool + " " + job
		return link.Result{Stdout: sample(t, "borg-1.2-list.json")}, nil
	}}
	l.ties = "unit borgbackup-job-home.service\n"
	st := fleet.State{
		Host:  fleet.Host{Name: "galactica"},
		Units: fleet.Known([]fleet.Unit{{Name: "borgbackup-job-home.service", Load: "loaded", Active: "inactive", Sub: "dead", Type: "oneshot"}}, now, "probe"),
	}
	j := byName(t, Read(t.Context(), l, st, at("2026-11-22T20:00:00Z"), nil))["home"]
	if asked != "borg home" || j.State != fleet.BackupFresh || !j.NewestSnapshot.Equal(at("2026-11-22T19:34:38Z")) || j.Snapshots != 1 {
		t.Errorf("%q %+v", asked, j)
	}
	if why := Workable(j); !strings.Contains(why, "borg is only read") {
		t.Error(why)
	}
}
