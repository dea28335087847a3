package logscreen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/palette"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// sourceMsg adds a log to the screen, or takes one away.
type sourceMsg struct {
	of   fleet.LogSource
	away bool
}

// change shows other logs than before.
func (s *Screen) change(c *screen.Context, m sourceMsg) screen.Effect {
	list := slices.DeleteFunc(slices.Clone(s.place.Log), func(of fleet.LogSource) bool { return of == m.of })
	if !m.away {
		list = append(list, m.of)
	}
	s.place.Log = list
	return s.reopen(c)
}

// maxSources bounds the logs that are followed at once: each is a command on
// its host, of which eight run at the same time.
const maxSources = 10

// choose lets a log be added or taken away.
func (s *Screen) choose(c *screen.Context) screen.Effect {
	var list []palette.Entry
	add := func(title, note string, m sourceMsg) {
		e := palette.Entry{Title: title, Note: note, Does: screen.Run{Cmd: func() tea.Msg { return m }}}
		if !m.away && len(s.place.Log) >= maxSources {
			e.Off = "ten logs are shown already"
		}
		list = append(list, e)
	}
	if s.merged() {
		for _, of := range s.place.Log {
			add("without "+of.Name()+" on "+s.hosts[of.Host], "take it away", sourceMsg{of, true})
		}
	}
	for _, o := range s.others(c) {
		if !slices.Contains(s.place.Log, o.of) {
			add(o.of.Name()+" on "+s.hosts[o.of.Host], o.note, sourceMsg{o.of, false})
		}
	}
	if len(list) == 0 {
		return screen.Flash{Level: fleet.Info, Text: "no other container or unit is known of " + s.host}
	}
	return screen.Show{Popup: palette.Choose("Logs on one clock", list)}
}

// other is a log that may be added.
type other struct {
	of   fleet.LogSource
	note string
}

// others are what has one of the names shown on other hosts, then the
// containers and units of this host.
func (s *Screen) others(c *screen.Context) []other {
	var same, here []other
	for _, st := range c.Snap.Hosts {
		for _, o := range logsOf(st) {
			switch {
			case st.Host.ID == s.place.Host:
				here = append(here, o)
			case slices.ContainsFunc(s.place.Log, func(of fleet.LogSource) bool { return alike(of, o.of) }):
				same = append(same, o)
			}
		}
	}
	return append(same, here...)
}

// alike tells whether two sources are the same thing on different hosts: a
// container may be a unit there.
func alike(a, b fleet.LogSource) bool {
	bare := func(s fleet.LogSource) string {
		name := s.Name()
		for _, engine := range []string{"podman-", "docker-"} {
			name = strings.TrimPrefix(name, engine)
		}
		return name
	}
	return bare(a) == bare(b)
}

// logsOf are the logs of a host.
func logsOf(st fleet.State) []other {
	var list []other
	for _, ct := range st.Containers.Value {
		if ct.State == fleet.Absent {
			continue // its unit is in the list
		}
		note := "container"
		if ct.User != "" && ct.User != "root" {
			note += " of " + ct.User
		}
		list = append(list, other{fleet.LogSource{Host: st.Host.ID, Container: ct.Name, User: ct.User}, note})
	}
	for _, u := range st.Units.Value {
		note := "unit"
		if u.User != "" {
			note += " of " + u.User
		}
		list = append(list, other{fleet.LogSource{Host: st.Host.ID, Unit: u.Name, User: u.User}, note})
	}
	return list
}
