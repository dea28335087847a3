package podman

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// serving hands a local socket on to an engine and gives a client of it, what was
// said, and what ends it.
func serving(t *testing.T, f *Forward) (client *http.Client, path string, said func() []string, end func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- f.Serve(ctx, l, func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		})
	}()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("it does not end")
		}
		transport.CloseIdleConnections()
	})
	t.Cleanup(end)
	said = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lines...)
	}
	return &http.Client{Transport: transport}, path, said, end
}

// forward reads the host and gives the way to one of its engines.
func forward(t *testing.T, e *Engines, s fleet.State, kind, user string) *Forward {
	t.Helper()
	read(t, e, s)
	f, err := e.Forward(kind, user)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// body asks and gives the status and the text of the answer.
func body(t *testing.T, c *http.Client, path string) (int, string) {
	t.Helper()
	resp, err := c.Get("http://d" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestForwardIsTheEngine(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	c, _, said, _ := serving(t, forward(t, h.engines(), state(rootSock), "", ""))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if code, b := body(t, c, "/_ping"); code != 200 || b != "OK" {
				t.Errorf("%d %q", code, b)
			}
		})
	}
	wg.Wait()
	if s := said(); len(s) > 0 {
		t.Error(s)
	}
}

// TestForwardSaysWhy: a program is told why it gets no answer, and once the host
// is back it gets one.
func TestForwardSaysWhy(t *testing.T) {
	h := newHost(t)
	h.reach.Root = ""
	h.reach.User = "ada"
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket] = srv
	c, _, said, _ := serving(t, forward(t, h.engines(), state(rootSock), "", ""))
	h.listen(rootSocket, nil)
	code, b := body(t, c, "/_ping")
	if code != http.StatusBadGateway || !strings.Contains(b, `"message":"sextant: Podman (/run/podman/podman.sock): `) {
		t.Errorf("%d %s", code, b)
	}
	for end := time.Now().Add(5 * time.Second); len(said()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if s := said(); len(s) != 1 || !strings.HasPrefix(s[0], "Podman (/run/podman/podman.sock)") {
		t.Error(s)
	}
	h.listen(rootSocket, srv)
	if code, b := body(t, c, "/_ping"); code != 200 || b != "OK" {
		t.Errorf("it is back, and %d %q", code, b)
	}
}

// TestForwardSaysWhyLate: a command that should lend the socket says only after it
// was begun that it cannot.
func TestForwardSaysWhyLate(t *testing.T) {
	h := newHost(t)
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket] = srv
	c, _, _, _ := serving(t, forward(t, h.engines(), state(rootSock), "", ""))
	h.listen(rootSocket, nil)
	if code, b := body(t, c, "/_ping"); code != http.StatusBadGateway || !strings.Contains(b, "podman ended with status 125") {
		t.Errorf("%d %s", code, b)
	}
	h.listen(rootSocket, srv)
	if code, b := body(t, c, "/_ping"); code != 200 || b != "OK" {
		t.Errorf("it is back, and %d %q", code, b)
	}
	if d := h.dialled(); d[len(d)-1] != "dial "+rootSocket {
		t.Errorf("it was not looked for anew: %q", d)
	}
}

func TestForwardChooses(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket], h.sockets[adaSock.Path] = newPodman(t, "5.4.2"), newPodman(t, "4.3.1")
	h.sockets[dockerSock.Path] = dockerServer(t, nil)
	e := h.engines()
	if _, err := e.Forward("", ""); !errors.Is(err, ErrNotRead) {
		t.Errorf("before anything is read: %v", err)
	}
	read(t, e, state(rootSock, adaSock, dockerSock))
	for _, c := range []struct{ kind, user, want string }{
		{"", "", "root podman 5.4.2"}, {"", "root", "root podman 5.4.2"}, {"", "ada", "ada podman 4.3.1"}, {"docker", "", "root docker 20.10.24+dfsg1"},
	} {
		f, err := e.Forward(c.kind, c.user)
		if err != nil {
			t.Error(err)
		} else if got := f.User() + " " + f.Engine(); got != c.want {
			t.Errorf("%s %s is %s, want %s", c.kind, c.user, got, c.want)
		}
	}
	if _, err := e.Forward("", "bea"); err == nil || !strings.Contains(fleet.InFull(err), "there is Podman, Docker, ada's Podman") {
		t.Error(err)
	}
	ben := fleet.Socket{Path: "/run/user/1002/podman/podman.sock", Owner: "ben", Open: true}
	h.listen(ben.Path, newPodman(t, "4.3.1"))
	h.listen(rootSocket, nil)
	e = h.engines()
	read(t, e, state(adaSock))
	if f, err := e.Forward("", ""); err != nil || f.User() != "ada" {
		t.Error("only ada has one:", err)
	}
	e = h.engines()
	read(t, e, state(adaSock, ben))
	if _, err := e.Forward("", ""); err == nil || !strings.Contains(fleet.InFull(err), "--user ada") {
		t.Error("it was guessed whose is meant:", err)
	}
}

// TestForwardThroughCommands: where a command stands between, few connections are
// open at once, the next waits until one ends.
func TestForwardThroughCommands(t *testing.T) {
	h := newHost(t)
	h.reach = fleet.Reach{State: fleet.Up, User: "ben", Root: "sudo"}
	srv := newPodman(t, "5.4.2")
	h.sockets[rootSocket], h.closed[rootSocket] = srv, true
	s := state(rootSock)
	s.Reach.Value = h.reach
	c, _, _, _ := serving(t, forward(t, h.engines(), s, "", ""))
	var streams []io.Closer
	for range maxCommands {
		resp, err := c.Get("http://d/v5.8.6/libpod/events")
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, resp.Body)
	}
	done := make(chan string, 1)
	go func() {
		_, b := body(t, c, "/_ping")
		done <- b
	}()
	select {
	case b := <-done:
		t.Errorf("one more than may be: %q", b)
	case <-time.After(100 * time.Millisecond):
	}
	for _, s := range streams {
		s.Close()
	}
	select {
	case b := <-done:
		if b != "OK" {
			t.Error(b)
		}
	case <-time.After(5 * time.Second):
		t.Error("no place was given back")
	}
}

// TestForwardEnds: what is open ends with the forwarding.
func TestForwardEnds(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	c, path, _, end := serving(t, forward(t, h.engines(), state(rootSock), "", ""))
	resp, err := c.Get("http://d/v5.8.6/libpod/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	end()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the stream ended as if it were whole")
	}
	_ = silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection that said nothing is still open")
	}
}

// pair gives both ends of a local socket, with halves.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		out[i] = c.(*net.UnixConn)
	}
	return out[0], out[1]
}

// joined joins a program with an engine, and tells when that is over.
func joined(t *testing.T) (program, engine *net.UnixConn, over <-chan struct{}) {
	program, near := pair(t)
	far, engine := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		join(near, far, []byte("first "))
		near.Close()
		far.Close()
	}()
	return program, engine, done
}

// TestHalvesArePassedOn: the end of the input reaches the engine while its output
// still comes, as `exec -i sha256sum` needs it.
func TestHalvesArePassedOn(t *testing.T) {
	program, engine, over := joined(t)
	io.WriteString(program, "second")
	program.CloseWrite()
	if b, err := io.ReadAll(engine); string(b) != "first second" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	time.Sleep(2 * goneEvery) // who only sends no more is not gone
	io.WriteString(engine, "answer")
	engine.Close()
	if b, err := io.ReadAll(program); string(b) != "answer" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	within(t, over, "it is over")
}

// TestTheEndOfTheOutput reaches the program, which may still send.
func TestTheEndOfTheOutput(t *testing.T) {
	program, engine, over := joined(t)
	engine.CloseWrite()
	if b, err := io.ReadAll(program); len(b) > 0 || err != nil {
		t.Errorf("%q %v", b, err)
	}
	io.WriteString(program, "more\n")
	if l, err := bufio.NewReader(engine).ReadString('\n'); l != "first more\n" {
		t.Errorf("%q %v", l, err)
	}
	program.Close()
	within(t, over, "it is over")
}

// TestWhoIsGone: a program that was killed does not leave its stream open on the
// host, though nothing is said there.
func TestWhoIsGone(t *testing.T) {
	program, engine, over := joined(t)
	program.Close()
	within(t, over, "nobody is there any more")
	if _, err := io.ReadAll(engine); err != nil {
		t.Error(err)
	}
}

func within(t *testing.T, over <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		t.Fatal("not within 5 s: " + what)
	}
}
