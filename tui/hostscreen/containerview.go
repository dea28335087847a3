package hostscreen

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// containersTab is the tab of a host's containers. What the store does not know
// of one is asked for while that one is open.
type containersTab struct {
	*tableTab
	ctx  context.Context
	view containerView
}

func newContainers(ctx context.Context) *containersTab {
	t := &containersTab{tableTab: containers(false), ctx: ctx}
	versions := &sheet.Versions{}
	t.detail = func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
		ct := st.Containers.Value[at]
		return t.view.doc(c, st, ct, container(c, st, ct, versions, w), w)
	}
	return t
}

// containerView is what an engine tells of one container by itself, in two parts
// that come when they come.
type containerView struct {
	row     string // the row that is open
	of      fleet.Container
	secrets bool // what looks secret is shown: until the container is left
	asks    [2]asking
	known   fleet.Fact[fleet.ContainerDetail]
	top     fleet.Fact[fleet.ContainerTop]
	past    past
}

// The questions of a containerView.
const (
	askDetail = iota
	askTop
)

// detailMsg brings what is told of a container.
type detailMsg struct {
	n      int
	detail fleet.ContainerDetail
	err    error
}

// topMsg brings a container's processes.
type topMsg struct {
	n   int
	top fleet.ContainerTop
	err error
}

func (t *containersTab) fresh(c *screen.Context, st fleet.State) screen.Effect {
	t.take(c, []fleet.State{st})
	t.view.turn(t.open)
	r, ok := t.byID[t.open]
	if t.open == "" || !ok || !answers(st) {
		return nil
	}
	return t.view.fresh(t.ctx, c, st, st.Containers.Value[r.at])
}

// answers tells whether the host can be asked at all.
func answers(st fleet.State) bool { return st.Reach.Current() && st.Reach.Value.State == fleet.Up }

// do opens a container, and then asks for it.
func (t *containersTab) do(c *screen.Context, st fleet.State, id string) screen.Effect {
	switch {
	case id == "secrets":
		return t.unhide(c, st)
	case id == "window" && t.open != "":
		t.view.past.turn(t.view.past.at + 1)
		return t.fresh(c, st)
	}
	e := t.tableTab.do(c, st, id)
	return screen.All{e, t.fresh(c, st)}
}

func (t *containersTab) tap(c *screen.Context, st fleet.State, target any) screen.Effect {
	e := t.tableTab.tap(c, st, target)
	return screen.All{e, t.fresh(c, st)}
}

// unhide asks for the values that look secret, or forgets them.
func (t *containersTab) unhide(c *screen.Context, st fleet.State) screen.Effect {
	if t.open == "" {
		return nil
	}
	shown := !t.view.secrets
	if !shown {
		t.view.forget()
	}
	t.view.secrets = shown
	return t.again(c, st)
}

func (t *containersTab) back(c *screen.Context, st fleet.State) bool {
	was := t.tableTab.back(c, st)
	t.view.turn(t.open)
	return was
}

// again asks once more at once.
func (t *containersTab) again(c *screen.Context, st fleet.State) screen.Effect {
	t.view.drop()
	for i := range t.view.asks {
		t.view.asks[i].again = true
	}
	return t.fresh(c, st)
}

// close ends what is asked: the answer would find nobody. Nor is anybody left to
// see what was secret.
func (t *containersTab) close() {
	t.view.drop()
	for i := range t.view.asks {
		t.view.asks[i].again = true
	}
	if t.view.secrets {
		t.view.forget()
	}
}

func (t *containersTab) receive(c *screen.Context, _ fleet.State, msg tea.Msg) screen.Effect {
	switch msg := msg.(type) {
	case pastMsg:
		t.view.past.receive(msg)
	case detailMsg:
		if t.view.asks[askDetail].end(msg.n, c.Now) {
			t.view.known = t.view.known.Refresh(told(msg.detail, msg.err, c.Now, cmp.Or(msg.detail.Source, t.view.of.Engine)))
		}
	case topMsg:
		if t.view.asks[askTop].end(msg.n, c.Now) {
			t.view.top = t.view.top.Refresh(told(msg.top, msg.err, c.Now, cmp.Or(msg.top.Source, t.view.of.Engine)))
		}
	}
	return nil
}

func (t *containersTab) scopes() []string {
	if t.open != "" {
		return []string{"scroll", "container"}
	}
	return t.tableTab.scopes()
}

func (t *containersTab) openHints() []string {
	if t.view.known.Value.Hidden+t.view.top.Value.Hidden == 0 && !t.view.secrets {
		return []string{"back", "logs", "window", "menu", "copy", "shell", "refresh", "help"}
	}
	return []string{"back", "logs", "window", "menu", "secrets", "copy", "shell", "refresh", "help"}
}

// turn turns to another container: what was known of the one before is not its.
func (v *containerView) turn(row string) {
	if v.row != row {
		v.forget()
		v.row = row
	}
}

// drop ends what is asked.
func (v *containerView) drop() {
	for i := range v.asks {
		v.asks[i].drop()
	}
	v.past.drop()
}

// forget drops what is known; answers that are under way are nobody's.
func (v *containerView) forget() {
	v.drop()
	v.known, v.top = fleet.Fact[fleet.ContainerDetail]{}, fleet.Fact[fleet.ContainerTop]{}
	v.secrets, v.of = false, fleet.Container{}
	for i := range v.asks {
		v.asks[i] = asking{n: v.asks[i].n}
	}
	v.past.turn(v.past.at)
}

// fresh asks for the container when it was opened, again as long as it is, and
// at once when it is another or stands otherwise.
func (v *containerView) fresh(ctx context.Context, c *screen.Context, st fleet.State, ct fleet.Container) screen.Effect {
	if ct.State == fleet.Absent {
		return nil
	}
	moved := v.of.ID != ct.ID || v.of.State != ct.State || v.of.Health != ct.Health || !v.of.Started.Equal(ct.Started)
	if moved && v.of.ID != "" {
		for i := range v.asks {
			v.asks[i].again = true
		}
	}
	var all screen.All
	console, id, secrets, read := c.Console, st.Host.ID, v.secrets, readAt(st)
	if a := &v.asks[askDetail]; a.due(c.Now, read, moved) {
		ctx, n := a.begin(ctx, c.Now, read)
		all = append(all, screen.Run{Cmd: func() tea.Msg {
			d, err := console.Container(ctx, id, ct, secrets)
			return detailMsg{n, d, err}
		}})
	}
	if a := &v.asks[askTop]; a.due(c.Now, read, moved) {
		ctx, n := a.begin(ctx, c.Now, read)
		all = append(all, screen.Run{Cmd: func() tea.Msg {
			top, err := console.Processes(ctx, id, ct, secrets)
			return topMsg{n, top, err}
		}})
	}
	if len(all) > 0 {
		v.of = ct
	}
	if ct.Running() {
		if e := v.past.fresh(ctx, c, st, ct.Name, ct.User); e != nil {
			all = append(all, e)
		}
	}
	return all
}

// doc is all that is known of the container: d is what the list tells.
func (v *containerView) doc(c *screen.Context, st fleet.State, ct fleet.Container, d widget.Doc, w int) widget.Doc {
	if ct.State == fleet.Absent {
		return d
	}
	d = v.charts(c, st, v.processes(c, v.health(c, d, w), st, ct, w), w)
	d = d.Head("Configuration")
	d = lack(c, d, st, v.known, w)
	if !v.known.HasValue() {
		return d
	}
	detail := v.known.Value
	for _, p := range words.ContainerConfig(detail.Config) {
		d = d.Field(w, label, p.Name, widget.L(p.Role, p.Value))
	}
	d = v.settings(c, d, "Environment", detail.Environment, w)
	d = d.Head("Mounts")
	for _, m := range detail.Mounts {
		d = d.Add(w, 2, widget.L(themes.Accent, m.Target).And(themes.Text, "  "+words.ContainerMount(m)))
	}
	d = empty(c, d, len(detail.Mounts))
	d = d.Head("Networks")
	for _, n := range detail.Networks {
		d = d.Add(w, 2, widget.L(themes.Accent, n.Name).And(themes.Text, "  "+words.ContainerNetwork(n)))
	}
	d = empty(c, d, len(detail.Networks))
	d = v.settings(c, d, "Labels", detail.Labels, w)
	for _, cut := range detail.Cut {
		d = d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, "left out because it is too much: "+cut))
	}
	return d.Add(w, 2, widget.L(themes.Dim, v.known.Source+", "+words.AgoLong(v.known.At, c.Now)))
}

// charts are what it used in the past, where a Netdata knows, with what happened
// to the host meanwhile.
func (v *containerView) charts(c *screen.Context, st fleet.State, d widget.Doc, w int) widget.Doc {
	const high = 4
	p := &v.past
	if len(p.series) == 0 && p.err == nil && !p.asking {
		return d
	}
	d = d.Head("The last " + windows[p.at].name)
	switch {
	case len(p.series) == 0 && p.err != nil:
		return d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, p.err.Error()))
	case len(p.series) == 0:
		return d.Add(w, 2, widget.L(themes.Dim, c.Glyphs.Asking+" asking"))
	}
	from, to := spanOf(p.series, c.Now)
	for _, s := range p.series {
		last, most := lastAndHighest(s)
		d = d.Add(w, 2, widget.L(themes.Text, s.Name+" "+measure(last, s.Unit)).And(themes.Dim, "  highest "+measure(most, s.Unit)+"  "+s.Source))
		d = append(d, widget.ChartDoc(w, high, onTime(s.Points, from, to, 2*w), topOf(s, most), c.Glyphs)...)
	}
	d = d.Add(w, 2, widget.L(themes.Dim, words.Stamp(from)+" to now"))
	for _, l := range newestMarks(c, marksOf(c, st, from, to), 3) {
		d = d.Add(w, 2, l)
	}
	return d
}

// empty says that a section is empty.
func empty(c *screen.Context, d widget.Doc, n int) widget.Doc {
	if n > 0 {
		return d
	}
	return append(d, widget.Row{Line: widget.L(themes.Dim, c.Glyphs.None+" none")})
}

// lack is what is not known now, why, and what can be done about it.
func lack[T any](c *screen.Context, d widget.Doc, st fleet.State, f fleet.Fact[T], w int) widget.Doc {
	why, cure := cmp.Or(f.Err, st.Reach.Err), cmp.Or(f.Cure, st.Reach.Cure)
	switch {
	case why != "" && f.HasValue():
		d = d.Add(w, 2, widget.L(themes.Unknown, "from "+words.AgoLong(f.At, c.Now)+": ").And(themes.Text, why))
	case why != "":
		d = d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, why))
	case !f.HasValue():
		d = d.Add(w, 2, widget.L(themes.Dim, c.Glyphs.Asking+" asking"))
	}
	if why != "" && cure != "" {
		d = d.Add(w, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, cure))
	}
	return d
}

// settings are variables or labels. How those that are hidden are shown is told
// where they are.
func (v *containerView) settings(c *screen.Context, d widget.Doc, title string, list []fleet.Setting, w int) widget.Doc {
	d = d.Head(title)
	hidden := 0
	for _, s := range list {
		role := themes.Text
		if s.Hidden {
			hidden++
			role = themes.Warn
		}
		d = d.Add(w, 2, widget.L(themes.Accent, s.Name).And(themes.Dim, "=").And(role, s.Value))
	}
	d = empty(c, d, len(list))
	says := fmt.Sprintf(" shows the %d that look secret", hidden)
	switch {
	case v.known.Value.Secrets && len(list) > 0:
		says = " hides again what looks secret"
	case hidden == 0:
		return d
	}
	key, _ := c.Keys.Named("secrets")
	from := len(d)
	return d.Add(w, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" "+key.Key()).And(themes.Dim, says)).On(from, screen.TapKey{ID: "secrets"})
}

// health is the check and what it said: the last time, and each time that it
// failed.
func (v *containerView) health(c *screen.Context, d widget.Doc, w int) widget.Doc {
	if !v.known.HasValue() {
		return d
	}
	h := v.known.Value.Health
	d = d.Head("Health")
	if h == nil {
		return d.Add(w, 2, widget.L(themes.Dim, c.Glyphs.None+" it has no check"))
	}
	cell := words.ContainerHealth(*h)
	test, how := words.HealthCheck(*h)
	d = d.Field(w, label, "state", widget.L(cell.Role, cell.Text))
	d = d.Field(w, label, "check", widget.T(test))
	d = d.Field(w, label, "how", widget.L(themes.Dim, how))
	for i, r := range h.Runs {
		if i > 0 && r.ExitCode == 0 {
			continue
		}
		role := themes.OK
		if r.ExitCode != 0 {
			role = themes.Fail
		}
		d = d.Field(w, label, words.AgoLong(r.End, c.Now), widget.L(role, "exit "+strconv.Itoa(r.ExitCode)))
		for l := range strings.Lines(r.Output) {
			d = d.Add(w, 4, widget.T("  "+strings.TrimRight(l, "\n")))
		}
	}
	return d
}

// processes are those that run in it.
func (v *containerView) processes(c *screen.Context, d widget.Doc, st fleet.State, ct fleet.Container, w int) widget.Doc {
	d = d.Head("Processes")
	if !ct.Running() {
		return d.Add(w, 2, widget.L(themes.Dim, c.Glyphs.None+" it does not run"))
	}
	d = lack(c, d, st, v.top, w)
	for _, p := range v.top.Value.Processes {
		d = d.Add(w, 4, widget.L(themes.Accent, strconv.Itoa(cmp.Or(p.PID, p.HostPID))).And(themes.Text, " "+words.ContainerProcess(p)))
	}
	if n := v.top.Value.More; n > 0 {
		d = d.Add(w, 2, widget.L(themes.Unknown, fmt.Sprintf("? and %d more", n)))
	}
	if v.top.HasValue() {
		d = d.Add(w, 2, widget.L(themes.Dim, v.top.Source+", "+words.AgoLong(v.top.At, c.Now)))
	}
	return d
}
