package fleet

import (
	"strconv"
	"strings"
	"time"
)

// HostID names a host in the store for as long as this process lives and in
// the history across processes. It survives a rename: it comes from
// Tailscale's stable node ID where there is one, else from the name.
type HostID string

// Via says which way an address leads to a host.
type Via string

// Ways to a host.
const (
	ViaTailnet Via = "tailnet"
	ViaLAN     Via = "lan"
	ViaMDNS    Via = "mdns"
	ViaConfig  Via = "config" // given by the person: configuration file or ssh_config
	ViaLocal   Via = "local"  // this machine
)

// Address is one way to a host's sshd. Port 0 means the host's usual port.
type Address struct {
	Via  Via    `json:"via"`
	Host string `json:"host"` // IP address or name
	Port int    `json:"port,omitempty"`
}

// Join gives host:port, with the given port where the address has none.
func (a Address) Join(port int) string {
	if a.Port != 0 {
		port = a.Port
	}
	if port == 0 {
		port = 22
	}
	host := a.Host
	if strings.Contains(host, ":") { // IPv6
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// Become is how root rights are had on a host.
type Become string

// Ways to become root.
const (
	BecomeAuto Become = "auto" // find out
	BecomeNone Become = "none" // never: stay who we are
	BecomeSudo Become = "sudo"
	BecomeDoas Become = "doas"
	BecomeRun0 Become = "run0"
)

// Host is a machine of the fleet and how to reach it. What is known of its
// inside is in [State].
type Host struct {
	ID        HostID    `json:"id"`
	Name      string    `json:"name"`              // what it is called here: the shortest name its sources agree on
	Aliases   []string  `json:"aliases,omitempty"` // its other names: former ones, flake attribute, tailnet name
	Sources   []string  `json:"sources,omitempty"` // who told of it: "tailscale", "config", "ssh_config", "flake", "mdns", "control", "local"
	Addresses []Address `json:"addresses,omitempty"`
	Tags      []string  `json:"tags,omitempty"`  // Tailscale tags without "tag:", groups of the configuration, colmena's tags
	OS        string    `json:"os,omitempty"`    // as its source says: "linux", "" unknown
	Local     bool      `json:"local,omitempty"` // this machine: reached without SSH

	User     string   `json:"user,omitempty"`     // SSH user; empty: ssh_config's, else root
	Port     int      `json:"port,omitempty"`     // SSH port; 0: ssh_config's, else 22
	Jump     string   `json:"jump,omitempty"`     // ProxyJump, as ssh_config writes it; empty: ssh_config's
	Identity string   `json:"identity,omitempty"` // private key file; empty: the agent and the usual files
	Become   Become   `json:"become,omitempty"`   // empty: auto
	Flake    string   `json:"flake,omitempty"`    // attribute in nixosConfigurations, where known
	Checks   []string `json:"checks,omitempty"`

	Role     Role   `json:"role,omitempty"`     // as the configuration, a tag or its name says; see [State.Role]
	RoleFrom string `json:"roleFrom,omitempty"` // who says so: ByConfig, "tag nas", "its name"
	Tier     string `json:"tier,omitempty"`     // "tier1": how much it matters, in the person's own words
	TierFrom string `json:"tierFrom,omitempty"` // who says so: ByConfig, ByFlake, "tag tier1"

	NeverBuild bool `json:"neverBuild,omitempty"` // nothing is built there, whatever a deployer says

	NodeID      string   `json:"nodeId,omitempty"`       // Tailscale's stable node ID
	MachineID   string   `json:"machineId,omitempty"`    // /etc/machine-id, once read
	HostKeys    []string `json:"hostKeys,omitempty"`     // SSH host keys vouched for by Tailscale, authorized_keys form
	TailscaleOK bool     `json:"tailscaleSsh,omitempty"` // Tailscale SSH is offered there

	Presence Fact[Presence] `json:"presence,omitzero"` // what the tailnet says of it
}

// Presence is what Tailscale knows of a node without asking it.
type Presence struct {
	Online    bool      `json:"online"`
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	Path      string    `json:"path,omitempty"`  // "direct", "relay" or "" when no traffic flows
	Relay     string    `json:"relay,omitempty"` // DERP region code
	KeyExpiry time.Time `json:"keyExpiry,omitzero"`
	Expired   bool      `json:"expired,omitempty"`
}

// Other is something a source told of that is not a host of the fleet.
type Other struct {
	Name    string   `json:"name"`
	Why     string   `json:"why"` // "phone (iOS)", "duplicate of storage", …
	Sources []string `json:"sources,omitempty"`

	NodeID    string `json:"-"` // of the tailnet's node that it is
	Duplicate string `json:"-"` // the host that it is an earlier registration of
}

// SourceState is how a source of hosts is doing.
type SourceState struct {
	Source string    `json:"source"`
	At     time.Time `json:"at,omitzero"`
	Err    string    `json:"error,omitempty"` // why it tells nothing
	Help   string    `json:"help,omitempty"`  // what a person can do about it
	Count  int       `json:"count"`           // names it told of
}

// Offline tells whether the tailnet says just now that the host is off. It may be wrong.
func (h Host) Offline() bool { return h.Presence.Current() && !h.Presence.Value.Online }
