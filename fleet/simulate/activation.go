package simulate

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// unitsBetween are the units whose file is another one, or that are only in one
// of two systems: what an activation stops, restarts and starts.
func (m *machine) unitsBetween(from, to generation) (gone, changed, come []string) {
	files := func(g generation) map[string]string {
		list := map[string]string{}
		for line := range strings.Lines(m.unitFiles(g)) {
			if at := strings.LastIndex(line, " ./"); at >= 0 {
				list[strings.TrimSpace(line[at+len(" ./"):])] = line
			}
		}
		return list
	}
	before, after := files(from), files(to)
	for name, is := range before {
		switch now, stays := after[name]; {
		case !stays:
			gone = append(gone, name)
		case now != is:
			changed = append(changed, name)
		}
	}
	for name := range after {
		if _, was := before[name]; !was {
			come = append(come, name)
		}
	}
	slices.Sort(gone)
	slices.Sort(changed)
	slices.Sort(come)
	return gone, changed, come
}

// tellInvalid tells which store paths, one a line, are none of the host's systems:
// it has no others.
func tellInvalid(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		p, err := readLine(c.Stdin)
		if p != "" && m.systemAt(p) == 0 {
			c.say(p)
		}
		if err != nil {
			return 0
		}
	}
}

// switchToConfiguration plays a system's own program as far as it changes
// nothing: what its activation would do. The guard plays the rest.
func switchToConfiguration(c Call) int {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	to := m.generation(m.systemAt(path.Dir(path.Dir(c.Args[0]))))
	if to.number == 0 {
		return c.notFound(c.Args[0])
	}
	if c.arg(1) != "dry-activate" {
		fmt.Fprintln(c.Stderr, "this host does not exist (sextant demo): its guard alone activates a system")
		return 1
	}
	gone, changed, come := m.unitsBetween(m.generation(m.running), to)
	would := func(what string, units []string) {
		if len(units) > 0 {
			fmt.Fprintf(c.Stderr, "would %s the following units: %s\n", what, strings.Join(units, ", "))
		}
	}
	would("stop", gone)
	fmt.Fprintln(c.Stderr, "would activate the configuration...")
	would("restart", changed)
	would("start", come)
	return 0
}
