package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/units"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// imageActions are what can be done to the images of containers and hosts.
func (a *app) imageActions(d *nixops.Deployer) []fleet.Action {
	return []fleet.Action{
		{
			ID: actionPull, Title: "Pull the image and restart", Scope: fleet.ScopeContainer, Danger: true,
			Help:     "pull what the registry has under the name of the container's image, keep what runs, and restart the unit",
			Disabled: offImage,
			Plan:     func(ctx context.Context, t fleet.Target) (fleet.Plan, error) { return a.planPull(ctx, t) },
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error {
				if t.Image != "" {
					return a.pullName(ctx, d, t, say)
				}
				return a.pullAndRestart(ctx, d, t, say)
			},
		},
		{
			ID: actionRevert, Title: "Go back to the image before", Scope: fleet.ScopeContainer, Danger: true,
			Help:     "run the image that ran before the newer one was pulled; it is still on the host",
			Disabled: offImage,
			Plan: func(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
				r, err := a.revertOf(ctx, t)
				if err != nil {
					return fleet.Plan{}, err
				}
				return r.plan(time.Now()), nil
			},
			Run: func(ctx context.Context, t fleet.Target, say func(string)) error { return a.revert(ctx, d, t, say) },
		},
	}
}

// offImage is why nothing can be done to the image of a container.
func offImage(t fleet.Target) string {
	if why := nixops.Unreachable(t); why != "" || t.Image != "" {
		return why
	}
	c, err := containerOf(t)
	switch {
	case err != nil:
		return err.Error()
	case unnamed.MatchString(c.Image):
		return "the image of " + c.Name + " has no name"
	case strings.Contains(c.Image, "@"):
		return c.Name + " is pinned to a digest: it has nothing newer and nothing to go back to"
	}
	return ""
}

// unnamed is an image that is known by its ID alone.
var unnamed = regexp.MustCompile(`^(sha256:)?[0-9a-f]{12,64}$`)

// imageJob is something done to the images of one host.
type imageJob struct {
	a       *app
	host    fleet.Host
	link    link.Link
	engines *podman.Engines
	images  []fleet.Image
}

// imagesNow reads the images of a target's host.
func (a *app) imagesNow(ctx context.Context, t fleet.Target) (imageJob, error) {
	h := t.Hosts[0].Host
	j := imageJob{a: a, host: h, link: a.links.Open(h)}
	j.engines = a.readers.of(j.link)
	f := j.engines.Images(ctx)
	j.images = f.Value
	if !f.HasValue() {
		return j, fmt.Errorf("the images of %s are not known: %w", h.Name, cmp.Or(f.Why(), fleet.ErrNotAsked))
	}
	return j, nil
}

// running reads a container anew.
func (j imageJob) running(ctx context.Context, c fleet.Container) (fleet.Container, error) {
	st, ok := j.a.store.Get(j.host.ID)
	if !ok {
		return c, errors.New(j.host.Name + " is no longer in the fleet")
	}
	f := j.engines.Read(ctx, func(context.Context) (fleet.State, error) { return st, nil })
	for _, now := range f.Value {
		if now.Name == c.Name && now.User == c.User && now.Engine == c.Engine {
			return now, nil
		}
	}
	c.State, c.ID, c.ImageID = fleet.Absent, "", ""
	return c, f.Why()
}

// image is what is known of an image of the container's engine, by its ID.
func (j imageJob) image(c fleet.Container, id string) fleet.Image {
	i := slices.IndexFunc(j.images, func(i fleet.Image) bool { return i.ID == id && i.User == c.User && i.Engine == c.Engine })
	if i < 0 {
		return fleet.Image{ID: id}
	}
	return j.images[i]
}

// sharing are the other containers of an engine that use an image's name.
func sharing(s fleet.State, c fleet.Container, name string) []fleet.Container {
	var out []fleet.Container
	for _, o := range s.Containers.Value {
		if o.Engine == c.Engine && o.User == c.User && o.Name != c.Name && o.ImageID != "" && podman.InFull(o.Image) == name {
			out = append(out, o)
		}
	}
	return out
}

// planPull tells what a pull will do.
func (a *app) planPull(ctx context.Context, t fleet.Target) (fleet.Plan, error) {
	s := t.Hosts[0]
	if t.Image != "" {
		return fleet.Plan{Title: "Pull " + t.Image + " on " + s.Host.Name, Lines: []string{"nothing is restarted; what runs under this name is kept"}}, nil
	}
	c, err := containerOf(t)
	if err != nil {
		return fleet.Plan{}, err
	}
	j, err := a.imagesNow(ctx, t)
	if err != nil {
		return fleet.Plan{}, err
	}
	name, err := nameOf(j.host, c)
	if err != nil {
		return fleet.Plan{}, err
	}
	p := fleet.Plan{Title: "Pull " + name + " for " + c.Name + " on " + s.Host.Name}
	add := func(format string, args ...any) { p.Lines = append(p.Lines, fmt.Sprintf(format, args...)) }
	if c.ImageID != "" {
		add("it runs %s", imageWords(j.image(c, c.ImageID), name, time.Now()))
	}
	add("%s", a.registryLine(s.Host.ID, j.image(c, c.ImageID), name))
	if c.ImageID != "" {
		add("what runs is kept on the host: sextant image revert %s %s goes back to it", s.Host.Name, c.Name)
	}
	if c.Unit == "" {
		add("no unit owns it: it goes on with the image that it has until it is made anew, which nobody but who made it can")
	} else {
		add("when it has brought another image, its unit %s is restarted", c.Unit)
		starting, err := podman.StartOf(ctx, j.link, c.Unit, managerOf(c))
		switch {
		case err != nil:
			add("? whether it could be gone back from is not known: %s", err)
		case starting.Undoes() != "":
			add("%s: %s; it cannot be gone back from", c.Unit, starting.Undoes())
		}
	}
	for _, o := range sharing(s, c, name) {
		add("%s has the same image: it runs the newer one from its next start on", o.Name)
	}
	return p, nil
}

// nameOf is the name of a container's image. Of one that vanished it is not known.
func nameOf(h fleet.Host, c fleet.Container) (string, error) {
	if c.Image == "" {
		return "", &nixops.Refusal{Host: h.Name, Why: c.Name + " is absent: which image it would run is not known", Cure: "pull it by its name: sextant image pull " + h.Name + " IMAGE; or start its unit"}
	}
	return podman.InFull(c.Image), nil
}

// imageWords tell an image: its digest, and when it was made.
func imageWords(i fleet.Image, name string, now time.Time) string {
	s := fleet.ShortDigest(cmp.Or(i.Digest(fleet.ImageRepository(name)), i.ID))
	if !i.Created.IsZero() {
		s += ", made " + age(i.Created, now) + " ago"
	}
	return s
}

// registryLine says what is known of the registry's, and since when.
func (a *app) registryLine(h fleet.HostID, i fleet.Image, name string) string {
	f := a.registry(h, name)
	newer, known := i.Newer(name, f)
	switch {
	case known && newer:
		return "the registry had another " + age(f.At, time.Now()) + " ago: " + fleet.ShortDigest(f.Value)
	case known:
		return "the registry had the same " + age(f.At, time.Now()) + " ago"
	case f.Err != "":
		return "? whether the registry has another is not known: " + fleet.InFull(f.Why())
	}
	return "whether the registry has another was not asked"
}

// keepAll keeps what runs under a name for all containers that do. What is given is
// to be called where it need not be kept.
func (j imageJob) keepAll(ctx context.Context, list []fleet.Container, name string) (release func(), err error) {
	var undo []func(context.Context)
	release = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		for _, u := range undo {
			u(ctx)
		}
	}
	for _, c := range list {
		kept, err := j.engines.Keep(ctx, c, name, c.ImageID, time.Now())
		if err != nil {
			release()
			return func() {}, err
		}
		undo = append(undo, func(ctx context.Context) { // else one more is kept than needed
			_ = j.engines.Release(ctx, c, c.ImageID, kept)
		})
	}
	return release, nil
}

// pull pulls an image, after what runs under its name was kept, and tells whether it
// brought another than these containers run.
func (j imageJob) pull(ctx context.Context, kind, user, name string, keepFor []fleet.Container, say func(string)) (id string, other bool, err error) {
	release, err := j.keepAll(ctx, keepFor, name)
	if err != nil {
		return "", false, fmt.Errorf("nothing was pulled: %w", err)
	}
	id, err = j.engines.Pull(ctx, kind, user, name, say)
	if err != nil {
		release()
		return "", false, err
	}
	j.a.asked(j.host.ID, name, fleet.Fact[string]{})
	if !slices.ContainsFunc(keepFor, func(c fleet.Container) bool { return c.ImageID != id }) {
		release()
		return id, false, nil
	}
	return id, true, nil
}

// pullAndRestart pulls a container's image and restarts the unit that owns it.
func (a *app) pullAndRestart(ctx context.Context, d *nixops.Deployer, t fleet.Target, say func(string)) error {
	c, err := containerOf(t)
	if err != nil {
		return err
	}
	j, err := a.imagesNow(ctx, t)
	if err != nil {
		return err
	}
	name, err := nameOf(j.host, c)
	if err != nil {
		return err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "image of " + c.Name + " pulled"}
	keepFor := sharing(t.Hosts[0], c, name)
	if c.ImageID != "" {
		keepFor = append([]fleet.Container{c}, keepFor...)
	}
	id, _, err := j.pull(ctx, c.Engine, c.User, name, keepFor, say)
	said := ""
	switch {
	case err != nil:
	case id == c.ImageID:
		said = c.Name + " runs what the registry has: nothing was restarted"
	case c.Unit == "":
		said = name + " is pulled; no unit owns " + c.Name + ": it goes on with the image that it has until it is made anew"
	default:
		said, err = j.restartInto(ctx, c, id, name, say)
		if err != nil {
			err = fleet.WithCure(err, cmp.Or(fleet.Cure(err), "sextant image revert "+j.host.Name+" "+c.Name+" goes back to what ran before"))
		}
	}
	return a.acted(d, j.host, e, said, err, say)
}

// restartInto restarts the unit of a container, and sees that it then runs an image.
func (j imageJob) restartInto(ctx context.Context, c fleet.Container, id, name string, say func(string)) (string, error) {
	say("restarting " + c.Unit)
	out, err := units.Act(ctx, j.link, units.Restart, c.Unit, managerOf(c))
	if err != nil {
		return "", err
	}
	if out.Active == "failed" {
		return "", fmt.Errorf("%s: %s is %s", j.host.Name, c.Unit, out)
	}
	now, err := j.becomes(ctx, c, id)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %s was restarted, and whether %s runs is not known: %w", j.host.Name, c.Unit, c.Name, err)
	case now.ImageID != "" && now.ImageID != id:
		return "", fleet.WithCure(fmt.Errorf("%s: %s was restarted and still runs the image that it had", j.host.Name, c.Name),
			"its unit starts the container that there is: remove it, and have it made anew by what made it")
	case !now.Running():
		return "", fmt.Errorf("%s: %s is %s after the restart of %s", j.host.Name, c.Name, now.State, c.Unit)
	}
	if f := j.engines.Images(ctx); f.HasValue() {
		j.images = f.Value
	}
	return c.Name + " runs " + imageWords(j.image(now, id), name, time.Now()) + "; " + c.Unit + " is " + out.String(), nil
}

// becomes waits until a container runs an image; a unit may be called active a
// moment before.
func (j imageJob) becomes(ctx context.Context, c fleet.Container, id string) (now fleet.Container, err error) {
	for try := 0; ; try++ {
		if now, err = j.running(ctx, c); err == nil && now.Running() && now.ImageID == id || try == 5 {
			break
		}
		select {
		case <-ctx.Done():
			return now, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
	return now, err
}

// pullName pulls an image by its name; nothing is restarted.
func (a *app) pullName(ctx context.Context, d *nixops.Deployer, t fleet.Target, say func(string)) error {
	j, err := a.imagesNow(ctx, t)
	if err != nil {
		return err
	}
	name, user := podman.InFull(t.Image), cmp.Or(t.User, "root")
	kind, err := j.engines.Kind(user)
	if err != nil {
		return err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "image " + name + " pulled"}
	using := sharing(t.Hosts[0], fleet.Container{Engine: kind, User: user}, name)
	id, other, err := j.pull(ctx, kind, user, name, using, say)
	said := name + " is pulled"
	for _, c := range using {
		if other && c.ImageID != id {
			said += "; " + c.Name + " runs the older one until it is restarted"
		}
	}
	return a.acted(d, j.host, e, said, err, say)
}

// reverting is how a container goes back to an earlier image.
type reverting struct {
	imageJob
	c    fleet.Container
	name string // of the image
	to   fleet.Image
	left int // how many there are before that
	also []fleet.Container
}

// revertOf finds out what a container can go back to, and whether that would last.
func (a *app) revertOf(ctx context.Context, t fleet.Target) (reverting, error) {
	r := reverting{}
	c, err := containerOf(t)
	if err != nil {
		return r, err
	}
	if r.imageJob, err = a.imagesNow(ctx, t); err != nil {
		return r, err
	}
	r.c = c
	if c.ImageID != "" { // it may be another by now
		if r.c, err = r.running(ctx, c); err != nil {
			return r, err
		}
		r.c.Unit, r.c.UserUnit, r.c.Image = c.Unit, c.UserUnit, cmp.Or(r.c.Image, c.Image)
	}
	no := func(why, cure string) (reverting, error) {
		return r, &nixops.Refusal{Host: r.host.Name, Why: why, Cure: cure}
	}
	list, name := podman.Earlier(r.c, r.images)
	switch r.name = name; {
	case len(list) == 0:
		return no("no image that ran as "+c.Name+" before is left there", "name it in the configuration, with the tag that it had")
	case c.Unit == "":
		return no("no unit owns "+c.Name+": only what made it can make it anew", "make it with "+list[0].ID)
	}
	starting, err := podman.StartOf(ctx, r.link, c.Unit, managerOf(c))
	if err != nil {
		return r, err
	}
	if why := starting.Undoes(); why != "" {
		return no(c.Unit+" would undo it: "+why, `set pull = "missing" in virtualisation.oci-containers.containers (Pull=missing in a quadlet), or name the image by its digest there`)
	}
	r.to, r.left = list[0], len(list)-1
	r.also = sharing(t.Hosts[0], r.c, name)
	return r, nil
}

func (r reverting) plan(now time.Time) fleet.Plan {
	p := fleet.Plan{Title: "Go back to the image before for " + r.c.Name + " on " + r.host.Name}
	if r.c.ImageID != "" {
		p.Lines = append(p.Lines, "from "+imageWords(r.image(r.c, r.c.ImageID), r.name, now))
	}
	to := "to   " + imageWords(r.to, r.name, now)
	for _, k := range r.to.Kept {
		if k.Container == r.c.Name {
			to += ", kept " + age(k.At, now) + " ago"
			break
		}
	}
	p.Lines = append(p.Lines, to, r.name+" is its name again, and "+r.c.Unit+" is restarted; nothing is downloaded")
	for _, o := range r.also {
		p.Lines = append(p.Lines, o.Name+" has the same image: it goes back at its next start")
	}
	p.Lines = append(p.Lines, "what runs now is kept, too; before that there are "+plural(r.left, "more", "none"))
	return p
}

// revert has a container run the image that it ran before.
func (a *app) revert(ctx context.Context, d *nixops.Deployer, t fleet.Target, say func(string)) error {
	r, err := a.revertOf(ctx, t)
	if err != nil {
		return err
	}
	e := fleet.Event{At: time.Now(), Kind: fleet.EventAction, Level: fleet.Info, Text: "image of " + r.c.Name + " reverted"}
	said, err := r.run(ctx, say)
	return a.acted(d, r.host, e, said, err, say)
}

func (r reverting) run(ctx context.Context, say func(string)) (string, error) {
	from := r.c.ImageID
	for _, i := range r.images { // of one that is absent only the name tells
		if from == "" && i.Engine == r.c.Engine && i.User == r.c.User && slices.Contains(i.Tags, r.name) {
			from = i.ID
		}
	}
	if from != "" {
		if _, err := r.engines.Keep(ctx, r.c, r.name, from, time.Now()); err != nil {
			return "", fmt.Errorf("nothing was changed: %w", err)
		}
	}
	if err := r.engines.Name(ctx, r.c.Engine, r.c.User, r.to.ID, r.name); err != nil {
		return "", err
	}
	say(imageWords(r.to, r.name, time.Now()) + " is " + r.name + " again")
	return r.restartInto(ctx, r.c, r.to.ID, r.name, say)
}
