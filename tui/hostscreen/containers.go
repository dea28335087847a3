package hostscreen

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
	"github.com/sextant-fleet/sextant/tui/screen"
	"github.com/sextant-fleet/sextant/tui/widget"
	"github.com/sextant-fleet/sextant/tui/words"
)

// containers is the tab of a host's containers, the broken ones first.
func containers() *tableTab {
	return &tableTab{
		columns: []widget.Column{
			{Title: "container", Width: 14, Max: 32},
			{Title: "state", Width: 9},
			{Title: "health", Width: 9, Drop: 2},
			{Title: "image", Width: 16, Max: 44, Drop: 5},
			{Title: "age", Width: 4, Drop: 6, Right: true},
			{Title: "unit", Width: 8, Max: 32, Drop: 8},
			{Title: "rst", Width: 3, Drop: 4, Right: true},
			{Title: "ports", Width: 9, Max: 24, Drop: 7},
			{Title: "cpu", Width: 5, Drop: 3, Right: true},
			{Title: "mem", Width: 5, Drop: 3, Right: true},
			{Title: "engine", Width: 7, Max: 18, Drop: 9},
		},
		rows:  containerRows,
		cells: containerCells,
		lines: containerLines,
		detail: func(c *screen.Context, st fleet.State, at, w int) widget.Doc {
			return container(c, st, st.Containers.Value[at], w)
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
			more: strings.Join([]string{ct.State, ct.Health, ct.Image, ct.Unit, ct.User, ct.Engine}, " "),
		})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		ca, cb := st.Containers.Value[a.at], st.Containers.Value[b.at]
		return cmp.Or(trueFirst(ca.Broken(), cb.Broken()), strings.Compare(a.name, b.name), strings.Compare(a.id, b.id))
	})
	return rows
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func containerCells(c *screen.Context, st fleet.State, at int) []widget.Line {
	ct := st.Containers.Value[at]
	cpu, mem := usage(c, st, ct)
	return []widget.Line{
		widget.T(ct.Name), containerState(ct), health(c, ct), widget.T(image(ct.Image)), widget.L(themes.Dim, words.Ago(ct.ImageAt, c.Now)),
		widget.T(strings.TrimSuffix(ct.Unit, ".service")), restarts(ct), widget.T(ports(ct)), cpu, mem, widget.L(themes.Dim, engine(ct)),
	}
}

func containerLines(c *screen.Context, st fleet.State, at int) [2]widget.Line {
	ct := st.Containers.Value[at]
	cpu, mem := usage(c, st, ct)
	first := widget.L(themes.Text, ct.Name).And(themes.Text, "  ").Join(containerState(ct))
	if ct.Health != "" {
		first = first.And(themes.Text, " ").Join(health(c, ct))
	}
	second := widget.L(themes.Dim, "  ").Join(cpu).And(themes.Text, " ").Join(mem).And(themes.Dim, "  "+image(ct.Image))
	if ct.User != "" && ct.User != "root" {
		second = second.And(themes.Dim, "  "+ct.User)
	}
	return [2]widget.Line{first, second}
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

// usage is what the container uses now: only known while it is on the screen.
func usage(c *screen.Context, st fleet.State, ct fleet.Container) (cpu, mem widget.Line) {
	s, ok := st.Stats[ct.ID]
	switch {
	case !ct.Running():
		return widget.L(themes.Dim, c.Glyphs.None), widget.L(themes.Dim, c.Glyphs.None)
	case !ok:
		return widget.L(themes.Dim, c.Glyphs.Asking), widget.L(themes.Dim, c.Glyphs.Asking)
	}
	role := themes.Text
	if !s.At.IsZero() && c.Now.Sub(s.At) > oldStats {
		role = themes.Dim
	}
	return widget.L(role, fmt.Sprintf("%.2f", s.CPU)), widget.L(role, words.Bytes(s.Memory))
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

// image is an image's name without the registry that everybody uses.
func image(name string) string {
	name = strings.TrimPrefix(name, "docker.io/")
	name = strings.TrimPrefix(name, "library/")
	if i := strings.Index(name, "@sha256:"); i > 0 {
		name = name[:min(len(name), i+15)]
	}
	return name
}

// ports are the published ports: "8443>443 53/udp".
func ports(ct fleet.Container) string {
	var out []string
	for _, p := range ct.Ports {
		s := strconv.Itoa(int(p.Host))
		if p.Host != p.Container {
			s += ">" + strconv.Itoa(int(p.Container))
		}
		if p.Range > 1 {
			s += "+" + strconv.Itoa(int(p.Range-1))
		}
		if p.Protocol != "tcp" && p.Protocol != "" {
			s += "/" + p.Protocol
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// engine is "podman", with the user where it is not root's.
func engine(ct fleet.Container) string {
	if ct.User == "" || ct.User == "root" {
		return ct.Engine
	}
	return ct.Engine + " " + ct.User
}
