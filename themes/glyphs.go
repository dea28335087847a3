package themes

import (
	"fmt"
	"strings"
)

// Glyphs are the signs that screens draw. All are one cell wide.
type Glyphs struct {
	Name     string
	Cursor   string // in the gutter of the selected row
	Mark     string // in the gutter of a marked row
	Asking   string // a refresh is under way
	Unknown  string // could not be read
	None     string // there is nothing to read
	Ellipsis string // text was cut here
	Dot      string // between two parts of a line
	Arrow    string // from → to
	Crumb    string // between levels of the title
	Differs  string // running system is not the default
	Reboot   string // reboot needed; it booted
	Deployed string // on a time axis: a system came
	WentBack string // and the one before came again
	Cross    string // no, missing
	Check    string // yes
	Up, Down string // there is more above, below
	Rule     string // horizontal line
	Pipe     string // vertical line
	Corners  [4]string
	Levels   []string  // from empty to full, for sparklines and block charts
	Gauge    [2]string // full and empty part of a bar
	Braille  bool      // charts may use braille patterns
}

// Unicode is the glyph set for terminals with a good font.
var Unicode = Glyphs{
	Name: "unicode", Cursor: ">", Mark: "*", Asking: "…", Unknown: "?", None: "–", Ellipsis: "…",
	Dot: "·", Arrow: "→", Crumb: "›", Differs: "≠", Reboot: "↻", Deployed: "▲", WentBack: "▼", Cross: "✗", Check: "✓", Up: "↑", Down: "↓",
	Rule: "─", Pipe: "│", Corners: [4]string{"┌", "┐", "└", "┘"},
	Levels: []string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, Gauge: [2]string{"█", "░"}, Braille: true,
}

// ASCII is the glyph set that every terminal and font has.
var ASCII = Glyphs{
	Name: "ascii", Cursor: ">", Mark: "*", Asking: "~", Unknown: "?", None: "-", Ellipsis: "~",
	Dot: "|", Arrow: ">", Crumb: ">", Differs: "!", Reboot: "@", Deployed: "^", WentBack: "v", Cross: "x", Check: "+", Up: "^", Down: "v",
	Rule: "-", Pipe: "|", Corners: [4]string{"+", "+", "+", "+"},
	Levels: []string{" ", "_", ".", "-", "=", "+", "*", "%", "#"}, Gauge: [2]string{"#", "."},
}

// Blocks is Unicode without braille patterns, which some fonts lack.
var Blocks = func() Glyphs {
	g := Unicode
	g.Name, g.Braille = "block", false
	return g
}()

// GlyphSet finds a glyph set: "unicode" (also ""), "block" or "ascii".
func GlyphSet(name string) (Glyphs, error) {
	for _, g := range []Glyphs{Unicode, Blocks, ASCII} {
		if strings.EqualFold(g.Name, name) || name == "" {
			return g, nil
		}
	}
	return Glyphs{}, fmt.Errorf("no glyph set %q; there are unicode, block, ascii", name)
}
