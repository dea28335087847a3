package probe

import (
	"cmp"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// takeUsers takes over what was told last of the users' own systemds and
// containers: the host says that it is the same.
func (s sections) takeUsers(last sections) {
	for name, text := range last {
		if name == "users" || name == "rootless" || strings.HasPrefix(name, "units:") || strings.HasPrefix(name, "details:") {
			s[name] = text
		}
	}
}

// usersPatience is how long ago the users' systemds were asked, as patience is
// of the system's.
func usersPatience(s sections) time.Duration {
	return time.Duration(min(count(s.lines("same-users"), 0), 3600)) * time.Second
}

// userUnits reads the units of the users' own systemds: user ID and name, and
// for each a section of units and one of details.
func userUnits(s sections) []fleet.Unit {
	var out []fleet.Unit
	for _, f := range s.fields("users", 2) {
		units, _ := Units(s["units:"+f[0]], s["details:"+f[0]])
		name := fleet.Clean(f[1])
		if name == "UNKNOWN" { // so stat calls whom /etc/passwd does not
			name = fleet.Clean(f[0])
		}
		for i := range units {
			units[i].User = name
		}
		out = append(out, units...)
	}
	return out
}

// rootless reads who has containers of Podman's of their own: name, home, and
// the folder of the session.
func rootless(s sections) []fleet.Rootless {
	var out []fleet.Rootless
	for _, f := range s.fields("rootless", 3) {
		out = append(out, fleet.Rootless{User: cmp.Or(fleet.Clean(f[0]), "?"), Home: fleet.Clean(f[1]), Runtime: fleet.Clean(f[2])})
	}
	return out
}
