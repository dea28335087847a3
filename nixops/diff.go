package nixops

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed diff.sh
var diffScript string

// Bounds of reading a difference: two closures of 40,000 paths each fit.
const (
	diffLimit   = 32 << 20
	diffTimeout = time.Minute
	diffsKept   = 100
)

// Differences reads what is different between systems of hosts, and keeps it:
// what lies in a store never changes. The zero value is ready.
type Differences struct {
	mu    sync.Mutex
	kept  map[string]fleet.Difference
	order []string
}

// Read tells what is different between two toplevels that are in the store of a host.
func (d *Differences) Read(ctx context.Context, l link.Link, from, to string) (fleet.Difference, error) {
	key := string(l.Host().ID) + "\x00" + from + "\x00" + to
	d.mu.Lock()
	diff, ok := d.kept[key]
	d.mu.Unlock()
	if ok {
		return diff, nil
	}
	diff, err := readDifference(ctx, l, from, to)
	if err != nil {
		return diff, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = map[string]fleet.Difference{}
	}
	if d.kept[key] = diff; !slices.Contains(d.order, key) {
		d.order = append(d.order, key)
	}
	if len(d.order) > diffsKept {
		delete(d.kept, d.order[0])
		d.order = d.order[1:]
	}
	return diff, nil
}

func readDifference(ctx context.Context, l link.Link, from, to string) (fleet.Difference, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, diffTimeout, fmt.Errorf("the difference was not told within %s", diffTimeout))
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(diffScript, mark, from, to)
	cmd.IfRoot, cmd.Limit = true, diffLimit // nix before 2.9 tells only root what is in its store
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return fleet.Difference{}, err
	}
	diff, err := parseDifference(res.Stdout, mark)
	if err != nil {
		return diff, fmt.Errorf("%s: %w", l.Host().Name, err)
	}
	diff.From, diff.To = from, to
	return diff, nil
}

// parseDifference reads the answer of diff.sh.
func parseDifference(out []byte, mark string) (fleet.Difference, error) {
	s, whole := cut(out, mark)
	if missing := s["missing"]; len(missing) > 0 {
		return fleet.Difference{}, fmt.Errorf("no longer in its store: %s", strings.Join(missing, ", "))
	}
	if !whole {
		return fleet.Difference{}, fmt.Errorf("the difference broke off after %d bytes", len(out))
	}
	if len(s["paths-from"]) == 0 || len(s["paths-to"]) == 0 {
		return fleet.Difference{}, fmt.Errorf("nix-store does not tell what the systems are made of")
	}
	d := fleet.Difference{
		Kernel: [2]string{first(s["kernel-from"]), first(s["kernel-to"])},
		Units:  unitChanges(s["units-from"], s["units-to"]),
	}
	sizes := map[string]int64{}
	for _, l := range s["sizes"] {
		n, path, _ := strings.Cut(l, " ")
		if v, err := strconv.ParseInt(n, 10, 64); err == nil {
			sizes[path] = v
		}
	}
	d.Packages, d.Added, d.Removed = packageChanges(s["paths-from"], s["paths-to"], sizes)
	after := set(s["paths-to"])
	for p, n := range sizes {
		if !after[p] {
			n = -n
		}
		d.Size += n
	}
	for i, l := range s["parts-from"] {
		if i < len(s["parts-to"]) && l != s["parts-to"][i] {
			part, _, _ := strings.Cut(l, " ")
			d.Reboot = append(d.Reboot, part)
		}
	}
	return d, nil
}

// cut gives the lines of each section, cleaned, and whether all was said.
func cut(out []byte, mark string) (sections map[string][]string, whole bool) {
	sections = map[string][]string{}
	name := ""
	for line := range bytes.Lines(out) {
		text := fleet.Clean(strings.TrimSuffix(string(line), "\n"))
		if next, ok := strings.CutPrefix(text, mark+" "); ok {
			name = next
			continue
		}
		if text != "" {
			sections[name] = append(sections[name], text)
		}
	}
	return sections, name == "end"
}

func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// unitChanges compares lines of cksum(1): sum, size, file. Drop-ins count for
// their unit.
func unitChanges(from, to []string) []fleet.UnitChange {
	read := func(lines []string) map[string]string {
		units := map[string]string{}
		for _, l := range lines {
			f := strings.SplitN(l, " ", 3)
			if len(f) < 3 {
				continue
			}
			unit, dropIn, _ := strings.Cut(strings.TrimPrefix(f[2], "./"), ".d/")
			units[unit] += dropIn + " " + f[0] + " " + f[1] + ";"
		}
		return units
	}
	before, after := read(from), read(to)
	changes := []fleet.UnitChange{}
	for _, u := range slices.Sorted(maps.Keys(before)) {
		if now, ok := after[u]; !ok {
			changes = append(changes, fleet.UnitChange{Unit: u, How: "removed"})
		} else if now != before[u] {
			changes = append(changes, fleet.UnitChange{Unit: u, How: "changed"})
		}
	}
	for _, u := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[u]; !ok {
			changes = append(changes, fleet.UnitChange{Unit: u, How: "added"})
		}
	}
	slices.SortFunc(changes, func(a, b fleet.UnitChange) int { return cmp.Compare(a.Unit, b.Unit) })
	return changes
}
