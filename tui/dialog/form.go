package dialog

import (
	"cmp"
	"maps"
	"slices"
	"strings"

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

// Form asks what can be chosen of an action before it is planned. What is hardly
// ever chosen stands behind one line until that is opened.
type Form struct {
	action fleet.Action
	target fleet.Target
	at     int  // the line the cursor is on
	open   bool // what is hardly ever chosen is shown too
	fault  string
	typed  map[string]*widget.Input
}

// NewForm makes the popup, with what is done where nothing is chosen, or with what
// was chosen before.
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
		d.open = d.open || c.Rare && t.Chose(c) != c.Values[0]
	}
	return d
}

// opener is the line that stands for all that is hardly ever chosen.
var opener = fleet.Choice{ID: "more", Title: "more"}

// lines are the choices that are shown, the opener among them.
func (d *Form) lines() []fleet.Choice {
	lines, more := d.offered(false), d.offered(true)
	if !d.open && len(more) > 0 {
		return append(lines, opener)
	}
	return append(lines, more...)
}

// offered are the choices that there are with what is chosen, the rare or the others.
func (d *Form) offered(rare bool) (list []fleet.Choice) {
	for _, c := range d.action.Choices {
		if c.Rare == rare && c.Offered(d.target) {
			list = append(list, c)
		}
	}
	return list
}

// on is the choice the cursor is on.
func (d *Form) on() fleet.Choice {
	lines := d.lines()
	return lines[min(d.at, len(lines)-1)]
}

// Key implements screen.Popup.
func (d *Form) Key(_ *screen.Context, k screen.Key) screen.Effect {
	d.fault = ""
	if in := d.input(); in != nil && k.Name != "esc" && k.Name != "enter" && in.Key(k.Name, k.Text) {
		d.target.Chosen[d.on().ID] = in.Value()
		return nil
	}
	switch n := len(d.lines()); k.Name {
	case "esc", "q", "n":
		return screen.ClosePopup{}
	case "enter", "y", d.key():
		return d.goOn()
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

// goOn is what Enter does: it opens what is closed, or ends the choosing, unless
// something that is chosen cannot be meant: that is told, and kept to be mended.
func (d *Form) goOn() screen.Effect {
	if d.on().ID == opener.ID {
		d.open = true
		return nil
	}
	all := append(d.offered(false), d.offered(true)...)
	for _, c := range all {
		if fault := c.Fault(d.target); fault != "" {
			was := d.on().ID
			d.open = d.open || c.Rare
			d.at = slices.IndexFunc(d.lines(), func(l fleet.Choice) bool { return l.ID == c.ID })
			if was == c.ID || d.target.Chose(c) != "" { // else it is only the next to be typed
				d.fault = fault
			}
			return nil
		}
	}
	t := d.target
	t.Chosen = map[string]string{}
	for _, c := range all {
		if v, ok := d.target.Chosen[c.ID]; ok {
			t.Chosen[c.ID] = v
		}
	}
	return screen.ClosePopup{Then: Chosen{d.action, t}}
}

// input is the line that is typed into; nil: the cursor is on something to choose.
func (d *Form) input() *widget.Input { return d.typed[d.on().ID] }

// key is the action's own: pressed twice it takes what is usual.
func (d *Form) key() string {
	if len(d.action.Keys) > 0 {
		return d.action.Keys[0]
	}
	return "enter"
}

// turn goes to another value of the choice the cursor is on, or opens what is closed.
func (d *Form) turn(by int) {
	c := d.on()
	switch {
	case c.ID == opener.ID:
		d.open = true
	case !c.Typed:
		i := slices.Index(c.Values, d.target.Chose(c))
		d.target.Chosen[c.ID] = c.Values[(i+by+len(c.Values))%len(c.Values)]
	}
}

// Paste implements screen.Popup.
func (d *Form) Paste(_ *screen.Context, text string) screen.Effect {
	if in := d.input(); in != nil {
		d.fault = ""
		in.Insert(text)
		d.target.Chosen[d.on().ID] = in.Value()
	}
	return nil
}

// tapChoice is a tap on a line of the form.
type tapChoice struct{ id string }

// Tap implements screen.Popup: a tap on a line turns it.
func (d *Form) Tap(c *screen.Context, target any) screen.Effect {
	switch t := target.(type) {
	case tapChoice:
		if at := slices.IndexFunc(d.lines(), func(l fleet.Choice) bool { return l.ID == t.id }); at >= 0 {
			d.at, d.fault = at, ""
			d.turn(1)
		}
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
	lines := d.lines()
	note, noted := d.note(w - 4)
	h := len(about) + len(lines) + 5
	if noted > 0 {
		h += noted + 1
	}
	in := widget.Box(p, w, h, d.action.Title)
	gap := 1
	if h > p.H { // the lines themselves come first
		gap = 0
		if d.fault == "" {
			note = nil
		}
	}
	about.Draw(in.Sub(0, 0, in.W, len(about)), &widget.Scroll{})
	top := len(about) + gap
	rows := max(1, min(len(lines), in.H-1-gap-len(note)-top))
	first := max(0, min(d.at-rows/2, len(lines)-rows))
	for i, choice := range lines[first : first+rows] {
		d.line(c, in, top+i, choice, first+i == d.at)
	}
	note.Draw(in.Sub(0, top+rows+gap, in.W, len(note)), &widget.Scroll{})
	Choices(in, in.H-1, d.keys())
}

// note is what is told of the line the cursor is on: what is wrong, or what may be
// chosen; and the room for it, which is the same wherever the cursor is.
func (d *Form) note(w int) (note widget.Doc, room int) {
	for _, c := range d.lines() {
		if c.Help != "" {
			room = max(room, len(widget.Doc{}.Add(w, 0, widget.T(c.Help))))
		}
	}
	switch help := d.on().Help; {
	case d.fault != "":
		note = note.Add(w, 0, widget.L(themes.Fail, d.fault))
	case help != "":
		note = note.Add(w, 0, widget.L(themes.Dim, help))
	}
	return note, max(room, len(note))
}

// keys are what can be pressed on the line the cursor is on.
func (d *Form) keys() []Choice {
	change := Choice{"right", "l", "change", false}
	switch {
	case d.input() != nil:
		change = Choice{"tab", "tab", "next", false}
	case d.on().ID == opener.ID:
		return []Choice{{"enter", "Enter", "more", true}, {"tab", "tab", "next", false}, {"esc", "esc", "back", false}}
	}
	return []Choice{{"enter", "Enter", "go on", true}, change, {"esc", "esc", "back", false}}
}

// line draws one choice.
func (d *Form) line(c *screen.Context, in widget.Pane, y int, choice fleet.Choice, at bool) {
	l := widget.L(themes.Dim, "  ")
	if at {
		l = widget.L(themes.Accent, c.Glyphs.Cursor+" ")
		in.Cursor(0, y)
	}
	l = l.And(themes.Dim, choice.Title+"  ")
	in.Zone(0, y, in.W, 1, tapChoice{choice.ID})
	hint := choice.Hint
	if choice.Typed && d.target.Chose(choice) != "" {
		hint = ""
	}
	switch {
	case choice.ID == opener.ID:
		in.Line(0, y, in.W, l.And(themes.Text, d.closed()))
	case !choice.Typed:
		in.Line(0, y, in.W, l.And(themes.Accent, "< ").And(themes.Text, d.target.Chose(choice)).And(themes.Accent, " >"))
	case at:
		d.typed[choice.ID].Draw(in, y, l, hint)
	case hint != "":
		in.Line(0, y, in.W, l.And(themes.Dim, hint))
	default:
		in.Line(0, y, in.W, l.And(themes.Text, cmp.Or(d.target.Chose(choice), c.Glyphs.None)))
	}
}

// closed names what is not shown yet.
func (d *Form) closed() string {
	var names []string
	for _, c := range d.offered(true) {
		names = append(names, c.Title)
	}
	return strings.Join(names, ", ")
}
