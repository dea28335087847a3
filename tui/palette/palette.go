// Package palette holds the two lists of what can be done: the palette, which
// finds every action, host and screen by a few letters of its name, and the
// menu of what can be done to what the cursor is on.
package palette

import (
	"slices"
	"strings"

	"github.com/sahilm/fuzzy"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Entry is something that can be chosen.
type Entry struct {
	Title string // what is looked for
	Note  string // what it does
	Key   string
	Off   string // why it cannot be chosen
	Does  screen.Effect
}

// Bindings are the entries of the bindings that apply on a screen.
func Bindings(c *screen.Context, s screen.Screen, plain bool) []Entry {
	var list []Entry
	for _, b := range c.Keys.In(s.Scopes()) {
		if b.Plain && !plain {
			continue
		}
		list = append(list, entry(c, s, b))
	}
	return list
}

func entry(c *screen.Context, s screen.Screen, b screen.Binding) Entry {
	return Entry{Title: b.Title, Note: b.Help, Key: b.Key(), Off: b.Why(c, s), Does: screen.Press{ID: b.ID}}
}

// List is a popup to choose from.
type List struct {
	title   string
	entries []Entry
	search  bool // letters search, instead of being keys
	input   widget.Input
	shown   []int
	at, top int
}

// New makes the palette of the given entries.
func New(entries []Entry) *List { return Choose("Commands", entries) }

// Choose makes a list of entries that are found by a few letters.
func Choose(title string, entries []Entry) *List {
	l := &List{title: title, entries: entries, search: true}
	l.find()
	return l
}

// Menu makes the menu of what can be done on a screen.
func Menu(c *screen.Context, s screen.Screen) *List {
	t, title := s.Target(c), "Actions"
	switch n := len(t.Hosts); {
	case t.Has(fleet.ScopeContainer), t.Has(fleet.ScopeUnit), t.Has(fleet.ScopeDNS):
		title = t.On()
	case n == 1:
		title = t.Hosts[0].Host.Name
	case n > 1:
		names := make([]string, 0, n)
		for _, st := range t.Hosts {
			names = append(names, st.Host.Name)
		}
		title = strings.Join(names, ", ")
	}
	l := &List{title: title}
	var own, others, keys []Entry // of the thing that is selected, of its host, of the screen
	for _, b := range c.Keys.In(s.Scopes()) {
		switch {
		case b.Action != nil && !fits(b.Action.Scope, t), b.Plain, slices.Contains(b.In, "global"), b.ID == "enter", b.ID == "find":
		case b.Action == nil:
			keys = append(keys, entry(c, s, b))
		case b.Action.Scope == fleet.ScopeContainer, b.Action.Scope == fleet.ScopeUnit, b.Action.Scope == fleet.ScopeDNS:
			own = append(own, entry(c, s, b))
		default:
			others = append(others, entry(c, s, b))
		}
	}
	l.entries = slices.Concat(own, others, keys)
	l.find()
	return l
}

// fits tells whether actions of a scope are about such a target at all.
func fits(s fleet.Scope, t fleet.Target) bool {
	switch s {
	case fleet.ScopeContainer, fleet.ScopeUnit, fleet.ScopeDNS:
		return t.Has(s)
	}
	return true
}

// find shows the entries that match what was typed: those that begin with it
// first, then the nearest.
func (l *List) find() {
	l.shown, l.at, l.top = nil, 0, 0
	want := strings.TrimSpace(l.input.Value())
	if want == "" {
		for i := range l.entries {
			l.shown = append(l.shown, i)
		}
		return
	}
	titles, taken := make([]string, len(l.entries)), map[int]bool{}
	for i, e := range l.entries {
		titles[i] = strings.ToLower(e.Title)
	}
	take := func(i int) {
		if !taken[i] {
			l.shown, taken[i] = append(l.shown, i), true
		}
	}
	want = strings.ToLower(want)
	for _, fits := range []func(title string) bool{
		func(t string) bool { return strings.HasPrefix(t, want) },
		func(t string) bool { return strings.Contains(" "+t, " "+want) }, // a word begins with it
		func(t string) bool { return strings.Contains(t, want) },
	} {
		for i, t := range titles {
			if fits(t) {
				take(i)
			}
		}
	}
	for i, e := range l.entries { // what it does tells where the name does not
		if strings.Contains(" "+strings.ToLower(e.Note), " "+want) {
			take(i)
		}
	}
	for _, m := range fuzzy.Find(want, titles) {
		take(m.Index)
	}
}

// chosen is the entry that enter runs.
func (l *List) chosen() (Entry, bool) {
	if l.at >= len(l.shown) {
		return Entry{}, false
	}
	return l.entries[l.shown[l.at]], true
}

// Key implements screen.Popup.
func (l *List) Key(_ *screen.Context, k screen.Key) screen.Effect {
	switch k.Name {
	case "esc":
		return screen.ClosePopup{}
	case "enter":
		return l.run()
	case "up", "shift+tab":
		l.at = max(0, l.at-1)
	case "down", "tab":
		l.at = min(max(0, len(l.shown)-1), l.at+1)
	case "pgup":
		l.at = max(0, l.at-10)
	case "pgdown":
		l.at = min(max(0, len(l.shown)-1), l.at+10)
	case "backspace":
		if l.search && l.input.Value() == "" {
			return screen.ClosePopup{}
		}
		fallthrough
	default:
		return l.letter(k)
	}
	return nil
}

// letter searches in the palette, and is the key of an entry in the menu.
func (l *List) letter(k screen.Key) screen.Effect {
	if l.search {
		if l.input.Key(k.Name, k.Text) {
			l.find()
		}
		return nil
	}
	for i, e := range l.entries {
		if e.Key == screen.KeyName(k.Name) {
			l.at = i
			return l.run()
		}
	}
	switch k.Name {
	case "k":
		l.at = max(0, l.at-1)
	case "j":
		l.at = min(max(0, len(l.shown)-1), l.at+1)
	case ".", "q":
		return screen.ClosePopup{}
	}
	return nil
}

// run does what is chosen, or says why not.
func (l *List) run() screen.Effect {
	e, ok := l.chosen()
	switch {
	case !ok:
		return screen.Flash{Level: fleet.Info, Text: "nothing is called " + l.input.Value()}
	case e.Off != "":
		return screen.Flash{Level: fleet.Info, Text: e.Title + ": " + e.Off}
	}
	return screen.ClosePopup{Then: e.Does}
}

// Paste implements screen.Popup.
func (l *List) Paste(c *screen.Context, text string) screen.Effect {
	if l.search {
		l.input.Insert(text)
		l.find()
	}
	return nil
}

// Tap implements screen.Popup: a tap runs an entry.
func (l *List) Tap(_ *screen.Context, target any) screen.Effect {
	if t, ok := target.(tapEntry); ok {
		l.at = t.n
		return l.run()
	}
	if t, ok := target.(screen.TapKey); ok && t.ID == "esc" {
		return screen.ClosePopup{}
	}
	return nil
}

type tapEntry struct{ n int }

// ghost is what enter runs, beside what was typed: never anything else.
func (l *List) ghost(c *screen.Context) string {
	e, ok := l.chosen()
	typed := l.input.Value()
	switch {
	case !ok:
		return "  nothing is called that"
	case e.Off != "":
		return "  " + e.Title + " is off"
	case typed != "" && strings.HasPrefix(strings.ToLower(e.Title), strings.ToLower(typed)):
		return e.Title[len(typed):]
	}
	return "  " + c.Glyphs.Arrow + " " + e.Title
}

// Draw implements screen.Popup.
func (l *List) Draw(c *screen.Context, p widget.Pane) {
	head := 0
	if l.search {
		head = 1
	}
	w := min(90, p.W)
	more := l.more(w - 4)
	if p.H < 2*screen.MinHeight-2 {
		more = 0 // the entries themselves need the room
	}
	in := widget.Box(p, w, min(p.H, max(6, min(l.most(), len(l.entries))+head+more+3)), l.title)
	rows := in.H - head - more - 1
	l.drawMore(in, more)
	l.top = max(l.at-rows+1, min(l.top, l.at))
	for y := 0; y < rows && l.top+y < len(l.shown); y++ {
		l.drawEntry(c, in, head+y, l.top+y)
	}
	if l.top > 0 {
		in.Text(in.W-1, head, 1, themes.Accent, c.Glyphs.Up)
	}
	if l.top+rows < len(l.shown) {
		in.Text(in.W-1, head+rows-1, 1, themes.Accent, c.Glyphs.Down)
	}
	if l.search {
		l.input.Draw(in, 0, widget.L(themes.Accent, ":"), l.ghost(c))
	} else {
		in.Cursor(0, l.at-l.top)
	}
	n := in.Line(0, in.H-1, in.W, widget.L(themes.Accent, "Enter").And(themes.Text, " do it"))
	m := in.Line(n+3, in.H-1, in.W-n-3, widget.L(themes.Accent, "esc").And(themes.Text, " close"))
	in.Zone(n+3, in.H-1, m, 1, screen.TapKey{ID: "esc"})
}

// most is how many rows are shown at most: the palette keeps its size while
// something is typed.
func (l *List) most() int {
	if l.search {
		return 14
	}
	return len(l.entries)
}

// mostMore is how many lines below the list a note has at most.
const mostMore = 3

// markW is the room at the right for the sign that there are more entries.
const markW = 2

// note is what an entry does, or why it cannot be chosen.
func (e Entry) note() string {
	switch {
	case e.Off != "":
		return "off: " + e.Off
	case strings.EqualFold(e.Note, e.Title):
		return ""
	}
	return e.Note
}

// noteAt is where an entry's note begins in a list of a width, and whether there
// is room for all of it.
func (e Entry) noteAt(w int) (x int, fits bool) {
	x = max(6+widget.Width(e.Title)+4, min(28, w/2))
	return x, x+widget.Width(e.note()) <= w-markW
}

// more is how many lines the longest note takes that has no room beside its
// entry: the one of the entry that is selected stands there.
func (l *List) more(w int) int {
	n := 0
	for _, e := range l.entries {
		if _, fits := e.noteAt(w); !fits && e.note() != "" {
			n = max(n, min(mostMore, len(widget.Wrap(e.note(), w-2))))
		}
	}
	return n
}

// drawMore draws the whole note of the selected entry, where it was cut.
func (l *List) drawMore(p widget.Pane, rows int) {
	e, ok := l.chosen()
	if _, fits := e.noteAt(p.W); !ok || fits {
		return
	}
	for y, line := range widget.Wrap(e.note(), p.W-2) {
		if y < rows {
			p.Text(2, p.H-1-rows+y, p.W-2, themes.Dim, line)
		}
	}
}

func (l *List) drawEntry(c *screen.Context, p widget.Pane, y, i int) {
	e := l.entries[l.shown[i]]
	role, room := themes.Text, p.W-2-markW
	x, _ := e.noteAt(p.W)
	beside := p.W-markW-x > 4 // for the note
	if e.Off != "" {
		role = themes.Dim
		if !beside {
			room -= len(" off")
			p.Text(p.W-markW-len("off"), y, len("off"), themes.Dim, "off")
		}
	}
	p.Line(2, y, room, widget.L(themes.Accent, words.Left(e.Key, 6)).And(role, e.Title))
	if beside {
		p.Text(x, y, p.W-markW-x, themes.Dim, e.note())
	}
	p.Zone(0, y, p.W, 1, tapEntry{i})
	if i == l.at {
		p.Text(0, y, 1, themes.Text, c.Glyphs.Cursor)
		p.Paint(y, themes.Selection)
	}
}
