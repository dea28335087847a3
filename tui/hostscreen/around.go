package hostscreen

import (
	"context"
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// around is the tab of the containers and of what they share: four lists, one
// at a time. Pods, networks and volumes are asked for when they are looked at,
// and again when the containers are others or a person says so.
type around struct {
	ctx    context.Context
	one    *containersTab // of one host: who asks more of the container that is open; nil: of several
	views  []*tableTab    // the containers first
	at     int
	shared map[fleet.HostID]*sharing
}

// sharing is what is known of what the containers of a host share.
type sharing struct {
	fact   fleet.Fact[fleet.Shared]
	asking bool
	told   string // which containers there were when it was asked
}

// sharedMsg brings what the containers of a host share.
type sharedMsg struct {
	of   *around
	host fleet.HostID
	fact fleet.Fact[fleet.Shared]
}

// tapView is a tap on the name of one of the lists.
type tapView struct{ n int }

// viewNames are what the lists are called.
var viewNames = []string{"Containers", "Pods", "Networks", "Volumes"}

// patience is how long is waited for a host to tell what its containers share.
const patience = 30 * time.Second

func newAround(ctx context.Context, several bool) *around {
	a := &around{ctx: ctx, shared: map[fleet.HostID]*sharing{}}
	first := containers(several)
	if !several {
		a.one = newContainers(ctx)
		first = a.one.tableTab
	}
	a.views = []*tableTab{first, a.pods(several), a.networks(several), a.volumes(several)}
	return a
}

// inner is what the list that is open is to the person: the containers of one
// host are more than a list.
func (a *around) inner() tab {
	if a.at == 0 && a.one != nil {
		return a.one
	}
	return a.table()
}

func (a *around) table() *tableTab { return a.views[a.at] }

// factOf is what is known of what a host's containers share.
func (a *around) factOf(st fleet.State) fleet.Fact[fleet.Shared] {
	if s := a.shared[st.Host.ID]; s != nil {
		return s.fact
	}
	return fleet.Fact[fleet.Shared]{}
}

// asks tells whether a host is being asked what its containers share.
func (a *around) asks(st fleet.State) bool {
	s := a.shared[st.Host.ID]
	return s != nil && s.asking
}

func (a *around) fresh(c *screen.Context, st fleet.State) screen.Effect {
	if a.one == nil {
		return a.take(c, c.Snap.Hosts)
	}
	return screen.All{a.one.fresh(c, st), a.take(c, []fleet.State{st})}
}

// again asks once more for what only this tab asks for.
func (a *around) again(c *screen.Context, st fleet.State) screen.Effect {
	if a.at == 0 && a.one != nil {
		return a.one.again(c, st)
	}
	return a.ask(c, true)
}

// close ends what is asked of the container that is open.
func (a *around) close() {
	if a.one != nil {
		a.one.close()
	}
}

func (a *around) openHints() []string {
	if a.at == 0 && a.one != nil {
		return a.one.openHints()
	}
	return []string{"back", "menu", "copy", "shell", "help"}
}

// take takes in what is known of the hosts by now, and asks for what is missing.
func (a *around) take(c *screen.Context, states []fleet.State) screen.Effect {
	a.views[0].take(c, states)
	a.takeShared(c)
	return a.ask(c, false)
}

// takeShared renews the lists of what is shared, where one of them is open.
func (a *around) takeShared(c *screen.Context) {
	if a.at == 0 {
		return
	}
	for _, t := range a.views[1:] {
		t.take(c, a.views[0].states)
	}
}

// ask asks the hosts whose containers are known, where a list is open that needs
// it: those that were not asked yet, or have other containers now; or all.
func (a *around) ask(c *screen.Context, again bool) screen.Effect {
	if a.at == 0 {
		return nil
	}
	var all screen.All
	for _, st := range a.views[0].states {
		told := which(st)
		s := a.shared[st.Host.ID]
		if s == nil {
			s = &sharing{}
			a.shared[st.Host.ID] = s
		}
		if told == "" || s.asking || s.told == told && !again {
			continue
		}
		s.asking, s.told = true, told
		all = append(all, a.run(c, st.Host.ID))
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func (a *around) run(c *screen.Context, id fleet.HostID) screen.Effect {
	ctx, console := a.ctx, c.Console
	return screen.Run{Cmd: func() tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return sharedMsg{a, id, console.Shared(ctx, id)}
	}}
}

// which is the containers there are, as a text that is another when they are;
// "" while they are not known.
func which(st fleet.State) string {
	if !st.Containers.HasValue() || !st.Reach.Current() {
		return ""
	}
	text := strconv.Itoa(len(st.Containers.Value))
	for _, ct := range st.Containers.Value {
		text += " " + ct.ID + ct.State
	}
	return text
}

func (a *around) receive(c *screen.Context, st fleet.State, msg tea.Msg) screen.Effect {
	if m, ok := msg.(sharedMsg); ok && m.of == a {
		s := a.shared[m.host]
		s.asking, s.fact = false, s.fact.Refresh(m.fact)
		a.takeShared(c)
		return nil
	}
	for _, t := range a.views {
		t.receive(c, st, msg)
	}
	if a.one != nil {
		return a.one.receive(c, st, msg)
	}
	return nil
}

func (a *around) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	if a.table().open != "" {
		a.table().draw(c, st, p)
		return
	}
	a.drawViews(c, p.Sub(1, 0, p.W-2, 1))
	a.table().draw(c, st, p.Sub(0, 1, p.W, p.H-1))
}

// drawViews draws the names of the lists, with how much there is where it is known.
func (a *around) drawViews(c *screen.Context, p widget.Pane) {
	var names []string
	for i, name := range viewNames {
		if c.W < screen.Narrow && i != a.at {
			name = name[:4] // "Cont", "Pods", "Netw", "Volu"
		}
		names = append(names, counted(name, len(a.views[i].byID)))
	}
	drawNames(p, names, a.at)
}

// counted is the name of a list, with how much is in it where there is something.
func counted(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s %d", name, n)
}

// drawNames draws the names of lists, of which one is shown; a tap shows another.
func drawNames(p widget.Pane, names []string, at int) {
	x := 0
	for i, name := range names {
		role, text := themes.Dim, " "+name+" "
		if i == at {
			role, text = themes.Title, "["+name+"]"
		}
		n := p.Text(x, 0, p.W-x, role, text)
		p.Zone(x, 0, n, 1, tapView{i})
		x += n
	}
}

func (a *around) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	if id == "view" {
		return a.turn(c, (a.at+1)%len(a.views))
	}
	return a.inner().do(c, st, id)
}

// turn opens another list.
func (a *around) turn(c *screen.Context, to int) screen.Effect {
	a.table().open = ""
	a.at = to
	e := a.ask(c, false)
	a.takeShared(c)
	return e
}

func (a *around) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	if t, ok := target.(tapView); ok {
		return a.turn(c, t.n)
	}
	return a.inner().tap(c, st, target)
}

// back leaves a list of what is shared for the containers, after what is open there.
func (a *around) back(c *screen.Context, st fleet.State) bool {
	if a.inner().back(c, st) {
		return true
	}
	if a.at == 0 {
		return false
	}
	a.turn(c, 0)
	return true
}

func (a *around) target(st fleet.State, t *fleet.Target) { a.table().target(st, t) }

func (a *around) focus(f *fleet.Focus, st fleet.State) { a.table().focus(f, st) }

// item is the container that is open: others are not a place to come back to.
func (a *around) item() string {
	if a.at > 0 {
		return ""
	}
	return a.table().item()
}

func (a *around) scopes() []string { return a.inner().scopes() }
