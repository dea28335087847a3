package logscreen

import (
	"context"
	"fmt"
	"regexp"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// maxHits is how many lines a search on the host finds at most, the newest.
const maxHits = 500

// hits is the popup of what a search on the hosts found.
type hits struct {
	text   string
	where  string
	merged bool
	cancel context.CancelFunc

	lines   []fleet.LogLine
	notes   []string // what was said about the search
	over    bool
	err     error
	at, top int
}

// hitsMsg brings what was found.
type hitsMsg struct {
	of    *hits
	lines []fleet.LogLine
	err   error
}

// jumpMsg goes to a line in its log.
type jumpMsg struct{ to fleet.LogLine }

// searchAll has the hosts search their whole logs for the text.
func (s *Screen) searchAll(c *screen.Context) screen.Effect {
	if s.search == "" {
		return screen.Flash{Level: fleet.Info, Text: "type what to search for first: /"}
	}
	s.hits.stop()
	ctx, cancel := context.WithCancel(s.ctx)
	h := &hits{text: s.search, where: s.Title(c)[0], merged: s.merged(), cancel: cancel}
	s.hits = h
	console, q := c.Console, fleet.LogQuery{Sources: s.place.Log, Lines: maxHits, Grep: regexp.QuoteMeta(s.search)}
	return screen.All{screen.Show{Popup: h}, screen.Run{Cmd: func() tea.Msg {
		lines, err := readAll(ctx, console, q)
		return hitsMsg{h, lines, err}
	}}}
}

func (h *hits) stop() {
	if h != nil {
		h.cancel()
	}
}

// take takes in what was found; the newest is chosen.
func (h *hits) take(m hitsMsg) {
	h.over, h.err = true, m.err
	for _, l := range m.lines {
		if l.Note {
			h.notes = append(h.notes, l.Host+": "+l.Text)
			continue
		}
		h.lines = append(h.lines, l)
	}
	h.at = max(0, len(h.lines)-1)
}

// Key implements screen.Popup.
func (h *hits) Key(_ *screen.Context, k screen.Key) screen.Effect {
	move := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -10, "b": -10, "pgdown": 10, "g": -maxHits, "home": -maxHits, "G": maxHits, "end": maxHits}
	switch k.Name {
	case "esc", "q":
		h.stop()
		return screen.ClosePopup{}
	case "enter":
		return h.jump()
	}
	h.at = max(0, min(h.at+move[k.Name], len(h.lines)-1))
	return nil
}

func (h *hits) jump() screen.Effect {
	if h.at >= len(h.lines) {
		return nil
	}
	to := h.lines[h.at]
	return screen.ClosePopup{Then: screen.Run{Cmd: func() tea.Msg { return jumpMsg{to} }}}
}

// Paste implements screen.Popup.
func (h *hits) Paste(*screen.Context, string) screen.Effect { return nil }

type tapHit int

// Tap implements screen.Popup.
func (h *hits) Tap(c *screen.Context, target any) screen.Effect {
	switch t := target.(type) {
	case tapHit:
		h.at = int(t)
		return h.jump()
	case screen.TapKey:
		return h.Key(c, screen.Key{Name: t.ID})
	}
	return nil
}

// Draw implements screen.Popup.
func (h *hits) Draw(c *screen.Context, p widget.Pane) {
	in := widget.Box(p, p.W, p.H-1, h.text+" in all of the log on "+h.where)
	rows := in.H - 2
	y := h.status(c, in)
	rows -= y - 1
	h.top = max(h.at-rows+1, min(h.top, h.at), 0)
	for i := h.top; i < len(h.lines) && i < h.top+rows; i++ {
		h.row(c, in, y+i-h.top, i)
	}
	n := in.Line(0, in.H-1, in.W, widget.L(themes.Accent, "Enter").And(themes.Text, " go there"))
	m := in.Line(n+3, in.H-1, in.W-n-3, widget.L(themes.Accent, "esc").And(themes.Text, " close"))
	in.Zone(0, in.H-1, n, 1, screen.TapKey{ID: "enter"})
	in.Zone(n+3, in.H-1, m, 1, screen.TapKey{ID: "esc"})
}

// status says how the search stands; it tells how many rows that took.
func (h *hits) status(c *screen.Context, p widget.Pane) int {
	var d widget.Doc
	switch {
	case h.err != nil:
		d = d.Add(p.W, 2, widget.L(themes.Fail, "ERR ").And(themes.Text, h.err.Error()))
	case !h.over:
		d = d.Add(p.W, 2, widget.L(themes.Dim, c.Glyphs.Asking+" the host searches; esc stops it"))
	case len(h.lines) >= maxHits:
		d = d.Add(p.W, 2, widget.L(themes.Dim, fmt.Sprintf("the newest %d lines, there may be more", len(h.lines))))
	case len(h.lines) == 0:
		d = d.Add(p.W, 2, widget.L(themes.Dim, "no line has it"))
	default:
		d = d.Add(p.W, 2, widget.L(themes.Dim, fleet.Count(len(h.lines), "line")))
	}
	for _, n := range h.notes {
		d = d.Add(p.W, 2, widget.L(themes.Warn, n))
	}
	d = d[:min(len(d), max(1, p.H/2))]
	d.Draw(p.Sub(0, 0, p.W, len(d)), &widget.Scroll{})
	return len(d)
}

func (h *hits) row(c *screen.Context, p widget.Pane, y, i int) {
	l := h.lines[i]
	form := "2006-01-02 15:04:05 "
	if c.W < screen.Narrow {
		form = "01-02 15:04 "
	}
	line := widget.L(themes.Dim, l.At.Local().Format(form))
	if h.merged {
		line = line.And(themes.Accent, l.Host+" ")
	}
	_, role := level(l.Level)
	lead := line.Width() + 2
	p.Line(2, y, p.W-2, line.And(role, l.Text))
	for _, at := range indexAll(l.Text, h.text) {
		p.PaintPart(lead+widget.Width(l.Text[:at]), y, widget.Width(l.Text[at:at+len(h.text)]), themes.Match)
	}
	p.Zone(0, y, p.W, 1, tapHit(i))
	if i == h.at {
		p.Text(0, y, 1, themes.Text, c.Glyphs.Cursor)
		p.Paint(y, themes.Selection)
		p.Cursor(0, y)
	}
}
