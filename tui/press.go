package tui

import (
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// keyPress takes a key of the terminal apart: keyboards of phones send whole
// words as one key, which are so many keys here.
func (m *Model) keyPress(msg tea.KeyPressMsg) {
	if utf8.RuneCountInString(msg.Text) <= 1 {
		m.press(keyOf(msg))
		return
	}
	for _, r := range msg.Text {
		m.press(runeKey(r))
	}
}

// keyOf names a key. Where the keyboard's layout has no Latin letters, the
// letter in its place on a Latin one counts, if the terminal tells it.
func keyOf(msg tea.KeyPressMsg) screen.Key {
	k := screen.Key{Name: msg.String(), Text: msg.Text}
	if msg.Mod.Contains(tea.ModCtrl) || msg.Mod.Contains(tea.ModAlt) {
		k.Text = ""
	}
	if r, _ := utf8.DecodeRuneInString(k.Text); r > 0x7f && msg.BaseCode > 0x20 && msg.BaseCode < 0x7f {
		k.Base = string(msg.BaseCode)
		if msg.Mod.Contains(tea.ModShift) {
			k.Base = strings.ToUpper(k.Base)
		}
	}
	return k
}

func runeKey(r rune) screen.Key {
	switch r {
	case ' ':
		return screen.Key{Name: "space", Text: " "}
	case '\r', '\n':
		return screen.Key{Name: "enter"}
	case '\t':
		return screen.Key{Name: "tab"}
	}
	return screen.Key{Name: string(r), Text: string(r)}
}

// press hands a key to whoever has the keyboard: the popup on top, the line
// that is typed, the key map.
func (m *Model) press(k screen.Key) {
	switch {
	case k.Name == "ctrl+c":
		m.quit()
		return
	case k.Name == "ctrl+z" && m.opts.Input == nil: // where the UI is served, there is no job to put aside
		m.later(tea.Suspend)
		return
	}
	if n := len(m.popups); n > 0 {
		m.apply(m.popups[n-1].Key(m.c, k))
		return
	}
	if m.line != nil {
		m.lineKey(k)
		return
	}
	b, ok := m.c.Keys.Find(k.Name, m.nav.top().Scopes())
	if !ok && k.Base != "" {
		b, ok = m.c.Keys.Find(k.Base, m.nav.top().Scopes())
	}
	if ok {
		m.do(b)
	}
}

// maxPasted is how much pasted text still counts as keys: what a phone's
// keyboard puts in at once, not what is in a clipboard.
const maxPasted = 12

// paste puts text where something is typed. Elsewhere it is keys of a phone's
// keyboard if it is short.
func (m *Model) paste(text string) {
	switch n := len(m.popups); {
	case n > 0:
		m.apply(m.popups[n-1].Paste(m.c, text))
	case m.line != nil:
		m.line.input.Insert(text)
		m.line.finder.Find(m.c, m.line.input.Value(), false)
	case utf8.RuneCountInString(text) > maxPasted || strings.ContainsAny(text, "\r\n"):
		m.apply(screen.Flash{Level: fleet.Info, Text: "pasted text is not taken as keys; press / or : first"})
	default:
		for _, r := range text {
			m.press(runeKey(r))
		}
	}
}

// findLine is the line in which something to look for is typed.
type findLine struct {
	input  widget.Input
	finder screen.Finder
}

func (m *Model) find() {
	if f, ok := m.nav.top().(screen.Finder); ok {
		m.findBy(f)
	}
}

func (m *Model) sieve() {
	if s, ok := m.nav.top().(screen.Sieve); ok {
		m.findBy(s.Sieve())
	}
}

// findBy opens the line in which is typed what a finder looks for.
func (m *Model) findBy(f screen.Finder) {
	text, _ := f.Finding()
	m.line = &findLine{finder: f}
	m.flash.clear() // it would cover the line
	m.line.input.Set(text)
}

func (m *Model) lineKey(k screen.Key) {
	l := m.line
	switch k.Name {
	case "esc":
		m.line = nil
		l.finder.Find(m.c, "", true)
	case "enter":
		m.line = nil
		l.finder.Find(m.c, l.input.Value(), true)
	case "up", "down", "pgup", "pgdown":
		if b, ok := m.c.Keys.Find(k.Name, m.nav.top().Scopes()); ok {
			m.apply(m.nav.top().Do(m.c, b.ID))
		}
	case "backspace":
		if l.input.Value() == "" {
			m.line = nil
			return
		}
		fallthrough
	default:
		if l.input.Key(k.Name, k.Text) {
			l.finder.Find(m.c, l.input.Value(), false)
		}
	}
}

// click finds what was drawn under the pointer.
func (m *Model) click(msg tea.MouseClickMsg) {
	if msg.Button != tea.MouseLeft || m.canvas == nil {
		return
	}
	target := m.canvas.Hit(msg.X, msg.Y)
	n := len(m.popups)
	switch t := target.(type) {
	case nil, widget.TapInside:
	case widget.TapOutside:
		if n > 0 {
			m.apply(m.popups[n-1].Key(m.c, screen.Key{Name: "esc"}))
		}
	case screen.TapKey:
		m.tapKey(t.ID, n > 0)
	default:
		if n > 0 {
			m.apply(m.popups[n-1].Tap(m.c, target))
			return
		}
		m.line = nil
		m.apply(m.nav.top().Tap(m.c, target))
	}
}

// tapKey does what a tap on the name of a key means.
func (m *Model) tapKey(id string, popup bool) {
	if popup {
		m.apply(m.popups[len(m.popups)-1].Tap(m.c, screen.TapKey{ID: id}))
		return
	}
	if b, ok := m.c.Keys.Named(id); ok {
		m.do(b)
	}
}

// wheel moves by a few lines.
func (m *Model) wheel(msg tea.MouseWheelMsg) {
	id := map[tea.MouseButton]string{tea.MouseWheelUp: "up", tea.MouseWheelDown: "down"}[msg.Button]
	if id == "" {
		return
	}
	for range 3 {
		if n := len(m.popups); n > 0 {
			m.apply(m.popups[n-1].Key(m.c, screen.Key{Name: id}))
			continue
		}
		m.apply(m.nav.top().Do(m.c, id))
	}
}
