package simulate

import (
	"net"
	"time"
)

// halves is one end of a connection whose two directions end by themselves, as
// those of a socket do.
type halves struct {
	net.Conn          // is read from
	to       net.Conn // is written to
}

// newHalves gives both ends of one.
func newHalves() (a, b *halves) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &halves{ar, aw}, &halves{br, bw}
}

// Write writes to the other end.
func (h *halves) Write(b []byte) (int, error) { return h.to.Write(b) }

// CloseWrite ends what is written.
func (h *halves) CloseWrite() error { return h.to.Close() }

// Close ends both directions.
func (h *halves) Close() error {
	h.to.Close()
	return h.Conn.Close()
}

// SetDeadline bounds both directions.
func (h *halves) SetDeadline(t time.Time) error {
	_ = h.to.SetWriteDeadline(t)
	return h.SetReadDeadline(t)
}

// SetWriteDeadline bounds what is written.
func (h *halves) SetWriteDeadline(t time.Time) error { return h.to.SetWriteDeadline(t) }
