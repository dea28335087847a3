package tui_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// hostile is text that a host could send to break the screen.
var hostile = []string{
	"\x1b[2J\x1b[Hgone", "\x1b]0;evil title\x07x", "a\x1b[10;10Hb", "\x9b31mred", "one\r\ntwo\ttabs\x08\x08\x7f",
	"\u202egnitirw desrever\u202c", "\u2066isolate\u2069", "zero\u200bwidth\u200d\ufeff", strings.Repeat("long", 2500),
	"👨‍👩‍👧‍👦 family", "👍🏽 skin", "❤️ heart", "🇩🇪🇫🇷 flags", "日本語のホスト名", "한국어", "e\u0301\u0302\u0303\u0304\u0305\u0306\u0307 zalgo", "\u0301first", "क्षि नमस्ते", "นี่คือ",
	"\xff\xfe not UTF-8 \xc3", "\x1bP1$r payload \x1b\\dcs", "\x1b_apc\x1b\\", "\x1b[?1049l\x1b[?25l", "e\u20e3keycap 1️⃣", "ﷺ wide", "\u2028line\u2029para", "\x00nul\x1b", "\u115f\u1160filler", "\U000e0041tag",
}

// poisoned is the sample with hostile texts wherever a host puts one.
func poisoned(texts ...string) tui.Options {
	o, n := sample(), 0
	text := func() string { n++; return texts[n%len(texts)] }
	o.Store.Update("n-storage", func(st *fleet.State) {
		st.Host.Aliases, st.Host.Tags = []string{text()}, []string{text()}
		st.System.Value.NixOSVersion, st.System.Value.Kernel, st.System.Value.Unseen = text(), text(), []string{text(), text()}
		st.System.Source, st.Units.Source = text(), text()
		us := append([]fleet.Unit(nil), st.Units.Value...)
		us[0].Name, us[0].Description, us[4].Description = "a"+text(), text(), text()
		st.Units.Value = us
		cs := append([]fleet.Container(nil), st.Containers.Value...)
		cs[0].Name, cs[0].Image, cs[1].State, cs[1].Health = "a"+text(), text(), text(), text()
		st.Containers.Value = cs
		st.Backups.Value = append([]fleet.BackupJob(nil), st.Backups.Value...)
		st.Backups.Value[0].Name, st.Backups.Value[3].Error = "a"+text(), text()
		gs := append([]fleet.Generation(nil), st.Generations.Value...)
		gs[1].NixOSVersion, gs[1].Revision = text(), text()
		st.Generations.Value = gs
		ms := st.Metrics.Value
		ms.Disks = append([]fleet.Disk{{Mount: text(), Used: 99, Total: 100, Avail: 1}}, ms.Disks...)
		st.Metrics.Value = ms
	})
	all := tuitest.AllUnits()
	for i := range all.Units {
		u := &all.Units[i]
		u.Description, u.Sub, u.FileState = text(), text(), text()
		if i%3 == 0 {
			u.Name, u.User, u.Result = "a"+text(), text(), text()
		}
	}
	for i := range all.Timers {
		all.Timers[i].Name, all.Timers[i].Activates, all.Timers[i].FileState = text(), text(), text()
	}
	all.Unseen = []string{text()}
	console(o).AllUnits = all
	console(o).OneUnit = func(string, string, bool) (fleet.UnitDetail, error) {
		return fleet.UnitDetail{
			Unit: fleet.Unit{Name: text(), Description: text(), Type: text(), Active: text()}, File: "[Unit]\n" + text() + "\nExecStart=" + text(), Source: text(),
			Properties: [][2]string{{text(), text()}}, Broken: []fleet.Dependency{{Name: text(), Kind: text(), Via: []string{text()}, State: text()}}, Unseen: []string{text()},
		}, nil
	}
	o.Store.Update("n-cloud", func(st *fleet.State) {
		st.Reach = fleet.Unknown[fleet.Reach](errors.New(text()), tuitest.Now, text())
	})
	o.Store.Update("n-desk", func(st *fleet.State) { st.Host.Name = "desk" + text() })
	o.Store.Note(fleet.Message{At: tuitest.Now.Add(time.Minute), Level: fleet.Error, Host: text(), Text: text()})
	return o
}

// TestHostsCannotBreakTheScreen draws every screen with hostile texts on it,
// and looks whether the frame around them stands.
func TestHostsCannotBreakTheScreen(t *testing.T) {
	for texts := range slices.Chunk(hostile, 6) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			o := poisoned(texts...)
			lines := tuitest.LogLines(12)
			for i := range lines {
				lines[i].Text = texts[i%len(texts)]
			}
			console(o).Lines = lines
			for _, size := range [][2]int{{120, 40}, {40, 20}} {
				walk(t, open(t, o, size[0], size[1]))
			}
		})
	}
}

// walk goes over all screens.
func walk(t *testing.T, term *tuitest.Term) {
	t.Helper()
	const calm = 150 * time.Millisecond
	whole(t, term.WaitFor("storage").Settle(calm), "Fleet", "help")
	term.Press("G", "enter").WaitFor("[1 Overview]")
	for _, key := range []string{"2", "3", "4", "5", "6"} {
		whole(t, term.Press(key).WaitFor("["+key).Settle(calm), "storage", "help")
	}
	whole(t, term.Press("4", "t").WaitFor("[timers 5]").Settle(calm), "storage", "help")
	whole(t, term.Press("a").WaitFor("[all", " 14]").Settle(calm), "storage", "help")
	whole(t, term.Press("enter").WaitFor("state").Settle(calm), "storage", "help")
	whole(t, term.Press("G").Settle(calm), "storage", "help")
	whole(t, term.Press("L").WaitFor("following").Settle(calm), "storage", "help")
	whole(t, term.Press("M").WaitFor(" Messages").Settle(calm), "Messages", "help")
	if term.Title() != "sextant" || !term.AltScreen() {
		t.Errorf("the host changed the terminal: title %q", term.Title())
	}
}

// whole tells whether header and footer are where they belong, every line has
// its width, and nothing but our own escape sequences was written.
func whole(t *testing.T, term *tuitest.Term, first, last string) {
	t.Helper()
	rows := strings.Split(term.Screen(), "\n")
	if !strings.Contains(rows[0], first) || !strings.Contains(rows[len(rows)-1], last) {
		t.Errorf("the frame is broken:\n%s", term.Screen())
	}
	for _, bad := range []string{"\u202e", "\u2066", "\u200d", "\ufeff", "\u009b", "evil title", "\u2028"} {
		if strings.Contains(term.Raw(), bad) {
			t.Errorf("%q was written", bad)
		}
	}
}

// TestEveryLineHasItsWidth holds the lines of a frame against both ways in
// which terminals count cells.
func TestEveryLineHasItsWidth(t *testing.T) {
	for _, text := range hostile {
		for _, size := range sizes {
			m, err := tui.New(poisoned(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, keys := range []string{"", "G", "G1", "G3", "G4", "G5", "M", "?", ":"} {
				press(m, size, keys)
				for y, line := range strings.Split(m.View().Content, "\n") {
					if w, wc := ansi.StringWidth(line), ansi.StringWidthWc(line); w > size[0] || wc > size[0] || w != wc {
						t.Fatalf("%q %v after %q: line %d is %d or %d cells wide: %q", text, size, keys, y, w, wc, line)
					}
				}
			}
			m.Close()
		}
	}
}
