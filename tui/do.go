package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/alarmscreen"
	"github.com/sextant-fleet/sextant/tui/deployscreen"
	"github.com/sextant-fleet/sextant/tui/dialog"
	"github.com/sextant-fleet/sextant/tui/dnsscreen"
	"github.com/sextant-fleet/sextant/tui/fleetscreen"
	"github.com/sextant-fleet/sextant/tui/healthscreen"
	"github.com/sextant-fleet/sextant/tui/helpscreen"
	"github.com/sextant-fleet/sextant/tui/hostscreen"
	"github.com/sextant-fleet/sextant/tui/imagescreen"
	"github.com/sextant-fleet/sextant/tui/loadscreen"
	"github.com/sextant-fleet/sextant/tui/logscreen"
	"github.com/sextant-fleet/sextant/tui/messagescreen"
	"github.com/sextant-fleet/sextant/tui/networkscreen"
	"github.com/sextant-fleet/sextant/tui/palette"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/snapshotscreen"
	"github.com/sextant-fleet/sextant/tui/tailnetscreen"
	"github.com/sextant-fleet/sextant/tui/timelinescreen"
	"github.com/sextant-fleet/sextant/tui/tracescreen"
)

// newScreen makes the screen of a place.
func (m *Model) newScreen(p screen.Place) screen.Screen {
	switch p.Screen {
	case screen.Host:
		return hostscreen.New(m.ctx, p)
	case screen.Containers:
		return hostscreen.NewContainers(m.ctx)
	case screen.Trace:
		return tracescreen.New(m.ctx, p)
	case screen.Backups:
		return hostscreen.NewBackups()
	case screen.Secrets:
		return hostscreen.NewSecrets(p)
	case screen.Exposure:
		return hostscreen.NewExposure()
	case screen.Network:
		if p.Host != "" {
			return hostscreen.NewNetwork(p)
		}
		return networkscreen.New()
	case screen.Matrix:
		return hostscreen.NewMatrix()
	case screen.Snapshots:
		return snapshotscreen.New(m.ctx, p)
	case screen.Health:
		return healthscreen.New()
	case screen.Alarms:
		return alarmscreen.New()
	case screen.DNS:
		return dnsscreen.New()
	case screen.Load:
		return loadscreen.New()
	case screen.Logs:
		return logscreen.New(m.ctx, p)
	case screen.Messages:
		return messagescreen.New()
	case screen.Deploys:
		return deployscreen.New()
	case screen.Timeline:
		return timelinescreen.New()
	case screen.Tailnet:
		return tailnetscreen.New(m.ctx)
	case screen.Images:
		return imagescreen.New(m.ctx, p)
	}
	return fleetscreen.New()
}

// do does what a binding says, or says why not.
func (m *Model) do(b screen.Binding) {
	if why := b.Why(m.c, m.nav.top()); why != "" {
		m.apply(screen.Flash{Level: fleet.Info, Text: b.Title + ": " + why})
		return
	}
	if b.Action != nil {
		m.start(*b.Action, m.nav.top().Target(m.c))
		return
	}
	if f, ok := rootDoes[b.ID]; ok {
		f(m)
		return
	}
	m.apply(m.nav.top().Do(m.c, b.ID))
}

// rootDoes are the bindings that are not a screen's.
var rootDoes map[string]func(*Model)

func init() { // a variable alone would refer to itself
	rootDoes = map[string]func(*Model){
		"quit":       (*Model).quit,
		"back":       (*Model).back,
		"find":       (*Model).find,
		"search":     (*Model).find,
		"sieve":      (*Model).sieve,
		"refresh":    (*Model).refresh,
		"shell":      (*Model).shell,
		"exec":       (*Model).exec,
		"copy":       (*Model).copy,
		"mouse":      (*Model).toggleMouse,
		"progress":   (*Model).showJobs,
		"images":     (*Model).images,
		"containers": opens(screen.Containers),
		"trace":      opens(screen.Trace),
		"fleet":      opens(screen.Fleet),
		"health":     opens(screen.Health),
		"exposure":   opens(screen.Exposure),
		"network":    opens(screen.Network),
		"matrix":     opens(screen.Matrix),
		"alarms":     opens(screen.Alarms),
		"dns":        opens(screen.DNS),
		"load":       opens(screen.Load),
		"backups":    opens(screen.Backups),
		"messages":   opens(screen.Messages),
		"history-back": func(m *Model) {
			m.travel(func() bool { return m.nav.step(-1) }, "this is the beginning of the history")
		},
		"history-forward": func(m *Model) { m.travel(func() bool { return m.nav.step(1) }, "this is the end of the history") },
		"last":            func(m *Model) { m.travel(m.nav.swap, "no other screen was open yet") },
		"help":            func(m *Model) { m.popup(helpscreen.New(m.nav.top())) },
		"menu":            func(m *Model) { m.popup(palette.Menu(m.c, m.nav.top())) },
		"palette":         func(m *Model) { m.popup(palette.New(m.commands())) },
	}
}

// opens goes to a screen that is of no single host.
func opens(name string) func(*Model) {
	return func(m *Model) { m.apply(goTo(screen.Place{Screen: name})) }
}

// images opens the images of the host in question.
func (m *Model) images() {
	t := m.nav.top().Target(m.c)
	if len(t.Hosts) != 1 {
		m.tell(screen.Flash{Level: fleet.Info, Text: "images: choose one host"})
		return
	}
	m.apply(screen.Go{Place: screen.Place{Screen: screen.Images, Host: t.Hosts[0].Host.ID}})
}

func (m *Model) popup(p screen.Popup) { m.popups = append(m.popups, p) }

// apply does what a screen asks for.
func (m *Model) apply(e screen.Effect) {
	switch e := e.(type) {
	case nil:
	case screen.All:
		for _, one := range e {
			m.apply(one)
		}
	case screen.Go:
		m.goTo(e.Place)
	case screen.Leave:
		m.back()
	case screen.Flash:
		m.tell(e)
	case screen.Copy:
		m.later(tea.SetClipboard(e.Text))
		m.tell(screen.Flash{Level: fleet.Info, Text: "copied " + e.What})
	case screen.Run:
		m.later(e.Cmd)
	case screen.Press:
		if b, ok := m.c.Keys.Named(e.ID); ok {
			m.do(b)
		}
	case screen.Answer:
		m.answered[e.ID] = true
		m.opts.Console.Answer(e.ID, e.Reply)
		if e.Reply.Later {
			m.tell(screen.Flash{Level: fleet.Info, Text: "it still waits: " + m.keyOf("palette") + "confirm keeps it, " + m.keyOf("rollback") + " goes back"})
		}
		m.ask()
	case screen.Show:
		m.popup(e.Popup)
	case screen.ClosePopup:
		m.closePopup()
		m.apply(e.Then)
	case screen.Theme:
		if t, err := themes.Named(e.Name); err == nil {
			m.c.Theme = t
		}
	case dialog.Chosen:
		m.begin(e.Action, e.Target)
	case dialog.Agree:
		m.run(e.Job)
	case dialog.Stop:
		e.Job.Cancel()
	}
}

// goTo opens a place, or changes the tab where the host is open already.
func (m *Model) goTo(p screen.Place) {
	top := m.nav.top()
	if mover, ok := top.(interface {
		Move(*screen.Context, screen.Place) (screen.Effect, bool)
	}); ok {
		if e, moved := mover.Move(m.c, p); moved {
			m.apply(e)
			return
		}
	}
	top.Close()
	m.line = nil
	if p.Screen == screen.Fleet {
		m.nav.push(m.nav.trail()[:1])
	} else {
		m.nav.open(m.newScreen(p))
	}
	m.arrived()
}

// arrived opens the screen that came to the front.
func (m *Model) arrived() {
	m.saw()
	m.apply(m.nav.top().Open(m.c))
}

// travel goes to another trail of screens.
func (m *Model) travel(to func() bool, no string) {
	before := m.nav.top()
	if !to() {
		m.tell(screen.Flash{Level: fleet.Info, Text: no})
		return
	}
	before.Close()
	m.line = nil
	m.arrived()
}

// back goes one level back: popup, then what the screen has, then the screen.
func (m *Model) back() {
	if len(m.popups) > 0 {
		m.closePopup()
		return
	}
	if m.flash.clear() {
		return
	}
	if m.nav.top().Back(m.c) {
		return
	}
	m.travel(m.nav.leave, "this is the first screen; "+m.keyOf("quit")+" leaves Sextant")
}

func (m *Model) closePopup() {
	if n := len(m.popups); n > 0 {
		m.popups = m.popups[:n-1]
	}
}

func (m *Model) keyOf(id string) string {
	b, _ := m.c.Keys.Named(id)
	return b.Key()
}

// quit ends the UI; while actions run it asks first.
func (m *Model) quit() {
	if n := m.running(); n > 0 && !m.asksToQuit() {
		m.popup(&dialog.Quit{Running: n})
		return
	}
	m.cancel()
	m.later(tea.Quit)
}

// ofAll are screens on which refresh means every host, unless some are marked.
var ofAll = []string{screen.Fleet, screen.Containers, screen.Backups, screen.Secrets, screen.Exposure, screen.DNS, screen.Network, screen.Matrix}

// refresh asks the hosts in question again, or all of them.
func (m *Model) refresh() {
	t := m.nav.top().Target(m.c)
	if at := m.nav.top().Place(); at.Host == "" && slices.Contains(ofAll, at.Screen) && len(t.Hosts) < 2 {
		m.opts.Console.Refresh("")
		m.tell(screen.Flash{Level: fleet.Info, Text: "asking every host again"})
		return
	}
	names := make([]string, 0, len(t.Hosts))
	for _, st := range t.Hosts {
		m.opts.Console.Refresh(st.Host.ID)
		names = append(names, st.Host.Name)
	}
	m.askScreen()
	m.tell(screen.Flash{Level: fleet.Info, Text: "asking " + strings.Join(names, ", ") + " again"})
}

// askScreen has the screen ask again for what only it asks for.
func (m *Model) askScreen() {
	if s, ok := m.nav.top().(screen.Asker); ok {
		m.apply(s.Again(m.c))
	}
}

func (m *Model) copy() {
	if s, ok := m.nav.top().(screen.Copier); ok {
		if what, text := s.Copy(m.c); text != "" {
			m.apply(screen.Copy{What: what, Text: text})
			return
		}
	}
	m.tell(screen.Flash{Level: fleet.Info, Text: "there is nothing to copy here"})
}

func (m *Model) toggleMouse() {
	m.mouseOff = !m.mouseOff
	text := "mouse on"
	if m.mouseOff {
		text = fmt.Sprintf("mouse off: select text with it; %s turns it on", m.keyOf("mouse"))
	}
	m.tell(screen.Flash{Level: fleet.Info, Text: text})
}
