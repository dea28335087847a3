package link

import (
	"bytes"
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
}

func newHead(listener func(string)) *head { return &head{told: listener} }

// Write never fails: what is too much is dropped.
func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := headLimit - h.buf.Len(); room > 0 {
		h.buf.Write(b[:min(room, len(b))])
	}
	if h.listen(); h.buf.Len() > toldLimit {
		h.told = nil
	}
	return len(b), nil
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
