package podman

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/sextant-fleet/sextant/fleet"
)

// keptUnder is where images are named that ran before another took their place.
// The name says what for: it is on the host, so every client finds it, and an image
// that has a name is not pruned as a dangling one.
const keptUnder = "localhost/sextant-kept/"

// portMark stands in such a name for the colon before a registry's port, which no
// repository may have. No registry's name has it.
const portMark = "__"

// keptTime is how the time stands in such a name.
const keptTime = "20060102T150405Z"

// maxTag is how long a tag may be: distribution spec.
const maxTag = 128

// keptName is the name under which an image is kept for a container that ran it as
// ref: localhost/sextant-kept/docker.io/library/caddy with the tag TIME-LENGTH-CONTAINER-TAG,
// LENGTH being that of the container's name.
func keptName(container, ref string, at time.Time) (repository, tag string, err error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", "", fmt.Errorf("%q is not the name of an image", ref)
	}
	tagged, ok := named.(reference.Tagged)
	if _, pinned := named.(reference.Digested); pinned || !ok {
		return "", "", errPinned
	}
	repository = keptUnder + strings.Replace(reference.Domain(named), ":", portMark, 1) + "/" + reference.Path(named)
	tag = fmt.Sprintf("%s-%d-%s-%s", at.UTC().Format(keptTime), len(container), container, tagged.Tag())
	if len(tag) > maxTag || len(repository) > reference.RepositoryNameTotalLengthMax {
		return "", "", errors.New("the name of the container and its image are too long for one to keep the image under")
	}
	return repository, tag, nil
}

// errPinned is an image that is named by its digest, or by no tag.
var errPinned = errors.New("it is pinned to a digest: the registry has nothing newer of it")

var keptTag = regexp.MustCompile(`^(\d{8}T\d{6}Z)-(\d{1,3})-(.+)$`)

// parseKept reads what keptName made.
func parseKept(name string) (fleet.Kept, bool) {
	rest, ok := strings.CutPrefix(name, keptUnder)
	if !ok {
		return fleet.Kept{}, false
	}
	m := keptTag.FindStringSubmatch(fleet.ImageTag(rest))
	if m == nil {
		return fleet.Kept{}, false
	}
	at, err := time.Parse(keptTime, m[1])
	n, _ := strconv.Atoi(m[2])
	if err != nil || n+1 >= len(m[3]) || m[3][n] != '-' {
		return fleet.Kept{}, false
	}
	return fleet.Kept{Container: m[3][:n], Image: ranAs(fleet.ImageRepository(name)) + ":" + m[3][n+1:], At: at}, true
}

// ranAs is the repository, or the digest, of which something is kept; others stay as
// they are.
func ranAs(name string) string {
	rest, kept := strings.CutPrefix(name, keptUnder)
	if !kept {
		return name
	}
	domain, path, _ := strings.Cut(rest, "/")
	return strings.Replace(domain, portMark, ":", 1) + "/" + path
}

// InFull is the name of an image with its registry and its tag: Docker leaves out
// its own. What is no name stays as it is.
func InFull(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || name == "" {
		return name
	}
	return reference.TagNameOnly(named).String()
}
