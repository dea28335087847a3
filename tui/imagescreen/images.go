// Package imagescreen shows the images of a host: how each stands to its registry,
// and what uses it. Registries are asked only where a person says so.
package imagescreen

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Screen is the images of a host.
type Screen struct {
	all    context.Context // of the UI
	life   context.Context // of what is asked while the screen is open
	stop   context.CancelFunc
	host   fleet.HostID
	state  fleet.State
	fact   fleet.Fact[[]fleet.NamedImage]
	asking string // what is asked just now; "": nothing
	round  int    // of asking; older answers are dropped
	ran    string // what ran as of which image when it was asked

	list   widget.List
	filter string
	byID   map[string]fleet.NamedImage
	open   string
	scroll widget.Scroll

	versions sheet.Versions
}

// toldMsg brings the images of a host.
type toldMsg struct {
	host  fleet.HostID
	round int
	fact  fleet.Fact[[]fleet.NamedImage]
}

// New makes the screen of a host; what it asks ends with life.
func New(life context.Context, p screen.Place) *Screen {
	return &Screen{all: life, host: p.Host, open: p.Item}
}

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place {
	return screen.Place{Screen: screen.Images, Host: s.host, Item: s.open}
}

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string {
	t := []string{s.state.Host.Name, "Images"}
	if i, ok := s.byID[s.open]; ok {
		t = append(t, i.Title())
	}
	return t
}

// Scopes implements screen.Screen. What can be done to hosts and containers is in the
// group of deploys, too.
func (s *Screen) Scopes() []string {
	if s.open != "" {
		return []string{"images", "scroll", "deploys"}
	}
	return []string{"images", "table", "list", "deploys"}
}

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "newer", "enter", "menu", "find", "refresh", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(c *screen.Context) screen.Effect {
	s.life, s.stop = context.WithCancel(s.all)
	if s.fact.Asked() {
		return s.Fresh(c)
	}
	return screen.All{s.Fresh(c), s.ask(c, false)}
}

// Close implements screen.Screen: nobody waits for what is asked any more.
func (s *Screen) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.round++
	s.asking = ""
}

// ask reads the images anew, after the registries were asked where newer is.
func (s *Screen) ask(c *screen.Context, newer bool) screen.Effect {
	s.asking = "asking " + s.state.Host.Name
	if newer {
		s.asking = askingRegistries
	}
	s.round++
	round, host, console, life := s.round, s.host, c.Console, s.life
	s.ran = ran(s.state)
	return screen.Run{Cmd: func() tea.Msg { return toldMsg{host, round, console.Images(life, host, newer)} }}
}

const askingRegistries = "asking the registries"

// ran tells which images containers run.
func ran(st fleet.State) string {
	var b strings.Builder
	for _, c := range st.Containers.Value {
		b.WriteString(c.User + "/" + c.Name + " " + c.ImageID + "\n")
	}
	return b.String()
}

// Receive implements screen.Screen.
func (s *Screen) Receive(c *screen.Context, msg tea.Msg) screen.Effect {
	m, ok := msg.(toldMsg)
	if !ok || m.host != s.host || m.round != s.round {
		return nil
	}
	s.fact, s.asking = s.fact.Refresh(m.fact), ""
	return s.Fresh(c)
}

// Fresh implements screen.Screen: when containers have come to run other images, they
// are asked for again.
func (s *Screen) Fresh(c *screen.Context) screen.Effect {
	if st, ok := c.Snap.Host(s.host); ok {
		s.state = st
	}
	s.fill()
	if s.asking == "" && s.fact.Asked() && s.ran != ran(s.state) {
		return s.ask(c, false)
	}
	return nil
}

// fill makes the rows: what is newer, then what is not known, then the others.
func (s *Screen) fill() {
	s.byID = map[string]fleet.NamedImage{}
	var ids []string
	for _, i := range s.fact.Value {
		id := i.Engine + "/" + i.User + "/" + i.ID + "/" + i.Name
		s.byID[id] = i
		if s.passes(i) {
			ids = append(ids, id)
		}
	}
	slices.SortStableFunc(ids, func(a, b string) int {
		x, y := s.byID[a], s.byID[b]
		return cmp.Or(rank(x)-rank(y), strings.Compare(x.Title(), y.Title()), strings.Compare(a, b))
	})
	s.list.Set(ids)
}

// rank is the place of an image in the list.
func rank(i fleet.NamedImage) int {
	switch s := i.Standing(); {
	case s == fleet.Newer:
		return 0
	case s == fleet.Replaced:
		return 1
	case s == fleet.NotKnown:
		return 2
	case len(i.UsedBy) > 0:
		return 3
	}
	return 4
}

func (s *Screen) passes(i fleet.NamedImage) bool {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	text := strings.ToLower(strings.Join([]string{i.Title(), i.User, string(i.Standing()), strings.Join(i.UsedBy, " ")}, " "))
	return want == "" || strings.Contains(text, want) != not
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	if i, ok := s.byID[s.open]; ok {
		s.detail(c, i, p.W-2).Draw(p.Sub(1, 0, p.W-2, p.H), &s.scroll)
		return
	}
	p.Line(1, 0, p.W-2, s.heading(c))
	table := widget.Table{
		Columns: []widget.Column{
			{Title: "image", Width: 20, Max: 60},
			{Title: "registry", Width: 10},
			{Title: "asked", Width: 5, Drop: 3, Right: true},
			{Title: "made", Width: 4, Drop: 2, Right: true},
			{Title: "size", Width: 6, Drop: 1, Right: true},
			{Title: "used by", Width: 10, Max: 40, Drop: 4},
			{Title: "user", Width: 5, Max: 10, Drop: 5},
		},
		Tall:   c.W < screen.Narrow,
		Cells:  func(id string) []widget.Line { return s.cells(c, s.byID[id]) },
		Lines:  func(id string) [2]widget.Line { return s.lines(c, s.byID[id]) },
		Target: func(id string) any { return screen.TapRow{ID: id} },
		Empty:  s.empty(),
	}
	table.Draw(p.Sub(0, 1, p.W, p.H-1), &s.list)
}

// heading says how old the list is, and what is newer.
func (s *Screen) heading(c *screen.Context) widget.Line {
	newer := 0
	for _, i := range s.fact.Value {
		if i.Standing() == fleet.Newer {
			newer++
		}
	}
	l := widget.L(themes.Dim, fleet.Count(len(s.fact.Value), "image"))
	if newer > 0 {
		l = l.And(themes.Warn, fmt.Sprintf(", %d newer", newer))
	}
	switch {
	case s.asking != "":
		return l.And(themes.Dim, "  "+c.Glyphs.Asking+" "+s.asking)
	case s.fact.Failed():
		return l.And(themes.Unknown, "  ? "+s.fact.Err)
	case s.fact.HasValue():
		return l.And(themes.Dim, ", read "+words.AgoLong(s.fact.At, c.Now))
	}
	return l
}

func (s *Screen) empty() []widget.Line {
	switch {
	case s.filter != "" && len(s.byID) > 0:
		return []widget.Line{widget.T("Nothing matches " + s.filter + "."), widget.L(themes.Dim, "Esc shows all again.")}
	case s.asking != "":
		return []widget.Line{widget.L(themes.Dim, "The host is asked for its images.")}
	case s.fact.Err != "":
		lines := []widget.Line{widget.T("No images: " + s.fact.Err)}
		if s.fact.Cure != "" {
			lines = append(lines, widget.L(themes.Dim, s.fact.Cure))
		}
		return lines
	}
	return []widget.Line{widget.T("There is no image on this host.")}
}

// standing is how an image stands, in its colour.
func standing(i fleet.NamedImage) widget.Line {
	word, role := string(i.Standing()), themes.Dim
	switch i.Standing() {
	case fleet.Newer, fleet.Replaced:
		role = themes.Warn
	case fleet.Same:
		role = themes.OK
	case fleet.NotKnown:
		role = themes.Unknown
	}
	return widget.L(role, word)
}

// asked is how old what the registry said is.
func asked(c *screen.Context, i fleet.NamedImage) string {
	if s := i.Standing(); s != fleet.Same && s != fleet.Newer || !i.Registry.HasValue() {
		return ""
	}
	return words.Ago(i.Registry.At, c.Now)
}

// short is an image's title without the registry that everybody uses.
func short(i fleet.NamedImage) string {
	return strings.Replace(strings.Replace(i.Title(), "docker.io/library/", "", 1), "docker.io/", "", 1)
}

func (s *Screen) cells(c *screen.Context, i fleet.NamedImage) []widget.Line {
	return []widget.Line{
		widget.T(short(i)), standing(i), widget.L(themes.Dim, asked(c, i)), widget.L(themes.Dim, words.Ago(i.Created, c.Now)),
		widget.T(words.Bytes(i.Size)), widget.T(strings.Join(i.UsedBy, " ")), widget.L(themes.Dim, i.User),
	}
}

func (s *Screen) lines(c *screen.Context, i fleet.NamedImage) [2]widget.Line {
	second := widget.L(themes.Text, "  ").Join(standing(i)).And(themes.Dim, "  "+words.Ago(i.Created, c.Now)+"  "+words.Bytes(i.Size))
	return [2]widget.Line{widget.T(short(i)), second.And(themes.Dim, "  "+strings.Join(i.UsedBy, " "))}
}

// label is the width of the names in the detail.
const label = 10

// detail is all that is known of one.
func (s *Screen) detail(c *screen.Context, i fleet.NamedImage, w int) widget.Doc {
	d := widget.Doc{}.Field(w, label, "image", widget.L(themes.Title, i.Title()))
	d = d.Field(w, label, "registry", standing(i).And(themes.Dim, note(c, i)))
	if i.Registry.Err != "" {
		d = d.Field(w, label, "", widget.T(i.Registry.Err))
	}
	if i.Registry.Cure != "" {
		d = d.Field(w, label, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, i.Registry.Cure))
	}
	if i.Registry.HasValue() {
		d = d.Field(w, label, "there", widget.L(themes.Dim, i.Registry.Value))
	}
	for n, digest := range i.Digests {
		d = d.Field(w, label, []string{"digests", ""}[min(n, 1)], widget.L(themes.Dim, digest))
	}
	d = d.Field(w, label, "id", widget.L(themes.Dim, i.ID))
	d = d.Field(w, label, "made", widget.T(cmp.Or(words.When(i.Created, c.Now), c.Glyphs.None)))
	d = d.Field(w, label, "size", widget.T(words.Bytes(i.Size)))
	d = d.Field(w, label, "used by", widget.T(cmp.Or(strings.Join(i.UsedBy, ", "), c.Glyphs.None)))
	d = s.versions.Doc(c, d, i.Image, w, label)
	for _, k := range i.Kept {
		d = d.Field(w, label, "kept for", widget.T(k.Container+", which ran it as "+k.Image).And(themes.Dim, " until "+words.When(k.At, c.Now)))
	}
	d = d.Field(w, label, "engine", widget.T(i.Engine+" of "+i.User))
	return d.Field(w, label, "source", widget.L(themes.Dim, s.fact.Source+", "+words.AgoLong(s.fact.At, c.Now)))
}

// note says what a standing means, and who said so.
func note(c *screen.Context, i fleet.NamedImage) string {
	switch i.Standing() {
	case fleet.Same, fleet.Newer:
		return "  " + i.Registry.Source + ", " + words.AgoLong(i.Registry.At, c.Now)
	case fleet.Replaced:
		return "  another image has its name: a restart of its container runs that"
	case fleet.NotPulled:
		return "  it was built or loaded on the host: there is nothing to compare"
	case fleet.NoName:
		return "  no registry can have it"
	}
	return ""
}

// Do implements screen.Screen.
func (s *Screen) Do(c *screen.Context, id string) screen.Effect {
	if s.open != "" && s.scroll.Do(id) || s.open == "" && s.list.Do(id) {
		return nil
	}
	switch id {
	case "enter":
		if at, ok := s.list.Selected(); ok && s.open == "" {
			s.open = at
			s.scroll.Reset()
		}
	case "newer":
		if s.asking == askingRegistries {
			return screen.Flash{Level: fleet.Info, Text: "the registries are being asked"}
		}
		return s.ask(c, true)
	}
	return nil
}

// Tap implements screen.Screen: the first tap selects a row, one on the selected row
// opens it.
func (s *Screen) Tap(c *screen.Context, target any) screen.Effect {
	t, ok := target.(screen.TapRow)
	if !ok {
		return nil
	}
	if s.list.Tap(t.ID) {
		return s.Do(c, "enter")
	}
	return nil
}

// Back implements screen.Screen.
func (s *Screen) Back(c *screen.Context) bool {
	switch {
	case s.open != "":
		s.open = ""
	case s.filter != "":
		s.Find(c, "", true)
	default:
		return false
	}
	return true
}

// current is the image that is open or selected.
func (s *Screen) current() (fleet.NamedImage, bool) {
	id := s.open
	if id == "" {
		id, _ = s.list.Selected()
	}
	i, ok := s.byID[id]
	return i, ok
}

// Target implements screen.Screen: the host, and the container where one alone uses
// the image.
func (s *Screen) Target(*screen.Context) fleet.Target {
	t := fleet.Target{Hosts: []fleet.State{s.state}}
	if i, ok := s.current(); ok && len(i.UsedBy) == 1 {
		t.Container, t.User = i.UsedBy[0], i.User
	}
	return t
}

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus {
	return fleet.Focus{Host: s.host, Tab: "images"}
}

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) {
	return s.filter, fmt.Sprintf("%d of %d", s.list.Len(), len(s.byID))
}

// Find implements screen.Finder.
func (s *Screen) Find(_ *screen.Context, text string, _ bool) {
	s.filter = text
	s.fill()
}

// Copy implements screen.Copier.
func (s *Screen) Copy(*screen.Context) (what, text string) {
	i, _ := s.current()
	return "name", i.Name
}
