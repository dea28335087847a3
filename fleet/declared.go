package fleet

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Declared is what the modules of a host say should be there: its registry of services
// and the units of the system that runs, with how systemd stands to them. It is read
// in one go, so that the one fits the other.
type Declared struct {
	Toplevel string              `json:"toplevel"` // the system that runs; "" it is not NixOS
	Settled  bool                `json:"settled"`  // boot and switch are long enough ago for all to be up that should be
	Why      string              `json:"why,omitempty"`
	Registry Registry            `json:"registry"`
	Units    []DeclaredUnit      `json:"units"`            // services, by name
	Data     map[string][]string `json:"data,omitempty"`   // folders and volumes that the system's containers mount, by the containers' names; a container that mounts none has none
	Unseen   []string            `json:"unseen,omitempty"` // what could not be seen, or was left out, and why

	runs *runningNames // of the units, where it is judged by them
}

// runningNames are the units that run, by what they are called: by their stems without
// an instance, and by their other names.
type runningNames struct {
	once   sync.Once
	byName map[string][]string
}

// Registry is /etc/services.json, {"NAME":{"listenPort","exposePort","portMapping"}}.
type Registry struct {
	There   bool            `json:"there"`
	Err     string          `json:"error,omitempty"` // it is there, and why it could not be read
	Entries []RegistryEntry `json:"entries,omitempty"`
}

// RegistryEntry is a service of the registry.
type RegistryEntry struct {
	Name  string   `json:"name"`
	Ports []uint16 `json:"ports,omitempty"` // of the host, and of no other entry: exposePort and those that are mapped, listenPort where there are none
	Unit  string   `json:"unit,omitempty"`  // the unit that has its name
}

// Origin is where a unit comes from.
type Origin string

// Origins of units.
const (
	FromModules   Origin = "modules"   // the system that runs has it
	FromQuadlet   Origin = "quadlet"   // a quadlet of the system's
	FromPackage   Origin = "package"   // /usr/lib, of a system that is not NixOS
	FromHand      Origin = "hand"      // /etc or /run, and not of the system
	FromTransient Origin = "transient" // systemd-run and the like
	FromNowhere   Origin = "nowhere"   // it runs, and its file is gone
	FromGenerator Origin = "generator" // made of something else at boot
)

// DeclaredUnit is a service of systemd.
type DeclaredUnit struct {
	Name     string   `json:"unit"`
	Names    []string `json:"names,omitempty"` // under which it is known too
	Origin   Origin   `json:"origin"`
	File     string   `json:"file,omitempty"`     // where it comes from
	WantedBy []string `json:"wantedBy,omitempty"` // active units that want or require it, by the system that runs
	Masked   bool     `json:"masked,omitempty"`
	Active   string   `json:"active"` // "" systemd has not loaded it
	Sub      string   `json:"sub,omitempty"`
	Result   string   `json:"result,omitempty"`
	Type     string   `json:"type,omitempty"`
	Restart  string   `json:"restart,omitempty"`
	Stays    bool     `json:"stays,omitempty"`     // RemainAfterExit: it is held active when its process has ended
	Ran      bool     `json:"ran,omitempty"`       // its main process was started since boot
	Starters []string `json:"startedBy,omitempty"` // timers, sockets and paths that start it
	Idle     []string `json:"idle,omitempty"`      // and of those, what is not active and so starts nothing
	Skipped  bool     `json:"skipped,omitempty"`   // its conditions were not met
	Job      bool     `json:"job,omitempty"`       // systemd is about to start or stop it
	State    []string `json:"state,omitempty"`     // StateDirectory

	stopped bool // it ran when this was read, and did not a moment later
}

// Template tells whether the unit is one of which only instances run.
func (u DeclaredUnit) Template() bool { return strings.Contains(u.Name, "@.") }

// Runs tells whether the unit does something now, or is held active.
func (u DeclaredUnit) Runs() bool { return u.Active == "active" || u.Active == "reloading" }

// Declares tells whether the unit is of the host's modules.
func (u DeclaredUnit) Declares() bool {
	return u.Origin == FromModules || u.Origin == FromQuadlet || u.Origin == FromPackage || u.Origin == FromGenerator
}

// Awaits tells whether something that is active starts the unit when it is needed.
func (u DeclaredUnit) Awaits() bool { return len(u.Starters) > len(u.Idle) }

// platform are units that NixOS and systemd bring to every host, by the beginnings of
// their names: they are no services of the fleet, unless a registry or a proxy names
// them.
var platform = regexp.MustCompile(`^(systemd-|getty@|serial-getty@|autovt@|console-getty|container-getty@|user@|user-runtime-dir@|dbus|nix-daemon|nix-gc|nix-optimise|nscd|nsncd|polkit|rtkit-|NetworkManager|network-|networking|dhcpcd|wpa_supplicant|iwd|resolvconf|sshd|ssh\.|ssh@|tailscaled|avahi-daemon|docker\.|podman\.|containerd|cron\.|acpid|upower|udisks2|bluetooth|display-manager|accounts-daemon|logrotate|firewall|nftables|modprobe@|kmod|lvm2|mdmonitor|zfs-|rpcbind|irqbalance|thermald|fwupd|power-profiles|audit|emergency|rescue|initrd-|suid-sgid|growpart|reload-|nixos-|sextant-|lab-init|ModemManager|rsyslog|unattended-|apt-|e2scrub|keyboard-setup|console-setup|kbd|ifup@)`)

// stem is a unit's name as people call the service: without its kind, and without the
// engine in front of a container's.
func stem(unit string) string {
	name := strings.TrimSuffix(unit, ".service")
	for _, engine := range []string{"podman-", "docker-"} {
		if rest, ok := strings.CutPrefix(name, engine); ok && rest != "" {
			return rest
		}
	}
	return name
}

// EntryUnits are the units that a registry's entry may be, by its name: of containers'
// engines, its own, and machines.
func EntryUnits(name string) []string {
	var units []string
	for _, before := range []string{"podman-", "docker-", "", "container@", "microvm@", "vm@"} {
		units = append(units, before+name+".service")
	}
	return units
}

// missing tells whether a unit should run and does not, as far as its host tells by
// itself: it is wanted by the system that runs, it is one that stays, and nothing else
// starts it. unsure is why that cannot be told.
func (d Declared) missing(u DeclaredUnit) (is bool, unsure string) {
	switch {
	case u.Runs(), u.Active == "failed", u.Active != "inactive" && u.Active != "": // failed units are told as such
		return false, ""
	case u.Masked, u.Template(), u.Skipped, len(u.WantedBy) == 0, u.Awaits(), !u.Declares():
		return false, ""
	case u.Active == "":
		return false, "systemd does not tell of it"
	case u.Type == "oneshot" && !u.Stays && u.Ran:
		return false, ""
	case u.Type == "oneshot" && !u.Stays:
		return false, "it was not seen to run since boot"
	case u.Job:
		return false, "systemd is about to start it"
	case u.stopped:
		return false, "it stopped since its host was asked: perhaps to be started again"
	case !d.Settled:
		return false, d.Why
	}
	if other, ok := d.instead(u); ok {
		return false, other + " runs, which may be it under another name"
	}
	if u.Ran && u.Result == "success" && !slices.Contains(stays, u.Type) && !slices.Contains(returns, u.Restart) && !u.Stays && stem(u.Name)+".service" == u.Name {
		return false, "it ended well or was stopped, and its unit does not say that it stays"
	}
	return true, ""
}

// stays are types of services that do not end by themselves, and returns are how those
// are started again that do not end by themselves for long.
var (
	stays   = []string{"notify", "notify-reload", "forking", "dbus"}
	returns = []string{"always", "on-success"}
)

// instead gives a unit that runs and has the name that another is called by: another
// engine's, an instance, or without the engine in front.
func (d Declared) instead(u DeclaredUnit) (string, bool) {
	r := d.runs
	if r == nil {
		r = &runningNames{}
	}
	r.once.Do(func() {
		r.byName = map[string][]string{}
		for _, o := range d.Units {
			if !o.Runs() {
				continue
			}
			base, _, _ := strings.Cut(stem(o.Name), "@")
			for _, name := range append([]string{base}, o.Names...) {
				r.byName[name] = append(r.byName[name], o.Name)
			}
		}
	})
	for _, name := range []string{stem(u.Name), u.Name} {
		for _, other := range r.byName[name] {
			if other != u.Name {
				return other, true
			}
		}
	}
	return "", false
}

// Unit finds a unit by a name of it.
func (d Declared) Unit(name string) (DeclaredUnit, bool) {
	for _, u := range d.Units {
		if u.Name == name {
			return u, true
		}
	}
	for _, u := range d.Units {
		if slices.Contains(u.Names, name) {
			return u, true
		}
	}
	return DeclaredUnit{}, false
}

// Brief is what of it a first look needs: without the units that every host has, and
// without those that neither run nor should.
func (d Declared) Brief() Declared {
	listed := map[string]bool{}
	for _, e := range d.Registry.Entries {
		listed[e.Unit] = true
	}
	d.Units = slices.DeleteFunc(slices.Clone(d.Units), func(u DeclaredUnit) bool {
		return !listed[u.Name] && (platform.MatchString(u.Name) || !u.Runs() && u.Active != "failed" && len(u.WantedBy) == 0)
	})
	return d
}

// declared are the units of the host with how the newest reading of them stands, where
// that is newer; why is why they cannot be judged by.
func (s State) declared(now time.Time) (d Declared, why string) {
	if d, why = s.told(now); why == "" && s.Units.Current() && s.Units.At.After(s.Declared.At) {
		d.Units, d.runs = renewed(d.Units, s.Units.Value), &runningNames{}
	}
	return d, why
}

// told is as declared, as it was read.
func (s State) told(now time.Time) (d Declared, why string) {
	f := s.Declared
	switch {
	case f.None:
		return f.Value, f.Err
	case !f.Asked():
		return f.Value, "its units and registry were not read yet"
	case !f.Usable(now):
		return f.Value, f.Err
	}
	d = f.Value
	d.runs = &runningNames{}
	if s.System.Current() && d.Toplevel != "" && s.System.Value.Running.Path != "" && s.System.Value.Running.Path != d.Toplevel {
		return d, "the host has switched to another system since its units were read"
	}
	if s.System.Current() && s.System.Value.Manager != "none" && s.System.Value.Uptime < justUp {
		d.Settled, d.Why = false, "it was booted just now"
	}
	return d, ""
}

// justUp is for how long after its boot, or after a switch, not all that should run on
// a host needs to.
const justUp Seconds = 180

// renewed are units as a newer, shorter reading has them.
func renewed(list []DeclaredUnit, newer []Unit) []DeclaredUnit {
	byName := map[string]Unit{}
	for _, u := range newer {
		if u.User == "" {
			byName[u.Name] = u
		}
	}
	list = slices.Clone(list)
	for i := range list {
		u := &list[i]
		n, ok := byName[u.Name]
		if !ok && u.Runs() {
			n, ok = Unit{Active: "inactive", Sub: "dead", Result: u.Result}, true
		}
		if ok {
			u.stopped = u.Runs() && n.Active == "inactive"
			u.Active, u.Sub, u.Result = n.Active, n.Sub, cmp.Or(n.Result, u.Result)
			u.Ran = u.Ran || !n.Started.IsZero()
		}
	}
	return list
}

// missingProblems are the units that are declared and wanted, and do not run.
func (s State) missingProblems(now time.Time, b *bench) {
	d, why := s.told(now)
	if why == "" && d.Registry.Err != "" {
		b.add(Object{Kind: KindService, Name: "registry"}, SeverityUnknown, time.Time{}, "registry unknown: /etc/services.json: %s", d.Registry.Err)
	}
	if why != "" || s.underWay() {
		return
	}
	defer s.unlistedProblems(now, d, b)
	if !slices.ContainsFunc(d.Units, func(u DeclaredUnit) bool { return first(d.missing(u)) }) {
		return // so it is nearly always: the newer reading can only say that it runs
	}
	d, _ = s.declared(now)
	n := 0
	for _, u := range d.Units {
		if is, _ := d.missing(u); !is || platform.MatchString(u.Name) || s.runsAnyway(u) {
			continue
		}
		if n++; n > maxMissing {
			continue
		}
		p := b.add(Object{Kind: KindUnit, Name: u.Name}, SeverityWarn, time.Time{}, "declared and missing: %s, wanted by %s", u.Name, strings.Join(u.WantedBy, ", "))
		p.Cure = "sextant unit start " + s.Host.Name + " " + u.Name
	}
	moreMissing(b, "units", n)
}

// maxMissing is how many units, and how many entries of the registry, are told one by
// one as missing.
const maxMissing = 50

// moreMissing tells that there are more.
func moreMissing(b *bench, what string, n int) {
	if n > maxMissing {
		b.add(Object{Kind: KindService, Name: "missing/" + strings.Fields(what)[0]}, SeverityWarn, time.Time{}, "declared and missing: %d more %s", n-maxMissing, what)
	}
}

// unlistedProblems are the services of the registry of which the host has nothing.
func (s State) unlistedProblems(now time.Time, d Declared, b *bench) {
	if !d.Settled || !s.Listens.Usable(now) || !s.Containers.None && !s.Containers.Usable(now) {
		return
	}
	n := 0
	defer func() { moreMissing(b, "services of the registry", n) }()
	for _, e := range d.Registry.Entries {
		if e.Unit != "" || len(e.Ports) == 0 || s.anybody(e) {
			continue
		}
		if n++; n <= maxMissing {
			b.add(Object{Kind: KindService, Name: "registry/" + e.Name}, SeverityWarn, time.Time{},
				"declared and missing: %s is in the registry, no unit and no container has its name, and nobody listens at %s", e.Name, portList(e.Ports)).Cure =
				"enable it in the modules of " + s.Host.Name + ", or take it out of its registry"
		}
	}
}

// anybody tells whether a container or a unit has the name of a registry's entry, or
// somebody has one of its ports.
func (s State) anybody(e RegistryEntry) bool {
	units := EntryUnits(e.Name)
	return slices.ContainsFunc(s.Containers.Value, func(c Container) bool { return c.Name == e.Name }) ||
		slices.ContainsFunc(s.Units.Value, func(u Unit) bool { return u.User == "" && slices.Contains(units, u.Name) }) ||
		slices.ContainsFunc(e.Ports, func(p uint16) bool { return s.whoAt(p) != "" })
}

// whoAt is who has a port of the host, of whatever protocol: who listens there, whose
// it is published for, or where what arrives is sent on to; "" nobody is seen.
func (s State) whoAt(port uint16) string {
	for _, l := range s.Listens.Value {
		if l.Port == port {
			return cmp.Or(l.Unit, l.Process, "somebody") + " listens"
		}
	}
	for _, c := range s.Containers.Value {
		if slices.ContainsFunc(c.Ports, func(p Port) bool { return port >= p.Host && port-p.Host < max(p.Range, 1) }) {
			return "container " + c.Name + " listens"
		}
	}
	for _, f := range s.Firewall.Value.Sent {
		if f.Port == port {
			return f.To + " is what it is sent on to"
		}
	}
	return ""
}

// runsAnyway tells whether a container that a unit should run does, without it.
func (s State) runsAnyway(u DeclaredUnit) bool {
	return slices.ContainsFunc(s.Containers.Value, func(c Container) bool {
		return c.Running() && !c.UserUnit && (c.Unit == u.Name || c.Name == stem(u.Name))
	})
}
