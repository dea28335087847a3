package podman

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/sextant-fleet/sextant/fleet"
)

// PathInfo is what an engine tells of a path in a container. Its fields are those
// of the header X-Docker-Container-Path-Stat, of both engines.
type PathInfo struct {
	Name   string      `json:"name"`
	Size   int64       `json:"size"` // bytes
	Mode   fs.FileMode `json:"mode"`
	Target string      `json:"linkTarget"` // of a link: where it leads in the container
}

// copier copies files by an engine, as archives (tar).
type copier interface {
	pathInfo(ctx context.Context, id, path string) (PathInfo, error)
	archive(ctx context.Context, id, path string) (io.ReadCloser, error)
	unpack(ctx context.Context, id, dir string, archive io.Reader) error
}

// Copied is what was copied.
type Copied struct {
	Bytes, Files int64
	Left         []string // what was not: links, devices, with why; the first few
	Direct       bool     // in a container, not written aside first: see CopyIn
}

// errNoPath is a path that is not there.
var errNoPath = errors.New("no such file or folder")

// maxHops bounds the links that are followed.
const maxHops = 8

// resolved follows links from a path of a container to what is not one.
func resolved(ctx context.Context, api copier, id, at string) (string, PathInfo, error) {
	for range maxHops {
		info, err := api.pathInfo(ctx, id, at)
		if err != nil || info.Mode&fs.ModeSymlink == 0 {
			return at, info, err
		}
		if !path.IsAbs(info.Target) {
			info.Target = path.Join(path.Dir(at), info.Target)
		}
		if info.Target == at {
			return at, info, errNoPath
		}
		at = info.Target
	}
	return at, PathInfo{}, errors.New("too many links")
}

// absolute makes a path of a container whole: there is no folder to be relative to.
func absolute(p string) (string, error) {
	if p == "" || strings.ContainsRune(p, 0) {
		return "", errors.New("name a path in the container")
	}
	return path.Join("/", p), nil
}

// CopyOut copies a file or folder of a container, running or not, to this machine:
// to local itself, or into it where that is a folder. It is written aside, and
// takes its name when it is whole; one that is there is overwritten only with
// force, and a folder never. progress is told the bytes so far, often.
func (e *Engines) CopyOut(ctx context.Context, name, user, from, local string, force bool, progress func(bytes, of int64)) (Copied, error) {
	var done Copied
	ctx, cancel := e.bound(ctx)
	defer cancel()
	fail := func(err error) (Copied, error) {
		return done, fmt.Errorf("%s from %s on %s: %w", from, name, e.link.Host().Name, told{err})
	}
	from, err := absolute(from)
	if err != nil {
		return fail(err)
	}
	to, err := destination(local, path.Base(from), force)
	if err != nil {
		return done, err
	}
	err = e.ask(ctx, name, user, func(api api, id string) error {
		at, info, err := resolved(ctx, api, id, from)
		if err != nil {
			return err
		}
		body, err := api.archive(ctx, id, at)
		if err != nil {
			return err
		}
		defer body.Close()
		defer context.AfterFunc(ctx, func() { body.Close() })()
		done, err = receive(ctx, body, path.Base(at), to, info, force, progress)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("stopped; nothing was left")
		}
		return fail(err)
	}
	return done, nil
}

// CopyIn copies a file of this machine into a container: to the path itself, or
// into it where that is a folder. Engines only unpack: where the container runs and
// has mv, the file is written aside and takes its name when it is whole; else a copy
// that is stopped may leave half of it, which is said (Copied.Direct). One that is
// there is overwritten only with force.
func (e *Engines) CopyIn(ctx context.Context, name, user, local, to string, force bool, progress func(bytes, of int64)) (Copied, error) {
	var done Copied
	ctx, cancel := e.bound(ctx)
	defer cancel()
	f, err := os.Open(local)
	if err != nil {
		return done, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return done, err
	case info.IsDir():
		return done, fmt.Errorf("%s is a folder: name a file", local)
	case !info.Mode().IsRegular():
		return done, fmt.Errorf("%s is no plain file", local)
	}
	whole, err := absolute(to)
	if err == nil {
		err = e.ask(ctx, name, user, func(api api, id string) error {
			target, err := inside(ctx, api, id, whole, info.Name(), strings.HasSuffix(to, "/"), force)
			if err != nil {
				return err
			}
			done, err = e.send(ctx, api, id, name, user, f, info, target, progress)
			return err
		})
	}
	if err != nil {
		return done, fmt.Errorf("%s to %s in %s on %s: %w", local, to, name, e.link.Host().Name, told{err})
	}
	return done, nil
}

// inside is where in a container a file goes.
func inside(ctx context.Context, api copier, id, to, name string, folder, force bool) (string, error) {
	at, info, err := resolved(ctx, api, id, to)
	switch {
	case err == nil && info.Mode.IsDir():
		at = path.Join(at, name)
		var there PathInfo
		if there, err = api.pathInfo(ctx, id, at); err == nil && there.Mode.IsDir() {
			return "", fmt.Errorf("%s is a folder", at)
		}
	case err == nil && folder:
		return "", fmt.Errorf("%s is no folder", at)
	case errors.Is(err, errNoPath) && folder:
		return "", err
	}
	switch {
	case errors.Is(err, errNoPath):
		return at, nil
	case err != nil:
		return "", err
	case !force:
		return "", fleet.WithCure(fmt.Errorf("%s is there", at), "overwrite it with --force")
	}
	return at, nil
}

// send copies a file to a path in a container.
func (e *Engines) send(ctx context.Context, api api, id, name, user string, f io.Reader, info fs.FileInfo, target string, progress func(bytes, of int64)) (Copied, error) {
	aside := path.Join(path.Dir(target), "."+fleet.Short(path.Base(target), 100)+".sextant-"+rand.Text()[:8])
	run := func(ctx context.Context, args ...string) (int, error) {
		s := e.Session(ctx, name, user, Command{Args: args, User: "0"})
		err := s.Run()
		return s.Status(), err
	}
	code, err := run(ctx, "mv", "--help")
	direct := err != nil || code == 126 || code == 127
	if direct {
		aside = target
	}
	done := Copied{Direct: direct}
	undo := func() {
		if direct {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
		defer cancel()
		_, _ = run(ctx, "rm", "-f", "--", aside)
	}
	in := &counting{Reader: f, of: info.Size(), progress: progress}
	if err := api.unpack(ctx, id, path.Dir(target), packed(in, path.Base(aside), info)); err != nil {
		undo()
		if ctx.Err() != nil {
			err = errors.New("stopped")
		}
		if direct && in.n > 0 {
			err = fleet.WithCure(fmt.Errorf("%w; half of it may be there", err), "the container does not run or has no mv: copy it again, or remove "+target)
		}
		return done, err
	}
	if there, err := api.pathInfo(ctx, id, aside); err != nil || there.Size != info.Size() {
		undo()
		return done, fmt.Errorf("the engine has %d of %d bytes of it: %w", there.Size, info.Size(), errors.Join(err, io.ErrShortWrite))
	}
	if !direct {
		if code, err := run(ctx, "mv", "-f", "--", aside, target); err != nil || code != 0 {
			undo()
			return done, fmt.Errorf("it could not take its name: mv ended with %d: %w", code, errors.Join(err, io.ErrShortWrite))
		}
	}
	done.Bytes, done.Files = info.Size(), 1
	return done, nil
}

// packed is an archive of one file. Its owner is root, its mode has no more than
// the permissions.
func packed(f io.Reader, name string, info fs.FileInfo) io.Reader {
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()})
	if err != nil {
		return failed{err}
	}
	padding := make([]byte, (512-info.Size()%512)%512+1024)
	return io.MultiReader(&head, &exactly{f, info.Size()}, bytes.NewReader(padding))
}

// exactly reads so many bytes: a file that grows meanwhile would break the archive,
// one that shrinks is told.
type exactly struct {
	r    io.Reader
	left int64
}

// Read reads on.
func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(b[:min(int64(len(b)), e.left)])
	if e.left -= int64(n); errors.Is(err, io.EOF) && e.left > 0 {
		return n, errors.New("the file became shorter while it was read")
	}
	return n, err
}

// counting tells of what is read.
type counting struct {
	io.Reader
	n, of    int64
	progress func(bytes, of int64)
}

// Read reads on.
func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if c.n += int64(n); c.progress != nil {
		c.progress(c.n, c.of)
	}
	return n, err
}

// statHeader is the header in which engines tell of a path.
const statHeader = "X-Docker-Container-Path-Stat"

func (p *podmanAPI) pathInfo(ctx context.Context, id, at string) (PathInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	resp, err := p.conn.DoRequest(ctx, nil, http.MethodHead, "/containers/%s/archive", url.Values{"path": {at}}, nil, id)
	if err != nil {
		return PathInfo{}, err
	}
	return infoOf(resp.Response)
}

// infoOf reads what an answer tells of a path.
func infoOf(resp *http.Response) (info PathInfo, err error) {
	defer resp.Body.Close()
	b, err := base64.StdEncoding.DecodeString(resp.Header.Get(statHeader))
	switch {
	case resp.StatusCode == noAnswer:
		_, err := resp.Body.Read(nil)
		return info, err
	case resp.StatusCode == http.StatusNotFound:
		return info, errNoPath
	case resp.StatusCode != http.StatusOK:
		return info, fmt.Errorf("HTTP %d", resp.StatusCode)
	case err != nil:
		return info, errNotTold
	}
	if err := json.Unmarshal(b, &info); err != nil {
		return info, jsonError(err)
	}
	return info, nil
}

func (p *podmanAPI) archive(ctx context.Context, id, at string) (io.ReadCloser, error) {
	return p.open(flowing(ctx, raw), "/containers/%s/archive", url.Values{"path": {at}}, id)
}

func (p *podmanAPI) unpack(ctx context.Context, id, dir string, archive io.Reader) error {
	resp, err := p.conn.DoRequest(flowing(ctx, slow), archive, http.MethodPut, "/containers/%s/archive", url.Values{"path": {dir}},
		http.Header{"Content-Type": {"application/x-tar"}}, id)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	switch {
	case err != nil:
		return err
	case resp.IsSuccess():
		return nil
	}
	return refusal(resp.StatusCode, b)
}

func (d *dockerAPI) pathInfo(ctx context.Context, id, at string) (PathInfo, error) {
	if err := d.agree(ctx); err != nil {
		return PathInfo{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	// Docker's client does not tell a path that is not there from an old server.
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, d.url("/containers/"+id+"/archive?"+url.Values{"path": {at}}.Encode()), nil)
	if err != nil {
		return PathInfo{}, err
	}
	resp, err := d.wire.RoundTrip(req)
	if err != nil {
		return PathInfo{}, err
	}
	return infoOf(resp)
}

// url is where something is asked of Docker by hand.
func (d *dockerAPI) url(endpoint string) string {
	return "http://d/v" + d.cli.ClientVersion() + endpoint
}

func (d *dockerAPI) archive(ctx context.Context, id, at string) (io.ReadCloser, error) {
	body, _, err := d.cli.CopyFromContainer(flowing(ctx, raw), id, at)
	return body, err
}

func (d *dockerAPI) unpack(ctx context.Context, id, dir string, archive io.Reader) error {
	return d.cli.CopyToContainer(flowing(ctx, slow), id, dir, archive, container.CopyToContainerOptions{})
}

// stampOf is when a file of an archive was changed, where that is believable.
func stampOf(h *tar.Header) time.Time {
	if h.ModTime.Year() < 1970 || h.ModTime.After(time.Now().Add(24*time.Hour)) {
		return time.Now()
	}
	return h.ModTime
}
