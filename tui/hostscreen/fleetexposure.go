package hostscreen

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// NewExposure makes the screen of who listens on all hosts and who reaches it: what is
// exposed and not meant to be is first. What is done is done to the unit that listens.
func NewExposure() screen.Screen {
	list := listens(true)
	list.lacking("Nobody is known to listen on any host.", func(st fleet.State) known { return standingOf(st.Firewall) })
	return &page{
		lists: list, place: screen.Place{Screen: screen.Exposure}, title: "Exposure", groups: []string{"exposure"},
		hints:  []string{"back", "enter", "logs", "find", "menu", "refresh", "shell", "help"},
		opened: openedHints, what: "port", live: "services",
	}
}
