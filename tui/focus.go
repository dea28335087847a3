package tui

import (
	"reflect"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// lookMsg says that the person has been looking at the same thing for a moment.
type lookMsg struct{ gen int }

// settle is how long something must be looked at before it is kept live, so
// that scrolling through a list asks for nothing.
const settle = 150 * time.Millisecond

// focus is what is looked at now.
func (m *Model) focus() fleet.Focus {
	f := m.nav.top().Focus(m.c)
	f.Idle = m.blurred || m.away
	return f
}

// lookLater tells the console what is looked at, when it has changed: another
// host or tab at once, other rows after a moment.
func (m *Model) lookLater() {
	f := m.focus()
	if reflect.DeepEqual(f, m.looked) {
		return
	}
	if f.Host != m.looked.Host || f.Tab != m.looked.Tab || f.Idle != m.looked.Idle {
		m.look(f)
	}
	if m.aimed != nil && reflect.DeepEqual(f, *m.aimed) {
		return // waited for already: whatever else happens meanwhile, that comes
	}
	m.aimed = &f
	m.lookGen++ // which rows are visible is known only when they were drawn
	m.later(m.after(settle, lookMsg{m.lookGen}))
}

func (m *Model) lookNow(msg lookMsg) {
	if msg.gen != m.lookGen {
		return
	}
	m.aimed = nil
	if f := m.focus(); !reflect.DeepEqual(f, m.looked) {
		m.look(f)
	}
}

func (m *Model) look(f fleet.Focus) {
	m.looked = f
	m.opts.Console.Look(f)
}
