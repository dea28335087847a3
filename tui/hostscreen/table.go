package hostscreen

import (
	"strings"

	"github.com/sahilm/fuzzy"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// row is something in a list, by an ID that stays.
type row struct {
	id, name string
	more     string // what the filter also finds it by
	at       int    // in the fact's list
}

// tableTab is a tab that is a list, with a detail view of each row.
type tableTab struct {
	columns []widget.Column
	rows    func(c *screen.Context, st fleet.State) []row
	cells   func(c *screen.Context, st fleet.State, at int) []widget.Line
	lines   func(c *screen.Context, st fleet.State, at int) [2]widget.Line
	detail  func(c *screen.Context, st fleet.State, at, w int) widget.Doc
	missing func(c *screen.Context, st fleet.State) []widget.Line // why there are none
	age     func(c *screen.Context, st fleet.State) widget.Line   // "" while it is current
	log     func(st fleet.State, at int) (fleet.LogSource, string)
	aim     func(st fleet.State, at int, t *fleet.Target)
	live    func(st fleet.State, at int) string // the container of a row

	list   widget.List
	filter string
	open   string // the row that is shown in detail
	scroll widget.Scroll
	byID   map[string]row
}

// lister is a tab that is a list, or has one inside.
type lister interface {
	inner() *tableTab
	refill(c *screen.Context, st fleet.State) // the rows are others: because of the filter
}

func (t *tableTab) inner() *tableTab { return t }

func (t *tableTab) fresh(c *screen.Context, st fleet.State) screen.Effect {
	t.refill(c, st)
	return nil
}

func (t *tableTab) refill(c *screen.Context, st fleet.State) {
	t.byID = map[string]row{}
	var ids []string
	for _, r := range t.rows(c, st) {
		t.byID[r.id] = r
		if t.passes(r) {
			ids = append(ids, r.id)
		}
	}
	t.list.Set(ids)
}

func (t *tableTab) passes(r row) bool {
	want, not := strings.CutPrefix(t.filter, "!")
	if want == "" {
		return true
	}
	in := strings.Contains(strings.ToLower(r.name+"\n"+r.more), strings.ToLower(want))
	if not {
		return !in
	}
	return in || len(fuzzy.Find(want, []string{r.name})) > 0
}

// current is the row that is open or selected.
func (t *tableTab) current() (string, bool) {
	if t.open != "" {
		return t.open, true
	}
	return t.list.Selected()
}

func (t *tableTab) row() (row, bool) {
	id, ok := t.current()
	if !ok {
		return row{}, false
	}
	r, ok := t.byID[id]
	return r, ok
}

func (t *tableTab) name(id string) string { return t.byID[id].name }

func (t *tableTab) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	if t.open != "" {
		t.drawDetail(c, st, p.Sub(1, 0, p.W-2, p.H))
		return
	}
	if l := t.age(c, st); len(l) > 0 && t.list.Len() > 0 {
		p.Line(1, 0, p.W-2, l)
		p = p.Sub(0, 1, p.W, p.H-1)
	}
	t.table(c, st).Draw(p, &t.list)
}

func (t *tableTab) table(c *screen.Context, st fleet.State) widget.Table {
	empty := t.missing(c, st)
	if t.filter != "" && len(t.byID) > 0 {
		empty = []widget.Line{widget.T("Nothing matches " + t.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	}
	return widget.Table{
		Columns: t.columns,
		Tall:    c.W < screen.Narrow,
		Cells:   func(id string) []widget.Line { return t.cells(c, st, t.byID[id].at) },
		Lines:   func(id string) [2]widget.Line { return t.lines(c, st, t.byID[id].at) },
		Target:  func(id string) any { return screen.TapRow{ID: id} },
		Empty:   empty,
	}
}

func (t *tableTab) drawDetail(c *screen.Context, st fleet.State, p widget.Pane) {
	r, ok := t.byID[t.open]
	if !ok {
		p.Text(0, 0, p.W, themes.Warn, "It is there no more.")
		return
	}
	var d widget.Doc
	if l := t.age(c, st); len(l) > 0 {
		d = d.Add(p.W, 2, l)
	}
	append(d, t.detail(c, st, r.at, p.W)...).Draw(p, &t.scroll)
}

func (t *tableTab) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	if t.open != "" && t.scroll.Do(id) {
		return nil
	}
	if t.open == "" && t.list.Do(id) {
		return nil
	}
	r, ok := t.row()
	switch {
	case id == "enter" && ok && t.open == "":
		t.open = r.id
		t.scroll.Reset()
	case id == "logs" && ok && t.log != nil:
		q, why := t.log(st, r.at)
		if why != "" {
			return screen.Flash{Level: fleet.Info, Text: "logs: " + why}
		}
		return logOf(st, q)
	case id == "logs":
		return screen.Flash{Level: fleet.Info, Text: "logs: choose a container (3), a unit (4) or a backup (5)"}
	}
	return nil
}

func (t *tableTab) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	r, ok := target.(screen.TapRow)
	if !ok {
		return nil
	}
	if sel, _ := t.list.Selected(); sel == r.ID {
		return t.do(c, st, "enter")
	}
	t.list.Select(r.ID)
	return nil
}

func (t *tableTab) back(c *screen.Context, st fleet.State) bool {
	if t.open != "" {
		t.open = ""
		return true
	}
	if t.filter != "" {
		t.filter = ""
		t.fresh(c, st)
		return true
	}
	return false
}

func (t *tableTab) target(st fleet.State, to *fleet.Target) {
	if r, ok := t.row(); ok && t.aim != nil {
		t.aim(st, r.at, to)
	}
}

// focus names the containers on the screen.
func (t *tableTab) focus(f *fleet.Focus, st fleet.State) {
	if t.live == nil {
		return
	}
	visible := t.list.Visible()
	if t.open != "" {
		visible = []string{t.open}
	}
	for _, id := range visible {
		if r, ok := t.byID[id]; ok {
			if cid := t.live(st, r.at); cid != "" {
				f.Containers = append(f.Containers, cid)
			}
		}
	}
}

func (t *tableTab) item() string { return t.open }

func (t *tableTab) scopes() []string {
	if t.open != "" {
		return []string{"scroll"}
	}
	return []string{"table", "list"}
}
