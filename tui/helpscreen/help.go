// Package helpscreen shows every key that works where a person is, and why one
// does not. It is made of the key map: nothing is written down twice.
package helpscreen

import (
	"slices"

	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Help is a popup over a screen.
type Help struct {
	over   screen.Screen
	scroll widget.Scroll
}

// New makes the help of a screen.
func New(over screen.Screen) *Help { return &Help{over: over} }

// Key implements screen.Popup.
func (h *Help) Key(c *screen.Context, k screen.Key) screen.Effect {
	switch k.Name {
	case "esc", "q", "?", "enter":
		return screen.ClosePopup{}
	}
	if b, ok := c.Keys.Find(k.Name, []string{"scroll"}); ok && h.scroll.Do(b.ID) {
		return nil
	}
	h.scroll.Do(k.Name) // the wheel
	return nil
}

// Paste implements screen.Popup.
func (h *Help) Paste(*screen.Context, string) screen.Effect { return nil }

// Tap implements screen.Popup: a tap on a key does what it does.
func (h *Help) Tap(_ *screen.Context, target any) screen.Effect {
	t, ok := target.(screen.TapKey)
	if !ok || t.ID == "esc" {
		return screen.ClosePopup{}
	}
	return screen.ClosePopup{Then: screen.Press(t)}
}

// Draw implements screen.Popup.
func (h *Help) Draw(c *screen.Context, p widget.Pane) {
	in := widget.Box(p, min(96, p.W), p.H, "Help")
	d := widget.Doc{}
	here, everywhere, moving, actions := h.groups(c)
	d = h.section(c, d, "Here", here, in.W)
	d = h.section(c, d, "What can be done", actions, in.W)
	d = h.section(c, d, "Everywhere", everywhere, in.W)
	d = h.section(c, d, "Moving about", moving, in.W)
	d = h.signs(c, d, in.W)
	d.Draw(in.Sub(0, 0, in.W, in.H-1), &h.scroll)
	in.Cursor(0, 0)
	n := in.Line(0, in.H-1, in.W, widget.L(themes.Accent, "esc").And(themes.Text, " close"))
	in.Zone(0, in.H-1, n, 1, screen.TapKey{ID: "esc"})
	in.Right(in.W, in.H-1, in.W-n-2, widget.L(themes.Dim, "sextant "+c.Version))
}

// groups sorts the bindings that apply.
func (h *Help) groups(c *screen.Context) (here, everywhere, moving, actions []screen.Binding) {
	for _, b := range c.Keys.In(h.over.Scopes()) {
		switch {
		case b.Action != nil:
			actions = append(actions, b)
		case b.Plain && !slices.Contains(b.In, "global"):
			moving = append(moving, b)
		case slices.Contains(b.In, "global"):
			everywhere = append(everywhere, b)
		default:
			here = append(here, b)
		}
	}
	return here, everywhere, moving, actions
}

func (h *Help) section(c *screen.Context, d widget.Doc, title string, list []screen.Binding, w int) widget.Doc {
	if len(list) == 0 {
		return d
	}
	d = d.Head(title)
	for _, b := range list {
		from, why := len(d), b.Why(c, h.over)
		keys := b.KeyList()
		if keys == "" {
			keys = ":"
		}
		if w < screen.Narrow {
			keys = words.Left(keys, 6) + " "
		} else {
			keys = words.Left(keys, 16) + " "
		}
		l := widget.L(themes.Accent, keys).And(themes.Text, b.Help)
		if why != "" {
			l = widget.L(themes.Dim, keys+b.Help).And(themes.Text, "  ").And(themes.Warn, "off: ").And(themes.Text, why)
		}
		d = d.Add(w, len(keys), l).On(from, screen.TapKey{ID: b.ID})
	}
	return d
}

// signs explains the words and glyphs of the screens.
func (h *Help) signs(c *screen.Context, d widget.Doc, w int) widget.Doc {
	d = d.Head("Words and signs")
	g := c.Glyphs
	for _, s := range []struct {
		role       themes.Role
		sign, what string
	}{
		{themes.OK, "ok", "everything that was read is fine"},
		{themes.Warn, "warn", "look at it soon"},
		{themes.Fail, "FAIL", "something is broken"},
		{themes.Unknown, g.Unknown, "not known: it could not be read, or was never asked"},
		{themes.Dim, "off", "the tailnet says that the host is offline"},
		{themes.Dim, g.Asking, "asking"},
		{themes.Dim, g.None, "there is nothing to know: no container engine, no backups"},
		{themes.Dim, "12m", "a value with its age: it is old, and why is in the details"},
		{themes.Warn, g.Differs, "the running system is not the default one"},
		{themes.Warn, g.Reboot, "a reboot is needed"},
		{themes.Fail, "4/5!1", "containers: running, of all, and how many of them are broken"},
		{themes.Fail, "1FAIL/5", "backups: how many are in the worst state, of all"},
	} {
		d = d.Add(w, 8, widget.L(s.role, words.Left(s.sign, 7)+" ").And(themes.Text, s.what))
	}
	return d
}
