// Package discover finds out who is in the fleet. Every place that knows
// machines is a [Source] in a file of its own: the tailnet, Tailscale's
// control plane, the configuration file, this machine, a flake, ssh_config and
// mDNS. Sources tell what they saw as [Sighting]s; [Merge] makes hosts of
// them; [Discover] runs the sources and keeps the result current.
//
// It asks no host anything: what a host is and has is found out elsewhere. The
// configuration file of the whole product is read here too, because it names
// hosts.
package discover
