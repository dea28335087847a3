package fleet

import (
	"slices"
	"time"
)

// BackupState is how a backup job stands against its own limit.
type BackupState string

// States of a backup job. Unknown is never counted as fresh.
const (
	BackupFresh   BackupState = "fresh"
	BackupStale   BackupState = "stale"
	BackupFailed  BackupState = "failed"
	BackupNever   BackupState = "never"
	BackupUnknown BackupState = "unknown"
)

// BackupJob is one job that saves data of a host. "The unit went well" and
// "the newest snapshot is from" are two facts, and kept apart.
type BackupJob struct {
	Name           string       `json:"name"`
	Tool           string       `json:"tool"` // restic, rustic, borg, backrest, …
	Unit           string       `json:"unit"`
	Timer          string       `json:"timer,omitempty"`
	State          BackupState  `json:"state"`
	Running        bool         `json:"running,omitempty"`
	LastRun        time.Time    `json:"lastRun,omitzero"`     // end of the unit's last run, well or not
	LastSuccess    time.Time    `json:"lastSuccess,omitzero"` // end of the unit's last good run
	NewestSnapshot time.Time    `json:"newestSnapshot,omitzero"`
	Snapshots      int          `json:"snapshots,omitempty"`
	Size           uint64       `json:"size,omitempty"`        // bytes the newest snapshot holds, where told
	Sizes          []SizeAt     `json:"sizes,omitempty"`       // of its snapshots, oldest first: the newest of each day, of 31 days at most; none where not told
	Paths          []string     `json:"paths,omitempty"`       // what its newest snapshot holds; none where not told
	Repo           *BackupRepo  `json:"repo,omitempty"`        // what it saves into; nil: not known
	RestoreTest    *RestoreTest `json:"restoreTest,omitempty"` // the last one; nil: never, or not known
	Next           time.Time    `json:"next,omitzero"`
	MaxAge         Seconds      `json:"maxAge"` // seconds
	Error          string       `json:"error"`
	Sources        []string     `json:"sources,omitempty"` // what told: "unit", "timer stamp", "backup-status", "snapshots"
}

// SizeAt is how much a snapshot holds.
type SizeAt struct {
	At    time.Time `json:"at"`
	Size  uint64    `json:"size"`            // bytes of the files in it
	Added uint64    `json:"added,omitempty"` // bytes that the repository grew by, where told
}

// GrowthSpan is the time over which growth is told, where snapshots go back as far.
const GrowthSpan = 30 * 24 * time.Hour

// Growth is by how many bytes the data have grown, or shrunk, until the newest
// snapshot, and within which time; no time where that is not known.
func (j BackupJob) Growth() (bytes int64, within time.Duration) {
	if len(j.Sizes) < 2 {
		return 0, 0
	}
	last := j.Sizes[len(j.Sizes)-1]
	for _, first := range j.Sizes[:len(j.Sizes)-1] {
		if d := last.At.Sub(first.At); d <= GrowthSpan+24*time.Hour {
			return int64(last.Size) - int64(first.Size), d
		}
	}
	return 0, 0
}

// Added is how many bytes the repository grew by with the newest snapshot; 0: not told.
func (j BackupJob) Added() uint64 {
	if len(j.Sizes) == 0 {
		return 0
	}
	return j.Sizes[len(j.Sizes)-1].Added
}

// Good is when the data were last known to be saved: by the newest snapshot where
// snapshots are known, else by the unit; zero: not known.
func (j BackupJob) Good() time.Time {
	if slices.Contains(j.Sources, "snapshots") || j.NewestSnapshot.After(j.LastSuccess) {
		return j.NewestSnapshot
	}
	return j.LastSuccess
}

// Worn is the age of the last good backup as a share of the job's limit: from 1 on
// it is stale. Negative: not known.
func (j BackupJob) Worn(now time.Time) float64 {
	good := j.Good()
	if good.IsZero() || j.MaxAge <= 0 {
		return -1
	}
	return max(0, now.Sub(good).Seconds()/float64(j.MaxAge))
}

// Key names the job among those of its host: "restic/home".
func (j BackupJob) Key() string { return j.Tool + "/" + j.Name }

// Job finds a backup job of the host by its key, its name or its unit. Where several
// have the name, none is meant.
func (s State) Job(name string) (BackupJob, bool) {
	var found []BackupJob
	for _, j := range s.Backups.Value {
		switch {
		case j.Key() == name:
			return j, true
		case j.Name == name || j.Unit == name || j.Unit == name+".service":
			found = append(found, j)
		}
	}
	if len(found) != 1 {
		return BackupJob{}, false
	}
	return found[0], true
}
