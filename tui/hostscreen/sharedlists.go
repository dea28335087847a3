package hostscreen

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

// entry is a row of one of the lists of what containers share.
type entry struct {
	id, name, user, engine string
	what                   widget.Line // its state, driver
	more                   string      // subnets, path
	users                  []string    // nil: not told
	unused                 bool
	age                    widget.Line
	fields                 [][2]string // for its detail
}

// sharedList makes one of the lists. what and more are the titles of those columns.
func (a *around) sharedList(several bool, kind, what, more string, entries func(*screen.Context, fleet.Shared) []entry) *tableTab {
	byHost := map[fleet.HostID][]entry{}
	at := func(r row) entry { return byHost[r.of.Host.ID][r.at] }
	t := &tableTab{
		several: several,
		columns: []widget.Column{
			{Title: kind, Width: 14, Max: 40}, {Title: "host", Width: 8, Max: 16}, {Title: "user", Width: 5, Max: 10, Drop: 2},
			{Title: what, Width: 8, Max: 12, Drop: 3}, {Title: "used by", Width: 16, Max: 60}, {Title: more, Width: 14, Max: 50, Drop: 4}, {Title: "age", Width: 4, Drop: 1, Right: true},
		},
		order: func(x, y row) int {
			return cmp.Or(trueFirst(at(x).unused, at(y).unused), strings.Compare(x.name, y.name), strings.Compare(x.id, y.id))
		},
		sorts: []sorting{
			byText(kind, "name", func(r row) string { return r.name }),
			byText("host", "host", func(r row) string { return r.of.Host.Name }),
			byText("user", "user", func(r row) string { return at(r).user }),
			byText(what, what, func(r row) string { return at(r).what.String() }),
			{
				title: "used by", note: "how many use it", down: true,
				unknown: func(r row) bool { return at(r).users == nil },
				order:   func(x, y row) int { return cmp.Compare(len(at(x).users), len(at(y).users)) },
			},
			byText(more, more, func(r row) string { return at(r).more }),
		},
		rows: func(c *screen.Context, st fleet.State) []row {
			byHost[st.Host.ID] = entries(c, a.factOf(st).Value)
			var rows []row
			for i, e := range byHost[st.Host.ID] {
				rows = append(rows, row{
					id: e.engine + "/" + e.user + "/" + e.id, name: e.name, at: i,
					more: strings.Join([]string{st.Host.Name, e.user, e.what.String(), e.more, strings.Join(e.users, " "), usedBy(e).String()}, " "),
				})
			}
			return rows
		},
		cells: func(_ *screen.Context, st fleet.State, i int) []widget.Line {
			e := byHost[st.Host.ID][i]
			cells := []widget.Line{widget.T(e.name), owner(fleet.Container{User: e.user}), e.what, usedBy(e), widget.L(themes.Dim, e.more), e.age}
			if several {
				cells = slices.Insert(cells, 1, widget.T(st.Host.Name))
			}
			return cells
		},
		lines: func(_ *screen.Context, st fleet.State, i int) [2]widget.Line {
			e := byHost[st.Host.ID][i]
			second := widget.L(themes.Dim, "  ")
			if several {
				second = second.And(themes.Text, st.Host.Name+"  ")
			}
			if e.user != "root" {
				second = second.And(themes.Text, e.user+"  ")
			}
			return [2]widget.Line{widget.T(e.name + "  ").Join(e.what), second.Join(usedBy(e))}
		},
		detail: func(c *screen.Context, st fleet.State, i, w int) widget.Doc {
			return a.entry(c, st, kind, byHost[st.Host.ID][i], w)
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line { return a.nothing(c, st, kind) },
		age:     func(c *screen.Context, st fleet.State) widget.Line { return a.outdated(c, st) },
		aim:     func(fleet.State, int, *fleet.Target) {},
	}
	if !several {
		t.columns = slices.Delete(t.columns, 1, 2)
		t.sorts = slices.Delete(t.sorts, 1, 2)
	}
	return t
}

// usedBy names who uses something, and says so where nobody does.
func usedBy(e entry) widget.Line {
	switch {
	case e.users == nil:
		return widget.L(themes.Unknown, "?")
	case e.unused:
		return widget.L(themes.Warn, "unused")
	case len(e.users) == 0:
		return widget.L(themes.Dim, "nobody")
	}
	return widget.T(strings.Join(e.users, ", "))
}

// entry is all that is known of one.
func (a *around) entry(c *screen.Context, st fleet.State, kind string, e entry, w int) widget.Doc {
	d := widget.Doc{}.Field(w, label, kind, widget.L(themes.Title, e.name))
	d = d.Field(w, label, "engine", widget.T(e.engine+" of "+e.user))
	d = d.Field(w, label, "used by", usedBy(e))
	for _, f := range e.fields {
		d = d.Field(w, label, f[0], widget.T(cmp.Or(f[1], c.Glyphs.None)))
	}
	f := a.factOf(st)
	return d.Field(w, label, "source", widget.L(themes.Dim, f.Source+", "+words.AgoLong(f.At, c.Now)))
}

// nothing says why a list is empty.
func (a *around) nothing(c *screen.Context, st fleet.State, kind string) []widget.Line {
	f := a.factOf(st)
	switch {
	case a.asks(st) && !f.HasValue():
		return []widget.Line{widget.L(themes.Dim, c.Glyphs.Asking+" asking for "+kind+"s")}
	case f.Asked():
		return none(c, st, fleet.Derive(f, func(fleet.Shared) []int { return nil }), "no "+kind)
	}
	return none(c, st, st.Containers, "no "+kind)
}

// outdated says that the list is not whole, or of before.
func (a *around) outdated(c *screen.Context, st fleet.State) widget.Line {
	return outdated(c, st, a.factOf(st))
}

// pods is the list of pods.
func (a *around) pods(several bool) *tableTab {
	return a.sharedList(several, "pod", "state", "networks", func(c *screen.Context, s fleet.Shared) []entry {
		var list []entry
		for _, p := range s.Pods {
			state := widget.L(themes.Warn, p.State)
			if p.State == "running" {
				state = widget.L(themes.OK, p.State)
			}
			list = append(list, entry{
				id: p.ID, name: p.Name, user: p.User, engine: p.Engine, what: state, more: strings.Join(p.Networks, ", "), users: p.Containers, unused: p.Unused(), age: aged(c, p.Created),
				fields: [][2]string{{"state", p.State}, {"stopped", strings.Join(p.Stopped, ", ")}, {"networks", strings.Join(p.Networks, ", ")}, {"created", words.When(p.Created, c.Now)}, {"id", p.ID}},
			})
		}
		return list
	})
}

// networks is the list of networks.
func (a *around) networks(several bool) *tableTab {
	return a.sharedList(several, "network", "driver", "subnets", func(c *screen.Context, s fleet.Shared) []entry {
		var list []entry
		for _, n := range s.Networks {
			made := "by somebody"
			if n.Builtin {
				made = "by the engine itself"
			}
			list = append(list, entry{
				id: n.ID, name: n.Name, user: n.User, engine: n.Engine, what: widget.T(n.Driver), more: strings.Join(n.Subnets, ", "), users: n.Containers, unused: n.Unused(), age: aged(c, n.Created),
				fields: [][2]string{
					{"driver", n.Driver}, {"subnets", strings.Join(n.Subnets, ", ")}, {"interface", n.Interface}, {"internal", yesNo(n.Internal)}, {"names", yesNo(n.DNS)},
					{"made", made}, {"created", words.When(n.Created, c.Now)}, {"id", n.ID},
				},
			})
		}
		return list
	})
}

// volumes is the list of volumes.
func (a *around) volumes(several bool) *tableTab {
	return a.sharedList(several, "volume", "driver", "path", func(c *screen.Context, s fleet.Shared) []entry {
		var list []entry
		for _, v := range s.Volumes {
			list = append(list, entry{
				id: v.Name, name: v.Name, user: v.User, engine: v.Engine, what: widget.T(v.Driver), more: v.Path, users: v.Containers, unused: v.Unused(), age: aged(c, v.Created),
				fields: [][2]string{{"driver", v.Driver}, {"path", v.Path}, {"anonymous", yesNo(v.Anonymous)}, {"created", words.When(v.Created, c.Now)}},
			})
		}
		return list
	})
}

// aged is how long ago something was made.
func aged(c *screen.Context, at time.Time) widget.Line {
	return widget.L(themes.Dim, words.Ago(at, c.Now))
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
