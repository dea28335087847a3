package fleet

import "time"

// ContainerDetail is what an engine tells of one container when that is asked
// for by itself. It is asked for when a person looks, and kept nowhere: not in
// the store, the cache or the history. What looks secret in it is hidden unless
// it was asked for, see [LooksSecret].
type ContainerDetail struct {
	Container   Container          `json:"container"`              // as the list has it, with its unit
	Secrets     bool               `json:"secretsShown,omitempty"` // nothing is hidden
	Hidden      int                `json:"hidden"`                 // how many values are hidden, as a whole or in part
	Config      ContainerConfig    `json:"config"`
	Environment []Setting          `json:"environment"`
	Labels      []Setting          `json:"labels"`
	Mounts      []ContainerMount   `json:"mounts"`
	Networks    []ContainerNetwork `json:"networks"`
	Health      *ContainerHealth   `json:"health"`        // null: it has no check
	Cut         []string           `json:"cut,omitempty"` // what was left out because it is too much: "300 labels"
	At          time.Time          `json:"at"`
	Source      string             `json:"source"` // "podman 5.4.2"
}

// Setting is a variable of the environment or a label.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`            // with [Hidden] in the place of what is secret
	Hidden bool   `json:"hidden,omitempty"` // Value is not all of it
}

// ContainerConfig is how a container was made, and how its last run began and
// ended.
type ContainerConfig struct {
	Command     []string  `json:"command"`                 // what runs: the entry point and its arguments
	Made        []string  `json:"createCommand,omitempty"` // the command that made it, where Podman knows
	User        string    `json:"user,omitempty"`
	WorkDir     string    `json:"workDir,omitempty"`
	Hostname    string    `json:"hostname,omitempty"`
	TTY         bool      `json:"tty,omitempty"`
	StopSignal  string    `json:"stopSignal,omitempty"`
	StopTimeout int       `json:"stopTimeout,omitempty"` // seconds
	Restart     string    `json:"restartPolicy"`         // "no", "always", "on-failure:5", …
	AutoRemove  bool      `json:"autoRemove"`            // --rm
	Privileged  bool      `json:"privileged"`
	ReadOnly    bool      `json:"readOnly"` // its root file system
	CapAdd      []string  `json:"capAdd,omitempty"`
	CapDrop     []string  `json:"capDrop,omitempty"`
	Security    []string  `json:"securityOptions,omitempty"`
	Devices     []string  `json:"devices,omitempty"` // HOST or HOST:CONTAINER
	Memory      uint64    `json:"memoryLimit"`       // bytes; 0: none
	CPUs        float64   `json:"cpuLimit"`          // 0: none
	PIDs        int64     `json:"pidsLimit"`         // 0 and below: none
	NetworkMode string    `json:"networkMode,omitempty"`
	PIDMode     string    `json:"pidMode,omitempty"`
	IPCMode     string    `json:"ipcMode,omitempty"`
	UserNS      string    `json:"userNamespace,omitempty"`
	DNS         []string  `json:"dns,omitempty"`
	ExtraHosts  []string  `json:"extraHosts,omitempty"`
	LogDriver   string    `json:"logDriver"`
	Runtime     string    `json:"runtime,omitempty"`
	SecretNames []string  `json:"secrets,omitempty"`     // Podman's secrets it is given, by name
	ImageDigest string    `json:"imageDigest,omitempty"` // sha256:…, where Podman knows
	PID         int       `json:"pid,omitempty"`         // of its first process, on the host
	OOMKilled   bool      `json:"oomKilled,omitempty"`
	Error       string    `json:"error,omitempty"` // why it could not be started
	Finished    time.Time `json:"finished,omitzero"`
}

// ContainerMount is what a container sees at a path of its own.
type ContainerMount struct {
	Type     string   `json:"type"`           // bind, volume, tmpfs, …
	Name     string   `json:"name,omitempty"` // of the volume
	Source   string   `json:"source"`         // path on the host
	Target   string   `json:"target"`         // path in the container
	ReadOnly bool     `json:"readOnly"`
	Options  []string `json:"options,omitempty"`
}

// ContainerNetwork is a network that a container is in.
type ContainerNetwork struct {
	Name    string   `json:"name"`
	IPv4    string   `json:"ipv4,omitempty"` // with the length of its prefix: 10.88.0.7/16
	IPv6    string   `json:"ipv6,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
	MAC     string   `json:"mac,omitempty"`
	Aliases []string `json:"aliases,omitempty"` // names by which the others find it
}

// ContainerHealth is a container's health check and what it said lately.
type ContainerHealth struct {
	Status   string      `json:"status"` // healthy, unhealthy, starting, …; "" it was not run yet
	Streak   int         `json:"failingStreak"`
	Test     []string    `json:"test"`
	Interval Seconds     `json:"interval"`
	Timeout  Seconds     `json:"timeout"`
	Retries  int         `json:"retries"`
	Grace    Seconds     `json:"startPeriod"`
	Runs     []HealthRun `json:"runs"` // the newest first
}

// HealthRun is one run of a health check.
type HealthRun struct {
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
	ExitCode int       `json:"exitCode"`
	Output   string    `json:"output"` // may have several lines
}

// ContainerTop are the processes of a container.
type ContainerTop struct {
	Processes []ContainerProcess `json:"list"`
	More      int                `json:"more,omitempty"` // how many were left out because there are too many
	Hidden    int                `json:"hidden"`         // in how many commands something is hidden
	At        time.Time          `json:"at"`
	Source    string             `json:"source"`
}

// ContainerProcess is a process in a container.
type ContainerProcess struct {
	PID     int     `json:"pid,omitempty"`     // as the container sees it; 0: not told
	HostPID int     `json:"hostPid,omitempty"` // as the host sees it; 0: not told
	Parent  int     `json:"ppid"`              // of the same kind as PID, or HostPID where there is none
	User    string  `json:"user"`
	CPU     float64 `json:"cpu"`     // cores, on average since it began
	Elapsed Seconds `json:"elapsed"` // since it began; below 0: not told
	Memory  uint64  `json:"memory"`  // bytes resident; 0: not told
	Command string  `json:"command"`
}
