package deployscreen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	p.Line(1, 0, p.W-2, s.sums.line(c.Glyphs.Dot, p.W-2))
	body := p.Sub(0, 1, p.W, p.H-1)
	if c.W < screen.Split || s.list.Len() == 0 {
		s.table(c).Draw(body, &s.list)
		return
	}
	below := min(max(6, body.H-3-s.list.Len()), 12)
	s.table(c).Draw(body.Sub(0, 0, body.W, body.H-below), &s.list)
	body.Rule(body.H - below)
	s.drawDetail(c, body.Sub(1, body.H-below+1, body.W-2, below-1))
}

// line is how the hosts stand by the newest deploy of each, as much as fits.
func (n sums) line(dot string, w int) widget.Line {
	if n.hosts+n.unknown+n.deploys == 0 {
		return nil
	}
	l := widget.L(themes.Title, fmt.Sprintf("%d/%d ok", n.ok, n.hosts+n.unknown))
	for _, part := range []struct {
		n    int
		word string
		role themes.Role
	}{
		{n.failed, "failed", themes.Fail}, {n.waits, "waits", themes.Warn}, {n.running, "busy", themes.Accent},
		{n.other, "not done", themes.Dim}, {n.unknown, "?", themes.Unknown},
	} {
		if part.n > 0 {
			l = l.And(themes.Text, "  ").And(part.role, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	about := widget.L(themes.Dim, fmt.Sprintf("  %s hosts by their newest deploy, of %d", dot, n.deploys))
	if l.Width()+about.Width() <= w {
		l = l.Join(about)
	}
	return l
}

func (s *Screen) table(c *screen.Context) widget.Table {
	return widget.Table{
		Columns: []widget.Column{
			{Title: "host", Width: min(s.nameW, 12), Max: s.nameW},
			{Title: "state", Width: 13},
			{Title: "time", Width: 8, Max: 9},
			{Title: "kind", Width: 8, Drop: 4},
			{Title: "from " + c.Glyphs.Arrow + " to", Width: 11, Max: 34, Drop: 3},
			{Title: "by", Width: 11, Max: 24, Drop: 2},
			{Title: "why", Width: 16, Max: 80, Drop: 1},
		},
		Tall:   c.W < screen.Narrow,
		Cells:  func(id string) []widget.Line { return cells(c, s.rows[id]) },
		Lines:  func(id string) [2]widget.Line { return s.lines(c, s.rows[id]) },
		Target: func(id string) any { return screen.TapRow{ID: id} },
		Empty:  s.empty(c),
	}
}

func cells(c *screen.Context, r row) []widget.Line {
	return []widget.Line{
		widget.L(themes.Title, r.of.Host.Name), state(c, r), when(c, r), widget.T(r.Kind), widget.T(way(c, r)),
		widget.L(themes.Dim, r.Who+"@"+r.Client), widget.T(why(r)),
	}
}

// lines is a deploy in two lines of 40 cells.
func (s *Screen) lines(c *screen.Context, r row) [2]widget.Line {
	nameW := min(s.nameW, c.W-2-14-10) + 1
	first := widget.L(themes.Title, words.Left(widget.Fit(r.of.Host.Name, nameW-1, c.Glyphs.Ellipsis), nameW))
	is := state(c, r)
	first = first.Join(is).And(themes.Text, strings.Repeat(" ", max(1, 14-is.Width()))).Join(when(c, r))
	return [2]widget.Line{first, widget.T("  "+way(c, r)+"  ").And(themes.Dim, cmp.Or(why(r), r.Kind))}
}

// current tells whether the host says so now.
func (r row) current() bool { return r.here || r.of.Deploys.Current() && r.of.Reach.Err == "" }

// state is the word for where it stands. What was under way when the host was
// heard last may be elsewhere by now.
func state(c *screen.Context, r row) widget.Line {
	cell := c.Tell().Deploy(r.State)
	if !r.current() && !r.State.Over() {
		return widget.L(themes.Unknown, c.Glyphs.Unknown+strings.TrimLeft(cell.Text, "!"+c.Glyphs.Asking))
	}
	return widget.L(cell.Role, cell.Text)
}

// when is what is left of what waits, how long it is under way, or when it ended.
func when(c *screen.Context, r row) widget.Line {
	switch {
	case !r.State.Over() && !r.current():
		return widget.L(themes.Unknown, "at "+words.AgoLong(r.of.Deploys.At, c.Now))
	case r.State == fleet.Awaiting && !r.Deadline.IsZero():
		return widget.L(themes.Warn, words.Until(max(0, r.Deadline.Sub(c.Now)))+" left")
	case !r.State.Over():
		return widget.L(themes.Accent, "for "+words.Span(max(0, c.Now.Sub(r.Started))))
	}
	return widget.L(themes.Dim, words.AgoLong(r.Changed, c.Now))
}

func way(c *screen.Context, r row) string {
	if r.To.Path == "" {
		return words.Toplevel(r.of, r.From) + " " + c.Glyphs.Arrow + " " + c.Glyphs.Asking // not built yet
	}
	return words.Toplevel(r.of, r.From) + " " + c.Glyphs.Arrow + " " + words.Toplevel(r.of, r.To)
}

// why is what brought it where it is, or the last that it said while it is under
// way. While it is activated what brought it there is a store path.
func why(r row) string {
	if !r.State.Over() && r.State != fleet.Awaiting && r.Line != "" {
		return r.Line // what it is at
	}
	if strings.HasPrefix(r.Why, "/nix/store/") {
		return ""
	}
	return r.Why
}

// drawDetail draws all that is known of the selected deploy.
func (s *Screen) drawDetail(c *screen.Context, p widget.Pane) {
	id, _ := s.list.Selected()
	r, ok := s.rows[id]
	if !ok {
		return
	}
	head := widget.L(themes.Title, r.of.Host.Name).And(themes.Text, "  ").Join(state(c, r)).And(themes.Text, "  ").Join(when(c, r))
	d := widget.Doc{}.Add(p.W, 2, head)
	if r.Why != "" {
		d = d.Add(p.W, 2, widget.T(r.Why))
	}
	if r.Line != "" && !r.State.Over() {
		d = d.Add(p.W, 2, widget.L(themes.Dim, "last  ").And(themes.Text, r.Line))
	}
	for _, f := range r.Findings {
		d = d.Add(p.W, 2, widget.L(themes.Warn, f))
	}
	if r.State == fleet.Awaiting {
		d = d.Add(p.W, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, keyOf(c, "palette")+"confirm keeps it, "+keyOf(c, "rollback")+" goes back"))
	}
	const label = 9
	begun := r.Kind + " by " + r.Who + "@" + r.Client + ", " + words.When(r.Started, c.Now)
	if r.Action != "" && r.Action != "switch" {
		begun = r.Action + " " + begun
	}
	d = d.Field(p.W, label, "begun", widget.T(begun))
	d = d.Field(p.W, label, "from", widget.T(words.Toplevel(r.of, r.From)).And(themes.Dim, "  "+r.From.Path))
	d = d.Field(p.W, label, "to", widget.T(words.Toplevel(r.of, r.To)).And(themes.Dim, "  "+r.To.Path))
	if r.Revision != "" {
		d = d.Field(p.W, label, "revision", widget.T(r.Revision))
	}
	d = d.Field(p.W, label, "id", widget.L(themes.Dim, r.ID))
	d.Draw(p, &s.detail)
}

// empty says why there are no rows, and what to do.
func (s *Screen) empty(c *screen.Context) []widget.Line {
	if s.filter != "" && len(s.rows) > 0 {
		return []widget.Line{widget.T("No deploy matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	}
	lines := []widget.Line{
		widget.T("Nothing was deployed by Sextant yet."),
		widget.L(themes.Dim, "What was done is read from the hosts, whoever did it."),
		widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, keyOf(c, "rollback")+" on a host rolls it back, "+keyOf(c, "deploy")+" deploys."),
	}
	if s.sums.unknown > 0 {
		lines[0] = widget.T("No deploy is known of.") // those below may have some
	}
	for _, st := range c.Snap.Hosts {
		if st.Deploys.Current() || st.Deploys.None {
			continue
		}
		lines = append(lines, widget.L(themes.Unknown, "? ").And(themes.Title, st.Host.Name).And(themes.Text, ": "+cmp.Or(st.Deploys.Err, st.Reach.Err, "not asked yet")))
		if cure := cmp.Or(st.Deploys.Cure, st.Reach.Cure); cure != "" {
			lines = append(lines, widget.L(themes.Accent, "  "+c.Glyphs.Arrow+" ").And(themes.Text, cure))
		}
	}
	return lines
}

func keyOf(c *screen.Context, id string) string {
	b, _ := c.Keys.Named(id)
	return cmp.Or(b.Key(), id)
}
