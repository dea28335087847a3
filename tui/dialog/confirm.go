package dialog

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Agree says that a job may begin.
type Agree struct{ Job *Job }

// Stop says that a job should be given up.
type Stop struct{ Job *Job }

// Confirm shows what an action will do and asks whether it should.
type Confirm struct {
	Job    *Job
	More   bool // lines are still to be filled in
	input  widget.Input
	scroll widget.Scroll
	log    bool // the log is shown in place of the plan
	grace  Grace
	clock  func() time.Time
}

// NewConfirm makes the popup; the plan may still be on its way.
func NewConfirm(j *Job, clock func() time.Time) *Confirm {
	d := &Confirm{Job: j, clock: clock}
	d.grace.begin(clock())
	return d
}

// Planned is called when the plan is there to be read.
func (d *Confirm) Planned() { d.grace.begin(d.clock()) }

// ready tells whether there is a plan to agree to.
func (d *Confirm) ready() bool { return d.Job.Plan != nil && d.Job.Failed == nil }

// hasLog tells whether something failed that wrote a log.
func (d *Confirm) hasLog() bool { return d.Job.Plan != nil && len(d.Job.Plan.Log) > 0 }

func (d *Confirm) typed() bool { return d.ready() && d.Job.Plan.Typed != "" }

// Key implements screen.Popup.
func (d *Confirm) Key(_ *screen.Context, k screen.Key) screen.Effect {
	no := screen.ClosePopup{Then: d.back()}
	if k.Name == "esc" {
		return no // leaving is never too early
	}
	if d.grace.swallow(d.clock(), quietAsked) {
		return nil
	}
	switch {
	case k.Name == "l" && d.hasLog() && !d.typed():
		d.log = !d.log
		d.scroll.Reset()
	case !d.ready():
		if k.Name == "enter" || k.Name == "n" {
			return no
		}
	case d.typed():
		return d.typing(k, no)
	case k.Name == "y" || k.Name == "Y":
		return screen.ClosePopup{Then: Agree{d.Job}}
	case k.Name == "n" || k.Name == "N" || k.Name == "enter":
		return no
	}
	scrollBy(&d.scroll, k.Name)
	return nil
}

// back is what leaving does: what cannot be planned as it was chosen can be chosen
// otherwise, with all that was typed.
func (d *Confirm) back() screen.Effect {
	if j := d.Job; j.Failed != nil && len(j.Action.Choices) > 0 {
		return screen.All{Stop{j}, screen.Show{Popup: NewForm(j.Action, j.Target)}}
	}
	return Stop{d.Job}
}

// typing handles keys while a name must be typed to agree.
func (d *Confirm) typing(k screen.Key, no screen.Effect) screen.Effect {
	switch k.Name {
	case "enter":
		if d.input.Value() == d.Job.Plan.Typed {
			return screen.ClosePopup{Then: Agree{d.Job}}
		}
		if d.input.Value() == "" {
			return no
		}
		return screen.Flash{Level: fleet.Info, Text: "that is not " + d.Job.Plan.Typed + "; esc is No"}
	case "up", "down", "pgup", "pgdown":
		scrollBy(&d.scroll, k.Name)
	default:
		d.input.Key(k.Name, k.Text)
	}
	return nil
}

// Paste implements screen.Popup. A name that must be typed is typed.
func (d *Confirm) Paste(c *screen.Context, text string) screen.Effect {
	if d.typed() && len(text) <= 2 { // a phone's keyboard
		return d.Key(c, screen.Key{Name: text, Text: text})
	}
	return nil
}

// Tap implements screen.Popup.
func (d *Confirm) Tap(c *screen.Context, target any) screen.Effect {
	if t, ok := target.(screen.TapKey); ok {
		return d.Key(c, screen.Key{Name: t.ID})
	}
	return nil
}

// Draw implements screen.Popup.
func (d *Confirm) Draw(c *screen.Context, p widget.Pane) {
	w := min(80, p.W)
	if p.W-w < 8 {
		w = p.W
	}
	doc, tail := d.text(c, w-4), 2
	if d.typed() {
		tail = 3
	}
	in := widget.Box(p, w, len(doc)+tail+2, d.Job.Action.Title)
	doc.Draw(in.Sub(0, 0, in.W, in.H-tail), &d.scroll)
	switch {
	case d.typed():
		d.input.Draw(in, in.H-2, widget.L(themes.Text, "Type ").And(themes.Title, d.Job.Plan.Typed).And(themes.Text, " to agree: "), "")
		Choices(in, in.H-1, []Choice{{"enter", "Enter", "agree", false}, {"esc", "esc", "No", true}})
	case d.ready():
		Choices(in, in.H-1, d.withLog([]Choice{{"n", "n", "No", true}, {"y", "y", "yes", false}}))
		in.Cursor(0, in.H-1)
	default:
		Choices(in, in.H-1, d.withLog([]Choice{{"esc", "esc", map[bool]string{true: "back", false: "stop"}[d.Job.Failed != nil], true}}))
	}
}

// withLog adds the key of the log, where there is one.
func (d *Confirm) withLog(list []Choice) []Choice {
	if d.hasLog() {
		list = append(list, Choice{"l", "l", map[bool]string{true: "the plan", false: "log of the build"}[d.log], false})
	}
	return list
}

func (d *Confirm) text(c *screen.Context, w int) widget.Doc {
	j := d.Job
	doc := widget.Doc{}
	if d.log {
		for _, l := range j.Plan.Log {
			doc = doc.Add(w, 2, widget.T(l))
		}
		return doc
	}
	if j.Plan != nil && j.Failed == nil {
		doc = doc.Add(w, 2, widget.L(themes.Title, j.Plan.Title))
	}
	about := widget.L(themes.Dim, "on ").And(themes.Title, j.Hosts())
	if o := j.Object(); o != "" {
		about = widget.L(themes.Title, o).And(themes.Text, " ").Join(about)
	}
	if j.Hosts() != "" {
		doc = doc.Add(w, 2, about)
	}
	switch {
	case j.Failed != nil:
		doc = doc.Add(w, 2, widget.L(themes.Fail, "It cannot be planned: ").And(themes.Text, fleet.InFull(j.Failed)))
	case j.Plan == nil:
		doc = doc.Add(w, 2, widget.L(themes.Dim, c.Glyphs.Asking+" looking what it would do"+d.elapsed(c)))
		doc = d.getting(doc, w)
	default:
		for _, l := range j.Plan.Lines {
			doc = doc.Add(w, 2, widget.T(l))
		}
		if d.More {
			doc = doc.Add(w, 2, widget.L(themes.Dim, c.Glyphs.Asking+" still reading what will change; who agrees now does not wait for it"))
		}
	}
	return doc
}

// elapsed is how long it has been looked already, once that is worth telling.
func (d *Confirm) elapsed(c *screen.Context) string {
	if took := c.Now.Sub(d.Job.Asked); !d.Job.Asked.IsZero() && took >= time.Second {
		return ", " + words.Span(took)
	}
	return ""
}

// getting is how far it is with each host.
func (d *Confirm) getting(doc widget.Doc, w int) widget.Doc {
	for _, st := range d.Job.Target.Hosts {
		if line := d.Job.Newest(st.Host.Name); line != "" {
			doc = doc.Add(w, 2, widget.L(themes.Title, st.Host.Name).And(themes.Text, "  "+line))
		}
	}
	return doc
}
