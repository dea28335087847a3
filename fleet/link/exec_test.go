package link_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

func TestCommand(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	args := []string{"echo", "it's", `a\b`, "$HOME", "`id`", "a b", "", "*", "~", "x=y", "漢", "\x1b[31m", "-n"}
	if got, want := run(t, l, args...), strings.Join(args[1:], " "); got != want {
		t.Errorf("%q came back as %q", want, got)
	}
	res, err := l.Run(within(t, 5*time.Second), link.Command{Args: []string{"sh", "-c", "echo out; exit 7"}})
	if err != nil || res.Status != 7 || string(res.Stdout) != "out\n" {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = l.Run(within(t, 5*time.Second), link.Command{Args: []string{"nothing-like-this"}})
	if err != nil || res.Status != 127 || !strings.Contains(string(res.Stderr), "not found") {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestStdin(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	text := strings.Repeat("all work and no play\x00\n", 100_000)
	res, err := l.Run(within(t, 10*time.Second), link.Command{Args: []string{"cat"}, Stdin: strings.NewReader(text)})
	if err != nil || string(res.Stdout) != text {
		t.Errorf("%d of %d bytes came back, %v", len(res.Stdout), len(text), err)
	}
	if got := run(t, l, "cat"); got != "" {
		t.Errorf("no input, but %q", got)
	}
}

// TestErrorOutputComesWhole: who asks for all of it is not given its beginning only.
func TestErrorOutputComesWhole(t *testing.T) {
	f := simulated(t, simulate.Options{})
	text := strings.Repeat("far too much to say\n", 20_000)
	f.Program("", "complain", func(c simulate.Call) int {
		_, _ = io.WriteString(c.Stderr, text)
		return 3
	})
	var all bytes.Buffer
	res, err := known(t, f, nil).Open(plainHost(f, "cloud")).Run(within(t, 10*time.Second), link.Command{Args: []string{"complain"}, Stderr: &all})
	if err != nil || res.Status != 3 || all.String() != text || !strings.HasPrefix(text, string(res.Stderr)) || len(res.Stderr) == 0 {
		t.Errorf("%d of %d bytes came, %d in the result: %v", all.Len(), len(text), len(res.Stderr), err)
	}
}

// TestUnreadStdin: a command that ends without reading its input has ended well all
// the same, however much is left.
func TestUnreadStdin(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	for n := range 40 {
		input := strings.Repeat("unread\n", n*n*1000+1)
		res, err := l.Run(within(t, 10*time.Second), link.Command{Args: []string{"true"}, Stdin: strings.NewReader(input)})
		if err != nil || res.Status != 0 {
			t.Fatalf("%d bytes unread: %+v, %v", len(input), res, err)
		}
	}
}

func TestTooMuchOutput(t *testing.T) {
	f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {Flood: 100 << 20}}})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	quickly(t, 5*time.Second, "stopping a flood", func() {
		_, err := l.Run(within(t, 10*time.Second), link.Command{Args: []string{"true"}, Limit: 1 << 20})
		if !errors.Is(err, link.ErrTooMuch) {
			t.Errorf("got %v", err)
		}
	})
	if err := f.SetFault("cloud", simulate.Fault{}); err != nil {
		t.Fatal(err)
	}
	f.Break("cloud")
	run(t, l, "true")
}

// TestStreamIsReadAsFastAsWanted: a reader that stops stops the host, and
// ending the process frees its place.
func TestStreamIsReadAsFastAsWanted(t *testing.T) {
	f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {Flood: 20 << 20}}})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	p, err := l.Start(within(t, 20*time.Second), link.Command{Args: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, p)
	if err != nil || n != 20<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if res, err := p.Wait(); err != nil || res.Status != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	for range 12 { // more than a host has places
		p, err := l.Start(within(t, 10*time.Second), link.Command{Args: []string{"true"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Read(make([]byte, 10)); err != nil {
			t.Error(err)
		}
		p.Close()
	}
}

func TestContextEndsTheCommand(t *testing.T) {
	f := simulated(t, simulate.Options{})
	var ended atomic.Int32
	f.Program("cloud", "linger", func(c simulate.Call) int {
		_, _ = io.WriteString(c.Stdout, "begun\n")
		<-c.Context.Done()
		ended.Add(1)
		return 1
	})
	l := known(t, f, nil).Open(plainHost(f, "cloud"))
	ctx, cancel := context.WithCancelCause(context.Background())
	p, err := l.Start(ctx, link.Command{Args: []string{"linger"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	cancel(why)
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, why) {
		t.Errorf("read: %v", err)
	}
	if _, err := p.Wait(); !errors.Is(err, why) {
		t.Errorf("wait: %v", err)
	}
	eventually(t, "the command's end", func() bool { return ended.Load() == 1 })
	p, err = l.Start(context.Background(), link.Command{Args: []string{"linger"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	p.Close()
	eventually(t, "the second command's end", func() bool { return ended.Load() == 2 })
}

// TestPlacesAreWaitedFor: a host gives few sessions at once; more commands wait.
func TestPlacesAreWaitedFor(t *testing.T) {
	f := simulated(t, simulate.Options{})
	var now, most atomic.Int32
	f.Program("", "count", func(c simulate.Call) int {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		return 0
	})
	for name, fault := range map[string]simulate.Fault{"as usual": {}, "few": {Sessions: 2}, "one": {Sessions: 1}} {
		t.Run(name, func(t *testing.T) {
			if err := f.SetFault("cloud", fault); err != nil {
				t.Fatal(err)
			}
			most.Store(0)
			l := known(t, f, nil).Open(plainHost(f, "cloud"))
			var wg sync.WaitGroup
			for range 24 {
				wg.Go(func() { run(t, l, "count") })
			}
			wg.Wait()
			if n := most.Load(); n > 8 || fault.Sessions > 0 && int(n) > fault.Sessions {
				t.Errorf("%d at once", n)
			}
		})
	}
	t.Run("within the context", func(t *testing.T) {
		if err := f.SetFault("cloud", simulate.Fault{}); err != nil {
			t.Fatal(err)
		}
		l := known(t, f, nil).Open(plainHost(f, "cloud"))
		for range 8 {
			p, err := l.Start(within(t, 10*time.Second), link.Command{Args: []string{"sleep", "infinity"}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
		}
		_, err := l.Run(within(t, 100*time.Millisecond), link.Command{Args: []string{"true"}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHostsThatRunNothing(t *testing.T) {
	f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"cloud": {NoExec: true}, "vault": {Deaf: true}}})
	d := known(t, f, nil)
	_, err := d.Open(plainHost(f, "cloud")).Run(within(t, 5*time.Second), link.Command{Args: []string{"true"}})
	if err == nil || !strings.Contains(err.Error(), "refuses to run commands") || strings.Contains(err.Error(), "exec") {
		t.Errorf("exec refused: %v", err)
	}
	_, err = d.Open(plainHost(f, "vault")).Run(within(t, 200*time.Millisecond), link.Command{Args: []string{"true"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
}

func TestDial(t *testing.T) {
	f := simulated(t, simulate.Options{Faults: map[string]simulate.Fault{"vault": {NoForward: true}}})
	d := known(t, f, nil)
	l := d.Open(plainHost(f, "storage"))
	for network, address := range map[string]string{"tcp": "127.0.0.1:19999", "unix": "/run/podman/podman.sock"} {
		conn, err := l.Dial(within(t, 5*time.Second), network, address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /api/v1/info HTTP/1.0\r\n\r\n"); err != nil {
			t.Error(err)
		}
		b, err := io.ReadAll(conn)
		if err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.0 ")) {
			t.Errorf("%s: %.40q, %v", address, b, err)
		}
		conn.Close()
	}
	for _, address := range []string{"/run/nothing.sock", "relative"} {
		if _, err := l.Dial(within(t, 5*time.Second), "unix", address); !errors.Is(err, link.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := l.Dial(within(t, 5*time.Second), "tcp", "127.0.0.1:9"); !errors.Is(err, link.ErrForbidden) {
		t.Errorf("a closed port: %v", err)
	}
	if _, err := d.Open(plainHost(f, "vault")).Dial(within(t, 5*time.Second), "unix", "/run/podman/podman.sock"); !errors.Is(err, link.ErrForbidden) {
		t.Errorf("sshd forbids: %v", err)
	}
}

func TestDialCommand(t *testing.T) {
	f := simulated(t, simulate.Options{})
	l := known(t, f, nil).Open(plainHost(f, "storage"))
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := l.DialCommand(ctx, link.Command{Args: []string{"podman", "system", "dial-stdio"}})
	if err != nil {
		t.Fatal(err)
	}
	cancel() // the connection outlives the dialling
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://podman/_ping", nil)
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 15)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "HTTP/1.1 200 OK" {
		t.Errorf("%q, %v", b, err)
	}
	conn.Close()
	conn, err = l.DialCommand(within(t, 5*time.Second), link.Command{Args: []string{"nothing-like-this"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err == nil || !strings.Contains(err.Error(), "status 127") {
		t.Errorf("a command that is not there: %v", err)
	}
}
