package fleet

import "time"

// BackupSnapshot is a snapshot of a backup job.
type BackupSnapshot struct {
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Host  string    `json:"host"`            // whose data it holds
	Label string    `json:"label,omitempty"` // rustic only
	Tags  []string  `json:"tags,omitempty"`
	Paths []string  `json:"paths"`
	Size  uint64    `json:"size,omitempty"`  // bytes of its files; 0: not told
	Added uint64    `json:"added,omitempty"` // bytes that the repository grew by; 0: not told
}

// Kinds of what is in a snapshot.
const (
	KindFile   = "file"
	KindFolder = "folder"
	KindLink   = "link"
	KindOther  = "other" // devices, sockets, pipes
)

// SnapshotFile is a file or folder in a snapshot.
type SnapshotFile struct {
	Name    string    `json:"name"` // fit to be shown
	Path    string    `json:"path"` // as it is in the snapshot: not to be shown as it is
	Kind    string    `json:"kind"`
	Size    uint64    `json:"size,omitempty"`
	Mode    string    `json:"mode,omitempty"` // -rw-r--r--
	Changed time.Time `json:"changed,omitzero"`
}

// FileList is one folder of a snapshot.
type FileList struct {
	Snapshot string         `json:"snapshot"`
	Path     string         `json:"path"`
	Files    []SnapshotFile `json:"files"`
	More     bool           `json:"more,omitempty"` // there are others
}

// FileChange is a path in which two snapshots differ. Sign is "+" where it came, "-"
// where it went, "M" where its content is another, "T" its type, "U" what is kept
// beside.
type FileChange struct {
	Sign string `json:"sign"`
	Path string `json:"path"` // fit to be shown
}

// SnapshotDiff is how two snapshots differ.
type SnapshotDiff struct {
	From    string       `json:"from"`
	To      string       `json:"to"`
	Changes []FileChange `json:"changes"`
	More    bool         `json:"more,omitempty"` // there are others
}

// RestoreTest is how a sample of a job's files came back from its newest snapshot.
type RestoreTest struct {
	At       time.Time `json:"at"`
	Snapshot string    `json:"snapshot"`
	Files    int       `json:"files"`         // read back in full
	Same     int       `json:"same"`          // of them: the same as on the host, where the file is as old as the snapshot
	Changed  int       `json:"changed"`       // of them: changed or gone on the host since, so only their size could be compared
	Bytes    uint64    `json:"bytes"`         // read back
	Bad      []string  `json:"bad,omitempty"` // what did not come back as it was, 20 at most
	Took     Seconds   `json:"took"`          // seconds
}

// Well tells whether all came back as it was, and something did.
func (r RestoreTest) Well() bool { return len(r.Bad) == 0 && r.Files > 0 }
