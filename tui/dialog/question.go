package dialog

import (
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Question asks what connecting to a host needs to know.
type Question struct {
	Ask    fleet.Question
	input  widget.Input
	scroll widget.Scroll
	grace  Grace
	clock  func() time.Time
}

// NewQuestion makes the popup of a question.
func NewQuestion(q fleet.Question, clock func() time.Time) *Question {
	d := &Question{Ask: q, clock: clock}
	d.input.Secret = q.Secret || q.Kind == fleet.AskPassword || q.Kind == fleet.AskPassphrase || q.Kind == fleet.AskSudo
	d.grace.begin(clock())
	return d
}

// typed tells whether something is to be typed.
func (d *Question) typed() bool {
	switch d.Ask.Kind {
	case fleet.AskHostKey, fleet.AskVisit, fleet.AskConfirm:
		return false
	}
	return true
}

// Key implements screen.Popup.
func (d *Question) Key(_ *screen.Context, k screen.Key) screen.Effect {
	if d.grace.swallow(d.clock(), quietSurprise) {
		return nil
	}
	switch {
	case k.Name == "esc" && d.Ask.Kind == fleet.AskConfirm:
		return d.answer(fleet.Reply{Later: true})
	case k.Name == "esc":
		return d.answer(fleet.Reply{Refuse: true})
	}
	if !d.typed() {
		return d.short(k)
	}
	switch k.Name {
	case "enter":
		if d.input.Value() == "" {
			return nil // nothing was typed yet
		}
		return d.answer(fleet.Reply{Text: d.input.Value()})
	case "up", "down", "pgup", "pgdown":
		scrollBy(&d.scroll, k.Name)
	default:
		d.input.Key(k.Name, k.Text)
	}
	return nil
}

// short handles the keys of a question of which nothing is typed.
func (d *Question) short(k screen.Key) screen.Effect {
	switch k.Name {
	case "y", "Y":
		if d.Ask.Kind == fleet.AskVisit {
			return screen.Copy{What: "the address", Text: d.Ask.URL}
		}
		return d.answer(fleet.Reply{})
	case "n", "N":
		if d.Ask.Kind != fleet.AskVisit { // of a host key, and of a system to keep
			return d.answer(fleet.Reply{Refuse: true})
		}
	case "enter":
		if d.Ask.Kind == fleet.AskHostKey {
			return d.answer(fleet.Reply{Refuse: true})
		}
	default:
		scrollBy(&d.scroll, k.Name)
	}
	return nil
}

// scrollBy scrolls as the usual keys say.
func scrollBy(s *widget.Scroll, key string) {
	ids := map[string]string{"up": "up", "k": "up", "down": "down", "j": "down", "pgup": "page-up", "pgdown": "page-down", "g": "top", "home": "top", "G": "bottom", "end": "bottom"}
	s.Do(ids[key])
}

func (d *Question) answer(r fleet.Reply) screen.Effect {
	return screen.ClosePopup{Then: screen.Answer{ID: d.Ask.ID, Reply: r}}
}

// Paste implements screen.Popup: passwords are pasted, too.
func (d *Question) Paste(_ *screen.Context, text string) screen.Effect {
	if d.typed() && !d.grace.swallow(d.clock(), quietSurprise) {
		d.input.Insert(text)
	}
	return nil
}

// Tap implements screen.Popup.
func (d *Question) Tap(c *screen.Context, target any) screen.Effect {
	if t, ok := target.(screen.TapKey); ok {
		return d.Key(c, screen.Key{Name: t.ID})
	}
	return nil
}

// Draw implements screen.Popup.
func (d *Question) Draw(c *screen.Context, p widget.Pane) {
	w := min(76, p.W)
	if p.W-w < 8 {
		w = p.W
	}
	doc := d.text(c, w-4)
	tail := 2
	if d.typed() {
		tail = 3
	}
	in := widget.Box(p, w, len(doc)+tail+2, d.title())
	doc.Draw(in.Sub(0, 0, in.W, in.H-tail), &d.scroll)
	if d.typed() {
		d.input.Draw(in, in.H-2, widget.L(themes.Accent, "> "), "")
	} else {
		in.Cursor(0, in.H-1)
	}
	Choices(in, in.H-1, d.choices())
}

func (d *Question) title() string {
	return map[fleet.QuestionKind]string{
		fleet.AskHostKey: "Trust this host?", fleet.AskPassword: "Password", fleet.AskPassphrase: "Passphrase",
		fleet.AskSudo: "Password for root rights", fleet.AskVisit: "Open this address",
		fleet.AskConfirm: "It runs. Keep it?",
	}[d.Ask.Kind]
}

func (d *Question) text(c *screen.Context, w int) widget.Doc {
	doc := widget.Doc{}.Add(w, 0, widget.L(themes.Title, d.Ask.Text))
	if d.Ask.Host != "" {
		doc = doc.Add(w, 0, widget.L(themes.Dim, "host ").And(themes.Text, d.Ask.Host))
	}
	for _, l := range d.Ask.Detail {
		doc = doc.Add(w, 2, widget.T(l))
	}
	if d.Ask.Kind == fleet.AskConfirm {
		doc = doc.Add(w, 0, widget.L(themes.Dim, "unless that is said, it goes back by itself").And(themes.Warn, d.left(c)))
	}
	if d.Ask.URL != "" {
		doc = append(doc, widget.Row{})
		doc = doc.Add(w, 0, widget.L(themes.Accent, d.Ask.URL))
		doc = doc.Add(w, 0, widget.L(themes.Dim, "This closes by itself once it is done there."))
	}
	return doc
}

// left is when the host goes back by itself, once it has told that.
func (d *Question) left(c *screen.Context) string {
	for _, st := range c.Snap.Hosts {
		if left, ok := words.Waits(st, c.Now); ok && st.Host.Name == d.Ask.Host {
			return " in " + words.Until(left)
		}
	}
	return ""
}

func (d *Question) choices() []Choice {
	switch d.Ask.Kind {
	case fleet.AskHostKey:
		return []Choice{{"n", "n", "No", true}, {"y", "y", "yes, trust it", false}}
	case fleet.AskConfirm:
		return []Choice{{"y", "y", "keep it", false}, {"n", "n", "go back", false}, {"esc", "esc", "later", true}}
	case fleet.AskVisit:
		return []Choice{{"y", "y", "copy", false}, {"esc", "esc", "give up", false}}
	}
	return []Choice{{"enter", "Enter", "answer", false}, {"esc", "esc", "refuse", false}}
}

// Choice is something a popup's key does.
type Choice struct {
	Key, Name, Title string
	Default          bool
}

// Choices draws what keys do, and makes it tappable.
func Choices(p widget.Pane, y int, list []Choice) {
	x := 0
	for _, c := range list {
		l := widget.L(themes.Accent, c.Name).And(themes.Text, " "+c.Title)
		if c.Default {
			l = widget.L(themes.Accent, "["+c.Name).And(themes.Text, " "+c.Title).And(themes.Accent, "]")
		}
		n := p.Line(x, y, p.W-x, l)
		p.Zone(x, y, n+1, 1, screen.TapKey{ID: c.Key})
		x += n + 3
	}
}
