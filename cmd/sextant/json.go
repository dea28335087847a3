package main

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// newJSON writes JSON that may be shown on a terminal: what a host's names hold of
// control characters and of marks that turn the direction of writing is written as
// \u escapes. It reads as the same text.
func newJSON(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(harmless{w})
	enc.SetEscapeHTML(false)
	return enc
}

// harmless passes JSON on; each write is whole characters, as an encoder's are.
type harmless struct{ io.Writer }

// Write implements io.Writer.
func (h harmless) Write(b []byte) (int, error) {
	var out []byte
	from := 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if n > 1 && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) || b[i] == 0x7f {
			out, from = append(out, b[from:i]...), i+n
			if r > 0xffff {
				r -= 0x10000
				out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
		}
		i += n
	}
	if from == 0 {
		return h.Writer.Write(b)
	}
	if _, err := h.Writer.Write(append(out, b[from:]...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
