package themes

import "charm.land/lipgloss/v2"

// The terminal's own 16 colours: whatever the person made of them is right.
// Nothing here supposes a dark or a light background.
var _ = register(Theme{
	Name:  Default,
	About: "the terminal's own 16 colours",
	Styles: [roles]lipgloss.Style{
		Dim:       lipgloss.NewStyle().Faint(true),
		Title:     lipgloss.NewStyle().Bold(true),
		Accent:    lipgloss.NewStyle().Foreground(lipgloss.Cyan),
		OK:        lipgloss.NewStyle().Foreground(lipgloss.Green),
		Warn:      lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true),
		Fail:      lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
		Unknown:   lipgloss.NewStyle().Foreground(lipgloss.Magenta),
		Selection: lipgloss.NewStyle().Reverse(true),
		Marked:    lipgloss.NewStyle().Foreground(lipgloss.Cyan).Bold(true),
		Match:     lipgloss.NewStyle().Reverse(true).Foreground(lipgloss.Yellow),
		Border:    lipgloss.NewStyle().Faint(true),
		Bar:       lipgloss.NewStyle(),
		Tab:       lipgloss.NewStyle(),
		TabActive: lipgloss.NewStyle().Reverse(true).Bold(true),
		Badge:     lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true),
		Chart:     lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	},
})
