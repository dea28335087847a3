package widget

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/themes"
)

func blank(t testing.TB, w, h int) *Canvas {
	t.Helper()
	theme, err := themes.Named("")
	if err != nil {
		t.Fatal(err)
	}
	return NewCanvas(w, h, theme, themes.Unicode)
}

// text is a canvas without the styles, its lines without blanks at the end.
func text(c *Canvas) string {
	var lines []string
	for _, l := range strings.Split(ansi.Strip(c.String()), "\n") {
		lines = append(lines, strings.TrimRight(l, " "))
	}
	return strings.Join(lines, "\n")
}

func TestSignsAreOneCellWideEverywhere(t *testing.T) {
	for r := rune(0xa1); r < 0x2900; r++ {
		if sign(r) && (ansi.StringWidth(string(r)) != 1 || ansi.StringWidthWc(string(r)) != 1) {
			t.Errorf("%U %c is %d or %d wide", r, r, ansi.StringWidth(string(r)), ansi.StringWidthWc(string(r)))
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		in   string
		w    int
		want string
	}{
		{"storage", 7, "storage"}, {"storage", 6, "stora…"}, {"storage", 1, "…"}, {"storage", 0, ""}, {"", 3, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"a\x1b[31mb", 9, "ab"}, {"naïve", 5, "naïve"},
	} {
		if got := Fit(c.in, c.w, "…"); got != c.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", c.in, c.w, got, c.want)
		}
	}
}

// FuzzText holds that no text leaves its cells, however terminals count.
func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J", "日本語", "👨‍👩‍👧", "e\u0301", "\u202e", "🇩🇪", "क्षि", "1️⃣", "\xff", "ﷺ", strings.Repeat("x", 300)} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, w int) {
		w = 1 + (w%40+40)%40
		c := blank(t, 60, 3)
		used := c.Pane().Text(2, 1, w, themes.Fail, s)
		if used > w {
			t.Fatalf("%q took %d of %d cells", s, used, w)
		}
		lines := strings.Split(c.String(), "\n")
		if len(lines) != 3 || lines[0] != "" || lines[2] != "" {
			t.Fatalf("%q left its line: %q", s, lines)
		}
		row := ansi.Strip(lines[1])
		if g, wc := ansi.StringWidth(row), ansi.StringWidthWc(row); g != wc || g > 2+w {
			t.Fatalf("%q is %d or %d cells wide: %q", s, g, wc, row)
		}
		if !utf8.ValidString(row) || strings.ContainsFunc(row, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("%q wrote %q", s, row)
		}
		for _, l := range Wrap(s, w) {
			if Width(l) > w {
				t.Fatalf("Wrap(%q, %d) has %q", s, w, l)
			}
		}
		for _, l := range WrapLine(L(themes.OK, s).And(themes.Dim, s), w, 2) {
			if l.Width() > w {
				t.Fatalf("WrapLine(%q, %d) has %q", s, w, l)
			}
		}
	})
}

func TestWrapBreaksAtSpaces(t *testing.T) {
	want := []string{"not", "reachable:", "authentica", "tion", "failed"}
	if got := Wrap("not reachable: authentication failed", 10); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	var lines []string
	for _, l := range WrapLine(L(themes.Fail, "FAIL ").And(themes.Text, "container jellyfin is unhealthy"), 20, 5) {
		lines = append(lines, l.String())
	}
	if want := []string{"FAIL container", "     jellyfin is", "     unhealthy"}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

func TestWideRunesAreMended(t *testing.T) {
	c := blank(t, 10, 1)
	p := c.Pane()
	p.Text(0, 0, 10, themes.Text, "日本語")
	p.Text(1, 0, 1, themes.Text, "x")
	if got := text(c); got != " x本語" {
		t.Errorf("%q", got)
	}
	p.Text(3, 0, 1, themes.Text, "y")
	if got := text(c); got != " x y語" {
		t.Errorf("%q", got)
	}
}

func TestPanesClip(t *testing.T) {
	c := blank(t, 12, 3)
	p := c.Pane().Sub(2, 1, 5, 1)
	for y := -1; y < 3; y++ {
		p.Text(0, y, 99, themes.Text, "overflowing")
	}
	p.Sub(3, 0, 99, 99).Fill(themes.Text)
	if got := text(c); got != "\n  ove\n" {
		t.Errorf("%q", got)
	}
}

func TestTheLastZoneIsHit(t *testing.T) {
	c := blank(t, 10, 4)
	p := c.Pane()
	p.Zone(0, 0, 10, 4, "under")
	p.Zone(2, 1, 3, 1, "over")
	if c.Hit(3, 1) != "over" || c.Hit(5, 1) != "under" || c.Hit(3, 2) != "under" || c.Hit(11, 1) != nil {
		t.Error("zones are not where they were drawn")
	}
}

func TestAListKeepsItsRow(t *testing.T) {
	var l List
	ids := func(n int, more ...string) []string {
		for i := range n {
			more = append(more, fmt.Sprintf("m%02d", i))
		}
		slices.Sort(more)
		return more
	}
	l.Set(ids(20))
	l.Window(5)
	l.Select("m10")
	from, _ := l.Window(5)
	at := l.Cursor() - from
	l.Set(ids(20, "a1", "a2", "z1"))
	from, _ = l.Window(5)
	if sel, _ := l.Selected(); sel != "m10" || l.Cursor()-from != at {
		t.Errorf("%s is selected, in row %d of the screen, was in row %d", sel, l.Cursor()-from, at)
	}
	l.Set([]string{"b", "c"})
	if sel, _ := l.Selected(); sel != "c" {
		t.Errorf("%s is selected after the row went away", sel)
	}
	l.Set(nil)
	if _, ok := l.Selected(); ok || l.Do("down") != true || l.Cursor() != 0 {
		t.Error("an empty list has a selection")
	}
}

// TestRowsOfGroups: the cursor is always in sight, no room is left below the last row,
// and every row has the head of its group above it, on screens of any height.
func TestRowsOfGroups(t *testing.T) {
	var l List
	var ids []string
	for i := range 23 {
		ids = append(ids, fmt.Sprintf("%c%02d", 'a'+i/5, i))
	}
	l.Set(ids)
	for _, lines := range []int{1, 2} {
		table := Table{
			Columns: []Column{{Title: "row", Width: 4}}, Tall: lines == 2,
			Cells: func(id string) []Line { return []Line{T(id)} },
			Lines: func(id string) [2]Line { return [2]Line{T(id), T("below")} },
			Group: func(id string) Line { return T("group " + id[:1]) },
		}
		for height := 4; height < 40; height++ {
			l.Do("top")
			for range 60 {
				c := blank(t, 20, height)
				table.Draw(c.Pane(), &l)
				seen := text(c)
				sel, _ := l.Selected()
				at := strings.Index(seen, sel)
				if at < 0 || !strings.Contains(seen[:at], "group "+sel[:1]) {
					t.Fatalf("%s is selected, and not to be seen below its head:\n%s", sel, seen)
				}
				if left := len(seen) - len(strings.TrimRight(seen, "\n")); l.Visible()[0] != ids[0] && left > lines {
					t.Fatalf("there is room for another row:\n%s", seen)
				}
				l.Do(map[bool]string{true: "down", false: "page-down"}[height%3 > 0])
			}
			if sel, _ := l.Selected(); sel != ids[len(ids)-1] {
				t.Fatalf("%s is the last", sel)
			}
			l.Do("top")
			c := blank(t, 20, height)
			table.Draw(c.Pane(), &l)
			if seen := text(c); !strings.Contains(seen, ids[0]) {
				t.Fatalf("the first is out of sight:\n%s", seen)
			}
		}
	}
}

func TestMarks(t *testing.T) {
	var l List
	l.Set([]string{"a", "b", "c"})
	l.Window(2)
	l.Do("mark")
	l.Do("mark")
	if got := l.Marks(); !slices.Equal(got, []string{"a", "b"}) || l.Cursor() != 2 {
		t.Errorf("%v, cursor %d", got, l.Cursor())
	}
	l.Set([]string{"b", "c"})
	if got := l.Marks(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%v", got)
	}
	l.Do("mark-all")
	if len(l.Marks()) != 2 {
		t.Errorf("%v", l.Marks())
	}
	l.Do("mark-all")
	if len(l.Marks()) != 0 || l.ClearMarks() {
		t.Errorf("%v", l.Marks())
	}
}

func TestATableDropsWhatMattersLeast(t *testing.T) {
	table := Table{Columns: []Column{{Title: "a", Width: 5}, {Title: "b", Width: 5, Drop: 2}, {Title: "c", Width: 5, Max: 9, Drop: 1}}}
	for _, c := range []struct {
		room int
		want []int
	}{{17, []int{5, 5, 5}}, {16, []int{5, 0, 9}}, {11, []int{5, 0, 5}}, {10, []int{5, 0, 0}}, {30, []int{5, 5, 9}}, {2, []int{5, 0, 0}}} {
		if got := table.fit(c.room); !slices.Equal(got, c.want) {
			t.Errorf("in %d cells: %v, want %v", c.room, got, c.want)
		}
	}
}

func TestOnlyVisibleRowsAreAskedFor(t *testing.T) {
	var l List
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprint(i))
	}
	l.Set(ids)
	l.Select("500")
	asked := 0
	table := Table{Columns: []Column{{Title: "n", Width: 5}}, Cells: func(id string) []Line { asked++; return []Line{T(id)} }}
	c := blank(t, 20, 10)
	table.Draw(c.Pane(), &l)
	if asked != 9 || !strings.Contains(text(c), "> 500") {
		t.Errorf("asked for %d rows:\n%s", asked, text(c))
	}
}

func TestScroll(t *testing.T) {
	d := Doc{}
	for i := range 20 {
		d = append(d, Row{Line: T(fmt.Sprint("line ", i))})
	}
	var s Scroll
	draw := func() string { c := blank(t, 12, 4); d.Draw(c.Pane(), &s); return text(c) }
	if got := draw(); got != "line 0\nline 1\nline 2\nline 3     ↓" {
		t.Errorf("%q", got)
	}
	s.Do("bottom")
	if got := draw(); got != "line 16    ↑\nline 17\nline 18\nline 19" {
		t.Errorf("%q", got)
	}
	s.Do("page-up")
	if got := draw(); !strings.HasPrefix(got, "line 13") {
		t.Errorf("%q", got)
	}
}

func TestInput(t *testing.T) {
	var in Input
	for _, k := range []struct{ name, text string }{{"s", "s"}, {"t", "t"}, {"left", ""}, {"ä", "ä"}, {"space", " "}, {"end", ""}, {"x", "x"}} {
		in.Key(k.name, k.text)
	}
	if in.Value() != "sä tx" {
		t.Errorf("%q", in.Value())
	}
	in.Key("ctrl+w", "")
	in.Key("home", "")
	in.Key("delete", "")
	in.Insert("\x1b[31mred\n")
	if in.Value() != "red ä " {
		t.Errorf("%q", in.Value())
	}
	if in.Key("f5", "") {
		t.Error("a key that is not for editing was taken")
	}
	secret := Input{Secret: true}
	secret.Insert("p\x1bw\r\n")
	c := blank(t, 20, 1)
	secret.Draw(c.Pane(), 0, T("> "), "")
	if secret.Value() != "pw" || text(c) != "> **" {
		t.Errorf("%q shown as %q", secret.Value(), text(c))
	}
	long := Input{}
	long.Insert(strings.Repeat("x", 9000) + "end")
	long.Draw(c.Pane(), 0, T("> "), "")
	if len(long.Value()) > maxInput {
		t.Errorf("%d runes", len(long.Value()))
	}
}

func TestCharts(t *testing.T) {
	if got := Spark([]float64{0, 0.5, 1, math.NaN()}, 5, themes.Unicode); got != " ▁▄█ " {
		t.Errorf("%q", got)
	}
	if got := Spark([]float64{0, 0.5, 1}, 2, themes.ASCII); got != "=#" {
		t.Errorf("%q", got)
	}
	values := []float64{0, 25, 50, 75, 100, math.NaN(), math.NaN(), 100}
	for _, g := range []themes.Glyphs{themes.Unicode, themes.Blocks, themes.ASCII} {
		theme, _ := themes.Named("")
		for _, size := range [][2]int{{8, 2}, {1, 1}, {30, 5}, {0, 0}, {3, 1}} {
			c := NewCanvas(size[0], size[1], theme, g)
			Chart(c.Pane(), values, 100)
			Chart(c.Pane(), values, 0)
			Chart(c.Pane(), nil, 1)
		}
		c := NewCanvas(8, 2, theme, g)
		Chart(c.Pane(), values, 100)
		t.Logf("\n%s", c)
	}
}

func TestTabsShrinkFromTheEnd(t *testing.T) {
	names := []string{"Overview", "Units", "Metrics"}
	for _, tc := range []struct {
		w    int
		want string
	}{{60, " 1 Overview [2 Units] 3 Metrics"}, {25, " 1 Overview [2 Units] 3"}, {15, " 1 [2 Units] 3"}} {
		c := blank(t, tc.w, 1)
		Tabs(c.Pane(), 0, names, 1, func(i int) any { return i })
		if got := text(c); got != tc.want {
			t.Errorf("in %d cells: %q", tc.w, got)
		}
		if c.Hit(tc.w-1, 0) != nil && tc.w == 60 {
			t.Error("nothing is there to tap")
		}
	}
}

// TestLinks: cells lead to a page from the first to the last of them and no
// further, only where the terminal knows links, and only to what is one.
func TestLinks(t *testing.T) {
	draw := func(linked bool, address string) string {
		c := blank(t, 12, 1).Linked(linked)
		Doc{{Line: T("page"), Link: address}}.Draw(c.Pane(), &Scroll{})
		return c.String()
	}
	const page = "https://x.example/"
	if got := draw(true, page); !strings.Contains(got, "\x1b]8;;"+page+"\x1b\\page\x1b]8;;\x1b\\") {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{draw(false, page), draw(true, "javascript:x"), draw(true, "https://x/\x1b\\"), draw(true, "")} {
		if strings.Contains(bad, "\x1b]8") || !strings.Contains(bad, "page") {
			t.Errorf("%q", bad)
		}
	}
}

// TestChartDoc: a chart in a document is the chart on a pane.
func TestChartDoc(t *testing.T) {
	values := []float64{1, 5, math.NaN(), 9, 3, 2}
	for _, g := range []themes.Glyphs{themes.Unicode, themes.Blocks, themes.ASCII} {
		c := NewCanvas(10, 3, blank(t, 1, 1).theme, g)
		Chart(c.Pane(), values, 10)
		want := strings.Split(ansi.Strip(c.String()), "\n")
		for i, row := range ChartDoc(10, 3, values, 10, g) {
			if row.Line.String() != strings.TrimRight(want[i], " ") {
				t.Errorf("%s, line %d: %q, want %q", g.Name, i, row.Line.String(), want[i])
			}
		}
	}
}
