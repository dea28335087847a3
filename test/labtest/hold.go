package labtest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Tests of the lab run beside each other, those of other packages too, which are
// other processes. So each says first which hosts it needs, once and all of them: what
// it changes is its own until it ends, and what it compares stays as it is. The
// system keeps count, by a file a host in the lab's folder: who dies lets go. Then a
// test takes a seat, of which there are few: tests wait more than they compute, but
// hosts that are asked too much at once answer late.

// Change has hosts for this test alone, until it ends.
func (l Lab) Change(t testing.TB, hosts ...string) { t.Helper(); l.Hold(t, hosts, nil) }

// Look has hosts stay as they are until the test ends, or until the function that
// it gives is called: others look too, nobody changes them.
func (l Lab) Look(t testing.TB, hosts ...string) (done func()) {
	t.Helper()
	return l.Hold(t, nil, hosts)
}

// Hold is Change of some hosts and Look at others, at once: two tests that each had
// what the other waits for would wait for ever. A host behind another needs that one too.
func (l Lab) Hold(t testing.TB, change, look []string) (done func()) {
	t.Helper()
	how := map[string]int{}
	for _, name := range look {
		how[name] = syscall.LOCK_SH
	}
	for _, name := range change {
		how[name] = syscall.LOCK_EX
	}
	for name := range maps.Clone(how) {
		if via := l.Named(t, name).Via; via != "" && how[via] == 0 {
			how[via] = syscall.LOCK_SH
		}
	}
	names := slices.Sorted(maps.Keys(how))
	pause := 100 * time.Millisecond / time.Duration(len(names)*len(names)) // who needs several seldom finds them all free
	began := time.Now()
	var held []*os.File
	for held == nil {
		var err error
		if held, err = l.all(names, how); err != nil {
			t.Fatal(err)
		}
		if held == nil {
			time.Sleep(pause)
		}
	}
	done = sync.OnceFunc(func() { release(held) })
	t.Cleanup(done)
	if waited := time.Since(began); waited > time.Second {
		t.Logf("waited %s for %v", waited.Round(time.Second), names)
	}
	return done
}

// all locks the hosts and a seat, or nothing: a test that waits for one host keeps no
// other from those who could have it.
func (l Lab) all(names []string, how map[string]int) ([]*os.File, error) {
	var held []*os.File
	for _, name := range names {
		f, err := lockFile(filepath.Join(l.Dir, "hold-"+name), how[name])
		if f == nil {
			release(held)
			return nil, err
		}
		held = append(held, f)
	}
	for n := range 3 * runtime.NumCPU() {
		f, err := lockFile(filepath.Join(l.Dir, fmt.Sprint("seat-", n)), syscall.LOCK_EX)
		if f != nil {
			return append(held, f), nil
		}
		if err != nil {
			release(held)
			return nil, err
		}
	}
	release(held)
	return nil, nil
}

func release(held []*os.File) {
	for _, f := range held {
		f.Close()
	}
}

// lockFile opens a file and locks it; what another has locked gives nil.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			err = nil
		}
		f.Close()
		return nil, err
	}
}
