package dialog

import (
	"fmt"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Progress shows what a job says.
type Progress struct {
	Jobs   []*Job
	at     int
	scroll widget.Scroll
	loose  bool // scrolled up: does not follow
	clock  func() time.Time
}

// NewProgress shows the last of the jobs; the others are a key away.
func NewProgress(jobs []*Job, clock func() time.Time) *Progress {
	return &Progress{Jobs: jobs, at: len(jobs) - 1, clock: clock}
}

// Key implements screen.Popup.
func (d *Progress) Key(c *screen.Context, k screen.Key) screen.Effect {
	switch k.Name {
	case "esc", "q", "enter":
		return screen.ClosePopup{}
	case "x":
		if j := d.Jobs[d.at]; j.Running() {
			return Stop{j}
		}
	case "[", "left", "h":
		d.at = max(0, d.at-1)
	case "]", "right", "l":
		d.at = min(len(d.Jobs)-1, d.at+1)
	case "y":
		var text string
		for _, l := range d.Jobs[d.at].Lines() {
			text += l + "\n"
		}
		return screen.Copy{What: "the lines", Text: text}
	case "G", "end":
		d.loose = false
	case "up", "k", "pgup":
		d.loose = true
		scrollBy(&d.scroll, k.Name)
	default:
		scrollBy(&d.scroll, k.Name)
	}
	return nil
}

// Paste implements screen.Popup.
func (d *Progress) Paste(*screen.Context, string) screen.Effect { return nil }

// Tap implements screen.Popup.
func (d *Progress) Tap(c *screen.Context, target any) screen.Effect {
	if t, ok := target.(screen.TapKey); ok {
		return d.Key(c, screen.Key{Name: t.ID})
	}
	return nil
}

// Draw implements screen.Popup.
func (d *Progress) Draw(c *screen.Context, p widget.Pane) {
	j := d.Jobs[d.at]
	title := j.Title()
	if len(d.Jobs) > 1 {
		title = fmt.Sprintf("%d/%d %s", d.at+1, len(d.Jobs), title)
	}
	in := widget.Box(p, min(100, p.W), p.H-1, title)
	in.Line(0, 0, in.W, d.state(j))
	doc := widget.Doc{}
	for _, l := range j.Lines() {
		doc = doc.Add(in.W, 2, widget.T(l))
	}
	if j.Err != nil {
		doc = doc.Add(in.W, 2, widget.L(themes.Fail, "FAIL ").And(themes.Text, fleet.InFull(j.Err)))
	}
	if !d.loose {
		d.scroll.Do("bottom")
		d.scroll.End(len(doc))
	}
	doc.Draw(in.Sub(0, 1, in.W, in.H-2), &d.scroll)
	list := []Choice{{"esc", "esc", "close", false}}
	if j.Running() {
		list = []Choice{{"esc", "esc", "leave it running", false}, {"x", "x", "stop", false}}
	}
	Choices(in, in.H-1, list)
}

func (d *Progress) state(j *Job) widget.Line {
	role := map[string]themes.Role{"running": themes.Accent, "done": themes.OK, "FAIL": themes.Fail}[j.State()]
	l := widget.L(role, j.State())
	if !j.Ended.IsZero() {
		return l.And(themes.Dim, " after "+words.Span(j.Ended.Sub(j.Began)))
	}
	return l
}
