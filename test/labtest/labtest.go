// Package labtest gives tests the lab's hosts (test/lab), reached as the
// operator reaches them. Tests that use it carry the build tag "lab" and run in
// the operator's namespace: go test -tags lab -exec "$PWD/test/lab/lab operator".
package labtest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/probe"
)

// Host is one host of the lab, as lab.json describes it.
type Host struct {
	Name, LAN, Tailnet, User, Base, Via string
	Port                                int
	Runs, Tags                          []string
}

// Lab is what lab.json tells of the lab.
type Lab struct {
	Dir     string
	Hosts   []Host
	Control string
	Domain  string
	// Operator is the machine that Sextant runs on: its home, and tailscaled's socket.
	Operator struct{ Home, Socket string }
	API      struct{ URL, Key, OAuthID, OAuthSecret string }
}

// SudoPassword is that of ada on laptop.
const SudoPassword = "lab-sudo"

// Load reads the lab's description; a lab that is not up fails the test.
func Load(t testing.TB) Lab {
	t.Helper()
	l := Lab{Dir: os.Getenv("SEXTANT_LAB")}
	b, err := os.ReadFile(filepath.Join(l.Dir, "lab.json"))
	if err != nil {
		t.Fatalf("the lab is not up, or the test does not run in it: %v", err)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// Probe gives a reader of probes that is closed with the test.
func Probe(t testing.TB) *probe.Reader {
	r := probe.New()
	t.Cleanup(r.Close)
	return r
}

// Named gives a host of the lab.
func (l Lab) Named(t testing.TB, name string) Host {
	t.Helper()
	for _, h := range l.Hosts {
		if h.Name == name {
			return h
		}
	}
	t.Fatalf("the lab has no host %q", name)
	return Host{}
}

// Fleet gives the host as discovery would.
func (h Host) Fleet() fleet.Host {
	out := fleet.Host{ID: fleet.HostID("name:" + h.Name), Name: h.Name, User: h.User, Port: h.Port}
	switch {
	case h.Via != "":
		out.Jump = h.Via
		out.Addresses = []fleet.Address{{Via: fleet.ViaConfig, Host: h.LAN}}
	default:
		out.Addresses = []fleet.Address{{Via: fleet.ViaTailnet, Host: h.Tailnet}, {Via: fleet.ViaLAN, Host: h.LAN}}
	}
	return out
}

// Dialer reaches hosts with the operator's key and known hosts. It is closed
// at the end of the test.
func (l Lab) Dialer(t testing.TB, asker link.Asker) *link.Dialer {
	t.Helper()
	ssh := filepath.Join(os.Getenv("HOME"), ".ssh")
	d := &link.Dialer{
		Asker: asker, SSHDir: ssh, ConfigFiles: []string{filepath.Join(ssh, "config")},
		KnownHosts: []string{filepath.Join(ssh, "known_hosts")},
		Note:       func(m fleet.Message) { t.Logf("%s %s: %s", m.Level, m.Host, m.Text) },
	}
	t.Cleanup(d.Close)
	return d
}

// Link gives a link to a host of the lab.
func (l Lab) Link(t testing.TB, name string) link.Link {
	t.Helper()
	return l.Dialer(t, Answers{fleet.AskSudo: SudoPassword}).Open(l.Named(t, name).Fleet())
}

// Output runs a command on a host, as root where that is possible, and gives
// what it prints.
func Output(t testing.TB, l link.Link, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := l.Run(ctx, link.Command{Args: args, IfRoot: true})
	if err != nil || res.Status != 0 {
		t.Fatalf("%v on %s: %v, status %d: %s", args, l.Host().Name, err, res.Status, res.Stderr)
	}
	return string(res.Stdout)
}

// Answers replies to questions by their kind; what is not in it is refused.
type Answers map[fleet.QuestionKind]string

// Ask replies at once.
func (a Answers) Ask(_ context.Context, q fleet.Question) (fleet.Reply, error) {
	text, ok := a[q.Kind]
	return fleet.Reply{Text: text, Refuse: !ok}, nil
}
