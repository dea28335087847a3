package themes

import "charm.land/lipgloss/v2"

// High contrast: bright colours on black, nothing faint, and an underline
// where only a shade would tell things apart.
var _ = register(Theme{
	Name:  "high-contrast",
	About: "bright on black, nothing faint",
	Styles: [roles]lipgloss.Style{
		Text:      lipgloss.NewStyle().Foreground(lipgloss.BrightWhite).Background(lipgloss.Black),
		Dim:       lipgloss.NewStyle().Foreground(lipgloss.White).Background(lipgloss.Black),
		Title:     lipgloss.NewStyle().Foreground(lipgloss.BrightWhite).Background(lipgloss.Black).Bold(true).Underline(true),
		Accent:    lipgloss.NewStyle().Foreground(lipgloss.BrightCyan).Background(lipgloss.Black).Bold(true),
		OK:        lipgloss.NewStyle().Foreground(lipgloss.BrightGreen).Background(lipgloss.Black).Bold(true),
		Warn:      lipgloss.NewStyle().Foreground(lipgloss.BrightYellow).Background(lipgloss.Black).Bold(true),
		Fail:      lipgloss.NewStyle().Foreground(lipgloss.BrightWhite).Background(lipgloss.Red).Bold(true),
		Unknown:   lipgloss.NewStyle().Foreground(lipgloss.BrightMagenta).Background(lipgloss.Black).Bold(true),
		Selection: lipgloss.NewStyle().Foreground(lipgloss.Black).Background(lipgloss.BrightWhite).Bold(true),
		Marked:    lipgloss.NewStyle().Foreground(lipgloss.BrightCyan).Background(lipgloss.Black).Bold(true),
		Match:     lipgloss.NewStyle().Foreground(lipgloss.Black).Background(lipgloss.BrightYellow).Bold(true),
		Border:    lipgloss.NewStyle().Foreground(lipgloss.BrightWhite).Background(lipgloss.Black),
		Bar:       lipgloss.NewStyle().Foreground(lipgloss.BrightWhite).Background(lipgloss.Black),
		Tab:       lipgloss.NewStyle().Foreground(lipgloss.BrightWhite).Background(lipgloss.Black),
		TabActive: lipgloss.NewStyle().Foreground(lipgloss.Black).Background(lipgloss.BrightWhite).Bold(true),
		Badge:     lipgloss.NewStyle().Foreground(lipgloss.Black).Background(lipgloss.BrightYellow).Bold(true),
		Chart:     lipgloss.NewStyle().Foreground(lipgloss.BrightCyan).Background(lipgloss.Black),
	},
})
