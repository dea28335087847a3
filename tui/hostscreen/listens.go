package hostscreen

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// exposed is the list of who listens where, and who reaches it from where: of one
// host or of several.
type exposed struct {
	of map[fleet.HostID][]fleet.Exposure
}

func (x *exposed) at(st fleet.State, i int) fleet.Exposure {
	if list := x.of[st.Host.ID]; i >= 0 && i < len(list) {
		return list[i]
	}
	return fleet.Exposure{}
}

// listens is the list of who listens where; of several hosts without what only the
// host itself reaches.
func listens(several bool) *tableTab {
	x := &exposed{of: map[fleet.HostID][]fleet.Exposure{}}
	t := &tableTab{
		several: several,
		columns: []widget.Column{
			{Title: "state", Width: 5},
			{Title: "port", Width: 9, Max: 9},
			{Title: "host", Width: 8, Max: 16},
			{Title: "reached from", Width: 20, Max: 23},
			{Title: "process", Width: 8, Max: 16},
			{Title: "address", Width: 9, Max: 26, Drop: 4},
			{Title: "unit", Width: 12, Max: 40, Drop: 3},
		},
		rows: func(c *screen.Context, st fleet.State) []row { return x.rows(c, st, several) },
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			e := x.at(st, at)
			cells := []widget.Line{exposedWord(c, e), widget.T(portOf(e)), reachedFrom(e), processOf(e), widget.L(themes.Dim, addressOf(e)), widget.L(themes.Dim, heldBy(st, e.Listener))}
			if several {
				cells = slices.Insert(cells, 2, widget.T(st.Host.Name))
			}
			return cells
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			e := x.at(st, at)
			of := strings.TrimSpace(processOf(e).String()+"  "+heldBy(st, e.Listener)) + "  " + addressOf(e)
			if several {
				of = st.Host.Name + "  " + of
			}
			return [2]widget.Line{exposedWord(c, e).And(themes.Text, " "+portOf(e)+"  ").Join(reachedFrom(e)), widget.L(themes.Dim, "  "+of)}
		},
		detail: x.detail,
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Listens, "nobody who listens")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line {
			if old := outdated(c, st, st.Listens); len(old) > 0 {
				return old
			}
			return outdated(c, st, st.Firewall)
		},
		aim: func(st fleet.State, at int, t *fleet.Target) {
			if e := x.at(st, at); e.User == "" {
				t.Unit = e.Unit
			}
		},
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			if e := x.at(st, at); e.User == "" {
				return unitLog(e.Unit)
			}
			return fleet.LogSource{}, "the log of a user's unit is in the list of units (4)"
		},
	}
	if several {
		t.order = func(a, b row) int { return cmp.Compare(weight(x.at(a.of, a.at)), weight(x.at(b.of, b.at))) }
		return t
	}
	t.columns = slices.Delete(t.columns, 2, 3)
	return t
}

func (x *exposed) rows(c *screen.Context, st fleet.State, several bool) []row {
	x.of[st.Host.ID] = c.Snap.ExposuresOf(st, c.Now, nil)
	var rows []row
	for i, e := range x.of[st.Host.ID] {
		if several && e.Loopback() {
			continue
		}
		id := fmt.Sprintf("%s/%d %s%%%s %s", e.Proto, e.Port, e.Address, e.Device, e.To)
		rows = append(rows, row{id: id, name: portOf(e), more: strings.Join([]string{st.Host.Name, e.Process, e.Unit, e.Address, from(e)}, " "), at: i})
	}
	return rows
}

// worst is how bad an exposure is, with its names; "" where it is no problem.
func worst(e fleet.Exposure) fleet.Severity {
	names := fleet.Severity("")
	for _, n := range e.Names {
		switch {
		case !n.Problem:
		case n.SignIn != nil:
			return fleet.SeverityFail
		default:
			names = fleet.SeverityUnknown // perhaps without sign-in
		}
	}
	if e.Problem {
		return e.Severity
	}
	return names
}

// exposedWord is what an exposure amounts to, in a word.
func exposedWord(c *screen.Context, e fleet.Exposure) widget.Line {
	switch bad := worst(e); {
	case bad != "":
		word, role := words.Severity(bad)
		return widget.L(role, word)
	case e.Meant != "":
		return widget.L(themes.Dim, "meant")
	case e.Loopback(), e.Internet.State == fleet.Stopped:
		return widget.L(themes.OK, words.OK)
	case e.Internet.State == fleet.PassesUnknown:
		return widget.L(themes.Unknown, c.Glyphs.Unknown)
	}
	return widget.T("open") // by a router of the fleet, whose problem it is
}

// weight is where an exposure stands among others: problems first, then what the
// internet reaches.
func weight(e fleet.Exposure) int {
	switch bad := worst(e); {
	case bad == fleet.SeverityFail:
		return 0
	case bad != "":
		return 1
	case e.Internet.State == fleet.Passes:
		return 2
	case e.Internet.State == fleet.PassesUnknown:
		return 3
	}
	return 4
}

// detail is all that is known of one: why it is reached, and what can be done.
func (x *exposed) detail(c *screen.Context, st fleet.State, at, w int) widget.Doc {
	e := x.at(st, at)
	d := widget.Doc{}.Field(w, label, "port", widget.L(themes.Title, portOf(e))).Field(w, label, "address", widget.T(addressOf(e)))
	if e.To != "" {
		d = d.Field(w, label, "sent on to", widget.T(e.To))
	} else {
		d = d.Field(w, label, "process", processOf(e)).Field(w, label, "owner", orUnknown(heldBy(st, e.Listener)))
	}
	if e.PID > 0 {
		d = d.Field(w, label, "pid", widget.T(strconv.Itoa(e.PID)))
	}
	if e.Problem {
		d = d.Field(w, label, "problem", widget.L(themes.Fail, e.Why)).Field(w, label, "cure", widget.T(e.Cure))
	}
	for _, z := range zones {
		door := e.From(z.zone)
		d = d.Field(w, label, z.name, passage(*door).And(themes.Dim, "  "+door.Why))
	}
	for _, n := range e.Names {
		d = d.Field(w, label, "name", widget.T(n.Name+" ").And(themes.Dim, signInWord(n)+", served by "+n.Proxy))
	}
	if e.Meant != "" {
		d = d.Field(w, label, "meant", widget.T(e.Meant))
	}
	d = d.Field(w, label, "source", widget.L(themes.Dim, st.Listens.Source+", "+words.AgoLong(st.Listens.At, c.Now)))
	if st.Firewall.HasValue() {
		d = d.Field(w, label, "firewall", widget.L(themes.Dim, st.Firewall.Value.Kind+", "+words.AgoLong(st.Firewall.At, c.Now)))
	}
	return d
}

// zones are from where things are reached, as they are called here.
var zones = []struct {
	zone fleet.Zone
	name string
}{{fleet.FromInternet, "internet"}, {fleet.FromLAN, "LAN"}, {fleet.FromTailnet, "tailnet"}}

// from is from where something is reached, in a few words.
func from(e fleet.Exposure) string {
	if e.Loopback() {
		return "itself"
	}
	var all []string
	for _, z := range zones {
		switch e.From(z.zone).State {
		case fleet.Passes:
			all = append(all, z.name)
		case fleet.PassesUnknown:
			all = append(all, z.name+"?")
		}
	}
	return cmp.Or(strings.Join(all, " "), "nowhere")
}

// reachedFrom is as from, in the colour of what it says.
func reachedFrom(e fleet.Exposure) widget.Line {
	role := themes.Text
	if bad := worst(e); bad != "" {
		_, role = words.Severity(bad)
	} else if e.Loopback() {
		role = themes.Dim
	}
	return widget.L(role, from(e))
}

func passage(d fleet.Door) widget.Line {
	switch d.State {
	case fleet.Passes:
		return widget.T("yes")
	case fleet.Stopped:
		return widget.L(themes.Dim, "no")
	}
	return widget.L(themes.Unknown, "?")
}

func signInWord(n fleet.ExposedName) string {
	switch {
	case n.SignIn == nil:
		return "sign-in ?"
	case *n.SignIn:
		return "sign-in"
	}
	return "no sign-in"
}

func portOf(e fleet.Exposure) string { return fleet.ProtoPort(e.Proto, e.Port) }

func processOf(e fleet.Exposure) widget.Line {
	if e.To != "" {
		return widget.L(themes.Dim, "to "+e.To)
	}
	return orUnknown(e.Process)
}

func addressOf(e fleet.Exposure) string {
	if e.Device != "" {
		return e.Address + "%" + e.Device
	}
	return e.Address
}

// heldBy is the container or unit that a listener belongs to; "" not known.
func heldBy(st fleet.State, l fleet.Listener) string {
	for _, ct := range st.Containers.Value {
		if ct.ID != "" && ct.ID == l.Container || l.Unit != "" && ct.Unit == l.Unit && !ct.UserUnit && l.User == "" {
			return "container " + ct.Name
		}
	}
	if l.Container != "" {
		return "container " + fleet.Short(l.Container, 12)
	}
	if l.Unit == "" {
		return ""
	}
	return fleet.Unit{Name: l.Unit, User: l.User}.Label()
}
