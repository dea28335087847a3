package link_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// freePort is a port on which nothing listens.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestCures: every way in which a host is not reached says what can be done
// about it, and says that beside what happened, not in it.
func TestCures(t *testing.T) {
	at := func(addrs ...fleet.Address) func(*testing.T, *simulate.Fleet) (*link.Dialer, fleet.Host) {
		return func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			h := plainHost(f, "cloud")
			h.Addresses = addrs
			return known(t, f, nil), h
		}
	}
	faulty := func(fault simulate.Fault) func(*testing.T, *simulate.Fleet) (*link.Dialer, fleet.Host) {
		return func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			if err := f.SetFault("cloud", fault); err != nil {
				t.Fatal(err)
			}
			d := known(t, f, nil)
			link.AuthLimit(d, 3*time.Second)
			return d, plainHost(f, "cloud")
		}
	}
	meets := func(asker link.Asker) func(*testing.T, *simulate.Fleet) (*link.Dialer, fleet.Host) {
		return func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			return dialer(t, f, asker), plainHost(f, "cloud")
		}
	}
	for name, c := range map[string]struct {
		reach      func(*testing.T, *simulate.Fleet) (*link.Dialer, fleet.Host)
		what, cure string
	}{
		"does not answer": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			h := f.Host("laptop") // the tailnet says that it is off
			h.Addresses = []fleet.Address{blackHole(t)}
			return known(t, f, nil), h
		}, "no answer within 500ms", "switched on"},
		"nothing listens": {at(fleet.Address{Via: fleet.ViaConfig, Host: "127.0.0.1", Port: freePort(t)}), "connection refused", "is sshd running"},
		"no such name":    {at(fleet.Address{Via: fleet.ViaConfig, Host: "cloud.invalid", Port: 22}), "cloud.invalid", "MagicDNS"},
		"no address":      {at(), "no address of cloud", "addresses for this host in config.toml"},
		"says nothing":    {faulty(simulate.Fault{Hang: true}), "no progress in 3s", "is the port right"},
		"is a web server": {faulty(simulate.Fault{Garbage: true}), "logging in to cloud", "is it sshd that listens there"},
		"lets nobody in":  {faulty(simulate.Fault{NoLogin: true}), "no way to log in was accepted: root@cloud refused", "ssh-add"},
		"shows a new key": {faulty(simulate.Fault{WrongKey: true}), "host key changed", "installed anew"},
		"unknown key":     {meets(nil), "host key unknown: cloud shows ssh-ed25519 SHA256:", "`ssh cloud`"},
		"refused key":     {meets(&person{}), "host key of cloud not accepted", "refresh"},
		"met by mDNS only": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			h := plainHost(f, "cloud")
			h.Addresses[0].Via = fleet.ViaMDNS
			return dialer(t, f, nil), h
		}, "proves nothing", "another address"},
		"locked key": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			_, pem, line := newKey(t, "sesame")
			f.SetLogin("cloud", simulate.Login{NoKey: true, Keys: []string{line}})
			d := known(t, f, nil)
			write(t, filepath.Join(d.SSHDir, "id_ed25519"), string(pem))
			return d, plainHost(f, "cloud")
		}, "stays locked", "ssh-add"},
		"check mode": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			f.SetLogin("cloud", simulate.Login{NoKey: true, Visit: page})
			d := noKey(t, f, nil)
			link.AuthLimit(d, 3*time.Second)
			return d, plainHost(f, "cloud")
		}, page, "in a browser"},
		"its own jump host": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			h := plainHost(f, "cloud")
			h.Jump = "cloud"
			d := known(t, f, nil)
			d.Find = func(string) (fleet.Host, bool) { return h, true }
			return d, h
		}, "its own jump host", "ProxyJump"},
		"jump host that is off": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			h := plainHost(f, "cloud")
			h.Jump = "laptop"
			d := known(t, f, nil)
			d.Find = func(string) (fleet.Host, bool) { return plainHost(f, "laptop"), true }
			return d, h
		}, "through laptop", "is sshd running"},
		"known_hosts that cannot be written": {func(t *testing.T, f *simulate.Fleet) (*link.Dialer, fleet.Host) {
			d := dialer(t, f, &person{answer: yes})
			d.KnownHosts = []string{filepath.Join(d.SSHDir, "id_ed25519", "known_hosts")} // a file, not a folder
			return d, plainHost(f, "cloud")
		}, "writing the key of cloud down", "let yourself write"},
	} {
		t.Run(name, func(t *testing.T) {
			d, h := c.reach(t, simulated(t, simulate.Options{}))
			err := connect(t, d, h)
			if err == nil || !strings.Contains(err.Error(), c.what) {
				t.Fatalf("got %v, want %q", err, c.what)
			}
			if cure := fleet.Cure(err); !strings.Contains(cure, c.cure) || strings.Contains(err.Error(), cure) {
				t.Errorf("%v\ncure %q, want %q", err, cure, c.cure)
			}
		})
	}
}

// TestCuresOfRoot: so does every way in which there is no root.
func TestCuresOfRoot(t *testing.T) {
	for name, c := range map[string]struct {
		login  simulate.Login
		become fleet.Become
		cure   string
	}{
		"none":       {simulate.Login{User: "ada", Sudo: simulate.SudoNone}, "", "wheel"},
		"nobody":     {simulate.Login{User: "ada", Password: "x", Sudo: simulate.SudoPassword}, "", "at a terminal"},
		"configured": {simulate.Login{User: "ada"}, fleet.BecomeNone, `become = "auto"`},
	} {
		f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": c.login}})
		h := plainHost(f, "cloud")
		h.User, h.Become = "ada", c.become
		_, err := known(t, f, nil).Open(h).Run(within(t, 5*time.Second), link.Command{Args: []string{"true"}, Root: true})
		if cure := fleet.Cure(err); err == nil || !strings.Contains(cure, c.cure) {
			t.Errorf("%s: %v, cure %q", name, err, cure)
		}
	}
}
