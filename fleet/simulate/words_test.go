package simulate

import (
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for line, want := range map[string][]step{
		`a 'b c' d"e f"g\ h`:          {{[]string{"a", "b c", "de fg h"}, ""}},
		`a '' ""`:                     {{[]string{"a", "", ""}, ""}},
		`'it'\''s' 'a'\\'b'`:          {{[]string{"it's", `a\b`}, ""}},
		"a; b\n\nc # no\n d#e":        {{[]string{"a"}, ""}, {[]string{"b"}, ""}, {[]string{"c"}, ""}, {[]string{"d#e"}, ""}},
		"a && b || c":                 {{[]string{"a"}, ""}, {[]string{"b"}, "&&"}, {[]string{"c"}, "||"}},
		"a \\\n b":                    {{[]string{"a", "b"}, ""}},
		`"a\"b\\c\d" '$HOME'`:         {{[]string{`a"b\c\d`, "$HOME"}, ""}},
		"":                            nil,
		"   \n;\n":                    nil,
		"printf '%s' 'a\x1b[31m\n b'": {{[]string{"printf", "%s", "a\x1b[31m\n b"}, ""}},
	} {
		if got, err := parse(line); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	for line, want := range map[string]error{
		"a 'b": errSyntax, `a "b`: errSyntax, "a $b": errMore, "a | b": errMore, "a `b`": errMore, "(a)": errMore, "a > b": errMore, "a &": errMore,
	} {
		if got, err := parse(line); !errors.Is(err, want) {
			t.Errorf("%q: %q, %v, want %v", line, got, err, want)
		}
	}
}

// FuzzParse compares what is parsed with what a real shell makes of it.
func FuzzParse(f *testing.F) {
	f.Add(`a 'b c' "d"`)
	f.Add(`x \' '\' ""`)
	f.Fuzz(func(t *testing.T, line string) {
		steps, err := parse(line)
		if err != nil || len(steps) != 1 || strings.ContainsAny(line, "\x00\n;#!=") || strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			return
		}
		words := steps[0].words
		out, err := exec.Command("sh", "-c", `printf '%s\0' `+line).Output()
		if err != nil {
			t.Skip()
		}
		if want := strings.Join(words, "\x00") + "\x00"; string(out) != want {
			t.Errorf("%q: %q, sh has %q", line, want, out)
		}
	})
}
