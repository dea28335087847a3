package sheet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// Fullest sorts disks, the fullest first.
func Fullest(disks []fleet.Disk) []fleet.Disk {
	return slices.SortedStableFunc(slices.Values(disks), func(a, b fleet.Disk) int {
		return cmp.Compare(b.Fraction(), a.Fraction())
	})
}

// Presence is what the tailnet says of a host.
func Presence(c *screen.Context, st fleet.State, w int) widget.Doc {
	return Field(c, st, nil, w, "tailnet", st.Host.Presence, func(p fleet.Presence) widget.Line {
		state := widget.L(themes.OK, "online")
		if !p.Online {
			state = widget.L(themes.Warn, "offline")
			if !p.LastSeen.IsZero() {
				state = state.And(themes.Text, ", last seen "+words.AgoLong(p.LastSeen, c.Now))
			}
		}
		if p.Path != "" {
			state = state.And(themes.Text, ", "+strings.TrimSpace(p.Path+" "+p.Relay))
		}
		switch {
		case p.Expired:
			state = state.And(themes.Text, ", ").And(themes.Warn, "its key has expired")
		case !p.KeyExpiry.IsZero():
			state = state.And(themes.Dim, ", key until "+words.Stamp(p.KeyExpiry))
		}
		return state
	})
}

// Known tells of every fact when it was read, from what, and what went wrong.
func Known(c *screen.Context, st fleet.State, w int) widget.Doc {
	var d widget.Doc
	add := func(name string, at time.Time, source, err string, errAt time.Time, none bool) {
		age := words.Left(cmp.Or(words.Ago(at, c.Now), c.Glyphs.Unknown), 5)
		l := widget.L(themes.Text, age)
		if !at.IsZero() {
			l = l.And(themes.Dim, source)
		}
		switch {
		case none:
			l = widget.L(themes.Dim, words.Left(c.Glyphs.None, 5)+err)
		case err != "":
			if !at.IsZero() {
				l = l.And(themes.Text, " ")
			}
			if st.LostWith(err) { // why is said once, above
				l = l.And(themes.Unknown, "host not reachable")
			} else {
				l = l.And(themes.Unknown, "failed "+words.AgoLong(errAt, c.Now)+": ").And(themes.Text, err)
			}
		case at.IsZero():
			l = widget.L(themes.Unknown, words.Left(c.Glyphs.Unknown, 5)).And(themes.Text, "not asked yet")
		}
		d = d.Field(w, 11, name, l)
	}
	each(st, add)
	return d
}

// each tells of every fact of a host.
func each(st fleet.State, add func(name string, at time.Time, source, err string, errAt time.Time, none bool)) {
	add("reach", st.Reach.At, st.Reach.Source, st.Reach.Err, st.Reach.ErrAt, st.Reach.None)
	add("system", st.System.At, st.System.Source, st.System.Err, st.System.ErrAt, st.System.None)
	add("generations", st.Generations.At, st.Generations.Source, st.Generations.Err, st.Generations.ErrAt, st.Generations.None)
	add("deploys", st.Deploys.At, st.Deploys.Source, st.Deploys.Err, st.Deploys.ErrAt, st.Deploys.None)
	add("units", st.Units.At, st.Units.Source, st.Units.Err, st.Units.ErrAt, st.Units.None)
	add("containers", st.Containers.At, st.Containers.Source, st.Containers.Err, st.Containers.ErrAt, st.Containers.None)
	add("backups", st.Backups.At, st.Backups.Source, st.Backups.Err, st.Backups.ErrAt, st.Backups.None)
	add("metrics", st.Metrics.At, st.Metrics.Source, st.Metrics.Err, st.Metrics.ErrAt, st.Metrics.None)
	add("alarms", st.Alarms.At, st.Alarms.Source, st.Alarms.Err, st.Alarms.ErrAt, st.Alarms.None)
}

// Unseen is what could not be seen on the host, and why.
func Unseen(_ *screen.Context, st fleet.State, w int) widget.Doc {
	var d widget.Doc
	for _, u := range st.System.Value.Unseen {
		d = d.Add(w, 2, widget.L(themes.Unknown, "? ").And(themes.Text, u))
	}
	return d
}

// Who is what is known of the host from outside: names, tags, addresses.
func Who(c *screen.Context, st fleet.State, w int) widget.Doc {
	h := st.Host
	var d widget.Doc
	if role, from := st.Role(); role != "" {
		d = d.Field(w, Label, "role", widget.T(string(role)).And(themes.Dim, "  "+from))
	} else if from != "" {
		d = d.Field(w, Label, "role", widget.L(themes.Dim, "none  "+from))
	}
	if h.Tier != "" {
		d = d.Field(w, Label, "tier", widget.T(h.Tier).And(themes.Dim, "  "+h.TierFrom))
	}
	for _, f := range []struct {
		name  string
		value []string
	}{{"also", h.Aliases}, {"tags", h.Tags}, {"told by", h.Sources}} {
		if len(f.value) > 0 {
			d = d.Field(w, Label, f.name, widget.T(strings.Join(f.value, ", ")))
		}
	}
	var addrs []string
	for _, a := range h.Addresses {
		addrs = append(addrs, a.Host+" ("+string(a.Via)+")")
	}
	if len(addrs) > 0 {
		d = d.Field(w, Label, "at", widget.T(strings.Join(addrs, ", ")))
	}
	return d
}

// Failed are the failed units, by name and description.
func Failed(_ *screen.Context, st fleet.State, w int) widget.Doc {
	var d widget.Doc
	for _, u := range st.Units.Value {
		if u.Failed() {
			d = d.Add(w, 2, widget.L(themes.Fail, u.Label()).And(themes.Dim, "  "+u.Description))
		}
	}
	return d
}
