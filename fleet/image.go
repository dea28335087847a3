package fleet

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Image is an image in the store of one engine of a host.
type Image struct {
	Engine  string    `json:"engine"` // "podman" or "docker"
	User    string    `json:"user"`   // whose engine
	ID      string    `json:"id"`     // as the engine tells it: 64 hex digits, of Docker behind "sha256:"
	Tags    []string  `json:"tags"`   // in full: "docker.io/library/caddy:2"; none: another image has the name now
	Digests []string  `json:"digests"`
	Before  []string  `json:"before,omitempty"` // the names it once had, as Podman remembers them
	Created time.Time `json:"created,omitzero"` // when it was made
	Size    uint64    `json:"size"`             // bytes, with what it shares with others
	UsedBy  []string  `json:"usedBy"`           // containers, running or not
	Kept    []Kept    `json:"kept,omitempty"`   // for whom it is kept, to go back to
}

// Kept says that an image is kept because it ran before another took its place.
type Kept struct {
	Container string    `json:"container"`
	Image     string    `json:"image"` // the name that it ran under
	At        time.Time `json:"at"`    // when it was replaced
}

// Digest is the digest under which an image of this repository came from its
// registry, "sha256:…"; "" where it was built or loaded on the host.
func (i Image) Digest(repository string) string {
	for _, d := range i.Digests {
		if at, digest, ok := strings.Cut(d, "@"); ok && at == repository {
			return digest
		}
	}
	return ""
}

// Newer tells whether the registry has another image under a name of this one.
// It is not known where the registry's digest is not, nor where the image did not
// come from a registry.
func (i Image) Newer(name string, registry Fact[string]) (newer, known bool) {
	repository := ImageRepository(name)
	if !registry.HasValue() || i.Digest(repository) == "" {
		return false, false
	}
	return !slices.Contains(i.Digests, repository+"@"+registry.Value), true
}

// ImageRepository is an image's name without its tag and digest.
func ImageRepository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	return name
}

// ImageTag is the tag in an image's name, "" where there is none.
func ImageTag(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return strings.TrimPrefix(strings.TrimPrefix(name, ImageRepository(name)), ":")
}

// RegistryAnswers are what registries said, and which of them want to be left
// alone.
type RegistryAnswers struct {
	Digests map[string]RegistryAnswer `json:"digests"` // by the image's name; of a registry on a loopback address behind the host's ID and a blank
	Held    map[string]time.Time      `json:"held"`    // until when a registry is not asked, by its name
}

// RegistryAnswer is what a registry said of a name.
type RegistryAnswer struct {
	Digest string    `json:"digest"` // "sha256:…"
	At     time.Time `json:"at"`
	Source string    `json:"source"` // which registry, through which host
}

// Join adds the answers of another: of two of one name the later stays.
func (a RegistryAnswers) Join(b RegistryAnswers) RegistryAnswers {
	out := RegistryAnswers{map[string]RegistryAnswer{}, map[string]time.Time{}}
	for _, from := range []RegistryAnswers{a, b} {
		for name, x := range from.Digests {
			if x.At.After(out.Digests[name].At) {
				out.Digests[name] = x
			}
		}
		for name, until := range from.Held {
			if until.After(out.Held[name]) {
				out.Held[name] = until
			}
		}
	}
	return out
}

// Bound drops all but the newest n answers, and what is over by now.
func (a RegistryAnswers) Bound(n int, now time.Time) RegistryAnswers {
	names := slices.SortedFunc(maps.Keys(a.Digests), func(x, y string) int { return a.Digests[y].At.Compare(a.Digests[x].At) })
	for _, name := range names[min(n, len(names)):] {
		delete(a.Digests, name)
	}
	maps.DeleteFunc(a.Held, func(_ string, until time.Time) bool { return !until.After(now) })
	return a
}

// HostImages are the images of a host.
type HostImages struct {
	Host   string // name
	Images []Image
}

// ImageVersions are an image's versions that run in the fleet, where there are
// several.
type ImageVersions struct {
	Repository string         `json:"repository"`
	Versions   []ImageVersion `json:"versions"` // by when they were made, the newest first
}

// ImageVersion is one of them.
type ImageVersion struct {
	Tags    []string  `json:"tags"`
	Digest  string    `json:"digest,omitempty"`
	ID      string    `json:"id"`
	Created time.Time `json:"created,omitzero"`
	Hosts   []string  `json:"hosts"`

	digests []string
}

// Versions are the repositories of which containers of these hosts use different
// images. One image for two kinds of processor has two IDs and a digest in common.
func Versions(hosts []HostImages) []ImageVersions {
	out := []ImageVersions{}
	all := versionsOf(hosts)
	for _, repository := range slices.Sorted(maps.Keys(all)) {
		if v := all[repository]; len(v) > 1 {
			out = append(out, ImageVersions{repository, v})
		}
	}
	return out
}

// versionsOf are the versions of each repository, the newest first.
func versionsOf(hosts []HostImages) map[string][]ImageVersion {
	all := map[string][]ImageVersion{}
	for _, h := range hosts {
		for _, i := range h.Images {
			if len(i.UsedBy) == 0 {
				continue
			}
			for _, repository := range i.repositories() {
				all[repository] = withVersion(all[repository], h.Host, i, repository)
			}
		}
	}
	for _, v := range all {
		slices.SortStableFunc(v, func(a, b ImageVersion) int { return b.Created.Compare(a.Created) })
	}
	return all
}

// repositories are those that an image is, or was, named after.
func (i Image) repositories() []string {
	names := i.Tags
	if len(names) == 0 {
		names = i.Before
	}
	if len(names) == 0 && len(i.Kept) > 0 {
		names = []string{i.Kept[0].Image}
	}
	var out []string
	for _, n := range names {
		if r := ImageRepository(n); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// is tells whether an image is of a version.
func (i Image) is(v ImageVersion) bool {
	return v.ID == i.ID || slices.ContainsFunc(v.digests, func(d string) bool { return slices.Contains(i.Digests, d) })
}

// withVersion adds an image to the versions of its repository.
func withVersion(list []ImageVersion, host string, i Image, repository string) []ImageVersion {
	at := slices.IndexFunc(list, i.is)
	if at < 0 {
		list, at = append(list, ImageVersion{Tags: []string{}, Digest: i.Digest(repository), ID: i.ID, Created: i.Created, Hosts: []string{}}), len(list)
	}
	v := &list[at]
	for _, d := range i.Digests {
		if strings.HasPrefix(d, repository+"@") {
			v.digests = append(v.digests, d)
		}
	}
	for _, n := range i.Tags {
		if t := ImageTag(n); ImageRepository(n) == repository && !slices.Contains(v.Tags, t) {
			v.Tags = append(v.Tags, t)
		}
	}
	if !slices.Contains(v.Hosts, host) {
		v.Hosts = append(v.Hosts, host)
	}
	return list
}

// NamedImage is an image under one of its names, with what the registry has there.
type NamedImage struct {
	Name string `json:"name"` // "": it has none now
	Image
	Registry Fact[string] `json:"registry"` // the digest that the name has there
}

// Standing is how an image stands to what its name has in the registry.
type Standing string

// Standings.
const (
	Same      Standing = "same"
	Newer     Standing = "newer"
	Replaced  Standing = "replaced"   // another image has the name on the host: a restart runs that
	NotPulled Standing = "not pulled" // it was built or loaded on the host: there is nothing to compare
	NotAsked  Standing = "not asked"
	NotKnown  Standing = "?"
	NoName    Standing = "-" // no registry can have it
)

// Standing is how it stands.
func (n NamedImage) Standing() Standing {
	newer, known := n.Newer(n.Name, n.Registry)
	switch {
	case n.Name == "" && len(n.UsedBy) > 0:
		return Replaced
	case n.Name == "" || n.Registry.None:
		return NoName
	case n.Digest(ImageRepository(n.Name)) == "":
		return NotPulled
	case known && newer:
		return Newer
	case known:
		return Same
	case !n.Registry.Asked():
		return NotAsked
	}
	return NotKnown
}

// Title is its name, or what it is known by where it has none.
func (n NamedImage) Title() string {
	switch {
	case n.Name != "":
		return n.Name
	case len(n.Kept) > 0:
		return "(was " + n.Kept[0].Image + ", kept for " + n.Kept[0].Container + ")"
	case len(n.Before) > 0:
		return "(was " + n.Before[0] + ")"
	}
	return "(no name)"
}

// ShortDigest is the beginning of a digest or an ID, as people compare them.
func ShortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return d[:min(12, len(d))]
}
