package widget

import (
	"strings"

	"github.com/sextant-fleet/sextant/themes"
)

// Box draws a frame of at most w×h in the middle of the pane, or without sides
// over its whole width where that is small, and gives the room inside.
func Box(p Pane, w, h int, title string) Pane {
	w, h = min(w, p.W), min(h, p.H)
	if p.W-w < 8 {
		w = p.W
	}
	box := p.Sub((p.W-w)/2, max(0, (p.H-h)/3), w, h)
	p.Zone(0, 0, p.W, p.H, TapOutside{})
	p.NoCursor()
	box.Fill(themes.Text)
	box.Zone(0, 0, w, h, TapInside{})
	g := p.Glyphs()
	rule := strings.Repeat(g.Rule, max(0, w-2))
	box.Text(0, 0, w, themes.Border, g.Corners[0]+rule+g.Corners[1])
	box.Text(0, h-1, w, themes.Border, g.Corners[2]+rule+g.Corners[3])
	for y := 1; y < h-1; y++ {
		box.Text(0, y, 1, themes.Border, g.Pipe)
		box.Text(w-1, y, 1, themes.Border, g.Pipe)
	}
	if title != "" {
		box.Text(2, 0, w-4, themes.Title, " "+Fit(title, w-8, g.Ellipsis)+" ")
	}
	return box.Sub(2, 1, w-4, h-2)
}

// TapOutside is what a tap beside a box means.
type TapOutside struct{}

// TapInside is what a tap on the ground of a box means.
type TapInside struct{}

// Rule draws a horizontal line.
func (p Pane) Rule(y int) {
	p.Text(0, y, p.W, themes.Border, strings.Repeat(p.Glyphs().Rule, max(0, p.W)))
}

// VRule draws a vertical line.
func (p Pane) VRule(x int) {
	for y := range p.H {
		p.Text(x, y, 1, themes.Border, p.Glyphs().Pipe)
	}
}

// Tabs draws the names of tabs with their numbers, and only the numbers of the
// last ones where the pane is too narrow; target makes a tab tappable.
func Tabs(p Pane, y int, names []string, open int, target func(i int) any) {
	labels := make([]string, len(names))
	width := 0
	for i, n := range names {
		labels[i] = tabLabel(i, n, i == open)
		width += Width(labels[i])
	}
	for i := len(names) - 1; i >= 0 && width > p.W; i-- {
		if i != open {
			width -= Width(labels[i])
			labels[i] = tabLabel(i, "", false)
			width += Width(labels[i])
		}
	}
	x := 0
	for i, l := range labels {
		role := themes.Tab
		if i == open {
			role = themes.TabActive
		}
		n := p.Text(x, y, p.W-x, role, l)
		p.Zone(x, y, n, 1, target(i))
		x += n
	}
}

func tabLabel(i int, name string, open bool) string {
	label := string(rune('1' + i))
	if name != "" {
		label += " " + name
	}
	if open {
		return "[" + label + "]"
	}
	return " " + label + " "
}
