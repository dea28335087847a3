package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of what is read of a snapshot.
const (
	maxFiles   = 20_000
	maxChanges = 100_000
	maxListing = 30 << 20 // bytes
)

// snapshotID is what a snapshot is named by: what is not one could be an option.
var snapshotID = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// checked holds that an ID of a snapshot and a path are such.
func checked(id, p string) error {
	switch {
	case !snapshotID.MatchString(id):
		return fmt.Errorf("%q is no ID of a snapshot: at least 8 hex digits of one", fleet.Short(fleet.Clean(id), 80))
	case !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) || path.Clean(p) != p:
		return fmt.Errorf("%q is no path in a snapshot: it begins with / and has no . or .. in it", fleet.Short(fleet.Clean(p), 80))
	}
	return nil
}

// Snapshots reads the snapshots of a job, newest first: those of the host that may
// be the job's by label, tags and paths.
func Snapshots(ctx context.Context, l link.Link, st fleet.State, j fleet.BackupJob) ([]fleet.BackupSnapshot, error) {
	if err := workable(j); err != nil {
		return nil, err
	}
	e := evidence{BackupJob: j}
	all, err := list(ctx, l, e)
	if err != nil {
		return nil, err
	}
	f := listing{name: j.Name, all: all, ties: readTies(ctx, l, []evidence{e})[j.Unit]}
	f.keepHost(hostNames(st))
	out := []fleet.BackupSnapshot{}
	for _, s := range f.ours {
		if fitOf(f.ties, s) != fitNot {
			out = append(out, fleet.BackupSnapshot{ID: s.ID, At: s.At, Host: s.Host, Label: s.Label, Tags: s.Tags, Paths: s.Paths, Size: s.Size, Added: s.Added})
		}
	}
	slices.SortFunc(out, func(a, b fleet.BackupSnapshot) int { return b.At.Compare(a.At) })
	return out, nil
}

// Files reads one folder of a snapshot; of a file that one.
func Files(ctx context.Context, l link.Link, j fleet.BackupJob, id, folder string) (fleet.FileList, error) {
	out := fleet.FileList{Snapshot: id, Path: folder, Files: []fleet.SnapshotFile{}}
	if err := errors.Join(workable(j), checked(id, folder)); err != nil {
		return out, err
	}
	args := []string{"ls", "--json", "--no-lock", id, folder}
	if j.Tool == "rustic" {
		args = []string{"ls", "-l", id + ":" + folder}
	}
	res, err := ask(ctx, l, j, asked{args: args, bytes: maxListing})
	if err != nil {
		return out, err
	}
	if j.Tool == "rustic" {
		out.Files, err = parseLong(res.Stdout, folder)
	} else {
		out.Files, err = parseNodes(res.Stdout, folder)
	}
	if err == nil && len(out.Files) == 0 && folder != "/" && j.Tool == "restic" {
		err = fmt.Errorf("there is no %s in the snapshot, or it is empty", fleet.Clean(folder))
	}
	if len(out.Files) > maxFiles {
		out.Files, out.More = out.Files[:maxFiles], true
	}
	return out, err
}

// parseNodes reads `restic ls --json`: a line each, that of the snapshot first, and
// then the folder itself.
func parseNodes(b []byte, folder string) ([]fleet.SnapshotFile, error) {
	list := []fleet.SnapshotFile{}
	kinds := map[string]string{"file": fleet.KindFile, "dir": fleet.KindFolder, "symlink": fleet.KindLink}
	for line := range bytes.Lines(b) {
		var n struct {
			Type, Path, Permissions string
			Size                    float64
			Time                    time.Time `json:"mtime"`
			Struct                  string    `json:"struct_type"`
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := json.Unmarshal(line, &n); err != nil {
			return nil, fmt.Errorf("restic: its list of files cannot be read: %s", say(err.Error()))
		}
		if n.Struct != "node" || !strings.HasPrefix(n.Path, "/") || n.Path == folder && n.Type == "dir" {
			continue
		}
		kind, ok := kinds[n.Type]
		if !ok {
			kind = fleet.KindOther
		}
		list = append(list, fleet.SnapshotFile{Name: fleet.Clean(path.Base(n.Path)), Path: n.Path, Kind: kind, Size: bytesOf(n.Size), Mode: fleet.Clean(n.Permissions), Changed: n.Time.UTC()})
	}
	return list, nil
}

// long is a line of `rustic ls -l`: mode, user, group, size, time, and the name as
// Rust writes texts; of a link also where it leads.
var long = regexp.MustCompile(`^([-a-zA-Z]{10})\s+(\S+)\s+(\S+)\s+(\d+)\s+(\d+ \w{3} \d{4} \d\d:\d\d|\?|-)\s+("(?:[^"\\]|\\.)*")`)

// parseLong reads `rustic ls -l`, whose JSON holds nothing but names.
func parseLong(b []byte, folder string) ([]fleet.SnapshotFile, error) {
	list := []fleet.SnapshotFile{}
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		m := long.FindStringSubmatch(sc.Text())
		if m == nil {
			if strings.TrimSpace(sc.Text()) == "" {
				continue
			}
			return nil, fmt.Errorf("rustic: its list of files cannot be read: %s", say(sc.Text()))
		}
		name, err := unquote(m[6])
		if err != nil {
			return nil, fmt.Errorf("rustic: its list of files cannot be read: %w", err)
		}
		size, _ := strconv.ParseUint(m[4], 10, 64)
		at, _ := time.Parse("2 Jan 2006 15:04", m[5])
		f := fleet.SnapshotFile{Name: fleet.Clean(name), Path: path.Join(folder, name), Kind: fleet.KindOther, Size: size, Mode: m[1], Changed: at}
		switch m[1][0] {
		case '-':
			f.Kind = fleet.KindFile
			if path.Base(folder) == name && b[0] == '-' && bytes.Count(b, []byte("\n")) == 1 { // the file that was asked for
				f.Path = folder
			}
		case 'd':
			f.Kind, f.Size = fleet.KindFolder, 0
		case 'l':
			f.Kind = fleet.KindLink
		}
		if strings.Contains(name, "/") || name == ".." {
			return nil, fmt.Errorf("rustic: a name in its list of files is %q", say(name))
		}
		list = append(list, f)
	}
	return list, sc.Err()
}

// unquote reads a text as Rust's {:?} writes it.
func unquote(s string) (string, error) {
	var b strings.Builder
	for s = strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`); s != ""; {
		if s[0] != '\\' || len(s) < 2 {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		switch rest := s[2:]; s[1] {
		case 'n', 'r', 't', '0':
			b.WriteString(map[byte]string{'n': "\n", 'r': "\r", 't': "\t", '0': "\x00"}[s[1]])
			s = rest
		case 'u': // \u{1b}
			hex, tail, ok := strings.Cut(strings.TrimPrefix(rest, "{"), "}")
			n, err := strconv.ParseUint(hex, 16, 21)
			if !ok || err != nil {
				return "", fmt.Errorf("an escape in %q is none", fleet.Short(fleet.Clean(s), 40))
			}
			b.WriteRune(rune(n)) //nolint:gosec // 21 bits
			s = tail
		case 'x': // \xff: a byte that is no text
			n, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
			if err != nil || len(rest) < 2 {
				return "", fmt.Errorf("an escape in %q is none", fleet.Short(fleet.Clean(s), 40))
			}
			b.WriteByte(byte(n))
			s = rest[2:]
		default:
			b.WriteByte(s[1])
			s = rest
		}
	}
	return b.String(), nil
}

// Difference reads how two snapshots of a job differ.
func Difference(ctx context.Context, l link.Link, j fleet.BackupJob, from, to string) (fleet.SnapshotDiff, error) {
	out := fleet.SnapshotDiff{From: from, To: to, Changes: []fleet.FileChange{}}
	if err := errors.Join(workable(j), checked(from, "/"), checked(to, "/")); err != nil {
		return out, err
	}
	args := []string{"diff", "--json", "--no-lock", from, to}
	if j.Tool == "rustic" {
		args = []string{"diff", from, to}
	}
	res, err := ask(ctx, l, j, asked{args: args, bytes: maxListing})
	if err != nil {
		return out, err
	}
	out.Changes, err = parseChanges(res.Stdout, j.Tool)
	if len(out.Changes) > maxChanges {
		out.Changes, out.More = out.Changes[:maxChanges], true
	}
	return out, err
}

// change is a line of a difference as text: the sign, and the path, by rustic as
// Rust writes texts.
var change = regexp.MustCompile(`^([-+MTU?]{1,2})\s+(\S.*)$`)

// parseChanges reads a difference: JSON lines of restic, text of rustic and of
// restics that print text whatever they are asked.
func parseChanges(b []byte, tool string) ([]fleet.FileChange, error) {
	list := []fleet.FileChange{}
	for line := range bytes.Lines(b) {
		line = bytes.TrimRight(line, "\r\n")
		if bytes.HasPrefix(line, []byte("{")) {
			var c struct {
				Type     string `json:"message_type"`
				Path     string `json:"path"`
				Modifier string `json:"modifier"`
			}
			if err := json.Unmarshal(line, &c); err != nil {
				return nil, fmt.Errorf("%s: the difference cannot be read: %s", tool, say(err.Error()))
			}
			if c.Type == "change" {
				list = append(list, fleet.FileChange{Sign: fleet.Short(fleet.Clean(c.Modifier), 3), Path: fleet.Clean(c.Path)})
			}
			continue
		}
		m := change.FindStringSubmatch(string(line))
		if m == nil { // what is counted at the end
			continue
		}
		p := m[2]
		if strings.HasPrefix(p, `"`) {
			var err error
			if p, err = unquote(p); err != nil {
				return nil, fmt.Errorf("%s: the difference cannot be read: %w", tool, err)
			}
			p = path.Join("/", p)
		}
		list = append(list, fleet.FileChange{Sign: m[1], Path: fleet.Clean(p)})
	}
	return list, nil
}
