package fleet

import (
	"regexp"
	"strings"
)

// MDNS is a program of a host that answers for a name of the local network.
type MDNS struct {
	Responder string `json:"responder"`       // "avahi", "resolved"
	State     string `json:"state,omitempty"` // as it tells it itself: "running", "registering", "collision"
	Name      string `json:"name,omitempty"`  // "storage.local"; "" not known
	Publishes *bool  `json:"publishes"`       // whether others get an answer; null: not known
	Why       string `json:"why,omitempty"`   // why not, or why it is not known
	Wanted    string `json:"wanted,omitempty"`
	// Conflict: another machine had the name Wanted first.
	Conflict bool     `json:"conflict,omitempty"`
	Links    []string `json:"links,omitempty"` // interfaces on which it answers, where that is told
}

// ownNumber is what a responder puts behind its name where the one before was taken:
// "storage-2" by avahi, "storage2" by systemd-resolved.
var ownNumber = regexp.MustCompile(`-?[0-9]+$`)

// Judge finds out whether the name is not the one that the host wanted, because
// another machine had it.
func (m *MDNS) Judge() {
	got, _, _ := strings.Cut(strings.ToLower(m.Name), ".")
	want, _, _ := strings.Cut(strings.ToLower(m.Wanted), ".")
	base := ownNumber.ReplaceAllString(got, "")
	m.Conflict = got != want && base != got && base != "" && (base == want || base == ownNumber.ReplaceAllString(want, ""))
}

// Word is how the name stands, in a word.
func (m MDNS) Word() string {
	switch {
	case m.Conflict:
		return "conflict: " + m.Wanted + " is another's"
	case m.Publishes == nil:
		return strings.TrimSuffix("unknown: "+m.Why, ": ")
	case !*m.Publishes:
		return strings.TrimSuffix("not published: "+m.Why, ": ")
	case m.State != "" && m.State != "running":
		return m.State
	}
	return "published"
}

// Seen are the addresses at which the host was seen by mDNS from this machine.
func (h Host) Seen() (at []string) {
	for _, a := range h.Addresses {
		if a.Via == ViaMDNS {
			at = append(at, a.Host)
		}
	}
	return at
}
