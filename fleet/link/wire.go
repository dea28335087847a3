package link

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// wire is the network connection below an SSH connection. When it ends it sees to
// it that the library knows before it gives up the channels it has: of the first
// write that fails the library tells nobody (handshakeTransport.writePacket), and a
// channel whose opening was that write is waited for without an end.
type wire struct {
	net.Conn
	client atomic.Pointer[ssh.Client] // nil until the handshake is done
	ended  chan struct{}
	failed chan struct{} // closed by the first write after the end
	end    sync.Once
	fail   sync.Once
}

func newWire(conn net.Conn) *wire {
	return &wire{Conn: conn, ended: make(chan struct{}), failed: make(chan struct{})}
}

// carries says which client the connection is for.
func (w *wire) carries(client *ssh.Client) {
	w.client.Store(client)
	select {
	case <-w.ended:
		probe(client)
	default:
	}
}

// probe is a write that nobody waits for.
func probe(client *ssh.Client) { _, _, _ = client.SendRequest("keepalive@openssh.com", false, nil) }

// Read reads; where there is nothing more to come, only after a write has failed.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.end.Do(w.spend)
	}
	return n, err
}

// spend makes the write that is forgotten one that nobody waits for. In the midst of
// an exchange of keys writes are held back: then there is none to wait for.
func (w *wire) spend() {
	close(w.ended)
	w.Close()
	client := w.client.Load()
	if client == nil {
		return // no channels yet
	}
	go probe(client)
	select {
	case <-w.failed:
	case <-time.After(100 * time.Millisecond):
	}
}

// Write writes, and fails after the end.
func (w *wire) Write(p []byte) (int, error) {
	select {
	case <-w.ended:
		w.fail.Do(func() { close(w.failed) })
		return 0, net.ErrClosed
	default:
		return w.Conn.Write(p)
	}
}
