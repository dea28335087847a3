package tui

import (
	"fmt"
	"io"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// shellOver says that a shell has ended.
type shellOver struct {
	what, host string
	err        error
}

// shell gives the terminal to a shell on the host. The event loop stands still
// until it ends.
func (m *Model) shell() {
	t := m.nav.top().Target(m.c)
	if len(t.Hosts) != 1 {
		return
	}
	host := t.Hosts[0].Host
	session, err := m.opts.Console.Shell(host.ID)
	if err != nil {
		m.tell(screen.Flash{Level: fleet.Error, Host: host.Name, Text: "no shell: " + fleet.InFull(err)})
		return
	}
	m.lend(session, "shell", host.Name)
}

// exec gives the terminal to a shell in the container.
func (m *Model) exec() {
	t := m.nav.top().Target(m.c)
	if len(t.Hosts) != 1 || t.Container == "" {
		return
	}
	host := t.Hosts[0].Host
	session, err := m.opts.Console.Exec(m.ctx, host.ID, t.Container, t.User)
	if err != nil {
		m.tell(screen.Flash{Level: fleet.Error, Host: host.Name, Text: "no shell in " + t.Container + ": " + fleet.InFull(err)})
		return
	}
	m.lend(session, "shell in "+t.Container, host.Name)
}

// lend lends the terminal to a session.
func (m *Model) lend(session fleet.Session, what, host string) {
	m.away = true
	m.lookLater()
	m.later(tea.Exec(&announced{Session: session, what: what, host: host}, func(err error) tea.Msg {
		return shellOver{what: what, host: host, err: err}
	}))
}

func (m *Model) shellOver(msg shellOver) {
	m.away = false
	if msg.err != nil {
		m.tell(screen.Flash{Level: fleet.Warn, Host: msg.host, Text: msg.what + ": " + fleet.InFull(msg.err)})
	}
}

// announced is a shell that says where it is, since the screen before it is
// another one.
type announced struct {
	fleet.Session
	what, host string
	out        io.Writer
}

// SetStdout implements tea.ExecCommand.
func (a *announced) SetStdout(w io.Writer) { a.out = w; a.Session.SetStdout(w) }

// Run implements tea.ExecCommand.
func (a *announced) Run() error {
	if a.out != nil {
		fmt.Fprintf(a.out, "\r\nsextant: a %s on %s; exit or Ctrl-D comes back\r\n\r\n", fleet.Clean(a.what), fleet.Clean(a.host))
	}
	return a.Session.Run()
}
