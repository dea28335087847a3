package hostscreen

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// containerSorts are the columns by which containers can be sorted: all.
func containerSorts(several bool) []sorting {
	list := []sorting{
		byText("container", "name", func(r row) string { return r.name }),
		byText("host", "host", func(r row) string { return r.of.Host.Name }),
		byText("user", "user", func(r row) string { return owner(of(r)).String() }),
		byText("state", "state", func(r row) string { return of(r).State }),
		byText("health", "health", func(r row) string { return of(r).Health }),
		{
			title: "rst", note: "restarts", down: true,
			unknown: func(r row) bool { return of(r).Restarts == nil },
			order:   func(a, b row) int { return cmp.Compare(*of(a).Restarts, *of(b).Restarts) },
		},
		byUse("cpu", "cpu", func(s fleet.ContainerStats, _ []fleet.ContainerStats) float64 { return s.CPU }),
		byUse("mem", "memory", func(s fleet.ContainerStats, _ []fleet.ContainerStats) float64 { return float64(s.Memory) }),
		byUse("limit", "share of the memory's limit", func(s fleet.ContainerStats, _ []fleet.ContainerStats) float64 {
			if s.MemLimit == 0 {
				return 0
			}
			return float64(s.Memory) / float64(s.MemLimit)
		}),
		byUse("net/s", "network", func(_ fleet.ContainerStats, past []fleet.ContainerStats) float64 {
			return newest(fleet.Rates(past, fleet.ContainerStats.Net))
		}),
		byUse("io/s", "disk", func(_ fleet.ContainerStats, past []fleet.ContainerStats) float64 {
			return newest(fleet.Rates(past, fleet.ContainerStats.Block))
		}),
		byText("image", "image", func(r row) string { return image(of(r).Image) }),
		{
			title: "age", note: "age of the image", down: true,
			unknown: func(r row) bool { return of(r).ImageAt.IsZero() },
			order:   func(a, b row) int { return of(b).ImageAt.Compare(of(a).ImageAt) },
		},
		byText("digest", "digest", func(r row) string { return of(r).Digest }),
		{
			title: "ports", note: "port",
			unknown: func(r row) bool { return len(of(r).Ports) == 0 },
			order:   func(a, b row) int { return cmp.Compare(of(a).Ports[0].Host, of(b).Ports[0].Host) },
		},
		byText("unit", "unit", func(r row) string { return of(r).Unit }),
		byText("engine", "engine", func(r row) string { return of(r).Engine }),
	}
	if !several {
		list = slices.DeleteFunc(list, func(s sorting) bool { return s.title == "host" })
	}
	return list
}

// byText sorts by a text; rows without it are last.
func byText(title, note string, text func(row) string) sorting {
	return sorting{
		title: title, note: note,
		unknown: func(r row) bool { return text(r) == "" },
		order:   func(a, b row) int { return strings.Compare(strings.ToLower(text(a)), strings.ToLower(text(b))) },
	}
}

// byUse sorts by what containers use, the most first; those that were not
// measured are last.
func byUse(title, note string, value func(fleet.ContainerStats, []fleet.ContainerStats) float64) sorting {
	used := func(r row) float64 {
		id := of(r).ID
		return value(r.of.Stats[id], r.of.Use[id])
	}
	return sorting{
		title: title, note: note, down: true, live: true,
		unknown: func(r row) bool { _, ok := r.of.Stats[of(r).ID]; return !ok },
		order:   func(a, b row) int { return cmp.Compare(used(a), used(b)) },
	}
}

// newest is the last of some values, 0 without any.
func newest(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)-1]
}
