package dialog

import (
	"cmp"
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
	typed  map[string]*widget.Input
}

// NewForm makes the popup, with what is done where nothing is chosen.
func NewForm(a fleet.Action, t fleet.Target) *Form {
	t.Chosen = maps.Clone(t.Chosen)
	if t.Chosen == nil {
		t.Chosen = map[string]string{}
	}
	d := &Form{action: a, target: t, typed: map[string]*widget.Input{}}
	for _, c := range a.Choices {
		if c.Typed {
			d.typed[c.ID] = &widget.Input{}
			d.typed[c.ID].Set(t.Chose(c))
		}
	}
	return d
}

// Key implements screen.Popup.
func (d *Form) Key(_ *screen.Context, k screen.Key) screen.Effect {
	n := len(d.action.Choices)
	if in := d.input(); in != nil && k.Name != "esc" && k.Name != "enter" && in.Key(k.Name, k.Text) {
		d.target.Chosen[d.action.Choices[d.at].ID] = in.Value()
		return nil
	}
	switch k.Name {
	case "esc", "q", "n":
		return screen.ClosePopup{}
	case "enter", "y", d.key():
		if next := d.empty(); d.input() != nil && next >= 0 {
			d.at = next
			return nil
		}
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

// input is the line that is typed into; nil: the cursor is on something to choose.
func (d *Form) input() *widget.Input { return d.typed[d.action.Choices[d.at].ID] }

// empty is the first line in which nothing was typed yet, other than the one the
// cursor is on; -1: there is none.
func (d *Form) empty() int {
	return slices.IndexFunc(d.action.Choices, func(c fleet.Choice) bool {
		return c.Typed && d.target.Chose(c) == "" && c.ID != d.action.Choices[d.at].ID
	})
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
	if c.Typed {
		return
	}
	i := slices.Index(c.Values, d.target.Chose(c))
	d.target.Chosen[c.ID] = c.Values[(i+by+len(c.Values))%len(c.Values)]
}

// Paste implements screen.Popup.
func (d *Form) Paste(_ *screen.Context, text string) screen.Effect {
	if in := d.input(); in != nil {
		in.Insert(text)
		d.target.Chosen[d.action.Choices[d.at].ID] = in.Value()
	}
	return nil
}

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
	job := &Job{Target: d.target}
	on := widget.L(themes.Dim, "on ")
	if o := job.Object(); o != "" {
		on = widget.L(themes.Title, o).And(themes.Dim, " on ")
	}
	about := widget.Doc{}.Add(w-4, 2, on.And(themes.Title, job.Hosts()))
	in := widget.Box(p, w, len(about)+len(d.action.Choices)+5, d.action.Title)
	about.Draw(in.Sub(0, 0, in.W, len(about)), &widget.Scroll{})
	for i := range d.action.Choices {
		d.line(c, in, len(about)+1+i, i)
	}
	change := Choice{"right", "l", "change", false}
	if d.input() != nil {
		change = Choice{"tab", "tab", "next", false}
	}
	Choices(in, in.H-1, []Choice{{"enter", "Enter", "go on", true}, change, {"esc", "esc", "back", false}})
}

// line draws one choice.
func (d *Form) line(c *screen.Context, in widget.Pane, y, i int) {
	choice := d.action.Choices[i]
	l := widget.L(themes.Dim, "  ")
	if i == d.at {
		l = widget.L(themes.Accent, c.Glyphs.Cursor+" ")
		in.Cursor(0, y)
	}
	l = l.And(themes.Dim, choice.Title+"  ")
	in.Zone(0, y, in.W, 1, tapChoice{i})
	switch {
	case !choice.Typed:
		in.Line(0, y, in.W, l.And(themes.Accent, "< ").And(themes.Text, d.target.Chose(choice)).And(themes.Accent, " >"))
	case i == d.at:
		d.typed[choice.ID].Draw(in, y, l, "")
	default:
		in.Line(0, y, in.W, l.And(themes.Text, cmp.Or(d.target.Chose(choice), c.Glyphs.None)))
	}
}
