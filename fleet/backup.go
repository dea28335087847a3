package fleet

import "time"

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
	Name           string      `json:"name"`
	Tool           string      `json:"tool"` // restic, rustic, borg, backrest, …
	Unit           string      `json:"unit"`
	Timer          string      `json:"timer,omitempty"`
	State          BackupState `json:"state"`
	Running        bool        `json:"running,omitempty"`
	LastRun        time.Time   `json:"lastRun,omitzero"`     // end of the unit's last run, well or not
	LastSuccess    time.Time   `json:"lastSuccess,omitzero"` // end of the unit's last good run
	NewestSnapshot time.Time   `json:"newestSnapshot,omitzero"`
	Snapshots      int         `json:"snapshots,omitempty"`
	Size           uint64      `json:"size,omitempty"` // bytes the newest snapshot holds, where told
	Next           time.Time   `json:"next,omitzero"`
	MaxAge         Seconds     `json:"maxAge"` // seconds
	Error          string      `json:"error"`
	Sources        []string    `json:"sources,omitempty"` // what told: "unit", "timer stamp", "backup-status", "snapshots"
}
