package dialog

import (
	"maps"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// Chosen says that what can be chosen of an action was.
type Chosen struct {
	Action fleet.Action
	Target fleet.Target
}

// Form asks what can be chosen of an action before it is planned.
type Form struct {
	action fleet.Action
	target fleet.Target
	at     int // the choice the cursor is on
}

// NewForm makes the popup, with what is done where nothing is chosen.
func NewForm(a fleet.Action, t fleet.Target) *Form {
	t.Chosen = maps.Clone(t.Chosen)
	if t.Chosen == nil {
		t.Chosen = map[string]string{}
	}
	return &Form{action: a, target: t}
}

// Key implements screen.Popup.
func (d *Form) Key(_ *screen.Context, k screen.Key) screen.Effect {
	n := len(d.action.Choices)
	switch k.Name {
	case "esc", "q", "n":
		return screen.ClosePopup{}
	case "enter", "y", d.key():
		return screen.ClosePopup{Then: Chosen{d.action, d.target}}
	case "down", "j", "tab":
		d.at = (d.at + 1) % n
	case "up", "k", "shift+tab":
		d.at = (d.at + n - 1) % n
	case "right", "l", "space", " ":
		d.turn(1)
	case "left", "h":
		d.turn(-1)
	}
	return nil
}

// key is the action's own: pressed twice it takes what is usual.
func (d *Form) key() string {
	if len(d.action.Keys) > 0 {
		return d.action.Keys[0]
	}
	return "enter"
}

// turn goes to another value of the choice the cursor is on.
func (d *Form) turn(by int) {
	c := d.action.Choices[d.at]
	i := slices.Index(c.Values, d.target.Chose(c))
	d.target.Chosen[c.ID] = c.Values[(i+by+len(c.Values))%len(c.Values)]
}

// Paste implements screen.Popup.
func (d *Form) Paste(*screen.Context, string) screen.Effect { return nil }

// tapChoice is a tap on a line of the form.
type tapChoice struct{ at int }

// Tap implements screen.Popup: a tap on a line turns it.
func (d *Form) Tap(c *screen.Context, target any) screen.Effect {
	switch t := target.(type) {
	case tapChoice:
		d.at = t.at
		d.turn(1)
	case screen.TapKey:
		return d.Key(c, screen.Key{Name: t.ID})
	}
	return nil
}

// Draw implements screen.Popup.
func (d *Form) Draw(c *screen.Context, p widget.Pane) {
	w := min(60, p.W)
	about := widget.Doc{}.Add(w-4, 2, widget.L(themes.Dim, "on ").And(themes.Title, (&Job{Target: d.target}).Hosts()))
	in := widget.Box(p, w, len(about)+len(d.action.Choices)+5, d.action.Title)
	about.Draw(in.Sub(0, 0, in.W, len(about)), &widget.Scroll{})
	for i, choice := range d.action.Choices {
		y := len(about) + 1 + i
		l := widget.L(themes.Dim, "  ")
		if i == d.at {
			l = widget.L(themes.Accent, c.Glyphs.Cursor+" ")
			in.Cursor(0, y)
		}
		l = l.And(themes.Dim, choice.Title+"  ").And(themes.Accent, "< ").And(themes.Text, d.target.Chose(choice)).And(themes.Accent, " >")
		n := in.Line(0, y, in.W, l)
		in.Zone(0, y, n, 1, tapChoice{i})
	}
	Choices(in, in.H-1, []Choice{{"enter", "Enter", "go on", true}, {"right", "l", "change", false}, {"esc", "esc", "back", false}})
}
