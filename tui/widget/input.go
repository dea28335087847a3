package widget

import (
	"strings"
	"unicode/utf8"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Input is a line that is typed. The editing is Bubbles' text input; the
// drawing is ours, because only a pane may write cells. The zero Input is ready.
type Input struct {
	Secret bool // shown as stars

	model *textinput.Model // nil: nothing was typed yet
}

// maxInput bounds what can be typed or pasted into a line, in runes.
const maxInput = 4096

// edit gives the text input, made when it is first needed.
func (in *Input) edit() *textinput.Model {
	if in.model == nil {
		m := textinput.New()
		m.CharLimit = maxInput
		m.SetVirtualCursor(false)
		m.Focus() // without a virtual cursor there is nothing to blink
		in.model = &m
	}
	return in.model
}

// Value is what was typed.
func (in *Input) Value() string {
	if in.model == nil {
		return ""
	}
	return in.model.Value()
}

// Set replaces what was typed.
func (in *Input) Set(s string) {
	in.edit().SetValue(s)
	in.edit().CursorEnd()
}

// Insert types text at the cursor. Line ends and control characters are left
// out, of secrets too: a password that holds one cannot be given here.
func (in *Input) Insert(s string) {
	if in.Secret {
		s = strings.NewReplacer("\r", "", "\n", "").Replace(strings.ToValidUTF8(s, ""))
	} else {
		s = fleet.Clean(s)
	}
	in.update(tea.PasteMsg{Content: s})
}

func (in *Input) update(msg tea.Msg) {
	m := in.edit()
	*m, _ = m.Update(msg)
}

// editing are the keys that edit, by their names.
var editing = map[string]tea.KeyPressMsg{
	"left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
	"backspace": {Code: tea.KeyBackspace}, "delete": {Code: tea.KeyDelete},
	"ctrl+a": {Code: 'a', Mod: tea.ModCtrl}, "ctrl+e": {Code: 'e', Mod: tea.ModCtrl},
	"ctrl+u": {Code: 'u', Mod: tea.ModCtrl}, "ctrl+w": {Code: 'w', Mod: tea.ModCtrl},
}

// Key edits the line; it tells whether the key was one for editing.
func (in *Input) Key(name, text string) bool {
	if key, ok := editing[name]; ok {
		in.update(key)
		return true
	}
	if text == "" || !utf8.ValidString(text) {
		return false
	}
	in.Insert(text)
	return true
}

// Draw draws the line in w cells after a label, with the cursor in it; ghost
// is what would complete it.
func (in *Input) Draw(p Pane, y int, label Line, ghost string) {
	x := p.Line(0, y, p.W-4, label)
	text := []rune(in.Value())
	cursor := in.edit().Position()
	shown, at := string(text), string(text[:cursor])
	if in.Secret {
		shown, at = strings.Repeat("*", len(text)), strings.Repeat("*", cursor)
	}
	for Width(at) > p.W-x-1 { // scroll so that the cursor is seen
		_, n := utf8.DecodeRuneInString(at)
		shown, at = shown[n:], at[n:]
	}
	p.Cursor(x+Width(at), y)
	x += p.Text(x, y, p.W-x, themes.Text, shown)
	p.Text(x, y, p.W-x, themes.Dim, ghost)
}
