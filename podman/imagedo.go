package podman

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// keepAtMost is how many images are kept for a container.
const keepAtMost = 3

// engineFor finds the engine of a kind and a user among those that the last Read
// asked.
func (e *Engines) engineFor(kind, user string) (*engine, error) {
	if user == "" {
		user = rootUser
	}
	engines, _ := e.there()
	if len(engines) == 0 {
		return nil, ErrNotRead
	}
	slices.SortFunc(engines, (*engine).order)
	for _, eng := range engines {
		if at := eng.where(); at.user == user && (kind == "" || at.kind == kind) {
			return eng, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has no container engine", errNotFound, user)
}

// Kind is which kind of engine a user has, "podman" or "docker".
func (e *Engines) Kind(user string) (string, error) {
	eng, err := e.engineFor("", user)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.link.Host().Name, err)
	}
	return eng.where().kind, nil
}

// onEngine does something by an engine, and says on which host and what where that
// fails.
func (e *Engines) onEngine(ctx context.Context, kind, user, what string, do func(context.Context, api) error) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	eng, err := e.engineFor(kind, user)
	if err == nil {
		var a api
		if a, err = eng.connect(ctx, nil); err != nil {
			err = eng.wrong(err)
		} else {
			err = do(ctx, a)
		}
	}
	if err != nil {
		return fmt.Errorf("%s on %s: %w", what, e.link.Host().Name, told{err})
	}
	return nil
}

// Pull fetches an image by its name, says how far it is, and gives the image that
// has the name then. kind "" is any engine of the user. It ends with ctx, and leaves
// then what runs and is named as it is.
func (e *Engines) Pull(ctx context.Context, kind, user, name string, say func(line string)) (id string, err error) {
	if _, err := registryName(name); err != nil {
		return "", fmt.Errorf("pull of %s on %s: %w", text(name), e.link.Host().Name, err)
	}
	err = e.onEngine(ctx, kind, user, "pull of "+name, func(ctx context.Context, a api) error {
		id, err = a.pull(ctx, name, say)
		return err
	})
	if cure := pullCure(err, e.link.Host().Name, user, name); cure != "" {
		err = fleet.WithCure(err, cure)
	}
	return id, err
}

// pullCure is what can be done about a pull that failed, as far as what engines and
// registries say about it is known.
func pullCure(err error, host, user, name string) string {
	if err == nil {
		return ""
	}
	has := func(words ...string) bool {
		said := strings.ToLower(err.Error())
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(said, w) })
	}
	as := ""
	if user != "" && user != rootUser {
		as = " as " + user
	}
	switch registry, _, _ := strings.Cut(InFull(name), "/"); {
	case has("no space left", "disk quota exceeded"):
		return "make room: sextant image prune " + host + ", sextant garbage " + host
	case has("toomanyrequests", "too many requests", "rate limit"):
		return "the registry limits how often it is asked: try later, or log in there on the host" + as
	case has("unauthorized", "authentication required", "access denied", "requested access to the resource is denied", "invalid username"):
		return "log in on " + host + as + ": podman login " + registry
	case has("manifest unknown", "name unknown", "not found"):
		return "the registry does not have it any more: look for the name that it has now"
	case has("no such host", "i/o timeout", "connection refused", "network is unreachable", "deadline exceeded", "server misbehaving"):
		return "see whether " + host + " reaches " + registry
	}
	return ""
}

// Keep gives an image a name by which it is kept for a container that runs it as
// name, once, and drops the oldest of those that are kept for it. It gives what is to
// be released where it need not be kept.
func (e *Engines) Keep(ctx context.Context, c fleet.Container, name, id string, at time.Time) (fleet.Kept, error) {
	kept := fleet.Kept{Container: c.Name, Image: InFull(name), At: at.UTC().Truncate(time.Second)}
	err := e.onEngine(ctx, c.Engine, c.User, "keeping the image of "+c.Name, func(ctx context.Context, a api) error {
		if !imageID.MatchString(id) {
			return errors.New("the engine does not tell which image it runs")
		}
		all, err := keptFor(ctx, a, c.Name)
		if err != nil {
			return err
		}
		for len(all) > 0 && !kept.At.After(all[0].At) { // a name that another has would be taken from it
			kept.At = all[0].At.Add(time.Second)
		}
		repository, tag, err := keptName(kept.Container, kept.Image, kept.At)
		if err != nil {
			return err
		}
		if err := a.tag(ctx, id, repository, tag); err != nil {
			return err
		}
		return dropOld(ctx, a, all, id)
	})
	return kept, err
}

// keptImage is an image that is kept for a container.
type keptImage struct {
	fleet.Kept
	id string
}

// keptFor are those that are kept for a container, the newest first.
func keptFor(ctx context.Context, a api, container string) ([]keptImage, error) {
	list, err := a.imageList(ctx)
	if err != nil {
		return nil, err
	}
	var all []keptImage
	for _, i := range list {
		for _, k := range i.Kept {
			if k.Container == container {
				all = append(all, keptImage{k, i.ID})
			}
		}
	}
	slices.SortFunc(all, func(a, b keptImage) int { return b.At.Compare(a.At) })
	return all, nil
}

// dropOld releases those that were kept before an image was, but the last few others.
func dropOld(ctx context.Context, a api, before []keptImage, id string) error {
	others := 0
	for _, k := range before {
		if k.id != id {
			if others++; others < keepAtMost {
				continue
			}
		}
		if err := release(ctx, a, k.id, k.Kept); err != nil {
			return err
		}
	}
	return nil
}

func release(ctx context.Context, a api, id string, k fleet.Kept) error {
	repository, tag, err := keptName(k.Container, k.Image, k.At)
	if err != nil {
		return err
	}
	return a.untag(ctx, id, repository, tag)
}

// Release takes back what Keep did.
func (e *Engines) Release(ctx context.Context, c fleet.Container, id string, k fleet.Kept) error {
	return e.onEngine(ctx, c.Engine, c.User, "releasing the image of "+c.Name, func(ctx context.Context, a api) error {
		return release(ctx, a, id, k)
	})
}

// Name gives an image a name, and takes it from another that has it.
func (e *Engines) Name(ctx context.Context, kind, user, id, name string) error {
	return e.onEngine(ctx, kind, user, "naming an image "+name, func(ctx context.Context, a api) error {
		if !imageID.MatchString(id) {
			return fmt.Errorf("%q is not the ID of an image", id)
		}
		full := InFull(name)
		return a.tag(ctx, id, fleet.ImageRepository(full), fleet.ImageTag(full))
	})
}

// Starting is what the start of a unit does to its container's image.
type Starting struct {
	Pull string // "always" or "newer": it pulls it, and so undoes what was named before; "": it does not
	Load bool   // it loads it from a file, which undoes that, too
}

//go:embed start.sh
var startScript string

// StartOf tells what the start of a unit does to its container's image. user is whose
// systemd is meant; "" is the system's.
func StartOf(ctx context.Context, l link.Link, unit, user string) (Starting, error) {
	var s Starting
	if !serviceName.MatchString(unit) {
		return s, fmt.Errorf("%q is not the name of a service", unit)
	}
	cmd := link.Script(startScript, unit, "")
	cmd.IfRoot = true
	if user != "" {
		cmd = link.Script(startScript, unit, "user")
		cmd.User = user
	}
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return s, fmt.Errorf("%s on %s: %w", unit, l.Host().Name, err)
	}
	whole := false
	for line := range strings.Lines(string(res.Stdout)) {
		switch word := strings.TrimSpace(line); word {
		case "always", "newer":
			s.Pull = word
		case "load":
			s.Load = true
		case "end":
			whole = true
		}
	}
	if !whole {
		return s, fmt.Errorf("%s on %s: what its start does is not told: %s", unit, l.Host().Name, fleet.Short(fleet.Clean(strings.TrimSpace(string(res.Stderr))), 200))
	}
	return s, nil
}

// Undoes says how a start of the unit undoes what its image was named; "": it does
// not.
func (s Starting) Undoes() string {
	switch {
	case s.Load:
		return "it loads the image from a file at each start"
	case s.Pull != "":
		return "it pulls the image at each start (pull=" + s.Pull + ")"
	}
	return ""
}

// Earlier are the images that ran as a container before the one that it runs, or
// should, the newest first: those kept for it, then those that had its image's name.
// Each is one time in the list, and named is what it goes back to.
func Earlier(c fleet.Container, images []fleet.Image) (list []fleet.Image, named string) {
	mine := func(i fleet.Image) bool { return i.Engine == c.Engine && i.User == c.User }
	type one struct {
		fleet.Image
		kept fleet.Kept
	}
	var kept []one
	for _, i := range images {
		for _, k := range i.Kept {
			if mine(i) && k.Container == c.Name {
				kept = append(kept, one{i, k})
			}
		}
	}
	slices.SortStableFunc(kept, func(a, b one) int { return b.kept.At.Compare(a.kept.At) })
	if named = InFull(c.Image); c.Image == "" && len(kept) > 0 { // the engine has no such container now
		named = kept[0].kept.Image
	}
	current := c.ImageID
	if current == "" {
		current = holder(images, mine, named)
	}
	add := func(i fleet.Image) {
		if i.ID != current && !slices.ContainsFunc(list, func(o fleet.Image) bool { return o.ID == i.ID }) {
			list = append(list, i)
		}
	}
	for _, k := range kept {
		if k.kept.Image == named {
			add(k.Image)
		}
	}
	byAge := slices.SortedFunc(slices.Values(images), func(a, b fleet.Image) int { return b.Created.Compare(a.Created) })
	now := slices.IndexFunc(images, func(i fleet.Image) bool { return mine(i) && i.ID == current })
	for _, i := range byAge {
		// One that had the name and is made later was gone back from.
		if mine(i) && slices.Contains(i.Before, named) && (now < 0 || i.Created.Before(images[now].Created)) {
			add(i)
		}
	}
	return list, named
}

// holder is the ID of the image that has a name; "": none has.
func holder(images []fleet.Image, mine func(fleet.Image) bool, name string) string {
	for _, i := range images {
		if mine(i) && slices.Contains(i.Tags, name) {
			return i.ID
		}
	}
	return ""
}
