package probe

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// kernelParts are what a reboot renews, as system.autoUpgrade of NixOS
// compares them, and systemd itself.
var kernelParts = []string{"kernel", "initrd", "kernel-modules", "systemd"}

// system reads what the host is and which NixOS systems it has.
func system(s sections, now time.Time) fleet.System {
	sys := fleet.System{Manager: "none", UID: -1, Unseen: fleet.CleanAll(s.lines("unseen"))}
	who(s.lines("who"), &sys)
	if sec, err := strconv.Atoi(first(s.lines("clock"))); err == nil {
		sys.ClockSkew = fleet.Seconds(int64(sec) - now.Add(-patience(s)).Unix())
	}
	osRelease(s.lines("os"), &sys)
	paths := targets(s, "system", "targets", &sys)
	for _, part := range kernelParts {
		if paths["/run/booted-system/"+part] != paths["/run/current-system/"+part] {
			sys.RebootNeeded = true
			sys.RebootWhy = append(sys.RebootWhy, part)
		}
	}
	sys.NixOS = sys.NixOS || slices.Contains(s.lines("files"), "/etc/NIXOS")
	byPath := map[string]int{}
	for _, g := range links(s) {
		byPath[g.Path] = max(byPath[g.Path], g.Number)
	}
	special := specialised(s, &sys)
	top := func(p string) fleet.Toplevel {
		t := fleet.Toplevel{Path: p, Generation: byPath[p]}
		if of, ok := special[p]; ok && t.Generation == 0 {
			t = of
		}
		return t
	}
	sys.Running, sys.Booted = top(paths["/run/current-system"]), top(paths["/run/booted-system"])
	sys.Default = top(paths["/nix/var/nix/profiles/system"])
	if n := linkNumber(strings.Join(s.lines("link"), "")); n > 0 {
		sys.Default.Generation = n
		if sys.Running.System() == sys.Default.Path {
			sys.Running.Generation = n // of several generations with one path, the default is meant
		}
	}
	sys.NixOSVersion = filesOf(s, "versions")["/run/current-system/nixos-version"]
	sys.Revision = revisions(s)["/run/current-system/sw/bin/nixos-version"]
	if up := s.lines("after"); len(up) > 0 {
		sys.Uptime = fleet.Seconds(number(strings.Fields(up[0]), 0))
	}
	for _, l := range s.lines("manager") {
		if state, ok := strings.CutPrefix(l, "SystemState="); ok {
			sys.Manager = fleet.Clean(state)
		}
	}
	return sys
}

// targets are where the links of one section lead, by link; where they lead is
// the other. What readlink says is only believed when it says it of each.
func targets(s sections, from, where string, sys *fleet.System) map[string]string {
	links, to := s.lines(from), s.lines(where)
	paths := map[string]string{}
	if len(links) != len(to) {
		sys.Unseen = append(sys.Unseen, from+": readlink does not read several links at once")
		return paths
	}
	for i, l := range links {
		paths[l] = fleet.Clean(to[i])
	}
	return paths
}

// specialised are the specialisations of all generations, by their store paths:
// what runs is told by such a path of its own, which leads nowhere near the system
// that it is of. The newest generation counts.
func specialised(s sections, sys *fleet.System) map[string]fleet.Toplevel {
	of := map[int]string{}
	for _, g := range links(s) {
		of[g.Number] = g.Path
	}
	out := map[string]fleet.Toplevel{}
	for link, p := range targets(s, "specialisations", "specialised", sys) {
		if n := linkNumber(link); n > out[p].Generation {
			out[p] = fleet.Toplevel{Path: p, Generation: n, Specialisation: fleet.Clean(path.Base(link)), Base: of[n]}
		}
	}
	return out
}

// first is the first of some lines, or "".
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// who reads: uid; node name, kernel release and machine; machine-id; boot_id.
func who(l []string, sys *fleet.System) {
	at := func(i int) string {
		if i < len(l) {
			return fleet.Clean(l[i])
		}
		return ""
	}
	if uid, err := strconv.Atoi(at(0)); err == nil {
		sys.UID = uid
	}
	if f := strings.Fields(at(1)); len(f) == 3 {
		sys.Hostname, sys.Kernel, sys.Arch = f[0], f[1], f[2]
	}
	sys.MachineID, sys.BootID = at(2), at(3)
}

// osRelease reads os-release(5).
func osRelease(lines []string, sys *fleet.System) {
	for _, l := range lines {
		k, v, _ := strings.Cut(l, "=")
		if u, err := strconv.Unquote(v); err == nil {
			v = u
		}
		switch k {
		case "PRETTY_NAME":
			sys.OSName = fleet.Clean(strings.Trim(v, "'"))
		case "ID":
			sys.NixOS = v == "nixos"
		}
	}
}

// links reads the profile's links, oldest first: name, mtime, target.
func links(s sections) []fleet.Generation {
	var gens []fleet.Generation
	for _, f := range s.fields("links", 3) {
		n := linkNumber(f[0])
		if n == 0 {
			continue
		}
		sec := number(f, 1)
		gens = append(gens, fleet.Generation{Number: n, Path: fleet.Clean(f[2]), Date: time.Unix(int64(sec), 0).UTC()})
	}
	slices.SortFunc(gens, func(a, b fleet.Generation) int { return a.Number - b.Number })
	return gens
}

var linkName = regexp.MustCompile(`(?:^|/)system-([0-9]{1,9})-link(?:/|$)`)

// linkNumber gives N of system-N-link anywhere in a path, or 0.
func linkNumber(name string) int {
	m := linkName.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// filesOf reads lines of path, colon, content, as `grep -H` prints them.
func filesOf(s sections, name string) map[string]string {
	out := map[string]string{}
	for _, l := range s.lines(name) {
		if file, text, ok := strings.Cut(l, ":"); ok {
			out[file] = fleet.Clean(text)
		}
	}
	return out
}

// revisions reads configurationRevision out of each generation's nixos-version
// program, without running it.
func revisions(s sections) map[string]string {
	out := filesOf(s, "revisions")
	for file, text := range out {
		var v struct{ ConfigurationRevision string }
		if json.Unmarshal([]byte("{"+text+"}"), &v) == nil {
			out[file] = v.ConfigurationRevision
		}
	}
	return out
}

// generations brings together what the sections tell of each.
func generations(s sections, sys fleet.System) []fleet.Generation {
	menu := entries(s)
	versions, revs, boot, missing := filesOf(s, "versions"), revisions(s), bootEntries(s, menu), bootMissing(s, menu)
	kernels, specs := map[int]string{}, map[int][]string{}
	for _, l := range s.lines("kernels") {
		kernels[linkNumber(l)] = fleet.Clean(path.Base(l))
	}
	for _, l := range s.lines("specialisations") {
		specs[linkNumber(l)] = append(specs[linkNumber(l)], fleet.Clean(path.Base(l)))
	}
	gens := links(s)
	slices.Reverse(gens)
	for i := range gens {
		g := &gens[i]
		dir := "/nix/var/nix/profiles/system-" + strconv.Itoa(g.Number) + "-link"
		g.NixOSVersion, g.Revision = versions[dir+"/nixos-version"], revs[dir+"/sw/bin/nixos-version"]
		g.Kernel, g.Specialisations = kernels[g.Number], append([]string{}, specs[g.Number]...)
		g.Running, g.Booted = g.Number == sys.Running.Generation, g.Number == sys.Booted.Generation
		g.Default = g.Number == sys.Default.Generation
		if boot != nil {
			has := boot[g.Number]
			g.BootEntry, g.BootMissing = &has, missing[g.Number]
		}
	}
	return gens
}

// entryName finds the generation in the name of a boot entry: of systemd-boot
// (nixos-generation-N.conf, boot counting adds +3), grub and extlinux.
var entryName = regexp.MustCompile(`^(?:nixos-generation-|NixOS - Configuration |LABEL nixos-)([0-9]{1,9})(?:[.+-].*)?$`)

// namedByHash tells of the name of a boot entry that it does not tell its generation.
func namedByHash(name string) bool {
	return strings.HasPrefix(name, "nixos-") && strings.HasSuffix(name, ".conf") && !strings.Contains(name, "-generation-")
}

// bootEntries are the generations in the boot menu; nil: it cannot be read.
func bootEntries(s sections, menu map[int][]string) map[int]bool {
	l := s.lines("boot")
	if len(l) == 0 || l[0] != "readable" {
		return nil
	}
	out := map[int]bool{}
	for _, name := range l[1:] {
		if m := entryName.FindStringSubmatch(name); m != nil && !strings.Contains(name, "specialisation") {
			n, _ := strconv.Atoi(m[1])
			out[n] = true
		}
	}
	for n := range menu {
		out[n] = true
	}
	if len(menu) == 0 && slices.ContainsFunc(l[1:], namedByHash) {
		return nil // what is in them could not be read
	}
	return out
}

// entries are the generations in the menu of systemd-boot by what is in its entries,
// with the files that each starts. Those of specialisations ("title NixOS (rescue)") and
// of other profiles ("title NixOS [test]") are passed over.
func entries(s sections) map[int][]string {
	out := map[int][]string{}
	n, plain := 0, false
	var files []string
	end := func() {
		if n > 0 && plain {
			out[n] = files
		}
		n, files = 0, nil
	}
	for _, line := range s.lines("entries") {
		key, value, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		value = strings.TrimSpace(value)
		switch key {
		case "title": // each entry begins with it
			end()
			plain = !strings.HasSuffix(value, ")") && !strings.HasSuffix(value, "]")
		case "version":
			n, _ = strconv.Atoi(strings.TrimPrefix(value, "Generation "))
		default:
			files = append(files, fleet.Clean(value))
		}
	}
	end()
	return out
}

// kernelsDir is where NixOS' systemd-boot has what its entries start.
const kernelsDir = "/boot/EFI/nixos/"

// bootMissing are the files that the entries of generations start and that are not
// there, or empty, as far as the host shows what is there.
func bootMissing(s sections, menu map[int][]string) map[int][]string {
	there := map[string]bool{}
	for _, f := range s.lines("bootfiles") {
		there[fleet.Clean(f)] = true
	}
	out := map[int][]string{}
	for n, files := range menu {
		for _, f := range files {
			if f = "/boot/" + strings.TrimPrefix(f, "/"); there[kernelsDir] && strings.HasPrefix(f, kernelsDir) && !there[f] {
				out[n] = append(out[n], f)
			}
		}
	}
	return out
}
