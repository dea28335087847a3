package podman

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// box is the files of a container, as an engine's archive API has them.
type box struct {
	mu    sync.Mutex
	files map[string]string // contents by path; folders end in "/"
	links map[string]string
	raw   func() io.ReadCloser // sent in place of an archive
}

func (b *box) info(at string) (PathInfo, bool) {
	if to, ok := b.links[at]; ok {
		return PathInfo{Name: path.Base(at), Mode: fs.ModeSymlink | 0o777, Target: to}, true
	}
	if _, ok := b.files[at+"/"]; ok || at == "/" {
		return PathInfo{Name: path.Base(at), Mode: fs.ModeDir | 0o755}, true
	}
	text, ok := b.files[at]
	return PathInfo{Name: path.Base(at), Mode: 0o644, Size: int64(len(text))}, ok
}

// serves answers what is of the archive API.
func (b *box) serves(w http.ResponseWriter, r *http.Request, at string) bool {
	if !strings.HasSuffix(at, "/archive") {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	where := r.URL.Query().Get("path")
	info, ok := b.info(where)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"no such path","response":404}`)
		return true
	}
	stat, _ := json.Marshal(info)
	w.Header().Set(statHeader, base64.StdEncoding.EncodeToString(stat))
	switch r.Method {
	case http.MethodGet:
		if b.raw != nil {
			body := b.raw()
			defer body.Close()
			for buf := make([]byte, 4096); ; {
				n, err := body.Read(buf)
				w.Write(buf[:n])
				w.(http.Flusher).Flush()
				if err != nil {
					return true
				}
			}
		}
		b.send(w, where)
	case http.MethodPut:
		b.take(w, r.Body, where)
	}
	return true
}

func (b *box) send(w io.Writer, where string) {
	out := tar.NewWriter(w)
	defer out.Close()
	for name, text := range b.files {
		if name != where && !strings.HasPrefix(name, where+"/") {
			continue
		}
		h := &tar.Header{Name: path.Join(path.Base(where), strings.TrimPrefix(name, where)), Mode: 0o6777, Size: int64(len(text)), Typeflag: tar.TypeReg, ModTime: time.Unix(1e9, 0)}
		if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		out.WriteHeader(h)
		io.WriteString(out, text)
	}
}

func (b *box) take(w http.ResponseWriter, r io.Reader, where string) {
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(in)
		}
		if err != nil {
			if h != nil {
				b.files[path.Join(where, h.Name)] = string(text) // half of it
			}
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		b.files[path.Join(where, h.Name)] = string(text)
	}
}

// mv plays mv and rm as they are run in the container.
func (b *box) run(cmd []string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case cmd[0] == "mv" && len(cmd) == 5:
		b.files[cmd[4]] = b.files[cmd[3]]
		delete(b.files, cmd[3])
	case cmd[0] == "rm" && len(cmd) == 4:
		delete(b.files, cmd[3])
	case cmd[0] == "mv":
		return 1
	default:
		return 127
	}
	return 0
}

// copies gives engines with a container that has files.
func copies(t *testing.T, kind string) (*Engines, *box, *runner, string) {
	t.Helper()
	e, x, _, name := engineOf(t, kind)
	b := &box{files: map[string]string{
		"/etc/": "", "/etc/web.conf": "listen 80\n", "/srv/": "", "/srv/a/": "", "/srv/a/b": "deep", "/srv/big": strings.Repeat("0123456789abcdef", 1<<16),
	}, links: map[string]string{"/conf": "etc/web.conf", "/loop": "/loop"}}
	x.box = b
	return e, b, x, name
}

// dirOf are the names in a folder.
func dirOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestCopyOut(t *testing.T) {
	for _, kind := range []string{kindPodman, kindDocker} {
		t.Run(kind, func(t *testing.T) {
			e, b, _, name := copies(t, kind)
			dir := t.TempDir()
			out := func(from, to string, force bool) (Copied, error) {
				return e.CopyOut(t.Context(), name, "", from, to, force, nil)
			}
			for _, c := range []struct{ from, to, file string }{
				{"/etc/web.conf", dir, "web.conf"}, {"etc/web.conf", dir + "/other", "other"}, {"/conf", dir, "conf"}, {"/srv/big", dir, "big"},
			} {
				done, err := out(c.from, c.to, false)
				got, rerr := os.ReadFile(filepath.Join(dir, c.file))
				want := b.files[map[bool]string{true: "/srv/big", false: "/etc/web.conf"}[c.file == "big"]]
				if err != nil || rerr != nil || string(got) != want || done.Bytes != int64(len(want)) || done.Files != 1 {
					t.Errorf("%s: %+v %v %v", c.from, done, err, rerr)
				}
			}
			if info, _ := os.Stat(dir + "/web.conf"); info.Mode() != 0o755 || !info.ModTime().Equal(time.Unix(1e9, 0)) {
				t.Errorf("%v %v: more than permissions", info.Mode(), info.ModTime())
			}
			if done, err := out("/srv", dir, false); err != nil || done.Files != 2 {
				t.Errorf("%+v %v", done, err)
			}
			if got, err := os.ReadFile(dir + "/srv/a/b"); string(got) != "deep" {
				t.Errorf("%q %v", got, err)
			}
			for from, want := range map[string]string{
				"/etc/web.conf": "is there; overwrite", "/srv": "is not overwritten", "/etc/absent": "no such file", "/loop": "no such file", "": "name a path",
			} {
				if _, err := out(from, dir, false); err == nil || !strings.Contains(inFull(err), want) {
					t.Errorf("%q: %v, want %s", from, err, want)
				}
			}
			os.WriteFile(dir+"/web.conf", []byte("mine"), 0o600)
			if _, err := out("/etc/web.conf", dir, true); err != nil {
				t.Error(err)
			}
			if got, _ := os.ReadFile(dir + "/web.conf"); string(got) != "listen 80\n" {
				t.Errorf("%q", got)
			}
			if got := strings.Join(dirOf(t, dir), " "); got != "big conf other srv web.conf" {
				t.Errorf("there are %s", got)
			}
		})
	}
}

// archived is an archive with these entries.
func archived(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		h.Mode = 0o7777
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, "evil")
		}
	}
	w.Close()
	return &b
}

// TestHostileArchives: whatever a host sends, nothing is written but what was named,
// and nothing is left of what failed.
func TestHostileArchives(t *testing.T) {
	reg, dir, link, hard := byte(tar.TypeReg), byte(tar.TypeDir), byte(tar.TypeSymlink), byte(tar.TypeLink)
	for name, c := range map[string]struct {
		entries []tar.Header
		want    string // of the error; "": none
		files   string
	}{
		"up":             {[]tar.Header{{Typeflag: reg, Name: "../evil"}}, "leads out", ""},
		"up inside":      {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: reg, Name: "it/../../evil"}}, "leads out", ""},
		"up to itself":   {[]tar.Header{{Typeflag: reg, Name: "it/../it"}}, "leads out", ""},
		"absolute":       {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: reg, Name: "/etc/evil"}}, "", "it it/etc it/etc/evil"},
		"link":           {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: link, Name: "it/l", Linkname: "/etc"}, {Typeflag: reg, Name: "it/l/evil"}}, "", "it it/l it/l/evil"},
		"link in place":  {[]tar.Header{{Typeflag: link, Name: "it", Linkname: "/etc/passwd"}}, "nothing to copy: it: a link to /etc/passwd", ""},
		"hard link out":  {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: hard, Name: "it/h", Linkname: "../../etc/passwd"}}, "leads out", ""},
		"hard link abs":  {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: hard, Name: "it/h", Linkname: "/etc/passwd"}}, "no such file", ""},
		"hard link":      {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: reg, Name: "it/a"}, {Typeflag: hard, Name: "it/h", Linkname: "it/a"}}, "", "it it/a it/h"},
		"device":         {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: tar.TypeBlock, Name: "it/sda", Devmajor: 8}, {Typeflag: tar.TypeFifo, Name: "it/p"}}, "", "it"},
		"only a device":  {[]tar.Header{{Typeflag: tar.TypeChar, Name: "it"}}, "nothing to copy: it: no plain file", ""},
		"twice":          {[]tar.Header{{Typeflag: reg, Name: "it"}, {Typeflag: reg, Name: "it"}}, "more than the file", ""},
		"folder as file": {[]tar.Header{{Typeflag: reg, Name: "it"}, {Typeflag: dir, Name: "it/"}}, "more than the file", ""},
		"empty":          {nil, "nothing to copy", ""},
		"escapes":        {[]tar.Header{{Typeflag: dir, Name: "it/"}, {Typeflag: link, Name: "it/\x1b[31m", Linkname: "\x1b]0;x"}}, "", "it"},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			work := filepath.Join(top, "a/b")
			os.MkdirAll(work, 0o755)
			var info PathInfo
			if len(c.entries) > 0 && c.entries[0].Typeflag == dir {
				info.Mode = fs.ModeDir
			}
			done, err := receive(t.Context(), archived(t, c.entries...), "it", filepath.Join(work, "it"), info, false, nil)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if s := strings.Join(done.Left, ""); strings.Contains(s, "\x1b") {
				t.Errorf("%q", s)
			}
			var files []string
			filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
				if rel, _ := filepath.Rel(work, p); !strings.HasPrefix(rel, ".") {
					info, _ := d.Info()
					if files = append(files, rel); info.Mode()&^(fs.ModeDir|0o755) != 0 {
						t.Errorf("%s is %v", rel, info.Mode())
					}
				}
				return err
			})
			if got := strings.Join(files, " "); got != c.files {
				t.Errorf("there are %q, want %q", got, c.files)
			}
			if got := dirOf(t, top); len(got) != 1 {
				t.Errorf("beside it: %q", got)
			}
			for _, n := range dirOf(t, work) {
				if n != "it" {
					t.Errorf("left: %s", n)
				}
			}
		})
	}
}

// TestArchiveThatBreaksOff at any place is no whole one.
func TestArchiveThatBreaksOff(t *testing.T) {
	whole := archived(t, tar.Header{Typeflag: tar.TypeDir, Name: "it/"}, tar.Header{Typeflag: tar.TypeReg, Name: "it/a"}, tar.Header{Typeflag: tar.TypeReg, Name: "it/b"}).Bytes()
	dir := t.TempDir()
	for n := 0; n < len(whole)-512; n += 128 {
		if _, err := receive(t.Context(), bytes.NewReader(whole[:n]), "it", filepath.Join(dir, "it"), PathInfo{Mode: fs.ModeDir}, false, nil); err == nil {
			t.Fatalf("after %d of %d bytes it passed for whole", n, len(whole))
		}
		if left := dirOf(t, dir); len(left) > 0 {
			t.Fatalf("after %d bytes %q is left", n, left)
		}
	}
}

// TestCopyOutIsStopped: nothing is left, and what was there stays.
func TestCopyOutIsStopped(t *testing.T) {
	e, b, _, name := copies(t, kindPodman)
	r, w := io.Pipe()
	b.raw = func() io.ReadCloser { return r }
	go func() {
		out := tar.NewWriter(w)
		out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 1 << 30, Mode: 0o644})
		io.WriteString(out, "the beginning")
	}()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	os.WriteFile(dir+"/big", []byte("mine"), 0o600)
	_, err := e.CopyOut(ctx, name, "", "/srv/big", dir, true, func(n, of int64) {
		if n > 0 && of != 1<<20 {
			t.Errorf("%d of %d", n, of)
		}
		cancel()
	})
	if err == nil || !strings.HasSuffix(err.Error(), "stopped; nothing was left") {
		t.Error(err)
	}
	if got, _ := os.ReadFile(dir + "/big"); string(got) != "mine" || len(dirOf(t, dir)) != 1 {
		t.Errorf("%q, %q", got, dirOf(t, dir))
	}
}

func TestCopyIn(t *testing.T) {
	for _, kind := range []string{kindPodman, kindDocker} {
		t.Run(kind, func(t *testing.T) {
			e, b, _, name := copies(t, kind)
			local := filepath.Join(t.TempDir(), "new.conf")
			text := strings.Repeat("line of it\n", 12345)
			os.WriteFile(local, []byte(text), 0o640)
			in := func(to string, force bool) (Copied, error) {
				return e.CopyIn(t.Context(), name, "", local, to, force, nil)
			}
			for to, at := range map[string]string{"/etc": "/etc/new.conf", "/srv/": "/srv/new.conf", "/etc/x": "/etc/x"} {
				done, err := in(to, false)
				if err != nil || b.files[at] != text || done.Bytes != int64(len(text)) || done.Direct {
					t.Errorf("%s: %+v %v", to, done, err)
				}
			}
			for to, want := range map[string]string{"/etc/web.conf": "/etc/web.conf is there; overwrite", "/conf": "/etc/web.conf is there; overwrite", "/etc/web.conf/": "no folder", "/no/where": "no such"} {
				if _, err := in(to, false); err == nil || !strings.Contains(inFull(err), want) {
					t.Errorf("%s: %v, want %s", to, err, want)
				}
			}
			if _, err := in("/conf", true); err != nil || b.files["/etc/web.conf"] != text {
				t.Error(err)
			}
			for f := range b.files {
				if strings.Contains(f, "sextant") {
					t.Errorf("left: %s", f)
				}
			}
			if _, err := e.CopyIn(t.Context(), name, "", filepath.Dir(local), "/etc", false, nil); err == nil || !strings.Contains(err.Error(), "is a folder") {
				t.Error(err)
			}
		})
	}
}

// TestCopyInIsStopped: of what was written aside nothing is left; where it cannot be
// written aside, that is said.
func TestCopyInIsStopped(t *testing.T) {
	for _, direct := range []bool{false, true} {
		e, b, x, name := copies(t, kindPodman)
		x.noMv = direct
		local := filepath.Join(t.TempDir(), "big")
		os.WriteFile(local, bytes.Repeat([]byte("x"), 8<<20), 0o600)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := e.CopyIn(ctx, name, "", local, "/etc/web.conf", true, func(n, of int64) {
			if n > 1<<20 {
				cancel()
			}
		})
		cancel()
		if err == nil || !strings.Contains(err.Error(), "stopped") || strings.Contains(err.Error(), "half of it may be there") != direct {
			t.Errorf("direct %t: %v", direct, err)
		}
		b.mu.Lock()
		for f, text := range b.files {
			if !direct && (strings.Contains(f, "sextant") || f == "/etc/web.conf" && text != "listen 80\n") {
				t.Errorf("%s is there", f)
			}
		}
		b.mu.Unlock()
	}
}

// TestFileThatChanges while it is packed does not break the archive.
func TestFileThatChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	os.WriteFile(file, []byte("0123456789"), 0o600)
	info, _ := os.Stat(file)
	in := tar.NewReader(packed(strings.NewReader("0123456789 and more"), "f", info))
	if h, err := in.Next(); err != nil || h.Size != 10 || h.Mode != 0o600 {
		t.Fatal(h, err)
	}
	if b, err := io.ReadAll(in); string(b) != "0123456789" || err != nil {
		t.Error(string(b), err)
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := io.ReadAll(packed(strings.NewReader("0123"), "f", info)); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Error(err)
	}
}
