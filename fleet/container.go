package fleet

import (
	"strconv"
	"strings"
	"time"
)

// Container is a container of Podman or Docker, or the unit that should be
// running one but does not (State "absent").
type Container struct {
	Engine     string     `json:"engine"` // "podman" or "docker"
	User       string     `json:"user"`   // whose engine
	Name       string     `json:"name"`
	ID         string     `json:"id"`                  // 64 hex digits; empty when absent
	State      string     `json:"state"`               // created, running, paused, exited, …, or "absent"
	Health     string     `json:"health"`              // healthy, unhealthy, starting, "" no check
	Check      *HealthRun `json:"lastCheck,omitempty"` // the last run of its health check; null: none, or not asked
	ExitCode   int        `json:"exitCode,omitempty"`
	Image      string     `json:"image"`
	ImageID    string     `json:"imageId,omitempty"`
	ImageAt    time.Time  `json:"imageCreated,omitzero"`  // when the image was made
	Digest     string     `json:"digest,omitempty"`       // of the image's manifest, sha256:…; "" not known
	Digests    []string   `json:"imageDigests,omitempty"` // all under which registries have the image, "name@sha256:…": of one for several kinds of processor there are two
	Unit       string     `json:"unit"`                   // the systemd unit that owns it; "" none
	UnitSub    string     `json:"unitState,omitempty"`    // active/sub of that unit
	UnitResult string     `json:"unitResult,omitempty"`   // why that unit failed: exit-code, oom-kill, …; "" it did not
	UserUnit   bool       `json:"userUnit,omitempty"`     // Unit belongs to the user's own systemd
	Restarts   *int       `json:"restarts"`               // null: the engine does not tell
	Created    time.Time  `json:"created,omitzero"`
	Started    time.Time  `json:"started,omitzero"`
	Ports      []Port     `json:"ports"`
	Pod        string     `json:"pod,omitempty"`
	Infra      bool       `json:"infra,omitempty"`   // it only holds its pod together
	Compose    string     `json:"compose,omitempty"` // the project of Compose that it is of
	Networks   []string   `json:"networks,omitempty"`
	Command    []string   `json:"command,omitempty"`
}

// Absent is the state of a container that its unit should run but that the
// engine does not have: with --rm a crashed container vanishes.
const Absent = "absent"

// Running tells whether the container's main process lives.
func (c Container) Running() bool { return c.State == "running" }

// Broken tells whether a person should look at the container: unhealthy, or
// its unit failed, or it vanished, or it stopped with an error.
func (c Container) Broken() bool {
	switch {
	case c.State == Absent && c.unitTurns():
		return false
	case c.Health == "unhealthy", c.State == Absent, c.State == "dead", strings.HasPrefix(c.UnitSub, "failed/"):
		return true
	case c.State == "exited" && c.ExitCode != 0:
		return true
	}
	return false
}

// unitTurns tells whether systemd is just starting or stopping the unit, so
// that its container is gone for a moment. Waiting to start it again after it
// failed (activating/auto-restart) is not that.
func (c Container) unitTurns() bool {
	return strings.HasPrefix(c.UnitSub, "activating/start") || strings.HasPrefix(c.UnitSub, "deactivating/")
}

// Port is a published port of a container.
type Port struct {
	HostIP    string `json:"hostIp,omitempty"`
	Host      uint16 `json:"host"`
	Container uint16 `json:"container"`
	Range     uint16 `json:"range,omitempty"` // how many ports from these on; 0 and 1 mean one
	Protocol  string `json:"protocol"`
}

// String is the port in short: "443", "8443>443", "53/udp", "5000+9" for ten.
func (p Port) String() string {
	s := strconv.Itoa(int(p.Host))
	if p.Host != p.Container {
		s += ">" + strconv.Itoa(int(p.Container))
	}
	if p.Range > 1 {
		s += "+" + strconv.Itoa(int(p.Range-1))
	}
	if p.Protocol != "tcp" && p.Protocol != "" {
		s += "/" + p.Protocol
	}
	return s
}

// ContainerStats is one reading of a container's use of its host.
type ContainerStats struct {
	ID       string
	CPU      float64 // cores in use
	Memory   uint64  // bytes
	MemLimit uint64  // bytes; 0: none
	NetIn    uint64  // bytes since start
	NetOut   uint64
	BlockIn  uint64
	BlockOut uint64
	PIDs     uint64
	At       time.Time
}
