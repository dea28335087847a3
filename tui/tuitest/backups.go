package tuitest

import (
	"context"
	"errors"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Snapshots implements fleet.Console: three of every job.
func (c *Console) Snapshots(_ context.Context, _ fleet.HostID, _ string) ([]fleet.BackupSnapshot, error) {
	if c.NoSnapshots != nil {
		return nil, c.NoSnapshots
	}
	var list []fleet.BackupSnapshot
	for i, id := range []string{"983504bd", "1bc82735", "aeb74f4e"} {
		list = append(list, fleet.BackupSnapshot{
			ID: id + "14eb8196aedf9698543dab6e978775028ea251cc922b038c8f0c3c", At: ago(time.Duration(i)*day + 9*time.Hour), Host: "storage", Paths: []string{"/srv/home", "/srv/photos"},
			Size: 3<<30 - uint64(i)*17<<20, Added: 17 << 20,
		})
	}
	return list, nil
}

// SnapshotFiles implements fleet.Console: a folder in a folder in the root.
func (c *Console) SnapshotFiles(_ context.Context, _ fleet.HostID, _, snapshot, path string) (fleet.FileList, error) {
	l := fleet.FileList{Snapshot: snapshot, Path: path}
	switch path {
	case "/":
		l.Files = []fleet.SnapshotFile{{Name: "srv", Path: "/srv", Kind: fleet.KindFolder, Mode: "drwxr-xr-x"}}
	case "/srv":
		l.Files = []fleet.SnapshotFile{
			{Name: "home", Path: "/srv/home", Kind: fleet.KindFolder, Mode: "drwxr-xr-x"}, {Name: "notes.txt", Path: "/srv/notes.txt", Kind: fleet.KindFile, Size: 1234, Mode: "-rw-r--r--", Changed: ago(3 * day)},
		}
	case "/srv/home":
		return l, errors.New("no answer within 60 s")
	}
	return l, nil
}

// SnapshotDiff implements fleet.Console.
func (c *Console) SnapshotDiff(_ context.Context, _ fleet.HostID, _, from, to string) (fleet.SnapshotDiff, error) {
	return fleet.SnapshotDiff{From: from, To: to, Changes: []fleet.FileChange{{Sign: "M", Path: "/srv/notes.txt"}, {Sign: "+", Path: "/srv/home/diary-1"}, {Sign: "-", Path: "/srv/old"}}}, nil
}
