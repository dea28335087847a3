package discover

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Names of the sources, as they stand in [fleet.Host.Sources].
const (
	SourceConfig    = "config"
	SourceTailscale = "tailscale"
	SourceControl   = "control"
	SourceLocal     = "local"
	SourceFlake     = "flake"
	SourceSSHConfig = "ssh_config"
	SourceMDNS      = "mdns"
)

// Source is one place that knows machines.
type Source interface {
	// Name is the source's name in [fleet.Host.Sources].
	Name() string
	// Slow tells whether the first answer may take longer than a person who
	// typed one command wants to wait.
	Slow() bool
	// Watch tells emit everything the source knows, at once and again after
	// each change, or why it can tell nothing (a [Trouble] where something can
	// be done about it). What was told before an error stays known, with its
	// age. Watch returns when ctx ends, or earlier when nothing will change.
	Watch(ctx context.Context, emit func([]Sighting, error))
}

// Sighting is what one source says of one machine. Its text is clean.
type Sighting struct {
	Source   string
	Name     string   // what the source calls it
	Aliases  []string // further names the source knows it by
	HostName string   // what its operating system calls itself: not unique, so it ties only where nothing better does

	NodeID    string   // Tailscale's stable node ID
	MachineID string   // /etc/machine-id
	HostKeys  []string // SSH host keys, authorized_keys form
	Addresses []fleet.Address

	User     string
	Port     int    // of the Addresses that name none
	Jump     string // on the way to the Addresses
	Identity string
	Become   fleet.Become
	Checks   []string

	NeverBuild bool // of the configuration
	Role       fleet.Role
	Tier       string
	Tags       []string
	Flake      string // attribute in nixosConfigurations
	OS         string

	Local       bool // this machine
	TailscaleOK bool // Tailscale SSH is offered
	Presence    fleet.Fact[fleet.Presence]
	Joined      time.Time // when the node joined the tailnet; zero: not told

	Node    *fleet.Node // of the tailnet, as far as this source knows it
	Tailnet string      // the end of the names of the node's tailnet

	NotHost string // why the source says that it is no host of the fleet; "" it may be one
	Guess   bool   // NotHost is a guess: a flake that has a system of that name knows better
	Weak    bool   // anybody could have said this (mDNS): it makes no host by itself
}

// Trouble is why a source tells nothing, with what a person can do about it.
type Trouble struct {
	Err  error
	Help string
}

// Error is the reason.
func (t *Trouble) Error() string { return t.Err.Error() }

// Unwrap gives the reason's cause.
func (t *Trouble) Unwrap() error { return t.Err }

// maxName is the longest DNS name; nothing longer is a name of a host.
const maxName = 253

// clean makes a name from outside fit to be kept.
func clean(s string) string {
	s = strings.TrimSpace(fleet.Clean(s))
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

// canon is the form in which names are compared.
func canon(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// dashed is canon with the dots of a flake attribute such as "dev.ldn" as
// MagicDNS writes them: "dev-ldn".
func dashed(name string) string { return strings.ReplaceAll(canon(name), ".", "-") }

// label is the first label of a name: "storage" of "storage.lan".
func label(name string) string {
	first, _, _ := strings.Cut(canon(name), ".")
	return first
}

// isIP tells whether a name is an IP address, with or without a zone.
func isIP(name string) bool {
	host, _, _ := strings.Cut(name, "%")
	return net.ParseIP(host) != nil
}

// validHostName tells whether s can be a host's name: letters, digits, dash,
// dot and underscore, none but the first two at its ends. A leading dash would
// be an option to ssh.
func validHostName(s string) bool {
	if s == "" || len(s) > maxName || isIP(s) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || i == len(s)-1 || !strings.ContainsRune("-._", rune(c))) {
			return false
		}
	}
	return true
}

// add appends the values that are not in the list yet, ignoring case and "".
func add(list []string, values ...string) []string {
	for _, v := range values {
		if v != "" && !slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, v) }) {
			list = append(list, v)
		}
	}
	return list
}
