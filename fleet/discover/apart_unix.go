//go:build unix

package discover

import (
	"os/exec"
	"syscall"
)

// apart puts a command in a session of its own, so that what it starts cannot
// ask for a password on our terminal, and ends all of it when its context does.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
