package tailnetscreen

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

func (s *Screen) columns(*screen.Context) []widget.Column {
	return []widget.Column{
		{Title: "node", Width: min(s.nameW, 12), Max: s.nameW},
		{Title: "is", Width: 10, Max: 34},
		{Title: "state", Width: 11},
		{Title: "path", Width: 14, Max: 24, Drop: 1},
		{Title: "key", Width: 7, Drop: 2},
		{Title: "version", Width: 9, Max: 18, Drop: 3},
		{Title: "exit", Width: 4, Drop: 5},
		{Title: "tags", Width: 8, Max: 24, Drop: 4},
	}
}

func (s *Screen) row(c *screen.Context, n fleet.Node) listing.Row {
	r := listing.Row{ID: n.ID, Of: n, Host: n.HostID, Tab: "overview", Find: find(c, n), Cells: s.cells(c, n), Lines: s.lines(c, n)}
	if len(n.Addresses) > 0 {
		r.Copy = n.Addresses[0]
	}
	return r
}

func (s *Screen) cells(c *screen.Context, n fleet.Node) []widget.Line {
	exit := ""
	if n.Exit {
		exit = c.Glyphs.Check
	}
	return []widget.Line{widget.L(themes.Title, n.Name), is(c, n), state(c, n), s.path(c, n), key(c, n), version(c, n), widget.T(exit), widget.L(themes.Dim, strings.Join(n.Tags, " "))}
}

// lines are a node in two lines of 40 cells.
func (s *Screen) lines(c *screen.Context, n fleet.Node) [2]widget.Line {
	second := widget.T("  ").Join(is(c, n))
	if way := s.path(c, n); way.Width() > 1 {
		second = second.And(themes.Text, "  ").Join(way)
	}
	if _, soon := n.KeyEnds(c.Now); soon {
		second = second.And(themes.Dim, "  key ").Join(key(c, n))
	}
	w := max(8, c.W-16)
	return [2]widget.Line{widget.L(themes.Title, words.Left(widget.Fit(n.Name, w, c.Glyphs.Ellipsis), w)).And(themes.Text, " ").Join(state(c, n)), second}
}

// is is the host that a node is, or why it is none.
func is(c *screen.Context, n fleet.Node) widget.Line {
	switch {
	case n.Stale(c.Now, 0) != "":
		return widget.L(themes.Warn, n.Is())
	case n.Host == "" && !n.Self:
		return widget.L(themes.Dim, n.Is())
	}
	return widget.T(n.Is())
}

func state(c *screen.Context, n fleet.Node) widget.Line {
	if n.Online {
		return widget.L(themes.OK, "online")
	}
	return widget.L(themes.Dim, strings.TrimSpace("offline "+words.Ago(n.LastSeen, c.Now)))
}

// path is how traffic gets there, or why that is not known.
func (s *Screen) path(c *screen.Context, n fleet.Node) widget.Line {
	switch {
	case n.Self:
		return widget.L(themes.Dim, "here")
	case !n.Online:
		return widget.L(themes.Dim, c.Glyphs.None)
	case n.Path.Current() && !n.Path.Value.Direct:
		return widget.L(themes.Warn, n.Path.Value.Word())
	case n.Path.Current():
		return widget.T(n.Path.Value.Word())
	case n.Path.Err != "":
		return widget.L(themes.Unknown, "? ").And(themes.Text, n.Path.Err)
	case s.asking:
		return widget.L(themes.Dim, c.Glyphs.Asking)
	}
	return widget.L(themes.Unknown, c.Glyphs.Unknown)
}

func key(c *screen.Context, n fleet.Node) widget.Line {
	word, soon := n.KeyEnds(c.Now)
	if soon {
		return widget.L(themes.Warn, word)
	}
	return widget.L(themes.Dim, word)
}

func version(c *screen.Context, n fleet.Node) widget.Line {
	if n.Version == "" {
		return widget.L(themes.Dim, c.Glyphs.None)
	}
	if behind, ok := c.Snap.Tailnet.Value.Behind(n); ok && behind > 0 {
		return widget.T(n.Version).And(themes.Dim, fmt.Sprintf(" %d behind", behind))
	}
	return widget.T(n.Version)
}

func empty(c *screen.Context) []widget.Line {
	if f := c.Snap.Tailnet; f.Err != "" {
		return []widget.Line{widget.L(themes.Unknown, "? ").And(themes.Text, f.Err), widget.L(themes.Accent, f.Cure)}
	}
	return []widget.Line{widget.T("No node of a tailnet is known."), widget.L(themes.Dim, "Neither tailscaled nor Tailscale's API has told of one.")}
}

const label = 9

// below is all that is known of a node.
func below(c *screen.Context, r listing.Row, w int) widget.Doc {
	n, _ := r.Of.(fleet.Node)
	var d widget.Doc
	if f := c.Snap.Tailnet; f.Err != "" {
		d = d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, "told "+words.AgoLong(f.At, c.Now)+": "+f.Err))
	}
	if why := n.Stale(c.Now, 0); why != "" {
		d = d.Add(w, 2, widget.L(themes.Warn, why).And(themes.Text, ": nobody needs it any more"))
	}
	field := func(name, text string) {
		if text != "" {
			d = d.Field(w, label, name, widget.T(text))
		}
	}
	field("is", n.Is())
	if n.Path.HasValue() {
		field("reached", strings.TrimSpace(n.Path.Value.Word()+"  "+n.Path.Value.Endpoint))
	} else {
		field("reached", n.Path.Err)
	}
	keyText := map[bool]string{true: "never ends", false: "until " + words.When(n.KeyExpiry, c.Now)}[n.KeyExpiry.IsZero()]
	field("key", keyText)
	field("at", strings.Join(n.Addresses, "  "))
	field("leads to", strings.Join(n.Routes, "  "))
	field("of", cmp.Or(n.User, strings.Join(n.Tags, " ")))
	field("seen", words.When(n.LastSeen, c.Now))
	field("joined", words.When(n.Created, c.Now))
	field("system", strings.TrimSpace(n.HostName+"  "+n.OS))
	return d
}
