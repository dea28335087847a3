package history

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// header is how every file begins; it is read before the rest is trusted.
type header struct {
	Schema int `json:"schema"`
}

// load reads a file into what it points at. A file that is not there gives no
// error and leaves it as it is. One that cannot be used is moved aside.
func (h *History) load(name string, into any) error {
	return h.use(name, func(data []byte) error {
		if err := checkSchema(data); err != nil {
			return err
		}
		return json.Unmarshal(data, into)
	})
}

// use hands the content of a file to a function. A file that is not there is
// not used, which is no error; one that cannot be used is moved aside.
func (h *History) use(name string, f func([]byte) error) error {
	data, err := h.read(name)
	switch {
	case missing(err):
		return nil
	case errors.Is(err, errUnusable):
		return h.aside(name, err)
	case err != nil:
		return fmt.Errorf("history: %w", err)
	}
	if err := f(data); err != nil {
		return h.aside(name, err)
	}
	return nil
}

// checkSchema reads the version in front of anything else.
func checkSchema(data []byte) error {
	var head header
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	if head.Schema != schema {
		return fmt.Errorf("it has schema %d, this version of Sextant reads %d", head.Schema, schema)
	}
	return nil
}

// errUnusable marks a file that will never be readable as it is.
var errUnusable = errors.New("unusable")

// read gives the content of a regular file of ours that is not too large.
// Symbolic links are not followed, and a pipe does not make us wait.
func (h *History) read(name string) ([]byte, error) {
	seen, err := h.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no regular file", errUnusable)
	}
	f, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // put there since we looked
		return nil, fmt.Errorf("%w: it is no regular file", errUnusable)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%w: it is larger than %d MiB", errUnusable, maxFile>>20)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(data) > maxFile { // it grew meanwhile
		return nil, fmt.Errorf("%w: it is larger than %d MiB", errUnusable, maxFile>>20)
	}
	return data, err
}

// aside moves a file out of the way, where it can be looked at, and gives the
// reason as an error.
func (h *History) aside(name string, why error) error {
	bad := name + ".bad"
	if err := h.root.Rename(name, bad); err != nil && !missing(err) {
		return fmt.Errorf("history: %s/%s cannot be used (%w), nor moved aside: %w", h.dir, name, why, err)
	}
	return fmt.Errorf("history: %s/%s cannot be used and was moved to %s: %w", h.dir, name, bad, why)
}

// write puts a file in place as a whole: a reader sees the old one or the new
// one, also after a power cut. A symbolic link in its place is replaced, not
// followed.
func (h *History) write(name string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("history: %s would be larger than %d MiB", name, maxFile>>20)
	}
	temp := "." + name + "." + rand.Text()
	err := h.writeNew(temp, data)
	if err == nil {
		err = h.root.Rename(temp, name)
	}
	if err != nil {
		_ = h.root.Remove(temp)
		return fmt.Errorf("history: %w", err)
	}
	h.syncFolder()
	return nil
}

func (h *History) writeNew(name string, data []byte) error {
	f, err := h.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder makes a rename last. A file system that cannot do so still has
// the old file or the new one.
func (h *History) syncFolder() {
	if d, err := h.root.Open("."); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
