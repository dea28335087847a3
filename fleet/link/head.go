package link

import (
	"bytes"
	"io"
	"sync"
)

// headLimit is how much of its error output is kept of a command.
const headLimit = 64 << 10

// toldLimit is how much a person's shell may say before [elevate] speaks.
const toldLimit = 4 << 10

// head keeps the first bytes written to it and drops the rest. It takes out
// the line with which [elevate] says which way it took.
type head struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	told func(word string) // nil: nobody listens, or it was told
	all  io.Writer         // is given all of it as it comes; nil: nobody
}

func newHead(cmd Command) *head { return &head{told: cmd.told, all: cmd.Stderr} }

// Write fails only where who wants all of it does: what is too much is dropped.
func (h *head) Write(b []byte) (int, error) {
	h.keep(b)
	if h.all != nil {
		return h.all.Write(b)
	}
	return len(b), nil
}

func (h *head) keep(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := headLimit - h.buf.Len(); room > 0 {
		h.buf.Write(b[:min(room, len(b))])
	}
	if h.listen(); h.buf.Len() > toldLimit {
		h.told = nil
	}
}

// listen looks for the line, behind what the person's shell may say first.
func (h *head) listen() {
	if h.told == nil {
		return
	}
	text := h.buf.Bytes()
	i := bytes.Index(text, []byte(told))
	if i < 0 || i > 0 && text[i-1] != '\n' {
		return
	}
	word, rest, whole := bytes.Cut(text[i+len(told):], []byte{'\n'})
	if !whole {
		return
	}
	h.told(string(word))
	h.told = nil
	kept := append(bytes.Clone(text[:i]), rest...)
	h.buf.Reset()
	h.buf.Write(kept)
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.buf.Bytes())
}
