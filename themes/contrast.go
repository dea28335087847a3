package themes

import "github.com/charmbracelet/x/ansi"

// High contrast: bright colours on black, nothing faint, and an underline
// where only a shade would tell things apart.
var _ = register(Theme{
	Name:  "high-contrast",
	About: "bright on black, nothing faint",
	Styles: [roles]Style{
		Text:      {FG: ansi.BrightWhite, BG: ansi.Black},
		Dim:       {FG: ansi.White, BG: ansi.Black},
		Title:     {FG: ansi.BrightWhite, BG: ansi.Black, Bold: true, Underline: true},
		Accent:    {FG: ansi.BrightCyan, BG: ansi.Black, Bold: true},
		OK:        {FG: ansi.BrightGreen, BG: ansi.Black, Bold: true},
		Warn:      {FG: ansi.BrightYellow, BG: ansi.Black, Bold: true},
		Fail:      {FG: ansi.BrightWhite, BG: ansi.Red, Bold: true},
		Unknown:   {FG: ansi.BrightMagenta, BG: ansi.Black, Bold: true},
		Selection: {FG: ansi.Black, BG: ansi.BrightWhite, Bold: true},
		Marked:    {FG: ansi.BrightCyan, BG: ansi.Black, Bold: true},
		Match:     {FG: ansi.Black, BG: ansi.BrightYellow, Bold: true},
		Border:    {FG: ansi.BrightWhite, BG: ansi.Black},
		Bar:       {FG: ansi.BrightWhite, BG: ansi.Black},
		Tab:       {FG: ansi.BrightWhite, BG: ansi.Black},
		TabActive: {FG: ansi.Black, BG: ansi.BrightWhite, Bold: true},
		Badge:     {FG: ansi.Black, BG: ansi.BrightYellow, Bold: true},
		Chart:     {FG: ansi.BrightCyan, BG: ansi.Black},
	},
})
