package hostscreen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// row is something in a list, by an ID that stays.
type row struct {
	id, name string
	more     string      // what the filter also finds it by
	at       int         // in the fact's list
	worn     float64     // of a backup: its age as a share of the limit
	of       fleet.State // of the host it is on
}

// tableTab is a tab that is a list, with a detail view of each row; and the same
// list of several hosts.
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

	order  func(a, b row) int // where nobody has sorted it; nil: as rows gives them
	sorts  []sorting          // by what it can be sorted; with it come marks, but for a group of its own
	group  string             // of the keys; "" is that of containers
	sorted sortedBy

	several bool          // it is of several hosts
	states  []fleet.State // whose rows there are
	list    widget.List
	filter  string
	open    string // the row that is shown in detail
	scroll  widget.Scroll
	byID    map[string]row
}

func (t *tableTab) table() *tableTab { return t }

// fresh takes in what is known by now of its host, or of all.
func (t *tableTab) fresh(c *screen.Context, st fleet.State) screen.Effect {
	states := []fleet.State{st}
	if t.several {
		states = c.Snap.Hosts
	}
	t.take(c, states)
	return nil
}

// take takes in what is known of the hosts by now.
func (t *tableTab) take(c *screen.Context, states []fleet.State) {
	t.states = states
	t.byID = map[string]row{}
	var all []row
	for _, st := range states {
		for _, r := range t.rows(c, st) {
			if r.of = st; t.several {
				r.id = string(st.Host.ID) + " " + r.id
			}
			t.byID[r.id] = r
			if t.passes(r) {
				all = append(all, r)
			}
		}
	}
	if cmp := t.sorted.order(t.order); cmp != nil {
		slices.SortStableFunc(all, cmp)
	}
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.id
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

// find filters the rows.
func (t *tableTab) find(c *screen.Context, text string) {
	t.filter = text
	t.take(c, t.states)
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

// marked are the rows that are marked, and that what is done is done to; none
// while one is open.
func (t *tableTab) marked() []row {
	if t.open != "" {
		return nil
	}
	var out []row
	for _, id := range t.list.Marks() {
		out = append(out, t.byID[id])
	}
	return out
}

func (t *tableTab) name(id string) string { return t.byID[id].name }

func (t *tableTab) draw(c *screen.Context, st fleet.State, p widget.Pane) {
	if t.open != "" {
		t.drawDetail(c, p.Sub(1, 0, p.W-2, p.H))
		return
	}
	for _, l := range []widget.Line{t.age(c, st), t.sorted.line(c)} {
		if len(l) > 0 && t.list.Len() > 0 {
			p.Line(1, 0, p.W-2, l)
			p = p.Sub(0, 1, p.W, p.H-1)
		}
	}
	t.widget(c, st).Draw(p, &t.list)
}

// widget is the table as it is drawn.
func (t *tableTab) widget(c *screen.Context, st fleet.State) widget.Table {
	empty := t.missing(c, st)
	if t.filter != "" && len(t.byID) > 0 {
		empty = []widget.Line{widget.T("Nothing matches " + t.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	}
	return widget.Table{
		Columns: t.sorted.heads(c, t.columns),
		Tall:    c.W < screen.Narrow,
		Cells:   func(id string) []widget.Line { r := t.byID[id]; return t.cells(c, r.of, r.at) },
		Lines:   func(id string) [2]widget.Line { r := t.byID[id]; return t.lines(c, r.of, r.at) },
		Target:  func(id string) any { return screen.TapRow{ID: id} },
		Head:    t.tapHead(),
		Empty:   empty,
	}
}

func (t *tableTab) drawDetail(c *screen.Context, p widget.Pane) {
	r, ok := t.byID[t.open]
	if !ok {
		p.Text(0, 0, p.W, themes.Warn, "It is there no more.")
		return
	}
	var d widget.Doc
	if l := t.age(c, r.of); len(l) > 0 {
		d = d.Add(p.W, 2, l)
	}
	append(d, t.detail(c, r.of, r.at, p.W)...).Draw(p, &t.scroll)
}

func (t *tableTab) do(_ *screen.Context, _ fleet.State, id string) screen.Effect {
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
	case id == "sort":
		return t.chooseSort()
	case id == "snapshots" && ok:
		return screen.Go{Place: screen.Place{Screen: screen.Snapshots, Host: r.of.Host.ID, Item: jobOf(r).Key()}}
	case id == "logs" && ok && t.log != nil:
		return t.logs(r)
	case id == "logs":
		return screen.Flash{Level: fleet.Info, Text: "logs: choose a container (3), a unit (4) or a backup (5)"}
	}
	return nil
}

// withLogs are hints, without that for logs where the rows have none.
func (t *tableTab) withLogs(hints ...string) []string {
	if t.log == nil {
		return slices.DeleteFunc(hints, func(id string) bool { return id == "logs" })
	}
	return hints
}

// maxLogs bounds the logs that are opened as one; more can be added there.
const maxLogs = 10

// logs opens the log of a row, or those of the marked rows as one.
func (t *tableTab) logs(r row) screen.Effect {
	rows := t.marked()
	if len(rows) == 0 {
		rows = []row{r}
	}
	var list []fleet.LogSource
	for _, r := range rows[:min(len(rows), maxLogs)] {
		of, why := t.log(r.of, r.at)
		if why != "" {
			return screen.Flash{Level: fleet.Info, Text: "logs: " + why}
		}
		of.Host = r.of.Host.ID
		list = append(list, of)
	}
	return screen.Go{Place: screen.Place{Screen: screen.Logs, Host: list[0].Host, Log: list}}
}

func (t *tableTab) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	switch r := target.(type) {
	case tapHead:
		t.sortBy(c, r.title)
	case screen.TapRow:
		if t.list.Tap(r.ID) {
			return t.do(c, st, "enter")
		}
	}
	return nil
}

// receive takes in by what a person wants the list sorted.
func (t *tableTab) receive(c *screen.Context, _ fleet.State, msg tea.Msg) screen.Effect {
	if m, ok := msg.(sortMsg); ok && m.of == t {
		t.sortBy(c, m.title)
	}
	return nil
}

func (t *tableTab) back(c *screen.Context, _ fleet.State) bool {
	switch {
	case t.open != "":
		t.open = ""
	case t.filter != "":
		t.find(c, "")
	default:
		return t.list.ClearMarks()
	}
	return true
}

// target aims at the row, or at the marked ones.
func (t *tableTab) target(_ fleet.State, to *fleet.Target) {
	if t.aim == nil {
		return
	}
	rows := t.marked()
	if r, ok := t.row(); ok && len(rows) < 2 {
		if len(rows) == 1 {
			r = rows[0]
		}
		to.Hosts = []fleet.State{r.of}
		t.aim(r.of, r.at, to)
		return
	}
	if len(rows) > 0 {
		to.Hosts = nil
	}
	for _, r := range rows {
		one := fleet.Target{Hosts: []fleet.State{r.of}}
		t.aim(r.of, r.at, &one)
		to.Each = append(to.Each, one)
		if !slices.ContainsFunc(to.Hosts, func(st fleet.State) bool { return st.Host.ID == r.of.Host.ID }) {
			to.Hosts = append(to.Hosts, r.of)
		}
	}
}

// focus names the containers on the screen; all that are listed where they are
// sorted by what they use.
func (t *tableTab) focus(f *fleet.Focus, _ fleet.State) {
	if t.live == nil {
		return
	}
	visible := t.list.Visible()
	switch {
	case t.open != "":
		visible = []string{t.open}
	case t.sorted.live:
		visible = t.list.All()
	}
	for _, id := range visible {
		if r, ok := t.byID[id]; ok {
			if cid := t.live(r.of, r.at); cid != "" {
				f.Containers = append(f.Containers, cid)
			}
		}
	}
	if t.sorted.live {
		slices.Sort(f.Containers) // else every change of place would be another thing to look at
	}
}

func (t *tableTab) item() string { return t.open }

func (t *tableTab) scopes() []string {
	list := []string{"table", "list"}
	if t.open != "" {
		list = []string{"scroll"}
	}
	switch {
	case t.group != "":
		list = append([]string{t.group}, list...)
	case t.sorts != nil:
		list = append(list, "containers")
	}
	return list
}
