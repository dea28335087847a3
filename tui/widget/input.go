package widget

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Input is a line that is typed.
type Input struct {
	text   []rune
	at     int
	Secret bool // shown as stars
}

// Value is what was typed.
func (in *Input) Value() string { return string(in.text) }

// Set replaces what was typed.
func (in *Input) Set(s string) { in.text = []rune(s); in.at = len(in.text) }

// maxInput bounds what can be typed or pasted into a line, in runes.
const maxInput = 4096

// Insert types text at the cursor. Line ends and control characters are left
// out; of a secret nothing but line ends is.
func (in *Input) Insert(s string) {
	if in.Secret {
		s = strings.NewReplacer("\r", "", "\n", "").Replace(strings.ToValidUTF8(s, ""))
	} else {
		s = fleet.Clean(s)
	}
	runes := []rune(s)
	if room := maxInput - len(in.text); len(runes) > room {
		runes = runes[:max(0, room)]
	}
	in.text = slices.Insert(in.text, in.at, runes...)
	in.at += len(runes)
}

// Key edits the line; it tells whether the key was one for editing.
func (in *Input) Key(name, text string) bool {
	switch name {
	case "left":
		in.at = max(0, in.at-1)
	case "right":
		in.at = min(len(in.text), in.at+1)
	case "home", "ctrl+a":
		in.at = 0
	case "end", "ctrl+e":
		in.at = len(in.text)
	case "backspace":
		if in.at > 0 {
			in.text = slices.Delete(in.text, in.at-1, in.at)
			in.at--
		}
	case "delete":
		if in.at < len(in.text) {
			in.text = slices.Delete(in.text, in.at, in.at+1)
		}
	case "ctrl+u":
		in.text, in.at = slices.Clone(in.text[in.at:]), 0
	case "ctrl+w":
		in.deleteWord()
	default:
		if text == "" || !utf8.ValidString(text) {
			return false
		}
		in.Insert(text)
	}
	return true
}

func (in *Input) deleteWord() {
	end := in.at
	for in.at > 0 && in.text[in.at-1] == ' ' {
		in.at--
	}
	for in.at > 0 && in.text[in.at-1] != ' ' {
		in.at--
	}
	in.text = slices.Delete(in.text, in.at, end)
}

// Draw draws the line in w cells after a label, with the cursor in it; ghost
// is what would complete it.
func (in *Input) Draw(p Pane, y int, label Line, ghost string) {
	x := p.Line(0, y, p.W-4, label)
	shown, at := string(in.text), string(in.text[:in.at])
	if in.Secret {
		shown, at = strings.Repeat("*", len(in.text)), strings.Repeat("*", in.at)
	}
	for Width(at) > p.W-x-1 { // scroll so that the cursor is seen
		_, n := utf8.DecodeRuneInString(at)
		shown, at = shown[n:], at[n:]
	}
	p.Cursor(x+Width(at), y)
	x += p.Text(x, y, p.W-x, themes.Text, shown)
	p.Text(x, y, p.W-x, themes.Dim, ghost)
}
