package nixops

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// outputs are names of a derivation's outputs other than the first, which nix
// puts behind the version: those that nixpkgs gives to what lies in systems.
var outputs = map[string]bool{
	"bin": true, "dev": true, "doc": true, "lib": true, "man": true, "info": true, "out": true, "static": true, "debug": true,
	"devdoc": true, "devman": true, "data": true, "modules": true, "terminfo": true, "tools": true, "scripts": true, "py": true, "libgcc": true,
	"dnsutils": true, "host": true, "getent": true, "login": true, "mount": true, "swap": true, "su": true, "fuse2fs": true,
}

// nameVersion splits the name of a store path as nix's parseDrvName does: the
// version begins behind the first dash that no letter follows ("openssh" and
// "10.0p2" of "HASH-openssh-10.0p2"; "python3.12-requests" has its own dash).
// Unlike there, the name of an output behind the version is no part of it: else
// "10.0p2-man" was another version of openssh.
func nameVersion(store string) (name, version string) {
	_, full, ok := strings.Cut(path.Base(store), "-")
	if !ok {
		return store, ""
	}
	for i := 0; i+1 < len(full); i++ {
		if full[i] == '-' && !letter(full[i+1]) {
			name, version = full[:i], full[i+1:]
			if at := strings.LastIndexByte(version, '-'); at > 0 && outputs[version[at+1:]] {
				version = version[:at]
			}
			return name, version
		}
	}
	return full, ""
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// versions are those of one name on both sides, with what they take on the disk.
type versions struct {
	old, new map[string]bool
	size     int64
}

// packageChanges groups two closures by name and gives the names whose versions
// differ, sorted; how many paths are on one side only; and what sizes tell of
// them. Names that have no version at all, such as of generated files, are
// counted, not named.
func packageChanges(before, after map[string]bool, sizes map[string]int64) (list []fleet.PackageChange, added, removed int) {
	byName := map[string]*versions{}
	of := func(p string) (*versions, string) {
		name, version := nameVersion(p)
		v := byName[name]
		if v == nil {
			v = &versions{old: map[string]bool{}, new: map[string]bool{}}
			byName[name] = v
		}
		return v, version
	}
	for p := range before {
		v, version := of(p)
		v.old[version] = true
		if !after[p] {
			removed++
			v.size -= sizes[p]
		}
	}
	for p := range after {
		v, version := of(p)
		v.new[version] = true
		if !before[p] {
			added++
			v.size += sizes[p]
		}
	}
	list = []fleet.PackageChange{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if v := byName[name]; !maps.Equal(v.old, v.new) && (versioned(v.old) || versioned(v.new)) {
			list = append(list, fleet.PackageChange{Name: name, Old: sorted(v.old), New: sorted(v.new), Size: v.size})
		}
	}
	return list, added, removed
}

// versioned tells whether there is a version among some.
func versioned(m map[string]bool) bool {
	for v := range m {
		if v != "" {
			return true
		}
	}
	return false
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, x := range list {
		m[x] = true
	}
	return m
}

func sorted(m map[string]bool) []string {
	list := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(list)
	return list
}
