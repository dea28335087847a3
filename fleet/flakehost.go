package fleet

import (
	"errors"
	"slices"
	"time"
)

// Outputs of a flake that declare hosts, as FlakeHost.From has them.
const (
	FromSystems = "nixosConfigurations"
	FromDeploy  = "deploy.nodes" // deploy-rs
	FromHive    = "colmenaHive"
	FromColmena = "colmena" // colmena before its hive: a set of modules
	FromTiers   = "tiers"   // tier1 = [ "storage" "router" ]
)

// ErrNoSystems is a flake that declares no systems.
var ErrNoSystems = errors.New("it declares no nixosConfigurations")

// FlakeHost is a host that a flake declares, with what its deployers' own
// settings say of how it is reached and built. They are read, never required.
type FlakeHost struct {
	Attr           string            // its name in the outputs of From
	Hostname       string            // where it is reached; "" is not told
	User           string            // that logs in there
	Port           int               // 0: not told
	Identity       string            // a private key file; "" is not told
	Jump           string            // on the way there, as ssh_config writes it
	Tags           []string          //
	Tier           string            // of those in the flake's tiers; "" is not told
	BuildOnTarget  bool              //
	ConfirmTimeout time.Duration     // deploy-rs; 0: not told
	SSHOptions     []string          // deploy-rs' sshOpts, a word each
	Options        map[string]string // other settings, by the deployer's own names
	From           []string          // the outputs that tell of it
}

// System tells whether the host is one of nixosConfigurations, which is what is built.
func (h FlakeHost) System() bool { return slices.Contains(h.From, FromSystems) }
