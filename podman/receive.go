package podman

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Limits of what is received: what a host sends need not end.
const (
	maxReceived = 64 << 30  // bytes
	maxEntries  = 1_000_000 // files and folders
	maxLeft     = 20        // names of what was left out
)

// destination is where on this machine something goes that is called base there.
func destination(local, base string, force bool) (string, error) {
	info, err := os.Stat(local)
	switch {
	case err == nil && info.IsDir():
		if base == "/" || base == "." || base == ".." {
			return "", fmt.Errorf("name what it is to be called in %s", local)
		}
		local = filepath.Join(local, base)
	case err != nil && strings.HasSuffix(local, "/"):
		return "", err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	info, err = os.Lstat(local)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return local, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a folder that is there: it is not overwritten", local)
	case !force:
		return "", fleet.WithCure(fmt.Errorf("%s is there", local), "overwrite it with --force")
	}
	return local, nil
}

// receive unpacks an archive of one file or folder, which is called base in it, to
// a path of this machine. All is done in a folder of its own, which nothing in the
// archive leads out of, and nothing is left of what did not become whole.
func receive(ctx context.Context, archive io.Reader, base, to string, info PathInfo, force bool, progress func(bytes, of int64)) (done Copied, err error) {
	aside, err := os.MkdirTemp(filepath.Dir(to), ".sextant-copy-")
	if err != nil {
		return done, err
	}
	defer os.RemoveAll(aside)
	root, err := os.OpenRoot(aside)
	if err != nil {
		return done, err
	}
	defer root.Close()
	u := &unpacker{ctx: ctx, root: root, base: base, folder: info.Mode.IsDir(), done: &done, of: info.Size, progress: progress}
	if u.folder {
		u.of = 0 // it is not told
		if err := root.Mkdir(content, 0o700); err != nil {
			return done, err
		}
	}
	tail := &ending{r: archive}
	if err := u.all(tar.NewReader(tail)); err != nil {
		return done, err
	}
	if err := tail.whole(); err != nil {
		return done, err
	}
	if done.Files == 0 && !u.folder {
		return done, fmt.Errorf("there is nothing to copy: %s", strings.Join(append(done.Left, "the archive is empty")[:1], ""))
	}
	if u.folder && force {
		if _, err := os.Lstat(to); err == nil {
			return done, fmt.Errorf("%s is there, and no folder", to)
		}
	}
	return done, settle(filepath.Join(aside, content), to, u.folder || force)
}

// content is what the thing that is received is called until it is whole.
const content = "content"

// settle gives what is whole its name. Without over nothing that has come there
// meanwhile is overwritten.
func settle(from, to string, over bool) error {
	if !over {
		err := os.Link(from, to)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		if _, lerr := os.Lstat(to); lerr == nil { // a file system without links
			return fmt.Errorf("%s is there by now", to)
		}
	}
	return os.Rename(from, to)
}

// unpacker unpacks an archive into a folder.
type unpacker struct {
	ctx      context.Context
	root     *os.Root
	base     string
	done     *Copied
	entries  int
	folder   bool // it is one
	of       int64
	progress func(bytes, of int64)
	modes    []mode // of folders, which are set at the end
}

type mode struct {
	name string
	perm fs.FileMode
}

func (u *unpacker) all(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if u.entries++; u.entries > maxEntries {
			return fmt.Errorf("more than %d files", maxEntries)
		}
		if u.done.Files > 0 && !u.folder {
			return errNotTheFile
		}
		if err := u.entry(h, in); err != nil {
			return err
		}
	}
	for i := len(u.modes) - 1; i >= 0; i-- {
		if err := u.root.Chmod(u.modes[i].name, u.modes[i].perm); err != nil {
			return err
		}
	}
	return nil
}

// errNotTheFile is an archive of something else than was asked for.
var errNotTheFile = errors.New("the archive has more than the file that was asked for")

// inner is what an entry is called in our folder.
func (u *unpacker) inner(name string) (string, error) {
	clean := path.Clean(name)
	if strings.ContainsRune(name, 0) || clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains("/"+name+"/", "/../") {
		return "", fmt.Errorf("the archive has a path that leads out of it: %s", fleet.Short(fleet.Clean(name), 100))
	}
	clean = strings.TrimPrefix(path.Join("/", clean), "/")
	if first, rest, _ := strings.Cut(clean, "/"); first == u.base {
		clean = rest
	}
	return path.Join(content, clean), nil
}

// entry unpacks one entry.
func (u *unpacker) entry(h *tar.Header, in io.Reader) error {
	name, err := u.inner(h.Name)
	if err != nil {
		return err
	}
	perm := fs.FileMode(h.Mode) & 0o755 // no set-user-ID, nobody else writes
	switch h.Typeflag {
	case tar.TypeDir:
		if !u.folder {
			return errNotTheFile
		}
		u.modes = append(u.modes, mode{name, perm | 0o700})
		return u.root.MkdirAll(name, 0o700)
	case tar.TypeReg:
		return u.file(name, perm, h, in)
	case tar.TypeLink:
		old, err := u.inner(h.Linkname)
		if err != nil {
			return err
		}
		u.done.Files++
		return u.root.Link(old, name)
	case tar.TypeSymlink:
		u.leave(h.Name, "a link to "+h.Linkname)
	default:
		u.leave(h.Name, "no plain file")
	}
	return nil
}

// leave keeps that something was left out.
func (u *unpacker) leave(name, why string) {
	if len(u.done.Left) < maxLeft {
		u.done.Left = append(u.done.Left, fleet.Short(fleet.Clean(name+": "+why), 200))
	}
}

func (u *unpacker) file(name string, perm fs.FileMode, h *tar.Header, in io.Reader) error {
	if h.Size > maxReceived-u.done.Bytes {
		return fmt.Errorf("more than %d GiB", maxReceived>>30)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	before := u.done.Bytes
	n, err := io.Copy(f, &counting{Reader: in, of: u.of, progress: func(n, of int64) {
		if u.progress != nil {
			u.progress(before+n, of)
		}
	}})
	u.done.Bytes += n
	if err == nil {
		err = f.Chmod(perm)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = u.ctx.Err()
	}
	if err != nil {
		return err
	}
	u.done.Files++
	at := stampOf(h)
	return u.root.Chtimes(name, at, at)
}

// ending keeps the end of an archive: one that breaks off between two files would
// else pass for a whole one.
type ending struct {
	r    io.Reader
	zero int64 // bytes that were zero, last
}

// Read reads on.
func (e *ending) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	for i := n - 1; i >= 0; i-- {
		if b[i] != 0 {
			e.zero = int64(n - 1 - i)
			return n, err
		}
	}
	e.zero += int64(n)
	return n, err
}

// whole reads to the end and tells whether it was one: two blocks of zeros.
func (e *ending) whole() error {
	if _, err := io.Copy(io.Discard, io.LimitReader(e, 1<<20)); err != nil {
		return err
	}
	if e.zero < 1024 {
		return errors.New("the archive broke off")
	}
	return nil
}
