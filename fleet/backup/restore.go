package backup

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Bounds of what is restored.
const (
	restoreLimit = 6 * time.Hour
	maxHere      = 64 << 30  // bytes that are brought here
	maxEntries   = 1_000_000 // files and folders
	maxLeft      = 20        // names of what was left out
	keepFree     = 64 << 20  // bytes that stay free on the host, beside what may come until it is looked again
	lookAgain    = time.Second
)

// RestoreDir is where on a host things are restored to, each in a folder of its own.
const RestoreDir = "/var/lib/sextant/restore"

// Restored is what came of a restore.
type Restored struct {
	Folder string   `json:"folder"` // new: nothing that was there is touched
	Files  int      `json:"files"`
	Bytes  uint64   `json:"bytes"`
	Left   []string `json:"left,omitempty"` // what was left out, and why; the first 20
}

// folderScript makes a new folder for what is restored: $1 is its name, $2 how
// many bytes must be free.
const folderScript = `# Makes a folder for what is restored from a backup.
umask 077
mkdir -p "${1%/*}" && mkdir "$1" || exit
free=$(df -P -B1 "$1" | awk 'NR == 2 { print $4 }')
if [ "$2" -gt "${free:-0}" ]; then
	rmdir "$1"
	echo "there are $free bytes free, and $2 are needed" >&2
	exit 28
fi
`

// countScript tells what is in a folder: how many files, and their bytes; and what is
// free on its disk.
const countScript = `# Counts what was restored from a backup.
echo "$(find "$1" ! -type d | wc -l) $(du -sb "$1" | cut -f1) $(df -P -B1 "$1" | awk 'NR == 2 { print $4 }')"
`

// RestoreThere restores one path of a snapshot into a new folder on the host. Where
// it fails, or ctx ends, what was restored until then is left, and the error says where.
// It stops itself before the disk is full: how much a folder holds is not known before.
func RestoreThere(ctx context.Context, l link.Link, j fleet.BackupJob, id, what string, progress func(bytes uint64)) (Restored, error) {
	var out Restored
	f, err := fileOf(ctx, l, j, id, what)
	if err != nil {
		return out, err
	}
	name := fileName(j) + "-" + time.Now().UTC().Format("20060102-150405.000")
	dir, unit := RestoreDir+"/"+name, "sextant-restore-"+unitName(name)
	cmd := link.Script(folderScript, dir, strconv.FormatUint(f.Size, 10))
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err == nil && res.Status != 0 {
		err = fmt.Errorf("%s cannot be made: %s", dir, complaint(res.Stderr))
	}
	if err != nil {
		return out, err
	}
	out.Folder = dir
	err = watched(ctx, l, dir, progress, func(ctx context.Context) error {
		_, err := ask(ctx, l, j, asked{args: restoreArgs(j, f, id, dir), limit: restoreLimit, as: "-" + unit})
		return err
	})
	if err != nil {
		stop(ctx, l, unit+".service")
	}
	n, cerr := counted(context.WithoutCancel(ctx), l, dir)
	out.Files, out.Bytes = n.files, n.bytes
	switch {
	case err != nil && n.files > 0:
		return out, fmt.Errorf("%w; %s that came until then are in %s", err, fleet.Count(n.files, "file"), dir)
	case err == nil && cerr == nil && n.files == 0 && f.Kind != fleet.KindFolder:
		return out, fmt.Errorf("nothing was restored of %s", fleet.Clean(f.Path))
	}
	return out, errors.Join(err, cerr)
}

// restoreArgs is what the tool of a job is told to restore f of a snapshot into dir.
func restoreArgs(j fleet.BackupJob, f fleet.SnapshotFile, id, dir string) []string {
	if j.Tool != "rustic" {
		return []string{"restore", "--no-lock", "--target", dir, "--include", literal(f.Path), id}
	}
	if f.Kind != fleet.KindFolder {
		dir = path.Join(dir, path.Base(f.Path))
	}
	return []string{"restore", id + ":" + f.Path, dir}
}

// fileName is how what is kept of a job is called.
func fileName(j fleet.BackupJob) string { return strings.ReplaceAll(j.Tool+"-"+j.Name, "/", "-") }

// unitName is a name as a unit of systemd may have it.
func unitName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r)) {
			return r
		}
		return '_'
	}, name)
}

// stop has the host end a unit that ctx does not wait for any more. What cannot be
// ended has its own limit of time there.
func stop(ctx context.Context, l link.Link, unit string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	_, _ = l.Run(ctx, link.Command{Root: true, Args: []string{"systemctl", "stop", unit}})
}

// literal is a path as a pattern of restic that matches it alone.
func literal(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

// watched does what fills a folder, and tells meanwhile how much has come. It is ended
// where hardly any room is left on the folder's disk.
func watched(ctx context.Context, l link.Link, dir string, progress func(uint64), do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		var last count
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lookAgain):
			}
			n, err := counted(ctx, l, dir)
			if err != nil {
				continue
			}
			if n.full(last) {
				cancel(fmt.Errorf("it was stopped: %d MiB are left on the disk of %s", n.free>>20, dir))
				return
			}
			if last = n; progress != nil {
				progress(n.bytes)
			}
		}
	}()
	err := do(ctx)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	cancel(nil)
	<-over
	return err
}

// count is what was restored into a folder, and the bytes that are free on its disk.
type count struct {
	files       int
	bytes, free uint64
}

// full tells whether the disk may be full when it is looked again, by what came since last.
func (n count) full(last count) bool {
	return n.free < keepFree+2*(n.bytes-min(n.bytes, last.bytes))
}

func counted(ctx context.Context, l link.Link, dir string) (n count, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := link.Script(countScript, dir)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return n, err
	}
	if _, err := fmt.Sscan(string(res.Stdout), &n.files, &n.bytes, &n.free); err != nil {
		return n, fmt.Errorf("what is in %s cannot be counted: %s", dir, complaint(res.Stderr))
	}
	return n, nil
}

// fileOf finds what a path is in a snapshot.
func fileOf(ctx context.Context, l link.Link, j fleet.BackupJob, id, what string) (fleet.SnapshotFile, error) {
	if err := checked(id, what); err != nil || what == "/" {
		return fleet.SnapshotFile{Path: what, Kind: fleet.KindFolder}, err
	}
	list, err := Files(ctx, l, j, id, path.Dir(what))
	if err == nil && list.More {
		err = fmt.Errorf("its folder has more than %d files, and it is not among the first of them: restore the folder", maxFiles)
	}
	for _, f := range list.Files {
		if f.Path == what {
			return f, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("there is no %s in the snapshot", fleet.Clean(what))
	}
	return fleet.SnapshotFile{}, err
}

// RestoreHere brings one path of a snapshot into a new folder of this machine.
// Nothing in what comes leads out of it: links and devices are left out, files are
// for their owner alone. Nothing is left where it did not come whole.
func RestoreHere(ctx context.Context, l link.Link, j fleet.BackupJob, id, what, to string, progress func(bytes uint64)) (out Restored, err error) {
	f, err := fileOf(ctx, l, j, id, what)
	switch {
	case err != nil:
		return out, err
	case f.Kind != fleet.KindFile && f.Kind != fleet.KindFolder:
		return out, fmt.Errorf("%s is a %s: only files and folders are brought here", fleet.Clean(what), f.Kind)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return out, err
	}
	out.Folder = to
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(to)) // it is new: all in it is ours
		}
	}()
	root, err := os.OpenRoot(to)
	if err != nil {
		return out, err
	}
	defer root.Close()
	args := []string{"dump", "--no-lock", "--archive", "tar", id, what}
	if j.Tool == "rustic" {
		format := map[string]string{fleet.KindFile: "content", fleet.KindFolder: "tar"}[f.Kind]
		args = []string{"dump", "--archive", format, id + ":" + what}
	}
	ctx, cancel := context.WithTimeout(ctx, restoreLimit)
	defer cancel()
	p, err := l.Start(ctx, asked{args: args, limit: restoreLimit}.command(j))
	if err != nil {
		return out, err
	}
	defer p.Close()
	u := unpacker{root: root, out: &out, progress: progress}
	if f.Kind == fleet.KindFile {
		err = u.file(fit(path.Base(what)), p)
	} else {
		err = u.all(tar.NewReader(p))
		_, _ = io.Copy(io.Discard, io.LimitReader(p, 1<<20)) // what pads an archive
	}
	if err != nil { // nobody takes what would still come, and who sends it would wait
		return out, err
	}
	res, werr := p.Wait()
	if werr == nil {
		werr = ended(j.Tool, res)
	}
	if werr != nil {
		return out, werr
	}
	if f.Kind == fleet.KindFile && out.Bytes != f.Size {
		err = fmt.Errorf("%d bytes came of %d", out.Bytes, f.Size)
	}
	return out, cmp.Or(err, ctx.Err())
}

// fit is a name that a file may have here.
func fit(name string) string { return strings.ReplaceAll(name, "\x00", "_") }

// unpacker unpacks what comes into a folder.
type unpacker struct {
	root     *os.Root
	out      *Restored
	entries  int
	progress func(uint64)
}

func (u *unpacker) all(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the archive cannot be read: %w", err)
		}
		if u.entries++; u.entries > maxEntries {
			return fmt.Errorf("more than %d files", maxEntries)
		}
		name := strings.TrimPrefix(path.Join("/", h.Name), "/")
		if strings.Contains("/"+h.Name+"/", "/../") || strings.ContainsRune(h.Name, 0) {
			return fmt.Errorf("the archive has a path that leads out of it: %s", fleet.Short(fleet.Clean(h.Name), 100))
		}
		switch {
		case name == "":
		case h.Typeflag == tar.TypeDir:
			err = u.root.MkdirAll(name, 0o700)
		case h.Typeflag == tar.TypeReg:
			if err = u.root.MkdirAll(path.Dir(name), 0o700); err == nil {
				err = u.file(name, in)
			}
		default:
			u.leave(h)
		}
		if err != nil {
			return err
		}
	}
}

// leave keeps that something was left out.
func (u *unpacker) leave(h *tar.Header) {
	why := "no plain file"
	if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink {
		why = "a link to " + h.Linkname
	}
	if len(u.out.Left) < maxLeft {
		u.out.Left = append(u.out.Left, fleet.Short(fleet.Clean(h.Name+": "+why), 200))
	}
}

func (u *unpacker) file(name string, in io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	room := int64(maxHere) - int64(u.out.Bytes) //nolint:gosec // both are bounded
	n, err := io.Copy(f, io.LimitReader(&counting{in, u}, room+1))
	if err == nil && n > room {
		err = fmt.Errorf("more than %d GiB", maxHere>>30)
	}
	u.out.Files++
	return errors.Join(err, f.Close())
}

// counting counts what is read for who waits.
type counting struct {
	io.Reader
	u *unpacker
}

// Read reads on.
func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.u.out.Bytes += uint64(n) //nolint:gosec // n is no less than 0
	if c.u.progress != nil {
		c.u.progress(c.u.out.Bytes)
	}
	return n, err
}

// Bounds of a restore test.
const (
	testFiles   = 20       // at most, where nothing else is said
	testBytes   = 64 << 20 // together
	testFolders = 40       // looked into to find them
	testLimit   = 20 * time.Minute
)

// TestsDir is where a host keeps how restore tests ended, a file a job, a line a test.
const TestsDir = "/var/lib/sextant/restore-tests"

// testScript reads files of a snapshot back and compares them with those of the host:
// $1 is how the tool is asked, $2 to $5 as there, $6 the snapshot and $7 its time in
// seconds; the others are the paths. A line each: how the tool ended, the sum and the
// bytes that came, and of the host "same", "differs" or "changed".
const testScript = `# Reads files of a backup back, and compares them.
through=$1 tool=$2 name=$3 unit=$4 limit=$5 id=$6 at=$7
shift 7
tmp=$(mktemp -d) || exit
trap 'rm -rf "$tmp"' EXIT
for p; do
	case $tool in
	rustic) set -- dump --archive content "$id:$p" ;;
	*) set -- dump --no-lock "$id" "$p" ;;
	esac
	{ sh -c "$through" sextant "$tool" "$name" "$unit" "$limit" - "$@" 2>"$tmp/error"; echo $? >"$tmp/status"; } | tee "$tmp/count" | sha256sum | cut -d' ' -f1 >"$tmp/sum"
	size=$(wc -c <"$tmp/count")
	rm -f "$tmp/count"
	live=changed
	if [ -f "$p" ] && [ ! -L "$p" ] && [ "$(stat -c %Y "$p")" -lt "$at" ] && [ "$(stat -c %s "$p")" = "$size" ]; then
		live=differs
		[ "$(sha256sum <"$p" | cut -d' ' -f1)" != "$(cat "$tmp/sum")" ] || live=same
	fi
	echo "$(cat "$tmp/status") $size $live $(tail -n 1 "$tmp/error" | tr -d '\n')"
done
`

// keepScript appends the result $2 of a restore test to the file $1.
const keepScript = `# Keeps how a restore test of a backup ended.
umask 077
mkdir -p "${1%/*}" || exit
{ tail -n 19 "$1" 2>/dev/null; printf '%s\n' "$2"; } >"$1.new" && mv "$1.new" "$1"
`

// Test reads a sample of files of the newest snapshot of a job back, and compares
// them with those of the host that are as old as the snapshot. The host keeps how it
// ended. say is told how far it is.
func Test(ctx context.Context, l link.Link, st fleet.State, j fleet.BackupJob, count int, say func(string)) (fleet.RestoreTest, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, testLimit, fmt.Errorf("not done within %s", testLimit))
	defer cancel()
	snapshots, err := Snapshots(ctx, l, st, j)
	if err == nil && len(snapshots) == 0 {
		err = errors.New("there is no snapshot of this job")
	}
	if err != nil {
		return fleet.RestoreTest{}, err
	}
	newest := snapshots[0]
	say("snapshot " + fleet.Short(newest.ID, 9) + ": choosing files")
	files, err := sampleOf(ctx, l, j, newest, cmp.Or(count, testFiles))
	if err != nil {
		return fleet.RestoreTest{}, err
	}
	say(fmt.Sprintf("reading %d files back", len(files)))
	args := []string{throughScript, j.Tool, j.Name, j.Unit, strconv.Itoa(int(perSource.Seconds())), newest.ID, strconv.FormatInt(newest.At.Unix(), 10)}
	for _, f := range files {
		args = append(args, f.Path)
	}
	cmd := link.Script(testScript, args...)
	cmd.Root = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return fleet.RestoreTest{}, err
	}
	t := compared(string(res.Stdout), files)
	t.At, t.Snapshot, t.Took = began.UTC(), newest.ID, fleet.Seconds(time.Since(began).Seconds())
	line, err := json.Marshal(t)
	if err != nil {
		return t, err
	}
	keep := link.Script(keepScript, testsFile(j), string(line))
	keep.Root = true
	if res, err := l.Run(ctx, keep); err != nil || res.Status != 0 {
		return t, fmt.Errorf("how it ended cannot be kept in %s: %s", TestsDir, cmp.Or(complaint(res.Stderr), fmt.Sprint(err)))
	}
	return t, nil
}

// testsFile is where the results of a job are kept.
func testsFile(j fleet.BackupJob) string {
	return TestsDir + "/" + fileName(j)
}

// compared reads what testScript printed.
func compared(out string, files []fleet.SnapshotFile) fleet.RestoreTest {
	var t fleet.RestoreTest
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for i, f := range files {
		var status int
		var size uint64
		var live string
		bad := func(why string) {
			if len(t.Bad) < maxLeft {
				t.Bad = append(t.Bad, fleet.Short(fleet.Clean(f.Path), 150)+": "+why)
			}
		}
		if i >= len(lines) {
			bad("nothing was told of it")
			continue
		}
		n, _ := fmt.Sscan(lines[i], &status, &size, &live)
		_, text, _ := strings.Cut(lines[i], live)
		switch {
		case n < 3:
			bad("what came of it was not told")
			continue
		case status != 0:
			bad(fmt.Sprintf("it did not come back (exit code %d): %s", status, say(text)))
			continue
		}
		t.Files, t.Bytes = t.Files+1, t.Bytes+size
		switch {
		case size != f.Size:
			bad(fmt.Sprintf("%d bytes came back of %d", size, f.Size))
		case live == "same":
			t.Same++
		case live == "differs":
			bad("the file of the host is as old as the snapshot, and another")
		default:
			t.Changed++
		}
	}
	return t
}

// sampleOf chooses files of a snapshot by chance: folders are gone into by chance
// until there are enough to choose from.
func sampleOf(ctx context.Context, l link.Link, j fleet.BackupJob, s fleet.BackupSnapshot, count int) ([]fleet.SnapshotFile, error) {
	open := []string{"/"}
	var all []fleet.SnapshotFile
	var last error
	for n := 0; len(open) > 0 && n < testFolders && len(all) < 50*count; n++ {
		i := rand.IntN(len(open)) //nolint:gosec // no secret
		folder := open[i]
		open[i] = open[len(open)-1]
		open = open[:len(open)-1]
		list, err := Files(ctx, l, j, s.ID, folder)
		if err != nil {
			last = err
			continue // an empty folder is one, too
		}
		for _, f := range list.Files {
			switch f.Kind {
			case fleet.KindFolder:
				open = append(open, f.Path)
			case fleet.KindFile:
				all = append(all, f)
			}
		}
	}
	rand.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	var out []fleet.SnapshotFile
	room := uint64(testBytes)
	for _, f := range all {
		if len(out) < count && f.Size <= room {
			out, room = append(out, f), room-f.Size
		}
	}
	if len(out) == 0 {
		return nil, cmp.Or(last, fmt.Errorf("no file of less than %d MiB was found in the snapshot", testBytes>>20))
	}
	return out, nil
}
