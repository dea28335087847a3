package themes

import "github.com/charmbracelet/x/ansi"

// The terminal's own 16 colours: whatever the person made of them is right.
// Nothing here supposes a dark or a light background.
var _ = register(Theme{
	Name:  Default,
	About: "the terminal's own 16 colours",
	Styles: [roles]Style{
		Dim:       {Faint: true},
		Title:     {Bold: true},
		Accent:    {FG: ansi.Cyan},
		OK:        {FG: ansi.Green},
		Warn:      {FG: ansi.Yellow, Bold: true},
		Fail:      {FG: ansi.Red, Bold: true},
		Unknown:   {FG: ansi.Magenta},
		Selection: {Reverse: true},
		Marked:    {FG: ansi.Cyan, Bold: true},
		Match:     {Reverse: true, FG: ansi.Yellow},
		Border:    {Faint: true},
		Bar:       {},
		Tab:       {},
		TabActive: {Reverse: true, Bold: true},
		Badge:     {FG: ansi.Yellow, Bold: true},
		Chart:     {FG: ansi.Cyan},
	},
})
