package simulate

import (
	"fmt"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// role is a host of the world: what it is called, how the tailnet sees it and
// what it is.
type role struct {
	name    string
	tags    []string
	away    time.Duration // switched off for so long; 0: it is on
	relay   string        // DERP region, where traffic is relayed
	expires time.Duration // until the Tailscale key expires; 0: never
	build   func(*machine)
}

// cast are the hosts every world begins with: a fleet as people have it at
// home, each with something to look at.
var cast = []role{
	{name: "storage", tags: []string{"tier1", "server"}, build: storage},
	{name: "cloud", tags: []string{"tier1", "server"}, build: cloud, expires: 60 * day},
	{name: "router", tags: []string{"tier1", "network"}, build: router},
	{name: "r2s", tags: []string{"network"}, build: r2s},
	{name: "desktop", tags: []string{"workstation"}, build: desktop},
	{name: "laptop", tags: []string{"workstation"}, away: 41 * time.Hour, build: laptop},
	{name: "vault", tags: []string{"server"}, build: vault},
	{name: "cottage", tags: []string{"server", "remote"}, relay: "tor", build: cottage},
	{name: "raspi3", tags: []string{"remote"}, expires: 6*day + 4*time.Hour, build: raspi3},
}

// roles are the first n hosts: the cast, then host-001 and so on.
func roles(n int, seed uint64) []role {
	if n <= 0 {
		n = len(cast)
	}
	out := append([]role(nil), cast[:min(n, len(cast))]...)
	for i := len(out); i < n; i++ {
		out = append(out, extra(fmt.Sprintf("host-%03d", i-len(cast)+1), seed))
	}
	return out
}

// presence is what the tailnet says of a role.
func (r role) presence(now time.Time) fleet.Fact[fleet.Presence] {
	p := fleet.Presence{Online: r.away == 0, LastSeen: now.Add(-r.away), Path: "direct", Relay: r.relay}
	switch {
	case r.away != 0:
		p.Path = ""
	case r.relay != "":
		p.Path = "relay"
	}
	if r.expires != 0 {
		p.KeyExpiry = now.Add(r.expires)
	}
	return fleet.Known(p, now, "demo")
}

// storage has everything: forty containers, the fleet's Netdata, backups in
// every state.
func storage(m *machine) {
	m.cores, m.memory, m.swap = 12, 64*gib, 16*gib
	m.pace(0.24, 0.61)
	m.disks = []disk{
		{"/dev/nvme0n1p2", "ext4", "/", 916 * gib, 0.57}, {"/dev/nvme0n1p1", "vfat", "/boot", 1022 * mib, 0.31},
		{"tank/media", "zfs", "/mnt/storage", 29 * tib, 0.78}, {"tank/backup", "zfs", "/mnt/backup", 11 * tib, 0.64},
	}
	m.generations(12, 388)
	m.gens[0].entry, m.gens[1].entry = false, false
	m.gens[11].special = []string{"rescue"}
	m.past()
	m.up.Store(int64(4 * day))
	m.daemons("caddy", "Caddy", "netdata", "netdata - Real-time performance monitoring", "restic-rest-server", "Restic REST Server",
		"samba-smbd", "Samba Server Daemon", "nfs-server", "NFS server and services", "zfs-zed", "ZFS Event Daemon (zed)",
		"postgresql", "PostgreSQL Server")
	m.timed("zfs-scrub", "ZFS pools scrubbing", 7*day, "Sun *-*-* 02:00:00", 3*day)
	m.timed("podman-image-pull", "Pull the images of the containers", day, "*-*-* 04:40:00", 9*time.Hour)
	m.timed("podman-prune", "Prune podman resources", 7*day, "Mon *-*-* 00:00:00", 4*day)
	m.unit("logrotate").idle = true
	m.netdata, m.children = true, []string{"storage", "cloud", "vault", "cottage"}
	m.ports = []int{80, 443, 2019, 8000, 19999}
	m.programs = append(m.programs, "podman", "netdata", "caddy", "restic", "rustic", "rustic-ovh", "restic-documents", "restic-photos", "restic-cottage", "restic-vm")
	m.files = append(m.files, "/etc/services.json", "/etc/rustic")
	m.odd()
	for i, name := range shelf {
		m.container(name, shelfImage(name), uint16(3000+i*37))
	}
	m.boxAs("immich-server", "healthy", 2)
	m.boxAs("frigate", "starting", 1)
	m.alarms = []alarm{
		{"disk_space_usage", "disk_space._mnt_storage", "WARNING", "78.4%", "disk /mnt/storage space utilization", 3 * day},
		{"10min_disk_utilization", "disk_util.sda", "WARNING", "98.3%", "average percentage of time sda was busy over the last 10 minutes", 47 * time.Minute},
	}
	m.backup("photos", "restic", day, 861*gib, 59)
	m.backup("documents", "restic", day, 38*gib, 56)
	m.backup("ovh", "rustic", 7*day, 1833*gib, 10)
	m.backup("cottage", "restic", day, 445*gib, 34).failed = 10
	m.backup("vm", "restic", 7*day, 0, 0)
}

// shelf are the containers of storage.
var shelf = []string{
	"jellyfin", "plex", "sonarr", "radarr", "lidarr", "readarr", "prowlarr", "bazarr", "overseerr", "tautulli",
	"qbittorrent", "sabnzbd", "immich-server", "immich-ml", "immich-postgres", "immich-redis", "nextcloud", "nextcloud-db",
	"nextcloud-redis", "paperless", "paperless-redis", "paperless-tika", "paperless-gotenberg", "home-assistant",
	"zigbee2mqtt", "mosquitto", "frigate", "grafana", "loki", "homepage", "freshrss", "stash", "kavita", "audiobookshelf",
	"calibre-web", "romm", "romm-db", "filebrowser", "speedtest-tracker", "gatus",
}

func shelfImage(name string) string {
	switch name {
	case "jellyfin":
		return "docker.io/jellyfin/jellyfin:10.11.6"
	case "immich-server":
		return "ghcr.io/immich-app/immich-server:v2.9.1"
	case "immich-ml":
		return "ghcr.io/immich-app/immich-machine-learning:v2.9.1"
	case "immich-postgres", "nextcloud-db":
		return "docker.io/library/postgres:16"
	case "immich-redis", "nextcloud-redis", "paperless-redis":
		return "docker.io/library/redis:7"
	case "home-assistant":
		return "ghcr.io/home-assistant/home-assistant:stable"
	case "frigate":
		return "ghcr.io/blakeblackshear/frigate:0.17.1"
	case "grafana", "loki":
		return "docker.io/grafana/" + name + ":latest"
	}
	return "lscr.io/linuxserver/" + name + ":latest"
}

// cloud has the sign-in services; one of them is not well.
func cloud(m *machine) {
	m.arch, m.memory = "aarch64", 24*gib
	m.pace(0.09, 0.33)
	m.generations(5, 201)
	m.daemons("caddy", "Caddy", "netdata", "netdata - Real-time performance monitoring", "redis-authelia", "Redis Server - redis-authelia")
	m.ports, m.programs = []int{80, 443, 2019}, append(m.programs, "podman", "netdata", "caddy", "restic", "restic-state")
	m.files = append(m.files, "/etc/services.json")
	m.odd()
	m.container("authelia", "docker.io/authelia/authelia:4.39", 9091).health = "healthy"
	m.container("lldap", "docker.io/lldap/lldap:stable", 17170).health = "healthy"
	m.container("dex", "ghcr.io/dexidp/dex:v2.45.0", 5556).health = "unhealthy"
	m.container("vaultwarden", "docker.io/vaultwarden/server:1.35.0", 8222).health = "healthy"
	m.container("ntfy", "docker.io/binwiederhier/ntfy:v2.15", 2586)
	m.backup("state", "restic", day, 2*gib, 59)
}

// router was updated, and waits to be booted.
func router(m *machine) {
	m.memory = 4 * gib
	m.pace(0.05, 0.42)
	m.netIn, m.netOut = newWave(9*mib, 8*mib, m.seed, m.name, "wan"), newWave(2*mib, 1.8*mib, m.seed, m.name, "wan out")
	m.generations(6, 141)
	for i := range m.gens {
		m.gens[i].entry = i >= 4 // its boot menu holds two
	}
	m.booted = m.gens[4].number
	m.up.Store(int64(m.gens[4].age - time.Hour))
	m.daemons("blocky", "A DNS proxy and ad-blocker for the local network", "kea-dhcp4-server", "Kea DHCP4 Server",
		"systemd-networkd", "Network Configuration", "prometheus-node-exporter", "prometheus-node-exporter", "prometheus", "Prometheus", "alertmanager", "Alertmanager")
	m.ports, m.programs = []int{53, blockyPort, prometheusPort, alertmanagerPort, 9100}, append(m.programs, "podman", "wg")
	m.container("unifi", "lscr.io/linuxserver/unifi-network-application:latest", 8443)
	m.container("unifi-db", "docker.io/library/mongo:7", 0)
}

// r2s is small and slow, and does its work.
func r2s(m *machine) {
	m.arch, m.memory, m.bootMap = "aarch64", 1*gib, "extlinux"
	m.pace(0.11, 0.63)
	m.disks = []disk{{"/dev/mmcblk1p2", "ext4", "/", 29 * gib, 0.62}}
	m.generations(5, 77)
	m.daemons("systemd-networkd", "Network Configuration")
}

// desktop runs a system that is not the one it would boot. Another one changes
// its message bus, which cannot be done while it runs.
func desktop(m *machine) {
	m.cores, m.memory, m.swap = 16, 64*gib, 32*gib
	m.pace(0.16, 0.38)
	m.disks = []disk{{"/dev/nvme0n1p2", "btrfs", "/", 1863 * gib, 0.66}, {"/dev/nvme0n1p1", "vfat", "/boot", 511 * mib, 0.44}}
	m.generations(9, 512)
	m.up.Store(int64(9 * time.Hour))
	m.running = m.gens[7].number // tried out, and gone back
	m.booted = m.running
	m.gens[8].kernel = m.gens[7].kernel
	m.inhibits = "dbus"
	m.daemons("display-manager", "Display Manager", "NetworkManager", "Network Manager", "bluetooth", "Bluetooth service",
		"libvirtd", "Virtualization daemon", "cups", "CUPS Scheduler")
	m.programs = append(m.programs, "podman")
	m.container("ollama", "docker.io/ollama/ollama:0.20.4", 11434)
	m.container("devdb", "docker.io/library/postgres:17", 5432)
	m.programs = append(m.programs, "restic", "restic-home")
	ada := m.person(1000, "ada")
	ada.quadlet(m, "miniflux", "docker.io/miniflux/miniflux:2.2.17").volumes = []string{"miniflux-data"}
	ada.daemon("syncthing", "Syncthing - Open Source Continuous File Synchronization", m.boot())
	m.backup("home", "restic", day, 224*gib, 17).missed = 2
}

// laptop is switched off.
func laptop(m *machine) {
	m.cores, m.memory = 16, 32*gib
	m.generations(7, 290)
	m.daemons("display-manager", "Display Manager", "NetworkManager", "Network Manager")
}

// vault keeps secrets; one unit failed, and a container vanished with it. What is
// exported needs the dump of the database that failed.
func vault(m *machine) {
	m.memory = 4 * gib
	m.generations(3, 64)
	m.daemons("netdata", "netdata - Real-time performance monitoring", "postgresql", "PostgreSQL Server")
	m.programs = append(m.programs, "podman", "netdata", "restic", "restic-secrets", "backup-status")
	dump := m.timed("postgresqlBackup-vaultwarden", "Backup of vaultwarden database(s)", day, "*-*-* 01:15:00", 0)
	dump.fail(dump.started.Add(2*time.Second), 1)
	export := m.timed("vault-export", "Export of all secrets to the offline disk", 7*day, "Sun *-*-* 04:00:00", 0)
	export.needs = dump.name
	m.container("openbao", "docker.io/openbao/openbao:2.5.0", 8200).health = "healthy"
	b := m.container("step-ca", "docker.io/smallstep/step-ca:0.29.0", 9000)
	b.gone, b.exit = true, 2
	u := m.unit("podman-step-ca")
	u.restarts = 5
	u.fail(m.began.Add(-52*time.Minute), 2)
	m.backup("secrets", "restic", day, 90*mib, 59)
}

// cottage is far away, behind a relay, and its disk is nearly full. With another
// system its backup server does not start.
func cottage(m *machine) {
	m.memory = 16 * gib
	m.daemons("comin", "Comin Service") // it deploys to itself
	m.pace(0.04, 0.22)
	m.disks = []disk{{"/dev/sda2", "ext4", "/", 109 * gib, 0.48}, {"/dev/sdb1", "ext4", "/mnt/storage", 7 * tib, 0.942}}
	m.generations(4, 118)
	m.daemons("caddy", "Caddy", "netdata", "netdata - Real-time performance monitoring", "restic-rest-server", "Restic REST Server")
	m.ports, m.programs = []int{80, 443, 2019, 8000}, append(m.programs, "podman", "netdata", "caddy", "restic", "restic-system")
	m.breaks = "restic-rest-server.service"
	for i, name := range []string{"home-assistant", "zigbee2mqtt", "mosquitto", "frigate", "esphome", "filebrowser", "gatus"} {
		m.container(name, shelfImage(name), uint16(4000+i*11)).version = oldVersion // it pulls rarely
	}
	m.backup("system", "restic", 7*day, 61*gib, 12)
}

// raspi3 is old and well, and refuses another system.
func raspi3(m *machine) {
	m.arch, m.memory, m.bootMap = "aarch64", 1*gib, "extlinux"
	m.pace(0.21, 0.71)
	m.disks = []disk{{"/dev/mmcblk0p2", "ext4", "/", 29 * gib, 0.71}}
	m.generations(2, 31)
	m.refuses = "Could not acquire lock: another switch-to-configuration is under way"
	m.daemons("octoprint", "OctoPrint, web interface for 3D printers")
}

// boxAs sets the health and the restarts of a container.
func (m *machine) boxAs(name, health string, restarts int) {
	b := m.box(name)
	b.health, b.restarts = health, restarts
	m.unit(b.unit).restarts = restarts
}

// extra is a host of a large fleet: mostly well, now and then with one trouble.
func extra(name string, seed uint64) role {
	r := role{name: name, tags: []string{[]string{"web", "worker", "db", "build"}[dice(seed, name, "tag")%4]}}
	trouble := share(seed, name, "trouble")
	if trouble < 0.03 {
		r.away = time.Duration(1+trouble*1000) * time.Hour
	}
	r.build = func(m *machine) {
		m.pace(0.02+0.4*share(seed, name, "busy"), 0.2+0.5*share(seed, name, "full"))
		m.generations(2+int(dice(seed, name, "gens")%8), 20+int(dice(seed, name, "first")%300))
		m.programs = append(m.programs, "podman")
		for i := range 1 + dice(seed, name, "boxes")%6 {
			svc := shelf[dice(seed, name, "box", fmt.Sprint(i))%uint64(len(shelf))]
			if m.box(svc) == nil {
				m.container(svc, shelfImage(svc), uint16(5000+i))
			}
		}
		m.backup("system", "restic", day, 9*gib, 30)
		m.programs = append(m.programs, "restic", "restic-system")
		m.troubled(trouble)
	}
	return r
}

// troubled gives a machine at most one trouble.
func (m *machine) troubled(dice float64) {
	newest := len(m.gens) - 1
	switch {
	case dice < 0.03: // switched off
	case dice < 0.05:
		m.unit("logrotate").fail(m.began.Add(-25*time.Minute), 1)
	case dice < 0.06:
		m.boxes[0].health = "unhealthy"
	case dice < 0.10:
		m.booted = m.gens[newest-1].number
		m.up.Store(int64(m.gens[newest].age + day))
		m.gens[newest].kernel = "6.12.99"
	case dice < 0.12:
		m.disks[0].full = 0.93
	case dice < 0.14:
		m.backups[0].missed = 9
	}
}
