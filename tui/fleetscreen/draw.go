package fleetscreen

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	if len(c.Snap.Hosts) == 0 {
		sheet.FirstUse(c, p.W-2).Draw(p.Sub(1, 0, p.W-2, p.H), &s.summary)
		return
	}
	switch {
	case c.W >= screen.Wide:
		side := min(60, max(32, p.W/3))
		if t := s.table(c); p.W-side-2 < t.MinWidth() {
			side = max(30, p.W-2-t.MinWidth())
		}
		s.drawList(c, p.Sub(0, 0, p.W-side-2, p.H))
		p.VRule(p.W - side - 1)
		s.drawSummary(c, p.Sub(p.W-side+1, 0, side-1, p.H))
	case c.W >= screen.Split:
		below := max(7, p.H-2-s.list.Len()-s.groups-len(sheet.Trouble(c, p.W-2))) // what the list leaves
		below = min(below, p.H/2+1)
		s.drawList(c, p.Sub(0, 0, p.W, p.H-below))
		p.Rule(p.H - below)
		s.drawSummary(c, p.Sub(1, p.H-below+1, p.W-2, below-1))
	default:
		s.drawList(c, p)
	}
}

// drawList draws the hosts, and below them what keeps others from being found.
func (s *Screen) drawList(c *screen.Context, p widget.Pane) {
	notes := sheet.Trouble(c, p.W-2)
	if len(notes) == 0 {
		s.table(c).Draw(p, &s.list)
		return
	}
	rows := 1 + s.list.Len() + s.groups
	if c.W < screen.Narrow {
		rows = 2*s.list.Len() + s.groups
	}
	h := min(len(notes), max(2, p.H-rows-1))
	s.table(c).Draw(p.Sub(0, 0, p.W, p.H-h), &s.list)
	notes.Draw(p.Sub(1, p.H-h, p.W-2, h), &widget.Scroll{})
}

// table is the list of hosts in columns, or two lines a host.
func (s *Screen) table(c *screen.Context) widget.Table {
	w := c.Tell()
	gen := widget.Column{Title: "gen", Width: 7, Max: 8, Drop: 5}
	if s.waits {
		gen.Width, gen.Max = len("waits 95s"), len("waits 95s")
	}
	var group func(id string) widget.Line
	if s.heads != nil {
		group = func(id string) widget.Line { return s.heads[id] }
	}
	return widget.Table{
		Group: group,
		Columns: []widget.Column{
			{Title: "host", Width: min(s.nameW, 12), Max: s.nameW},
			{Title: "state", Width: 5},
			{Title: "path", Width: 6, Max: 7, Drop: 8},
			gen,
			{Title: "", Width: 2, Drop: 5},
			{Title: "fail", Width: 4, Max: 7, Drop: 3, Right: true},
			{Title: "ctrs", Width: 7, Max: 11, Drop: 4},
			{Title: "backups", Width: 10, Max: 14, Drop: 6},
			{Title: "cpu", Width: 9, Max: 13, Drop: 7},
			{Title: "mem", Width: 4, Max: 5, Drop: 7, Right: true},
			{Title: "disk", Width: 4, Max: 5, Drop: 2, Right: true},
			{Title: "alm", Width: 3, Max: 4, Drop: 6, Right: true},
			{Title: "age", Width: 4, Drop: 1, Right: true},
		},
		Tall:   c.W < screen.Narrow,
		Cells:  func(id string) []widget.Line { return s.cells(c, w, s.byID[id]) },
		Lines:  func(id string) [2]widget.Line { return s.lines(c, w, s.byID[id]) },
		Target: func(id string) any { return screen.TapRow{ID: id} },
		Empty:  []widget.Line{widget.T("No host matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all hosts again.")},
	}
}

func (s *Screen) cells(c *screen.Context, w words.Teller, st fleet.State) []widget.Line {
	j := c.Judge(st)
	return []widget.Line{
		name(j, st), state(c, j), line(w.Path(st)), line(w.Generation(st)), line(w.Marks(st)), line(w.Failed(st)),
		line(w.Containers(st)), line(w.BackupsWorst(st)), cpu(w, st), line(w.Memory(st)), line(w.Disk(st)),
		line(w.Alarms(st)), line(w.Age(st, j)),
	}
}

func name(j words.Judgement, st fleet.State) widget.Line {
	role := themes.Text
	if j.Word == words.Fail {
		role = themes.Title
	}
	return widget.L(role, st.Host.Name)
}

func state(c *screen.Context, j words.Judgement) widget.Line { return widget.L(j.Role, c.Word(j)) }

// line is a cell as spans: the value and, where it is old, its age.
func line(cell words.Cell) widget.Line {
	l := widget.L(cell.Role, cell.Text)
	if cell.Age != "" {
		l = l.And(themes.Dim, " "+cell.Age)
	}
	return l
}

// cpu is the share in use and the last readings.
func cpu(w words.Teller, st fleet.State) widget.Line {
	cell := w.CPU(st)
	l := widget.L(cell.Role, words.Right(cell.Text, 4))
	if spark := widget.Spark(st.Trend, 4, w.Glyphs); spark != "" && st.Metrics.Current() {
		l = l.And(themes.Text, " ").And(themes.Chart, spark)
	}
	return l
}

// lines is a host in two lines of 40 cells: its state, then what is wrong with
// it, or its facts where nothing is.
func (s *Screen) lines(c *screen.Context, w words.Teller, st fleet.State) [2]widget.Line {
	j := c.Judge(st)
	age, room := w.Age(st, j), c.W-2
	nameW := room - 6 - 8 - 5
	first := widget.L(themes.Text, words.Left(widget.Fit(st.Host.Name, nameW-1, c.Glyphs.Ellipsis), nameW)).
		And(j.Role, words.Left(c.Word(j), 6))
	path := w.Path(st)
	first = first.And(path.Role, words.Left(path.Text, 8)).And(age.Role, words.Right(age.Text, 5))
	second := widget.T("  ")
	if _, waits := words.Waits(st, c.Now); waits {
		cell := w.Generation(st)
		second = second.And(cell.Role, cell.Text).And(themes.Text, "  ")
	}
	if len(j.Problems) > 0 && j.Word != words.Asking {
		return [2]widget.Line{first, second.And(j.Role, j.Problems[0].What)}
	}
	for _, f := range []struct {
		name string
		cell words.Cell
	}{{"gen", w.Generation(st)}, {"", w.Marks(st)}, {"ctrs", w.Containers(st)}, {"bkp", w.BackupsWorst(st)}, {"disk", w.Disk(st)}} {
		if f.cell.Text != "" {
			second = second.And(themes.Dim, f.name+" ").And(f.cell.Role, f.cell.Text).And(themes.Text, "  ")
		}
	}
	return [2]widget.Line{first, second}
}

// drawSummary draws what is to be known of the selected host.
func (s *Screen) drawSummary(c *screen.Context, p widget.Pane) {
	if st, ok := s.Selected(); ok {
		sheet.Summary(c, st, p.W).Draw(p, &s.summary)
	}
}
