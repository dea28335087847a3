package simulate

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// stored is an image in the store of a Podman.
type stored struct {
	id, digest    string
	names, before []string
	made          time.Time
	size          uint64
}

// The versions of an image: an image is told from another of its name by what is
// put behind that.
const (
	oldVersion = "@before"
	newVersion = "@next"
)

// oldAge is by how much an old version was made earlier.
const oldAge = 40 * day

// version makes an image as a host has it that pulled it then.
func (m *machine) version(image, version string, made time.Time) *stored {
	return &stored{
		id: m.imageID(image + version), digest: "sha256:" + hexID(m.seed, 64, image+version, "digest"), made: made,
		size: 50*mib + dice(m.seed, image)%(900*mib),
	}
}

// newest is what the registry has under a name now: where people follow a tag that
// moves, now and then something newer than what they have.
func (m *machine) newest(image string) *stored {
	made := m.began.Add(-m.imageAge(image))
	if tag := image[strings.LastIndex(image, ":")+1:]; strings.Count(tag, ".") < 2 && share(m.seed, image, "newer") < 0.35 {
		return m.version(image, newVersion, m.began.Add(-time.Duration(1+9*share(m.seed, image, "newer"))*time.Hour))
	}
	return m.version(image, "", made)
}

// imageAge is how long ago an image was made.
func (m *machine) imageAge(image string) time.Duration {
	return time.Duration((0.1 + 0.9*share(m.seed, image, "image")) * float64(90*day))
}

// store are the images of this Podman: those of its containers, and what earlier
// pulls have left. m.mu is held.
func (p *podman) store() []*stored {
	if list, ok := p.m.stores[p.of]; ok {
		return list
	}
	for _, b := range p.boxes() {
		made := p.m.began.Add(-b.imageAge)
		if b.version == oldVersion {
			made = made.Add(-oldAge)
		}
		i := p.m.version(b.image, b.version, made)
		if p.image(i.id) == nil {
			i.names = []string{b.image}
			p.keep(i)
		}
		b.imageID = i.id
		if share(p.m.seed, p.m.name, b.name, "left") < 0.15 && b.version == "" { // what ran before the last pull
			old := p.m.version(b.image, oldVersion, made.Add(-oldAge))
			if old.before = []string{b.image}; p.image(old.id) == nil {
				p.keep(old)
			}
		}
	}
	if p.m.stores == nil || p.m.stores[p.of] == nil {
		p.keep()
	}
	return p.m.stores[p.of]
}

// keep adds images to the store.
func (p *podman) keep(list ...*stored) {
	if p.m.stores == nil {
		p.m.stores = map[*person][]*stored{}
	}
	p.m.stores[p.of] = append(append([]*stored{}, p.m.stores[p.of]...), list...)
}

// image finds an image by its ID or a name, or nil.
func (p *podman) image(ref string) *stored {
	for _, i := range p.m.stores[p.of] {
		if i.id == ref || slices.Contains(i.names, ref) {
			return i
		}
	}
	return nil
}

// name gives an image a name, and takes it from another.
func (p *podman) name(i *stored, name string) {
	for _, o := range p.m.stores[p.of] {
		if o != i && slices.Contains(o.names, name) {
			o.names = slices.DeleteFunc(o.names, func(n string) bool { return n == name })
			o.before = append([]string{name}, o.before...)
		}
	}
	if !slices.Contains(i.names, name) {
		i.names = append(i.names, name)
	}
}

// boxImage is the ID of a container's image.
func (m *machine) boxImage(b *box) string {
	if b.imageID == "" {
		return m.imageID(b.image + b.version)
	}
	return b.imageID
}

// named is the image that has the name of a container's now; where none has it, the
// registry's is pulled.
func (m *machine) named(b *box) string {
	p := &podman{m: m}
	for _, who := range m.people {
		if slices.Contains(who.boxes, b) {
			p.of = who
		}
	}
	p.store()
	i := p.image(b.image)
	if i == nil {
		i = m.newest(b.image)
		if there := p.image(i.id); there != nil {
			i = there
		} else {
			p.keep(i)
		}
		p.name(i, b.image)
	}
	return i.id
}

func (p *podman) images(w http.ResponseWriter) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	rows := []map[string]any{}
	for _, i := range p.store() {
		used, digests := 0, []string{}
		for _, b := range p.boxes() {
			if !b.gone && p.m.boxImage(b) == i.id {
				used++
			}
		}
		for _, n := range append(slices.Clone(i.names), i.before...) {
			if d := fleet.ImageRepository(n) + "@" + i.digest; !slices.Contains(digests, d) {
				digests = append(digests, d)
			}
		}
		rows = append(rows, map[string]any{
			"Id": i.id, "ParentId": "", "RepoTags": i.names, "RepoDigests": digests, "Size": i.size, "SharedSize": 0, "VirtualSize": i.size,
			"Labels": nil, "Containers": used, "Names": i.names, "Digest": i.digest, "History": append(slices.Clone(i.names), i.before...),
			"Created": i.made.Unix(), "CreatedAt": i.made.UTC().Format(time.RFC3339), "Dangling": len(i.names) == 0,
		})
	}
	answer(w, rows)
}

// diskUse answers GET /system/df.
func (p *podman) diskUse(w http.ResponseWriter) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	rows := []map[string]any{}
	for _, i := range p.store() {
		rows = append(rows, map[string]any{"ImageID": i.id, "Size": i.size, "SharedSize": i.size / 3, "UniqueSize": i.size - i.size/3})
	}
	answer(w, map[string]any{"Images": rows, "Containers": []int{}, "Volumes": []int{}})
}

// pull brings what the registry has, a line at a time.
func (p *podman) pull(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("reference")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	say := func(m map[string]any) bool {
		err := out.Encode(m)
		_ = flush.Flush()
		return err == nil
	}
	if p.h.misbehaves().NoSpace {
		say(map[string]any{"error": "copying system image from manifest list: writing blob: storing blob to file \"/var/tmp/container_images_storage1/2\": write: no space left on device"})
		return
	}
	p.m.mu.Lock()
	fresh := p.m.newest(name)
	p.m.mu.Unlock()
	layer := hexID(p.m.seed, 64, fresh.id, "layer")
	for _, line := range []string{"Trying to pull " + name + "...", "Getting image source signatures", "Copying blob sha256:" + layer, "Copying config sha256:" + fresh.id, "Writing manifest to image destination"} {
		select {
		case <-time.After(pullPause):
		case <-r.Context().Done():
			return
		}
		if !say(map[string]any{"stream": line + "\n"}) {
			return
		}
	}
	p.m.mu.Lock()
	p.store()
	if i := p.image(fresh.id); i != nil {
		fresh = i
	} else {
		p.keep(fresh)
	}
	p.name(fresh, name)
	p.m.mu.Unlock()
	say(map[string]any{"images": []string{fresh.id}, "id": fresh.id})
}

// pullPause is how long a line of a pull takes.
const pullPause = 60 * time.Millisecond

// imageDo does to one image what is told.
func (p *podman) imageDo(w http.ResponseWriter, r *http.Request, ref, what string) {
	ref, _ = url.PathUnescape(ref)
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.store()
	i := p.image(ref)
	if i == nil {
		refuse(w, http.StatusNotFound, ref+": image not known")
		return
	}
	name := r.URL.Query().Get("repo") + ":" + r.URL.Query().Get("tag")
	switch {
	case r.Method == http.MethodPost && what == "tag":
		p.name(i, name)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPost && what == "untag":
		i.names = slices.DeleteFunc(i.names, func(n string) bool { return n == name })
		i.before = append([]string{name}, i.before...)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete && what == "":
		for _, b := range p.boxes() {
			if !b.gone && p.m.boxImage(b) == i.id {
				refuse(w, http.StatusConflict, "image used by "+p.m.boxID(b)+": image is in use by a container: consider listing external containers and force-removing image")
				return
			}
		}
		p.m.stores[p.of] = slices.DeleteFunc(slices.Clone(p.store()), func(o *stored) bool { return o == i })
		answer(w, map[string]any{"Untagged": i.names, "Deleted": []string{i.id}, "Errors": nil, "ExitCode": 0})
	default:
		refuse(w, http.StatusNotFound, "page not found")
	}
}

// tellStart plays podman/start.sh: units pull what is not there, one pulls always.
func tellStart(c Call) int {
	if c.arg(1) == "podman-gatus.service" {
		c.say("always")
	}
	return c.say("end")
}

// followed are the containers that podman auto-update looks after: of storage, as
// quadlets have it.
var followed = []string{"freshrss", "kavita", "homepage"}

// autoUpdate plays `podman auto-update --format json`.
func autoUpdate(c Call) int {
	rows, dry := []map[string]any{}, slices.Contains(c.Args, "--dry-run")
	m := c.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &podman{h: c.h, m: m}
	for _, b := range p.boxes() {
		if !c.Root || !slices.Contains(followed, b.name) || b.gone {
			continue
		}
		p.store()
		fresh, updated := m.newest(b.image), "false"
		switch {
		case fresh.id == m.boxImage(b):
		case dry:
			updated = "pending"
		default:
			if i := p.image(fresh.id); i != nil {
				fresh = i
			} else {
				p.keep(fresh)
			}
			p.name(fresh, b.image)
			m.turn(m.unit(b.unit), "restart", c.now())
			updated = "true"
		}
		rows = append(rows, map[string]any{"Unit": b.unit, "Container": m.boxID(b)[:12] + " (" + b.name + ")", "ContainerName": b.name,
			"ContainerID": m.boxID(b), "Image": b.image, "Policy": "registry", "Updated": updated})
	}
	return c.json(rows)
}
