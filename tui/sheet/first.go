package sheet

import (
	"cmp"
	"fmt"

	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
)

// FirstUse says why there are no hosts, source by source, and what to do.
func FirstUse(c *screen.Context, w int) widget.Doc {
	var d widget.Doc
	if len(c.Snap.Sources) == 0 {
		d = d.Add(w, 0, widget.L(themes.Title, "Looking for hosts "+c.Glyphs.Asking))
		return d.Add(w, 0, widget.L(themes.Dim, "Tailscale, the local network, ~/.ssh/config and the configuration are asked."))
	}
	d = d.Add(w, 0, widget.L(themes.Title, "No hosts yet"))
	d = d.Add(w, 0, widget.T("Nobody of those who were asked knows a NixOS machine:"))
	d = append(d, widget.Row{})
	for _, s := range c.Snap.Sources {
		state := widget.L(themes.Dim, fmt.Sprintf("names known: %d", s.Count))
		if s.Err != "" {
			state = widget.L(themes.Warn, s.Err)
		}
		d = d.Field(w, 11, s.Source, state)
		if s.Help != "" {
			d = d.Field(w, 11, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, s.Help))
		}
	}
	for i, o := range c.Snap.Others {
		if i == 0 {
			d = d.Head("Seen, but not counted as hosts")
		}
		d = d.Field(w, 11, o.Name, widget.L(themes.Dim, o.Why))
	}
	return noHosts(c, d.Head("What to do"), w)
}

// Trouble says which sources of hosts fail although there are some hosts, and
// what to do while this machine is the only one.
func Trouble(c *screen.Context, w int) widget.Doc {
	var d widget.Doc
	for _, s := range c.Snap.Sources {
		if s.Err == "" {
			continue
		}
		d = d.Add(w, 2, widget.L(themes.Warn, s.Source).And(themes.Text, " "+s.Err))
		if s.Help != "" {
			d = d.Add(w, 4, widget.L(themes.Accent, "  "+c.Glyphs.Arrow+" ").And(themes.Text, s.Help))
		}
	}
	for _, st := range c.Snap.Hosts {
		if !st.Host.Local {
			return d
		}
	}
	return noHosts(c, d.Head("This machine is the only host that is known"), w)
}

// noHosts is the way on that always works.
func noHosts(c *screen.Context, d widget.Doc, w int) widget.Doc {
	d = d.Add(w, 2, widget.T("1 Join this machine to your tailnet: ").And(themes.Accent, "tailscale up").And(themes.Text, ", then press ").And(themes.Accent, key(c, "refresh")))
	d = d.Add(w, 2, widget.T("2 Or name a host in ").And(themes.Accent, "~/.config/sextant/config.toml").And(themes.Text, ":"))
	d = d.Add(w, 4, widget.L(themes.Accent, "    [[host]]"))
	d = d.Add(w, 4, widget.L(themes.Accent, "    name = \"storage\""))
	d = d.Add(w, 4, widget.L(themes.Accent, "    addresses = [\"10.77.0.11\"]"))
	return d.Add(w, 2, widget.T("3 Or look around a fleet that does not exist: ").And(themes.Accent, "sextant demo"))
}

func key(c *screen.Context, id string) string {
	b, _ := c.Keys.Named(id)
	return cmp.Or(b.Key(), id)
}
