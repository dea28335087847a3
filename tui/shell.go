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
	host string
	err  error
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
	m.away = true
	m.lookLater()
	m.later(tea.Exec(&announced{Session: session, host: host.Name}, func(err error) tea.Msg {
		return shellOver{host: host.Name, err: err}
	}))
}

func (m *Model) shellOver(msg shellOver) {
	m.away = false
	if msg.err != nil {
		m.tell(screen.Flash{Level: fleet.Warn, Host: msg.host, Text: "shell: " + fleet.InFull(msg.err)})
	}
}

// announced is a shell that says where it is, since the screen before it is
// another one.
type announced struct {
	fleet.Session
	host string
	out  io.Writer
}

// SetStdout implements tea.ExecCommand.
func (a *announced) SetStdout(w io.Writer) { a.out = w; a.Session.SetStdout(w) }

// Run implements tea.ExecCommand.
func (a *announced) Run() error {
	if a.out != nil {
		fmt.Fprintf(a.out, "\r\nsextant: a shell on %s; exit or Ctrl-D comes back\r\n\r\n", fleet.Clean(a.host))
	}
	return a.Session.Run()
}
