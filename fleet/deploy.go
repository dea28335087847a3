package fleet

import (
	"strings"
	"time"
)

// DeployState is where a change of a host's system stands.
type DeployState string

// States of a deploy. A host is always in one of two: the new system, running
// and the default after somebody reached it, or the one that ran before.
const (
	Preflight      DeployState = "PREFLIGHT" // here, nothing was changed there
	Building       DeployState = "BUILDING"
	Copying        DeployState = "COPYING"
	Staged         DeployState = "STAGED"
	Activating     DeployState = "ACTIVATING"
	Awaiting       DeployState = "AWAITING" // it runs; it becomes the default when it is confirmed
	Committing     DeployState = "COMMITTING"
	Confirmed      DeployState = "CONFIRMED"
	Refused        DeployState = "REFUSED" // nothing was changed
	NeedsReboot    DeployState = "NEEDS_REBOOT"
	RollingBack    DeployState = "ROLLING_BACK"
	RolledBack     DeployState = "ROLLED_BACK"
	RollbackFailed DeployState = "ROLLBACK_FAILED"
	Cancelled      DeployState = "CANCELLED" // it went back because somebody said so
	Conflict       DeployState = "CONFLICT"  // somebody else moved the profile: left as it is
	Unreachable    DeployState = "UNKNOWN"   // the host cannot be asked just now
)

// Over tells whether nothing more will happen by itself.
func (s DeployState) Over() bool {
	switch s {
	case Confirmed, Refused, NeedsReboot, RolledBack, RollbackFailed, Cancelled, Conflict:
		return true
	}
	return false
}

// UnderWay tells whether something is done on the host, or waited for there.
func (s DeployState) UnderWay() bool {
	switch s {
	case Staged, Activating, Awaiting, Committing, RollingBack:
		return true
	}
	return false
}

// Words names the state for people: "rolling back".
func (s DeployState) Words() string { return strings.ReplaceAll(strings.ToLower(string(s)), "_", " ") }

// Deploy is one change of a host's system, deploy or roll-back, as the host
// tells of it.
type Deploy struct {
	ID       string      `json:"id"`
	Kind     string      `json:"kind"`   // "deploy" or "rollback"
	Action   string      `json:"action"` // "switch", "boot", "test"
	State    DeployState `json:"state"`
	Why      string      `json:"why,omitempty"` // what brought it into its state
	From     Toplevel    `json:"from"`
	To       Toplevel    `json:"to"`
	Who      string      `json:"who"`
	Client   string      `json:"client"` // the machine it was begun from
	Revision string      `json:"revision,omitempty"`
	Started  time.Time   `json:"started"`
	Changed  time.Time   `json:"changed"`            // when it came into its state
	Deadline time.Time   `json:"deadline,omitzero"`  // it goes back by itself then, while it is waiting
	Findings []string    `json:"findings,omitempty"` // what the checks found
	Result   string      `json:"result,omitempty"`   // in one line, once it is over
	Line     string      `json:"line,omitempty"`     // the last of its log, while it is under way

	Unsettled bool `json:"unsettled,omitempty"` // the host was restarted meanwhile: what is left there is put right by its next change, or by cancel
}

// Reason is what brought it into its state, and what was found on the host then.
func (d Deploy) Reason() string {
	if len(d.Findings) == 0 {
		return d.Why
	}
	return strings.TrimPrefix(d.Why+"; found: "+strings.Join(d.Findings, ", "), "; ")
}

// Doing is how a deploy that is run from here is getting on with one host. Until it
// is staged the host itself knows nothing of it.
type Doing struct {
	State DeployState // "": nothing is done to it from here
	Kind  string
	Line  string // the last that was told
	Since time.Time
	Who   string
	From  string // the machine
}

// Difference is what is different between two systems of a host.
type Difference struct {
	From     string          `json:"from"` // store paths
	To       string          `json:"to"`
	Packages []PackageChange `json:"packages"`
	Added    int             `json:"added"`            // store paths only in To
	Removed  int             `json:"removed"`          // store paths only in From
	Size     int64           `json:"size"`             // bytes that To takes more, or less, of what is not in both
	Units    []UnitChange    `json:"units"`            // unit files that differ
	Kernel   [2]string       `json:"kernel"`           // versions, from and to; "" where there is none
	Reboot   []string        `json:"reboot,omitempty"` // parts that only a reboot renews and that differ
	Unseen   []string        `json:"unseen,omitempty"` // what could not be told: there may be more that differs
}

// PackageChange is one name whose versions differ between two closures. No
// versions on one side: it is added or removed.
type PackageChange struct {
	Name string   `json:"name"`
	Old  []string `json:"old"` // versions, sorted; "" is a path without one
	New  []string `json:"new"`
	Size int64    `json:"size,omitempty"` // bytes more (or less) than before, where sizes were told
}

// UnitChange is a unit file that differs between two systems.
type UnitChange struct {
	Unit string `json:"unit"`
	How  string `json:"how"` // "added", "removed", "changed"
}
