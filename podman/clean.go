package podman

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxText is how many bytes of one text of a container are kept. Real ones
// are shorter; what a hostile image brings must not fill the store.
const maxText = 4096

// maxList is how many entries of a container's list (command, ports,
// networks) are kept.
const maxList = 256

// text cleans and bounds a text from a host.
func text(s string) string { return fleet.Clean(s[:min(len(s), maxText)]) }

// texts cleans and bounds a list of texts from a host.
func texts(list []string) []string {
	list = list[:min(len(list), maxList)]
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = text(s)
	}
	return out
}

// serviceName is what may name a systemd service, see systemd.unit(5). A unit
// that a container's label names becomes an argument of systemctl one day: it
// must not look like an option or a path.
var serviceName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,240}\.service$`)

// unitLabel is set by Podman from the environment of the unit that ran it,
// which quadlets and NixOS' oci-containers set to their own name.
const unitLabel = "PODMAN_SYSTEMD_UNIT"

// unitOf is the unit that a container's labels name, or "".
func unitOf(labels map[string]string) string {
	if u := labels[unitLabel]; serviceName.MatchString(u) {
		return u
	}
	return ""
}

// containerID is what names a container beyond doubt; anything else a host
// may call an ID is kept for show but never asked for.
var containerID = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// health keeps the words of a health check that mean something now. Podman's
// "reset" is a check that begins anew; what a stopped container said last is
// old news.
func health(state, word string) string {
	if state != "running" && state != "paused" {
		return ""
	}
	switch word {
	case "healthy", "unhealthy", "starting":
		return word
	case "reset":
		return "starting"
	}
	return ""
}

// epoch is a time of seconds since 1970; Podman says −62135596800 for never.
func epoch(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// protocol is tcp, udp or sctp.
func protocol(s string) string {
	if s = strings.ToLower(text(s)); s == "" {
		return "tcp"
	}
	return s
}

// mergePorts bounds the ports and folds the same one published on IPv4 and
// IPv6, which Docker lists twice, into one.
func mergePorts(ports []fleet.Port) []fleet.Port {
	out := make([]fleet.Port, 0, min(len(ports), maxList))
	seen := map[fleet.Port]bool{}
	for _, p := range ports {
		key := p
		if key.HostIP == "::" || key.HostIP == "0.0.0.0" {
			key.HostIP = ""
		}
		if !seen[key] && len(out) < maxList {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

// manifest is the digest of an image's manifest.
var manifest = regexp.MustCompile(`^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$`)

// digest is a digest that a host told, or "".
func digest(s string) string {
	if !manifest.MatchString(s) {
		return ""
	}
	return s
}

// fillDates sets the digests of the containers' images, and when the containers' images were made, from what is known of
// the images, and tells whether all are known. When the images were just read,
// one that is not among them (deleted, but still in use) counts as known, so
// that it is not looked for again.
func fillDates(list []fleet.Container, images map[string]imageFacts, fresh bool) bool {
	all := images != nil || len(list) == 0
	for i, c := range list {
		image, ok := images[c.ImageID]
		if list[i].ImageAt, list[i].Digest, list[i].Digests = image.Made, image.Digest, image.Digests; ok || c.ImageID == "" {
			continue
		}
		all = false
		if fresh && images != nil {
			images[c.ImageID] = imageFacts{}
		}
	}
	return all
}

// sorted sorts a list in place and gives it back.
func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// told is an error whose text came from a host, made fit to be shown.
type told struct{ error }

// Error is the clean text.
func (t told) Error() string { return fleet.Short(fleet.Clean(t.error.Error()), 400) }

// Unwrap gives the error as it came.
func (t told) Unwrap() error { return t.error }
