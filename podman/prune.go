package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Sweep says which images go that no container uses: those without a name always.
type Sweep struct {
	Named bool // also those that have a name
	Kept  bool // also those that are kept to go back to
}

// Unused are the images of a list that a sweep removes.
func (s Sweep) Unused(images []fleet.Image) []fleet.Image {
	out := []fleet.Image{}
	for _, i := range images {
		if len(i.UsedBy) == 0 && (s.Named || len(i.Tags) == 0) && (s.Kept || len(i.Kept) == 0) && imageID.MatchString(i.ID) {
			out = append(out, i)
		}
	}
	return out
}

// Frees tells how many bytes these images take that no other shares, as their
// engines tell it. What they share with one another, and nobody else, is freed
// besides: at most what they are large. unknown are those of engines that do not
// tell.
func (e *Engines) Frees(ctx context.Context, images []fleet.Image) (atLeast, atMost uint64, unknown []fleet.Image, err error) {
	type owner struct{ kind, user string }
	told := map[owner]map[string]uint64{}
	for _, i := range images {
		o := owner{i.Engine, i.User}
		if _, asked := told[o]; !asked {
			err := e.onEngine(ctx, o.kind, o.user, "what images take", func(ctx context.Context, a api) (err error) {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				told[o], err = a.unique(ctx)
				return err
			})
			if err != nil && !errors.Is(err, errNotTold) {
				return 0, 0, nil, err
			}
		}
		atMost += i.Size
		n, known := told[o][i.ID]
		if atLeast += n; !known {
			unknown = append(unknown, i)
		}
	}
	return atLeast, atMost, unknown, nil
}

// Remove removes an image with its names. The engine does not where a container has
// come to use it meanwhile.
func (e *Engines) Remove(ctx context.Context, i fleet.Image) error {
	return e.onEngine(ctx, i.Engine, i.User, "removing image "+fleet.Short(i.ID, 20), func(ctx context.Context, a api) error {
		list, err := a.imageList(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(list, func(o fleet.Image) bool { return o.ID == i.ID })
		switch {
		case at < 0:
			return nil // it is gone
		case !slices.Equal(list[at].Tags, i.Tags):
			return errors.New("it has other names by now")
		}
		names := slices.Clone(i.Tags)
		for _, k := range list[at].Kept {
			repository, tag, err := keptName(k.Container, k.Image, k.At)
			if err != nil {
				return err
			}
			names = append(names, repository+":"+tag)
		}
		return a.removeImage(ctx, i.ID, names)
	})
}

// Update is what `podman auto-update` says of a container that carries its label.
type Update struct {
	User      string `json:"user"` // whose Podman
	Unit      string `json:"unit"`
	Container string `json:"container"`
	Image     string `json:"image"`
	Policy    string `json:"policy"`  // registry, local
	Updated   string `json:"updated"` // pending, true, false, failed, rolled back
}

// autoUpdate runs it as who it is for. Root's and a user's find their systemd and
// their storage by the environment.
const autoUpdate = `# podman auto-update, of who runs this
command -v podman >/dev/null 2>&1 || exit 127
u=$(id -u)
HOME=$(getent passwd "$u" | cut -d: -f6)
export HOME PODMAN_IGNORE_CGROUPSV1_WARNING=1
if [ "$u" != 0 ]; then
	export XDG_RUNTIME_DIR="/run/user/$u"
	export DBUS_SESSION_BUS_ADDRESS="unix:path=$XDG_RUNTIME_DIR/bus"
fi
cd /
exec podman auto-update --format json "$@"`

// AutoUpdate runs `podman auto-update` of every user who has a Podman, or with dry
// only asks what it would do. It asks the registries of containers with its label.
func (e *Engines) AutoUpdate(ctx context.Context, dry bool) ([]Update, error) {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	engines, _ := e.there()
	slices.SortFunc(engines, (*engine).order)
	all, found := []Update{}, false
	var errs []error
	for _, eng := range engines {
		at := eng.where()
		if at.kind != kindPodman {
			continue
		}
		found = true
		list, err := e.autoUpdate(ctx, at.user, dry)
		all = append(all, list...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	if !found {
		return nil, fmt.Errorf("auto-update on %s: there is no Podman", e.link.Host().Name)
	}
	return all, errors.Join(errs...)
}

func (e *Engines) autoUpdate(ctx context.Context, user string, dry bool) ([]Update, error) {
	cmd := link.Script(autoUpdate)
	if dry {
		cmd = link.Script(autoUpdate, "--dry-run")
	}
	if cmd.User = user; user == rootUser {
		cmd.User, cmd.Root = "", true
	}
	what := fmt.Sprintf("podman auto-update of %s on %s", user, e.link.Host().Name)
	res, err := e.link.Run(ctx, cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	list, bad := parseUpdates(res.Stdout, user)
	if res.Status != 0 || bad != nil { // what was updated before it failed is told all the same
		why := fleet.Short(strings.Join(strings.Fields(fleet.Clean(string(res.Stderr))), " "), 300)
		if why == "" && bad != nil {
			why = bad.Error()
		}
		return list, fmt.Errorf("%s: %s (status %d)", what, why, res.Status)
	}
	return list, nil
}

// parseUpdates reads what `podman auto-update --format json` prints.
func parseUpdates(b []byte, user string) ([]Update, error) {
	var in []struct{ Unit, ContainerName, Image, Policy, Updated string }
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("this does not say what is updated: %w", jsonError(err))
	}
	out := make([]Update, 0, len(in))
	for _, u := range in {
		out = append(out, Update{text(user), text(u.Unit), text(u.ContainerName), text(u.Image), text(u.Policy), text(u.Updated)})
	}
	return out, nil
}
