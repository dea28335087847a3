package healthscreen

import (
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

func (h *health) columns(*screen.Context) []widget.Column {
	return []widget.Column{{Title: "state", Width: 5}, {Title: "host", Width: min(h.nameW, 12), Max: h.nameW}, {Title: "what", Width: 24, Max: 120}, {Title: "since", Width: 5, Right: true}}
}

func row(c *screen.Context, f fleet.Finding, depth int) listing.Row {
	word, sev := role(f)
	plain, _ := words.Severity(f.Severity)
	since := words.Ago(f.Since, c.Now)
	return listing.Row{
		ID: f.FullKey(), Of: f, Host: f.HostID, Depth: depth,
		Find: f.Host + "\n" + plain + "\n" + f.What + "\n" + f.Key, Copy: f.Host + ": " + f.What,
		Cells: []widget.Line{widget.L(sev, word), widget.L(themes.Title, f.Host), what(c, f, depth), widget.L(themes.Dim, since)},
		Lines: [2]widget.Line{
			widget.L(sev, words.Left(word, 5)).And(themes.Title, f.Host).And(themes.Dim, "  "+since),
			append(widget.T("  "), what(c, f, depth)...),
		},
	}
}

// what is the finding under the one that explains it, with that it is acknowledged.
func what(c *screen.Context, f fleet.Finding, depth int) widget.Line {
	text := themes.Text
	if f.Acked != nil {
		text = themes.Dim
	}
	var l widget.Line
	if depth > 0 {
		l = widget.L(themes.Dim, strings.Repeat("  ", depth-1)+c.Glyphs.Arrow+" ")
	}
	l = l.And(text, f.What)
	if f.Acked != nil {
		l = l.And(themes.Dim, "  acknowledged")
	}
	return l
}

func empty(c *screen.Context) []widget.Line {
	switch {
	case len(c.Snap.Hosts) == 0:
		return []widget.Line{widget.T("There is no host yet.")}
	case c.Fleet.Count[words.OK] < c.Fleet.Total:
		return []widget.Line{widget.T("No problem is known yet."), widget.L(themes.Dim, "Not every host has answered.")}
	}
	return []widget.Line{widget.L(themes.OK, "Nothing is wrong.")}
}

// below is all that is known of a finding.
func below(c *screen.Context, r listing.Row, w int) widget.Doc {
	f, _ := r.Of.(fleet.Finding)
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
