package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// oddity is a unit that is not as others are: how it comes to be there, by the host
// and the unit.
type oddity struct {
	gone   bool // its file went with an older system, and it runs
	hand   bool // it was started by hand
	masked bool
	idle   bool // it is wanted, and does not run
}

// oddities are those of hosts that have a registry.
var oddities = map[string]map[string]oddity{
	"storage": {"photoprism.service": {idle: true}, "run-transcode.service": {hand: true}},
	"cloud":   {"gotify.service": {gone: true}, "searx.service": {masked: true}},
}

// extraEntries are services of registries that no container is.
var extraEntries = map[string][]string{
	"storage": {`"miniflux":{"listenPort":8080,"exposePort":18080,"portMapping":"18080:8080"}`, `"photoprism":{"listenPort":2342,"exposePort":2342,"portMapping":null}`},
	"cloud":   {`"searx":{"listenPort":8888,"exposePort":null,"portMapping":null}`},
}

// tellDeclared plays fleet/services/declared.sh: the registry, the units of the system
// that runs, and what systemd and Podman tell of them.
func tellDeclared(c Call) int {
	m, mark := c.machine(), c.arg(1)
	begin := func(name string) { fmt.Fprintf(c.Stdout, "\n%s %s\n", mark, name) }
	line := func(format string, args ...any) { fmt.Fprintf(c.Stdout, format+"\n", args...) }
	registry := ""
	if slices.Contains(m.files, "/etc/services.json") {
		registry = m.services()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	begin("toplevel")
	if !c.fault().NotNixOS {
		line("%s", m.path(m.generation(m.running)))
		begin("age")
		line("%d", int(m.generation(m.running).age.Seconds()))
	}
	begin("uptime")
	line("%d", m.uptimeAt(c.now()))
	if c.fault().Hostile {
		registry = `{"` + strings.Repeat("x", 300) + `\u001b[2J":{"listenPort":"8080","exposePort":1e9}}`
	}
	if registry != "" {
		begin("registry")
		line("%s", registry)
	}
	if c.fault().NoSystemd {
		begin("no-systemd")
		begin("end")
		return 0
	}
	units := m.sorted()
	if !c.fault().NotNixOS {
		begin("modules")
		for _, u := range units {
			if o := oddities[m.name][u.name]; !o.gone && !o.hand {
				line("%s\t/nix/store/%s-unit-%s/%s", u.name, storeHash(m.seed, u.name), u.name, u.name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(oddities[m.name])) {
			if oddities[m.name][name].masked {
				line("%s\t/dev/null", name)
			}
		}
		begin("wants")
		for _, u := range units {
			if u.file == "enabled" && !oddities[m.name][u.name].gone {
				line("multi-user.target.wants/%s", u.name)
			}
		}
	}
	begin("etc")
	for _, u := range units {
		if o := oddities[m.name][u.name]; !o.gone && !o.hand {
			line("%s\t../units/%s", u.name, u.name)
		}
	}
	begin("quadlets")
	begin("show")
	line("Id=multi-user.target\nLoadState=loaded\nActiveState=active\nSubState=active\n")
	for _, u := range units {
		if u.active == "inactive" && u.file != "enabled" && u.timer == "" {
			continue // nothing wants it, and nothing starts it: systemd does not have it in mind
		}
		line("%s%s", u.show(m.seed, nil), u.fragment(m.name, c.fault().NotNixOS))
		if u.timer != "" {
			active, sub := u.waits()
			line("%s", strings.Replace(u.showTimer(), "ActiveState=active\nSubState=waiting\n", "ActiveState="+active+"\nSubState="+sub+"\n", 1))
		}
	}
	begin("shown")
	m.tellMounts(c, begin, line)
	begin("end")
	return 0
}

// fragment is what systemctl tells of a unit's file.
func (u *unit) fragment(host string, debian bool) string {
	o := oddities[host][u.name]
	file, load := "/etc/systemd/system/"+u.name, ""
	switch {
	case o.gone:
		file, load = "", "LoadState=not-found\n"
	case o.hand:
		file = "/run/systemd/transient/" + u.name
	case debian:
		file = "/lib/systemd/system/" + u.name
	}
	state := ""
	if u.box == nil && u.kind == "notify" && strings.HasSuffix(u.name, "sql.service") {
		state = "StateDirectory=" + strings.TrimSuffix(u.name, ".service") + "\n"
	}
	return fmt.Sprintf("Names=%s\nRestart=%s\nFragmentPath=%s\n%s%sConditionResult=yes\nConditionTimestamp=\nJob=\n", u.name, "on-failure", file, load, state)
}

// tellMounts prints what containers mount, as podman inspect does.
func (m *machine) tellMounts(c Call, begin func(string), line func(string, ...any)) {
	if c.uid() != 0 || !slices.Contains(m.programs, "podman") || c.fault().NoPodman {
		return
	}
	begin("mounts podman")
	for _, b := range m.boxes {
		if b.gone || c.fault().Hostile {
			continue
		}
		mounts := []string{b.name, "bind /var/lib/" + b.name, "bind /etc/localtime"}
		for _, v := range b.volumes {
			mounts = append(mounts, "volume /var/lib/containers/storage/volumes/"+v+"/_data")
		}
		line("%s", strings.Join(mounts, "\t"))
	}
	begin("mounted podman")
}

// saves are the paths that a backup saves.
func (b backup) saves(host string) []string {
	paths := []string{"/var/lib/" + b.name}
	for _, s := range map[string][]string{
		"storage/photos":    {"immich-server", "photoprism"},
		"storage/documents": {"paperless", "nextcloud", "nextcloud-db", "home-assistant", "postgresql"},
		"cloud/state":       {"authelia", "lldap", "dex", "vaultwarden"},
		"vault/secrets":     {"openbao", "step-ca", "postgresql"},
	}[host+"/"+b.name] {
		paths = append(paths, "/var/lib/"+s)
	}
	return paths
}

// odd adds the units that are not as others are.
func (m *machine) odd() {
	for _, name := range slices.Sorted(maps.Keys(oddities[m.name])) {
		o := oddities[m.name][name]
		if o.masked {
			continue
		}
		m.daemons(strings.TrimSuffix(name, ".service"), strings.TrimSuffix(name, ".service"))
		if u := m.unit(name); o.idle {
			u.active, u.sub, u.started = "inactive", "dead", time.Time{}
		}
	}
}
