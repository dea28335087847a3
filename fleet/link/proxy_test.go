package link_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// proxyArg makes this test program a ProxyCommand, a real one: see proxyProgram.
const proxyArg = "-as-proxy"

// proxyProgram does as nc does: it connects to HOST PORT and carries bytes. It
// writes its process ID to the file named first, and behind that what else it
// was given.
func proxyProgram(args []string) int {
	if err := os.WriteFile(args[0], fmt.Appendf(nil, "%d %s", os.Getpid(), strings.Join(args[1:], " ")), 0o600); err != nil {
		return 1
	}
	fmt.Fprintln(os.Stderr, "proxy: \x1b[31mon its way")
	conn, err := net.Dial("tcp", net.JoinHostPort(args[1], args[2]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		return 7
	}
	go func() { _, _ = io.Copy(conn, os.Stdin) }()
	_, _ = io.Copy(os.Stdout, conn)
	return 0
}

// proxied is a dialer whose ssh_config says of gate that it is reached by this
// program, and the file in which that says who it is.
func proxied(t *testing.T, f *simulate.Fleet, host string, extra string) (*link.Dialer, string) {
	t.Helper()
	d := known(t, f, nil)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "proxy")
	write(t, d.ConfigFiles[0], fmt.Sprintf("Host gate\n  HostName 127.0.0.1\n  Port %d\n%s  ProxyCommand %s %s %s %%h %%p %%n %%r 100%%%%\n",
		f.Host(host).Addresses[0].Port, extra, self, proxyArg, file))
	return d, file
}

func TestProxyCommand(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d, file := proxied(t, f, "cloud", "  User ada\n")
	l := d.Open(bare("gate"))
	if got := run(t, l, "uname", "-n"); got != "cloud" {
		t.Errorf("reached %q", got)
	}
	pid, told, _ := strings.Cut(read(t, file), " ")
	if want := fmt.Sprintf("127.0.0.1 %d gate ada 100%%", f.Host("cloud").Addresses[0].Port); told != want {
		t.Errorf("it was told %q, want %q", told, want)
	}
	var n int
	if _, err := fmt.Sscan(pid, &n); err != nil || syscall.Kill(n, 0) != nil {
		t.Fatalf("%q does not run: %v", pid, err)
	}
	l.Close()
	eventually(t, "its end", func() bool { return syscall.Kill(n, 0) != nil })
}

// TestProxyCommandFails: what it says on its error output is in the error, and
// what can be done is to try it by hand.
func TestProxyCommandFails(t *testing.T) {
	f := simulated(t, simulate.Options{})
	hand := "try it by hand: "
	for name, c := range map[string]struct{ command, what, cure string }{
		"cannot connect":  {"sh -c 'echo no way >&2; exit 7'", "status 7: no way", hand + "sh -c 'echo no way"},
		"does not exist":  {"no-such-program %h", "not found", hand + "no-such-program 127.0.0.1"},
		"says nothing":    {"sh -c 'echo waiting for you >&2; sleep 60'", "no progress in 5s; its ProxyCommand says: waiting for you", hand},
		"is no ssh":       {"echo hello", "logging in to gate", hand},
		"unknown token":   {"nc %h %q", "%q, of which nothing is known", "none"},
		"ends with a %":   {"nc %", "a single %", "none"},
		"hands over a fd": {"nc %h %p\n  ProxyUseFdpass yes", "ProxyUseFdpass", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			d := known(t, f, nil)
			write(t, d.ConfigFiles[0], "Host gate\n  HostName 127.0.0.1\n  ProxyCommand "+c.command+"\n")
			quickly(t, 30*time.Second, name, func() {
				err := connect(t, d, bare("gate"))
				if err == nil || !strings.Contains(err.Error(), c.what) || !strings.Contains(fleet.Cure(err), c.cure) || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("%v, cure %q", err, fleet.Cure(err))
				}
			})
		})
	}
	t.Run("the host lets nobody in", func(t *testing.T) {
		if err := f.SetFault("cloud", simulate.Fault{NoLogin: true}); err != nil {
			t.Fatal(err)
		}
		d, _ := proxied(t, f, "cloud", "")
		if err := connect(t, d, bare("gate")); err == nil || !strings.Contains(fleet.Cure(err), "ssh-add") {
			t.Errorf("%v, cure %q", err, fleet.Cure(err))
		}
	})
}

// TestProxyCommandIsToldNoShell: a name that others made up does not get into
// the person's shell.
func TestProxyCommandIsToldNoShell(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	made := filepath.Join(t.TempDir(), "made")
	write(t, d.ConfigFiles[0], "Host *\n  ProxyCommand echo %h\n")
	for _, name := range []string{"a;touch " + made, "$(touch${IFS}" + made + ")", "-oProxyCommand", "a`touch " + made + "`", "a|touch " + made} {
		if err := connect(t, d, bare(name)); err == nil || !strings.Contains(err.Error(), "cannot go into a ProxyCommand") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("a name was run")
	}
}

func TestProxyCommandNone(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	write(t, d.ConfigFiles[0], fmt.Sprintf("Host gate\n  HostName 127.0.0.1\n  Port %d\n  ProxyCommand none\nHost *\n  ProxyCommand false\n",
		f.Host("cloud").Addresses[0].Port))
	if got := run(t, d.Open(bare("gate")), "uname", "-n"); got != "cloud" {
		t.Errorf("reached %q", got)
	}
}

// TestProxyCommandOrJump: of the two the one that stands first counts.
func TestProxyCommandOrJump(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh is not installed here")
	}
	f := simulated(t, simulate.Options{})
	d, file := proxied(t, f, "cloud", "")
	first := read(t, d.ConfigFiles[0])
	write(t, d.ConfigFiles[0], first+"Host *\n  ProxyJump nowhere.invalid\n")
	if got := run(t, d.Open(bare("gate")), "uname", "-n"); got != "cloud" || read(t, file) == "" {
		t.Errorf("reached %q, the command was told %q", got, read(t, file))
	}
	d, file = proxied(t, f, "cloud", "  ProxyJump nowhere.invalid\n")
	if err := connect(t, d, bare("gate")); err == nil || !strings.Contains(err.Error(), "through nowhere.invalid") || read(t, file) != "" {
		t.Errorf("got %v, the command was told %q", err, read(t, file))
	}
}
