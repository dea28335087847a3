package hostscreen

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// units is the tab of systemd's units, the failed ones first.
func units() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "unit", Width: 24, Max: 46},
			{Title: "state", Width: 10, Max: 18},
			{Title: "result", Width: 10, Max: 14, Drop: 2},
			{Title: "restarts", Width: 8, Drop: 3, Right: true},
			{Title: "description", Width: 14, Max: 80, Drop: 1},
		},
		rows: unitRows,
		cells: func(_ *screen.Context, st fleet.State, at int) []widget.Line {
			u := st.Units.Value[at]
			n := widget.L(themes.Dim, "0")
			if u.Restarts > 0 {
				n = widget.L(themes.Warn, strconv.Itoa(u.Restarts))
			}
			return []widget.Line{widget.T(u.Label()), unitState(u), widget.L(themes.Text, bad(u)), n, widget.L(themes.Dim, u.Description)}
		},
		lines: func(_ *screen.Context, st fleet.State, at int) [2]widget.Line {
			u := st.Units.Value[at]
			return [2]widget.Line{widget.T(u.Label()), widget.L(themes.Text, "  ").Join(unitState(u)).And(themes.Dim, "  "+u.Description)}
		},
		detail: func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
			return unit(c, st, st.Units.Value[at], w)
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Units, "no unit to tell of")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Units) },
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			u := st.Units.Value[at]
			return fleet.LogSource{Unit: u.Name, User: u.User}, ""
		},
		aim: func(st fleet.State, at int, t *fleet.Target) {
			t.Unit, t.User = st.Units.Value[at].Name, st.Units.Value[at].User
		},
	}
}

func unitRows(_ *screen.Context, st fleet.State) []row {
	rows := make([]row, 0, len(st.Units.Value))
	for i, u := range st.Units.Value {
		rows = append(rows, row{id: u.Label(), name: u.Label(), more: u.Active + " " + u.Sub + " " + u.Description, at: i})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		ua, ub := st.Units.Value[a.at], st.Units.Value[b.at]
		return cmp.Or(trueFirst(ua.Failed(), ub.Failed()), strings.Compare(a.name, b.name))
	})
	return rows
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
	}
	return widget.L(themes.Dim, u.Active)
}

// result is how the unit's last run ended, with its exit status.
func result(u fleet.Unit) string {
	if u.ExitStatus != 0 {
		return u.Result + " " + strconv.Itoa(u.ExitStatus)
	}
	return u.Result
}

// bad is the result of a run that did not end well, or "".
func bad(u fleet.Unit) string {
	if u.Result == "success" {
		return ""
	}
	return result(u)
}

// unit is all that is known of one.
func unit(c *screen.Context, st fleet.State, u fleet.Unit, w int) widget.Doc {
	d := widget.Doc{}.Field(w, label, "unit", widget.L(themes.Title, u.Label()))
	d = d.Field(w, label, "what", orUnknown(u.Description))
	d = d.Field(w, label, "state", unitState(u).And(themes.Dim, "  "+strings.Trim(u.Active+"/"+u.Sub, "/")))
	if u.Result != "" {
		d = d.Field(w, label, "result", widget.T(result(u)))
	}
	d = d.Field(w, label, "loaded", widget.T(cmp.Or(u.Load, "?")).And(themes.Dim, "  "+u.FileState))
	d = d.Field(w, label, "type", widget.T(cmp.Or(u.Type, c.Glyphs.None)))
	d = d.Field(w, label, "started", widget.T(cmp.Or(words.When(u.Started, c.Now), c.Glyphs.None)))
	d = d.Field(w, label, "ended", widget.T(cmp.Or(words.When(u.Exited, c.Now), c.Glyphs.None)))
	d = d.Field(w, label, "restarts", widget.T(strconv.Itoa(u.Restarts)))
	for _, t := range st.Timers.Value {
		if t.Activates == u.Name && u.User == "" {
			when := "last " + words.AgoLong(t.Last, c.Now)
			if !t.Next.IsZero() {
				when += ", next " + words.AgoLong(t.Next, c.Now)
			}
			d = d.Field(w, label, "timer", widget.T(t.Name).And(themes.Dim, "  "+when))
		}
	}
	if u.Source != "" {
		d = d.Field(w, label, "made from", widget.T(u.Source))
	}
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Units.Source+", "+words.AgoLong(st.Units.At, c.Now)))
}
