//go:build lab

package backup_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/backup"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

// byRestic makes a job $1 with a repository by a restic, $2, of router, for a while.
const byRestic = `
set -e
mkdir -p /run/$1/src/in; cd /run/$1
printf one >src/in/a; printf 'odd [*]' >'src/in/odd [x] ?*'; ln -s /etc src/in/link
cat >/run/systemd/system/restic-backups-$1.service <<U
[Service]
Type=oneshot
Environment=RESTIC_REPOSITORY=/run/$1/repo RESTIC_PASSWORD=nowhere RESTIC_CACHE_DIR=/run/$1/cache
ExecStart=$2 backup /run/$1/src
U
systemctl daemon-reload
export RESTIC_REPOSITORY=/run/$1/repo RESTIC_PASSWORD=nowhere RESTIC_CACHE_DIR=/run/$1/cache
$2 -q init; $2 -q backup /run/$1/src; sleep 1.1; printf two >src/in/b; sleep 1.1; $2 -q backup /run/$1/src`

// TestRestoreOfTheLab looks into snapshots and restores from them, by restic 0.18
// and rustic 0.11 through wrappers, and by restic 0.14, 0.16, 0.17 and 0.19 without one.
func TestRestoreOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	router := lab.Link(t, "router")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _ = router.Run(ctx, link.Command{Root: true, Args: []string{"sh", "-c", "rm -rf /run/sextant-restic-* /run/systemd/system/restic-backups-sextant-restic-*; systemctl daemon-reload"}})
	})
	type job struct{ host, job, folder, file string }
	jobs := []job{{"storage", "home", "/srv/home", "diary-1"}, {"storage", "cold", "/srv/archive", "month-30"}}
	for _, version := range []string{"0.14.0", "0.16.5", "0.17.3", "0.19.1"} {
		name, program := "sextant-restic-"+version, "/opt/lab/restic-"+version+"/restic"
		if version == "0.14.0" {
			program = "/usr/bin/restic" // Debian's
		}
		if is := labtest.Output(t, router, program, "version"); !strings.HasPrefix(is, "restic "+version+" ") {
			t.Fatalf("%s is %s", program, is)
		}
		labtest.Output(t, router, "sh", "-c", byRestic, "sh", name, program)
		jobs = append(jobs, job{"router", name, "/run/" + name + "/src/in", "odd [x] ?*"})
	}
	for _, c := range jobs {
		t.Run(c.job, func(t *testing.T) {
			t.Parallel()
			restores(t, lab.Link(t, c.host), c.job, c.folder, c.file)
		})
	}
}

func restores(t *testing.T, l link.Link, name, folder, file string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	st := probed(t, l)
	j := jobsOf(t, l)[name]
	if j.Unit == "" {
		j = fleet.BackupJob{Name: name, Tool: "restic", Unit: "restic-backups-" + name + ".service"} // systemd has not loaded it
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := backup.Snapshots(ctx, l, st, j)
	must(err)
	if len(list) < 2 || list[0].At.Before(list[1].At) {
		t.Fatalf("%+v", list)
	}
	newest := list[0].ID
	told, err := json.Marshal(list)
	must(err)
	files, err := backup.Files(ctx, l, j, newest, folder)
	must(err)
	i := slices.IndexFunc(files.Files, func(f fleet.SnapshotFile) bool {
		return f.Path == folder+"/"+file && f.Kind == fleet.KindFile && f.Size > 0
	})
	if i < 0 {
		t.Fatalf("%s is not in %+v", file, files)
	}
	if root, err := backup.Files(ctx, l, j, newest, "/"); err != nil || len(root.Files) != 1 || root.Files[0].Path != "/"+strings.Split(folder, "/")[1] || root.Files[0].Kind != fleet.KindFolder {
		t.Errorf("the root: %+v %v", root, err)
	}
	diff, err := backup.Difference(ctx, l, j, list[len(list)-1].ID, newest)
	must(err)
	if !slices.ContainsFunc(diff.Changes, func(c fleet.FileChange) bool { return c.Sign == "+" && strings.HasPrefix(c.Path, folder+"/") }) {
		t.Errorf("%+v", diff)
	}
	truth := sum(t, l, folder+"/"+file)
	there, err := backup.RestoreThere(ctx, l, j, newest, folder+"/"+file, nil)
	must(err)
	if got := strings.Fields(labtest.Output(t, l, "sh", "-c", `stat -c '%a %U' "$1"; find "$1" -type f -exec sha256sum {} +`, "sh", there.Folder)); there.Files != 1 || len(got) < 3 || got[0] != "700" || got[1] != "root" || got[2] != truth {
		t.Errorf("%+v %q, want %s", there, got, truth)
	}
	whole, err := backup.RestoreThere(ctx, l, j, newest, folder, nil)
	must(err)
	if whole.Files < len(files.Files) || whole.Folder == there.Folder {
		t.Errorf("%+v", whole)
	}
	labtest.Output(t, l, "rm", "-rf", there.Folder, whole.Folder)
	restoresHere(ctx, t, l, j, newest, folder, file, truth)
	test, err := backup.Test(ctx, l, st, j, 5, func(string) {})
	must(err)
	if !test.Well() || test.Same == 0 {
		t.Errorf("%+v", test)
	}
	keepsSecrets(t, string(told)+fmt.Sprint(files, diff, test))
	if _, err := backup.RestoreThere(ctx, l, j, newest, "/nowhere/at/all", nil); err == nil {
		t.Error("what is not there was restored")
	}
}

func restoresHere(ctx context.Context, t *testing.T, l link.Link, j fleet.BackupJob, id, folder, file, truth string) {
	one, all := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "all")
	if out, err := backup.RestoreHere(ctx, l, j, id, folder+"/"+file, one, nil); err != nil || out.Files != 1 {
		t.Fatalf("%+v %v", out, err)
	}
	b, err := os.ReadFile(filepath.Join(one, file))
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); err != nil || got != truth {
		t.Errorf("%s, want %s: %v", got, truth, err)
	}
	if out, err := backup.RestoreHere(ctx, l, j, id, folder, all, nil); err != nil || out.Files < 3 && !strings.HasPrefix(j.Name, "sextant-") || out.Files < 3-len(out.Left) {
		t.Fatalf("%+v %v", out, err)
	}
	_ = filepath.WalkDir(all, func(p string, e fs.DirEntry, err error) error {
		info, ierr := e.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; err != nil || ierr != nil || info.Mode().Perm() != want || !e.IsDir() && !e.Type().IsRegular() {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
		return nil
	})
	if _, err := backup.RestoreHere(ctx, l, j, id, folder, all, nil); err == nil {
		t.Error("a folder that is there was taken")
	}
}

func sum(t *testing.T, l link.Link, p string) string {
	t.Helper()
	return strings.Fields(labtest.Output(t, l, "sh", "-c", `sha256sum <"$1"`, "sh", p))[0]
}

// slowRestic makes a job whose tool restores for ever, and says that there is one file.
const slowRestic = `
set -e
mkdir -p /run/sextant-slow; cd /run/sextant-slow
cat >restic <<'T'
#!/bin/sh
case "$*" in
restore*) while [ "$1" != --target ]; do shift; done; echo one >"$2/a"; exec sleep 600 ;;
ls*) echo '{"name":"a","type":"file","path":"/srv/a","size":4,"mtime":"2026-01-01T00:00:00Z","message_type":"node","struct_type":"node"}' ;;
esac
T
chmod 755 restic
printf '[Service]\nType=oneshot\nExecStart=/run/sextant-slow/restic backup /srv\n' >/run/systemd/system/restic-backups-sextant-slow.service
systemctl daemon-reload`

// TestARestoreThatNobodyWaitsForEnds: nothing of it goes on on the host, with a wrapper
// and without one; what came until then is told.
func TestARestoreThatNobodyWaitsForEnds(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "router")
	in := func(ctx context.Context, script string) string {
		res, _ := l.Run(ctx, link.Command{Root: true, Args: []string{"sh", "-c", script}})
		return strings.TrimSpace(string(res.Stdout))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		in(ctx, "rm -rf /run/sextant-slow /usr/local/bin/restic-sextant-slow /run/systemd/system/restic-backups-sextant-slow.service /var/lib/sextant/restore/restic-sextant-slow-*; systemctl daemon-reload")
	})
	labtest.Output(t, l, "sh", "-c", slowRestic)
	j := fleet.BackupJob{Name: "sextant-slow", Tool: "restic", Unit: "restic-backups-sextant-slow.service"}
	for _, way := range []string{"true", "ln -s /run/sextant-slow/restic /usr/local/bin/restic-sextant-slow"} {
		labtest.Output(t, l, "sh", "-c", way)
		ctx, cancel := context.WithCancel(t.Context())
		out, err := backup.RestoreThere(ctx, l, j, strings.Repeat("a", 64), "/srv/a", func(uint64) { cancel() })
		cancel()
		if err == nil || !strings.Contains(err.Error(), "1 file that came until then are in "+out.Folder) {
			t.Errorf("%s: %+v %v", way, out, err)
		}
		if left := in(t.Context(), "pgrep -f 'sleep 60[0]'; systemctl list-units --no-legend 'sextant-restore-*'"); left != "" {
			t.Errorf("%s: it goes on: %s", way, left)
		}
	}
}
