package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// machine is what a host is, has and runs. Values that move are computed from
// the time; what commands change (a unit that is restarted) is kept here.
type machine struct {
	name  string
	seed  uint64
	began time.Time // when the fleet was started: ages count from here

	arch    string
	cores   int
	memory  uint64
	swap    uint64
	busy    wave // share of all cores
	used    wave // share of memory
	netIn   wave // bytes per second
	netOut  wave
	diskIn  wave
	diskOut wave
	temp    wave         // °C; base 0: no sensor
	up      atomic.Int64 // how long it had been up when the world began, a time.Duration: a reboot changes it
	bootMap string       // "systemd-boot", "extlinux"

	gens     []generation // oldest first
	running  int          // number of the generation that runs
	standard int          // and of the one that boots next
	booted   int          // and of the one it booted
	disks    []disk
	boxes    []*box
	spare    spare
	people   []*person
	backups  []backup
	alarms   []alarm
	netdata  bool
	children []string // hosts that stream their metrics to the Netdata here
	ports    []int    // TCP ports listened on, besides 22
	programs []string // on PATH, besides those every host has
	files    []string // of the probe's list
	inhibits string   // the critical component that every other system changes: only a reboot can
	refuses  string   // what its switch-to-configuration says, and changes nothing
	breaks   string   // the unit that does not start with another system
	dead     int      // store paths that nothing leads to

	mu       sync.Mutex
	block    blocky                 // how its Blocky blocks
	works    []*work                // what units of backups do, or did, on request
	made     map[string][]time.Time // the snapshots that backups made on request, by job
	restored map[string]uint64      // folders of what was restored, and their bytes
	tests    map[string]string      // the last restore test, by the file that keeps it
	deploys  []*deploying
	units    []*unit
	others   []*unit      // targets, sockets, mounts: told only to who asks for units of every kind
	heard    []chan event // who follows Podman's events
	stores   map[*person][]*stored
	runs     []*run // commands in containers, the newest last
	runCount int
}

// generation is one NixOS system of the profile.
type generation struct {
	number  int
	age     time.Duration
	version string
	kernel  string
	rev     string
	special []string
	entry   bool // in the boot menu
}

// disk is a mounted file system.
type disk struct {
	source, kind, mount string
	size                uint64
	full                float64 // 0…1
}

// alarm is one that Netdata has raised.
type alarm struct {
	name, chart, status, value, info string
	age                              time.Duration
}

// unit is a systemd unit.
type unit struct {
	name, about, kind string
	active, sub       string
	result            string
	status            int
	started, exited   time.Time
	restarts          int
	timer             string        // the timer that starts it
	every             time.Duration // of that timer
	calendar          string
	next              time.Time
	idle              bool   // the timer was stopped
	needs             string // the unit that it requires
	source, file      string
	box               *box // the container it runs
}

// box is a container.
type box struct {
	name, image string
	state       string // running, exited
	health      string // healthy, unhealthy, starting, ""
	exit        int
	gone        bool // crashed, and took itself away (--rm)
	made        time.Time
	imageAge    time.Duration
	version     string // which version of the image it runs; "": the one that the world began with
	imageID     string // of what it runs; "": of that version
	restarts    int
	round       int // how often it was made anew here
	ports       []port
	unit        string
	network     string
	cpu         wave // cores
	mem         wave // bytes
	limit       uint64
	sharing
}

type port struct {
	host, inside uint16
	proto        string
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	tib = 1 << 40
	day = 24 * time.Hour
)

// newMachine makes a machine with what every host of this world has.
func newMachine(name string, seed uint64, began time.Time) *machine {
	m := &machine{
		name: name, seed: seed, began: began.Truncate(time.Second), arch: "x86_64", cores: 4, memory: 8 * gib,
		bootMap:  "systemd-boot",
		programs: []string{"nix", "nixos-rebuild", "flock", "systemd-run", "tailscale", "nft", "sudo", "run0", "journalctl", "systemctl"},
		files:    []string{"/etc/NIXOS", "/run/secrets"},
	}
	m.up.Store(int64(23*day + time.Duration(share(seed, name, "up")*float64(9*day))))
	m.pace(0.07, 0.35)
	m.disks = []disk{{"/dev/nvme0n1p2", "ext4", "/", 237 * gib, 0.41}, {"/dev/nvme0n1p1", "vfat", "/boot", 511 * mib, 0.18}}
	m.daemons("systemd-journald", "Journal Service", "systemd-logind", "User Login Management",
		"systemd-udevd", "Rule-based Manager for Device Events and Files", "systemd-timesyncd", "Network Time Synchronization",
		"dbus", "D-Bus System Message Bus", "nscd", "Name Service Cache Daemon (nsncd)", "nix-daemon", "Nix Daemon",
		"sshd", "SSH Daemon", "tailscaled", "Tailscale node agent", "avahi-daemon", "Avahi mDNS/DNS-SD Stack")
	m.tasks("systemd-sysctl", "Apply Kernel Variables", "systemd-tmpfiles-setup", "Create System Files and Directories",
		"firewall", "Firewall", "systemd-modules-load", "Load Kernel Modules")
	m.kinds("-.mount", "Root Mount", "mounted", "boot.mount", "/boot", "mounted", "dbus.socket", "D-Bus System Message Bus Socket", "running",
		"nix-daemon.socket", "Nix Daemon Socket", "running", "systemd-udevd-kernel.socket", "udev Kernel Socket", "running",
		"system.slice", "System Slice", "active", "user.slice", "User and Session Slice", "active", "basic.target", "Basic System", "active",
		"multi-user.target", "Multi-User System", "active", "network-online.target", "Network is Online", "active", "timers.target", "Timer Units", "active")
	m.timed("nix-gc", "Nix Garbage Collector", 7*day, "Sat *-*-* 03:15:00", 2*day)
	m.timed("logrotate", "Logrotate Service", time.Hour, "*-*-* *:00:00", 25*time.Minute)
	m.timed("systemd-tmpfiles-clean", "Cleanup of Temporary Directories", day, "", 7*time.Hour)
	m.generations(4, 100+int(dice(seed, name, "gen")%60))
	m.dead = 40 + int(dice(seed, name, "dead")%900)
	return m
}

// pace sets how busy the machine is: the share of its cores and memory in use.
func (m *machine) pace(cpu, mem float64) {
	m.busy = newWave(cpu, cpu*0.8, m.seed, m.name, "cpu")
	m.used = newWave(mem, 0.03, m.seed, m.name, "mem")
	m.netIn = newWave(40*kib+cpu*4*mib, 2*mib, m.seed, m.name, "in")
	m.netOut = newWave(30*kib+cpu*2*mib, 2*mib, m.seed, m.name, "out")
	m.diskIn = newWave(20*kib+cpu*3*mib, 2*mib, m.seed, m.name, "read")
	m.diskOut = newWave(60*kib+cpu*2*mib, 2*mib, m.seed, m.name, "write")
	m.temp = newWave(38+cpu*30, 5, m.seed, m.name, "temp")
}

// boot is when it was booted.
func (m *machine) boot() time.Time { return m.began.Add(-time.Duration(m.up.Load())) }

// daemons adds services that run, by name and description.
func (m *machine) daemons(nameAbout ...string) {
	for pair := range slices.Chunk(nameAbout, 2) {
		m.units = append(m.units, &unit{
			name: pair[0] + ".service", about: pair[1], kind: "notify", active: "active", sub: "running",
			result: "success", started: m.boot().Add(9 * time.Second), file: "enabled",
		})
	}
}

// tasks adds services that ran once at boot.
func (m *machine) tasks(nameAbout ...string) {
	for pair := range slices.Chunk(nameAbout, 2) {
		m.units = append(m.units, &unit{
			name: pair[0] + ".service", about: pair[1], kind: "oneshot", active: "active", sub: "exited",
			result: "success", started: m.boot().Add(2 * time.Second), exited: m.boot().Add(3 * time.Second), file: "static",
		})
	}
}

// timed adds a service that a timer starts. Where there is no calendar, it last
// ran some time ago.
func (m *machine) timed(name, about string, every time.Duration, calendar string, ago time.Duration) *unit {
	last := m.began.Add(-ago)
	if calendar != "" {
		last = elapsed(calendar, m.began)
	}
	u := &unit{
		name: name + ".service", about: about, kind: "oneshot", active: "inactive", sub: "dead", result: "success",
		started: last, exited: last.Add(40 * time.Second), file: "linked", timer: name + ".timer", every: every, calendar: calendar, next: last.Add(every),
	}
	if last.Add(5 * time.Minute).After(m.began) { // else it might still run
		u.started, u.exited, u.next = last.Add(-every), u.exited.Add(-every), last
	}
	m.units = append(m.units, u)
	return u
}

// elapsed is when a calendar last elapsed before a time: "*-*-* 03:30:00",
// with a day of the week in front, or with "*" for the hour.
func elapsed(calendar string, now time.Time) time.Time {
	f := strings.Fields(calendar)
	clock := f[len(f)-1]
	if minute, ok := strings.CutPrefix(clock, "*:"); ok {
		return latest(now, time.Hour, func(t time.Time) bool { return t.Format("04:05") == minute })
	}
	return latest(now, 7*day, func(t time.Time) bool {
		return t.Format("15:04:05") == clock && (len(f) == 2 || t.Format("Mon") == f[0])
	})
}

// latest goes back from a time by minutes until it fits.
func latest(now time.Time, limit time.Duration, fits func(time.Time) bool) time.Time {
	for t := now.UTC().Truncate(time.Minute); now.Sub(t) <= limit+time.Minute; t = t.Add(-time.Minute) {
		if fits(t) {
			return t
		}
	}
	return now.Add(-limit)
}

// fail makes a unit fail some time ago.
func (u *unit) fail(at time.Time, status int) {
	u.active, u.sub, u.result, u.status = "failed", "failed", "exit-code", status
	u.exited = at
	if u.started.IsZero() || u.started.After(at) {
		u.started = at.Add(-3 * time.Second)
	}
}

// unit finds a unit by its name, with or without ".service".
func (m *machine) unit(name string) *unit {
	if !strings.Contains(name, ".") {
		name += ".service"
	}
	for _, u := range slices.Concat(m.units, m.others) {
		if u.name == name {
			return u
		}
	}
	return nil
}

// kinds adds units that are no services: name, what it is, and its state.
func (m *machine) kinds(nameAboutSub ...string) {
	for three := range slices.Chunk(nameAboutSub, 3) {
		m.others = append(m.others, &unit{
			name: three[0], about: three[1], active: "active", sub: three[2], started: m.boot().Add(time.Second), file: "static",
		})
	}
}

// generations makes n of them, about five days apart, with gaps in their
// numbers as real ones have; all is as it should be: the newest runs.
func (m *machine) generations(n, first int) {
	m.gens = nil
	number := first
	for i := range n {
		age := time.Duration(n-i-1)*5*day + 31*time.Hour + time.Duration(share(m.seed, m.name, fmt.Sprint("age", i))*float64(20*time.Hour))
		m.gens = append(m.gens, generation{
			number: number, age: age, version: "26.05." + m.began.Add(-age-3*day).Format("20060102") + "." + hexID(m.seed, 7, "nixpkgs", fmt.Sprint(n-i)),
			kernel: fmt.Sprintf("6.12.%d", 40+3*(12-(n-i))), rev: hexID(m.seed, 40, "flake", fmt.Sprint(n-i)), entry: true,
		})
		number += 1 + int(dice(m.seed, m.name, fmt.Sprint("gap", i))%2)
	}
	last := m.gens[n-1].number
	m.running, m.standard = last, last
}

// settle makes a machine whole, once its role has said what it is.
func (m *machine) settle() {
	m.backupUnits()
	m.share()
	if m.booted != 0 {
		return
	}
	// It booted the newest generation there was; those made since bring no
	// other kernel, or a reboot would be needed.
	i := 0
	for j, g := range m.gens {
		if int64(g.age) >= m.up.Load() {
			i = j
		}
	}
	m.booted = m.gens[i].number
	for j := i + 1; j < len(m.gens); j++ {
		m.gens[j].kernel = m.gens[i].kernel
	}
}

// kernel is the one that was booted.
func (m *machine) kernel() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generation(m.booted).kernel
}

// generation finds one by its number. m.mu is held.
func (m *machine) generation(number int) generation {
	for _, g := range m.gens {
		if g.number == number {
			return g
		}
	}
	return generation{}
}

// path is a generation's toplevel in the store.
func (m *machine) path(g generation) string {
	return "/nix/store/" + storeHash(m.seed, m.name, fmt.Sprint(g.number)) + "-nixos-system-" + m.name + "-" + g.version
}

// storeHash gives the 32 characters in front of a store path's name.
func storeHash(seed uint64, words ...string) string {
	const alphabet = "0123456789abcdfghijklmnpqrsvwxyz"
	id := hexID(seed, 64, words...)
	out := make([]byte, 32)
	for i := range out {
		out[i] = alphabet[(unhex(id[2*i])<<1|unhex(id[2*i+1])>>3)&31]
	}
	return string(out)
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// container adds a container with the unit that runs it, as NixOS'
// oci-containers makes them: --rm, and started again by systemd.
func (m *machine) container(name, image string, host uint16) *box {
	b := m.newBox(name, image, host)
	m.boxes = append(m.boxes, b)
	m.units = append(m.units, &unit{
		name: b.unit, kind: "notify", about: "Podman container " + name, active: "active", sub: "running", result: "success",
		started: b.made, file: "enabled", box: b,
	})
	return b
}

// newBox makes a container that nobody has yet.
func (m *machine) newBox(name, image string, host uint16) *box {
	b := &box{
		name: name, image: image, state: "running", unit: "podman-" + name + ".service", network: "podman",
		made:     m.began.Add(-time.Duration(share(m.seed, m.name, name, "made") * float64(min(m.up.Load(), int64(20*day))))),
		imageAge: m.imageAge(image),
		cpu:      newWave(0.002+0.06*share(m.seed, name, "c")*share(m.seed, name, "d"), 0.04, m.seed, m.name, name),
		mem:      newWave((20+480*share(m.seed, name, "m")*share(m.seed, name, "n"))*mib, 20*mib, m.seed, m.name, name, "mem"),
	}
	if share(m.seed, name, "check") < 0.4 {
		b.health = "healthy"
	}
	if host != 0 {
		b.ports = []port{{host, host, "tcp"}}
	}
	return b
}

// box finds a container by name or ID, or nil.
func (m *machine) box(ref string) *box { return m.find(m.boxes, ref) }

// find finds a container of these by name or ID, or nil.
func (m *machine) find(boxes []*box, ref string) *box {
	for _, b := range boxes {
		if !b.gone && (b.name == ref || len(ref) >= 12 && strings.HasPrefix(m.boxID(b), ref)) {
			return b
		}
	}
	return nil
}

// boxID is a container's ID; each time it is made anew it has another.
func (m *machine) boxID(b *box) string {
	return hexID(m.seed, 64, m.name, b.name, fmt.Sprint("round", b.round))
}

func (m *machine) imageID(image string) string { return hexID(m.seed, 64, "image", image) }

// sorted gives the units by name.
func (m *machine) sorted() []*unit {
	return slices.SortedFunc(slices.Values(m.units), func(a, b *unit) int { return cmp.Compare(a.name, b.name) })
}
