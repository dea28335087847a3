package hostscreen

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/palette"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// sorting is a way to sort rows: by what stands in a column.
type sorting struct {
	title   string // of the column
	note    string // for who chooses it by name
	order   func(a, b row) int
	unknown func(row) bool // such rows are last, whichever way round; nil: none
	down    bool           // the largest first, unless it is turned round
	live    bool           // by what is only measured while it is looked at
}

// sortedBy is what the rows are sorted by now; the zero value is nothing.
type sortedBy struct {
	sorting
	turned bool
}

// sortMsg says by which column a list is to be sorted.
type sortMsg struct {
	of    *tableTab
	title string
}

// tapHead is a tap on a column's heading.
type tapHead struct{ title string }

// order is how rows are compared; otherwise is the order when nobody sorted them.
func (s sortedBy) order(otherwise func(a, b row) int) func(a, b row) int {
	if s.sorting.order == nil {
		return otherwise
	}
	return func(a, b row) int {
		if s.unknown != nil {
			if x, y := s.unknown(a), s.unknown(b); x || y {
				return trueFirst(!x, !y)
			}
		}
		n := s.sorting.order(a, b)
		if s.down != s.turned {
			n = -n
		}
		return cmp.Or(n, strings.Compare(a.name, b.name), strings.Compare(a.id, b.id))
	}
}

// arrow is which way the rows are sorted.
func (s sortedBy) arrow(c *screen.Context) string {
	if s.down != s.turned {
		return c.Glyphs.Down
	}
	return c.Glyphs.Up
}

// line says how the rows are sorted where no heading does.
func (s sortedBy) line(c *screen.Context) widget.Line {
	if s.sorting.order == nil || c.W >= screen.Narrow {
		return nil
	}
	return widget.L(themes.Dim, "sorted by ").And(themes.Accent, s.note+" "+s.arrow(c))
}

// heads are the columns with the one marked by which the rows are sorted.
func (s sortedBy) heads(c *screen.Context, columns []widget.Column) []widget.Column {
	if s.sorting.order == nil {
		return columns
	}
	columns = slices.Clone(columns)
	for i := range columns {
		if columns[i].Title == s.title {
			columns[i].Title += s.arrow(c)
		}
	}
	return columns
}

// tapHead is what a tap on a heading means.
func (t *tableTab) tapHead() func(int) any {
	if t.sorts == nil {
		return nil
	}
	return func(i int) any {
		for i > 0 && t.columns[i].Title == "" { // it goes with the one before
			i--
		}
		return tapHead{t.columns[i].Title}
	}
}

// sortBy sorts by a column, or the other way round where it is sorted by it.
func (t *tableTab) sortBy(c *screen.Context, title string) {
	i := slices.IndexFunc(t.sorts, func(s sorting) bool { return s.title == title })
	switch {
	case title == "":
		t.sorted = sortedBy{}
	case i < 0:
		return // nothing can be sorted by it
	case t.sorted.title == title:
		t.sorted.turned = !t.sorted.turned
	default:
		t.sorted = sortedBy{sorting: t.sorts[i]}
	}
	t.take(c, t.states)
	t.list.Do("top") // what is first now is what was asked for
}

// chooseSort lets a column be chosen.
func (t *tableTab) chooseSort() screen.Effect {
	if t.sorts == nil || t.open != "" {
		return nil
	}
	entry := func(name, title, note string) palette.Entry {
		return palette.Entry{Title: name, Note: note, Does: screen.Run{Cmd: func() tea.Msg { return sortMsg{t, title} }}}
	}
	var list []palette.Entry
	if t.sorted.sorting.order != nil {
		list = append(list, entry(t.sorted.note, t.sorted.title, "the other way round"), entry("as it was", "", "what is broken first"))
	}
	for _, s := range t.sorts {
		note := ""
		if s.live {
			note = "all that are listed are measured"
		}
		if s.title != t.sorted.title {
			list = append(list, entry(s.note, s.title, note))
		}
	}
	return screen.Show{Popup: palette.Choose("Sort by", list)}
}
