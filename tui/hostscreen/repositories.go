package hostscreen

import (
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// newRepositories is the list of the repositories of all hosts.
func newRepositories() *listing.Screen {
	return listing.New(listing.Kind{
		Screen: screen.Backups, Title: "Backups", Group: "backups", What: "repository",
		Hints: []string{"back", "enter", "view", "find", "copy", "refresh", "help"},
		Columns: func(*screen.Context) []widget.Column {
			return []widget.Column{
				{Title: "repository", Width: 10}, {Title: "jobs", Width: 18, Max: 50}, {Title: "snapshots", Width: 9, Right: true, Drop: 1}, {Title: "hosts", Width: 5, Right: true, Drop: 2},
				{Title: "orphans", Width: 7, Right: true}, {Title: "checked", Width: 10}, {Title: "pruned", Width: 10}, {Title: "tool", Width: 6, Drop: 3},
			}
		},
		Rows:  repoRows,
		Above: func(*screen.Context) widget.Line { return nil },
		Below: func(c *screen.Context, r listing.Row, w int) widget.Doc { return seenRepo(c, r.Of.(fleet.SeenRepo), w) },
		Empty: func(*screen.Context) []widget.Line {
			return []widget.Line{widget.T("No repository is known yet."), widget.L(themes.Dim, "Those of restic and rustic are asked for their IDs when their snapshots are read.")}
		},
		Full:  true,
		Focus: func(listing.Row) fleet.Focus { return fleet.Focus{Tab: "backups"} },
	})
}

func repoRows(c *screen.Context) []listing.Row {
	var rows []listing.Row
	for _, s := range fleet.Repositories(c.Snap.Hosts) {
		id, jobs := fleet.ShortRepo(s.ID), strings.Join(s.Jobs, " ")
		rows = append(rows, listing.Row{
			ID: s.ID, Of: s, Find: s.ID + " " + jobs, Copy: s.ID,
			Cells: []widget.Line{
				widget.T(id), widget.T(jobs), widget.T(fmt.Sprint(s.Snapshots)), widget.T(fmt.Sprint(len(s.Hosts))), orphans(s), upkeep(c, s.Check), upkeep(c, s.Prune), widget.L(themes.Dim, s.Tool),
			},
			Lines: [2]widget.Line{
				widget.T(id).And(themes.Dim, "  "+jobs),
				widget.L(themes.Dim, "  checked ").Join(upkeep(c, s.Check)).And(themes.Dim, "  pruned ").Join(upkeep(c, s.Prune)),
			},
		})
	}
	return rows
}

// seenRepo tells whose snapshots a repository holds, and of its upkeep.
func seenRepo(c *screen.Context, s fleet.SeenRepo, w int) widget.Doc {
	var d widget.Doc
	for i, h := range s.Hosts {
		l := widget.T(h.Name).And(themes.Dim, fmt.Sprintf("  %s, the newest %s", fleet.Count(h.Snapshots, "snapshot"), words.AgoLong(h.Newest, c.Now)))
		if h.Orphan {
			l = l.And(themes.Warn, "  orphan: no host of the fleet has this name")
		}
		d = d.Field(w, label, []string{"holds", ""}[min(i, 1)], l)
	}
	d = d.Field(w, label, "checked", upkeepLong(c, s.Check))
	d = d.Field(w, label, "pruned", upkeepLong(c, s.Prune))
	d = d.Field(w, label, "listed", widget.L(themes.Dim, words.When(s.At, c.Now)))
	return d.Field(w, label, "id", widget.L(themes.Dim, s.ID))
}

func orphans(s fleet.SeenRepo) widget.Line {
	n := 0
	for _, h := range s.Hosts {
		if h.Orphan {
			n++
		}
	}
	if n == 0 {
		return widget.L(themes.Dim, "0")
	}
	return widget.L(themes.Warn, fmt.Sprint(n))
}

// upkeep is when a repository was last checked or pruned.
func upkeep(c *screen.Context, u fleet.Upkeep) widget.Line {
	switch {
	case u.At.IsZero() && u.Since.IsZero():
		return widget.L(themes.Unknown, "?")
	case u.At.IsZero():
		return widget.L(themes.Dim, "not in "+words.Ago(u.Since, c.Now))
	case !u.OK:
		return widget.L(themes.Fail, "FAIL "+words.Ago(u.At, c.Now))
	}
	return widget.T(words.Ago(u.At, c.Now))
}

// upkeepLong is the same with how that is known.
func upkeepLong(c *screen.Context, u fleet.Upkeep) widget.Line {
	switch {
	case u.At.IsZero() && u.Since.IsZero():
		return widget.L(themes.Unknown, "? the journal could not be read")
	case u.At.IsZero():
		return widget.L(themes.Warn, "never since "+words.When(u.Since, c.Now)).And(themes.Dim, ": the journal goes no further back")
	}
	how := widget.T("well")
	if !u.OK {
		how = widget.L(themes.Fail, "FAILED")
	}
	return how.And(themes.Text, "  "+words.When(u.At, c.Now)).And(themes.Dim, "  by "+u.By)
}

// repoFields are what is known of the repository of one job.
func repoFields(c *screen.Context, d widget.Doc, j fleet.BackupJob, w int) widget.Doc {
	r := j.Repo
	if r == nil {
		return d
	}
	id := "its ID is not known"
	if r.ID != "" {
		id = fleet.ShortRepo(r.ID)
	}
	d = d.Field(w, label, "repository", widget.T(id).And(themes.Dim, fmt.Sprintf("  %s of %s, listed %s", fleet.Count(r.Snapshots, "snapshot"), fleet.Count(len(r.Hosts), "host"), words.AgoLong(r.At, c.Now))))
	d = d.Field(w, label, "checked", upkeepLong(c, r.Check))
	return d.Field(w, label, "pruned", upkeepLong(c, r.Prune))
}
