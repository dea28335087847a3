package simulate

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// host is one simulated host: its port, its key, and how it behaves now.
type host struct {
	f    *Fleet
	role role
	key  ssh.Signer
	port int

	mu       sync.Mutex
	fault    Fault
	login    Login
	listener net.Listener
	closed   *closedPort
	conns    map[*wire]struct{}
	visited  chan struct{} // closed by Fleet.Visit
	ended    bool
	heard    []string // command lines, where they are recorded
	m        *machine // made when first asked
}

func newHost(f *Fleet, _ int, r role) *host {
	return &host{f: f, role: r, key: hostKey(f.opts.Seed, r.name), conns: map[*wire]struct{}{}}
}

// keyLine is the host's public key in authorized_keys form.
func (h *host) keyLine() string {
	line := ssh.MarshalAuthorizedKey(h.key.PublicKey())
	return string(line[:len(line)-1])
}

// machine is what the host is; it is made when it is first asked, so that a
// thousand hosts that nobody asks cost nothing.
func (h *host) machine() *machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = newMachine(h.role.name, h.f.opts.Seed, h.f.began)
		h.role.build(h.m)
		h.m.settle()
		if h.fault.Hostile {
			h.m.poison()
		}
	}
	return h.m
}

// set makes the host behave as the fault says.
func (h *host) set(fault Fault) error {
	h.mu.Lock()
	if h.fault.Hostile != fault.Hostile {
		h.m = nil
	}
	h.fault = fault
	h.mu.Unlock()
	if fault.Refuse {
		return h.shut()
	}
	return h.open()
}

// misbehaves is how it does now.
func (h *host) misbehaves() Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fault
}

// door is where it listens and whom it lets in, now.
func (h *host) door() (port int, who Login) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.port, h.login
}

// open listens, on the port it had before where it had one.
func (h *host) open() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listener != nil || h.ended {
		return nil
	}
	h.closed.release()
	h.closed = nil
	l, err := (&net.ListenConfig{}).Listen(h.f.ctx, "tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: h.port}).String())
	if err != nil {
		return err
	}
	h.listener, h.port = l, l.Addr().(*net.TCPAddr).Port
	h.f.wg.Go(func() { h.accept(l) })
	return nil
}

// shut stops listening and breaks what lives. The port stays taken: nobody
// else shall answer there.
func (h *host) shut() error {
	h.mu.Lock()
	if h.listener != nil {
		h.listener.Close()
		h.listener = nil
	}
	var err error
	if h.closed == nil && !h.ended {
		h.closed, err = closePort(h.port)
		if err == nil {
			h.port = h.closed.port
		}
	}
	h.mu.Unlock()
	h.breakAll()
	return err
}

// close ends the host for good.
func (h *host) close() {
	h.mu.Lock()
	h.ended = true
	if h.listener != nil {
		h.listener.Close()
		h.listener = nil
	}
	h.closed.release()
	h.closed = nil
	h.mu.Unlock()
	h.breakAll()
}

func (h *host) breakAll() {
	for _, c := range h.living() {
		c.Close()
	}
}

func (h *host) silence() {
	for _, c := range h.living() {
		c.quiet.Store(true)
	}
}

func (h *host) living() []*wire {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*wire
	for c := range h.conns {
		out = append(out, c)
	}
	return out
}

// accept serves each connection as the host behaves when it comes.
func (h *host) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		h.mu.Lock()
		w := &wire{Conn: conn, fault: h.fault, done: make(chan struct{})}
		h.conns[w] = struct{}{}
		h.mu.Unlock()
		h.f.wg.Go(func() {
			defer h.forget(w)
			h.serve(w)
		})
	}
}

func (h *host) forget(w *wire) {
	w.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, w)
}

// serve speaks to one client.
func (h *host) serve(w *wire) {
	switch {
	case w.fault.Hang:
		_, _ = io.Copy(io.Discard, w) // until the client goes
		return
	case w.fault.Garbage:
		_, _ = io.WriteString(w, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>\x1b[2J\x07"+
			"<p>\xff\xfe this is a web server</p></html>\n")
		return
	}
	h.serveSSH(w)
}

// wire is a connection that may drip or go silent.
type wire struct {
	net.Conn
	fault Fault
	sent  int64 // by one writer at a time
	quiet atomic.Bool
	done  chan struct{}
	once  sync.Once
}

// Write sends, unless the host has gone silent: then bytes vanish.
func (w *wire) Write(b []byte) (int, error) {
	if w.fault.Silent > 0 && w.sent+int64(len(b)) > w.fault.Silent {
		w.quiet.Store(true)
	}
	if w.quiet.Load() {
		return len(b), nil
	}
	w.sent += int64(len(b))
	if w.fault.Drip == 0 {
		return w.Conn.Write(b)
	}
	for n := 0; n < len(b); {
		select {
		case <-time.After(w.fault.Drip):
		case <-w.done:
			return n, net.ErrClosed
		}
		k, err := w.Conn.Write(b[n:min(n+64, len(b))])
		if n += k; err != nil {
			return n, err
		}
	}
	return len(b), nil
}

// Read receives; a silent host hears nothing.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	for w.quiet.Load() && err == nil {
		n, err = w.Conn.Read(b)
	}
	if err != nil && w.quiet.Load() {
		<-w.done // it does not notice that the client went away
	}
	return n, err
}

// Close ends it.
func (w *wire) Close() error {
	w.once.Do(func() { close(w.done) })
	return w.Conn.Close()
}

// closedPort holds a port without listening: connections are refused.
type closedPort struct{ fd, port int }

func closePort(port int) (*closedPort, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	c := &closedPort{fd: fd}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
		c.release()
		return nil, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		c.release()
		return nil, err
	}
	c.port = name.(*syscall.SockaddrInet4).Port
	return c, nil
}

func (c *closedPort) release() {
	if c != nil {
		syscall.Close(c.fd)
	}
}

// life gives a context that ends with a connection or the fleet.
func (h *host) life(w *wire) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(h.f.ctx)
	go func() {
		select {
		case <-w.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
