package history

import (
	"syscall"
	"time"
)

// lockWait is how long a writer waits for another process, which may have been
// stopped while it held the lock. A line that is added without the lock is
// whole in any case; only a torn one before it may be judged wrongly.
const lockWait = 2 * time.Second

// alone keeps other processes from writing until the function it gives is
// called, by an advisory lock (flock) on the folder.
func (h *History) alone() (release func()) {
	f, err := h.root.Open(".")
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || time.Now().After(end) {
			return func() { f.Close() } // which lets go of the lock
		}
	}
}
