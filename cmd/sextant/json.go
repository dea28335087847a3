package main

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
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
			for _, half := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, half)
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
