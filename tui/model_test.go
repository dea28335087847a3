package tui_test

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// press gives keys to a model without a program: what they cause in the
// background does not happen.
func press(m *tui.Model, size [2]int, keys string) {
	m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
	m.View()
	for _, k := range append([]rune{tea.KeyEscape, tea.KeyEscape, tea.KeyEscape, tea.KeyEscape}, []rune(keys)...) {
		msg := tea.KeyPressMsg{Code: k}
		if k > ' ' && k != tea.KeyEscape {
			msg.Text = string(k)
		}
		m.Update(msg)
		m.View()
	}
}

func model(t testing.TB, o tui.Options) *tui.Model {
	m, err := tui.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestWrongNamesAreRefused(t *testing.T) {
	for _, o := range []tui.Options{{Theme: "no such"}, {Glyphs: "no such"}} {
		if _, err := tui.New(o); err == nil || !strings.Contains(err.Error(), "there are") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestAFlashDoesNotCoverWhatIsTyped: the line of the filter is where flashes are.
func TestAFlashDoesNotCoverWhatIsTyped(t *testing.T) {
	m := model(t, sample())
	press(m, [2]int{80, 24}, "")
	if got := ansi.Strip(m.View().Content); !strings.Contains(got, "this is the first screen") {
		t.Fatalf("no flash in %s", got)
	}
	press(m, [2]int{80, 24}, "/st")
	if got := ansi.Strip(m.View().Content); !strings.Contains(got, "/st") || strings.Contains(got, "this is the first screen") {
		t.Errorf("the flash covers what is typed: %s", got)
	}
}

func TestTheSameFrameIsDrawnOnce(t *testing.T) {
	m := model(t, sample())
	press(m, sizes[0], "")
	a := m.View()
	m.Update(tea.ColorProfileMsg{})
	if b := m.View(); a.Content != b.Content {
		t.Error("another frame")
	}
	if n := testing.AllocsPerRun(10, func() { m.View() }); n > 0 {
		t.Errorf("a frame that was drawn already takes %v allocations", n)
	}
}

func TestEveryGlyphSetAndTheme(t *testing.T) {
	for _, glyphs := range []string{"unicode", "block", "ascii"} {
		for _, theme := range []string{"terminal", "high-contrast"} {
			o := sample()
			o.Glyphs, o.Theme = glyphs, theme
			m := model(t, o)
			for _, keys := range []string{"", "G1", "G3", "G6", "?", "M"} {
				press(m, sizes[1], keys)
				if glyphs != "ascii" {
					continue
				}
				for _, r := range m.View().Content {
					if r > 0x7e && r != '…' && r != '°' { // those two are in texts, not signs
						t.Errorf("%q is not ASCII: %q after %q", r, m.View().Content, keys)
						break
					}
				}
			}
		}
	}
}

// many is a store with n hosts.
func many(n int) *fleet.Store {
	base := tuitest.Sample().Snapshot().Hosts
	store := fleet.NewStore()
	hosts := make([]fleet.Host, 0, n)
	for i := range n {
		h := base[i%len(base)].Host
		h.ID, h.Name = fleet.HostID(fmt.Sprint("h", i)), fmt.Sprintf("host-%04d", i)
		hosts = append(hosts, h)
	}
	store.SetHosts(hosts, nil, nil)
	for i, h := range hosts {
		store.Update(h.ID, func(s *fleet.State) { st := base[i%len(base)]; st.Host = h; *s = st })
	}
	return store
}

// TestAFrameAllocatesLittle holds the goal for View at 120×40 with 1,000 hosts,
// 4,000 allocations. How long it takes, BenchmarkView tells.
func TestAFrameAllocatesLittle(t *testing.T) {
	o := sample()
	o.Store = many(1000)
	m := model(t, o)
	press(m, sizes[0], "G")
	move := tea.KeyPressMsg{Code: 'k', Text: "k"}
	allocs := testing.AllocsPerRun(20, func() { m.Update(move); m.View() })
	if allocs > 4000 {
		t.Errorf("a frame takes %v allocations", allocs)
	}
	t.Logf("%v allocations", allocs)
}

func BenchmarkView(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			o := sample()
			o.Store = many(1000)
			m := model(b, o)
			press(m, size, "G")
			move := tea.KeyPressMsg{Code: 'k', Text: "k"}
			b.ReportAllocs()
			for b.Loop() {
				m.Update(move)
				m.View()
			}
		})
	}
}
