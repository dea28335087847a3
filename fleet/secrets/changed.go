package secrets

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// versions is what tells two versions of an encrypted value apart: by file, or by
// file and key of it.
func (a sections) versions() map[string]string {
	out := map[string]string{}
	for _, l := range a["sums"] {
		if sum, file, ok := strings.Cut(l, "  "); ok {
			out[strings.TrimSpace(file)] = sum
		}
	}
	for file, lines := range a.of("tags") {
		var above []string // names by depth, of YAML and JSON
		var depths []int
		whole := ""
		for _, l := range lines {
			name, tag, ok := strings.Cut(l, "\t")
			if !ok {
				continue
			}
			depth := len(name) - len(strings.TrimLeft(name, " \t"))
			for len(depths) > 0 && depths[len(depths)-1] >= depth {
				depths, above = depths[:len(depths)-1], above[:len(above)-1]
			}
			above, depths = append(above, strings.TrimSpace(name)), append(depths, depth)
			if tag != "-" && len(out) < 20000 {
				out[file+"\x00"+strings.Join(above, "/")] = tag
				whole += " " + tag
			}
		}
		out[file] = whole
	}
	return out
}

// version of a secret as a system has it; "" it is not known.
func version(d declared, versions map[string]string) string {
	if d.key != "" {
		if v := versions[d.file+"\x00"+d.key]; v != "" {
			return v
		}
	}
	return versions[d.file]
}

// changedAt is when the host came to the version of a secret that it has, as its
// older systems tell; zero where there is none with another.
func changedAt(systems []system, d declared, versions map[string]string) time.Time {
	now := version(d, versions)
	if now == "" {
		return time.Time{}
	}
	running := systems[0]
	at := slices.IndexFunc(systems[1:], func(s system) bool { return s.path == running.path }) + 1
	if at == 0 { // it runs, and is no generation: others were before
		at, systems = len(systems), append(slices.Clone(systems), running)
	}
	last := len(systems) - 1
	if last > at && versionIn(systems[last], d, versions) != now {
		return running.at // it went back from there
	}
	for i := at - 1; i > 0; i-- {
		if versionIn(systems[i], d, versions) != now {
			return systems[i+1].at
		}
	}
	return time.Time{}
}

// versionIn is the version that a system has of a secret; "none" where it has none.
func versionIn(s system, d declared, versions map[string]string) string {
	for _, other := range s.declared {
		if other.id() == d.id() {
			return cmp.Or(version(other, versions), "?")
		}
	}
	return "none"
}
