package podman

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// place is where an engine listens, as the probe saw it.
type place struct {
	kind, user, path string
	seen             bool // by the probe; else a guess
	open             bool // the login user may use it
	login            string
	programs         map[string]string // name → path on the host
	lent             *fleet.Rootless   // whose Podman listens nowhere, and is asked to, for us; see lend
}

// places are the engines' sockets among those the probe saw. A socket named
// after Docker that is a link to Podman's (dockerSocket.enable) is the same one.
func places(state fleet.State) []place {
	inv := state.Inventory.Value
	var out []place
	for _, s := range inv.Sockets {
		p := place{
			path: text(cmp.Or(s.Real, s.Path)), user: text(s.Owner),
			seen: true, open: s.Open, login: state.Reach.Value.User, programs: inv.Programs,
		}
		switch path.Base(p.path) {
		case "podman.sock":
			p.kind = kindPodman
		case "docker.sock":
			p.kind = kindDocker
		default:
			continue
		}
		if uid, ok := strings.CutPrefix(p.path, "/run/user/"); !ok {
			p.user = rootUser
		} else if p.user == "" {
			p.user, _, _ = strings.Cut(uid, "/")
		}
		same := func(o place) bool { return o.path == p.path }
		if strings.HasPrefix(p.path, "/") && !slices.ContainsFunc(out, same) {
			out = append(out, p)
		}
	}
	return append(out, unlistening(state, out)...)
}

// unlistening are the Podmans of those users who have containers but no socket
// among these.
func unlistening(state fleet.State, at []place) []place {
	inv := state.Inventory.Value
	var out []place
	for _, u := range inv.Rootless {
		p := place{
			kind: kindPodman, user: text(u.User), path: text(cmp.Or(u.Runtime, u.Home)) + "/podman/podman.sock",
			seen: true, login: state.Reach.Value.User, programs: inv.Programs, lent: &u,
		}
		if !slices.ContainsFunc(at, func(o place) bool { return o.kind == kindPodman && (o.user == p.user || o.path == p.path) }) {
			out = append(out, p)
		}
	}
	return out
}

// command is the program on the host that lends us a socket which the login
// user cannot open, or which sshd does not forward.
func (p place) command() link.Command {
	program := cmp.Or(p.programs[p.kind], p.kind)
	if p.lent != nil {
		cmd := link.Script(lend, program, p.lent.Home, p.lent.Runtime)
		cmd.User = p.user
		return cmd
	}
	flag := "--url"
	if p.kind == kindDocker {
		flag = "--host"
	}
	return link.Command{Args: []string{program, flag, "unix://" + p.path, "system", "dial-stdio"}, Root: true}
}
