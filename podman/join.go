package podman

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Join tells which unit owns each container and how that is, and adds the
// containers that are missing: with --rm, as NixOS' oci-containers and most
// quadlets run theirs, a container that ends is gone from the engine, and only
// its unit tells that it should be there. These have the state
// [fleet.Absent].
//
// The list may be one that was joined before, with older units, and it may
// lack the containers of an engine that could not be read: a container is only
// called absent when its unit does not run either. Units that were not read
// tell nothing: the list stays as it is. The given list is not changed.
func Join(raw []fleet.Container, units fleet.Fact[[]fleet.Unit]) []fleet.Container {
	if !units.HasValue() {
		return slices.Clone(raw)
	}
	out := slices.DeleteFunc(slices.Clone(raw), func(c fleet.Container) bool { return c.State == fleet.Absent })
	at := make(map[unitKey]fleet.Unit, len(units.Value))
	for _, u := range units.Value {
		at[unitKey{u.User, u.Name}] = u
	}
	owned := map[unitKey]bool{} // units that have a container
	own(out, at, owned, ofRoot)
	own(out, at, owned, func(c fleet.Container) bool { return !ofRoot(c) })
	for _, u := range units.Value {
		if o, ok := ownerOf(u); ok && !owned[unitKey{u.User, u.Name}] && missed(u, o) {
			out = append(out, absent(u, o))
		}
	}
	sortContainers(out)
	return out
}

// unitKey names a unit of a host: whose systemd, "" the system's, and its name.
type unitKey struct{ user, name string }

// ofRoot tells whether a container is of one of the system's engines.
func ofRoot(c fleet.Container) bool { return c.User == rootUser || c.User == "" }

// own joins those containers that mine selects. Root's come first: of a unit
// of the system that both seem to belong to, the user's container is not the
// one, it has a unit of the same name in the user's own systemd.
func own(list []fleet.Container, units map[unitKey]fleet.Unit, owned map[unitKey]bool, mine func(fleet.Container) bool) {
	taken := map[unitKey]bool{}
	for i, c := range list {
		if !mine(c) {
			continue
		}
		list[i].UnitSub, list[i].UnitResult = "", ""
		u, ok := unitFor(c, units)
		key := unitKey{u.User, u.Name}
		if !ok || owned[key] {
			continue // none, or a unit of the user's own, which is not among these
		}
		taken[key] = true
		list[i] = withUnit(c, u)
	}
	for key := range taken { // one unit may have several: a pod, or `podman kube play`
		owned[key] = true
	}
}

// unitFor finds the unit that owns a container: in its user's own systemd, else
// in the system's, which may run a user's container too (User=).
func unitFor(c fleet.Container, units map[unitKey]fleet.Unit) (fleet.Unit, bool) {
	if c.User != "" {
		if u, ok := unitOfManager(c, units, c.User); ok {
			return u, true
		}
	}
	return unitOfManager(c, units, "")
}

// unitOfManager finds the unit of one systemd that owns a container: the one its
// label names, else the one that is named after it.
func unitOfManager(c fleet.Container, units map[unitKey]fleet.Unit, user string) (fleet.Unit, bool) {
	if c.Unit != "" {
		u, ok := units[unitKey{user, c.Unit}]
		if ok && user != c.User && !ofRoot(c) {
			// The user's own caddy.service and the system's are two things.
			_, ok = ownerOf(u)
		}
		return u, ok
	}
	for _, name := range []string{c.Engine + "-" + c.Name, "container-" + c.Name, strings.TrimPrefix(c.Name, "systemd-")} {
		u, ok := units[unitKey{user, name + ".service"}]
		if !ok {
			continue
		}
		if o, ok := ownerOf(u); ok && (o.engine == c.Engine) {
			return u, true
		}
	}
	return fleet.Unit{}, false
}

// withUnit is the container with what its unit tells. A container that systemd
// starts anew each time never counts a restart itself; the unit does. Of the
// two counts the larger is told: hardly ever do both restart it, and the sum
// would grow with every joining.
func withUnit(c fleet.Container, u fleet.Unit) fleet.Container {
	c.Unit, c.UserUnit = u.Name, u.User != ""
	c.UnitSub = u.Active + "/" + u.Sub
	if u.Failed() {
		c.UnitResult = u.Result
	}
	if asked(u) {
		n := u.Restarts
		if c.Restarts != nil {
			n = max(n, *c.Restarts)
		}
		c.Restarts = &n
	}
	return c
}

// asked tells whether the unit was asked for its details: each service has a type.
func asked(u fleet.Unit) bool { return u.Type != "" }

// owner is what a unit runs.
type owner struct {
	engine, container string
	quadlet           bool
}

// ownerOf tells which container a unit runs. There is nothing in
// a unit that says so; these are the ways in which NixOS hosts make such
// units, and what tells them from other units with such names:
//
//   - oci-containers: podman-NAME.service or docker-NAME.service. Podman's own
//     services are called like that too, and everybody's helpers that make a
//     network, pull images or prune. All of those do one thing and end
//     (Type=oneshot) or are instances (podman-kube@), while a container's unit
//     is never oneshot: "notify" for Podman, "simple" or "exec" for Docker. So
//     the type decides where it is known; where it is not, a list of names.
//   - quadlets: the unit is generated from a .container file in a folder named
//     containers/systemd. The files of pods, networks, volumes, images and
//     kube have other suffixes, and no one container.
//   - `podman generate systemd --name`, which people have from before quadlets:
//     container-NAME.service, whose description says the same. With --new it is
//     of type notify or forking and removes the container when it stops.
func ownerOf(u fleet.Unit) (owner, bool) {
	stem, ok := strings.CutSuffix(u.Name, ".service")
	if !ok || u.Load == "not-found" || u.Load == "masked" {
		return owner{}, false
	}
	if dir, file := path.Split(u.Source); strings.HasSuffix(file, ".container") && strings.Contains(dir, "/containers/systemd/") {
		// The container is systemd-NAME unless ContainerName says otherwise, as
		// quadlet-nix and most files do: NAME is what the person calls it.
		return owner{kindPodman, stem, true}, !strings.HasSuffix(stem, "@")
	}
	engine, name, _ := strings.Cut(stem, "-")
	if engine == "container" && u.Description == "Podman "+u.Name {
		engine = kindPodman
	}
	if engine != kindPodman && engine != kindDocker || name == "" || strings.Contains(name, "@") {
		return owner{}, false
	}
	if u.Type == "oneshot" || helper(u, name) {
		return owner{}, false
	}
	return owner{engine, name, false}, true
}

// helpers are the names behind "podman-" and "docker-" of units that run no
// container: Podman's own, NixOS', and what others call theirs.
var helpers = []string{
	"auto-update", "clean-transient", "kube", "prune", "restart", "user-wait-network-online", "image-pull",
	"autoprune", "storage-setup", "registry-garbage-collect",
}

// helper tells a helper by its name. compose2nix and many by hand put
// podman-network-, -volume- and -build- units beside the containers; when the
// type is known to be a container's, a container may be called that, too.
func helper(u fleet.Unit, name string) bool {
	if slices.Contains(helpers, name) {
		return true
	}
	// services.dockerRegistry is a service of its own, and not oneshot.
	if name == "registry" && u.Description == "Docker Container Registry" {
		return true
	}
	for _, kind := range []string{"network-", "volume-", "build-", "image-pull-", "create-"} {
		if !asked(u) && strings.HasPrefix(name, kind) {
			return true
		}
	}
	return false
}

// missed tells whether a unit without a container is worth a row. A unit that
// runs has its container, whether we saw it or not (its engine may be closed
// to us, or the list a second older). One that was never started and that
// nothing starts (autoStart = false) is not missed. One that did run, or
// should have been started at boot, is, even when systemd calls it well: a
// container that ends with status 0 is not started again by
// Restart=on-failure, and nothing else tells that it is gone. What starts a
// quadlet is not told by the state of its file.
func missed(u fleet.Unit, o owner) bool {
	switch u.Active {
	case "active", "reloading", "refreshing":
		return false
	case "inactive":
		switch u.FileState {
		case "linked", "linked-runtime", "static", "disabled", "indirect":
			return o.quadlet || !u.Started.IsZero()
		}
	}
	return true
}

// absent is the row of a container that is not there.
func absent(u fleet.Unit, o owner) fleet.Container {
	c := withUnit(fleet.Container{
		Engine: o.engine, User: cmp.Or(u.User, rootUser), Name: o.container, State: fleet.Absent, Ports: []fleet.Port{},
	}, u)
	c.Started, c.ExitCode = u.Started, u.ExitStatus
	return c
}
