package fleet

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Clean makes text from a host fit to be drawn on one line of a terminal:
// escape sequences are taken out whole, line breaks and tabs become spaces,
// other control characters and the invisible ones that turn writing direction
// are dropped, and bytes that are not UTF-8 become U+FFFD. Everything that
// comes from a host passes here before it is kept.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	s = ansi.Strip(strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// plain tells whether s is printable ASCII, which most names are.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// CleanAll cleans every string of a list, in place, and gives it back.
func CleanAll(list []string) []string {
	for i, s := range list {
		list[i] = Clean(s)
	}
	return list
}

// Count is a number of things in words: "1 host", "3 hosts", "2 processes".
func Count(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// Short cuts text to at most n runes, with an ellipsis where it was cut.
func Short(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 2 {
		return "…"
	}
	return string([]rune(s)[:n-1]) + "…"
}
