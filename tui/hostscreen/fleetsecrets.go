package hostscreen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Secrets is the screen of the encrypted files with who can read them, and of what
// hosts make of them.
type Secrets struct {
	files sealedFiles
	hosts *tableTab
	at    int // the view: files, hosts
}

// NewSecrets makes the screen; a place with a tab is the list of what hosts have.
func NewSecrets(p screen.Place) *Secrets {
	s := &Secrets{hosts: hostSecrets(true)}
	if p.Tab != "" {
		s.at = 1
	}
	s.hosts.age = func(c *screen.Context, _ fleet.State) widget.Line { return s.holes(c) }
	s.hosts.missing = func(c *screen.Context, _ fleet.State) []widget.Line {
		lines := []widget.Line{widget.T("No secret is known on any host.")}
		if l := s.holes(c); len(l) > 0 {
			lines = append(lines, l)
		}
		return lines
	}
	return s
}

// holes names the hosts of whose secrets nothing is known, or only from before.
func (s *Secrets) holes(c *screen.Context) widget.Line {
	var missing, old, asked []string
	for _, st := range s.hosts.states {
		f, name := st.Secrets, st.Host.Name
		switch {
		case f.None, f.Current():
		case f.HasValue():
			old = append(old, name+" "+words.Ago(f.At, c.Now))
		case !f.Asked() && st.Reach.Err == "":
			asked = append(asked, name)
		default:
			missing = append(missing, name)
		}
	}
	return named(nil, c, []naming{{themes.Unknown, "? not known: ", missing}, {themes.Unknown, "from before: ", old}, {themes.Dim, c.Glyphs.Asking + " asking: ", asked}})
}

// Place implements screen.Screen.
func (s *Secrets) Place() screen.Place {
	if s.at == 1 {
		return screen.Place{Screen: screen.Secrets, Tab: "hosts"}
	}
	return screen.Place{Screen: screen.Secrets}
}

// Title implements screen.Screen.
func (s *Secrets) Title(*screen.Context) []string { return []string{"Secrets"} }

// Scopes implements screen.Screen. What can be done to units is in the group of
// deploys, too.
func (s *Secrets) Scopes() []string {
	if s.at == 0 {
		return []string{"served", "table", "list", "deploys"}
	}
	return append(s.hosts.scopes(), "deploys")
}

// Hints implements screen.Screen.
func (s *Secrets) Hints(*screen.Context) []string {
	if s.at == 0 {
		return []string{"back", "view", "find", "copy", "refresh", "help"}
	}
	return []string{"back", "enter", "view", "find", "menu", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Secrets) Open(c *screen.Context) screen.Effect { return s.Fresh(c) }

// Close implements screen.Screen.
func (s *Secrets) Close() {}

// Fresh implements screen.Screen.
func (s *Secrets) Fresh(c *screen.Context) screen.Effect {
	s.files.take(c.Snap)
	s.hosts.take(c, c.Snap.Hosts)
	return nil
}

// Receive implements screen.Screen.
func (s *Secrets) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	return s.hosts.receive(c, fleet.State{}, msg)
}

// Draw implements screen.Screen.
func (s *Secrets) Draw(c *screen.Context, p widget.Pane) {
	drawNames(p.Sub(1, 0, p.W-1, 1), []string{counted("Files", len(s.files.byID)), counted("On hosts", len(s.hosts.byID))}, s.at)
	p = p.Sub(0, 1, p.W, p.H-1)
	if s.at == 0 {
		s.files.draw(c, p)
		return
	}
	s.hosts.draw(c, fleet.State{}, p)
}

// Do implements screen.Screen.
func (s *Secrets) Do(c *screen.Context, id string) screen.Effect {
	switch {
	case id == "view":
		s.at, s.hosts.open = 1-s.at, ""
		return nil
	case s.at == 0:
		if s.files.list.Do(id) {
			s.files.scroll.Reset()
		}
		return nil
	}
	return s.hosts.do(c, fleet.State{}, id)
}

// Tap implements screen.Screen.
func (s *Secrets) Tap(c *screen.Context, target any) screen.Effect {
	if v, ok := target.(tapView); ok {
		s.at, s.hosts.open = v.n, ""
		return nil
	}
	if r, ok := target.(screen.TapRow); ok && s.at == 0 {
		s.files.list.Tap(r.ID)
		s.files.scroll.Reset()
		return nil
	}
	return s.hosts.tap(c, fleet.State{}, target)
}

// Back implements screen.Screen: the filter goes first.
func (s *Secrets) Back(c *screen.Context) bool {
	switch {
	case s.at == 0 && s.files.filter != "":
		s.Find(c, "", true)
		return true
	case s.at == 0:
		return false
	case !s.hosts.back(c, fleet.State{}):
		s.at = 0
	}
	return true
}

// Target implements screen.Screen: the unit of the selected secret.
func (s *Secrets) Target(*screen.Context) fleet.Target {
	var t fleet.Target
	if s.at == 1 {
		s.hosts.target(fleet.State{}, &t)
	}
	return t
}

// Focus implements screen.Screen.
func (s *Secrets) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

// Finding implements screen.Finder.
func (s *Secrets) Finding() (text, label string) {
	if s.at == 0 {
		return s.files.filter, fmt.Sprintf("%d of %d", s.files.list.Len(), len(s.files.byID))
	}
	return s.hosts.filter, fmt.Sprintf("%d of %d", s.hosts.list.Len(), len(s.hosts.byID))
}

// Find implements screen.Finder.
func (s *Secrets) Find(c *screen.Context, text string, _ bool) {
	if s.at == 0 {
		s.files.filter = text
		s.files.take(c.Snap)
		return
	}
	s.hosts.find(c, text)
}

// Copy implements screen.Copier.
func (s *Secrets) Copy(*screen.Context) (what, text string) {
	if id, ok := s.files.list.Selected(); ok && s.at == 0 {
		return "path", id
	}
	if r, ok := s.hosts.row(); ok && s.at == 1 {
		return "name", r.name
	}
	return "", ""
}

// sealedFiles is the list of encrypted files, what is not well first, with all that
// is known of the selected one below it.
type sealedFiles struct {
	list   widget.List
	scroll widget.Scroll
	byID   map[string]fleet.SecretFile
	filter string
}

// fileWords are how files stand, worst first.
var fileWords = []string{"cannot", "gone", "nobody", "rule", "?", "ok"}

func (f *sealedFiles) take(snap fleet.Snapshot) {
	f.byID = map[string]fleet.SecretFile{}
	files := snap.SecretFiles()
	slices.SortStableFunc(files, func(a, b fleet.SecretFile) int {
		return cmp.Compare(slices.Index(fileWords, a.Word()), slices.Index(fileWords, b.Word()))
	})
	var ids []string
	want, not := strings.CutPrefix(strings.ToLower(f.filter), "!")
	for _, one := range files {
		f.byID[one.Path] = one
		in := strings.ToLower(strings.Join(append([]string{one.Path, one.Word(), one.Kind, others(one)}, one.Hosts()...), "\n"))
		if want == "" || strings.Contains(in, want) != not {
			ids = append(ids, one.Path)
		}
	}
	f.list.Set(ids)
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

func (f *sealedFiles) draw(c *screen.Context, p widget.Pane) {
	table := widget.Table{
		Columns: []widget.Column{
			{Title: "file", Width: 16, Max: 44}, {Title: "state", Width: 6}, {Title: "hosts", Width: 12, Max: 40}, {Title: "others", Width: 8, Max: 30, Drop: 2}, {Title: "used by", Width: 8, Max: 30, Drop: 1},
		},
		Tall: c.W < screen.Narrow,
		Cells: func(id string) []widget.Line {
			s := f.byID[id]
			return []widget.Line{widget.T(s.Path), secretState(s.Word()), widget.T(strings.Join(s.Hosts(), " ")), widget.L(themes.Dim, others(s)), widget.L(themes.Dim, needed(s))}
		},
		Lines: func(id string) [2]widget.Line {
			s := f.byID[id]
			return [2]widget.Line{secretState(s.Word()).And(themes.Text, "  "+s.Path), widget.L(themes.Dim, "  "+cmp.Or(strings.Join(s.Hosts(), " "), "no host"))}
		},
		Target: func(id string) any { return screen.TapRow{ID: id} },
		Empty:  f.empty(c),
	}
	rows := p.H
	if id, ok := f.list.Selected(); ok && p.H >= 8 {
		d := f.detail(c, f.byID[id], p.W-2)
		rows = max(p.H/2, p.H-len(d)-1)
		d.Draw(p.Sub(1, rows+1, p.W-2, p.H-rows-1), &f.scroll)
	}
	table.Draw(p.Sub(0, 0, p.W, rows), &f.list)
}

func (f *sealedFiles) empty(c *screen.Context) []widget.Line {
	if f.filter != "" && len(f.byID) > 0 {
		return []widget.Line{widget.T("Nothing matches " + f.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	}
	why := cmp.Or(c.Snap.Sealed.Err, "none lies in "+c.Snap.Sealed.Value.Folder)
	if !c.Snap.Sealed.Asked() {
		why = "the flake was not looked through yet"
	}
	return []widget.Line{widget.T("No encrypted file is known."), widget.L(themes.Dim, why)}
}

// needed are the hosts that decrypt a file.
func needed(f fleet.SecretFile) string {
	var out []string
	for _, u := range f.Uses {
		out = append(out, u.Host)
	}
	return strings.Join(out, " ")
}

// detail tells of each recipient who it is, and of the rule.
func (f *sealedFiles) detail(c *screen.Context, s fleet.SecretFile, w int) widget.Doc {
	state := secretState(s.Word())
	if says := s.Says(); says != "" {
		state = state.And(themes.Text, "  "+says)
	}
	d := widget.Doc{}.Field(w, label, "state", state)
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
