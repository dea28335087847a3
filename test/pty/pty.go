// Package pty opens pseudo-terminals for tests. It is our own because
// github.com/creack/pty 1.1.24 gives the kernel the addresses of variables on a
// stack that may move meanwhile: now and then it opened /dev/pts/0, the terminal
// of another test, instead of its own.
package pty

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open gives both ends of a new pseudo-terminal of a size in cells: the person's,
// which is the terminal's keys and screen, and the program's.
func Open(cols, rows int) (person, program *os.File, err error) {
	person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	name, err := unlock(int(person.Fd()))
	if err == nil {
		err = Resize(person, cols, rows)
	}
	if err == nil {
		program, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		person.Close()
		return nil, nil, fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	return person, program, nil
}

// Start runs a program in a session of its own, with a new pseudo-terminal as
// its input, outputs and controlling terminal, and gives the person's end.
func Start(cmd *exec.Cmd, cols, rows int) (*os.File, error) {
	person, program, err := Open(cols, rows)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		person.Close()
		return nil, err
	}
	return person, nil
}

// Resize sets the size of the terminal of either end, in cells.
func Resize(f *os.File, cols, rows int) error {
	return unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(cols), Row: uint16(rows)})
}
