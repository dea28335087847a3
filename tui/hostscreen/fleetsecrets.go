package hostscreen

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/listing"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// NewSecrets makes the screen of the encrypted files with who can read them, and of
// what hosts make of them; a place with a tab shows the latter first.
func NewSecrets(p screen.Place) screen.Screen {
	hosts := hostSecrets(true)
	hosts.lacking("No secret is known on any host.", func(st fleet.State) known { return standingOf(st.Secrets) })
	s := &views{list: []view{
		{"Files", sealedFiles()},
		{"On hosts", &page{
			lists: hosts, place: screen.Place{Screen: screen.Secrets, Tab: "hosts"}, title: "Secrets", groups: []string{"exposure", "deploys"},
			hints:  []string{"back", "enter", "view", "find", "menu", "refresh", "help"},
			opened: openedHints, what: "name",
		}},
	}}
	if p.Tab != "" {
		s.at = 1
	}
	return s
}

// sealedFiles is the list of encrypted files, what is not well first.
func sealedFiles() *listing.Screen {
	return listing.New(listing.Kind{
		Screen: screen.Secrets, Title: "Secrets", Group: "served", What: "path",
		Hints: []string{"back", "enter", "view", "find", "copy", "refresh", "help"},
		Columns: func(*screen.Context) []widget.Column {
			return []widget.Column{
				{Title: "file", Width: 16, Max: 44}, {Title: "state", Width: 6}, {Title: "hosts", Width: 12, Max: 40}, {Title: "others", Width: 8, Max: 30, Drop: 2}, {Title: "used by", Width: 8, Max: 30, Drop: 1},
			}
		},
		Rows:  sealedRows,
		Above: func(*screen.Context) widget.Line { return nil },
		Below: func(c *screen.Context, r listing.Row, w int) widget.Doc {
			return sealedFile(c, r.Of.(fleet.SecretFile), w)
		},
		Empty: noFile,
		Full:  true,
	})
}

// fileWords are how files stand, worst first.
var fileWords = []string{"cannot", "gone", "nobody", "rule", "?", "ok"}

func sealedRows(c *screen.Context) []listing.Row {
	files := c.Snap.SecretFiles()
	slices.SortStableFunc(files, func(a, b fleet.SecretFile) int {
		return cmp.Compare(slices.Index(fileWords, a.Word()), slices.Index(fileWords, b.Word()))
	})
	var rows []listing.Row
	for _, f := range files {
		state, hosts := secretState(f.Word()), strings.Join(f.Hosts(), " ")
		rows = append(rows, listing.Row{
			ID: f.Path, Of: f, Copy: f.Path, Find: strings.Join([]string{f.Path, f.Word(), f.Kind, others(f), hosts}, "\n"),
			Cells: []widget.Line{widget.T(f.Path), state, widget.T(hosts), widget.L(themes.Dim, others(f)), widget.L(themes.Dim, needed(f))},
			Lines: [2]widget.Line{state.And(themes.Text, "  "+f.Path), widget.L(themes.Dim, "  "+cmp.Or(hosts, "no host"))},
		})
	}
	return rows
}

// noFile says why no file is known.
func noFile(c *screen.Context) []widget.Line {
	why := cmp.Or(c.Snap.Sealed.Err, "none lies in "+c.Snap.Sealed.Value.Folder)
	if !c.Snap.Sealed.Asked() {
		why = "the flake was not looked through yet"
	}
	return []widget.Line{widget.T("No encrypted file is known."), widget.L(themes.Dim, why)}
}

// others are who can read a file beside hosts of the fleet.
func others(f fleet.SecretFile) string {
	var out []string
	for _, r := range f.Readers {
		if r.Who != fleet.ReaderHost && !slices.Contains(out, r.Label()) {
			out = append(out, r.Label())
		}
	}
	return strings.Join(out, " ")
}

// needed are the hosts that decrypt a file.
func needed(f fleet.SecretFile) string {
	var out []string
	for _, u := range f.Uses {
		out = append(out, u.Host)
	}
	return strings.Join(out, " ")
}

// sealedFile tells of each recipient who it is, and of the rule.
func sealedFile(c *screen.Context, s fleet.SecretFile, w int) widget.Doc {
	state := secretState(s.Word())
	if says := s.Says(); says != "" {
		state = state.And(themes.Text, "  "+says)
	}
	d := widget.Doc{}.Field(w, label, "file", widget.L(themes.Title, s.Path)).Field(w, label, "state", state)
	if cure := s.Cure(); cure != "" {
		d = d.Field(w, label, "cure", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, cure))
	}
	for i, r := range s.Readers {
		d = d.Field(w, label, []string{"readers", ""}[min(i, 1)], reader(r))
	}
	for _, u := range s.Uses {
		d = d.Field(w, label, "used by", widget.T(u.Host).And(themes.Dim, "  "+strings.Join(u.Names, " ")))
	}
	if s.RuleFrom != "" {
		d = d.Field(w, label, "rule", widget.T(s.RuleFrom+": "+cmp.Or(map[string]string{"same": "as it says"}[s.Rule], "it says otherwise")))
	}
	for _, r := range s.Missing {
		d = d.Field(w, label, "", widget.T("missing: ").Join(reader(r)))
	}
	for _, r := range s.Extra {
		d = d.Field(w, label, "", widget.T("too many: ").Join(reader(r)))
	}
	if len(s.Names) > 0 {
		d = d.Field(w, label, "holds", widget.L(themes.Dim, strings.Join(s.Names, " ")))
	}
	if !s.Modified.IsZero() {
		d = d.Field(w, label, "changed", widget.L(themes.Dim, words.When(s.Modified, c.Now)))
	}
	return d
}

// reader is one recipient and who that is.
func reader(r fleet.Reader) widget.Line {
	role, what := themes.Text, r.Kind
	switch r.Who {
	case fleet.ReaderGone:
		role, what = themes.Warn, "no host of the fleet"
	case fleet.ReaderUnknown, fleet.ReaderUnnamed:
		role, what = themes.Unknown, r.Kind+", whose is not known"
	case fleet.ReaderPerson:
		what = "a person's key, by the rules"
	}
	return widget.L(role, r.Label()).And(themes.Dim, "  "+cmp.Or(r.Why, what))
}
