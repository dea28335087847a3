package sheet

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Deploy is the newest deploy of a host: what waits for an answer, what is under
// way, or how it ended and when. Nothing where there was none.
func Deploy(c *screen.Context, st fleet.State, w int) widget.Doc {
	d, ok := words.Newest(st)
	if !ok {
		return nil
	}
	state := c.Tell().Deploy(d.State)
	way := words.Toplevel(st, d.From) + " " + c.Glyphs.Arrow + " " + words.Toplevel(st, d.To)
	who := "  " + map[bool]string{true: "roll-back "}[d.Kind == "rollback"] + "by " + d.Who + "@" + d.Client
	switch {
	case d.State == fleet.Awaiting:
		left, _ := words.Waits(st, c.Now)
		l := widget.L(state.Role, state.Text+" "+words.Until(left)).And(themes.Text, ", then it goes back to "+words.Toplevel(st, d.From)).And(themes.Dim, who)
		doc := widget.Doc{}.Field(w, Label, "deploy", l)
		return doc.Field(w, Label, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, answers(c)))
	case !d.State.Over():
		l := widget.L(state.Role, state.Text).And(themes.Text, " "+way+", begun "+words.Span(max(0, c.Now.Sub(d.Started)))+" ago").And(themes.Dim, who)
		return widget.Doc{}.Field(w, Label, "deploy", l)
	}
	l := widget.L(state.Role, state.Text).And(themes.Text, " "+way+", "+words.When(d.Changed, c.Now)).And(themes.Dim, who)
	if d.Why != "" && (d.State == fleet.Cancelled || d.State == fleet.Refused || d.State == fleet.NeedsReboot) { // of others the problems tell
		l = l.And(themes.Text, ": "+d.Why)
	}
	return widget.Doc{}.Field(w, Label, "deploy", l)
}

// answers are the keys that decide on what waits.
func answers(c *screen.Context) string {
	if c.ReadOnly {
		return "read-only: it is answered from elsewhere"
	}
	return key(c, "palette") + "confirm keeps it, " + key(c, "rollback") + " goes back"
}
