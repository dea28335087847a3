package simulate

import (
	"fmt"
	"strings"
)

// packagesOf are what a simulated system is made of: names with versions that
// grow with the generations.
func (m *machine) packagesOf(number int) [][2]string {
	n := 0
	for i, g := range m.gens {
		if g.number == number {
			n = i
		}
	}
	return [][2]string{
		{"caddy", fmt.Sprintf("2.10.%d", n/2)}, {"glibc", "2.40-66"}, {"nix", "2.31.2"}, {"openssh", fmt.Sprintf("10.%dp1", n/4)},
		{"podman", fmt.Sprintf("5.%d.%d", 4+n/3, n%3)}, {"systemd", "258.2"}, {"tailscale", fmt.Sprintf("1.%d.2", 76+2*n)},
	}
}

// storePath is where a package lies, and how many bytes it takes.
func (m *machine) storePath(pkg [2]string) (path string, size uint64) {
	return "/nix/store/" + storeHash(m.seed, pkg[0], pkg[1]) + "-" + pkg[0] + "-" + pkg[1], 4*mib + dice(m.seed, pkg[0], pkg[1], "size")%(40*mib)
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
		for _, pkg := range m.packagesOf(g.number) {
			path, size := m.storePath(pkg)
			fmt.Fprintln(c.Stdout, path)
			seen[path]++
			sizes[path] = size
		}
		begin("kernel-" + side)
		fmt.Fprintln(c.Stdout, g.kernel)
		begin("parts-" + side)
		fmt.Fprintf(c.Stdout, "kernel %s\n", m.part("kernel", g))
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

// unitFiles are the checksums of a generation's unit files: those of packages
// that change with it change too.
func (m *machine) unitFiles(g generation) string {
	var b strings.Builder
	for _, pkg := range m.packagesOf(g.number) {
		unit := map[string]string{"caddy": "caddy.service", "nix": "nix-daemon.service", "podman": "podman.service", "systemd": "systemd-journald.service"}[pkg[0]]
		if unit != "" && (pkg[0] != "caddy" || m.unit("caddy") != nil) {
			fmt.Fprintf(&b, "%d 512 ./%s\n", dice(m.seed, pkg[0], pkg[1])%1000000, unit)
		}
	}
	return b.String()
}
