package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// frameKey is all that a frame depends on: with the same key, the frame that
// was drawn last is shown again.
type frameKey struct {
	version uint64
	rev     uint64
	w, h    int
}

// View implements tea.Model. It is called after every message.
func (m *Model) View() tea.View {
	key := frameKey{m.c.Snap.Version, m.rev, m.c.W, m.c.H}
	if key == m.drawn && m.canvas != nil {
		return m.frame
	}
	m.canvas = widget.NewCanvas(m.c.W, m.c.H, m.c.Theme, m.c.Glyphs).Linked(m.c.Glyphs.Name != "ascii")
	m.draw(m.canvas.Pane())
	v := tea.NewView(m.canvas.String())
	v.AltScreen, v.ReportFocus, v.WindowTitle = true, true, "sextant"
	v.ProgressBar = m.progressBar()
	if !m.mouseOff {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if at, ok := m.canvas.Cursor(); ok {
		v.Cursor = tea.NewCursor(at.X, at.Y)
		v.Cursor.Blink = false
	}
	m.drawn, m.frame = key, v
	return v
}

func (m *Model) draw(p widget.Pane) {
	if p.W < screen.MinWidth || p.H < screen.MinHeight {
		p.Text(0, 0, p.W, themes.Text, fmt.Sprintf("sextant needs %dx%d, q quits", screen.MinWidth, screen.MinHeight))
		return
	}
	m.drawHeader(p.Sub(0, 0, p.W, 1))
	body := p.Sub(0, 1, p.W, p.H-2)
	m.nav.top().Draw(m.c, body)
	m.drawFooter(p.Sub(0, p.H-1, p.W, 1))
	for _, pop := range m.popups {
		pop.Draw(m.c, p.Sub(0, 1, p.W, p.H-1))
	}
	m.drawFlash(p)
}

// drawHeader draws where we are, and what is to be known everywhere.
func (m *Model) drawHeader(p widget.Pane) {
	p.Fill(themes.Bar)
	right := m.badges()
	if m.nav.top().Place().Screen == screen.Fleet {
		right = right.Join(m.sum(p.W - right.Width() - 8)) // "Fleet" and three spaces stay
	} else if st, ok := m.c.Snap.Host(m.nav.top().Place().Host); ok {
		j := m.c.Judge(st)
		right = right.And(j.Role, m.c.Word(j))
		if age := m.c.Tell().Age(st, j); age.Text != words.Age(0) {
			right = right.And(age.Role, " "+age.Text)
		}
	}
	used := p.Right(p.W-1, 0, p.W-7, right)
	if used > 0 {
		used++
	}
	crumbs := widget.Line{}
	if p.W >= screen.Split {
		crumbs = crumbs.And(themes.Dim, "sextant "+m.c.Glyphs.Crumb+" ")
	}
	titles := m.nav.top().Title(m.c)
	if _, ok := m.nav.under(); ok && p.W < screen.Split {
		crumbs = crumbs.And(themes.Accent, "< ")
	}
	for i, t := range titles {
		role := themes.Title
		if i < len(titles)-1 {
			role = themes.Text
			t += " " + m.c.Glyphs.Crumb + " "
		}
		crumbs = crumbs.And(role, t)
	}
	n := p.Line(1, 0, p.W-2-used, crumbs)
	p.Zone(0, 0, n+1, 1, screen.TapKey{ID: "back"})
}

// badges are what a person should know on every screen.
func (m *Model) badges() widget.Line {
	l := widget.Line{}
	if n := m.running(); n > 0 {
		l = l.And(themes.Badge, fmt.Sprintf("%d running", n)).And(themes.Text, "  ")
	}
	switch list := m.waiting(); len(list) {
	case 0:
	case 1:
		l = l.And(themes.Badge, fleet.Short(list[0].Host, 8)+" asks").And(themes.Text, "  ")
	default:
		l = l.And(themes.Badge, fleet.Count(len(list), "question")).And(themes.Text, "  ")
	}
	errs := 0
	for _, msg := range m.c.Snap.Messages {
		if msg.Level == fleet.Error && msg.At.After(m.seen) {
			errs++
		}
	}
	if errs > 0 {
		l = l.And(themes.Badge, fmt.Sprintf("%d ERR", errs)).And(themes.Text, "  ")
	}
	if m.c.ReadOnly {
		l = l.And(themes.Badge, "read-only").And(themes.Text, "  ")
	}
	return l
}

// sum is the fleet in one line, as long as it fits.
func (m *Model) sum(w int) widget.Line {
	parts := m.c.Fleet.Sum(m.c.Glyphs.Asking)
	if long := joined(parts, widget.L(themes.Dim, " "+m.c.Glyphs.Dot+" ")); long.Width() <= w {
		return long
	}
	for { // what is well goes first
		tight := joined(parts, widget.T(" "))
		if tight.Width() <= w || len(parts) == 1 || parts[0].Role == themes.Fail {
			return tight
		}
		parts = parts[1:]
	}
}

func joined(parts []words.Part, between widget.Line) widget.Line {
	var l widget.Line
	for i, p := range parts {
		if i > 0 {
			l = l.Join(between)
		}
		l = l.And(p.Role, p.Text)
	}
	return l
}

// drawFooter draws the keys worth knowing here, or the line that is typed.
func (m *Model) drawFooter(p widget.Pane) {
	p.Fill(themes.Bar)
	if m.line != nil {
		_, label := m.line.finder.Finding()
		n := widget.Width(label) + 2
		p.Right(p.W-1, 0, n, widget.L(themes.Dim, label))
		m.line.input.Draw(p.Sub(0, 0, p.W-n-1, 1), 0, widget.L(themes.Accent, "/"), "")
		return
	}
	hints := m.nav.top().Hints(m.c)
	if text := m.finding(); text != "" {
		n := p.Text(1, 0, p.W/2, themes.Accent, text)
		p.Zone(0, 0, n+1, 1, screen.TapKey{ID: "find"})
		p = p.Sub(n+3, 0, p.W, 1)
	} else if p.W >= screen.Narrow {
		p = p.Sub(1, 0, p.W, 1)
	}
	max := len(hints)
	if m.c.W < screen.Narrow {
		max = 4
	}
	m.drawHints(p, hints, max)
}

// drawHints draws as many hints as fit; help always has its place.
func (m *Model) drawHints(p widget.Pane, hints []string, most int) {
	help := m.hint("help")
	x, n := 0, 0
	for _, id := range hints {
		l := m.hint(id)
		if id == "help" || len(l) == 0 {
			continue
		}
		if n++; n >= most || x+l.Width()+2+help.Width() > p.W {
			break
		}
		w := p.Line(x, 0, p.W-x, l)
		p.Zone(x, 0, w+1, 1, screen.TapKey{ID: id})
		x += w + 2
	}
	w := p.Line(x, 0, p.W-x, help)
	p.Zone(x, 0, w+1, 1, screen.TapKey{ID: "help"})
}

func (m *Model) hint(id string) widget.Line {
	b, ok := m.c.Keys.Named(id)
	if !ok || b.Key() == "" {
		return nil
	}
	role := themes.Text
	if b.Why(m.c, m.nav.top()) != "" {
		role = themes.Dim
	}
	return widget.L(themes.Accent, b.Key()).And(role, " "+b.Title)
}

// finding is what the screen's list is filtered by.
func (m *Model) finding() string {
	if f, ok := m.nav.top().(screen.Finder); ok {
		if text, label := f.Finding(); text != "" { // which part of how many
			return "/" + text + " " + label
		}
	}
	return ""
}

// drawFlash draws the flash over the bottom of the screen: over the footer
// while one line is enough.
func (m *Model) drawFlash(p widget.Pane) {
	if !m.flash.show {
		return
	}
	lines := widget.WrapLine(m.flash.line(), p.W-2, 2)
	if most := max(1, p.H/4); len(lines) > most {
		lines = lines[:most]
	}
	at := p.Sub(0, p.H-len(lines), p.W, len(lines))
	if len(m.popups) > 0 { // what a dialog asks is at its end
		at = p.Sub(0, 0, p.W, len(lines))
	}
	at.Fill(themes.Bar)
	for y, l := range lines {
		at.Line(1, y, at.W-2, l)
	}
	at.Zone(0, 0, at.W, at.H, screen.TapKey{ID: "messages"})
}
