package hostscreen

import (
	"cmp"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// unitTable is the list of units, the failed ones first.
func (u *unitsTab) unitTable() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "unit", Width: 24, Max: 46},
			{Title: "state", Width: 10, Max: 13},
			{Title: "since", Width: 6, Drop: 1, Right: true},
			{Title: "memory", Width: 7, Drop: 2, Right: true},
			{Title: "last exit", Width: 13, Max: 16, Drop: 3},
			{Title: "restarts", Width: 9, Drop: 5, Right: true},
			{Title: "description", Width: 13, Max: 80, Drop: 4},
		},
		rows:  func(_ *screen.Context, st fleet.State) []row { return unitRows(st, u.every) },
		order: failedFirst,
		sorts: []sorting{
			byText("unit", "name", func(r row) string { return r.name }),
			byText("state", "state", func(r row) string { return unitOf(r).Active + unitOf(r).Sub }),
			byTime("since", "when it came into its state", func(r row) time.Time { return unitOf(r).Since }),
			{
				title: "memory", note: "memory", down: true,
				unknown: func(r row) bool { return unitOf(r).Memory == nil },
				order:   func(a, b row) int { return cmp.Compare(*unitOf(a).Memory, *unitOf(b).Memory) },
			},
			byText("last exit", "last exit", func(r row) string { return unitOf(r).LastExit() }),
			{title: "restarts", note: "restarts", down: true, order: func(a, b row) int { return cmp.Compare(unitOf(a).Restarts, unitOf(b).Restarts) }},
			byText("description", "description", func(r row) string { return unitOf(r).Description }),
		},
		aim: aimUnit,
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			return logOfUnit(st, st.Units.Value[at].Label()), ""
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			x := st.Units.Value[at]
			return []widget.Line{
				widget.T(x.Label()), unitState(x), u.told(c, words.Ago(x.Since, c.Now)), u.told(c, memoryOf(x)),
				lastExit(c, x), unitRestarts(x), widget.L(themes.Dim, x.Description),
			}
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			x := st.Units.Value[at]
			second := widget.L(themes.Text, "  ").Join(unitState(x)).And(themes.Text, "  ").Join(u.told(c, words.Ago(x.Since, c.Now)))
			if x.Memory != nil {
				second = second.And(themes.Text, "  "+words.Bytes(*x.Memory))
			}
			switch exit := x.LastExit(); {
			case exit == "0":
				second = second.And(themes.Dim, "  exit 0")
			case exit != "":
				second = second.And(themes.Text, "  ").Join(lastExit(c, x))
			}
			return [2]widget.Line{widget.T(x.Label()), second.And(themes.Dim, "  "+x.Description)}
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line { return u.missing(c, st, "no unit to tell of") },
	}
}

// missing is why a list is empty.
func (u *unitsTab) missing(c *screen.Context, st fleet.State, what string) []widget.Line {
	lines := none(c, st, st.Units, what)
	for _, l := range u.lacks(c, st) {
		if !st.Units.Current() {
			break
		}
		lines = append(lines, l)
	}
	return lines
}

// told is what only those are told who ask for all units: "…" until then.
func (u *unitsTab) told(c *screen.Context, text string) widget.Line {
	switch {
	case text != "":
		return widget.T(text)
	case u.all.HasValue():
		return widget.L(themes.Dim, c.Glyphs.None)
	case u.ask.stop != nil:
		return widget.L(themes.Dim, c.Glyphs.Asking)
	}
	return widget.L(themes.Unknown, "?")
}

// unitRows are the units of every kind, or only what runs, what starts it and
// what failed.
func unitRows(st fleet.State, every bool) []row {
	rows := make([]row, 0, len(st.Units.Value))
	for i, x := range st.Units.Value {
		if every || x.Listed() {
			rows = append(rows, row{id: x.Label(), name: x.Label(), more: x.Active + " " + x.Sub + " " + x.Description, at: i})
		}
	}
	return rows
}

func unitOf(r row) fleet.Unit { return r.of.Units.Value[r.at] }

// failedFirst is the order of units that nobody sorted.
func failedFirst(a, b row) int {
	return cmp.Or(trueFirst(unitOf(a).Failed(), unitOf(b).Failed()), strings.Compare(a.name, b.name))
}

// byTime sorts by a time, the newest first; rows without one are last.
func byTime(title, note string, at func(row) time.Time) sorting {
	return sorting{
		title: title, note: note, down: true,
		unknown: func(r row) bool { return at(r).IsZero() },
		order:   func(a, b row) int { return at(a).Compare(at(b)) },
	}
}

// aimUnit aims at the unit of a row.
func aimUnit(st fleet.State, at int, t *fleet.Target) {
	t.Unit, t.User = st.Units.Value[at].Name, st.Units.Value[at].User
}

func memoryOf(u fleet.Unit) string {
	if u.Memory == nil {
		return ""
	}
	return words.Bytes(*u.Memory)
}

// lastExit is how the last run ended, loud where it ended badly.
func lastExit(c *screen.Context, u fleet.Unit) widget.Line {
	switch exit := u.LastExit(); {
	case exit == "":
		return widget.L(themes.Dim, c.Glyphs.None)
	case u.Failed():
		return widget.L(themes.Fail, exit)
	case u.Result != "" && u.Result != "success", u.ExitStatus != 0:
		return widget.L(themes.Warn, exit)
	default:
		return widget.L(themes.Dim, exit)
	}
}

func unitRestarts(u fleet.Unit) widget.Line {
	if u.Restarts > 0 {
		return restarts(fleet.Container{Restarts: &u.Restarts})
	}
	return widget.L(themes.Dim, "0")
}

func unitState(u fleet.Unit) widget.Line {
	switch {
	case u.Failed():
		return widget.L(themes.Fail, "FAIL")
	case u.Active == "active":
		return widget.L(themes.OK, cmp.Or(u.Sub, u.Active))
	case u.Active == "":
		return widget.L(themes.Unknown, "?")
	case u.Active == "activating", u.Active == "deactivating", u.Active == "reloading":
		return widget.L(themes.Warn, u.Active)
	case u.Load == "not-found", u.Load == "masked":
		return widget.L(themes.Dim, u.Load)
	}
	return widget.L(themes.Dim, u.Active)
}

// timerTable is the list of timers.
func (u *unitsTab) timerTable() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "timer", Width: 20, Max: 42},
			{Title: "state", Width: 10},
			{Title: "at boot", Width: 8, Max: 16, Drop: 2},
			{Title: "next", Width: 7},
			{Title: "last", Width: 8},
			{Title: "activates", Width: 14, Max: 46, Drop: 1},
		},
		rows:  func(_ *screen.Context, st fleet.State) []row { return timerRows(st) },
		order: idleFirst,
		sorts: []sorting{
			byText("timer", "name", func(r row) string { return r.name }),
			byText("state", "state", func(r row) string { return timerState(timerOf(r)).String() }),
			byText("at boot", "whether it is enabled", func(r row) string { return timerOf(r).FileState }),
			{
				title: "next", note: "next run",
				unknown: func(r row) bool { return timerOf(r).Next.IsZero() },
				order:   func(a, b row) int { return timerOf(a).Next.Compare(timerOf(b).Next) },
			},
			byTime("last", "last run", func(r row) time.Time { return timerOf(r).Last }),
			byText("activates", "what it starts", func(r row) string { return timerOf(r).Activates }),
		},
		aim: func(st fleet.State, at int, t *fleet.Target) {
			t.Unit, t.User = st.Timers.Value[at].Name, st.Timers.Value[at].User
		},
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			return logOfUnit(st, st.Timers.Value[at].Label()), ""
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			x := st.Timers.Value[at]
			return []widget.Line{widget.T(x.Label()), timerState(x), u.told(c, x.FileState), nextRun(c, x), lastRun(c, x), widget.L(themes.Dim, x.Activates)}
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			x := st.Timers.Value[at]
			second := widget.L(themes.Text, "  ").Join(timerState(x)).And(themes.Dim, "  next ").Join(nextRun(c, x)).And(themes.Dim, "  last ").Join(lastRun(c, x))
			return [2]widget.Line{widget.T(x.Label()), second}
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line { return u.missing(c, st, "no timer") },
	}
}

func timerRows(st fleet.State) []row {
	rows := make([]row, 0, len(st.Timers.Value))
	for i, x := range st.Timers.Value {
		rows = append(rows, row{id: x.Label(), name: x.Label(), more: timerState(x).String() + " " + x.Activates, at: i})
	}
	return rows
}

func timerOf(r row) fleet.Timer { return r.of.Timers.Value[r.at] }

// idleFirst is the order of timers that nobody sorted: what failed, what is
// enabled and not active, and then what runs next.
func idleFirst(a, b row) int {
	x, y := timerOf(a), timerOf(b)
	return cmp.Or(trueFirst(x.Active == "failed", y.Active == "failed"), trueFirst(x.Idle(), y.Idle()),
		trueFirst(!x.Next.IsZero(), !y.Next.IsZero()), x.Next.Compare(y.Next), strings.Compare(a.name, b.name))
}

// timerState is how a timer stands; one that is enabled and not active will
// start nothing.
func timerState(t fleet.Timer) widget.Line {
	switch {
	case t.Active == "failed":
		return widget.L(themes.Fail, "FAIL")
	case t.Idle():
		return widget.L(themes.Warn, "NOT ACTIVE")
	case t.Active == "active":
		return widget.L(themes.OK, "active")
	case t.Active == "":
		return widget.L(themes.Unknown, "?")
	case t.Skipped:
		return widget.L(themes.Dim, "skipped")
	}
	return widget.L(themes.Dim, t.Active)
}

func nextRun(c *screen.Context, t fleet.Timer) widget.Line {
	switch {
	case t.Next.IsZero():
		return widget.L(themes.Dim, c.Glyphs.None)
	case !t.Next.After(c.Now):
		return widget.L(themes.Text, "due")
	}
	return widget.T("in " + words.Age(t.Next.Sub(c.Now)))
}

func lastRun(c *screen.Context, t fleet.Timer) widget.Line {
	if t.Last.IsZero() {
		return widget.L(themes.Dim, c.Glyphs.None)
	}
	return widget.T(words.AgoLong(t.Last, c.Now))
}
