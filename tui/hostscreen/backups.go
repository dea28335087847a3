package hostscreen

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// backups is the tab of what saves a host's data. "The unit went well" and
// "the newest snapshot is from" are two columns, because they are two facts.
func backups() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "job", Width: 12, Max: 30},
			{Title: "state", Width: 5},
			{Title: "last success", Width: 12, Max: 16},
			{Title: "snapshot", Width: 9, Max: 16},
			{Title: "limit", Width: 5, Drop: 3, Right: true},
			{Title: "next", Width: 7, Max: 9, Drop: 4},
			{Title: "tool", Width: 7, Max: 10, Drop: 5},
			{Title: "error", Width: 12, Max: 90, Drop: 2},
		},
		rows: func(_ *screen.Context, st fleet.State) []row {
			rows := make([]row, 0, len(st.Backups.Value))
			for i, j := range st.Backups.Value {
				rows = append(rows, row{id: j.Tool + "/" + j.Name, name: j.Name, more: string(j.State) + " " + j.Tool + " " + j.Unit, at: i})
			}
			return rows
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			j := st.Backups.Value[at]
			return []widget.Line{
				widget.T(j.Name), jobState(j), since(c, j.LastSuccess), since(c, j.NewestSnapshot),
				widget.L(themes.Dim, limit(c, j)), widget.L(themes.Dim, due(c, j)), widget.L(themes.Dim, j.Tool),
				widget.L(themes.Fail, j.Error),
			}
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			j := st.Backups.Value[at]
			second := widget.L(themes.Dim, "  ok ").Join(since(c, j.LastSuccess)).And(themes.Dim, "  snapshot ").Join(since(c, j.NewestSnapshot))
			return [2]widget.Line{widget.T(j.Name).And(themes.Text, "  ").Join(jobState(j)).And(themes.Dim, "  "+j.Tool), second}
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
		aim: func(st fleet.State, at int, t *fleet.Target) { t.Unit = st.Backups.Value[at].Unit },
	}
}

func jobState(j fleet.BackupJob) widget.Line {
	if j.Running {
		return widget.L(themes.Accent, "runs")
	}
	cell := words.BackupState(j.State)
	return widget.L(cell.Role, cell.Text)
}

// since is how long ago something was: "?" where nothing is known of it.
func since(c *screen.Context, t time.Time) widget.Line {
	if t.IsZero() {
		return widget.L(themes.Unknown, "?")
	}
	return widget.T(words.AgoLong(t, c.Now))
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
	}
	d = d.Field(w, label, "next", widget.T(cmp.Or(words.When(j.Next, c.Now), c.Glyphs.None)))
	d = d.Field(w, label, "limit", widget.T(limit(c, j)).And(themes.Dim, "  older than this is stale"))
	d = d.Field(w, label, "told by", widget.T(cmp.Or(strings.Join(j.Sources, ", "), c.Glyphs.None)))
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Backups.Source+", "+words.AgoLong(st.Backups.At, c.Now)))
}
