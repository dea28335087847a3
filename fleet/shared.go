package fleet

import "time"

// Shared is what the containers of a host have together: pods, networks and
// volumes, of root's engines and of every user's.
type Shared struct {
	Pods     []Pod
	Networks []Network
	Volumes  []Volume
}

// Pod is a pod of Podman. Docker has none.
type Pod struct {
	Engine     string    `json:"engine"`
	User       string    `json:"user"` // whose engine
	Name       string    `json:"name"`
	ID         string    `json:"id"`
	State      string    `json:"state"` // running, degraded, exited, created, paused, …
	Created    time.Time `json:"created,omitzero"`
	Networks   []string  `json:"networks"`
	Containers []string  `json:"containers"` // names, without the one that Podman adds to hold the pod
	Stopped    []string  `json:"stopped"`    // those of them that do not run
}

// Unused tells whether the pod has no container of its own.
func (p Pod) Unused() bool { return len(p.Containers) == 0 }

// Network is a network of an engine.
type Network struct {
	Engine     string    `json:"engine"`
	User       string    `json:"user"`
	Name       string    `json:"name"`
	ID         string    `json:"id"`
	Driver     string    `json:"driver"`
	Interface  string    `json:"interface,omitempty"` // on the host; Docker does not tell
	Subnets    []string  `json:"subnets"`
	Internal   bool      `json:"internal"` // no way out
	DNS        bool      `json:"dns"`      // its containers find each other by name
	Builtin    bool      `json:"builtin"`  // the engine made it, whether somebody uses it or not
	Created    time.Time `json:"created,omitzero"`
	Containers []string  `json:"containers"` // names of those that are in it, stopped ones too; "pod NAME" for a pod
}

// Unused tells whether somebody made the network and no container is in it.
func (n Network) Unused() bool { return len(n.Containers) == 0 && !n.Builtin }

// Volume is a volume of an engine.
type Volume struct {
	Engine     string    `json:"engine"`
	User       string    `json:"user"`
	Name       string    `json:"name"`
	Driver     string    `json:"driver"`
	Path       string    `json:"path"` // on the host
	Anonymous  bool      `json:"anonymous"`
	Created    time.Time `json:"created,omitzero"`
	Containers []string  `json:"containers"` // names of those that mount it, stopped ones too; null: not told
}

// Unused tells whether no container mounts the volume; who is not told is no
// reason to call it unused.
func (v Volume) Unused() bool { return v.Containers != nil && len(v.Containers) == 0 }
