package hostscreen

import (
	"context"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// unitsTab is the tab of systemd's units and timers. What runs and what failed
// the store knows; the rest, since when, memory, timers, units of other kinds,
// is asked for only while the tab is open: systemctl takes long to tell it.
type unitsTab struct {
	*tableTab // the list that is shown
	lists     [2]*tableTab
	at        int  // which list
	every     bool // units of every kind

	ctx  context.Context
	all  fleet.Fact[fleet.UnitList]
	ask  asking
	unit unitView
}

// The lists of the tab.
const (
	unitList = iota
	timerList
)

func units(ctx context.Context) *unitsTab {
	u := &unitsTab{ctx: ctx}
	u.lists = [2]*tableTab{u.unitTable(), u.timerTable()}
	u.tableTab = u.lists[unitList]
	return u
}

// unitsMsg brings all units of a host.
type unitsMsg struct {
	n    int
	list fleet.UnitList
	err  error
}

// with is the host's state with all that is known of its units.
func (u *unitsTab) with(st fleet.State) fleet.State {
	if u.all.HasValue() {
		st.Units = fleet.Derive(u.all, func(l fleet.UnitList) []fleet.Unit { return l.Units })
		st.Timers = fleet.Derive(u.all, func(l fleet.UnitList) []fleet.Timer { return l.Timers })
	}
	return st
}

// tellsUnits tells whether the host can be asked at all.
func tellsUnits(st fleet.State) bool {
	return answers(st) && !st.Units.None
}

func (u *unitsTab) fresh(c *screen.Context, st fleet.State) screen.Effect {
	u.refill(c, st)
	u.unit.turn(u.open)
	switch {
	case !tellsUnits(st):
		return nil
	case u.open != "":
		return u.unit.fresh(u.ctx, c, u.with(st), readAt(st))
	case !u.ask.due(c.Now, readAt(st), u.moved(st)):
		return nil
	}
	ctx, n := u.ask.begin(u.ctx, c.Now, readAt(st))
	console, id := c.Console, st.Host.ID
	return screen.Run{Cmd: func() tea.Msg {
		list, err := console.Units(ctx, id)
		return unitsMsg{n, list, err}
	}}
}

// refill takes in what is known by now.
func (u *unitsTab) refill(c *screen.Context, st fleet.State) {
	u.take(c, []fleet.State{u.with(st)})
}

func (u *unitsTab) hints() []string {
	return []string{"back", "enter", "logs", "timers", "find", "menu", "sort", "every-kind", "mark", "refresh", "help"}
}

// moved tells whether the store has news of a unit, other than what was told here.
func (u *unitsTab) moved(st fleet.State) bool {
	if !u.all.HasValue() || !st.Units.At.After(u.all.At) {
		return false
	}
	was := make(map[string]string, len(u.all.Value.Units))
	for _, x := range u.all.Value.Units {
		was[x.Label()] = x.Active
	}
	for _, x := range st.Units.Value {
		if was[x.Label()] != x.Active {
			return true
		}
	}
	return false
}

func (u *unitsTab) receive(c *screen.Context, st fleet.State, msg tea.Msg) screen.Effect {
	switch msg := msg.(type) {
	case unitsMsg:
		if !u.ask.end(msg.n, c.Now) {
			return nil
		}
		now := fleet.Known(msg.list, c.Now, "systemctl")
		if msg.err != nil {
			now = fleet.Unknown[fleet.UnitList](msg.err, c.Now, "systemctl")
		}
		first := !u.all.HasValue()
		u.all = u.all.Refresh(now)
		u.refill(c, st)
		if first { // what failed and the probe did not tell of comes first, and is to be seen
			u.list.FromTop()
		}
	case unitMsg:
		u.unit.take(c, msg)
	default:
		return u.tableTab.receive(c, st, msg)
	}
	return nil
}

// close ends what is asked: the answer would find nobody.
func (u *unitsTab) close() {
	u.ask.drop()
	u.unit.ask.drop()
	u.ask.again = true
	if u.unit.secrets { // nobody is left to see it
		u.unit.forget()
	}
}

// again asks once more at once.
func (u *unitsTab) again(c *screen.Context, st fleet.State) screen.Effect {
	u.ask.drop()
	u.unit.ask.drop()
	u.ask.again, u.unit.ask.again = true, true
	return u.fresh(c, st)
}

func (u *unitsTab) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	st = u.with(st)
	if u.open != "" {
		u.unit.doc(c, st, u.open, p.W-2).Draw(p.Sub(1, 0, p.W-2, p.H), &u.scroll)
		return
	}
	y := u.drawHead(c, st, p)
	u.widget(c, st).Draw(p.Sub(0, y, p.W, p.H-y), &u.list)
}

// tapList is a tap on the name of a list.
type tapList struct {
	at    int
	every bool
}

// drawHead draws which lists there are, how old they are, and what is missing;
// it gives how many lines that took.
func (u *unitsTab) drawHead(c *screen.Context, st fleet.State, p widget.Pane) int {
	listed := 0
	for _, x := range st.Units.Value {
		if x.Listed() {
			listed++
		}
	}
	timers, every := strconv.Itoa(len(st.Timers.Value)), strconv.Itoa(len(st.Units.Value))
	if !u.all.HasValue() { // the probe knows only some of them
		timers = u.told(c, "").String()
		every = timers
	}
	kinds := "all kinds"
	if c.W < screen.Narrow {
		kinds = "all"
	}
	x := 1
	for _, l := range []struct {
		name, n string
		tap     tapList
	}{
		{"units", strconv.Itoa(listed), tapList{unitList, false}}, {"timers", timers, tapList{timerList, false}}, {kinds, every, tapList{unitList, true}},
	} {
		text, role := " "+l.name+" "+l.n+" ", themes.Tab
		if l.tap == (tapList{u.at, u.every && u.at == unitList}) {
			text, role = "["+text[1:len(text)-1]+"]", themes.TabActive
		}
		n := p.Text(x, 0, p.W-x, role, text)
		p.Zone(x, 0, n, 1, l.tap)
		x += n
	}
	age := u.shownAge(c, st)
	if age.Width() > p.W-2-x {
		age = widget.L(themes.Dim, words.Ago(st.Units.At, c.Now))
	}
	p.Right(p.W-1, 0, p.W-2-x, age)
	y := 1
	if u.list.Len() == 0 && len(u.byID) == 0 {
		return y // the list says itself why it is empty
	}
	lines := u.lacks(c, st)
	if l := u.sorted.line(c); len(l) > 0 {
		p.Line(1, y, p.W-2, l)
		y++
	}
	for _, l := range lines {
		for _, part := range widget.WrapLine(l, p.W-2, 2) {
			if y <= maxLacks+1 {
				p.Line(1, y, p.W-2, part)
				y++
			}
		}
	}
	return y
}

// maxLacks is how many lines may be spent on what is not known.
const maxLacks = 4

// shownAge is how old the list is.
func (u *unitsTab) shownAge(c *screen.Context, st fleet.State) widget.Line {
	switch {
	case u.ask.stop != nil && !u.all.HasValue():
		return widget.L(themes.Dim, c.Glyphs.Asking+" asking")
	case !st.Units.HasValue():
		return nil
	}
	return widget.L(themes.Dim, words.AgoLong(st.Units.At, c.Now))
}

// lacks is what is not known of the units, why, and what can be done about it.
func (u *unitsTab) lacks(c *screen.Context, st fleet.State) []widget.Line {
	var list []widget.Line
	say := func(why, cure string) {
		l := widget.L(themes.Unknown, "? ").And(themes.Text, why)
		if cure != "" {
			l = l.And(themes.Text, "  ").And(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, cure)
		}
		list = append(list, l)
	}
	switch {
	case st.Reach.Err != "":
		say("from "+words.AgoLong(st.Units.At, c.Now)+": "+st.Reach.Err, st.Reach.Cure)
	case u.all.Err != "" && u.all.HasValue():
		say("from "+words.AgoLong(u.all.At, c.Now)+": "+u.all.Err, u.all.Cure)
	case u.all.Err != "":
		say("only what the probe tells: "+u.all.Err, u.all.Cure)
	case st.Units.Err != "":
		say("from "+words.AgoLong(st.Units.At, c.Now)+": "+st.Units.Err, st.Units.Cure)
	}
	users := false
	for _, why := range u.all.Value.Unseen {
		if who, ok := strings.CutSuffix(why, ": not root"); ok {
			if !users {
				say(who+": not root", "log in as root, or let sudo, doas or run0 ask nothing")
			}
			users = true
			continue
		}
		say(why, "")
	}
	return list
}

func (u *unitsTab) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	switch t := target.(type) {
	case tapList:
		return u.turn(c, st, t)
	case screen.TapRow:
		if sel, _ := u.list.Selected(); sel == t.ID {
			return u.do(c, st, "enter")
		}
	}
	return u.tableTab.tap(c, u.with(st), target)
}

// turn shows another list, or units of other kinds.
func (u *unitsTab) turn(c *screen.Context, st fleet.State, to tapList) screen.Effect {
	u.at, u.every = to.at, to.every
	u.tableTab = u.lists[u.at]
	u.open = ""
	return u.fresh(c, st)
}

func (u *unitsTab) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	switch id {
	case "timers":
		return u.turn(c, st, tapList{timerList - u.at, false})
	case "every-kind":
		return u.turn(c, st, tapList{unitList, u.at == timerList || !u.every})
	case "secrets":
		return u.unhide(c, st)
	case "logs":
		if len(u.marked()) > 0 {
			break
		}
		if label, ok := u.current(); ok {
			return logOf(st, logOfUnit(u.with(st), label))
		}
		return nil
	}
	was := u.open
	if e := u.tableTab.do(c, u.with(st), id); e != nil {
		return e
	}
	if u.open != was {
		return u.fresh(c, st)
	}
	return nil
}

// unhide asks for the file as it is, or forgets it.
func (u *unitsTab) unhide(c *screen.Context, st fleet.State) screen.Effect {
	if u.open == "" {
		return nil
	}
	if u.unit.secrets {
		u.unit.forget()
	} else {
		u.unit.secrets = true
	}
	return u.again(c, st)
}

// back leaves the unit: what it keeps secret is forgotten.
func (u *unitsTab) back(c *screen.Context, st fleet.State) bool {
	was := u.tableTab.back(c, st)
	if u.open == "" && u.unit.secrets {
		u.unit.forget()
	}
	return was
}

func (u *unitsTab) openHints() []string {
	if u.unit.known.Value.Hidden == 0 && !u.unit.secrets {
		return []string{"back", "logs", "menu", "copy", "shell", "help"}
	}
	return []string{"back", "logs", "menu", "secrets", "copy", "shell", "help"}
}

// target implements tab: also units that are open and in no list can be acted on.
func (u *unitsTab) target(st fleet.State, t *fleet.Target) {
	if u.open == "" {
		u.tableTab.target(st, t)
		return
	}
	t.Unit, t.User = fleet.UnitLabelled(u.open)
}

func (u *unitsTab) scopes() []string {
	if u.open != "" {
		return []string{"scroll", "unit"}
	}
	return []string{"units", "table", "list"}
}
