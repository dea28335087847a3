package hostscreen

import (
	"context"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
)

// allContainers is the screen of the containers of all hosts and of what they share: the
// lists of a host's tab, with the host as a column. A container in full is on its
// host's screen.
type allContainers struct {
	*page
	around *around
}

// NewContainers makes the screen; what containers share is asked for until ctx ends.
func NewContainers(ctx context.Context) screen.Screen {
	s := &allContainers{around: newAround(ctx, true)}
	for i, t := range s.around.views {
		kind := strings.ToLower(strings.TrimSuffix(viewNames[i], "s"))
		t.lacking("No "+kind+" is known on any host.", func(st fleet.State) known { return s.standing(st, i) })
	}
	s.page = &page{
		lists: s.around, place: screen.Place{Screen: screen.Containers},
		opened: []string{"back", "view", "menu", "copy", "shell", "help"}, what: "name", live: "containers", where: s.where,
	}
	return s
}

// standing is how a part of the fleet's list stands: of the containers, or of what
// they share.
func (s *allContainers) standing(st fleet.State, view int) known {
	if view == 0 || !s.around.asks(st) && !s.around.factOf(st).Asked() {
		return standingOf(st.Containers)
	}
	return standingOf(s.around.factOf(st))
}

// where is a container on its host's screen; what is shared is shown here.
func (s *allContainers) where(r row) (screen.Place, bool) {
	item := strings.TrimPrefix(r.id, string(r.of.Host.ID)+" ")
	return screen.Place{Screen: screen.Host, Host: r.of.Host.ID, Tab: "containers", Item: item}, s.around.at == 0
}

// Title implements screen.Screen: the list that is shown.
func (s *allContainers) Title(c *screen.Context) []string {
	return append([]string{viewNames[s.around.at]}, s.page.Title(c)[1:]...)
}

// Hints implements screen.Screen.
func (s *allContainers) Hints(c *screen.Context) []string {
	switch {
	case s.table().open != "":
		return s.page.Hints(c)
	case s.around.at > 0:
		return []string{"back", "enter", "view", "find", "sort", "menu", "refresh", "shell", "help"}
	}
	return []string{"back", "enter", "logs", "find", "sort", "mark", "view", "menu", "refresh", "shell", "help"}
}
