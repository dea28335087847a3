package sheet

import (
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Versions tells which versions of images containers have in the fleet. It reads them
// once for each state of what is known.
type Versions struct {
	read    bool
	of      uint64
	running fleet.Running
}

// In are the versions by what is known now.
func (v *Versions) In(c *screen.Context) fleet.Running {
	if !v.read || v.of != c.Snap.Version {
		v.read, v.of, v.running = true, c.Snap.Version, fleet.RunningIn(c.Snap.Hosts)
	}
	return v.running
}

// Doc adds which hosts have which version of an image, and how it stands to them;
// nothing where no container is known to have any.
func (v *Versions) Doc(c *screen.Context, d widget.Doc, i fleet.Image, w, label int) widget.Doc {
	r := v.In(c)
	list, own := r.Of(i)
	if len(list) == 0 {
		return d
	}
	d = d.Field(w, label, "in fleet", standing(r, i, list, own))
	for n, x := range list {
		if len(list) == 1 && n == own {
			break // the line above says all
		}
		l := widget.L(themes.Text, map[bool]string{true: c.Glyphs.Cursor, false: " "}[n == own]+" ")
		l = l.And(themes.Accent, strings.Join(x.Hosts, ", ")).And(themes.Text, "  "+strings.Join(x.Tags, ", "))
		if !x.Created.IsZero() {
			l = l.And(themes.Text, " made "+words.When(x.Created, c.Now))
		}
		id := x.Digest
		if id == "" {
			id = x.ID
		}
		d = d.Field(w, label, "", l.And(themes.Dim, "  "+fleet.ShortDigest(id)))
	}
	if len(r.Silent) > 0 {
		d = d.Field(w, label, "", widget.L(themes.Unknown, "? not known of ").And(themes.Text, strings.Join(r.Silent, ", ")))
	}
	return d
}

// standing is how an image stands to the versions that containers have.
func standing(r fleet.Running, i fleet.Image, list []fleet.ImageVersion, own int) widget.Line {
	switch {
	case r.Older(i):
		return widget.L(themes.Warn, "older").And(themes.Text, " than the newest of "+fmt.Sprint(len(list))+" versions that containers have")
	case own < 0:
		return widget.T("no container has this one")
	case len(list) == 1 && len(list[0].Hosts) == 1:
		return widget.L(themes.Dim, "no other host has it")
	case len(list) == 1:
		return widget.L(themes.OK, "the same").And(themes.Text, " on "+strings.Join(list[0].Hosts, ", "))
	case own == 0:
		return widget.L(themes.OK, "the newest").And(themes.Text, fmt.Sprintf(" of %d versions that containers have", len(list)))
	}
	return widget.T(fmt.Sprintf("one of %d versions that containers have", len(list)))
}
