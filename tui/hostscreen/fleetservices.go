package hostscreen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// matrix is the screen of the services of all hosts: whether each is as it should be,
// what is broken first, with the reasons of the selected one below it.
type matrix struct {
	*page
	list  *tableTab
	whole fleet.Matrix
	of    map[fleet.HostID][]fleet.ServiceRow
	below widget.Scroll // of the reasons
	shown string        // whose those are
}

// matrixTitles are what the cells are called in a narrow column, and matrixLetters in
// two lines a row.
var (
	matrixTitles  = []string{"define", "config", "secret", "expose", "protect", "monitor", "backup"}
	matrixLetters = []string{"D", "C", "S", "E", "P", "M", "B"}
)

// NewMatrix makes the screen. What is done is done to the unit of a service.
func NewMatrix() screen.Screen {
	s := &matrix{of: map[fleet.HostID][]fleet.ServiceRow{}}
	columns := []widget.Column{{Title: "service", Width: 10, Max: 24}, {Title: "host", Width: 7, Max: 14}}
	for _, title := range matrixTitles {
		columns = append(columns, widget.Column{Title: title, Width: len(title)})
	}
	s.list = &tableTab{
		several: true,
		columns: append(columns, widget.Column{Title: "", Width: 8, Max: 14}),
		rows:    s.rows,
		cells:   s.cells,
		lines:   s.lines,
		detail:  s.detail,
		order: func(a, b row) int {
			return cmp.Compare(serviceWeight(s.at(a.of, a.at)), serviceWeight(s.at(b.of, b.at)))
		},
		aim: s.aim,
		log: s.logOf,
		age: func(c *screen.Context, st fleet.State) widget.Line {
			if f := st.Declared; !f.HasValue() && !f.None {
				return widget.L(themes.Unknown, "? what is declared here is not known").And(themes.Text, ": "+cmp.Or(f.Err, st.Reach.Err, "not asked yet"))
			}
			return outdated(c, st, st.Declared)
		},
	}
	s.list.lacking("No service is known on any host.", func(st fleet.State) known {
		if st.Sleeps() { // no row is of a host that its person switched off
			return known{None: true}
		}
		return standingOf(st.Declared)
	})
	s.page = &page{
		lists: s.list, place: screen.Place{Screen: screen.Matrix}, title: "Service matrix", groups: []string{"exposure", "deploys"},
		hints:  []string{"back", "enter", "logs", "find", "menu", "refresh", "shell", "help"},
		opened: openedHints, what: "service", live: "services",
	}
	return s
}

func (s *matrix) at(st fleet.State, i int) fleet.ServiceRow {
	if list := s.of[st.Host.ID]; i >= 0 && i < len(list) {
		return list[i]
	}
	return fleet.ServiceRow{}
}

// serviceWeight is where a service stands among others: what is missing and what is
// not declared first, then what is broken, then what is not known.
func serviceWeight(r fleet.ServiceRow) int {
	switch {
	case r.Missing:
		return 0
	case r.Undeclared:
		return 1
	case r.Worst() == fleet.CellBroken:
		return 2
	case r.Worst() == fleet.CellUnknown:
		return 3
	}
	return 4
}

func (s *matrix) rows(_ *screen.Context, st fleet.State) []row {
	var rows []row
	for i, r := range s.of[st.Host.ID] {
		more := []string{st.Host.Name, r.Unit, r.Container, r.User, r.Says(), strings.Join(r.Names, " ")}
		for _, c := range r.Cells() {
			more = append(more, c.Why)
		}
		rows = append(rows, row{id: r.Name + "/" + r.User, name: r.Name, more: strings.Join(more, " "), at: i})
	}
	return rows
}

func (s *matrix) cells(c *screen.Context, st fleet.State, at int) []widget.Line {
	r := s.at(st, at)
	cells := []widget.Line{widget.T(serviceName(r)), widget.T(st.Host.Name)}
	for _, one := range r.Cells() {
		cells = append(cells, cellLine(c, one))
	}
	return append(cells, saysLine(r))
}

func (s *matrix) lines(c *screen.Context, st fleet.State, at int) [2]widget.Line {
	r := s.at(st, at)
	second := widget.T("  ")
	for i, one := range r.Cells() {
		role, sign, _ := cellSign(c, one.State)
		second = second.And(themes.Dim, matrixLetters[i]).And(role, sign).And(themes.Text, " ")
	}
	first := widget.T(serviceName(r)).And(themes.Dim, "  "+st.Host.Name)
	if r.Says() != "" {
		first = first.And(themes.Text, "  ").Join(saysLine(r))
	}
	return [2]widget.Line{first, second}
}

func serviceName(r fleet.ServiceRow) string {
	if r.User != "" {
		return r.User + ": " + r.Name
	}
	return r.Name
}

func saysLine(r fleet.ServiceRow) widget.Line {
	switch {
	case r.Missing:
		return widget.L(themes.Fail, "missing")
	case r.Undeclared:
		return widget.L(themes.Warn, "not declared")
	}
	return nil
}

// cellSign is a cell in a sign and a word, and its colour.
func cellSign(c *screen.Context, state fleet.CellState) (role themes.Role, sign, word string) {
	switch state {
	case fleet.CellYes:
		return themes.OK, c.Glyphs.Check, "yes"
	case fleet.CellPart:
		return themes.Warn, "/", "part"
	case fleet.CellNo:
		return themes.Dim, c.Glyphs.None, "no"
	case fleet.CellBroken:
		return themes.Fail, c.Glyphs.Cross, "BAD"
	}
	return themes.Unknown, c.Glyphs.Unknown, ""
}

func cellLine(c *screen.Context, one fleet.Cell) widget.Line {
	role, sign, word := cellSign(c, one.State)
	return widget.L(role, strings.TrimSpace(sign+" "+word))
}

// detail tells the reason of each cell.
func (s *matrix) detail(c *screen.Context, st fleet.State, at, w int) widget.Doc {
	r := s.at(st, at)
	d := widget.Doc{}.Field(w, label, "service", widget.L(themes.Title, serviceName(r)).And(themes.Dim, "  on "+st.Host.Name))
	if says := r.Says(); says != "" {
		d = d.Field(w, label, "", saysLine(r))
	}
	for i, one := range r.Cells() {
		d = d.Field(w, label, fleet.CellNames[i], cellLine(c, one).And(themes.Text, "  "+one.Why))
	}
	if of := strings.Join(slices.DeleteFunc([]string{r.Unit, containerOf(r), r.Process}, func(t string) bool { return t == "" }), ", "); of != "" {
		d = d.Field(w, label, "runs as", widget.L(themes.Dim, of))
	}
	if len(r.Ports) > 0 {
		var ports []string
		for _, p := range r.Ports {
			ports = append(ports, fmt.Sprint(p))
		}
		d = d.Field(w, label, "ports", widget.L(themes.Dim, strings.Join(ports, " ")))
	}
	for _, n := range s.whole.Notes {
		if strings.HasPrefix(n, st.Host.Name+": ") {
			d = d.Field(w, label, "note", widget.L(themes.Dim, strings.TrimPrefix(n, st.Host.Name+": ")))
		}
	}
	if st.Declared.HasValue() {
		d = d.Field(w, label, "source", widget.L(themes.Dim, st.Declared.Source+", "+words.AgoLong(st.Declared.At, c.Now)))
	}
	return d
}

func containerOf(r fleet.ServiceRow) string {
	if r.Container == "" {
		return ""
	}
	return r.Engine + " container " + r.Container
}

func (s *matrix) aim(st fleet.State, at int, t *fleet.Target) {
	if r := s.at(st, at); r.User == "" {
		t.Unit = r.Unit
	}
}

func (s *matrix) logOf(st fleet.State, at int) (fleet.LogSource, string) {
	r := s.at(st, at)
	if r.User != "" {
		return fleet.LogSource{}, "the log of a user's unit is in the list of units (4)"
	}
	return unitLog(r.Unit)
}

// Open implements screen.Screen.
func (s *matrix) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Fresh implements screen.Screen.
func (s *matrix) Fresh(c *screen.Context) screen.Effect {
	s.whole = c.Snap.Matrix(c.Now)
	clear(s.of)
	for _, r := range s.whole.Rows {
		s.of[r.HostID] = append(s.of[r.HostID], r)
	}
	return s.page.Fresh(c)
}

// roomBelow is how many lines the reasons need below the list; where the screen has
// fewer, they are opened.
const roomBelow = 20

// Draw implements screen.Screen.
func (s *matrix) Draw(c *screen.Context, p widget.Pane) {
	r, ok := s.list.row()
	if s.list.open != "" || !ok || c.W < screen.Narrow || p.H < roomBelow {
		s.page.Draw(c, p)
		return
	}
	if s.shown != r.id {
		s.shown = r.id
		s.below.Reset()
	}
	d := s.detail(c, r.of, r.at, p.W-2)
	rows := max(p.H/2, p.H-len(d)-1)
	s.page.Draw(c, p.Sub(0, 0, p.W, rows))
	d.Draw(p.Sub(1, rows+1, p.W-2, p.H-rows-1), &s.below)
}
