// Package themes holds how Sextant looks: named roles instead of colours, the
// skins that fill the roles, and the glyph sets. It knows no screens and no
// facts, and imports nothing of this module.
//
// A skin is one file that registers itself; nothing else has to change.
package themes

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// Role says what a piece of text is, never which colour it has.
type Role uint8

// Roles.
const (
	Text      Role = iota // what is neither below
	Dim                   // less important: old facts, labels
	Title                 // headings, the screen's name
	Accent                // keys, links, what is typed
	OK                    // fine
	Warn                  // look at it soon
	Fail                  // broken
	Unknown               // could not be read
	Selection             // the row the cursor is on
	Marked                // a marked row's gutter
	Match                 // what a search found
	Border                // lines between panes, boxes
	Bar                   // the header and footer lines
	Tab                   // a tab
	TabActive             // the tab that is open
	Badge                 // a count that wants to be seen
	Chart                 // charts and sparklines
	roles
)

// Theme is a skin.
type Theme struct {
	Name   string
	About  string // one line, for the list of skins
	Styles [roles]lipgloss.Style
	sgr    [roles]string
}

// SGR is the escape sequence that begins text of a role; "" is plain text. It
// supposes that the text before was reset.
func (t *Theme) SGR(r Role) string {
	if r >= roles {
		return ""
	}
	return t.sgr[r]
}

// compile has Lip Gloss write the sequences once, since every frame needs them.
func (t *Theme) compile() {
	for r := range roles {
		t.sgr[r], _, _ = strings.Cut(t.Styles[r].Render("x"), "x")
	}
}

var skins []*Theme

// register adds a skin; each skin's file calls it.
func register(t Theme) *Theme {
	t.compile()
	skins = append(skins, &t)
	return &t
}

// Default is the name of the skin that is used when none is asked for.
const Default = "terminal"

// Names are the names of all skins, the default first.
func Names() []string {
	names := []string{Default}
	for _, t := range skins {
		if t.Name != Default {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names[1:])
	return names
}

// Named finds a skin; "" is the default.
func Named(name string) (*Theme, error) {
	if name == "" {
		name = Default
	}
	for _, t := range skins {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no theme %q; there are %s", name, strings.Join(Names(), ", "))
}
