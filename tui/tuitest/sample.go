package tuitest

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Now is the time at which the sample fleet is seen.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return Now.Add(-d) }

const day = 24 * time.Hour

// Sample is a store with seven hosts, of which each is in another state.
func Sample() *fleet.Store {
	states := []fleet.State{storage(), router(), media(), laptop(), desk(), lab(), cloud()}
	hosts := make([]fleet.Host, 0, len(states))
	for _, st := range states {
		hosts = append(hosts, st.Host)
	}
	store := fleet.NewStore()
	store.SetHosts(hosts, []fleet.Other{{Name: "pixel", Why: "phone (Android)", Sources: []string{"tailscale"}}},
		[]fleet.SourceState{{Source: "tailscale", At: Now, Count: 8}, {Source: "ssh_config", At: Now, Count: 3}})
	for _, st := range states {
		store.Update(st.Host.ID, func(s *fleet.State) { *s = st })
	}
	store.Note(fleet.Message{At: ago(3 * time.Hour), Level: fleet.Info, Text: "7 hosts found by tailscale and ssh_config"})
	store.Note(fleet.Message{At: ago(40 * time.Minute), Level: fleet.Error, Host: "cloud", Text: "not reachable: host key changed: cloud shows ssh-ed25519 SHA256:Q1w…, but /home/ada/.ssh/known_hosts:7 has ssh-ed25519 SHA256:AbC…; if the host was installed anew, remove that line; if not, somebody may be between you and it: do not connect"})
	return store
}

func host(name string, n int, tags ...string) fleet.Host {
	h := fleet.Host{
		ID: fleet.HostID("n-" + name), Name: name, Sources: []string{"tailscale", "flake"}, OS: "linux", Tags: tags,
		Addresses: []fleet.Address{{Via: fleet.ViaTailnet, Host: fmt.Sprintf("100.64.0.%d", n)}},
		Presence:  fleet.Known(fleet.Presence{Online: true, Path: "direct", KeyExpiry: Now.Add(90 * day)}, ago(20*time.Second), "tailscaled"),
	}
	return h.Told()
}

// well is a host with which nothing is wrong.
func well(h fleet.Host, gen int, age time.Duration, cpu float64) fleet.State {
	at := ago(12 * time.Second)
	top := fleet.Toplevel{Path: fmt.Sprintf("/nix/store/x%d-nixos-system-%s-26.05", gen, h.Name), Generation: gen}
	yes := true
	st := fleet.State{
		Host:  h,
		Reach: fleet.Known(fleet.Reach{State: fleet.Up, Via: fleet.ViaTailnet, Path: "direct", Address: h.Addresses[0].Join(22), User: "root", Root: "root", Latency: 0.007}, at, "ssh"),
		System: fleet.Known(fleet.System{
			NixOS: true, OSName: "NixOS 26.05 (Yarara)", Hostname: h.Name, Arch: "x86_64", Kernel: "6.18.9", Running: top, Default: top,
			Booted: top, NixOSVersion: "26.05.20261101.abcdef0", Manager: "running", Uptime: fleet.Seconds((age - time.Hour).Seconds()), UID: 0,
		}, at, "probe"),
		Units:      fleet.Known(units(), at, "probe"),
		Containers: fleet.Nothing[[]fleet.Container]("no container engine", at, "probe"),
		Backups:    fleet.Known([]fleet.BackupJob{job("home", fleet.BackupFresh, 9*time.Hour)}, at, "probe"),
		Metrics: fleet.Known(fleet.Metrics{
			CPU: cpu, Load1: cpu * 8, Load5: cpu * 7, Load15: cpu * 6, Cores: 8, Memory: fleet.Memory{Used: 5 << 30, Total: 16 << 30},
			Swap: fleet.Memory{Used: 200 << 20, Total: 4 << 30}, NetIn: 120_000, NetOut: 48_000, DiskIn: 0, DiskOut: 900_000,
			Disks:    []fleet.Disk{{Mount: "/", Source: "/dev/nvme0n1p2", Used: 120 << 30, Total: 480 << 30, Avail: 360 << 30}, {Mount: "/boot", Source: "/dev/nvme0n1p1", Used: 200 << 20, Total: 1 << 30, Avail: 800 << 20}},
			Pressure: map[string]float64{"cpu": 0.02, "memory": 0, "io": 0.01},
			Temps:    []fleet.Temperature{{Sensor: "coretemp Package id 0", Celsius: 47}},
		}, at, "/proc"),
		Alarms: fleet.Nothing[[]fleet.Alarm]("no monitoring that was recognised", at, "probe"),
	}
	st.Generations = fleet.Known([]fleet.Generation{
		{Number: gen - 2, Path: "/nix/var/nix/profiles/system-" + fmt.Sprint(gen-2) + "-link", Date: ago(age + 21*day), NixOSVersion: "26.05.20261002.1234567", Kernel: "6.18.7", BootEntry: new(bool)},
		{Number: gen - 1, Path: "/nix/var/nix/profiles/system-" + fmt.Sprint(gen-1) + "-link", Date: ago(age + 8*day), NixOSVersion: "26.05.20261020.89abcde", Kernel: "6.18.8", BootEntry: &yes},
		{Number: gen, Path: "/nix/var/nix/profiles/system-" + fmt.Sprint(gen) + "-link", Date: ago(age), NixOSVersion: "26.05.20261101.abcdef0", Kernel: "6.18.9", Revision: "4f2a9c1e77", Running: true, Default: true, Booted: true, BootEntry: &yes},
	}, at, "probe")
	for i := range 8 {
		st.Trend = append(st.Trend, math.Abs(cpu+0.1*math.Sin(float64(i))))
	}
	return st
}

func units() []fleet.Unit {
	return []fleet.Unit{
		{Name: "nginx.service", Load: "loaded", Active: "active", Sub: "running", Description: "Nginx Web Server", Type: "forking"},
		{Name: "sshd.service", Load: "loaded", Active: "active", Sub: "running", Description: "SSH Daemon"},
		{Name: "tailscaled.service", Load: "loaded", Active: "active", Sub: "running", Description: "Tailscale node agent"},
		{Name: "restic-backups-home.service", Load: "loaded", Active: "inactive", Sub: "dead", Description: "Restic backup of home", Result: "success", Type: "oneshot"},
	}
}

func job(name string, state fleet.BackupState, age time.Duration) fleet.BackupJob {
	return fleet.BackupJob{
		Name: name, Tool: "restic", Unit: "restic-backups-" + name + ".service", Timer: "restic-backups-" + name + ".timer", State: state,
		LastRun: ago(age), LastSuccess: ago(age), NewestSnapshot: ago(age), Snapshots: 42, Next: Now.Add(day - age%day), MaxAge: fleet.Seconds((26 * time.Hour).Seconds()),
		Sources: []string{"unit", "timer"}, Size: 3 << 30, Sizes: []fleet.SizeAt{{At: ago(age + 12*day), Size: 3<<30 - 200<<20}, {At: ago(age), Size: 3 << 30, Added: 17 << 20}},
	}
}

func storage() fleet.State {
	st := well(host("storage", 2, "tier1", "storage"), 142, 3*day, 0.31)
	us := units()
	us = append(us, fleet.Unit{Name: "podman-immich-ml.service", Load: "loaded", Active: "failed", Sub: "failed", Description: "Immich machine learning", Result: "exit-code", ExitStatus: 137, Restarts: 5, Type: "notify", Exited: ago(3 * time.Hour)})
	st.Units.Value = us
	st.Containers = fleet.Known(containers(), st.Units.At, "podman 5.8")
	for k := 11; k >= 0; k-- { // what they used while they were looked at, the newest last
		var list []fleet.ContainerStats
		for i, c := range st.Containers.Value {
			if c.Running() {
				list = append(list, reading(i, k, c.ID))
			}
		}
		st = st.Measured(list)
	}
	st.Backups.Value = []fleet.BackupJob{savedTo(job("home", fleet.BackupFresh, 9*time.Hour)), job("photos", fleet.BackupFresh, 5*time.Hour), job("postgres", fleet.BackupStale, 3*day), failedJob()}
	st.Metrics.Value.Disks = append(st.Metrics.Value.Disks, fleet.Disk{Mount: "/srv/media", Source: "tank/media", Used: 93 << 40, Total: 100 << 40, Avail: 7 << 40})
	st.Metrics.Source = "netdata v1.37"
	st.Alarms = fleet.Known([]fleet.Alarm{{Name: "disk_space_usage", Status: "WARNING", Value: "93%", Since: ago(26 * time.Hour), Info: "disk /srv/media space utilization"}}, st.Metrics.At, "netdata v1.37")
	return st
}

// reading is what the i-th container used k readings ago.
func reading(i, k int, id string) fleet.ContainerStats {
	moved := uint64((12-k)*(i*i+1)) * 90 << 10
	return fleet.ContainerStats{
		ID: id, CPU: 0.03 * float64(i+1) * (1 - 0.07*float64(k)), Memory: uint64(i+1) * 150 << 20, MemLimit: 2 << 30, PIDs: 12,
		NetIn: 120<<20 + moved, NetOut: 9 << 20, BlockIn: 30 << 20, BlockOut: moved / 7, At: Now.Add(-time.Duration(k) * 2 * time.Second),
	}
}

func failedJob() fleet.BackupJob {
	j := job("offsite", fleet.BackupFailed, 4*day)
	j.RestoreTest = &fleet.RestoreTest{At: ago(12 * day), Files: 19, Same: 17, Changed: 2, Bytes: 48 << 20}
	j.LastRun, j.Error = ago(7*time.Hour), "Fatal: unable to open repository at sftp:box:/backup: ssh exited with 255"
	return j
}

func containers() []fleet.Container {
	id := func(n int) string { return fmt.Sprintf("%064x", n) }
	n := func(i int) *int { return &i }
	make := func(i int, name, image string, port uint16) fleet.Container {
		return fleet.Container{
			Engine: "podman", User: "root", Name: name, ID: id(i), State: "running", Health: "healthy", Image: image, ImageAt: ago(time.Duration(i) * 9 * day),
			Unit: "podman-" + name + ".service", UnitSub: "active/running", Restarts: n(0), Created: ago(3 * day), Started: ago(3 * day),
			Ports: []fleet.Port{{HostIP: "127.0.0.1", Host: port, Container: port, Protocol: "tcp"}}, Networks: []string{"podman"},
		}
	}
	list := []fleet.Container{
		make(1, "caddy", "docker.io/library/caddy:2.10", 443), make(2, "immich-server", "ghcr.io/immich-app/immich-server:v2.3.1", 2283),
		make(3, "jellyfin", "docker.io/jellyfin/jellyfin:10.11", 8096), make(4, "postgres", "docker.io/library/postgres:18", 5432), make(5, "vaultwarden", "docker.io/vaultwarden/server:1.35", 8222),
	}
	list[2].Health, list[2].Restarts = "unhealthy", n(3)
	list[2].Check = &fleet.HealthRun{Start: ago(12 * time.Second), End: ago(11 * time.Second), ExitCode: 7, Output: "curl: (7) Failed to connect to localhost port 8096: Connection refused\n"}
	list[2].Digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	list[4].User, list[4].Health, list[4].Restarts = "vault", "", nil
	return append(list, fleet.Container{Engine: "podman", User: "root", Name: "immich-ml", State: fleet.Absent, Unit: "podman-immich-ml.service", UnitSub: "failed/failed"})
}

func router() fleet.State {
	st := well(host("router", 1, "tier1", "router"), 87, 30*day, 0.06)
	st.System.Value.RebootNeeded, st.System.Value.RebootWhy = true, []string{"kernel", "systemd"}
	st.System.Value.Booted = fleet.Toplevel{Path: "/nix/store/x85-nixos-system-router-26.05", Generation: 85}
	st.Reach.Value.Via, st.Reach.Value.Path, st.Reach.Value.Address = fleet.ViaLAN, "", "10.77.0.1:22"
	return st
}

func media() fleet.State {
	st := well(host("media-r2s", 3), 31, 12*day, 0.72)
	st.Reach.Value.Path = "relay"
	st.Containers.Err, st.Containers.None, st.Containers.ErrAt = "podman.sock: permission denied; add the user to the podman group", false, st.Units.At
	st.Containers.Value, st.Containers.At = containers()[:2], ago(26*time.Minute)
	return st
}

func laptop() fleet.State {
	st := well(host("laptop", 4), 210, 2*day, 0.2)
	for _, at := range []*time.Time{&st.Reach.At, &st.System.At, &st.Units.At, &st.Backups.At, &st.Metrics.At, &st.Generations.At} {
		*at = ago(19 * time.Hour)
	}
	st.Reach.Err, st.Reach.ErrAt = "no address answers: 100.64.0.4:22: no answer within 2s", ago(time.Minute)
	st.Reach.Cure = "is it switched on, and are you on its network? `tailscale status` tells"
	st.Host.Presence = fleet.Known(fleet.Presence{Online: false, LastSeen: ago(19 * time.Hour)}, ago(20*time.Second), "tailscaled")
	return st
}

func desk() fleet.State {
	st := well(host("desk", 5), 55, 5*time.Hour, 0.11)
	st.Host.Local = true
	st.Reach.Value = fleet.Reach{State: fleet.Up, Via: fleet.ViaLocal, User: "ada", Root: "sudo"}
	st.System.Value.Default = fleet.Toplevel{Path: "/nix/store/x56-nixos-system-desk-26.05", Generation: 56}
	st.System.Value.Unseen = []string{"units of other users: not root", "disk temperatures: smartctl needs root"}
	return st
}

func lab() fleet.State {
	st := fleet.State{Host: host("lab", 6), Asking: true}
	return st
}

func cloud() fleet.State {
	st := fleet.State{Host: host("cloud", 7, "vps")}
	st.Reach = fleet.Unknown[fleet.Reach](fleet.WithCure(errors.New("no way to log in was accepted: root@cloud refused [none publickey]"),
		"add a key that root has there to your agent (ssh-add), or name user and identity for this host in config.toml"), ago(time.Minute), "ssh")
	return st
}

// savedTo is a job with its repository: it is shared, and holds snapshots of a host
// that was renamed.
func savedTo(j fleet.BackupJob) fleet.BackupJob {
	j.Repo = &fleet.BackupRepo{
		ID: "cd1846095d9260cad0720c00c7696bea8ca508b3a4d080d94a34484afe2f6282", At: ago(20 * time.Minute), Snapshots: 51,
		Hosts: []fleet.RepoHost{{Name: "storage", Snapshots: 42, Newest: ago(9 * time.Hour)}, {Name: "attic", Snapshots: 9, Newest: ago(400 * day)}},
		Check: fleet.Upkeep{Since: ago(41 * day)}, Prune: fleet.Upkeep{At: ago(9 * day), OK: true, By: "restic-backups-home-prune.service", Since: ago(41 * day)},
	}
	return j
}
