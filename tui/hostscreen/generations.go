package hostscreen

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// generations is the tab of the system profile's generations, newest first.
func generations() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "gen", Width: 5, Right: true},
			{Title: "date", Width: 16},
			{Title: "age", Width: 4, Drop: 4, Right: true},
			{Title: "marks", Width: 22, Max: 38},
			{Title: "version", Width: 14, Max: 36, Drop: 2},
			{Title: "kernel", Width: 8, Max: 16, Drop: 3},
			{Title: "revision", Width: 8, Max: 12, Drop: 5},
		},
		rows: func(_ *screen.Context, st fleet.State) []row {
			var rows []row
			list := st.Generations.Value
			for i := range list {
				at := len(list) - 1 - i
				if len(list) > 1 && list[0].Number > list[len(list)-1].Number {
					at = i
				}
				n := strconv.Itoa(list[at].Number)
				rows = append(rows, row{id: n, name: n, more: list[at].NixOSVersion + " " + list[at].Kernel + " " + list[at].Revision, at: at})
			}
			return rows
		},
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			g := st.Generations.Value[at]
			version := g.NixOSVersion
			if c.W < screen.Wide {
				version = release(version)
			}
			return []widget.Line{
				widget.T(strconv.Itoa(g.Number)), orUnknown(words.Stamp(g.Date)), widget.L(themes.Dim, words.Ago(g.Date, c.Now)),
				marks(c, g), orUnknown(version), orUnknown(g.Kernel), widget.L(themes.Dim, fleet.Short(g.Revision, 12)),
			}
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			g := st.Generations.Value[at]
			first := widget.L(themes.Title, strconv.Itoa(g.Number)).And(themes.Text, "  ").Join(marks(c, g))
			return [2]widget.Line{first, widget.L(themes.Dim, "  "+words.Stamp(g.Date)+" "+words.Ago(g.Date, c.Now)+"  "+release(g.NixOSVersion))}
		},
		detail: generation,
		aim: func(st fleet.State, at int, t *fleet.Target) {
			if g := st.Generations.Value[at]; !g.Running { // nothing is rolled back to what runs: then the one before is meant
				t.Generation = g.Number
			}
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Generations, "no generation")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Generations) },
	}
}

// release is a version without the commit of nixpkgs behind its day, which would
// push out the day where there is little room: 26.05.20261123 of
// 26.05.20261123.3d78f12.
func release(version string) string {
	if parts := strings.Split(version, "."); len(parts) == 4 && len(parts[2]) == len("20060102") {
		return strings.Join(parts[:3], ".")
	}
	return version
}

// marks are the words for what a generation is.
func marks(c *screen.Context, g fleet.Generation) widget.Line {
	var l widget.Line
	for _, m := range []struct {
		on   bool
		word string
		role themes.Role
	}{{g.Running, "running", themes.OK}, {g.Default, "default", themes.Accent}, {g.Booted, "booted", themes.Text}} {
		if m.on {
			l = l.And(m.role, m.word).And(themes.Text, " ")
		}
	}
	switch {
	case g.BootEntry == nil:
		l = l.And(themes.Dim, "boot entry ?")
	case !*g.BootEntry:
		l = l.And(themes.Warn, c.Glyphs.Cross+" no boot entry")
	case len(g.BootMissing) > 0:
		l = l.And(themes.Fail, c.Glyphs.Cross+" cannot boot")
	}
	return l
}

func generation(c *screen.Context, st fleet.State, at, w int) widget.Doc {
	g := st.Generations.Value[at]
	entry := widget.T("yes")
	switch {
	case g.BootEntry == nil:
		entry = widget.L(themes.Unknown, "? the boot menu could not be read")
	case !*g.BootEntry:
		entry = widget.L(themes.Warn, "no: it cannot be chosen at boot")
	case len(g.BootMissing) > 0:
		entry = widget.L(themes.Fail, "it cannot boot: not there, or empty: "+strings.Join(g.BootMissing, ", "))
	}
	d := widget.Doc{}.Field(w, label, "generation", widget.L(themes.Title, strconv.Itoa(g.Number)).And(themes.Text, "  ").Join(marks(c, g)))
	d = d.Field(w, label, "date", orUnknown(words.When(g.Date, c.Now)))
	d = d.Field(w, label, "version", orUnknown(g.NixOSVersion))
	d = d.Field(w, label, "kernel", orUnknown(g.Kernel))
	d = d.Field(w, label, "revision", widget.T(cmp.Or(g.Revision, c.Glyphs.None)))
	d = d.Field(w, label, "boot entry", entry)
	d = d.Field(w, label, "special", widget.T(cmp.Or(strings.Join(g.Specialisations, ", "), c.Glyphs.None)))
	d = d.Field(w, label, "path", widget.T(g.Path))
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Generations.Source+", "+words.AgoLong(st.Generations.At, c.Now)))
}

// label is the width of field names in details.
const label = 11

// orUnknown is text, or "?" where there is none.
func orUnknown(s string) widget.Line {
	if s == "" {
		return widget.L(themes.Unknown, "?")
	}
	return widget.T(s)
}

// none says why a list is empty: because there is nothing, or because nobody
// could look.
func none[T any](c *screen.Context, st fleet.State, f fleet.Fact[[]T], what string) []widget.Line {
	if f.Current() {
		return []widget.Line{widget.T("There is " + what + " on this host."), widget.L(themes.Dim, "so says "+f.Source+", "+words.AgoLong(f.At, c.Now))}
	}
	lines := []widget.Line{sheet.Missing(c, st, f)}
	if st.Reach.Err != "" && !strings.Contains(f.Err, st.Reach.Err) {
		lines = append(lines, widget.L(themes.Unknown, "? ").And(themes.Text, st.Reach.Err))
	}
	if cure := cmp.Or(f.Cure, st.Reach.Cure); cure != "" {
		lines = append(lines, widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, cure))
	}
	return lines
}

// outdated says that a list is from before the newest attempt to read it, and
// why; nothing while it is current.
func outdated[T any](c *screen.Context, st fleet.State, f fleet.Fact[T]) widget.Line {
	err := cmp.Or(f.Err, st.Reach.Err)
	if err == "" || !f.HasValue() {
		return nil
	}
	return widget.L(themes.Unknown, "from "+words.AgoLong(f.At, c.Now)).And(themes.Text, ": "+err)
}
