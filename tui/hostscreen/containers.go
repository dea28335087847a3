package hostscreen

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/sheet"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// containers is the list of a host's containers, or those of several hosts, the
// broken ones first.
func containers(several bool) *tableTab {
	versions := &sheet.Versions{}
	return &tableTab{
		several: several,
		columns: containerColumns(several),
		rows:    containerRows,
		order:   brokenFirst,
		sorts:   containerSorts(several),
		cells: func(c *screen.Context, st fleet.State, at int) []widget.Line {
			if !several {
				return containerCells(c, st, at, false)
			}
			return slices.Insert(containerCells(c, st, at, older(c, versions, st.Containers.Value[at])), 1, widget.T(st.Host.Name))
		},
		lines: func(c *screen.Context, st fleet.State, at int) [2]widget.Line {
			return containerLines(c, st, at, several, several && older(c, versions, st.Containers.Value[at]))
		},
		detail: func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
			return container(c, st, st.Containers.Value[at], versions, w)
		},
		missing: func(c *screen.Context, st fleet.State) []widget.Line {
			return none(c, st, st.Containers, "no container")
		},
		age: func(c *screen.Context, st fleet.State) widget.Line { return outdated(c, st, st.Containers) },
		log: func(st fleet.State, at int) (fleet.LogSource, string) {
			ct := st.Containers.Value[at]
			if ct.State == fleet.Absent && ct.Unit != "" { // the engine has no log of it, its unit has
				return fleet.LogSource{Unit: ct.Unit, User: unitUser(ct)}, ""
			}
			return fleet.LogSource{Container: ct.Name, User: ct.User}, ""
		},
		aim: func(st fleet.State, at int, t *fleet.Target) {
			ct := st.Containers.Value[at]
			t.Container, t.User = ct.Name, ct.User
		},
		live: func(st fleet.State, at int) string { return st.Containers.Value[at].ID },
	}
}

// containerColumns are the columns of the list. What has no room is in the
// detail; what is told only while it is looked at goes before what a container is.
func containerColumns(several bool) []widget.Column {
	list := []widget.Column{
		{Title: "container", Width: 14, Max: 32},
		{Title: "host", Width: 8, Max: 16},
		{Title: "user", Width: 5, Max: 10, Drop: 7},
		{Title: "state", Width: 9},
		{Title: "health", Width: 9, Drop: 3},
		{Title: "rst", Width: 4, Drop: 4, Right: true},
		{Title: "cpu", Width: 4, Max: 5, Drop: 1, Right: true},
		{Title: "", Width: sparkWidth, Drop: 5},
		{Title: "mem", Width: 4, Max: 5, Drop: 2, Right: true},
		{Title: "limit", Width: 6, Drop: 8, Right: true},
		{Title: "", Width: sparkWidth, Drop: 12},
		{Title: "net/s", Width: 6, Drop: 9, Right: true},
		{Title: "", Width: sparkWidth, Drop: 14},
		{Title: "io/s", Width: 5, Drop: 10, Right: true},
		{Title: "", Width: sparkWidth, Drop: 15},
		{Title: "image", Width: 10, Max: 44, Drop: 6},
		{Title: "age", Width: 4, Drop: 11, Right: true},
		{Title: "digest", Width: 12, Drop: 18},
		{Title: "ports", Width: 9, Max: 24, Drop: 13},
		{Title: "unit", Width: 8, Max: 32, Drop: 17},
		{Title: "engine", Width: 7, Drop: 16},
	}
	if !several {
		list = slices.Delete(list, 1, 2)
	}
	return list
}

// older tells whether a container's image is older than what another has in the fleet.
func older(c *screen.Context, versions *sheet.Versions, ct fleet.Container) bool {
	return ct.ImageID != "" && versions.In(c).Older(ct.Of())
}

// imageName is a container's image, with a mark where it is an older one. It is in one
// piece: of several only the first is left where there is no room.
func imageName(ct fleet.Container, older bool, role themes.Role) widget.Line {
	if older {
		return widget.L(themes.Warn, "old "+image(ct.Image))
	}
	return widget.L(role, image(ct.Image))
}

// unitUser is whose systemd the container's unit belongs to; "" is the system's.
func unitUser(ct fleet.Container) string {
	if ct.UserUnit {
		return ct.User
	}
	return ""
}

func containerRows(_ *screen.Context, st fleet.State) []row {
	rows := make([]row, 0, len(st.Containers.Value))
	for i, ct := range st.Containers.Value {
		rows = append(rows, row{
			id: ct.Engine + "/" + ct.User + "/" + ct.Name, name: ct.Name, at: i,
			more: strings.Join([]string{st.Host.Name, ct.State, ct.Health, ct.Image, ct.Unit, ct.User, ct.Engine, ct.Pod, strings.Join(ct.Networks, " ")}, " "),
		})
	}
	return rows
}

// brokenFirst is the order of containers that nobody sorted.
func brokenFirst(a, b row) int {
	return cmp.Or(trueFirst(of(a).Broken(), of(b).Broken()), strings.Compare(a.name, b.name), strings.Compare(a.of.Host.Name, b.of.Host.Name), strings.Compare(a.id, b.id))
}

// of is the container of a row.
func of(r row) fleet.Container { return r.of.Containers.Value[r.at] }

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func containerCells(c *screen.Context, st fleet.State, at int, older bool) []widget.Line {
	ct := st.Containers.Value[at]
	u := useOf(c, st, ct)
	return []widget.Line{
		widget.T(ct.Name), owner(ct), containerState(ct), health(c, ct), restarts(ct),
		u.cpu, u.spark(c, u.cpus), u.memory, u.limit, u.spark(c, u.memories), u.net, u.spark(c, u.nets), u.block, u.spark(c, u.blocks),
		imageName(ct, older, themes.Text), widget.L(themes.Dim, words.Ago(ct.ImageAt, c.Now)), widget.L(themes.Dim, digest(ct)),
		widget.T(ports(ct)), widget.T(strings.TrimSuffix(ct.Unit, ".service")), widget.L(themes.Dim, ct.Engine),
	}
}

// digest is as much of the image's digest as tells it from others.
func digest(ct fleet.Container) string {
	return fleet.Short(strings.TrimPrefix(ct.Digest, "sha256:"), 12)
}

func containerLines(c *screen.Context, st fleet.State, at int, several, older bool) [2]widget.Line {
	ct := st.Containers.Value[at]
	u := useOf(c, st, ct)
	first := widget.L(themes.Text, ct.Name).And(themes.Text, "  ").Join(containerState(ct))
	if ct.Health != "" {
		first = first.And(themes.Text, " ").Join(health(c, ct))
	}
	second := widget.L(themes.Dim, "  ")
	if several {
		second = second.And(themes.Text, st.Host.Name+"  ")
	}
	second = second.Join(u.cpu).And(themes.Text, " ").Join(u.spark(c, u.cpus)).And(themes.Text, " ").Join(u.memory)
	if ct.User != "" && ct.User != "root" {
		second = second.And(themes.Dim, "  "+ct.User)
	}
	return [2]widget.Line{first, second.And(themes.Dim, "  ").Join(imageName(ct, older, themes.Dim))}
}

// containerState is the state as a word and, where it ended badly, how.
func containerState(ct fleet.Container) widget.Line {
	switch {
	case ct.Running():
		return widget.L(themes.OK, "running")
	case ct.State == "exited" && ct.ExitCode != 0:
		return widget.L(themes.Fail, "FAIL "+strconv.Itoa(ct.ExitCode))
	case ct.State == fleet.Absent, ct.State == "dead":
		return widget.L(themes.Fail, ct.State)
	case ct.State == "":
		return widget.L(themes.Unknown, "?")
	}
	return widget.L(themes.Warn, ct.State)
}

func health(c *screen.Context, ct fleet.Container) widget.Line {
	switch ct.Health {
	case "":
		return widget.L(themes.Dim, c.Glyphs.None)
	case "healthy":
		return widget.L(themes.OK, "healthy")
	case "unhealthy":
		return widget.L(themes.Fail, "UNHEALTHY")
	}
	return widget.L(themes.Warn, ct.Health)
}

func restarts(ct fleet.Container) widget.Line {
	switch {
	case ct.Restarts == nil:
		return widget.L(themes.Unknown, "?")
	case *ct.Restarts == 0:
		return widget.L(themes.Dim, "0")
	}
	return widget.L(themes.Warn, strconv.Itoa(*ct.Restarts))
}

// image is an image's own name, without the registry and the folders that it is in:
// those stand before what is to be told apart, and are in the detail.
func image(name string) string {
	at := strings.Index(name+"@", "@")
	name = name[strings.LastIndexByte(name[:at], '/')+1:]
	if i := strings.Index(name, "@sha256:"); i > 0 {
		name = name[:min(len(name), i+15)]
	}
	return name
}

// ports are the published ports: "8443>443 53/udp".
func ports(ct fleet.Container) string {
	var out []string
	for _, p := range ct.Ports {
		s := p.String()
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// owner is whose engine it is, those of people more clearly.
func owner(ct fleet.Container) widget.Line {
	if ct.User == "" || ct.User == "root" {
		return widget.L(themes.Dim, "root")
	}
	return widget.T(ct.User)
}
