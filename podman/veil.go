package podman

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// veil makes what a host tells of a container fit to be shown: clean, bounded,
// and with what looks secret hidden, unless a person asked to see it. It counts
// what it hides and notes what it leaves out.
type veil struct {
	shown  bool
	hidden int
	cut    []string
}

// maxRaw is how much of a text is looked through for secrets before it is cut: a
// cut must not take away by what a secret is known.
const maxRaw = 4 * maxText

func legible(s string) string { return fleet.Clean(s[:min(len(s), maxRaw)]) }

// put counts what is hidden and cuts what is too long.
func (v *veil) put(before, after string) string {
	if after != before {
		v.hidden++
	}
	return strings.ToValidUTF8(after[:min(len(after), maxText)], "")
}

// text is any text.
func (v *veil) text(s string) string {
	s = legible(s)
	if v.shown {
		return v.put(s, s)
	}
	return v.put(s, fleet.HideText(s))
}

func (v *veil) texts(list []string) []string {
	var out []string
	for _, s := range list[:min(len(list), maxList)] {
		out = append(out, v.text(s))
	}
	return out
}

// command is a command that was told as one text.
func (v *veil) command(s string) string {
	s = legible(s)
	if v.shown {
		return v.put(s, s)
	}
	return v.put(s, fleet.HideCommand(s))
}

// lines is a text of several lines, which stay lines.
func (v *veil) lines(s string) string {
	list := strings.Split(strings.TrimSpace(s[:min(len(s), maxRaw)]), "\n")
	for i, l := range list {
		list[i] = fleet.Clean(strings.TrimRight(l, "\r"))
	}
	text := strings.Join(list, "\n")
	if v.shown {
		return v.put(text, text)
	}
	return v.put(text, fleet.HideText(text))
}

// setting is a variable or a label.
func (v *veil) setting(name, value string) fleet.Setting {
	s := fleet.Setting{Name: text(name), Value: legible(value)}
	before := s.Value
	if !v.shown {
		s.Value, s.Hidden = fleet.HideValue(s.Name, s.Value)
	}
	s.Value = v.put(before, s.Value)
	return s
}

func (v *veil) environment(list []string) []fleet.Setting {
	out := []fleet.Setting{}
	for _, e := range bounded(v, list, "variables") {
		name, value, _ := strings.Cut(e, "=")
		out = append(out, v.setting(name, value))
	}
	slices.SortStableFunc(out, func(a, b fleet.Setting) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (v *veil) labels(all map[string]string) []fleet.Setting {
	out := []fleet.Setting{}
	for _, name := range bounded(v, slices.Sorted(maps.Keys(all)), "labels") {
		out = append(out, v.setting(name, all[name]))
	}
	return out
}

// args are the words of a command.
func (v *veil) args(argv []string, what string) []string {
	out := []string{}
	for _, a := range bounded(v, argv, what) {
		out = append(out, legible(a))
	}
	shown := out
	if !v.shown {
		shown = fleet.HideArgs(out)
	}
	for i := range shown {
		shown[i] = v.put(out[i], shown[i])
	}
	return shown
}

// test is the command of a health check: ["CMD", …] or ["CMD-SHELL", script].
func (v *veil) test(argv []string) []string { return v.args(argv, "words of the health check") }

// bounded are as many of a list as are shown; of the rest is noted how many
// they are.
func bounded[T any](v *veil, list []T, what string) []T {
	if len(list) <= maxList {
		return list
	}
	v.cut = append(v.cut, fmt.Sprintf("%d %s", len(list)-maxList, what))
	return list[:maxList]
}
