package discover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// machine is the one this program runs on. It is reached without SSH: a host
// cannot log in to itself by Tailscale SSH.
type machine struct {
	root     string // "/", or where a test keeps its files
	hostname func() (string, error)
}

// Name is "local".
func (machine) Name() string { return SourceLocal }

// Slow is false.
func (machine) Slow() bool { return false }

// Watch tells this machine once.
func (l machine) Watch(_ context.Context, emit func([]Sighting, error)) {
	s, err := l.look()
	if err != nil {
		emit(nil, err)
		return
	}
	emit([]Sighting{s}, nil)
}

func (l machine) look() (Sighting, error) {
	name, err := l.hostname()
	if err != nil {
		return Sighting{}, &Trouble{errors.New("this machine's name cannot be read"), "hostnamectl"}
	}
	s := Sighting{
		Source: SourceLocal, Name: clean(name), MachineID: l.line("etc/machine-id"), HostKeys: l.hostKeys(),
		OS: runtime.GOOS, Local: true, Addresses: []fleet.Address{{Via: fleet.ViaLocal, Host: "localhost"}},
	}
	if short, _, ok := strings.Cut(s.Name, "."); ok {
		s.Aliases, s.Name = []string{s.Name}, short
	}
	if !l.nixos() {
		s.NotHost, s.Guess = "this machine, which is not NixOS", true
	}
	return s, nil
}

// nixos tells whether a NixOS system runs here: by os-release, by the mark
// its activation keeps, or by what the current system is.
func (l machine) nixos() bool {
	b, _ := os.ReadFile(filepath.Join(l.root, "etc/os-release"))
	for line := range strings.Lines(string(b)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok && strings.Trim(id, `"'`) == "nixos" {
			return true
		}
	}
	return exists(filepath.Join(l.root, "etc/NIXOS")) || exists(filepath.Join(l.root, "run/current-system/nixos-version"))
}

func (l machine) line(file string) string {
	b, err := os.ReadFile(filepath.Join(l.root, file))
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(fleet.Clean(first))
}

// hostKeys are the public keys of this machine's sshd, by which other sources'
// sightings of it are known.
func (l machine) hostKeys() []string {
	files, _ := filepath.Glob(filepath.Join(l.root, "etc/ssh/ssh_host_*_key.pub"))
	var keys []string
	for _, f := range files {
		rel, err := filepath.Rel(l.root, f)
		if err != nil {
			continue
		}
		if k := hostKey(l.line(rel)); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// hostKey is a key without its comment, so that two of them can be compared.
func hostKey(line string) string {
	if f := strings.Fields(line); len(f) >= 2 {
		return f[0] + " " + f[1]
	}
	return ""
}
