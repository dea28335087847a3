package dialog

import (
	"fmt"

	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Quit asks whether to leave while actions are under way.
type Quit struct{ Running int }

// Key implements screen.Popup.
func (d *Quit) Key(_ *screen.Context, k screen.Key) screen.Effect {
	switch k.Name {
	case "y", "Y":
		return screen.Press{ID: "quit"}
	case "n", "N", "enter", "esc", "q":
		return screen.ClosePopup{}
	}
	return nil
}

// Paste implements screen.Popup.
func (d *Quit) Paste(*screen.Context, string) screen.Effect { return nil }

// Tap implements screen.Popup.
func (d *Quit) Tap(c *screen.Context, target any) screen.Effect {
	if t, ok := target.(screen.TapKey); ok {
		return d.Key(c, screen.Key{Name: t.ID})
	}
	return nil
}

// Draw implements screen.Popup.
func (d *Quit) Draw(_ *screen.Context, p widget.Pane) {
	what := "1 action is"
	if d.Running > 1 {
		what = fmt.Sprintf("%d actions are", d.Running)
	}
	doc := widget.Doc{}.Add(min(56, p.W)-4, 0, widget.T(fmt.Sprintf("%s under way. Leaving stops what runs from here; what runs on the hosts goes on there.", what)))
	in := widget.Box(p, 56, len(doc)+4, "Leave?")
	doc.Draw(in.Sub(0, 0, in.W, in.H-2), &widget.Scroll{})
	Choices(in, in.H-1, []Choice{{"n", "n", "No", true}, {"y", "y", "leave", false}})
	in.Cursor(0, in.H-1)
}
