package simulate

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// probeProgram answers the program that asks a host everything in one go: each
// line of its input is a mark and "all" or "moved", and each section of the
// answer begins with a line "mark name".
func probeProgram(c Call) int {
	told := ""
	for lines := bufio.NewScanner(c.Stdin); lines.Scan(); {
		mark, which, _ := strings.Cut(lines.Text(), " ")
		text := ""
		if text, told = c.probe(mark, which == "all", told); !c.sayProbe(text) {
			return 1
		}
	}
	return 0
}

// probe answers one question. What stands is left out where it is what was
// told last.
func (c Call) probe(mark string, all bool, told string) (text, standing string) {
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.land(c.now())
	part := func(write func(*teller)) string {
		t := &teller{m: m, c: c, f: c.fault(), mark: mark, now: c.now()}
		write(t)
		return t.String()
	}
	standing = strings.ReplaceAll(part((*teller).standing), mark, "")
	switch {
	case all:
		text = part((*teller).before) + part((*teller).standing)
	case standing == told:
		text = part(func(t *teller) { t.begin("same") })
	default:
		text = part((*teller).standing)
	}
	return text + part((*teller).asked) + part((*teller).moving), standing
}

// sayProbe gives an answer as the host's fault lets it.
func (c Call) sayProbe(text string) bool {
	f := c.fault()
	if f.Latin {
		text = latin(text)
	}
	if f.Cut > 0 && f.Cut < len(text) {
		_, _ = io.WriteString(c.Stdout, text[:f.Cut])
		c.hangUp()
		return false
	}
	if f.Long > 0 {
		half := len(text) / 2
		if _, err := io.WriteString(c.Stdout, text[:half]); err != nil || !pour(c.Context, c.Stdout, "all work and no play makes a dull host ", f.Long) {
			return false
		}
		text = text[half:]
	}
	_, err := io.WriteString(c.Stdout, text)
	return err == nil
}

// latin writes what people named in another encoding than UTF-8.
func latin(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Description=") || strings.HasPrefix(line, "PRETTY_NAME=") {
			name, value, _ := strings.Cut(line, "=")
			line = name + "=" + strings.ReplaceAll(value, "e", "\xe9")
		}
		b.WriteString(line)
	}
	return b.String()
}

// teller writes the sections.
type teller struct {
	strings.Builder
	m    *machine
	c    Call
	f    Fault
	mark string
	now  time.Time
}

func (t *teller) begin(name string) { fmt.Fprintf(t, "\n%s %s\n", t.mark, name) }

func (t *teller) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *teller) before() { t.counters("before", t.now.Add(-150*time.Millisecond)) }

// standing is what changes only when somebody does something.
func (t *teller) standing() {
	t.who()
	if !t.f.NotNixOS {
		t.nixos()
	}
	t.begin("boot")
	t.bootMenu()
	if !t.f.NoSystemd {
		t.systemd()
		t.people()
	}
	t.inventory()
}

// moving is what is another at every moment, and the end.
func (t *teller) moving() {
	t.kernel()
	t.counters("after", t.now)
	t.begin("unseen")
	if t.f.NoSystemd {
		t.line("units: systemd does not run here")
	}
	if !t.c.Root {
		t.line("rootless sockets, units and files of other users: not root")
		t.line("journal of other users: not root")
	}
	t.begin("end")
}

// counters are /proc/uptime, the first line of /proc/stat, /proc/net/dev and
// /proc/diskstats.
func (t *teller) counters(name string, at time.Time) {
	t.begin(name)
	t.WriteString(t.m.uptime(at))
	t.line("%s", cut(t.m.stat(at), "\n"))
	t.WriteString(t.m.netDev(at) + t.m.diskStats(at))
}

func (t *teller) who() {
	m := t.m
	kernel := m.generation(m.booted).kernel
	name := m.name
	if t.f.Hostile {
		name += strings.ReplaceAll(hostileText, "\n", " ")
	}
	t.begin("who")
	t.line("%d\n%s %s %s", t.c.uid(), name, kernel, m.arch)
	t.line("%s", hexID(m.seed, 32, m.name, "machine-id"))
	id := hexID(m.seed, 32, m.name, "boot", m.boot().String())
	t.line("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:])
	t.begin("os")
	if t.f.NotNixOS {
		t.line("ID=debian\nNAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"")
		return
	}
	g := m.generation(m.running)
	t.line("BUILD_ID=%q\nID=nixos\nNAME=NixOS\nPRETTY_NAME=\"NixOS 26.05 (Yarara)\"\nVERSION=\"26.05 (Yarara)\"\nVERSION_CODENAME=yarara\nVERSION_ID=\"26.05\"", g.version)
}

const profile = "/nix/var/nix/profiles/"

// nixos tells of the systems and generations.
func (t *teller) nixos() {
	m := t.m
	run, boot, std := m.generation(m.running), m.generation(m.booted), m.generation(m.standard)
	t.begin("system")
	names := []string{"/run/current-system", profile + "system", "/run/booted-system"}
	targets := []string{m.path(run), m.path(std), m.path(boot)}
	for _, part := range []string{"kernel", "initrd", "kernel-modules"} {
		names = append(names, "/run/booted-system/"+part, "/run/current-system/"+part)
		targets = append(targets, m.part(part, boot), m.part(part, run))
	}
	systemd := "/nix/store/" + storeHash(m.seed, "systemd") + "-systemd-258.2"
	names = append(names, "/run/booted-system/systemd", "/run/current-system/systemd")
	targets = append(targets, systemd, systemd)
	t.line("%s", strings.Join(names, "\n"))
	t.begin("targets")
	t.line("%s", strings.Join(targets, "\n"))
	t.begin("link")
	t.line("system-%d-link", std.number)
	t.begin("links")
	for _, g := range m.gens {
		t.line("system-%d-link\t%d.1234567890\t%s", g.number, m.began.Add(-g.age).Unix(), m.path(g))
	}
	t.begin("versions")
	for _, g := range m.gens {
		t.line("%ssystem-%d-link/nixos-version:%s", profile, g.number, g.version)
	}
	t.line("/run/current-system/nixos-version:%s", run.version)
	t.begin("revisions")
	for _, g := range m.gens {
		t.line("%ssystem-%d-link/sw/bin/nixos-version:\"configurationRevision\":%q", profile, g.number, g.rev)
	}
	t.line("/run/current-system/sw/bin/nixos-version:\"configurationRevision\":%q", run.rev)
	t.begin("kernels")
	for _, g := range m.gens {
		t.line("%ssystem-%d-link/kernel-modules/lib/modules/%s", profile, g.number, g.kernel)
	}
	t.begin("specialisations")
	for _, g := range m.gens {
		for _, s := range g.special {
			t.line("%ssystem-%d-link/specialisation/%s", profile, g.number, s)
		}
	}
	t.begin("specialised")
	for _, g := range m.gens {
		for _, s := range g.special {
			t.line("/nix/store/%s-nixos-system-%s-%s", storeHash(m.seed, s, m.path(g)), m.name, g.version)
		}
	}
}

// part is a part of a generation that only a reboot renews.
func (m *machine) part(name string, g generation) string {
	file := map[string]string{"kernel": "-linux-" + g.kernel + "/bzImage", "initrd": "-initrd-linux-" + g.kernel + "/initrd",
		"kernel-modules": "-linux-" + g.kernel + "-modules"}[name]
	return "/nix/store/" + storeHash(m.seed, name, g.kernel, m.arch) + file
}

func (t *teller) bootMenu() {
	if t.f.NotNixOS || !t.c.Root {
		return
	}
	t.line("readable")
	if t.m.bootMap == "extlinux" {
		for _, g := range t.m.menu() {
			t.line("LABEL nixos-%d", g.number)
		}
		return
	}
	t.systemdBoot()
}

// systemdBoot is its menu as NixOS writes it since 26.05: entries are called by a hash.
func (t *teller) systemdBoot() {
	var entries, files []string
	add := func(title string, g generation) {
		t.line("nixos-%s.conf", hexID(t.m.seed, 40, title, t.m.path(g)))
		kernel, initrd := t.m.bootFile("kernel", g), t.m.bootFile("initrd", g)
		entries = append(entries, "title "+title, fmt.Sprintf("version Generation %d", g.number), "linux "+kernel, "initrd "+initrd)
		files = append(files, "/boot"+kernel, "/boot"+initrd)
	}
	for _, g := range t.m.menu() {
		add("NixOS", g)
		for _, s := range g.special {
			add("NixOS ("+s+")", g)
		}
	}
	t.begin("entries")
	t.line("%s", strings.Join(entries, "\n"))
	t.begin("bootfiles")
	t.line("/boot/EFI/nixos/\n%s", strings.Join(files, "\n"))
}

// menu are the generations that the boot menu offers.
func (m *machine) menu() (list []generation) {
	for _, g := range m.gens {
		if g.entry {
			list = append(list, g)
		}
	}
	return list
}

// bootFile is where a boot entry finds a part of a generation, on the boot partition.
func (m *machine) bootFile(part string, g generation) string {
	return "/EFI/nixos/" + strings.ReplaceAll(strings.TrimPrefix(m.part(part, g), "/nix/store/"), "/", "-") + ".efi"
}

// kernel is what /proc and df tell.
func (t *teller) kernel() {
	m := t.m
	t.begin("load")
	t.line("%s%d", m.loadAvg(t.now), m.cores)
	t.begin("memory")
	t.WriteString(m.memInfo(t.now))
	t.begin("pressure")
	for _, kind := range []string{"cpu", "memory", "io"} {
		t.line("%s %s", kind, m.pressure(kind, t.now))
	}
	t.begin("temperatures")
	if m.temp.base > 0 {
		t.line("%.0f\tcoretemp\tPackage id 0", m.temp.at(t.now)*1000)
	}
	t.begin("disks")
	t.line("Filesystem     Type     1-blocks        Used   Available Capacity Mounted on")
	for _, d := range m.disks {
		used := uint64(float64(d.size) * d.full)
		t.line("%s %s %d %d %d %.0f%% %s", d.source, d.kind, d.size, used, d.size-used, d.full*100, d.mount)
	}
}

// inventory is which programs, sockets and files there are.
func (t *teller) inventory() {
	m := t.m
	has := func(p string) bool {
		switch {
		case t.f.NoPodman && p == "podman", t.f.NoNetdata && p == "netdata", p == "systemctl":
			return false
		case t.f.NoSystemd && (p == "journalctl" || p == "systemd-run" || p == "run0"):
			return false
		}
		return true
	}
	t.begin("programs")
	for _, p := range m.programs {
		dir := "/run/current-system/sw/bin/"
		if p == "sudo" {
			dir = "/run/wrappers/bin/"
		}
		if has(p) {
			t.line("%s\t%s%s", p, dir, p)
		}
	}
	t.begin("sockets")
	if m.podman() && !t.f.NoPodman {
		open := "closed"
		if t.c.Root {
			open = "open"
		}
		t.line("%s\t%s\troot\t%s", podmanSocket, open, podmanSocket)
		for _, p := range m.people {
			if t.c.Root && len(p.boxes) > 0 {
				t.line("%s\topen\t%s\t%s", p.socket(), p.name, p.socket())
			}
		}
	}
	t.begin("files")
	for _, f := range m.files {
		if f != "/etc/NIXOS" || !t.f.NotNixOS {
			t.line("%s", f)
		}
	}
	if u := m.unit("comin"); u != nil && !t.f.NoSystemd {
		began := m.began.Add(-3 * time.Hour)
		t.begin("comin")
		t.line("%q:%q\n%q:%q\n%q:%q", "selected_commit_id", hexID(m.seed, 40, m.name, "comin"), "started_at", began.Format(time.RFC3339Nano), "ended_at", began.Add(40*time.Second).Format(time.RFC3339Nano))
	}
	t.begin("deploys")
	if n := len(t.m.deploys); n > 0 && t.c.Root {
		state := t.m.deploys[n-1].at(t.m, t.now).state
		if !fleet.DeployState(state).Over() {
			state = "?"
		}
		t.line("%s\n%d %s", state, n, state)
	}
}

// asked is what a real host tells only every few seconds.
func (t *teller) asked() {
	t.begin("clock")
	t.line("%d\n0", t.now.Unix())
	if !t.f.NoSystemd {
		t.begin("manager")
		t.line("SystemState=%s", t.m.manager())
	}
	t.begin("ports")
	ports := append([]int{22}, t.m.ports...)
	for i, p := range ports {
		if p == netdataPort && t.f.NoNetdata {
			continue
		}
		t.line("  %2d: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12%03d 1 0000000000000000 100 0 0 10 0", i, p, i)
	}
}
