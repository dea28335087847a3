package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Leader is PID 1 of a host that is up, as this machine counts.
func (l Lab) Leader(host string) (string, error) {
	pid, err := os.ReadFile(filepath.Join(l.Dir, "hosts", host, "pid"))
	if err != nil {
		return "", fmt.Errorf("%s is down: %w", host, err)
	}
	p := strings.TrimSpace(string(pid))
	children, err := os.ReadFile("/proc/" + p + "/task/" + p + "/children")
	if err != nil {
		return "", fmt.Errorf("%s is down: %w", host, err)
	}
	leader, _, _ := strings.Cut(strings.TrimSpace(string(children)), " ")
	if leader == "" {
		return "", fmt.Errorf("%s is down: nspawn has no child", host)
	}
	return leader, nil
}

// Inside is a program of the shell in a host, as root: without SSH and without
// anything of ours. It does what `lab exec` does, which takes longer to begin.
func (l Lab) Inside(host, script string) (*exec.Cmd, error) {
	leader, err := l.Leader(host)
	if err != nil {
		return nil, err
	}
	return exec.Command("nsenter", "-t", leader, "-m", "-u", "-i", "-n", "-p", "-C", "--",
		"env", "-i", "HOME=/root", "USER=root", "PODMAN_IGNORE_CGROUPSV1_WARNING=1", "TERM=dumb", "LANG=C.UTF-8",
		"PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", script), nil
}
