package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/sextant-fleet/sextant/fleet"
)

// localSocket is a socket of this machine that other programs connect to. As long
// as it is there a file beside it is locked, in which stands whose it is.
type localSocket struct {
	net.Listener
	path string
	lock *os.File
}

// maxSocketPath is what fits into an address of the system (sun_path), on the one
// with the least room.
const maxSocketPath = 103

// socketDir is the folder for a host's sockets, that nobody else may enter, and
// what there is to say about it.
func socketDir(host string) (dir, note string, err error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	name := "sextant"
	if !filepath.IsAbs(base) {
		base, name = os.TempDir(), fmt.Sprintf("sextant-%d", os.Getuid())
		note = "XDG_RUNTIME_DIR is not set: the socket is in " + filepath.Join(base, name)
	}
	dir = filepath.Join(base, name)
	for _, d := range []string{dir, filepath.Join(dir, fileName(host))} {
		if err := ownDir(d); err != nil {
			return "", "", err
		}
		dir = d
	}
	return dir, note, nil
}

// fileName makes a name of a file of a name that somebody else has given.
func fileName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return r
		}
		return '_'
	}, name)
	if strings.Trim(clean, ".") == "" {
		return "_" + clean
	}
	return clean
}

// ownDir makes a folder that only we may enter. One that is there is taken only
// where it is ours: in a folder that all may write to, somebody could have made it.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("a folder for the socket: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("a folder for the socket: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Getuid() {
		return fleet.WithCure(fmt.Errorf("%s is not a folder of yours: somebody could listen there in our place", dir), "set XDG_RUNTIME_DIR to a folder of yours")
	}
	if info.Mode().Perm() != 0o700 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// listenAt listens on a socket in a folder of ours. What a process left that died
// is replaced; a socket that one serves is refused.
func listenAt(dir, name string) (*localSocket, error) {
	path := filepath.Join(dir, name)
	if len(path) > maxSocketPath {
		return nil, fleet.WithCure(fmt.Errorf("%s is too long for a socket (%d of %d characters)", path, len(path), maxSocketPath), "set XDG_RUNTIME_DIR to a shorter path")
	}
	lock, err := lockAt(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &localSocket{path: path, lock: lock}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.unlock()
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		s.unlock()
		return nil, err
	}
	l.SetUnlinkOnClose(false) // Close does, while the lock is held
	s.Listener = l
	if err := os.Chmod(path, 0o600); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// lockAt locks a file and writes into it who does.
func lockAt(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			who, _ := io.ReadAll(io.LimitReader(f, 20))
			f.Close()
			pid := strings.TrimSpace(string(who))
			if _, nerr := strconv.Atoi(pid); nerr != nil {
				pid = "?"
			}
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return nil, fleet.WithCure(fmt.Errorf("%s is in use by another sextant, process %s", strings.TrimSuffix(path, ".lock"), pid),
				"use that one, or end it (kill "+pid+")")
		}
		if held(f, path) {
			if err = f.Truncate(0); err == nil {
				_, err = fmt.Fprintln(f, os.Getpid())
			}
			if err != nil {
				f.Close()
				return nil, err
			}
			return f, nil
		}
		f.Close() // who had it has taken it away since
	}
}

// held tells whether a path still names this file.
func held(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// Remove closes the socket and takes it away.
func (s *localSocket) Remove() {
	s.Close()
	_ = os.Remove(s.path)
	s.unlock()
}

func (s *localSocket) unlock() {
	_ = os.Remove(s.lock.Name())
	s.lock.Close()
}
