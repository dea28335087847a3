package palette

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

var context = &screen.Context{Glyphs: themes.ASCII}

func typed(l *List, text string) {
	for _, r := range text {
		l.Key(context, screen.Key{Name: string(r), Text: string(r)})
	}
}

func entries() []Entry {
	return []Entry{
		{Title: "roll back", Off: "read-only", Does: screen.Press{ID: "rollback"}}, {Title: "host cloud", Does: screen.Press{ID: "cloud"}},
		{Title: "host storage", Does: screen.Press{ID: "storage"}}, {Title: "logs", Key: "L", Does: screen.Press{ID: "logs"}},
	}
}

// TestEnterRunsWhatTheGhostSays: nothing else, whatever was typed.
func TestEnterRunsWhatTheGhostSays(t *testing.T) {
	for _, c := range []struct{ typed, ghost, runs string }{
		{"", "  > roll back", ""}, {"lo", "gs", "logs"}, {"LO", "gs", "logs"}, {"sto", "  > host storage", "storage"}, {"hs", "  > host storage", "storage"},
		{"zzz", "  nothing is called that", ""}, {"roll", "  roll back is off", ""}, {"host c", "loud", "cloud"},
	} {
		l := New(entries())
		typed(l, c.typed)
		if c.typed != "" && l.ghost(context) != c.ghost {
			t.Errorf("%q: ghost %q, want %q", c.typed, l.ghost(context), c.ghost)
		}
		got := ""
		if e, ok := l.Key(context, screen.Key{Name: "enter"}).(screen.ClosePopup); ok {
			got = e.Then.(screen.Press).ID
		}
		if got != c.runs {
			t.Errorf("%q: ran %q, want %q", c.typed, got, c.runs)
		}
	}
}

func TestMovingInThePalette(t *testing.T) {
	l := New(entries())
	for _, k := range []string{"down", "down", "tab", "down", "down", "up"} {
		l.Key(context, screen.Key{Name: k})
	}
	if e, _ := l.chosen(); e.Title != "host storage" {
		t.Errorf("%s", e.Title)
	}
	if l.Key(context, screen.Key{Name: "backspace"}) == nil {
		t.Error("backspace on nothing does not close")
	}
}

func TestTheMenuTakesKeys(t *testing.T) {
	l := &List{entries: entries()}
	l.find()
	if e, ok := l.Key(context, screen.Key{Name: "L", Text: "L"}).(screen.ClosePopup); !ok || e.Then != (screen.Press{ID: "logs"}) {
		t.Error("L does not open the logs")
	}
	if l.Key(context, screen.Key{Name: "x", Text: "x"}) != nil {
		t.Error("x does something")
	}
}

// TestWhatIsCutIsToldBelow: of an entry whose note has no room beside it, the note
// stands below the list while it is selected, and that it is off beside it.
func TestWhatIsCutIsToldBelow(t *testing.T) {
	why := "no flake is known: start sextant in its folder, or set flake in the configuration"
	theme, err := themes.Named("")
	if err != nil {
		t.Fatal(err)
	}
	drawn := func(down, others int) string {
		l := &List{title: "cloud", entries: []Entry{{Title: "Pause what deploys by itself", Off: why}, {Title: "logs", Note: "the log"}}}
		for range others {
			l.entries = append(l.entries, Entry{Title: "other"})
		}
		l.find()
		for range down {
			l.Key(context, screen.Key{Name: "down"})
		}
		canvas := widget.NewCanvas(40, 19, theme, themes.ASCII)
		l.Draw(context, canvas.Pane())
		return strings.Join(strings.Fields(strings.ReplaceAll(ansi.Strip(canvas.String()), "|", " ")), " ")
	}
	if got := drawn(0, 0); !strings.Contains(got, "by~ off logs") || !strings.Contains(got, "off: "+why) {
		t.Errorf("selected: %q", got)
	}
	if got := drawn(1, 0); !strings.Contains(got, "by~ off > logs") || strings.Contains(got, "folder") || !strings.Contains(got, "the log") {
		t.Errorf("not selected: %q", got)
	}
	mark := themes.ASCII.Down
	if strings.Count(drawn(0, 20), mark) != strings.Count(drawn(0, 0), mark)+1 || !strings.Contains(drawn(21, 20), themes.ASCII.Up) {
		t.Errorf("that there are more is not marked: %q", drawn(0, 20))
	}
}
