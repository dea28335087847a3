package fleet_test

import (
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestGrowthIsOfAMonthAndOnlyWhereTold(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	at := func(days int, size uint64) fleet.SizeAt {
		return fleet.SizeAt{At: now.Add(-time.Duration(days) * day), Size: size, Added: size / 10}
	}
	for name, c := range map[string]struct {
		sizes  []fleet.SizeAt
		bytes  int64
		within time.Duration
	}{
		"not told":     {nil, 0, 0},
		"one":          {[]fleet.SizeAt{at(1, 500)}, 0, 0},
		"a month":      {[]fleet.SizeAt{at(90, 1), at(30, 100), at(1, 500)}, 400, 29 * day},
		"shrunk":       {[]fleet.SizeAt{at(3, 500), at(1, 100)}, -400, 2 * day},
		"only too old": {[]fleet.SizeAt{at(90, 1), at(1, 500)}, 0, 0},
	} {
		j := fleet.BackupJob{Sizes: c.sizes}
		if bytes, within := j.Growth(); bytes != c.bytes || within != c.within {
			t.Errorf("%s: %d within %s", name, bytes, within)
		}
	}
	if a := (fleet.BackupJob{Sizes: []fleet.SizeAt{at(2, 100), at(1, 500)}}).Added(); a != 50 {
		t.Error(a)
	}
}

func TestAgeAgainstTheLimit(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	j := fleet.BackupJob{LastSuccess: now.Add(-time.Hour), NewestSnapshot: now.Add(-30 * time.Hour), MaxAge: 10 * 3600, Sources: []string{"unit", "snapshots"}}
	if w := j.Worn(now); w != 3 { // the snapshots decide where they are known
		t.Error(w)
	}
	j.Sources = []string{"unit"}
	if w := j.Worn(now); w != 0.1 {
		t.Error(w)
	}
	if w := (fleet.BackupJob{MaxAge: 5}).Worn(now); w >= 0 {
		t.Error("what is not known is not fresh", w)
	}
}

func TestAJobIsFoundByItsNameOnlyWhereItIsOne(t *testing.T) {
	s := fleet.State{Backups: fleet.Known([]fleet.BackupJob{
		{Name: "home", Tool: "restic", Unit: "restic-backups-home.service"}, {Name: "home", Tool: "rustic"}, {Name: "cold", Tool: "rustic", Unit: "rustic-cold.service"},
	}, time.Now(), "test")}
	for name, want := range map[string]string{"home": "", "restic/home": "restic/home", "cold": "rustic/cold", "rustic-cold": "rustic/cold", "rustic-cold.service": "rustic/cold", "none": ""} {
		j, ok := s.Job(name)
		if ok != (want != "") || ok && j.Key() != want {
			t.Errorf("%s: %v %v", name, j, ok)
		}
	}
}

func TestRepositoriesAreJoinedByTheirID(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ago := func(d int) time.Time { return now.Add(-time.Duration(d) * 24 * time.Hour) }
	state := func(name string, aliases []string, repos ...*fleet.BackupRepo) fleet.State {
		var jobs []fleet.BackupJob
		for _, r := range repos {
			jobs = append(jobs, fleet.BackupJob{Name: "home", Tool: "restic", Repo: r})
		}
		return fleet.State{Host: fleet.Host{Name: name, Aliases: aliases}, Backups: fleet.Known(jobs, now, "test")}
	}
	hosts := []fleet.RepoHost{{Name: "storage.example.org", Snapshots: 5}, {Name: "old-cloud", Snapshots: 2}, {Name: "attic", Snapshots: 1}}
	got := fleet.Repositories([]fleet.State{
		state("storage", nil, &fleet.BackupRepo{ID: "a", At: ago(1), Snapshots: 7, Hosts: hosts[:2], Check: fleet.Upkeep{Since: ago(40)}, Prune: fleet.Upkeep{At: ago(9), OK: true}}),
		state("cloud", []string{"old-cloud"}, &fleet.BackupRepo{ID: "a", At: ago(0), Snapshots: 8, Hosts: hosts, Check: fleet.Upkeep{Since: ago(90)}, Prune: fleet.Upkeep{At: ago(2), By: "x"}}, &fleet.BackupRepo{ID: "b"}, &fleet.BackupRepo{}, nil),
	})
	if len(got) != 2 || got[1].ID != "a" || got[1].Snapshots != 8 || len(got[1].Jobs) != 2 || got[1].Jobs[1] != "cloud:restic/home" {
		t.Fatalf("%+v", got)
	}
	a := got[1]
	if !a.Check.At.IsZero() || !a.Check.Since.Equal(ago(90)) || a.Prune.OK || a.Prune.By != "x" {
		t.Errorf("%+v %+v", a.Check, a.Prune)
	}
	for i, want := range []string{"storage", "cloud", ""} {
		if h := a.Hosts[i]; h.Host != want || h.Orphan != (want == "") {
			t.Errorf("%+v, want %q", h, want)
		}
	}
}
