package hostscreen

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// reading is a tab that is a document to scroll.
type reading struct{ scroll widget.Scroll }

func (r *reading) fresh(*screen.Context, fleet.State) screen.Effect { return nil }
func (r *reading) do(_ *screen.Context, _ fleet.State, id string) screen.Effect {
	r.scroll.Do(id)
	return nil
}
func (r *reading) tap(*screen.Context, fleet.State, any) screen.Effect { return nil }
func (r *reading) back(*screen.Context, fleet.State) bool              { return false }
func (r *reading) target(fleet.State, *fleet.Target)                   {}
func (r *reading) focus(*fleet.Focus, fleet.State)                     {}
func (r *reading) item() string                                        { return "" }
func (r *reading) scopes() []string                                    { return []string{"scroll"} }

// overview is what a host is, what is wrong, and who says so.
type overview struct{ reading }

func (o *overview) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	p = p.Sub(1, 0, p.W-2, p.H)
	if c.W < screen.Wide {
		append(o.left(c, st, p.W), append(widget.Doc{{}}, o.right(c, st, p.W)...)...).Draw(p, &o.scroll)
		return
	}
	half := p.W/2 - 1
	left, right := o.left(c, st, half), o.right(c, st, p.W-half-3)
	for len(left) < len(right) {
		left = append(left, widget.Row{})
	}
	p.VRule(half + 1)
	other := o.scroll
	right.Draw(p.Sub(half+3, 0, p.W-half-3, p.H), &other)
	left.Draw(p.Sub(0, 0, half, p.H), &o.scroll)
}

// left is what the host is and what is wrong with it.
func (o *overview) left(c *screen.Context, st fleet.State, w int) widget.Doc {
	d := sheet.Body(c, st, w)
	if failed := sheet.Failed(c, st, w); len(failed) > 0 {
		d = append(d.Head("Failed units"), failed...)
	}
	return d
}

// right is who knows what about the host.
func (o *overview) right(c *screen.Context, st fleet.State, w int) widget.Doc {
	d := append(sheet.Presence(c, st, w), sheet.Who(c, st, w)...)
	d = append(d.Head("What is known, since when, from what"), sheet.Known(c, st, w)...)
	if unseen := sheet.Unseen(c, st, w); len(unseen) > 0 {
		d = append(d.Head("What could not be seen"), unseen...)
	}
	return d
}

// do adds to scrolling the log of the unit that failed.
func (o *overview) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	if id != "logs" {
		return o.reading.do(c, st, id)
	}
	if failed := st.Failed().Value; len(failed) > 0 {
		return logOf(st, fleet.LogSource{Unit: failed[0].Name, User: failed[0].User})
	}
	return screen.All{
		screen.Go{Place: screen.Place{Screen: screen.Host, Host: st.Host.ID, Tab: "units"}},
		screen.Flash{Level: fleet.Info, Text: "choose a unit and press L for its log"},
	}
}
