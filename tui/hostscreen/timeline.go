package hostscreen

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// timeline is the tab of what was done to the host and what happened to it,
// newest first.
func timeline() *tableTab {
	var events []fleet.Event // of the rows
	return &tableTab{
		columns: sheet.EventColumns(0),
		rows: func(c *screen.Context, st fleet.State) []row {
			events = fleet.Timeline([]fleet.State{st}, c.Snap.AuditOf(st.Host.ID), time.Time{})
			rows := make([]row, len(events))
			for i, id := range sheet.EventIDs(events) {
				rows[i] = row{id: id, name: events[i].Text, more: sheet.EventText(events[i]), at: i}
			}
			return rows
		},
		cells: func(_ *screen.Context, _ fleet.State, at int) []widget.Line {
			return sheet.EventCells(events[at], false)
		},
		lines: func(_ *screen.Context, _ fleet.State, at int) [2]widget.Line {
			return sheet.EventLines(events[at], false)
		},
		detail: func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
			return sheet.Event(c, st, events[at], w)
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Generations, "no event")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.System) },
		aim: func(st fleet.State, at int, t *fleet.Target) {
			if g := events[at].To.Generation; g > 0 && g != st.System.Value.Running.Generation {
				t.Generation = g // R goes to the system that the event is about
			}
		},
	}
}
