package discover

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// node is what the daemon and the control plane both know of a node of the
// tailnet, as far as it tells whether the node is a machine of the fleet.
type node struct {
	name      string // without the tailnet's suffix
	os        string // as Hostinfo spells it: linux, macOS, iOS, …
	tags      []string
	exit      bool   // offers itself as an exit node
	ssh       bool   // runs Tailscale SSH
	ephemeral bool   // the control plane forgets it when it goes offline
	mullvad   bool   // an exit node that Mullvad runs
	foreign   string // whose it is, where it is not of this tailnet
}

// systems are operating systems that NixOS is not, and what has them.
var systems = map[string]string{
	"ios": "phone (iOS)", "android": "phone (Android)", "tvos": "television (tvOS)",
	"macos": "Mac", "darwin": "Mac", "windows": "Windows machine", "js": "browser", "wasm": "browser",
	"freebsd": "FreeBSD machine", "openbsd": "OpenBSD machine", "netbsd": "NetBSD machine",
	"illumos": "illumos machine", "solaris": "Solaris machine", "plan9": "Plan 9 machine",
}

// defaultServiceTags are tags under which people run one node for each
// service they expose (tsnsrv, tsdproxy, the Kubernetes operator).
var defaultServiceTags = []string{"service", "services", "tsnsrv", "tsdproxy", "container", "k8s-operator"}

// exitName tells of a container that does nothing but offer an exit node.
var exitName = regexp.MustCompile(`(^|-)exit(-|[0-9]|$)`)

// notHost says why a node is no host of the fleet, "" where it may be one, and
// whether that is a guess from its name.
func (n node) notHost(serviceTags []string) (why string, guess bool) {
	if len(serviceTags) == 0 {
		serviceTags = defaultServiceTags
	}
	switch {
	case n.mullvad || slices.Contains(n.tags, "mullvad-exit-node"):
		return "Mullvad exit node", false
	case n.foreign != "":
		return n.foreign, false
	case systems[strings.ToLower(n.os)] != "":
		return systems[strings.ToLower(n.os)], false
	}
	for _, t := range n.tags {
		if slices.Contains(serviceTags, t) {
			return "service node (tag:" + t + ")", false
		}
	}
	if n.ephemeral {
		return "ephemeral node: a service or a job, not a machine", false
	}
	// A router that offers an exit node is a host; so is what lets one log in.
	if n.exit && !n.ssh && (exitName.MatchString(n.name) || slices.ContainsFunc(n.tags, exitName.MatchString)) {
		return "exit node", true
	}
	return "", false
}

// tagNames are Tailscale's tags without "tag:".
func tagNames(tags []string) []string {
	var out []string
	for _, t := range tags {
		out = add(out, clean(strings.TrimPrefix(t, "tag:")))
	}
	return out
}

// tailnetName splits a node's DNS name: the short name, and the full one. The
// node keeps its full name where it is not of the tailnet with that suffix.
func tailnetName(dnsName, suffix, hostName string) (short, full string) {
	full = canon(clean(dnsName))
	suffix = canon(clean(suffix))
	short = full
	if suffix != "" {
		short = strings.TrimSuffix(full, "."+suffix)
	} else if first, _, ok := strings.Cut(full, "."); ok {
		short = first
	}
	// A name that begins with a dash would be an option to ssh.
	return cmp.Or(strings.TrimLeft(short, "-"), strings.TrimLeft(clean(hostName), "-"), "unnamed"), full
}
