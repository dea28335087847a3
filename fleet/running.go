package fleet

import "slices"

// Running is which versions of images the containers of a fleet have, by what their
// hosts tell of them now: no host is asked for it.
type Running struct {
	versions map[string][]ImageVersion
	Silent   []string // hosts of whose containers nothing is known now
}

// RunningIn tells which versions the containers of hosts have.
func RunningIn(states []State) Running {
	var r Running
	var hosts []HostImages
	for _, s := range states {
		switch {
		case s.Containers.None:
			continue
		case !s.Containers.Current():
			r.Silent = append(r.Silent, s.Host.Name)
			continue
		}
		h := HostImages{Host: s.Host.Name}
		for _, c := range s.Containers.Value {
			if c.ImageID != "" && c.Image != "" {
				h.Images = append(h.Images, c.Of())
			}
		}
		hosts = append(hosts, h)
	}
	r.versions = versionsOf(hosts)
	return r
}

// Of is the image that a container has, as far as its own list tells.
func (c Container) Of() Image {
	return Image{Engine: c.Engine, User: c.User, ID: c.ImageID, Tags: []string{c.Image}, Digests: c.Digests, Created: c.ImageAt, UsedBy: []string{c.Name}}
}

// Of gives the versions of an image's repository, the newest first, and the place of
// the image among them: -1 where no container has it. None where no container has
// any.
func (r Running) Of(i Image) (list []ImageVersion, own int) {
	for _, repository := range i.repositories() {
		if list = r.versions[repository]; len(list) > 0 {
			return list, slices.IndexFunc(list, i.is)
		}
	}
	return nil, -1
}

// Older tells whether containers have an image of the same repository that was made
// later. Where it is not known when one was made it is not.
func (r Running) Older(i Image) bool {
	list, own := r.Of(i)
	return own > 0 && !list[own].Created.IsZero() && list[0].Created.After(list[own].Created)
}
