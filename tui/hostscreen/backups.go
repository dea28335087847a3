package hostscreen

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// backups is the list of what saves the data of a host, or of several. "The unit
// went well" and "the newest snapshot is from" are two columns, because they are
// two facts.
func backups(several bool) *tableTab {
	t := &tableTab{
		several: several, group: "backups",
		columns: []widget.Column{
			{Title: "host", Width: 7, Max: 16},
			{Title: "job", Width: 9, Max: 30},
			{Title: "state", Width: 5},
			{Title: "success", Width: 7},
			{Title: "snapshot", Width: 8},
			{Title: "age/limit", Width: 9, Drop: 2},
			{Title: "size", Width: 5, Drop: 3, Right: true},
			{Title: "growth", Width: 7, Drop: 4, Right: true},
			{Title: "next", Width: 7, Max: 9, Drop: 5},
			{Title: "tested", Width: 6, Drop: 7},
			{Title: "tool", Width: 6, Max: 10, Drop: 8},
			{Title: "error", Width: 12, Max: 90, Drop: 6},
		},
		rows: func(c *screen.Context, st fleet.State) []row {
			rows := make([]row, 0, len(st.Backups.Value))
			for i, j := range st.Backups.Value {
				r := row{id: j.Key(), name: j.Name, more: string(j.State) + " " + j.Tool + " " + j.Unit, at: i, worn: j.Worn(c.Now)}
				if several {
					r.more += " " + st.Host.Name
				}
				rows = append(rows, r)
			}
			return rows
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			j := st.Backups.Value[at]
			cells := []widget.Line{
				widget.L(themes.Dim, st.Host.Name), widget.T(j.Name), jobState(j), ago(c, j.LastSuccess), ago(c, j.NewestSnapshot), worn(c, j),
				widget.L(themes.Text, sizeOf(j)), growth(c, j), widget.L(themes.Dim, due(c, j)), tested(c, j), widget.L(themes.Dim, j.Tool), widget.L(themes.Fail, j.Error),
			}
			if !several {
				cells = cells[1:]
			}
			return cells
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			j := st.Backups.Value[at]
			first := widget.T(j.Name).And(themes.Text, "  ").Join(jobState(j)).And(themes.Dim, "  "+j.Tool)
			if several {
				first = first.And(themes.Dim, "  "+st.Host.Name)
			}
			second := widget.L(themes.Dim, "  ok ").Join(ago(c, j.LastSuccess)).And(themes.Dim, " snap ").Join(ago(c, j.NewestSnapshot))
			second = second.And(themes.Dim, "  ").Join(worn(c, j)).And(themes.Dim, "  "+sizeOf(j))
			return [2]widget.Line{first, second}
		},
		detail: func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
			return backup(c, st, st.Backups.Value[at], w)
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Backups, "no backup that was recognised")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Backups) },
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			if u := st.Backups.Value[at].Unit; u != "" {
				return fleet.LogSource{Unit: u}, ""
			}
			return fleet.LogSource{}, "this job has no unit"
		},
		aim: func(st fleet.State, at int, t *fleet.Target) {
			t.Item, t.Unit = st.Backups.Value[at].Key(), st.Backups.Value[at].Unit
		},
		order: worstJob,
		sorts: backupSorts(several),
	}
	if !several {
		t.columns = t.columns[1:]
	}
	return t
}

// jobOf is the job of a row.
func jobOf(r row) fleet.BackupJob { return r.of.Backups.Value[r.at] }

// worstJob puts what is broken first, and of the same state what is the oldest
// against its limit.
func worstJob(a, b row) int {
	x, y := jobOf(a), jobOf(b)
	return cmp.Or(words.BackupRank(x.State)-words.BackupRank(y.State), cmp.Compare(b.worn, a.worn), cmp.Compare(a.name, b.name))
}
func jobState(j fleet.BackupJob) widget.Line {
	if j.Running {
		return widget.L(themes.Accent, "runs")
	}
	cell := words.BackupState(j.State)
	return widget.L(cell.Role, cell.Text)
}

// backupSorts are the columns by which jobs can be sorted.
func backupSorts(several bool) []sorting {
	at := func(title, note string, of func(fleet.BackupJob) time.Time) sorting {
		return sorting{
			title: title, note: note, down: true,
			unknown: func(r row) bool { return of(jobOf(r)).IsZero() },
			order:   func(a, b row) int { return of(jobOf(b)).Compare(of(jobOf(a))) },
		}
	}
	list := []sorting{
		byText("job", "name", func(r row) string { return r.name }),
		{title: "state", note: "state", order: worstJob},
		at("success", "last success", func(j fleet.BackupJob) time.Time { return j.LastSuccess }),
		at("snapshot", "newest snapshot", func(j fleet.BackupJob) time.Time { return j.NewestSnapshot }),
		{
			title: "age/limit", note: "age against the limit", down: true,
			unknown: func(r row) bool { return r.worn < 0 },
			order:   func(a, b row) int { return cmp.Compare(a.worn, b.worn) },
		},
		{
			title: "size", note: "size", down: true,
			unknown: func(r row) bool { return jobOf(r).Size == 0 },
			order:   func(a, b row) int { return cmp.Compare(jobOf(a).Size, jobOf(b).Size) },
		},
		{
			title: "growth", note: "growth", down: true,
			unknown: func(r row) bool { _, within := jobOf(r).Growth(); return within == 0 },
			order: func(a, b row) int {
				x, _ := jobOf(a).Growth()
				y, _ := jobOf(b).Growth()
				return cmp.Compare(x, y)
			},
		},
		{
			title: "next", note: "next run",
			unknown: func(r row) bool { return jobOf(r).Next.IsZero() },
			order:   func(a, b row) int { return jobOf(a).Next.Compare(jobOf(b).Next) },
		},
		byText("tool", "tool", func(r row) string { return jobOf(r).Tool }),
	}
	if several {
		list = append([]sorting{byText("host", "host", func(r row) string { return r.of.Host.Name })}, list...)
	}
	return list
}

// ago is how long ago something was: "?" where nothing is known of it.
func ago(c *screen.Context, t time.Time) widget.Line {
	if t.IsZero() {
		return widget.L(themes.Unknown, "?")
	}
	return widget.T(words.Ago(t, c.Now))
}

// worn is the age of the last good backup against the limit: "9h/48h".
func worn(c *screen.Context, j fleet.BackupJob) widget.Line {
	role, worn := themes.Text, j.Worn(c.Now)
	switch {
	case worn < 0:
		return widget.L(themes.Unknown, "?").And(themes.Dim, "/"+limit(c, j))
	case worn > 1:
		role = themes.Warn
	}
	return widget.L(role, words.Ago(j.Good(), c.Now)).And(themes.Dim, "/"+limit(c, j))
}

// sizeOf is how much the newest snapshot holds.
func sizeOf(j fleet.BackupJob) string {
	if j.Size == 0 {
		return ""
	}
	return words.Bytes(j.Size)
}

// tested is how long ago a restore was tested.
func tested(c *screen.Context, j fleet.BackupJob) widget.Line {
	switch t := j.RestoreTest; {
	case t == nil:
		return widget.L(themes.Dim, "never")
	case !t.Well():
		return widget.L(themes.Fail, "FAIL")
	default:
		return widget.T(words.Ago(t.At, c.Now))
	}
}

// testField is all that is known of the last restore test.
func testField(c *screen.Context, d widget.Doc, j fleet.BackupJob, w int) widget.Doc {
	t := j.RestoreTest
	if t == nil {
		return d.Field(w, label, "restore", widget.L(themes.Dim, "never tested, as far as the host tells"))
	}
	text := fmt.Sprintf("%s: %s, %s: %d the same as on the host, %d changed there since", words.When(t.At, c.Now), fleet.Count(t.Files, "file"), words.Bytes(t.Bytes), t.Same, t.Changed)
	d = d.Field(w, label, "restore", widget.T("tested "+text))
	for _, bad := range t.Bad {
		d = d.Field(w, label, "", widget.L(themes.Fail, bad))
	}
	return d
}

// growth is how much the data grew by: "+1.2G" within the time that snapshots
// tell of, a month at most.
func growth(_ *screen.Context, j fleet.BackupJob) widget.Line {
	bytes, within := j.Growth()
	switch {
	case within == 0:
		return widget.Line{}
	case bytes < 0:
		return widget.L(themes.Text, "-"+words.Bytes(uint64(-bytes)))
	}
	return widget.L(themes.Text, "+"+words.Bytes(uint64(bytes)))
}

// limit is the age from which the job is stale.
func limit(c *screen.Context, j fleet.BackupJob) string {
	if j.MaxAge <= 0 {
		return c.Glyphs.None
	}
	return words.Limit(j.MaxAge.Duration())
}

// due is when the job runs next.
func due(c *screen.Context, j fleet.BackupJob) string {
	switch {
	case j.Next.IsZero():
		return c.Glyphs.None
	case j.Next.Before(c.Now):
		return "due"
	}
	return "in " + words.Age(j.Next.Sub(c.Now))
}

// backup is all that is known of a job.
func backup(c *screen.Context, st fleet.State, j fleet.BackupJob, w int) widget.Doc {
	d := widget.Doc{}.Field(w, label, "job", widget.L(themes.Title, j.Name))
	d = d.Field(w, label, "state", jobState(j))
	if j.Error != "" {
		d = d.Field(w, label, "error", widget.L(themes.Fail, j.Error))
	}
	d = d.Field(w, label, "tool", orUnknown(j.Tool))
	d = d.Field(w, label, "unit", widget.T(cmp.Or(j.Unit, c.Glyphs.None)))
	d = d.Field(w, label, "timer", widget.T(cmp.Or(j.Timer, c.Glyphs.None)))
	d = d.Field(w, label, "last run", orUnknown(words.When(j.LastRun, c.Now)))
	d = d.Field(w, label, "success", orUnknown(words.When(j.LastSuccess, c.Now)))
	d = d.Field(w, label, "snapshot", orUnknown(words.When(j.NewestSnapshot, c.Now)))
	if j.Snapshots > 0 {
		d = d.Field(w, label, "snapshots", widget.T(strconv.Itoa(j.Snapshots)))
	}
	if j.Size > 0 {
		d = d.Field(w, label, "size", widget.T(words.Bytes(j.Size)))
		text := "not told: " + whyNoGrowth(j)
		if bytes, within := j.Growth(); within > 0 {
			text = growth(c, j).String() + " in " + words.Span(within) + fmt.Sprintf(" (%+d B)", bytes)
		}
		d = d.Field(w, label, "growth", widget.T(text))
	}
	if a := j.Added(); a > 0 {
		d = d.Field(w, label, "added", widget.T(words.Bytes(a)).And(themes.Dim, "  new in the repository with the newest snapshot"))
	}
	d = d.Field(w, label, "next", widget.T(cmp.Or(words.When(j.Next, c.Now), c.Glyphs.None)))
	d = d.Field(w, label, "age", worn(c, j).And(themes.Dim, "  older than the limit is stale"))
	d = testField(c, d, j, w)
	d = repoFields(c, d, j, w)
	d = d.Field(w, label, "told by", widget.T(cmp.Or(strings.Join(j.Sources, ", "), c.Glyphs.None)))
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Backups.Source+", "+words.AgoLong(st.Backups.At, c.Now)))
}

// whyNoGrowth is why it is not known by how much the data grew.
func whyNoGrowth(j fleet.BackupJob) string {
	if len(j.Sizes) == 1 || j.Snapshots == 1 {
		return "there is one snapshot, or one day of them"
	}
	return "its tool does not tell sizes (restic before 0.17)"
}
