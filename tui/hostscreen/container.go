package hostscreen

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// container is all that is known of one.
func container(c *screen.Context, st fleet.State, ct fleet.Container, versions *sheet.Versions, w int) widget.Doc {
	d := widget.Doc{}.Field(w, label, "container", widget.L(themes.Title, ct.Name))
	state := containerState(ct)
	if ct.Running() && !ct.Started.IsZero() {
		state = state.And(themes.Dim, " since "+words.When(ct.Started, c.Now))
	}
	if ct.Health != "" {
		state = state.And(themes.Text, ", ").Join(health(c, ct))
	}
	d = d.Field(w, label, "state", state)
	if ct.State == fleet.Absent {
		d = d.Field(w, label, "", widget.L(themes.Accent, c.Glyphs.Arrow+" ").And(themes.Text, "its unit should run it, but the engine does not have it: see the unit's log (L)"))
	}
	d = d.Field(w, label, "engine", widget.T(ct.Engine+" of "+cmp.Or(ct.User, "root")))
	d = containerUnit(c, d, ct, w)
	d = d.Field(w, label, "restarts", restarts(ct))
	made := widget.T(cmp.Or(ct.Image, "?"))
	if !ct.ImageAt.IsZero() {
		made = made.And(themes.Dim, "  made "+words.When(ct.ImageAt, c.Now))
	}
	d = d.Field(w, label, "image", made)
	d = d.Field(w, label, "image id", widget.L(themes.Dim, cmp.Or(ct.ImageID, c.Glyphs.None)))
	if ct.Digest != "" {
		d = d.Field(w, label, "digest", widget.L(themes.Dim, ct.Digest))
	}
	if ct.ImageID != "" {
		d = versions.Doc(c, d, ct.Of(), w, label)
	}
	d = d.Field(w, label, "created", widget.T(cmp.Or(words.When(ct.Created, c.Now), c.Glyphs.None)))
	d = containerUse(c, d, st, ct, w)
	d = d.Field(w, label, "ports", widget.T(cmp.Or(strings.Join(portList(ct), ", "), c.Glyphs.None)))
	d = d.Field(w, label, "networks", widget.T(cmp.Or(strings.Join(ct.Networks, ", "), c.Glyphs.None)))
	d = d.Field(w, label, "pod", widget.T(cmp.Or(ct.Pod, c.Glyphs.None)))
	d = d.Field(w, label, "command", widget.T(cmp.Or(strings.Join(ct.Command, " "), c.Glyphs.None)))
	d = d.Field(w, label, "id", widget.L(themes.Dim, cmp.Or(ct.ID, c.Glyphs.None)))
	return d.Field(w, label, "source", widget.L(themes.Dim, st.Containers.Source+", "+words.AgoLong(st.Containers.At, c.Now)))
}

func containerUnit(c *screen.Context, d widget.Doc, ct fleet.Container, w int) widget.Doc {
	unit := widget.L(themes.Dim, c.Glyphs.None+" no unit owns it")
	if ct.Unit != "" {
		unit = widget.T(ct.Unit)
		if ct.UserUnit {
			unit = unit.And(themes.Dim, " (of the user)")
		}
		if ct.UnitSub != "" {
			role := themes.Text
			if strings.HasPrefix(ct.UnitSub, "failed") {
				role = themes.Fail
			}
			unit = unit.And(themes.Text, "  ").And(role, ct.UnitSub)
		}
	}
	return d.Field(w, label, "unit", unit)
}

// containerUse is what the container uses now.
func containerUse(c *screen.Context, d widget.Doc, st fleet.State, ct fleet.Container, w int) widget.Doc {
	s, ok := measured(c, st, ct)
	switch {
	case !ct.Running():
		return d
	case !ok:
		return d.Field(w, label, "use", widget.L(themes.Dim, c.Glyphs.Asking+" asking"))
	}
	mem := words.Bytes(s.Memory)
	if s.MemLimit > 0 {
		mem += " of " + words.Bytes(s.MemLimit)
	}
	u := useOf(c, st, ct)
	d = d.Field(w, label, "cpu", widget.T(fmt.Sprintf("%.2f cores  ", s.CPU)).Join(u.spark(c, u.cpus)))
	d = d.Field(w, label, "memory", widget.T(mem+"  ").Join(u.spark(c, u.memories)))
	d = d.Field(w, label, "network", widget.T(words.Bytes(s.NetIn)+" in, "+words.Bytes(s.NetOut)+" out  ").Join(u.net).And(themes.Text, "/s ").Join(u.spark(c, u.nets)))
	d = d.Field(w, label, "disk", widget.T(words.Bytes(s.BlockIn)+" read, "+words.Bytes(s.BlockOut)+" written  ").Join(u.block).And(themes.Text, "/s ").Join(u.spark(c, u.blocks)))
	return d.Field(w, label, "processes", widget.T(strconv.FormatUint(s.PIDs, 10)))
}

// portList are the published ports in full: "0.0.0.0:8443 > 443/tcp".
func portList(ct fleet.Container) []string {
	out := make([]string, 0, len(ct.Ports))
	for _, p := range ct.Ports {
		out = append(out, words.Port(p))
	}
	return out
}
