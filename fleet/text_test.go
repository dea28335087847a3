package fleet_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sextant-fleet/sextant/fleet"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                         "plain",
		"two\nlines\tand\rmore":         "two lines and more",
		"\x1b[31mred\x1b[0m":            "red",
		"\x1b]0;title\x07after":         "after",
		"\x1b]52;c;ZXZpbA==\x1b\\after": "after",
		"\u009b2Jafter":                 "2Jafter",
		"user\u202egnp.exe":             "usergnp.exe",
		"zero\u200bwidth\ufeff":         "zerowidth",
		"bad\xff\xfebytes":              "bad\uFFFDbytes",
		"漢字 é":                          "漢字 é",
		"nul\x00bell\x07del\x7f":        "nulbelldel",
		"\x1bPq#0;2;0;0;0\x1b\\sixel":   "sixel",
	} {
		if got := fleet.Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2J\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := fleet.Clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Fatalf("%q became %q", s, got)
		}
		if again := fleet.Clean(got); again != got {
			t.Fatalf("%q is not stable: %q", got, again)
		}
	})
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"漢字漢字", 3, "漢字…"}, {"abc", 1, "…"}} {
		if got := fleet.Short(c.in, c.n); got != c.want {
			t.Errorf("Short(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}
