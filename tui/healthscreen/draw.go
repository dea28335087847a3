package healthscreen

import (
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Draw implements screen.Screen: the list, and below it all that is known of the
// finding the cursor is on.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	f, ok := s.Selected()
	if !ok {
		s.table(c).Draw(p, &s.list)
		return
	}
	d := s.doc(c, f, p.W-2)
	below := min(len(d)+1, p.H/3+1)
	s.table(c).Draw(p.Sub(0, 0, p.W, p.H-below), &s.list)
	p.Rule(p.H - below)
	d.Draw(p.Sub(1, p.H-below+1, p.W-2, below-1), &s.detail)
}

func (s *Screen) table(c *screen.Context) widget.Table {
	return widget.Table{
		Columns: []widget.Column{{Title: "state", Width: 5}, {Title: "host", Width: min(s.nameW, 12), Max: s.nameW}, {Title: "what", Width: 24, Max: 120}, {Title: "since", Width: 5, Right: true}},
		Tall:    c.W < screen.Narrow,
		Cells:   func(id string) []widget.Line { return s.cells(c, s.rows[id]) },
		Lines:   func(id string) [2]widget.Line { return s.lines(c, s.rows[id]) },
		Target:  func(id string) any { return screen.TapRow{ID: id} },
		Empty:   s.empty(c),
	}
}

func (s *Screen) cells(c *screen.Context, r row) []widget.Line {
	word, sev := role(r.Finding)
	return []widget.Line{widget.L(sev, word), widget.L(themes.Title, r.Host), s.what(c, r), widget.L(themes.Dim, words.Ago(r.Since, c.Now))}
}

func (s *Screen) lines(c *screen.Context, r row) [2]widget.Line {
	word, sev := role(r.Finding)
	return [2]widget.Line{
		widget.L(sev, words.Left(word, 5)).And(themes.Title, r.Host).And(themes.Dim, "  "+words.Ago(r.Since, c.Now)),
		append(widget.T("  "), s.what(c, r)...),
	}
}

// what is the finding under the one that explains it, with that it is acknowledged.
func (s *Screen) what(c *screen.Context, r row) widget.Line {
	text := themes.Text
	if r.Acked != nil {
		text = themes.Dim
	}
	var l widget.Line
	if r.depth > 0 {
		l = widget.L(themes.Dim, strings.Repeat("  ", r.depth-1)+c.Glyphs.Arrow+" ")
	}
	l = l.And(text, r.What)
	if r.Acked != nil {
		l = l.And(themes.Dim, "  acknowledged")
	}
	return l
}

func (s *Screen) empty(c *screen.Context) []widget.Line {
	switch {
	case s.filter != "" && len(s.rows) > 0:
		return []widget.Line{widget.T("Nothing matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	case len(c.Snap.Hosts) == 0:
		return []widget.Line{widget.T("There is no host yet.")}
	case c.Fleet.Count[words.OK] < c.Fleet.Total:
		return []widget.Line{widget.T("No problem is known yet."), widget.L(themes.Dim, "Not every host has answered.")}
	}
	return []widget.Line{widget.L(themes.OK, "Nothing is wrong.")}
}

// doc is all that is known of a finding.
func (s *Screen) doc(c *screen.Context, f fleet.Finding, w int) widget.Doc {
	word, sev := role(f)
	d := widget.Doc{}.Add(w, 5, widget.L(sev, words.Left(word, 5)).And(themes.Text, f.What))
	if f.Cure != "" {
		d = d.Add(w, 5, widget.L(themes.Accent, words.Left(c.Glyphs.Arrow, 5)).And(themes.Text, f.Cure))
	}
	if !f.Since.IsZero() {
		d = d.Add(w, 5, widget.L(themes.Dim, "     since "+words.When(f.Since, c.Now)))
	}
	if a := f.Acked; a != nil {
		text := "     acknowledged by " + a.Who + "@" + a.Client + " until " + words.Stamp(a.Until)
		if a.Why != "" {
			text += ": " + a.Why
		}
		d = d.Add(w, 5, widget.L(themes.Dim, text))
	}
	if len(f.Folded) > 0 {
		d = d.Add(w, 5, widget.L(themes.Dim, "     it explains what stands below it"))
	}
	return d
}
