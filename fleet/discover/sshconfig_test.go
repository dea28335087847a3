package discover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// home makes a home folder with these files below .ssh, and gives the path of its config.
func home(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, ".ssh", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, ".ssh", "config")
}

func TestSSHConfig(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"empty", map[string]string{"config": ""}, ""},
		{
			"settings of names and of patterns",
			map[string]string{"config": `
# mine
Host vault
	Port 2222
	HostName 10.78.0.18
	ProxyJump root@router
Host storage cloud web* !old
	User=root
	IdentityFile "~/.ssh/fleet key"
Host *
	User ada
`},
			`
			cloud at=config:cloud user=root identity=~/.ssh/fleet key
			storage at=config:storage user=root identity=~/.ssh/fleet key
			vault at=config:10.78.0.18#2222 user=ada port=2222 jump=root@router
			`,
		},
		{
			"%h, none, quotes, tabs, keys in any case, comments",
			map[string]string{"config": "HOST\t\"a\"  b # both\n  hostname %h.lan\n  ProxyJump none\n  PORT 22 # usual\n"},
			`
			a at=config:a.lan#22 port=22
			b at=config:b.lan#22 port=22
			`,
		},
		{
			"Match that cannot be evaluated is left out, what follows is not",
			map[string]string{"config": `
Host a
	User one
Match exec "test -e /tmp"
	User two
Match final
	User three
Match user x host a
	User four
Match host b
	User five
Host b
	Port 2222
Match all
	User six
`},
			`
			a at=config:a user=one
			b at=config:b user=five port=2222
			`,
		},
		{
			"Include: names, settings, order, a block that goes on, files that include themselves",
			map[string]string{
				"config":        "Include conf.d/*\nHost a\n  Include more\n  User one\nHost z\n  User zed\n",
				"conf.d/work":   "Host w\n  User work\nMatch exec \"false\"\n  User never\nInclude config\n",
				"conf.d/x":      "Port 2200\n",
				"more":          "IdentityFile ~/k\n",
				"conf.d/zz.pub": "",
			},
			`
			a at=config:a user=one port=2200 identity=~/k
			w at=config:w user=work port=2200
			z at=config:z user=zed port=2200
			`,
		},
		{
			"what is no machine",
			map[string]string{"config": `
Host github.com github.com-work gitlab.com codeberg.org
	User git
Host work
	HostName ssh.github.com
Host forge
	HostName git.example.org
	User git
Host aws
	HostName git-codecommit.eu-west-1.amazonaws.com
Host linux-builder
	HostName localhost
	Port 31022
Host vm
	HostName 127.0.0.1
Host gitea
`},
			`
			gitea at=config:gitea
			- aws: git service (ssh_config)
			- codeberg.org: git service (ssh_config)
			- forge: git service (ssh_config)
			- github.com: git service (ssh_config)
			- github.com-work: git service (ssh_config)
			- gitlab.com: git service (ssh_config)
			- linux-builder: leads to this machine: a forwarded port or a local VM (ssh_config)
			- vm: leads to this machine: a forwarded port or a local VM (ssh_config)
			- work: git service (ssh_config)
			`,
		},
		{
			"words that are no names",
			map[string]string{"config": "Host -oProxyCommand=x a/b user@host %h 10.0.0.5 \x1b]0;x\x07y\n"},
			`
			10.0.0.5 at=config:10.0.0.5
			`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := readSSHConfig(home(t, c.files))
			if err != nil {
				t.Fatal(err)
			}
			checkClean(t, list)
			hosts, others := Merge(list, Rules{}, nil)
			for i := range hosts {
				hosts[i].ID, hosts[i].Sources = "", nil
			}
			want := strings.ReplaceAll(strings.TrimLeft(c.want, "\n"), "\t", "")
			if got := render(hosts, others); got != want {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestSSHConfigWatch(t *testing.T) {
	leaks(t)
	path := home(t, map[string]string{"known_hosts": ""})
	told := watch(t, &sshFile{path: path, every: 10 * time.Millisecond})
	if e := next(t, told); e.err != nil || e.list == nil || len(e.list) != 0 {
		t.Fatalf("without a file: %+v", e)
	}
	if err := os.WriteFile(path, []byte("Host a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for e := next(t, told); len(e.list) != 1; e = next(t, told) { // it may be read half written
	}
	select {
	case e := <-told:
		t.Errorf("told again: %+v", e)
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for e := next(t, told); ; e = next(t, told) {
		if e.err != nil {
			if !strings.Contains(e.err.Error(), path) {
				t.Errorf("%v", e.err)
			}
			return
		}
	}
}

func FuzzSSHConfig(f *testing.F) {
	f.Add("Host a\n HostName %h.b\nMatch host c\n User \"x\nInclude *\n")
	f.Add("Host=a \"b\" ! * \x00\nPort=\nHost\n")
	f.Fuzz(func(t *testing.T, text string) {
		flat := &flattener{home: "/nonexistent", dir: "/nonexistent/.ssh"}
		flat.add([]byte(text), 0)
		list, err := fromSSHConfig(flat.out.Bytes(), flat.names)
		if err != nil {
			return
		}
		for _, s := range list {
			if strings.HasPrefix(s.Name, "-") || s.Name != fleet.Clean(s.Name) {
				t.Errorf("name %q", s.Name)
			}
		}
		hosts, others := Merge(list, Rules{}, nil)
		checkInvariants(t, list, hosts, others)
	})
}
