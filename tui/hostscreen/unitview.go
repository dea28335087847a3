package hostscreen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// unitView is one unit or timer: what systemd tells of it, what it needs and is
// broken, the last lines of its log, its file. It is asked for while it is open.
type unitView struct {
	of    string // its label
	ask   asking
	known fleet.Fact[fleet.UnitDetail]
	lines fleet.Fact[[]fleet.LogLine]

	secrets bool // what its file puts into the environment is shown: until the unit is left
}

// lastLines is how many lines of the log are shown beside a unit.
const lastLines = 10

// unitMsg brings what is known of one unit.
type unitMsg struct {
	n      int
	detail fleet.UnitDetail
	err    error
	lines  []fleet.LogLine
	noLog  error
}

// fresh asks for the unit when it was opened, and again as long as it is;
// read is when the store's facts of the host's units were read.
func (v *unitView) fresh(ctx context.Context, c *screen.Context, st fleet.State, read time.Time) screen.Effect {
	if !v.ask.due(c.Now, read, false) {
		return nil
	}
	ctx, n := v.ask.begin(ctx, c.Now, read)
	secrets := v.secrets
	console, id, log := c.Console, st.Host.ID, logOfUnit(st, v.of)
	log.Host = id
	name, user := fleet.UnitLabelled(v.of)
	return screen.Run{Cmd: func() tea.Msg {
		m := unitMsg{n: n}
		m.detail, m.err = console.Unit(ctx, id, name, user, secrets)
		m.lines, m.noLog = newestLines(ctx, console, log)
		return m
	}}
}

// turn turns to another unit: what was known of the one before is not its.
func (v *unitView) turn(label string) {
	if v.of != label {
		v.ask.drop()
		*v = unitView{of: label, ask: asking{n: v.ask.n}}
	}
}

// forget drops what is known; an answer that is under way is nobody's.
func (v *unitView) forget() {
	v.ask.drop()
	*v = unitView{of: v.of, ask: asking{n: v.ask.n}}
}

// newestLines reads the last lines of a log.
func newestLines(ctx context.Context, console fleet.Console, of fleet.LogSource) ([]fleet.LogLine, error) {
	s, err := console.Logs(ctx, fleet.LogQuery{Sources: []fleet.LogSource{of}, Lines: lastLines})
	if err != nil {
		return nil, err
	}
	defer s.Close() //nolint:errcheck // it was only read
	var lines []fleet.LogLine
	for {
		more, err := s.Next(ctx)
		lines = append(lines, more...)
		if errors.Is(err, io.EOF) {
			return lines[max(0, len(lines)-lastLines):], nil
		}
		if err != nil {
			return lines, err
		}
	}
}

// take takes in what was asked for.
func (v *unitView) take(c *screen.Context, msg unitMsg) {
	if !v.ask.end(msg.n, c.Now) {
		return
	}
	v.known = v.known.Refresh(told(msg.detail, msg.err, c.Now, "systemctl"))
	v.lines = v.lines.Refresh(told(msg.lines, msg.noLog, c.Now, "journalctl"))
}

// logOfUnit is the log of a unit: of a timer that of the unit that it starts.
func logOfUnit(st fleet.State, label string) fleet.LogSource {
	name, user := fleet.UnitLabelled(label)
	for _, t := range st.Timers.Value {
		if t.Label() == label && t.Activates != "" {
			name = t.Activates
		}
	}
	return fleet.LogSource{Unit: name, User: user}
}

// doc is all that is known of the unit.
func (v *unitView) doc(c *screen.Context, st fleet.State, label string, w int) widget.Doc {
	u := v.current(st, label)
	d := widget.Doc{}.Field(w, unitLabel, "unit", widget.L(themes.Title, label))
	d = v.state(c, d, st, u, w)
	d = v.needs(c, d, w)
	d = v.runs(c, d, st, label, w)
	d = v.how(c, d, u, w)
	d = v.log(c, st, d.Head("Last lines of "+logOfUnit(st, label).Name()), w)
	if !v.known.HasValue() {
		return d
	}
	d = d.Head("Its file")
	if v.known.Value.File == "" {
		d = d.Add(w, 0, widget.L(themes.Dim, c.Glyphs.None+" it has none"))
	}
	for l := range strings.Lines(v.known.Value.File) {
		d = fileLine(d, strings.TrimRight(l, "\n"), w)
	}
	d = v.unhiding(c, d, w)
	d = d.Head("All that systemd tells")
	for _, p := range v.known.Value.Properties {
		d = d.Add(w, 2, widget.L(themes.Dim, p[0]+"=").And(themes.Text, p[1]))
	}
	return d
}

// unhiding tells how what is hidden in the file is shown, and who has read it.
func (v *unitView) unhiding(c *screen.Context, d widget.Doc, w int) widget.Doc {
	says := fmt.Sprintf(" shows the %d that are hidden", v.known.Value.Hidden)
	switch {
	case v.known.Value.Secrets:
		says = " hides again what it puts into the environment"
	case v.known.Value.Hidden == 0:
		return d
	}
	if as := v.known.Value.As; as != "" {
		says += "; read as " + as
	}
	key, _ := c.Keys.Named("secrets")
	from := len(d)
	return d.Add(w, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" "+key.Key()).And(themes.Dim, says)).On(from, screen.TapKey{ID: "secrets"})
}

// unitLabel is the width of field names of a unit.
const unitLabel = 9

// current is the unit as it was told last: by itself, or in the list.
func (v *unitView) current(st fleet.State, label string) fleet.Unit {
	if v.known.HasValue() {
		return v.known.Value.Unit
	}
	for _, u := range st.Units.Value {
		if u.Label() == label {
			return u
		}
	}
	return fleet.Unit{}
}

// state is how it stands, and how old or why unknown that is.
func (v *unitView) state(c *screen.Context, d widget.Doc, st fleet.State, u fleet.Unit, w int) widget.Doc {
	state := unitState(u).And(themes.Dim, "  "+strings.Trim(u.Active+"/"+u.Sub, "/"))
	if !u.Since.IsZero() {
		state = state.And(themes.Dim, "  since "+words.When(u.Since, c.Now))
	}
	d = d.Field(w, unitLabel, "state", state)
	why, cure := cmp.Or(v.known.Err, st.Reach.Err), cmp.Or(v.known.Cure, st.Reach.Cure)
	switch {
	case why != "" && v.known.HasValue():
		d = d.Field(w, unitLabel, "", widget.L(themes.Unknown, "from "+words.AgoLong(v.known.At, c.Now)+": ").And(themes.Text, why))
	case why != "":
		d = d.Field(w, unitLabel, "", widget.L(themes.Unknown, "? ").And(themes.Text, why))
	case !v.known.HasValue():
		d = d.Field(w, unitLabel, "", widget.L(themes.Dim, c.Glyphs.Asking+" asking systemd"))
	}
	if why != "" && cure != "" {
		d = d.Field(w, unitLabel, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, cure))
	}
	return d.Field(w, unitLabel, "last exit", lastExit(c, u))
}

// needs is what the unit needs that is broken.
func (v *unitView) needs(c *screen.Context, d widget.Doc, w int) widget.Doc {
	if !v.known.HasValue() {
		return d
	}
	name := "needs"
	for _, b := range v.known.Value.Broken {
		l := widget.L(themes.Fail, c.Glyphs.Cross+" "+b.Name).And(themes.Text, " is "+b.State).And(themes.Dim, ": "+b.Kind+" of "+strings.Join(b.Via, " "+c.Glyphs.Arrow+" "))
		d, name = d.Field(w, unitLabel, name, l), ""
	}
	for _, why := range v.known.Value.Unseen {
		d, name = d.Field(w, unitLabel, name, widget.L(themes.Unknown, "? ").And(themes.Text, why)), ""
	}
	if name != "" {
		d = d.Field(w, unitLabel, name, widget.L(themes.OK, "nothing that is broken"))
	}
	return d
}

// runs are the timers of the unit, or the runs of the timer.
func (v *unitView) runs(c *screen.Context, d widget.Doc, st fleet.State, label string, w int) widget.Doc {
	name, user := fleet.UnitLabelled(label)
	for _, t := range st.Timers.Value {
		when := widget.L(themes.Dim, "next ").Join(nextRun(c, t)).And(themes.Dim, ", last ").Join(lastRun(c, t))
		switch {
		case t.User != user:
		case t.Name == name:
			d = d.Field(w, unitLabel, "timer", timerState(t).And(themes.Dim, "  "+t.FileState+"  ").Join(when))
			d = d.Field(w, unitLabel, "starts", orUnknown(t.Activates))
		case t.Activates == name:
			d = d.Field(w, unitLabel, "timer", widget.T(t.Name+"  ").Join(timerState(t)).And(themes.Text, "  ").Join(when))
		}
	}
	return d
}

// how is the rest of what matters most.
func (v *unitView) how(c *screen.Context, d widget.Doc, u fleet.Unit, w int) widget.Doc {
	if u.Name == "" {
		return d
	}
	d = d.Field(w, unitLabel, "what", orUnknown(u.Description))
	d = d.Field(w, unitLabel, "loaded", widget.T(cmp.Or(u.Load, "?")).And(themes.Dim, "  "+u.FileState))
	if u.Memory != nil {
		d = d.Field(w, unitLabel, "memory", widget.T(words.Bytes(*u.Memory)))
	}
	if u.Type != "" || strings.HasSuffix(u.Name, ".service") { // others run nothing
		d = d.Field(w, unitLabel, "started", widget.T(cmp.Or(words.When(u.Started, c.Now), c.Glyphs.None)))
		d = d.Field(w, unitLabel, "ended", widget.T(cmp.Or(words.When(u.Exited, c.Now), c.Glyphs.None)))
		d = d.Field(w, unitLabel, "restarts", widget.T(strconv.Itoa(u.Restarts)))
		d = d.Field(w, unitLabel, "type", widget.T(cmp.Or(u.Type, c.Glyphs.None)))
	}
	if len(u.Triggers) > 0 {
		d = d.Field(w, unitLabel, "by", widget.T(strings.Join(u.Triggers, ", ")))
	}
	if u.Source != "" {
		d = d.Field(w, unitLabel, "made from", widget.T(u.Source))
	}
	if v.known.HasValue() {
		d = d.Field(w, unitLabel, "source", widget.L(themes.Dim, v.known.Source+", "+words.AgoLong(v.known.At, c.Now)))
	}
	return d
}

// log is the last lines of the log, and the way to all of it.
func (v *unitView) log(c *screen.Context, st fleet.State, d widget.Doc, w int) widget.Doc {
	switch {
	case v.lines.Err != "":
		d = d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, v.lines.Err))
		if v.lines.Cure != "" {
			d = d.Add(w, 2, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, v.lines.Cure))
		}
	case !v.lines.HasValue() && st.Reach.Err != "":
		return d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, "the host cannot be reached"))
	case !v.lines.HasValue():
		return d.Add(w, 0, widget.L(themes.Dim, c.Glyphs.Asking+" asking"))
	case len(v.lines.Value) == 0:
		d = d.Add(w, 0, widget.L(themes.Dim, c.Glyphs.None+" the journal has none"))
	}
	for _, l := range v.lines.Value {
		role := themes.Text
		switch {
		case l.Note:
			role = themes.Dim
		case l.Level <= 3:
			role = themes.Fail
		case l.Level == 4:
			role = themes.Warn
		}
		d = d.Add(w, 2, widget.L(themes.Dim, l.At.Local().Format("01-02 15:04:05 ")).And(role, l.Text))
	}
	from := len(d)
	key, _ := c.Keys.Named("logs")
	return d.Add(w, 0, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Accent, key.Key()).And(themes.Dim, " the whole log")).On(from, screen.TapKey{ID: "logs"})
}

// fileLine adds a line of a unit's file.
func fileLine(d widget.Doc, text string, w int) widget.Doc {
	switch key, value, ok := strings.Cut(text, "="); {
	case strings.HasPrefix(text, "#"), strings.HasPrefix(text, ";"):
		return d.Add(w, 2, widget.L(themes.Dim, text))
	case strings.HasPrefix(text, "["):
		return d.Add(w, 0, widget.L(themes.Title, text))
	case ok && !strings.ContainsAny(key, " \t"):
		return d.Add(w, 2, widget.L(themes.Accent, key).And(themes.Dim, "=").And(themes.Text, value))
	}
	return d.Add(w, 2, widget.T(text))
}
