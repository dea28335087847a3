package link_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// blackHole is an address that answers nothing: its queue of connections is
// full, so that the kernel drops those that come.
func blackHole(t testing.TB) fleet.Address {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	a := fleet.Address{Via: fleet.ViaTailnet, Host: "127.0.0.1", Port: name.(*syscall.SockaddrInet4).Port}
	for range 8 {
		c, err := net.DialTimeout("tcp", a.Join(0), 50*time.Millisecond)
		if err != nil {
			return a
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("this kernel takes every connection")
	return a
}

func TestSecondAddressWins(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	var kept fleet.Address
	d.Remember = func(_ fleet.HostID, a fleet.Address) { kept = a }
	h := plainHost(f, "cloud")
	good := fleet.Address{Via: fleet.ViaLAN, Host: "127.0.0.1", Port: h.Addresses[0].Port}
	h.Addresses = []fleet.Address{blackHole(t), good}
	quickly(t, 2*time.Second, "the race", func() {
		reach, err := d.Open(h).Connect(within(t, 10*time.Second))
		if err != nil || reach.Via != fleet.ViaLAN || reach.Address != good.Join(0) {
			t.Fatalf("%+v, %v", reach, err)
		}
	})
	if kept != good {
		t.Errorf("remembered %+v", kept)
	}
}

// TestRememberedAddressIsFirst: the address that worked has the head start.
func TestRememberedAddressIsFirst(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	link.RaceDelay(d, 5*time.Second) // not over before the first address was dialled
	h := plainHost(f, "cloud")
	port := h.Addresses[0].Port
	tailnet, lan := fleet.Address{Via: fleet.ViaTailnet, Host: "127.0.0.1", Port: port}, fleet.Address{Via: fleet.ViaLAN, Host: "localhost", Port: port}
	h.Addresses = []fleet.Address{tailnet, lan}
	d.Remembered = func(fleet.HostID) fleet.Address { return lan }
	if reach, err := d.Open(h).Connect(within(t, 20*time.Second)); err != nil || reach.Via != fleet.ViaLAN {
		t.Errorf("%+v, %v", reach, err)
	}
}

// TestAnotherMachineAtTheFirstAddress: it shows another key, so the next
// address is tried.
func TestAnotherMachineAtTheFirstAddress(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	h := plainHost(f, "cloud")
	own, foreign := h.Addresses[0].Port, f.Host("storage").Addresses[0].Port
	write(t, d.KnownHosts[0], f.KnownHosts()+fmt.Sprintf("[cloud]:%d %s\n", foreign, f.Host("cloud").HostKeys[0]))
	h.Addresses = []fleet.Address{{Via: fleet.ViaTailnet, Host: "127.0.0.1", Port: foreign}, {Via: fleet.ViaLAN, Host: "127.0.0.1", Port: own}}
	if got := run(t, d.Open(h), "uname", "-n"); got != "cloud" {
		t.Errorf("reached %q", got)
	}
	h.Addresses = h.Addresses[:1]
	h.ID = "again"
	if err := connect(t, d, h); !errors.Is(err, link.ErrHostKey) {
		t.Errorf("only the foreign address: %v", err)
	}
}

func TestRefusedAndOffline(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	quickly(t, time.Second, "a refusal", func() {
		if err := connect(t, d, plainHost(f, "laptop")); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v", err)
		}
	})
	away := f.Host("laptop") // the tailnet says that it is off
	away.Addresses, away.ID = []fleet.Address{blackHole(t)}, "away"
	quickly(t, 2*time.Second, "a host that is off", func() {
		if err := connect(t, d, away); err == nil || !strings.Contains(err.Error(), "no answer within") {
			t.Errorf("got %v", err)
		}
	})
}

// TestBadServers: each ends in a reason within the time a login may take.
func TestBadServers(t *testing.T) {
	for name, c := range map[string]struct {
		fault simulate.Fault
		want  string
	}{
		"says nothing":      {simulate.Fault{Hang: true}, "no progress"},
		"is a web server":   {simulate.Fault{Garbage: true}, "logging in to cloud"},
		"goes while we log": {simulate.Fault{Silent: 600}, "no progress"},
		"lets nobody in":    {simulate.Fault{NoLogin: true}, "no way to log in"},
		"drips":             {simulate.Fault{Drip: 200 * time.Millisecond}, "no progress"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": c.fault}})
			d := known(t, f, nil)
			link.AuthLimit(d, 3*time.Second)
			quickly(t, 20*time.Second, name, func() {
				err := connect(t, d, plainHost(f, "cloud"))
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v", err)
				}
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\x07\n") {
					t.Errorf("control characters in %q", err)
				}
			})
		})
	}
}

// TestKeepAliveEndsASilentConnection: what runs over it ends with a reason,
// and the next command makes a new one.
func TestKeepAliveEndsASilentConnection(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	d.KeepAlive, d.LostAfter = 30*time.Millisecond, 300*time.Millisecond
	l := d.Open(plainHost(f, "cloud"))
	p, err := l.Start(within(t, 10*time.Second), link.Command{Args: []string{"sleep", "infinity"}})
	if err != nil {
		t.Fatal(err)
	}
	f.Silence("cloud")
	quickly(t, 3*time.Second, "noticing the silence", func() {
		if _, err := p.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("read: %v", err)
		}
		if _, err := p.Wait(); err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("wait: %v", err)
		}
	})
	if got := run(t, l, "uname", "-n"); got != "cloud" {
		t.Errorf("afterwards: %q", got)
	}
}

// TestCallsEndWithTheirContext, also when the host has silently gone and
// nobody has noticed yet.
func TestCallsEndWithTheirContext(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	run(t, l, "true")
	running, err := l.Start(within(t, 300*time.Millisecond), link.Command{Args: []string{"sleep", "infinity"}})
	if err != nil {
		t.Fatal(err)
	}
	f.Silence("cloud")
	ctx := func() context.Context { return within(t, 200*time.Millisecond) }
	for name, call := range map[string]func() error{
		"run":     func() error { _, err := l.Run(ctx(), link.Command{Args: []string{"true"}}); return err },
		"start":   func() error { _, err := l.Start(ctx(), link.Command{Args: []string{"true"}}); return err },
		"read":    func() error { _, err := running.Read(make([]byte, 1)); return err },
		"wait":    func() error { _, err := running.Wait(); return err },
		"dial":    func() error { _, err := l.Dial(ctx(), "tcp", "127.0.0.1:19999"); return err },
		"command": func() error { _, err := l.DialCommand(ctx(), link.Command{Args: []string{"cat"}}); return err },
	} {
		quickly(t, time.Second, name, func() {
			if err := call(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	running.Close()
}

func TestReconnect(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	for range 3 {
		run(t, l, "true")
		p, err := l.Start(within(t, 10*time.Second), link.Command{Args: []string{"sleep", "infinity"}})
		if err != nil {
			t.Fatal(err)
		}
		f.Break("cloud")
		if _, err := p.Wait(); err == nil || !strings.Contains(err.Error(), "lost") {
			t.Errorf("what ran: %v", err)
		}
	}
	if err := f.SetFault("cloud", simulate.Fault{Refuse: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"true"}}); err == nil {
		t.Error("a host that refuses was reached")
	}
	if err := f.SetFault("cloud", simulate.Fault{}); err != nil {
		t.Fatal(err)
	}
	run(t, l, "true")
}

// TestOneConnectionForAll: many callers at once share one attempt.
func TestOneConnectionForAll(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { run(t, d.Open(plainHost(f, "cloud")), "true") })
	}
	wg.Wait()
	if n := f.Connections("cloud"); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestLinkAfterItsEnd: a closed link stays closed, and Open gives a new one.
func TestLinkAfterItsEnd(t *testing.T) {
	f := simulated(t, simulate.Options{})
	d := known(t, f, nil)
	h := plainHost(f, "cloud")
	old := d.Open(h)
	run(t, old, "true")
	old.Close()
	if _, err := old.Run(within(t, time.Second), link.Command{Args: []string{"true"}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the closed link: %v", err)
	}
	run(t, d.Open(h), "true")
	d.Forget(h.ID)
	eventually(t, "the end of the connection", func() bool { return f.Connections("cloud") == 0 })
	run(t, d.Open(h), "true")
}

// TestWayInChanges: the same link takes the new way.
func TestWayInChanges(t *testing.T) {
	f := simulated(t, simulate.Options{Logins: map[string]simulate.Login{"cloud": {User: "ada"}}})
	d := known(t, f, nil)
	h := plainHost(f, "cloud")
	l := d.Open(h)
	if got := run(t, l, "id", "-un"); got != "ada" {
		t.Errorf("logged in as %q", got)
	}
	f.SetLogin("cloud", simulate.Login{User: "bob"})
	h.User = "bob"
	if d.Open(h) != l {
		t.Error("another link")
	}
	if got := run(t, l, "id", "-un"); got != "bob" {
		t.Errorf("logged in as %q", got)
	}
}

// TestCloseEndsALogin that is under way.
func TestCloseEndsALogin(t *testing.T) {
	f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {Hang: true}}})
	d := known(t, f, nil)
	done := make(chan error, 1)
	go func() { done <- connect(t, d, plainHost(f, "cloud")) }()
	eventually(t, "a connection", func() bool { return f.Connections("cloud") == 1 })
	quickly(t, time.Second, "closing", func() {
		d.Close()
		if err := <-done; err == nil {
			t.Error("connected")
		}
	})
}
