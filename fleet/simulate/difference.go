package simulate

import (
	"fmt"
	"slices"
	"strings"
)

// software is what every simulated system is made of: names, and versions in which
// one number grows, from the first, after so many generations. 0: never.
var software = []struct {
	name, version string
	first, every  int
}{
	{"bash", "5.3p%d", 3, 9}, {"caddy", "2.10.%d", 0, 3}, {"coreutils", "9.%d", 8, 0}, {"curl", "8.%d.0", 14, 4}, {"e2fsprogs", "1.47.%d", 3, 0},
	{"git", "2.51.%d", 0, 5}, {"glibc", "2.40-%d", 66, 7}, {"gnutls", "3.8.%d", 9, 8}, {"less", "%d", 679, 0}, {"nano", "8.%d", 4, 6},
	{"nftables", "1.1.%d", 5, 0}, {"nix", "2.31.%d", 2, 6}, {"openssh", "10.%dp1", 0, 7}, {"openssl", "3.5.%d", 1, 4}, {"perl", "5.42.%d", 0, 0},
	{"podman", "5.%d.1", 4, 3}, {"python3", "3.13.%d", 5, 5}, {"restic", "0.18.%d", 0, 8}, {"sudo", "1.9.%dp2", 17, 0}, {"systemd", "258.%d", 2, 0},
	{"util-linux", "2.41.%d", 1, 6}, {"vim", "9.1.%d", 1566, 2}, {"zfs-user", "2.3.%d", 3, 5},
}

// packagesOf are what a simulated system is made of: names with versions that
// grow with the generations.
func (m *machine) packagesOf(g generation) [][2]string {
	n := slices.IndexFunc(m.gens, func(x generation) bool { return x.number == g.number })
	list := [][2]string{
		{"initrd-linux", g.kernel}, {"linux", g.kernel}, {"linux", g.kernel + "-modules"},
		{"tailscale", fmt.Sprintf("1.%d.2", 76+2*n)}, // every release: odd numbers are not released
	}
	for i, p := range software {
		grown := p.first
		if p.every > 0 {
			grown += (n + i%p.every) / p.every // not all at once
		}
		list = append(list, [2]string{p.name, fmt.Sprintf(p.version, grown)})
	}
	return list
}

// storePath is where a package lies, and how many bytes it takes: a little more
// or less in every version.
func (m *machine) storePath(pkg [2]string) (path string, size uint64) {
	size = uint64((0.5 + 40*share(m.seed, pkg[0], "size") + 0.4*share(m.seed, pkg[0], pkg[1], "size")) * mib)
	return "/nix/store/" + storeHash(m.seed, pkg[0], pkg[1]) + "-" + pkg[0] + "-" + pkg[1], size
}

// tellDifference plays nixops' program that compares two systems: mark, from, to.
func tellDifference(c Call) int {
	m, mark := c.machine(), c.arg(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	begin := func(name string) { fmt.Fprintf(c.Stdout, "\n%s %s\n", mark, name) }
	sides := [2]generation{m.generation(m.systemAt(c.arg(2))), m.generation(m.systemAt(c.arg(3)))}
	for i, g := range sides {
		if g.number == 0 {
			begin("missing")
			fmt.Fprintf(c.Stdout, "%s\n", c.arg(2+i))
		}
	}
	if sides[0].number == 0 || sides[1].number == 0 {
		begin("end")
		return 0
	}
	seen := map[string]int{}
	sizes := map[string]uint64{}
	for i, side := range []string{"from", "to"} {
		g := sides[i]
		begin("paths-" + side)
		fmt.Fprintf(c.Stdout, "%s\n", m.path(g))
		seen[m.path(g)]++
		sizes[m.path(g)] = 80 * kib
		for _, pkg := range m.packagesOf(g) {
			path, size := m.storePath(pkg)
			fmt.Fprintln(c.Stdout, path)
			seen[path]++
			sizes[path] = size
		}
		begin("kernel-" + side)
		fmt.Fprintln(c.Stdout, g.kernel)
		begin("parts-" + side)
		for _, part := range []string{"kernel", "initrd", "kernel-modules"} {
			fmt.Fprintf(c.Stdout, "%s %s\n", part, m.part(part, g))
		}
		begin("units-" + side)
		fmt.Fprint(c.Stdout, m.unitFiles(g))
	}
	begin("sizes")
	for path, n := range seen {
		if n == 1 {
			fmt.Fprintf(c.Stdout, "%d %s\n", sizes[path], path)
		}
	}
	begin("unseen")
	begin("end")
	return 0
}

// packageOf is the package that a unit runs, by how its name begins.
var packageOf = []struct{ unit, pkg string }{
	{"caddy", "caddy"}, {"nix-", "nix"}, {"podman", "podman"}, {"restic", "restic"}, {"sshd", "openssh"}, {"tailscaled", "tailscale"}, {"zfs", "zfs-user"},
}

// unitFiles are the checksums of a generation's unit files: a new version of what
// a unit runs is another file. Some containers came with a later generation.
func (m *machine) unitFiles(g generation) string {
	version := map[string]string{}
	for _, pkg := range m.packagesOf(g) {
		version[pkg[0]] = pkg[1]
	}
	n := slices.IndexFunc(m.gens, func(x generation) bool { return x.number == g.number })
	var b strings.Builder
	for _, u := range m.sorted() {
		if u.box != nil && share(m.seed, m.name, u.name, "new") < 0.2 && n < int(dice(m.seed, m.name, u.name, "since")%uint64(len(m.gens))) {
			continue
		}
		runs := ""
		if i := slices.IndexFunc(packageOf, func(p struct{ unit, pkg string }) bool { return strings.HasPrefix(u.name, p.unit) }); i >= 0 {
			runs = version[packageOf[i].pkg]
		}
		fmt.Fprintf(&b, "%d 512 ./%s\n", dice(m.seed, u.name, runs)>>32, u.name)
		if u.timer != "" {
			fmt.Fprintf(&b, "%d 128 ./%s\n", dice(m.seed, u.timer)>>32, u.timer)
		}
	}
	return b.String()
}
