package nixops

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// repositoryLimit is how long asking for the state of a repository may take.
const repositoryLimit = time.Minute

// Repository reads how the flake's repository stands, and how far from its
// newest commit these revisions are. A flake in a folder of this machine is asked
// with git alone: nix would copy it. Nothing is evaluated.
func (f Flake) Repository(ctx context.Context, revisions []string) (fleet.Repository, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, repositoryLimit, fmt.Errorf("no answer within %s", repositoryLimit))
	defer cancel()
	dir := f.folder()
	if dir == "" {
		r, err := f.remote(ctx)
		if err != nil {
			return r, fmt.Errorf("reading %s: %w", f.Ref, err)
		}
		return r, nil
	}
	r := fleet.Repository{Ref: f.Ref}
	lock, err := os.ReadFile(filepath.Join(dir, "flake.lock"))
	if err == nil {
		r.Nixpkgs, r.Locked = nixpkgs(lock)
	}
	g := repo{dir}
	head, err := g.run(ctx, "log", "-1", "--format=%H %ct", "HEAD")
	if err != nil {
		if errors.Is(err, errNoRepository) {
			return r, nil
		}
		return r, fmt.Errorf("reading %s: %w", f.Ref, err)
	}
	rev, at, _ := strings.Cut(head, " ")
	sec, _ := strconv.ParseInt(at, 10, 64)
	r.Revision, r.Committed = rev, time.Unix(sec, 0).UTC()
	changed, err := g.run(ctx, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return r, fmt.Errorf("reading %s: %w", f.Ref, err)
	}
	if r.Dirty = changed != ""; r.Dirty {
		r.Changes = g.changes(ctx)
	}
	r.Distances = g.distances(ctx, r.Revision, revisions)
	return r, nil
}

// folder is where the flake lies on this machine; "" it does not.
func (f Flake) folder() string {
	ref, _, _ := strings.Cut(f.Ref, "?")
	for _, scheme := range []string{"git+file://", "git+file:", "path:"} {
		if rest, ok := strings.CutPrefix(ref, scheme); ok {
			ref, _ = url.PathUnescape(rest)
			break
		}
	}
	if !strings.HasPrefix(ref, "/") && !strings.HasPrefix(ref, ".") {
		return ""
	}
	if info, err := os.Stat(ref); err != nil || !info.IsDir() {
		return ""
	}
	return ref
}

// Local tells whether the flake lies on this machine.
func (f Flake) Local() bool { return f.folder() != "" }

// remote asks nix for a flake that is elsewhere.
func (f Flake) remote(ctx context.Context) (fleet.Repository, error) {
	r := fleet.Repository{Ref: f.Ref}
	out, err := runNix(ctx, nil, "flake", "metadata", "--json", "--no-write-lock-file", f.Ref)
	if err != nil {
		return r, err
	}
	var meta struct {
		Revision, DirtyRevision string
		LastModified            int64
		Locks                   json.RawMessage
	}
	if err := json.Unmarshal(out, &meta); err != nil {
		return r, err
	}
	r.Revision = fleet.Clean(cmp.Or(meta.Revision, strings.TrimSuffix(meta.DirtyRevision, "-dirty")))
	r.Dirty = meta.DirtyRevision != ""
	if meta.LastModified > 0 {
		r.Committed = time.Unix(meta.LastModified, 0).UTC()
	}
	r.Nixpkgs, r.Locked = nixpkgs(meta.Locks)
	return r, nil
}

// nixpkgs reads of a flake.lock (version 7) when the nixpkgs of the root was
// made, and its revision. Zero: there is none.
func nixpkgs(lock []byte) (time.Time, string) {
	type node struct {
		Inputs map[string]json.RawMessage
		Locked struct {
			LastModified int64
			Rev, Repo    string
		}
	}
	var l struct {
		Root  string
		Nodes map[string]node
	}
	if json.Unmarshal(lock, &l) != nil {
		return time.Time{}, ""
	}
	best := node{}
	for name, raw := range l.Nodes[l.Root].Inputs {
		var id string
		if json.Unmarshal(raw, &id) != nil {
			continue // it follows an input of another input
		}
		n := l.Nodes[id]
		if name == "nixpkgs" {
			best = n
			break
		}
		if n.Locked.Repo == "nixpkgs" && n.Locked.LastModified > best.Locked.LastModified {
			best = n
		}
	}
	if best.Locked.LastModified == 0 {
		return time.Time{}, ""
	}
	return time.Unix(best.Locked.LastModified, 0).UTC(), fleet.Clean(best.Locked.Rev)
}

// repo is a folder in a git repository.
type repo struct{ dir string }

var errNoRepository = errors.New("it is in no git repository")

// run gives what git prints.
func (g repo) run(ctx context.Context, args ...string) (string, error) {
	cmd := here(ctx, "git", append([]string{"-C", g.dir}, args...)...)
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := finish(ctx, cmd); err != nil {
		why := fleet.Short(fleet.Clean(lastLine(said.Bytes())), 200)
		if strings.Contains(why, "not a git repository") {
			return "", errNoRepository
		}
		return "", fmt.Errorf("git %s: %s", args[0], cmp.Or(why, err.Error()))
	}
	return strings.TrimSpace(out.String()), nil
}

// changes is a word for the files that differ from the newest commit, as they are
// now. They are not read: each write moves the time of a file. "": it cannot be told.
func (g repo) changes(ctx context.Context) string {
	top, err := g.run(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return ""
	}
	names, err := g.run(ctx, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", "HEAD")
	if err != nil {
		return ""
	}
	sum := sha256.New()
	for name := range strings.SplitSeq(strings.TrimRight(names, "\x00"), "\x00") {
		fmt.Fprintf(sum, "%q ", name)
		if info, err := os.Lstat(filepath.Join(top, name)); err == nil {
			fmt.Fprintln(sum, info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// commit is what a revision looks like; others are never handed to git.
var commit = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// distances counts the commits between each revision and the newest one.
func (g repo) distances(ctx context.Context, newest string, revisions []string) map[string]fleet.Distance {
	out := map[string]fleet.Distance{}
	for _, r := range revisions {
		r = strings.TrimSuffix(r, "-dirty")
		if _, have := out[r]; have || !commit.MatchString(r) {
			continue
		}
		if _, err := g.run(ctx, "cat-file", "-e", r+"^{commit}"); err != nil {
			if ctx.Err() == nil {
				out[r] = fleet.Distance{Lost: true}
			}
			continue
		}
		text, err := g.run(ctx, "rev-list", "--left-right", "--count", r+"..."+newest)
		ahead, behind, ok := strings.Cut(text, "\t")
		if err != nil || !ok {
			continue
		}
		a, errA := strconv.Atoi(ahead)
		b, errB := strconv.Atoi(behind)
		if errA == nil && errB == nil {
			out[r] = fleet.Distance{Ahead: a, Behind: b}
		}
	}
	return out
}

// Path evaluates the system of an attribute and gives its store path; nothing is
// built.
func (f Flake) Path(ctx context.Context, attribute string) (string, error) {
	out, err := runNix(ctx, nil, "eval", "--raw", f.toplevel(attribute)+".outPath")
	if err != nil {
		return "", fmt.Errorf("evaluating %s: %w", attribute, err)
	}
	path := strings.TrimSpace(fleet.Clean(string(out)))
	if !strings.HasPrefix(path, "/nix/store/") {
		return "", fmt.Errorf("evaluating %s: %q is no store path", attribute, fleet.Short(path, 100))
	}
	return path, nil
}

// Folder is where the flake lies on this machine; "" it does not.
func (f Flake) Folder() string { return f.folder() }

// EvaluateFile gives what a Nix file on this machine is, as JSON.
func EvaluateFile(ctx context.Context, file string) ([]byte, error) {
	out, err := runNix(ctx, nil, "eval", "--json", "--file", file)
	if err != nil {
		return nil, fmt.Errorf("evaluating %s: %w", file, err)
	}
	return out, nil
}
