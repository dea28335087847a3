package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

// TestJSONIsHarmlessOnATerminal: it reads as the same, and holds nothing that a
// terminal obeys.
func TestJSONIsHarmlessOnATerminal(t *testing.T) {
	for _, text := range []string{
		"plain <b>&", "line\nbreak\x1b[31m", "\u009b31mC1", "a\u202egnp.exe", "del\x7f", "tag\U000e0041s", "ümlaut 漢 😀", "\u2028\ufeff", "\x00", "bad \xff bytes",
	} {
		var b bytes.Buffer
		if err := newJSON(&b).Encode(map[string]string{"name": text}); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		for _, r := range out[:len(out)-1] {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("%q: %q holds %U", text, out, r)
			}
		}
		var plain, back map[string]string
		raw, _ := json.Marshal(map[string]string{"name": text})
		if json.Unmarshal(raw, &plain) != nil || json.Unmarshal(b.Bytes(), &back) != nil || back["name"] != plain["name"] {
			t.Errorf("%q: %q", text, out)
		}
	}
}
