package sheet

import (
	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Drift is how what a host runs stands to what the flake declares for it.
// Nothing where no flake is known.
func Drift(c *screen.Context, st fleet.State, w int) widget.Doc {
	repo := c.Snap.Repo
	if !st.System.HasValue() || !st.System.Value.NixOS || !repo.HasValue() && repo.Err == "" {
		return nil
	}
	if !repo.HasValue() {
		return widget.Doc{}.Field(w, Label, "flake", widget.L(themes.Unknown, "? ").And(themes.Text, repo.Err))
	}
	r := repo.Value
	d := r.Drift(st)
	var l widget.Line
	switch d.State {
	case fleet.DriftNone:
		l = widget.L(themes.OK, c.Glyphs.Check+" ").And(themes.Text, d.Why)
	case fleet.DriftDiffers:
		l = widget.L(themes.Warn, "! ").And(themes.Text, d.Why)
	default:
		l = widget.L(themes.Unknown, "? ").And(themes.Text, d.Why)
	}
	if !r.Nixpkgs.IsZero() {
		l = l.And(themes.Dim, "  nixpkgs of "+words.AgoLong(r.Nixpkgs, c.Now))
	}
	if repo.Err != "" {
		l = l.And(themes.Dim, "  told "+words.AgoLong(repo.At, c.Now)+": "+repo.Err)
	}
	return widget.Doc{}.Field(w, Label, "flake", l)
}
