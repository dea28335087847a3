package widget

import "slices"

// List is the selection in a list of rows that come and go: the cursor stays
// on its row by name, and the row stays where it is on the screen.
type List struct {
	ids    []string
	cursor int
	top    int
	rows   int // rows that were visible when it was drawn last
	marks  map[string]bool
}

// Set replaces the rows. The selected one stays selected and where it is; if
// it is gone, the one in its place is selected.
func (l *List) Set(ids []string) {
	if slices.Equal(ids, l.ids) {
		return
	}
	was, ok := l.Selected()
	l.ids = ids
	if ok {
		if i := slices.Index(ids, was); i >= 0 {
			l.top += i - l.cursor
			l.cursor = i
		}
	}
	for id := range l.marks {
		if !slices.Contains(ids, id) {
			delete(l.marks, id)
		}
	}
	l.clamp()
}

// Len is how many rows there are.
func (l *List) Len() int { return len(l.ids) }

// All are all rows, in their order.
func (l *List) All() []string { return l.ids }

// Selected is the row the cursor is on.
func (l *List) Selected() (string, bool) {
	if l.cursor < 0 || l.cursor >= len(l.ids) {
		return "", false
	}
	return l.ids[l.cursor], true
}

// Select puts the cursor on a row, if it is there.
func (l *List) Select(id string) bool {
	i := slices.Index(l.ids, id)
	if i >= 0 {
		l.cursor = i
		l.clamp()
	}
	return i >= 0
}

// Tap selects a row that was tapped; it tells whether it was selected already.
func (l *List) Tap(id string) bool {
	if sel, _ := l.Selected(); sel == id {
		return true
	}
	l.Select(id)
	return false
}

// Move moves the cursor by n rows.
func (l *List) Move(n int) { l.cursor += n; l.clamp() }

// Do moves the cursor as the keys of a list say; it tells whether id is such
// a key.
func (l *List) Do(id string) bool {
	switch id {
	case "up":
		l.Move(-1)
	case "down":
		l.Move(1)
	case "page-up":
		l.Move(-max(1, l.rows-1))
	case "page-down":
		l.Move(max(1, l.rows-1))
	case "top":
		l.cursor = 0
		l.clamp()
	case "bottom":
		l.cursor = len(l.ids) - 1
		l.clamp()
	case "mark":
		if sel, ok := l.Selected(); ok {
			l.Mark(sel, !l.Marked(sel))
			l.Move(1)
		}
	case "mark-all":
		l.markAll()
	default:
		return false
	}
	return true
}

// markAll marks every row, or none when all were marked.
func (l *List) markAll() {
	all := len(l.ids) == len(l.marks)
	l.ClearMarks()
	for _, id := range l.ids {
		l.Mark(id, !all)
	}
}

// Mark marks a row or takes its mark away.
func (l *List) Mark(id string, on bool) {
	if !on {
		delete(l.marks, id)
		return
	}
	if l.marks == nil {
		l.marks = map[string]bool{}
	}
	l.marks[id] = true
}

// Marked tells whether a row is marked.
func (l *List) Marked(id string) bool { return l.marks[id] }

// Marks are the marked rows, in the order of the list.
func (l *List) Marks() []string {
	var out []string
	for _, id := range l.ids {
		if l.marks[id] {
			out = append(out, id)
		}
	}
	return out
}

// ClearMarks takes all marks away and tells whether there were any.
func (l *List) ClearMarks() bool {
	had := len(l.marks) > 0
	l.marks = nil
	return had
}

// FromTop shows the list from its first row on, as far as the cursor stays in sight.
func (l *List) FromTop() { l.top = 0; l.clamp() }

// Window gives the rows to draw in so many rows of screen: from…to.
func (l *List) Window(rows int) (from, to int) {
	l.rows = max(rows, 0)
	l.clamp()
	return l.top, min(len(l.ids), l.top+l.rows)
}

// Fitting gives the rows to draw where they need room of their own: cost is the lines
// of row i, where it is the first that is drawn, or below another.
func (l *List) Fitting(lines int, cost func(i int, first bool) int) (from, to int) {
	l.cursor = max(0, min(l.cursor, len(l.ids)-1))
	end := func(top int) int { // of the rows that fit from top on
		used := 0
		for i := top; i < len(l.ids); i++ {
			if used += cost(i, i == top); used > lines {
				return i
			}
		}
		return len(l.ids)
	}
	l.top = max(0, min(l.top, l.cursor))
	for l.top < l.cursor && end(l.top) <= l.cursor {
		l.top++
	}
	for l.top > 0 && end(l.top-1) == len(l.ids) { // no room is left below the last
		l.top--
	}
	to = end(l.top)
	l.rows = to - l.top
	return l.top, to
}

// At is the row with a number.
func (l *List) At(i int) string { return l.ids[i] }

// Cursor is the number of the selected row.
func (l *List) Cursor() int { return l.cursor }

// Visible are the rows that were drawn last.
func (l *List) Visible() []string {
	from, to := l.Window(l.rows)
	return l.ids[from:to]
}

// clamp keeps the cursor on a row and the row on the screen.
func (l *List) clamp() {
	l.cursor = max(0, min(l.cursor, len(l.ids)-1))
	if l.rows <= 0 {
		return
	}
	l.top = max(l.cursor-l.rows+1, min(l.top, l.cursor))
	l.top = max(0, min(l.top, len(l.ids)-l.rows))
}
