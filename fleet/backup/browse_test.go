package backup

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sextant-fleet/sextant/fleet"
)

// Recorded with rustic 0.11.4 and with restic 0.18.0 and 0.14.0 in the lab, and cut.
const (
	rusticLong = `drwxr-xr-x     root     root         0 28 Nov 2026 20:36 "a dir" 
-rw-r--r--     root     root    300000 28 Nov 2026 19:35 "data" 
-rw-r--r--     root     root         1 28 Nov 2026 20:36 "b \"q\" ü\nx" 
-rw-r--r--     root     root         5 28 Nov 2026 20:36 "esc\u{1b}[31m" 
lrwxrwxrwx     root     root         4 28 Nov 2026 20:36 "link" -> /etc
-rw-r--r--     root     root 5000000000 28 Nov 2026 20:36 "sparse" 
`
	resticNodes = `{"time":"2026-11-28T20:38:29Z","tree":"44f2","paths":["/run/bak/src"],"hostname":"router","id":"b8a2","short_id":"b8a278ad","struct_type":"snapshot"}
{"name":"src","type":"dir","path":"/run/bak/src","uid":0,"gid":0,"mode":2147484141,"permissions":"drwxr-xr-x","mtime":"2026-11-28T20:38:29.712669934Z","struct_type":"node"}
{"name":"a","type":"file","path":"/run/bak/src/a\u001b[31m","uid":0,"gid":0,"size":2,"mode":420,"permissions":"-rw-r--r--","mtime":"2026-11-28T20:38:29.712669934Z","struct_type":"node"}
{"name":"l","type":"symlink","path":"/run/bak/src/l","permissions":"Lrwxrwxrwx","mtime":"2026-11-28T20:38:23.656669712Z","message_type":"node","struct_type":"node"}
{"name":"d","type":"chardev","path":"/run/bak/src/d","permissions":"Dcrwxrwxrwx","mtime":"2026-11-28T20:38:23.656669712Z","message_type":"node","struct_type":"node"}
`
)

func TestFilesOfASnapshot(t *testing.T) {
	at := time.Date(2026, 11, 28, 20, 36, 0, 0, time.UTC)
	got, err := parseLong([]byte(rusticLong), "/srv/archive")
	want := []fleet.SnapshotFile{
		{Name: "a dir", Path: "/srv/archive/a dir", Kind: fleet.KindFolder, Mode: "drwxr-xr-x", Changed: at},
		{Name: "data", Path: "/srv/archive/data", Kind: fleet.KindFile, Size: 300000, Mode: "-rw-r--r--", Changed: at.Add(-61 * time.Minute)},
		{Name: `b "q" ü x`, Path: "/srv/archive/b \"q\" ü\nx", Kind: fleet.KindFile, Size: 1, Mode: "-rw-r--r--", Changed: at},
		{Name: "esc", Path: "/srv/archive/esc\x1b[31m", Kind: fleet.KindFile, Size: 5, Mode: "-rw-r--r--", Changed: at},
		{Name: "link", Path: "/srv/archive/link", Kind: fleet.KindLink, Size: 4, Mode: "lrwxrwxrwx", Changed: at},
		{Name: "sparse", Path: "/srv/archive/sparse", Kind: fleet.KindFile, Size: 5000000000, Mode: "-rw-r--r--", Changed: at},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	nodes, err := parseNodes([]byte(resticNodes), "/run/bak/src")
	if err != nil || len(nodes) != 3 || nodes[0].Name != "a" || nodes[0].Path != "/run/bak/src/a\x1b[31m" || nodes[0].Size != 2 || nodes[1].Kind != fleet.KindLink || nodes[2].Kind != fleet.KindOther {
		t.Errorf("%+v %v", nodes, err)
	}
	for _, bad := range []string{"<html>", "-rw-r--r-- root", `-rw-r--r--     root     root         1 28 Nov 2026 20:36 "../../x"`, `-rw-r--r--     root     root         1 28 Nov 2026 20:36 "\u{zz}"`, `-rw-r--r--     root     root         1 28 Nov 2026 20:36 "\xf"`} {
		if list, err := parseLong([]byte(bad), "/"); err == nil {
			t.Errorf("%s: %+v", bad, list)
		}
		if list, err := parseNodes([]byte(bad), "/"); err == nil {
			t.Errorf("%s: %+v", bad, list)
		}
	}
	if list, err := parseNodes([]byte(`{"struct_type":"node","type":"file","path":"relative","mtime":"2026-11-28T20:38:29Z"}`), "/"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

func TestDifferencesOfEveryTool(t *testing.T) {
	rustic := "+    \"srv/archive/a dir\"\nM    \"srv/archive/b \\\"q\\\"\"\nFiles   : 3 =, 3 +, 0 -, 0 M, 0 U\nDirs    : 2 =, 2 +, 0 -, 0 M, 0 U\n\n"
	restic := `{"message_type":"change","path":"/srv/home/diary-1","modifier":"+"}` + "\n" + `{"message_type":"statistics","changed_files":0}` + "\n"
	text := "comparing snapshot 1 to 2:\n\n+    /srv/new\n-    /srv/old\n\nFiles:           1 new,     1 removed,     0 changed\nOthers:          0 new\n"
	for name, c := range map[string]struct {
		in, tool string
		want     []fleet.FileChange
	}{
		"rustic":      {rustic, "rustic", []fleet.FileChange{{Sign: "+", Path: "/srv/archive/a dir"}, {Sign: "M", Path: `/srv/archive/b "q"`}}},
		"restic":      {restic, "restic", []fleet.FileChange{{Sign: "+", Path: "/srv/home/diary-1"}}},
		"restic text": {text, "restic", []fleet.FileChange{{Sign: "+", Path: "/srv/new"}, {Sign: "-", Path: "/srv/old"}}},
	} {
		got, err := parseChanges([]byte(c.in), c.tool)
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%s: %s %v", name, d, err)
		}
	}
	if _, err := parseChanges([]byte("{broken\n"), "restic"); err == nil {
		t.Error("what cannot be read was read")
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte(rusticLong))
	f.Add([]byte(resticNodes))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte, string) ([]fleet.SnapshotFile, error){parseLong, parseNodes} {
			list, _ := parse(b, "/x")
			for _, f := range list {
				if fleet.Clean(f.Name) != f.Name || !strings.HasPrefix(f.Path, "/") {
					t.Errorf("%+v", f)
				}
			}
		}
		_, _ = parseChanges(b, "rustic")
	})
}

func TestWhatIsNoSnapshotOrPathIsNotAsked(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for _, c := range [][2]string{{"--help", "/"}, {"latest", "/"}, {"", "/"}, {id, "relative"}, {id, "/a/../b"}, {id, "/a\x00"}, {id, "--target=/"}} {
		if checked(c[0], c[1]) == nil {
			t.Errorf("%q", c)
		}
	}
	if err := checked(id, "/a b/c"); err != nil {
		t.Error(err)
	}
	if got := literal(`/a [1]*?\b`); got != `/a \[1]\*\?\\b` {
		t.Error(got)
	}
}

// TestNothingLeadsOutOfWhatIsUnpacked: of a host that means harm.
func TestNothingLeadsOutOfWhatIsUnpacked(t *testing.T) {
	entry := func(kind byte, name, link, text string) func(*tar.Writer) {
		return func(w *tar.Writer) {
			_ = w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Linkname: link, Size: int64(len(text)), Mode: 0o4777})
			_, _ = w.Write([]byte(text))
		}
	}
	for name, c := range map[string]struct {
		entries []func(*tar.Writer)
		wrong   string
	}{
		"plain":      {[]func(*tar.Writer){entry(tar.TypeReg, "/etc/x", "", "text"), entry(tar.TypeDir, "etc/d/", "", "")}, ""},
		"out":        {[]func(*tar.Writer){entry(tar.TypeReg, "a/../../x", "", "text")}, "leads out of it"},
		"by a link":  {[]func(*tar.Writer){entry(tar.TypeSymlink, "etc", "/etc", ""), entry(tar.TypeReg, "etc/x", "", "text")}, ""},
		"twice":      {[]func(*tar.Writer){entry(tar.TypeReg, "x", "", "1"), entry(tar.TypeReg, "x", "", "2")}, "exists"},
		"device":     {[]func(*tar.Writer){entry(tar.TypeChar, "null", "", ""), entry(tar.TypeReg, "etc/x", "", "text")}, ""},
		"hard link":  {[]func(*tar.Writer){entry(tar.TypeLink, "shadow", "/etc/shadow", ""), entry(tar.TypeReg, "etc/x", "", "text")}, ""},
		"no archive": {[]func(*tar.Writer){func(w *tar.Writer) { _ = w.Flush() }}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, e := range c.entries {
				e(w)
			}
			_ = w.Close()
			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			var out Restored
			err = (&unpacker{root: root, out: &out}).all(tar.NewReader(&b))
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Fatal(err)
			}
			if name == "plain" || name == "by a link" {
				info, err := os.Lstat(filepath.Join(dir, "etc/x"))
				if err != nil || info.Mode() != 0o600 || out.Files != 1 || out.Bytes != 4 {
					t.Error(info, err, out)
				}
			}
			if name == "by a link" && !slices.Equal(out.Left, []string{"etc: a link to /etc"}) || name == "device" && len(out.Left) != 1 || name == "hard link" && len(out.Left) != 1 {
				t.Errorf("%q", out.Left)
			}
		})
	}
}

func TestWhatCameBackIsCompared(t *testing.T) {
	files := []fleet.SnapshotFile{{Path: "/same", Size: 10}, {Path: "/changed", Size: 20}, {Path: "/short", Size: 30}, {Path: "/differs", Size: 5}, {Path: "/gone", Size: 1}, {Path: "/untold", Size: 1}}
	out := "0 10 same \n0 20 changed \n0 7 changed \n0 5 differs \n1 0 changed Fatal: pack https://u:geheim@h/ is broken\n"
	got := compared(out, files)
	if got.Files != 4 || got.Same != 1 || got.Changed != 1 || got.Bytes != 42 || len(got.Bad) != 4 || got.Well() || strings.Contains(strings.Join(got.Bad, " "), "geheim") {
		t.Errorf("%+v", got)
	}
	if c := compared("garbage\n", files[:1]); c.Well() || len(c.Bad) != 1 {
		t.Errorf("%+v", c)
	}
	if (fleet.RestoreTest{}).Well() {
		t.Error("a test of nothing went well")
	}
}

func TestRestoreTestsAreRead(t *testing.T) {
	tests, whole := parseTests("file /a/x\n{\"at\":\"2026-11-16T10:00:00Z\",\"files\":20,\"same\":17,\"bad\":[\"a\\u001b[31mb\"]}\nfile /a/y\n\nfile /a/z\n{\"at\":\nend\n")
	if !whole || len(tests) != 1 || tests["/a/x"].Same != 17 || tests["/a/x"].Bad[0] != "ab" {
		t.Errorf("%+v %v", tests, whole)
	}
	if _, whole := parseTests("file /a/x\n"); whole {
		t.Error("half of it passes for all")
	}
}

// TestTheTestScript runs it against a tool of the test's own: of a file that has
// changed since only the size is compared, one that is as old must be the same.
func TestTheTestScript(t *testing.T) {
	dir := t.TempDir()
	at := time.Now().Add(-time.Hour)
	for name, text := range map[string]string{"same": "text", "other": "tExt", "newer": "text"} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := at.Add(-time.Hour)
		if name == "newer" {
			when = at.Add(time.Minute)
		}
		if err := os.Chtimes(p, when, when); err != nil {
			t.Fatal(err)
		}
	}
	through := `[ "$6 $7" = "dump --no-lock" ] || exit 9; case ${9##*/} in broken) echo 'Fatal: no' >&2; exit 1 ;; esac; printf text`
	args := []string{through, "restic", "x", "u", "9", "abcd", strconv.FormatInt(at.Unix(), 10)}
	for _, name := range []string{"same", "other", "newer", "gone", "broken"} {
		args = append(args, filepath.Join(dir, name))
	}
	out, _ := scripted(t, testScript, nil, nil, args...)
	want := "0 4 same \n0 4 differs \n0 4 changed \n0 4 changed \n1 0 changed Fatal: no\n"
	if out != want {
		t.Errorf("%s", cmp.Diff(want, out))
	}
}
