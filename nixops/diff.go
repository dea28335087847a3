package nixops

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
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

// Bounds of reading a difference. A path takes about 90 bytes and is told up to
// twice: two closures of 100,000 paths each fit.
const (
	diffLimit   = 32 << 20
	diffTimeout = time.Minute
	diffsKept   = 100
)

// maxPathSize bounds what a host may say that one path takes: a sum of them fits
// into an int64.
const maxPathSize = 1 << 44

// errGone is of a system that was deleted, or never was there.
var errGone = errors.New("no longer in its store")

// Differences reads what is different between systems of hosts, and keeps it:
// what lies in a store never changes. The zero value is ready. What it gives is
// shared: it is not to be changed.
type Differences struct {
	mu    sync.Mutex
	kept  map[string]fleet.Difference
	order []string // the oldest first
}

// Read tells what is different between two toplevels that are in the store of a
// host. What could not be seen whole is asked again the next time.
func (d *Differences) Read(ctx context.Context, l link.Link, from, to string) (fleet.Difference, error) {
	key := string(l.Host().ID) + "\x00" + from + "\x00" + to
	d.mu.Lock()
	diff, ok := d.kept[key]
	d.mu.Unlock()
	if ok {
		return diff, nil
	}
	diff, err := ReadDifference(ctx, l, from, to)
	if err == nil && len(diff.Unseen) == 0 {
		d.keep(key, diff)
	}
	return diff, err
}

func (d *Differences) keep(key string, diff fleet.Difference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = map[string]fleet.Difference{}
	}
	if _, ok := d.kept[key]; !ok {
		d.order = append(d.order, key)
	}
	d.kept[key] = diff
	if len(d.order) > diffsKept {
		delete(d.kept, d.order[0])
		d.order = d.order[1:]
	}
}

// ReadDifference asks a host what is different between two toplevels of its
// store, in one go. Not all of it may have been seen: see Unseen of the answer.
func ReadDifference(ctx context.Context, l link.Link, from, to string) (fleet.Difference, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, diffTimeout, fmt.Errorf("the difference was not told within %s", diffTimeout))
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(diffScript, mark, from, to)
	cmd.IfRoot, cmd.Limit = true, diffLimit // nix's daemon may not serve everybody (allowed-users)
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return fleet.Difference{}, err // it names the host
	}
	diff, err := parseDifference(res.Stdout, mark)
	if why := oneLine(lastLine(res.Stderr)); err != nil && why != "" && !errors.Is(err, errGone) {
		err = fmt.Errorf("%w: %s", err, why)
	}
	if err != nil {
		return fleet.Difference{}, fmt.Errorf("%s: comparing two systems: %w", l.Host().Name, err)
	}
	diff.From, diff.To = from, to
	return diff, nil
}

// parseDifference reads the answer of diff.sh.
func parseDifference(out []byte, mark string) (fleet.Difference, error) {
	s, whole := cut(out, mark)
	if !whole {
		return fleet.Difference{}, fmt.Errorf("the answer broke off after %d bytes", len(out))
	}
	if missing := s["missing"]; len(missing) > 0 {
		return fleet.Difference{}, fmt.Errorf("%w: %s", errGone, strings.Join(missing, ", "))
	}
	if len(s["paths-from"]) == 0 || len(s["paths-to"]) == 0 {
		return fleet.Difference{}, errors.New("nix-store does not tell what they are made of")
	}
	before, after := set(s["paths-from"]), set(s["paths-to"])
	d := fleet.Difference{
		Kernel: [2]string{first(s["kernel-from"]), first(s["kernel-to"])},
		Units:  unitChanges(s["units-from"], s["units-to"]),
		Reboot: partChanges(s["parts-from"], s["parts-to"]),
		Unseen: s["unseen"],
	}
	sizes, told := readSizes(s["sizes"], before, after)
	if !told {
		d.Unseen = append(d.Unseen, "sizes of what differs")
	}
	d.Packages, d.Added, d.Removed = packageChanges(before, after, sizes)
	for p, n := range sizes {
		if after[p] {
			d.Size += n
		} else {
			d.Size -= n
		}
	}
	return d, nil
}

// readSizes reads lines of bytes and path of what is in one closure only. A sum
// of some of them would be a wrong one: either there are all of them, or none.
func readSizes(lines []string, before, after map[string]bool) (sizes map[string]int64, told bool) {
	sizes = make(map[string]int64, len(lines))
	for _, l := range lines {
		size, path, _ := strings.Cut(l, " ")
		n, err := strconv.ParseInt(size, 10, 64)
		if err == nil && n >= 0 && n < maxPathSize && before[path] != after[path] {
			sizes[path] = n
		}
	}
	if len(sizes) < apart(before, after)+apart(after, before) {
		return nil, false
	}
	return sizes, true
}

// apart counts what is in one set and not in the other.
func apart(one, other map[string]bool) int {
	n := 0
	for p := range one {
		if !other[p] {
			n++
		}
	}
	return n
}

// partChanges compares lines of a part and where it lies. A part that neither
// has, such as the kernel of a container, does not differ.
func partChanges(from, to []string) []string {
	read := func(lines []string) map[string]string {
		parts := map[string]string{}
		for _, l := range lines {
			part, path, _ := strings.Cut(l, " ")
			parts[part] = path
		}
		return parts
	}
	before, after := read(from), read(to)
	var differ []string
	for _, part := range []string{"kernel", "initrd", "kernel-modules", "systemd"} {
		if before[part] != after[part] {
			differ = append(differ, part)
		}
	}
	return differ
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
	before, after := readUnits(from), readUnits(to)
	changes := []fleet.UnitChange{}
	for u, was := range before {
		if now, ok := after[u]; !ok {
			changes = append(changes, fleet.UnitChange{Unit: u, How: "removed"})
		} else if !slices.Equal(now, was) {
			changes = append(changes, fleet.UnitChange{Unit: u, How: "changed"})
		}
	}
	for u := range after {
		if _, ok := before[u]; !ok {
			changes = append(changes, fleet.UnitChange{Unit: u, How: "added"})
		}
	}
	slices.SortFunc(changes, func(a, b fleet.UnitChange) int { return cmp.Compare(a.Unit, b.Unit) })
	return changes
}

// readUnits gives what each unit says, in its file and its drop-ins. They are
// sorted: a folder gives its files in any order.
func readUnits(lines []string) map[string][]string {
	units := map[string][]string{}
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		if len(f) < 3 {
			continue
		}
		unit, dropIn, _ := strings.Cut(strings.TrimPrefix(f[2], "./"), ".d/")
		units[unit] = append(units[unit], dropIn+" "+f[0]+" "+f[1])
	}
	for _, says := range units {
		slices.Sort(says)
	}
	return units
}
