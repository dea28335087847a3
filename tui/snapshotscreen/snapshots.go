// Package snapshotscreen shows the snapshots of a backup job, what is in them, and
// how two of them differ. The host is asked for each of it when it is opened.
package snapshotscreen

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// patience is how long is waited for a repository.
const patience = 140 * time.Second

// Screen is the snapshots of a job.
type Screen struct {
	all    context.Context // of the UI
	stop   context.CancelFunc
	host   fleet.HostID
	job    string // its key
	state  fleet.State
	filter string

	snapshots []fleet.BackupSnapshot
	asking    bool
	err       error
	round     int    // of asking; older answers are dropped
	trail     []view // what was left to get here, to go back to
	view
}

// view is what is shown, with what was told of it.
type view struct {
	level level
	told  bool // it was read
	list  widget.List
	files fleet.FileList
	diff  fleet.SnapshotDiff
}

// level is what is shown: the snapshots, a folder of one, or a difference.
type level struct {
	snapshot string // "": the snapshots
	folder   string
	to       string // of a difference
}

// toldMsg brings what was asked for.
type toldMsg struct {
	of        *Screen
	round     int
	snapshots []fleet.BackupSnapshot
	files     fleet.FileList
	diff      fleet.SnapshotDiff
	err       error
}

// New makes the screen of a job; what it asks ends with life.
func New(life context.Context, p screen.Place) *Screen {
	return &Screen{all: life, host: p.Host, job: p.Item}
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place {
	return screen.Place{Screen: screen.Snapshots, Host: s.host, Item: s.job}
}

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string {
	_, name, _ := strings.Cut(s.job, "/")
	t := []string{s.state.Host.Name, name, "Snapshots"}
	switch l := s.level; {
	case l.to != "":
		t = append(t, short(l.snapshot)+" "+short(l.to))
	case l.snapshot != "":
		t = append(t, short(l.snapshot), fleet.Clean(l.folder))
	}
	return t
}

// short is the beginning of an ID, which is enough to tell snapshots apart.
func short(id string) string { return id[:min(8, len(id))] }

// Scopes implements screen.Screen. What can be done to a job is in the group of
// deploys, too.
func (s *Screen) Scopes() []string { return []string{"snapshots", "table", "list", "deploys"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	switch {
	case s.level.to != "":
		return []string{"back", "find", "copy", "help"}
	case s.level.snapshot != "":
		return []string{"back", "enter", "menu", "find", "copy", "help"}
	}
	return []string{"back", "enter", "mark", "difference", "menu", "find", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect {
	if s.told {
		return s.Fresh(c)
	}
	return screen.All{s.Fresh(c), s.ask(c)}
}

// Close implements screen.Screen: nobody waits for what is asked any more.
func (s *Screen) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.round++
	s.asking = false
}

// Again implements screen.Asker.
func (s *Screen) Again(c *screen.Context) screen.Effect { return s.ask(c) }

// ask asks for what is shown.
func (s *Screen) ask(c *screen.Context) screen.Effect {
	s.Close()
	ctx, cancel := context.WithTimeout(s.all, patience)
	s.stop, s.asking, s.err = cancel, true, nil
	at, round, console := s.level, s.round, c.Console
	return screen.Run{Cmd: func() tea.Msg {
		defer cancel()
		m := toldMsg{of: s, round: round}
		switch {
		case at.to != "":
			m.diff, m.err = console.SnapshotDiff(ctx, s.host, s.job, at.snapshot, at.to)
		case at.snapshot != "":
			m.files, m.err = console.SnapshotFiles(ctx, s.host, s.job, at.snapshot, at.folder)
		default:
			m.snapshots, m.err = console.Snapshots(ctx, s.host, s.job)
		}
		return m
	}}
}

// Receive implements screen.Screen.
func (s *Screen) Receive(_ *screen.Context, msg tea.Msg) screen.Effect {
	m, ok := msg.(toldMsg)
	if !ok || m.of != s || m.round != s.round {
		return nil
	}
	s.asking, s.err, s.told = false, m.err, s.told || m.err == nil
	switch {
	case m.err != nil:
	case s.level.to != "":
		s.diff = m.diff
	case s.level.snapshot != "":
		s.files = m.files
		slices.SortStableFunc(s.files.Files, func(a, b fleet.SnapshotFile) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
		})
	default:
		s.snapshots = m.snapshots
	}
	s.fill()
	return nil
}

// rank puts folders first.
func rank(f fleet.SnapshotFile) int {
	if f.Kind == fleet.KindFolder {
		return 0
	}
	return 1
}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	if st, ok := c.Snap.Host(s.host); ok {
		s.state = st
	}
	return nil
}

// fill makes the rows: their IDs are numbers in what was told.
func (s *Screen) fill() {
	var ids []string
	for i := range s.count() {
		want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
		if want == "" || strings.Contains(strings.ToLower(s.text(i)), want) != not {
			ids = append(ids, strconv.Itoa(i))
		}
	}
	s.list.Set(ids)
}

// count is how many rows there are.
func (s *Screen) count() int {
	switch {
	case s.level.to != "":
		return len(s.diff.Changes)
	case s.level.snapshot != "":
		return len(s.files.Files)
	}
	return len(s.snapshots)
}

// text is what a row is found by.
func (s *Screen) text(i int) string {
	switch {
	case s.level.to != "":
		return s.diff.Changes[i].Path
	case s.level.snapshot != "":
		return s.files.Files[i].Name
	}
	b := s.snapshots[i]
	return b.ID + " " + b.Label + " " + strings.Join(b.Tags, " ") + " " + strings.Join(b.Paths, " ") + " " + words.Stamp(b.At)
}

// at is the number of a row.
func at(id string) int { n, _ := strconv.Atoi(id); return n }

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	p.Line(1, 0, p.W-2, s.heading(c))
	table := widget.Table{
		Tall:   c.W < screen.Narrow && s.level.to == "",
		Cells:  func(id string) []widget.Line { return s.cells(c, at(id)) },
		Lines:  func(id string) [2]widget.Line { return s.lines(c, at(id)) },
		Target: func(id string) any { return screen.TapRow{ID: id} },
		Empty:  s.empty(),
	}
	switch {
	case s.level.to != "":
		table.Columns = []widget.Column{{Title: "", Width: 2}, {Title: "path", Width: 20, Max: 300}}
	case s.level.snapshot != "":
		table.Columns = []widget.Column{{Title: "name", Width: 20, Max: 80}, {Title: "size", Width: 6, Right: true}, {Title: "changed", Width: 16, Drop: 1}, {Title: "mode", Width: 10, Drop: 2}}
	default:
		table.Columns = []widget.Column{
			{Title: "made", Width: 16}, {Title: "age", Width: 4, Right: true}, {Title: "snapshot", Width: 8}, {Title: "size", Width: 6, Right: true, Drop: 1},
			{Title: "added", Width: 6, Right: true, Drop: 2}, {Title: "paths", Width: 16, Max: 80, Drop: 3},
		}
	}
	table.Draw(p.Sub(0, 1, p.W, p.H-1), &s.list)
}

// heading says what is shown, and what is asked or could not be.
func (s *Screen) heading(c *screen.Context) widget.Line {
	n := s.count()
	var l widget.Line
	switch {
	case s.level.to != "":
		l = widget.L(themes.Dim, fmt.Sprintf("%d changes from %s to %s", n, short(s.level.snapshot), short(s.level.to)))
	case s.level.snapshot != "":
		l = widget.L(themes.Dim, fmt.Sprintf("%s: %d of %s", short(s.level.snapshot), n, fleet.Clean(s.level.folder)))
	default:
		l = widget.L(themes.Dim, fleet.Count(n, "snapshot"))
	}
	switch asking := c.Glyphs.Asking + " asking the repository"; {
	case s.asking && s.told:
		return l.And(themes.Dim, "  "+asking)
	case s.asking:
		return widget.L(themes.Dim, asking)
	case !s.told:
		return widget.L(themes.Unknown, "? not read")
	}
	if s.level.to != "" && s.diff.More || s.level.snapshot != "" && s.files.More {
		l = l.And(themes.Unknown, "  ? there is more than is listed")
	}
	return l
}

func (s *Screen) empty() []widget.Line {
	switch {
	case s.asking:
		return []widget.Line{widget.L(themes.Dim, "The repository is asked through the host.")}
	case s.err != nil:
		lines := []widget.Line{widget.L(themes.Fail, fleet.InFull(s.err))}
		return append(lines, widget.L(themes.Dim, "r asks again."))
	case !s.told:
		return []widget.Line{widget.L(themes.Dim, "It was not read: r asks.")}
	case s.filter != "" && s.count() > 0:
		return []widget.Line{widget.T("Nothing matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	case s.level.to != "":
		return []widget.Line{widget.T("They do not differ.")}
	case s.level.snapshot != "":
		return []widget.Line{widget.T("The folder is empty.")}
	}
	return []widget.Line{widget.T("There is no snapshot of this job.")}
}

func bytes(n uint64) string {
	if n == 0 {
		return ""
	}
	return words.Bytes(n)
}

func (s *Screen) cells(c *screen.Context, i int) []widget.Line {
	switch {
	case s.level.to != "":
		ch := s.diff.Changes[i]
		return []widget.Line{sign(ch.Sign), widget.T(ch.Path)}
	case s.level.snapshot != "":
		f := s.files.Files[i]
		return []widget.Line{nameOf(f), widget.T(bytes(f.Size)), widget.L(themes.Dim, words.Stamp(f.Changed)), widget.L(themes.Dim, f.Mode)}
	}
	b := s.snapshots[i]
	return []widget.Line{
		widget.T(words.Stamp(b.At)), widget.L(themes.Dim, words.Ago(b.At, c.Now)), widget.L(themes.Dim, short(b.ID)), widget.T(bytes(b.Size)), widget.L(themes.Dim, bytes(b.Added)),
		widget.T(strings.Join(b.Paths, " ")),
	}
}

func (s *Screen) lines(c *screen.Context, i int) [2]widget.Line {
	if s.level.snapshot != "" {
		f := s.files.Files[i]
		return [2]widget.Line{nameOf(f), widget.L(themes.Dim, strings.TrimSpace("  "+bytes(f.Size)+"  "+words.Stamp(f.Changed)))}
	}
	b := s.snapshots[i]
	return [2]widget.Line{
		widget.T(words.Stamp(b.At)).And(themes.Dim, "  "+words.Ago(b.At, c.Now)+"  "+short(b.ID)),
		widget.L(themes.Dim, "  "+bytes(b.Size)+"  "+strings.Join(b.Paths, " ")),
	}
}

// nameOf is the name of a file, with "/" behind that of a folder.
func nameOf(f fleet.SnapshotFile) widget.Line {
	switch f.Kind {
	case fleet.KindFolder:
		return widget.L(themes.Accent, f.Name+"/")
	case fleet.KindLink:
		return widget.L(themes.Dim, f.Name+"@")
	}
	return widget.T(f.Name)
}

// sign is the sign of a change in its colour.
func sign(sign string) widget.Line {
	switch sign[:min(1, len(sign))] {
	case "+":
		return widget.L(themes.OK, sign)
	case "-":
		return widget.L(themes.Fail, sign)
	}
	return widget.L(themes.Warn, sign)
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if id != "enter" && s.list.Do(id) {
		return nil
	}
	sel, ok := s.list.Selected()
	switch {
	case id == "difference":
		return s.compare(c)
	case id != "enter" || !ok:
	case s.level.snapshot == "":
		return s.turn(c, level{snapshot: s.snapshots[at(sel)].ID, folder: "/"})
	case s.level.to == "" && s.files.Files[at(sel)].Kind == fleet.KindFolder:
		return s.turn(c, level{snapshot: s.level.snapshot, folder: s.files.Files[at(sel)].Path})
	}
	return nil
}

// compare shows how the two marked snapshots differ; of one, how it differs from
// the one before it.
func (s *Screen) compare(c *screen.Context) screen.Effect {
	if s.level.snapshot != "" {
		return nil
	}
	var chosen []int
	for _, id := range s.list.Marks() {
		chosen = append(chosen, at(id))
	}
	if sel, ok := s.list.Selected(); ok && len(chosen) == 0 {
		chosen = []int{at(sel), at(sel) + 1}
	}
	if len(chosen) != 2 || chosen[1] >= len(s.snapshots) && chosen[0] >= len(s.snapshots)-1 {
		return screen.Flash{Level: fleet.Info, Text: "difference: mark two snapshots, or choose one that has another before it"}
	}
	slices.Sort(chosen) // the newest stands first
	return s.turn(c, level{snapshot: s.snapshots[chosen[1]].ID, to: s.snapshots[chosen[0]].ID})
}

// turn shows something else, and keeps what was shown to go back to.
func (s *Screen) turn(c *screen.Context, to level) screen.Effect {
	s.trail, s.view, s.filter = append(s.trail, s.view), view{level: to}, ""
	e := s.ask(c)
	s.fill()
	return e
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected row
// opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	if t, ok := target.(screen.TapRow); ok && s.list.Tap(t.ID) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen: the filter goes first, then a folder, then the
// snapshot, then the marks.
func (s *Screen) Back(c *screen.Context) bool {
	n := len(s.trail)
	switch {
	case s.filter != "":
		s.Find(c, "", true)
	case n == 0:
		return s.list.ClearMarks()
	default:
		s.Close()
		s.view, s.trail, s.err = s.trail[n-1], s.trail[:n-1], nil
		s.fill()
	}
	return true
}

// Target implements screen.Screen: the job, and what is selected in a snapshot.
func (s *Screen) Target(*screen.Context) fleet.Target {
	t := fleet.Target{Hosts: []fleet.State{s.state}, Item: s.job}
	if j, ok := s.state.Job(s.job); ok {
		t.Unit = j.Unit
	}
	if sel, ok := s.list.Selected(); ok && s.level.snapshot != "" && s.level.to == "" {
		t.Snapshot, t.Path = s.level.snapshot, s.files.Files[at(sel)].Path
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus {
	return fleet.Focus{Host: s.host, Tab: "backups"}
}

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), s.count())
}

// Find implements screen.Finder.
func (s *Screen) Find(_ *screen.Context, text string, _ bool) {
	s.filter = text
	s.fill()
}

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	sel, ok := s.list.Selected()
	switch {
	case !ok:
		return "", ""
	case s.level.to != "":
		return "path", s.diff.Changes[at(sel)].Path
	case s.level.snapshot != "":
		return "path", fleet.Clean(s.files.Files[at(sel)].Path)
	}
	return "snapshot", s.snapshots[at(sel)].ID
}
