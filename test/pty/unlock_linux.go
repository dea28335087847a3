package pty

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// unlock lets the program's end be opened and gives its name.
func unlock(person int) (string, error) {
	if err := unix.IoctlSetPointerInt(person, unix.TIOCSPTLCK, 0); err != nil {
		return "", err
	}
	n, err := unix.IoctlGetUint32(person, unix.TIOCGPTN)
	return "/dev/pts/" + strconv.FormatUint(uint64(n), 10), err
}
