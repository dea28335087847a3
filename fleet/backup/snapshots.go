package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxSnapshots bounds how many snapshots of one repository are looked at.
const maxSnapshots = 200_000

// Snapshot is one snapshot of a repository of restic or rustic.
type Snapshot struct {
	ID    string    // 64 hex digits
	At    time.Time // when it was begun
	Host  string    // whose data it holds
	Label string    // rustic only
	Tags  []string
	Paths []string
	Size  uint64 // bytes of the files in it; 0: not told (restic before 0.17)
	Added uint64 // bytes that the repository grew by; 0: not told
}

// snapshotJSON is a snapshot as both tools write it; restic writes more.
type snapshotJSON struct {
	ID       string   `json:"id"`
	Time     string   `json:"time"`
	Hostname string   `json:"hostname"`
	Label    string   `json:"label"`
	Tags     []string `json:"tags"`
	Paths    []string `json:"paths"`
	Summary  *struct {
		Processed float64 `json:"total_bytes_processed"`
		Added     float64 `json:"data_added"`
		Packed    float64 `json:"data_added_packed"`
	} `json:"summary"`
}

// ParseRestic reads `restic snapshots --json`: a flat list, or groups with
// --group-by; null, by old versions, where there is none.
func ParseRestic(out []byte) ([]Snapshot, error) { return parseSnapshots(out, "restic") }

// ParseRustic reads `rustic snapshots --json` in its three shapes: pairs of
// group and list (up to 0.9.5), objects with group_key and snapshots (from
// 0.10 on), and a flat list (ungrouped).
func ParseRustic(out []byte) ([]Snapshot, error) { return parseSnapshots(out, "rustic") }

// archiveName is how archives are called by NixOS' module, and by borg's own examples.
var archiveName = regexp.MustCompile(`^(.+)-\d{4}-\d\d-\d\dT`)

// partArchive is how archives are called while they are made.
var partArchive = regexp.MustCompile(`\.(failed|checkpoint(\.\d+)?)$`)

// ParseBorg reads `borg list --json` of a job, with TZ=UTC: its times have no zone.
// An archive does not tell of which host it is: it is taken from the names that
// NixOS' module gives, HOST-JOB-TIME or HOST-TIME; another name stands in its place.
// What that module calls failed, or borg a checkpoint, is no whole archive.
func ParseBorg(out []byte, job string) ([]Snapshot, error) {
	var in struct {
		Archives []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
			Time string `json:"start"`
		} `json:"archives"`
	}
	if err := json.Unmarshal(out, &in); err != nil {
		return nil, fmt.Errorf("borg: its list of archives cannot be read: %s", say(err.Error()))
	}
	if in.Archives == nil {
		return nil, errors.New("borg: it prints no list of archives")
	}
	list := []Snapshot{}
	for _, a := range in.Archives[:min(len(in.Archives), maxSnapshots)] {
		if partArchive.MatchString(a.Name) {
			continue
		}
		at, err := time.Parse("2006-01-02T15:04:05.999999", a.Time)
		if err != nil {
			return nil, fmt.Errorf("borg: an archive's time is %q", say(a.Time))
		}
		name := fleet.Short(fleet.Clean(a.Name), 100)
		host := name
		if m := archiveName.FindStringSubmatch(name); m != nil {
			host = strings.TrimSuffix(m[1], "-"+job)
		}
		list = append(list, Snapshot{ID: fleet.Short(fleet.Clean(a.ID), 64), At: at.UTC(), Host: host})
	}
	return list, nil
}

func parseSnapshots(out []byte, tool string) ([]Snapshot, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(out, &items); err != nil {
		return nil, fmt.Errorf("%s: its list of snapshots cannot be read: %s", tool, say(err.Error()))
	}
	list := []Snapshot{}
	for _, item := range items {
		found, err := parseItem(item)
		if err != nil {
			return nil, fmt.Errorf("%s: its list of snapshots cannot be read: %w", tool, err)
		}
		if list = append(list, found...); len(list) > maxSnapshots {
			return nil, fmt.Errorf("%s: more than %d snapshots", tool, maxSnapshots)
		}
	}
	return list, nil
}

// parseItem reads one element of the outer list, in any of the shapes.
func parseItem(item json.RawMessage) ([]Snapshot, error) {
	if bytes.HasPrefix(bytes.TrimSpace(item), []byte("[")) { // [group, [snapshot, …]]
		var pair []json.RawMessage
		if err := json.Unmarshal(item, &pair); err != nil || len(pair) != 2 {
			return nil, errors.New("a group is no pair")
		}
		return parseList(pair[1])
	}
	var group struct {
		Snapshots json.RawMessage `json:"snapshots"`
	}
	if err := json.Unmarshal(item, &group); err != nil {
		return nil, errors.New("a snapshot is no object")
	}
	if group.Snapshots != nil {
		return parseList(group.Snapshots)
	}
	s, err := parseSnapshot(item)
	return []Snapshot{s}, err
}

func parseList(raw json.RawMessage) ([]Snapshot, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, errors.New("a group holds no list")
	}
	var list []Snapshot
	for _, item := range items {
		s, err := parseSnapshot(item)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func parseSnapshot(raw json.RawMessage) (Snapshot, error) {
	var in snapshotJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return Snapshot{}, errors.New("a snapshot has values of another kind")
	}
	at, err := time.Parse(time.RFC3339Nano, in.Time)
	if err != nil {
		return Snapshot{}, fmt.Errorf("a snapshot's time is %q", say(in.Time))
	}
	s := Snapshot{
		ID: fleet.Short(fleet.Clean(in.ID), 64), At: at.UTC(), Host: fleet.Clean(in.Hostname), Label: fleet.Clean(in.Label),
		Tags: fleet.CleanAll(in.Tags), Paths: fleet.CleanAll(in.Paths),
	}
	if in.Summary != nil {
		s.Size, s.Added = bytesOf(in.Summary.Processed), bytesOf(in.Summary.Added)
		if in.Summary.Packed > 0 { // as it is stored
			s.Added = bytesOf(in.Summary.Packed)
		}
	}
	return s, nil
}

// bytesOf is a number of bytes as tools write it; 0 where it is none.
func bytesOf(n float64) uint64 {
	if n > 0 && n < 1e18 {
		return uint64(n)
	}
	return 0
}

// maxSizes is of how many days sizes are kept.
const maxSizes = 31

// sizes are how much the snapshots of a job hold: the newest of each day, oldest
// first. None where the tool does not tell.
func sizes(list []Snapshot) []fleet.SizeAt {
	list = slices.DeleteFunc(slices.Clone(list), func(s Snapshot) bool { return s.Size == 0 })
	slices.SortFunc(list, func(a, b Snapshot) int { return b.At.Compare(a.At) })
	var out []fleet.SizeAt
	day := ""
	for _, s := range list {
		if d := s.At.Format(time.DateOnly); d != day && len(out) < maxSizes {
			out, day = append(out, fleet.SizeAt{At: s.At, Size: s.Size, Added: s.Added}), d
		}
	}
	slices.Reverse(out)
	return out
}

// ofHost keeps the snapshots of one host: a repository may be shared.
func ofHost(list []Snapshot, names []string) []Snapshot {
	return slices.DeleteFunc(slices.Clone(list), func(s Snapshot) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return n != "" && sameHost(n, s.Host) })
	})
}

// sameHost compares host names, of which one may have a domain.
func sameHost(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	a0, a1, _ := strings.Cut(a, ".")
	b0, b1, _ := strings.Cut(b, ".")
	return strings.EqualFold(a0, b0) && (a1 == "" || b1 == "")
}

// newest gives the snapshot that was made last. Where several paths or labels
// are saved into one repository, the newest of any counts.
func newest(list []Snapshot) (Snapshot, bool) {
	if len(list) == 0 {
		return Snapshot{}, false
	}
	return slices.MaxFunc(list, func(a, b Snapshot) int { return a.At.Compare(b.At) }), true
}
