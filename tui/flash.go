package tui

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// flash is a line at the bottom that goes away by itself.
type flash struct {
	gen  int // so that an old expiry does not take a newer line away
	show bool
	what screen.Flash
}

// flashOver ends a flash.
type flashOver struct{ gen int }

// flashFor is how long a flash stays.
const flashFor = 6 * time.Second

// over hides the flash if it is still the one that ended.
func (f *flash) over(msg flashOver) {
	if msg.gen == f.gen {
		f.show = false
	}
}

// clear hides the flash; it tells whether there was one that asks for more
// than a glance.
func (f *flash) clear() bool {
	was := f.show && f.what.Level == fleet.Error
	f.show = false
	return was
}

// tell shows a line for some seconds; what is more than a notice is kept.
func (m *Model) tell(what screen.Flash) {
	if what.Level != fleet.Info {
		m.opts.Store.Note(fleet.Message{At: m.c.Now, Level: what.Level, Host: what.Host, Text: what.Text})
	}
	m.showFlash(what)
}

func (m *Model) showFlash(what screen.Flash) {
	m.flash.gen++
	m.flash.show, m.flash.what = true, what
	m.later(m.after(flashFor, flashOver{m.flash.gen}))
}

// line is the flash as text: its level as a word, the host, what happened.
func (f *flash) line() widget.Line {
	l := widget.Line{}
	switch f.what.Level {
	case fleet.Error:
		l = widget.L(themes.Fail, "ERR").And(themes.Text, " ")
	case fleet.Warn:
		l = widget.L(themes.Warn, "warn").And(themes.Text, " ")
	}
	if f.what.Host != "" {
		l = l.And(themes.Title, f.what.Host).And(themes.Text, ": ")
	}
	return l.And(themes.Text, f.what.Text)
}

// tellNew flashes an error that came in with the last snapshot, unless it was
// told when it was made.
func (m *Model) tellNew() {
	list := m.c.Snap.Messages
	if len(list) == 0 {
		return
	}
	last := list[len(list)-1]
	if last.Level == fleet.Error && last.At.After(m.told) && !m.ours(last) {
		m.showFlash(screen.Flash{Level: last.Level, Host: last.Host, Text: last.Text})
	}
	m.told = last.At
}

// newest is when the newest message is from.
func (m *Model) newest() time.Time {
	if n := len(m.c.Snap.Messages); n > 0 {
		return m.c.Snap.Messages[n-1].At
	}
	return time.Time{}
}

// saw notes that the messages are being read.
func (m *Model) saw() {
	if m.nav.top().Place().Screen == screen.Messages {
		m.seen = m.newest()
	}
}

// ours tells whether a message is the one that is or was flashed last.
func (m *Model) ours(msg fleet.Message) bool {
	return m.flash.what.Text == msg.Text && m.flash.what.Host == msg.Host
}
