package nixops

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Garbage is what takes room on a host, and what of it could go.
type Garbage struct {
	Store       Room            `json:"store"` // of the file system with /nix/store
	Boot        *Room           `json:"boot"`  // of the one with the boot menu; null: the host boots nothing itself
	Generations []GenerationUse `json:"generations"`
	BootFiles   []BootFile      `json:"bootFiles"`
	Dead        *Dead           `json:"dead"`            // null: it is not told, see Unseen
	Deploys     []string        `json:"deploysUnderWay"` // while there are some nothing is deleted
	Unseen      []string        `json:"unseen,omitempty"`
}

// Room is how full a file system is, in bytes.
type Room struct {
	Mount string `json:"mount"`
	Used  int64  `json:"used"`
	Avail int64  `json:"avail"` // for ordinary users: Used+Avail may be less than Total
	Total int64  `json:"total"`
}

// GenerationUse is a generation of the system profile, as the host tells of it.
type GenerationUse struct {
	Number int       `json:"generation"`
	Path   string    `json:"path"`
	Date   time.Time `json:"date,omitzero"`
	Kept   []string  `json:"kept"` // why it is never deleted: "running", "booted", "default", "last-confirmed", "deploy"
}

// BootFile is a kernel or an initrd on the boot partition.
type BootFile struct {
	Path        string `json:"path"`
	Bytes       int64  `json:"bytes"`
	Missing     bool   `json:"missing,omitempty"` // the boot menu names it, and it is not there
	Generations []int  `json:"generations"`       // that boot with it
}

// Dead are the store paths that nothing leads to: what collecting deletes.
type Dead struct {
	Paths   int   `json:"paths"`
	Bytes   int64 `json:"bytes"`   // of those that were counted
	Counted int   `json:"counted"` // whose size is known: fewer than Paths where nix was slow or a path is broken
}

// String tells it in a few words.
func (d Dead) String() string {
	text := fmt.Sprintf("%d dead store paths, %s", d.Paths, inUnits(d.Bytes))
	if d.Counted < d.Paths {
		text += fmt.Sprintf(" in the %d of them whose size is known", d.Counted)
	}
	return text
}

// Fraction is how full it is, 0…1, as df counts it.
func (r Room) Fraction() float64 {
	if r.Used+r.Avail == 0 {
		return 0
	}
	return float64(r.Used) / float64(r.Used+r.Avail)
}

// String tells it in a few words.
func (r Room) String() string {
	return fmt.Sprintf("%.0f %% full: %s of %s used, %s free", 100*r.Fraction(), inUnits(r.Used), inUnits(r.Total), inUnits(r.Avail))
}

// Own tells whether it is a file system of its own, and not a part of the root's.
func (r Room) Own() bool { return r.Mount != "/" }

// Generation gives one by its number.
func (g Garbage) Generation(number int) (GenerationUse, bool) {
	i := slices.IndexFunc(g.Generations, func(u GenerationUse) bool { return u.Number == number })
	if i < 0 {
		return GenerationUse{}, false
	}
	return g.Generations[i], true
}

// Occupies is what boot files take: those of one generation alone, and those that
// it shares with others.
func (g Garbage) Occupies(number int) (alone, shared int64) {
	for _, f := range g.BootFiles {
		switch {
		case !slices.Contains(f.Generations, number):
		case len(f.Generations) == 1:
			alone += f.Bytes
		default:
			shared += f.Bytes
		}
	}
	return alone, shared
}

// BootFrees is what the boot partition gains when generations go: the files that no
// other generation boots with.
func (g Garbage) BootFrees(numbers []int) int64 {
	freed := int64(0)
	for _, f := range g.BootFiles {
		if !slices.ContainsFunc(f.Generations, func(n int) bool { return !slices.Contains(numbers, n) }) {
			freed += f.Bytes
		}
	}
	return freed
}

// inUnits is a number of bytes as people read it.
func inUnits(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// parseGarbage reads the lines of "garbage look".
func parseGarbage(out []byte) Garbage {
	g := Garbage{Generations: []GenerationUse{}, BootFiles: []BootFile{}, Deploys: []string{}}
	boot := bootFiles{sizes: map[string]int64{}, of: map[string][]int{}}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, text, _ := strings.Cut(fleet.Clean(lines.Text()), " ")
		first, rest, _ := strings.Cut(text, " ")
		switch word {
		case "room":
			if r, ok := parseRoom(rest); ok && first == "store" {
				g.Store = r
			} else if ok && first == "boot" {
				g.Boot = &r
			}
		case "generation":
			g.addGeneration(first, rest)
		case "kept":
			if last := len(g.Generations) - 1; last >= 0 && first == strconv.Itoa(g.Generations[last].Number) {
				g.Generations[last].Kept = append(g.Generations[last].Kept, rest)
			}
		case "file":
			boot.use(first, rest)
		case "size":
			if n, ok := bytesOf(first); ok {
				boot.sizes[rest] = n
			}
		case "dead":
			g.Dead = parseDead(strings.Fields(text))
		case "busy":
			g.Deploys = append(g.Deploys, text)
		case "unseen":
			g.Unseen = append(g.Unseen, text)
		}
	}
	g.BootFiles = boot.list()
	return g
}

func (g *Garbage) addGeneration(number, rest string) {
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 {
		return
	}
	stamp, path, _ := strings.Cut(rest, " ")
	use := GenerationUse{Number: n, Path: path, Kept: []string{}}
	if at, ok := bytesOf(stamp); ok && at > 0 {
		use.Date = time.Unix(at, 0).UTC()
	}
	g.Generations = append(g.Generations, use)
}

// parseRoom reads total, used and free KiB, and where it is mounted.
func parseRoom(text string) (Room, bool) {
	f := strings.SplitN(text, " ", 4)
	if len(f) < 4 {
		return Room{}, false
	}
	var kib [3]int64
	for i := range kib {
		var ok bool
		if kib[i], ok = bytesOf(f[i]); !ok {
			return Room{}, false
		}
	}
	return Room{Mount: f[3], Total: kib[0] << 10, Used: kib[1] << 10, Avail: kib[2] << 10}, true
}

// parseDead reads how many, their bytes, and of how many these are.
func parseDead(f []string) *Dead {
	if len(f) != 3 {
		return nil
	}
	paths, err := strconv.Atoi(f[0])
	counted, wrong := strconv.Atoi(f[2])
	size, ok := bytesOf(f[1])
	if err != nil || wrong != nil || !ok || paths < 0 || counted < 0 || counted > paths {
		return nil
	}
	return &Dead{Paths: paths, Bytes: size, Counted: counted}
}

// bytesOf reads a number that a sum of many like it has room for.
func bytesOf(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && n < maxPathSize
}

// bootFiles are what boot menus name, and what lies there.
type bootFiles struct {
	sizes map[string]int64 // by path
	of    map[string][]int
	order []string
}

// use says that a generation boots with a file. Its menu may have several entries
// with the same one.
func (b *bootFiles) use(number, path string) {
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || slices.Contains(b.of[path], n) {
		return
	}
	if b.of[path] == nil {
		b.order = append(b.order, path)
	}
	b.of[path] = append(b.of[path], n)
}

// list gives the files, the largest first.
func (b *bootFiles) list() []BootFile {
	list := []BootFile{}
	for _, path := range b.order {
		size, there := b.sizes[path]
		slices.Sort(b.of[path])
		list = append(list, BootFile{Path: path, Bytes: size, Missing: !there, Generations: b.of[path]})
	}
	slices.SortStableFunc(list, func(x, y BootFile) int { return cmp.Compare(y.Bytes, x.Bytes) })
	return list
}
