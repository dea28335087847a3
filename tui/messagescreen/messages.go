// Package messagescreen shows what happened: what was done to which host, what
// failed, why, and what to do about it. The newest is on top.
package messagescreen

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Screen is the list of messages.
type Screen struct {
	scroll widget.Scroll
	filter string
}

// New makes the screen.
func New() *Screen { return &Screen{} }

// Place implements screen.Screen.
func (s *Screen) Place() screen.Place { return screen.Place{Screen: screen.Messages} }

// Title implements screen.Screen.
func (s *Screen) Title(*screen.Context) []string { return []string{"Messages"} }

// Scopes implements screen.Screen.
func (s *Screen) Scopes() []string { return []string{"messages", "scroll"} }

// Hints implements screen.Screen.
func (s *Screen) Hints(*screen.Context) []string {
	return []string{"back", "find", "copy", "progress", "help"}
}

// Open implements screen.Screen.
func (s *Screen) Open(*screen.Context) screen.Effect { return nil }

// Close implements screen.Screen.
func (s *Screen) Close() {}

// Fresh implements screen.Screen.
func (s *Screen) Fresh(*screen.Context) screen.Effect { return nil }

// Receive implements screen.Screen.
func (s *Screen) Receive(*screen.Context, tea.Msg) screen.Effect { return nil }

// Do implements screen.Screen.
func (s *Screen) Do(_ *screen.Context, id string) screen.Effect { s.scroll.Do(id); return nil }

// Tap implements screen.Screen.
func (s *Screen) Tap(*screen.Context, any) screen.Effect { return nil }

// Back implements screen.Screen.
func (s *Screen) Back(*screen.Context) bool {
	had := s.filter != ""
	s.filter = ""
	return had
}

// Target implements screen.Screen.
func (s *Screen) Target(*screen.Context) fleet.Target { return fleet.Target{} }

// Focus implements screen.Screen.
func (s *Screen) Focus(*screen.Context) fleet.Focus { return fleet.Focus{} }

// Finding implements screen.Finder.
func (s *Screen) Finding() (text, label string) { return s.filter, "messages" }

// Find implements screen.Finder.
func (s *Screen) Find(_ *screen.Context, text string, _ bool) { s.filter = text; s.scroll.Reset() }

// shown are the messages that the filter lets through, newest first.
func (s *Screen) shown(c *screen.Context) []fleet.Message {
	want, not := strings.CutPrefix(strings.ToLower(s.filter), "!")
	var out []fleet.Message
	for i := len(c.Snap.Messages) - 1; i >= 0; i-- {
		m := c.Snap.Messages[i]
		word, _ := words.Level(m.Level)
		in := strings.Contains(strings.ToLower(word+" "+m.Host+" "+m.Text), want)
		if want == "" || in != not {
			out = append(out, m)
		}
	}
	return out
}

// Draw implements screen.Screen.
func (s *Screen) Draw(c *screen.Context, p widget.Pane) {
	p = p.Sub(1, 0, p.W-2, p.H)
	list := s.shown(c)
	if len(list) == 0 {
		p.Text(0, 0, p.W, themes.Text, "Nothing happened yet.")
		p.Text(0, 1, p.W, themes.Dim, "What is done to hosts, and what fails, is kept here.")
		return
	}
	var d widget.Doc
	for _, m := range list {
		word, role := words.Level(m.Level)
		l := widget.L(themes.Dim, words.Left(words.Ago(m.At, c.Now), 4))
		if c.W >= screen.Split {
			l = widget.L(themes.Dim, m.At.Local().Format("01-02 15:04:05 "))
		}
		l = l.And(role, words.Left(word, 5))
		if m.Host != "" {
			l = l.And(themes.Title, m.Host).And(themes.Text, ": ")
		}
		d = d.Add(p.W, l[0:1].Width()+5, l.And(themes.Text, m.Text))
	}
	d.Draw(p, &s.scroll)
}

// Copy implements screen.Copier.
func (s *Screen) Copy(c *screen.Context) (what, text string) {
	var b strings.Builder
	for _, m := range s.shown(c) {
		word, _ := words.Level(m.Level)
		b.WriteString(m.At.UTC().Format("2006-01-02T15:04:05Z") + " " + word + " " + strings.TrimSpace(m.Host+" "+m.Text) + "\n")
	}
	return "the messages", b.String()
}
