package discover

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThisMachine(t *testing.T) {
	rsa := "ssh-rsa " + strings.Repeat("A", 372)
	for _, c := range []struct {
		name     string
		files    map[string]string
		hostname string
		want     string
		why      string
		keys     []string
	}{
		{"NixOS by os-release", map[string]string{"etc/os-release": "NAME=NixOS\nID=nixos\n", "etc/machine-id": "abc\n"}, "storage", "storage", "", nil},
		{"quoted", map[string]string{"etc/os-release": "ID=\"nixos\"\n"}, "storage", "storage", "", nil},
		{"NixOS by its mark", map[string]string{"etc/NIXOS": ""}, "storage", "storage", "", nil},
		{"NixOS by its system", map[string]string{"run/current-system/nixos-version": "25.05"}, "storage", "storage", "", nil},
		{"Debian", map[string]string{"etc/os-release": "ID=debian\nID_LIKE=nixos\n"}, "desk", "desk", "this machine, which is not NixOS", nil},
		{"nothing at all", nil, "desk", "desk", "this machine, which is not NixOS", nil},
		{"full name", map[string]string{"etc/NIXOS": ""}, "storage.example.org", "storage", "", nil},
		{
			"host keys, whole and without comments",
			map[string]string{"etc/NIXOS": "", "etc/ssh/ssh_host_rsa_key.pub": rsa + " root@x\n", "etc/ssh/ssh_host_bad_key.pub": "junk\n"},
			"storage", "storage", "",
			[]string{rsa},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			e := next(t, watch(t, machine{root: root, hostname: func() (string, error) { return c.hostname, nil }}))
			if e.err != nil || len(e.list) != 1 {
				t.Fatalf("%+v", e)
			}
			s := e.list[0]
			checkClean(t, e.list)
			if s.Name != c.want || s.NotHost != c.why || !s.Local || s.MachineID != strings.TrimSpace(c.files["etc/machine-id"]) {
				t.Errorf("%+v", s)
			}
			if strings.Join(s.HostKeys, ";") != strings.Join(c.keys, ";") {
				t.Errorf("host keys %q", s.HostKeys)
			}
		})
	}
	e := next(t, watch(t, machine{root: t.TempDir(), hostname: func() (string, error) { return "", errors.New("no name") }}))
	if e.err == nil {
		t.Error("a machine without a name is no trouble")
	}
}
