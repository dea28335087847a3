package link_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// bare is a host of which only its name is known: the rest is in ssh_config.
func bare(name string) fleet.Host { return fleet.Host{ID: fleet.HostID(name), Name: name} }

func TestConfigNamesUserPortAddressAndKey(t *testing.T) {
	f := simulated(t, simulate.Options{})
	_, pem, line := newKey(t, "")
	f.SetLogin("cloud", simulate.Login{User: "ada", NoKey: true, Keys: []string{line}})
	d := known(t, f, nil)
	write(t, filepath.Join(d.SSHDir, "special"), string(pem))
	write(t, d.ConfigFiles[0], fmt.Sprintf("Host cloud\n  HostName 127.0.0.1\n  User ada\n  Port %d\n  IdentityFile ~/.ssh/special\n",
		f.Host("cloud").Addresses[0].Port))
	reach, err := d.Open(bare("cloud")).Connect(within(t, 5*time.Second))
	if err != nil || reach.User != "ada" || reach.Via != fleet.ViaConfig {
		t.Errorf("%+v, %v", reach, err)
	}
}

func TestHostKeyAlias(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := dialer(t, f, nil)
	write(t, d.KnownHosts[0], "the-cloud "+f.Host("cloud").HostKeys[0]+"\n")
	write(t, d.ConfigFiles[0], "Host cloud\n  HostKeyAlias the-cloud\n")
	if err := connect(t, d, plainHost(f, "cloud")); err != nil {
		t.Error(err)
	}
}

func TestOtherKnownHostsFile(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := dialer(t, f, &person{answer: yes})
	other := filepath.Join(d.SSHDir, "known of home")
	write(t, d.ConfigFiles[0], "Host cloud\n  UserKnownHostsFile ~/.ssh/elsewhere\n")
	if err := connect(t, d, plainHost(f, "cloud")); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(d.SSHDir, "elsewhere")) == "" || read(t, d.KnownHosts[0]) != "" {
		t.Errorf("the key was not written where ssh_config says (%s)", other)
	}
}

// TestProxyJump goes through another host, by ssh_config and as the fleet's own.
func TestProxyJump(t *testing.T) {
	f := simulated(t, simulate.Options{})
	port := func(name string) int { return f.Host(name).Addresses[0].Port }
	t.Run("of ssh_config", func(t *testing.T) {
		d := known(t, f, nil)
		write(t, d.ConfigFiles[0], fmt.Sprintf("Host vault\n  HostName 127.0.0.1\n  Port %d\n  ProxyJump gate\nHost gate\n  HostName 127.0.0.1\n  Port %d\n",
			port("vault"), port("router")))
		if got := run(t, d.Open(bare("vault")), "uname", "-n"); got != "vault" || f.Connections("router") != 1 {
			t.Errorf("reached %q, %d connections to the gate", got, f.Connections("router"))
		}
	})
	t.Run("through a host of the fleet", func(t *testing.T) {
		d := known(t, f, nil)
		d.Find = func(name string) (fleet.Host, bool) { return plainHost(f, "router"), name == "router" }
		h := plainHost(f, "vault")
		h.Jump = "router"
		eventually(t, "the end of earlier connections", func() bool { return f.Connections("router") == 0 })
		if got := run(t, d.Open(h), "uname", "-n"); got != "vault" {
			t.Errorf("reached %q", got)
		}
		run(t, d.Open(plainHost(f, "router")), "true") // uses the same connection
		if n := f.Connections("router"); n != 1 {
			t.Errorf("%d connections to the router", n)
		}
	})
	t.Run("through two", func(t *testing.T) {
		d := known(t, f, nil)
		h := plainHost(f, "vault")
		h.Jump = fmt.Sprintf("root@127.0.0.1:%d,127.0.0.1:%d", port("router"), port("cloud"))
		if got := run(t, d.Open(h), "uname", "-n"); got != "vault" {
			t.Errorf("reached %q", got)
		}
	})
	t.Run("not where the tailnet leads there", func(t *testing.T) {
		d := known(t, f, nil)
		write(t, d.ConfigFiles[0], "Host vault\n  ProxyJump laptop\n")
		if got := run(t, d.Open(f.Host("vault")), "uname", "-n"); got != "vault" {
			t.Errorf("reached %q", got)
		}
	})
	t.Run("through itself", func(t *testing.T) {
		d := known(t, f, nil)
		h := plainHost(f, "vault")
		h.Jump = "vault"
		d.Find = func(name string) (fleet.Host, bool) { return h, name == "vault" }
		if err := connect(t, d, h); err == nil || !strings.Contains(err.Error(), "its own jump host") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("in a circle", func(t *testing.T) {
		d := known(t, f, nil)
		a, b := plainHost(f, "vault"), plainHost(f, "cloud")
		a.Jump, b.Jump = "cloud", "vault"
		d.Find = func(name string) (fleet.Host, bool) {
			if name == "vault" {
				return a, true
			}
			return b, name == "cloud"
		}
		quickly(t, 5*time.Second, "a circle", func() {
			if err := connect(t, d, a); err == nil || !strings.Contains(err.Error(), "circle") {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("through one that is off", func(t *testing.T) {
		d := known(t, f, nil)
		d.Find = func(name string) (fleet.Host, bool) { return plainHost(f, "laptop"), name == "laptop" }
		h := plainHost(f, "vault")
		h.Jump = "laptop"
		if err := connect(t, d, h); err == nil || !strings.Contains(err.Error(), "through laptop") {
			t.Errorf("got %v", err)
		}
	})
}

// TestMatchExec: what the parser does not know, ssh itself is asked about.
func TestMatchExec(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh is not installed here")
	}
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	write(t, d.ConfigFiles[0], fmt.Sprintf("Match host cloud exec true\n  HostName 127.0.0.1\n  Port %d\n", f.Host("cloud").Addresses[0].Port))
	if got := run(t, d.Open(bare("cloud")), "uname", "-n"); got != "cloud" {
		t.Errorf("reached %q", got)
	}
	d = dialer(t, f, &person{answer: yes}) // ssh's own default files are no settings
	write(t, d.ConfigFiles[0], fmt.Sprintf("Match host cloud exec true\n  HostName 127.0.0.1\n  Port %d\n", f.Host("cloud").Addresses[0].Port))
	if err := connect(t, d, bare("cloud")); err != nil || read(t, d.KnownHosts[0]) == "" {
		t.Errorf("%v; the key was not written to the person's file", err)
	}
}

// TestMatchExecInWhicheverFile: the person's file goes before the system's, and
// either may be the one that needs ssh, or be missing.
func TestMatchExecInWhicheverFile(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh is not installed here")
	}
	f := simulated(t, simulate.Options{})
	way := fmt.Sprintf("  HostName 127.0.0.1\n  Port %d\n", f.Host("cloud").Addresses[0].Port)
	for name, c := range map[string]struct{ own, system string }{
		"the person's":               {"Match host cloud exec true\n" + way, ""},
		"the person's, partly":       {"Match host cloud exec true\n  User ada\n", "Host cloud\n" + way},
		"the system's":               {"Host cloud\n  User ada\n", "Match host cloud exec true\n" + way},
		"the system's, contradicted": {"Host cloud\n" + way, "Match host cloud exec true\n  Port 1\n"},
		"the system's alone":         {"", "Match host cloud exec true\n" + way},
		"both":                       {"Match host cloud exec true\n" + way, "Match exec true\n  Port 1\n  HostName 127.0.0.9\n"},
		"one that does not hold":     {"Match host cloud exec false\n  User nobody\nHost cloud\n" + way, ""},
		"an included one":            {"Include inner\nHost cloud\n" + way, ""},
		"the final one":              {"Match final host 127.0.0.1\n  User ada\n", "Host cloud\n" + way},
	} {
		t.Run(name, func(t *testing.T) {
			var notes []string
			d := known(t, f, nil)
			d.Note = func(m fleet.Message) { notes = append(notes, m.Text) }
			d.ConfigFiles = append(d.ConfigFiles, filepath.Join(t.TempDir(), "with space", "ssh_config"))
			inner := filepath.Join(t.TempDir(), "inner")
			write(t, inner, "Match host cloud exec false\n  User nobody\n")
			c.own = strings.Replace(c.own, "Include inner", "Include "+inner, 1)
			for i, text := range []string{c.own, c.system} {
				if text != "" { // else the file is not there
					_ = os.MkdirAll(filepath.Dir(d.ConfigFiles[i]), 0o700)
					write(t, d.ConfigFiles[i], text)
				}
			}
			reach, err := d.Open(bare("cloud")).Connect(within(t, 5*time.Second))
			if err != nil || len(notes) > 0 {
				t.Fatalf("%v, noted %q", err, notes)
			}
			if want := strings.Contains(c.own, "ada"); (reach.User == "ada") != want || reach.User == "nobody" {
				t.Errorf("logged in as %s", reach.User)
			}
		})
	}
}

// TestSSHThatCannotBeAsked: what could not be read of ssh_config is told, once.
func TestSSHThatCannotBeAsked(t *testing.T) {
	f := simulated(t, simulate.Options{})
	t.Setenv("PATH", t.TempDir())
	d := known(t, f, nil)
	var notes []string
	d.Note = func(m fleet.Message) { notes = append(notes, m.Text) }
	write(t, d.ConfigFiles[0], "Match host cloud exec true\n  Port 1\n")
	if err := connect(t, d, plainHost(f, "cloud")); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "`ssh -G` fails") {
		t.Errorf("%v, noted %q", err, notes)
	}
}

func TestNoAddress(t *testing.T) {
	d := &link.Dialer{SSHDir: t.TempDir()}
	defer d.Close()
	if err := connect(t, d, bare("nowhere")); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("got %v", err)
	}
}

// TestHostNameIsExpanded: where a wildcard gives the HostName, that of a host which
// another source named is dialled, and not "%h"; and a percent sign is one, once.
func TestHostNameIsExpanded(t *testing.T) {
	f := simulated(t, simulate.Options{})
	port := f.Host("cloud").Addresses[0].Port
	for file, name := range map[string]string{"Host 127*\n  HostName %%h.0.1\n": "127.0", "Host ?\n  HostName 127.0.0.%%h\n": "1"} {
		d := known(t, f, nil)
		write(t, d.ConfigFiles[0], fmt.Sprintf(file+"  Port %d\n", port))
		reach, err := d.Open(bare(name)).Connect(within(t, 10*time.Second))
		if err != nil || reach.Address != fmt.Sprintf("127.0.0.1:%d", port) {
			t.Errorf("%s of %q: %+v, %v", name, file, reach, err)
		}
	}
	d := known(t, f, nil)
	write(t, d.ConfigFiles[0], "Host odd\n  HostName no%%h.%h\n") // no resolver is asked for such a name
	if _, err := d.Open(bare("odd")).Connect(within(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), "no%h.odd") {
		t.Errorf("a percent sign: %v", err)
	}
}
