package deployscreen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// above is how the hosts stand.
func (d *deploys) above(c *screen.Context) widget.Line { return d.sums.line(c.Glyphs.Dot, c.W-2) }

// line is how the hosts stand by the newest deploy of each, as much as fits.
func (n sums) line(dot string, w int) widget.Line {
	if n.hosts+n.unknown+n.deploys == 0 {
		return nil
	}
	l := widget.T(fmt.Sprintf("%d ok", n.ok))
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
	if all := widget.L(themes.Title, fleet.Count(n.hosts+n.unknown, "host")+": ").Join(l); all.Width() <= w {
		l = all
	}
	about := widget.L(themes.Dim, "  "+dot+" by the newest deploy of each, of "+fleet.Count(n.deploys, "deploy"))
	if n.deploys > 0 && l.Width()+about.Width() <= w {
		l = l.Join(about)
	}
	return l
}

func (d *deploys) columns(c *screen.Context) []widget.Column {
	return []widget.Column{
		{Title: "host", Width: min(d.nameW, 12), Max: d.nameW},
		{Title: "state", Width: 13},
		{Title: "time", Width: 8, Max: 9},
		{Title: "kind", Width: 8, Drop: 4},
		{Title: "from " + c.Glyphs.Arrow + " to", Width: 11, Max: 34, Drop: 3},
		{Title: "by", Width: 11, Max: 24, Drop: 2},
		{Title: "why", Width: 16, Max: 80, Drop: 1},
	}
}

func (d *deploys) row(c *screen.Context, r row) listing.Row {
	who, word := r.Who+"@"+r.Client, words.Teller{}.Deploy(r.State).Text
	return listing.Row{
		ID: r.id(), Of: r, Host: r.of.Host.ID, Tab: "overview", Copy: r.ID,
		Find: strings.Join([]string{r.of.Host.Name, word, string(r.State), r.Kind, r.Why, r.Line, who, r.Revision}, "\n"),
		Cells: []widget.Line{
			widget.L(themes.Title, r.of.Host.Name), state(c, r), when(c, r), widget.T(r.Kind), widget.T(way(c, r)),
			widget.L(themes.Dim, who), widget.T(why(r)),
		},
		Lines: d.lines(c, r),
	}
}

// lines is a deploy in two lines of 40 cells.
func (d *deploys) lines(c *screen.Context, r row) [2]widget.Line {
	nameW := min(d.nameW, max(8, c.W-2-14-10)) + 1
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
	return reason(r)
}

// reason is what brought it where it is, in words.
func reason(r row) string {
	if strings.HasPrefix(r.Why, "/nix/store/") {
		return ""
	}
	return r.Why
}

// below is all that is known of a deploy.
func below(c *screen.Context, of listing.Row, w int) widget.Doc {
	r, _ := of.Of.(row)
	head := widget.L(themes.Title, r.of.Host.Name).And(themes.Text, "  ").Join(state(c, r)).And(themes.Text, "  ").Join(when(c, r))
	d := widget.Doc{}.Add(w, 2, head)
	if text := reason(r); text != "" {
		d = d.Add(w, 2, widget.T(text))
	}
	if r.Line != "" && !r.State.Over() {
		d = d.Add(w, 2, widget.L(themes.Dim, "last  ").And(themes.Text, r.Line))
	}
	for _, f := range r.Findings {
		d = d.Add(w, 2, widget.L(themes.Warn, f))
	}
	if r.State == fleet.Awaiting {
		d = d.Add(w, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, keyOf(c, "palette")+"confirm keeps it, "+keyOf(c, "rollback")+" goes back"))
	}
	const label = 9
	begun := r.Kind + " by " + r.Who + "@" + r.Client + ", " + words.When(r.Started, c.Now)
	if r.Action != "" && r.Action != "switch" {
		begun = r.Action + " " + begun
	}
	d = d.Field(w, label, "begun", widget.T(begun))
	d = d.Field(w, label, "from", widget.T(words.Toplevel(r.of, r.From)).And(themes.Dim, "  "+r.From.Path))
	d = d.Field(w, label, "to", widget.T(words.Toplevel(r.of, r.To)).And(themes.Dim, "  "+r.To.Path))
	if r.Revision != "" {
		d = d.Field(w, label, "revision", widget.T(r.Revision))
	}
	return d.Field(w, label, "id", widget.L(themes.Dim, r.ID))
}

// empty says why there are no rows, and what to do.
func (d *deploys) empty(c *screen.Context) []widget.Line {
	lines := []widget.Line{
		widget.T("Nothing was deployed by Sextant yet."),
		widget.L(themes.Dim, "What was done is read from the hosts, whoever did it."),
		widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, keyOf(c, "rollback")+" on a host rolls it back, "+keyOf(c, "deploy")+" deploys."),
	}
	if d.sums.unknown > 0 {
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
