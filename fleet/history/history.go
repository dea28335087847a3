// Package history keeps what was known of the fleet on the disk of the machine
// a person sits at, so that the next start shows something at once: the last
// known facts with their age, who is who among the hosts, and the address that
// last led to each.
//
// It asks no host. What it holds is a cache: a file that cannot be read is
// moved aside and said so, and everything goes on without it. It stores no
// secrets: the facts hold none but the commands of containers, which it leaves
// out.
package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// schema is the version of all files here. A file of another version is moved
// aside: facts are read again anyhow.
const schema = 1

// maxFile bounds a file that is read or written: 32 MiB, some thousand hosts.
const maxFile = 32 << 20

// History is a folder of remembered things. It is safe for concurrent use,
// also by several processes: who writes last wins, and no file is ever torn.
type History struct {
	dir  string
	root *os.Root

	mu        sync.Mutex
	addresses map[string]address // by host ID; nil: not read yet
}

// Open opens the folder, by rule $XDG_STATE_HOME/sextant, and makes it where it
// is missing. Nobody else may read it. A folder of another user is refused.
func Open(dir string) (*History, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if err := private(root); err != nil {
		root.Close()
		return nil, fmt.Errorf("history in %s: %w", dir, err)
	}
	return &History{dir: dir, root: root}, nil
}

// Close gives the folder back.
func (h *History) Close() error { return h.root.Close() }

// private makes sure that the folder is ours and closed to others.
func private(root *os.Root) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return errors.New("the folder belongs to another user")
	}
	if info.Mode().Perm() != 0o700 {
		return root.Chmod(".", 0o700)
	}
	return nil
}

// missing tells whether a file is simply not there yet.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
