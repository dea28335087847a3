package widget

import "github.com/sextant-fleet/sextant/themes"

// Row is a line of a document, what tapping it means, and the page it leads to.
type Row struct {
	Line   Line
	Target any
	Link   string // http or https; "" none
}

// Doc is lines to read, longer than the screen perhaps.
type Doc []Row

// Scroll is how far a document is scrolled.
type Scroll struct{ top, rows, all int }

// Do scrolls as the keys say; it tells whether id is such a key.
func (s *Scroll) Do(id string) bool {
	switch id {
	case "up":
		s.top--
	case "down":
		s.top++
	case "page-up":
		s.top -= max(1, s.rows-1)
	case "page-down":
		s.top += max(1, s.rows-1)
	case "top":
		s.top = 0
	case "bottom":
		s.top = s.all
	default:
		return false
	}
	s.clamp()
	return true
}

// Reset goes back to the beginning.
func (s *Scroll) Reset() { s.top = 0 }

func (s *Scroll) clamp() { s.top = max(0, min(s.top, s.all-s.rows)) }

// Flow breaks lines to a width.
func Flow(lines []Line, width int) Doc {
	var d Doc
	for _, l := range lines {
		d = d.Add(width, 0, l)
	}
	return d
}

// Add gives the document with a line after it, broken to the width with the
// given indent.
func (d Doc) Add(width, indent int, l Line) Doc {
	for _, part := range WrapLine(l, width, indent) {
		d = append(d, Row{Line: part})
	}
	return d
}

// Field gives the document with a label and a value after it. The value is
// broken beside the label, or below it where the width is small.
func (d Doc) Field(width, label int, name string, value Line) Doc {
	lead := L(themes.Dim, pad(name, label))
	return d.Add(width, min(label+1, width/3), lead.And(themes.Text, " ").Join(value))
}

// Head gives the document with a heading after it, and an empty line before
// it unless it is the first.
func (d Doc) Head(title string) Doc {
	if len(d) > 0 {
		d = append(d, Row{})
	}
	return append(d, Row{Line: L(themes.Title, title)})
}

// On makes the document's rows from the given one on tappable.
func (d Doc) On(from int, target any) Doc {
	for i := from; i < len(d); i++ {
		d[i].Target = target
	}
	return d
}

// Link makes the document's rows from the given one on lead to a page.
func (d Doc) Link(from int, address string) Doc {
	for i := from; i < len(d); i++ {
		d[i].Link = address
	}
	return d
}

// Draw draws the part of the document that is scrolled to, and marks that
// there is more.
func (d Doc) Draw(p Pane, s *Scroll) {
	s.rows, s.all = p.H, len(d)
	s.clamp()
	for y := 0; y < p.H && s.top+y < len(d); y++ {
		row := d[s.top+y]
		n := p.Line(0, y, p.W, row.Line)
		p.Link(0, y, n, row.Link)
		p.Zone(0, y, p.W, 1, row.Target)
	}
	if s.top > 0 {
		p.Text(p.W-1, 0, 1, themes.Accent, p.Glyphs().Up)
	}
	if s.top+p.H < len(d) {
		p.Text(p.W-1, p.H-1, 1, themes.Accent, p.Glyphs().Down)
	}
}

// pad fills text with spaces to a width, or cuts it.
func pad(s string, width int) string {
	n := Width(s)
	for ; n < width; n++ {
		s += " "
	}
	return s
}

// End scrolls to the end of a document of so many lines when it is drawn next.
func (s *Scroll) End(all int) { s.all = all; s.top = all }
