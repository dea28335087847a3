package tui

import (
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/hostscreen"
	"github.com/sextant-fleet/sextant/tui/palette"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// commands are all that the palette finds: what can be done here, the tabs of
// the host in question, screens, hosts and themes.
func (m *Model) commands() []palette.Entry {
	top := m.nav.top()
	list := palette.Bindings(m.c, top, false)
	if t := top.Target(m.c); len(t.Hosts) == 1 {
		h := t.Hosts[0].Host
		for _, tab := range hostscreen.Tabs {
			list = append(list, palette.Entry{Title: tab.Title + " of " + h.Name, Note: "tab", Does: goTo(screen.Place{Screen: screen.Host, Host: h.ID, Tab: tab.ID})})
		}
	}
	if t := top.Target(m.c); len(t.Hosts) == 1 {
		h := t.Hosts[0].Host
		list = append(list, palette.Entry{Title: "Images of " + h.Name, Note: "screen", Does: goTo(screen.Place{Screen: screen.Images, Host: h.ID})})
	}
	list = append(list, palette.Entry{Title: "Fleet", Note: "screen", Does: goTo(screen.Place{Screen: screen.Fleet})})
	list = append(list, palette.Entry{Title: "Deploys", Note: "screen", Does: goTo(screen.Place{Screen: screen.Deploys})})
	list = append(list, palette.Entry{Title: "Timeline of the fleet", Note: "screen", Does: goTo(screen.Place{Screen: screen.Timeline})})
	list = append(list, palette.Entry{Title: "Secrets", Note: "screen", Does: goTo(screen.Place{Screen: screen.Secrets})})
	list = append(list, palette.Entry{Title: "Tailnet", Note: "screen", Does: goTo(screen.Place{Screen: screen.Tailnet})})
	for _, st := range m.c.Snap.Hosts {
		list = append(list, palette.Entry{Title: "host " + st.Host.Name, Note: m.c.Word(m.c.Judge(st)), Does: goTo(screen.Place{Screen: screen.Host, Host: st.Host.ID, Tab: "overview"})})
	}
	for _, name := range themes.Names() {
		t, _ := themes.Named(name)
		list = append(list, palette.Entry{Title: "theme " + name, Note: t.About, Does: screen.Theme{Name: name}})
	}
	return append(list, plain(m.c.Keys, "help"), plain(m.c.Keys, "history-back"), plain(m.c.Keys, "history-forward"), plain(m.c.Keys, "last"))
}

func goTo(p screen.Place) screen.Effect { return screen.Go{Place: p} }

// plain is the entry of a key that moves about.
func plain(k *screen.Keymap, id string) palette.Entry {
	b, _ := k.Named(id)
	return palette.Entry{Title: b.Title, Note: b.Help, Key: b.Key(), Does: screen.Press{ID: id}}
}
