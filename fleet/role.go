package fleet

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Role is what a host is for in the fleet. What others lose with it, in which order
// hosts are changed, and whether it may be switched off follow from that.
type Role string

// Roles. RoleNone is said by the configuration of a host that has none, whatever its
// name or what runs there; a host of which nothing is known has "".
const (
	RoleRouter  Role = "router"
	RoleStorage Role = "storage"
	RoleCloud   Role = "cloud"
	RoleEdge    Role = "edge"
	RoleDesktop Role = "desktop"
	RoleNone    Role = "none"
)

// Roles are all roles, those on which most depends first. A host without one stands
// before those of edge.
var Roles = []Role{RoleRouter, RoleStorage, RoleCloud, RoleEdge, RoleDesktop}

// roleWords are what people tag and name such hosts with.
var roleWords = map[string]Role{
	"router": RoleRouter, "gateway": RoleRouter,
	"storage": RoleStorage, "nas": RoleStorage,
	"cloud": RoleCloud, "vps": RoleCloud,
	"edge":    RoleEdge,
	"desktop": RoleDesktop, "laptop": RoleDesktop, "workstation": RoleDesktop,
}

// RoleNamed is the role that a tag or a host's own name says, "" where it says none.
func RoleNamed(word string) Role { return roleWords[strings.ToLower(strings.TrimPrefix(word, "tag:"))] }

var tierWord = regexp.MustCompile(`^tier[-_]?[0-9]+$`)

// TierNamed is the tier that a tag says, "" where it says none.
func TierNamed(tag string) string {
	tag = strings.ToLower(strings.TrimPrefix(tag, "tag:"))
	if !tierWord.MatchString(tag) {
		return ""
	}
	return tag
}

// CompareTiers orders tiers: tier2 before tier10, and a host of none after all.
func CompareTiers(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(b, a) // "" is the least of all texts
	}
	wa, na := numbered(a)
	wb, nb := numbered(b)
	return cmp.Or(cmp.Compare(wa, wb), cmp.Compare(na, nb), cmp.Compare(a, b))
}

// numbered parts a text from the number at its end.
func numbered(s string) (word string, n int) {
	word = strings.TrimRight(s, "0123456789")
	n, _ = strconv.Atoi(s[len(word):])
	return strings.TrimRight(word, "-_"), n
}

// Weight is how much depends on hosts of the role: 0 for those on which most does.
func (r Role) Weight() int {
	i := slices.Index(Roles, r)
	none := slices.Index(Roles, RoleEdge)
	switch {
	case i < 0:
		return none
	case i >= none:
		return i + 1
	}
	return i
}

// Told gives the host the role and the tier that its tags say, or its name, where
// nothing said one before.
func (h Host) Told() Host {
	for _, t := range h.Tags {
		if r := RoleNamed(t); r != "" && h.Role == "" {
			h.Role, h.RoleFrom = r, "tag "+t
		}
		if tier := TierNamed(t); tier != "" && h.Tier == "" {
			h.Tier, h.TierFrom = tier, "tag "+t
		}
	}
	if r := RoleNamed(h.Name); r != "" && h.Role == "" {
		h.Role, h.RoleFrom = r, "its name"
	}
	return h
}

// Who tells a role or a tier, as RoleFrom and TierFrom have it.
const (
	ByConfig = "configuration"
	ByFlake  = "the flake's tiers"
)

// knew takes over the tier that a flake told before, where it was not asked this time:
// that takes seconds.
func (h Host) knew(before Host) Host {
	if h.Tier == "" && before.TierFrom == ByFlake && !slices.Contains(h.Sources, "flake") {
		h.Tier, h.TierFrom = before.Tier, before.TierFrom
	}
	return h
}

// Role is what the host is for, and where that is known from: what the configuration,
// a tag or its name says, else what runs there. "" is not known, or none.
func (s State) Role() (role Role, from string) {
	switch s.Host.Role {
	case RoleNone:
		return "", s.Host.RoleFrom
	case "":
		return s.worksAs()
	}
	return s.Host.Role, s.Host.RoleFrom
}

// Placed is the host with the role that is known of it, also where that is only known
// by what runs there.
func (s State) Placed() Host {
	h := s.Host
	h.Role, h.RoleFrom = s.Role()
	return h
}

// Sleeps tells whether the host is one that its person switches off: the tailnet says
// that it is offline, and it does not answer. One whose key has expired is not asleep
// but locked out.
func (s State) Sleeps() bool {
	if !s.Host.Offline() || s.Host.Presence.Value.Expired || s.Reach.Err == "" || s.Reach.Err == Remembered {
		return false
	}
	role, _ := s.Role()
	return role == RoleDesktop
}

// work is what hosts of a role run.
type work struct {
	role  Role
	units []string
}

// works are units that tell what a host is for, as patterns; the first role that fits
// counts. Caddy and its likes tell it only of a host with an address of the internet.
var works = []work{
	{RoleRouter, []string{"kea-dhcp4-server.service", "hostapd.service", "radvd.service", "corerad.service", "miniupnpd.service", "pppd-*.service"}},
	{RoleDesktop, []string{"display-manager.service", "greetd.service"}},
	{RoleStorage, []string{"nfs-server.service", "samba-smbd.service", "restic-rest-server.service", "minio.service", "garage.service"}},
	{RoleCloud, []string{"caddy.service", "nginx.service", "traefik.service", "haproxy.service"}},
}

// TellsRole tells whether the unit, where it runs, says what its host is for.
func (u Unit) TellsRole() bool {
	return u.User == "" && u.Active == "active" && slices.ContainsFunc(works, func(w work) bool { return matchesAny(w.units, u.Name) })
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
}

// Sizes that tell what a host is for, in bytes.
const (
	muchDisk    = 1e12
	smallMemory = 4 << 30
)

// worksAs is what the host is for by what runs there. Old facts do: what a host is
// for does not change while it is away.
func (s State) worksAs() (Role, string) {
	for _, w := range works {
		if w.role == RoleStorage { // what is left by routers and desktops, with much room
			if m, ok := s.muchRoom(); ok {
				return RoleStorage, "its " + m.Type + " at " + m.Mount
			}
		}
		if w.role == RoleCloud && !s.public() {
			continue
		}
		for _, u := range s.Units.Value {
			if u.TellsRole() && matchesAny(w.units, u.Name) {
				return w.role, "its " + u.Name
			}
		}
		if w.role == RoleRouter && s.givesLeases() {
			return RoleRouter, "its dnsmasq gives leases"
		}
	}
	if arm := s.System.Value.Arch; (arm == "aarch64" || strings.HasPrefix(arm, "armv")) && s.Metrics.HasValue() && s.Metrics.Value.Memory.Total > 0 && s.Metrics.Value.Memory.Total <= smallMemory {
		return RoleEdge, "a small " + arm
	}
	return "", ""
}

// muchRoom is a file system of those that people keep their data on, and large.
func (s State) muchRoom() (Disk, bool) {
	for _, d := range s.Metrics.Value.Disks {
		if (d.Type == "zfs" || d.Type == "btrfs") && float64(d.Total) >= muchDisk {
			return d, true
		}
	}
	return Disk{}, false
}

// givesLeases tells whether a dnsmasq of its own answers DHCP: those of libvirt and
// Podman run in other units.
func (s State) givesLeases() bool {
	return slices.ContainsFunc(s.ListensOf("dnsmasq.service", ""), func(l Listener) bool { return l.Proto == "udp" && l.Port == 67 })
}

// public tells whether the host is reached at an address of the internet.
func (s State) public() bool {
	return slices.ContainsFunc(s.Host.Addresses, func(a Address) bool { return publicAddress(a.Host) })
}

// publicAddress tells whether an address is one of the internet: none of a home, of a
// provider's own network or of a tailnet (RFC 1918, 6598, 4193), nor a name.
func publicAddress(addr string) bool {
	if first, _, v6 := strings.Cut(addr, ":"); v6 {
		return len(first) == 4 && (first[0] == '2' || first[0] == '3')
	}
	var o []int
	for part := range strings.SplitSeq(addr, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 255 {
			return false
		}
		o = append(o, n)
	}
	if len(o) != 4 {
		return false
	}
	switch first, second := o[0], o[1]; {
	case first == 0, first == 10, first == 127, first >= 224:
		return false
	case first == 100 && second >= 64 && second < 128, first == 172 && second >= 16 && second < 32:
		return false
	case first == 192 && second == 168, first == 169 && second == 254:
		return false
	}
	return true
}
