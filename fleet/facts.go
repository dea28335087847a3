package fleet

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ReachState is whether a host answers.
type ReachState string

// States of reaching a host. Asking is only ever seen on screens.
const (
	Up     ReachState = "up"
	Down   ReachState = "down"
	Asking ReachState = "asking"
)

// Reach is how a host was reached.
type Reach struct {
	State   ReachState `json:"state"`
	Via     Via        `json:"via,omitempty"`
	Path    string     `json:"path,omitempty"`    // "direct" or "relay", on the tailnet
	Address string     `json:"address,omitempty"` // host:port, or "" locally
	User    string     `json:"user,omitempty"`
	Root    string     `json:"root,omitempty"` // how root is had: "root", "sudo", "doas", "run0", "" not at all
	HostKey string     `json:"-"`              // the key it showed, authorized_keys form
	Latency Seconds    `json:"latency"`        // one keep-alive round trip, seconds
}

// Toplevel is a built NixOS system, and its generation where a profile link
// points at it, or at the system that it is a specialisation of (0: none does).
type Toplevel struct {
	Path           string `json:"path"`
	Generation     int    `json:"generation,omitempty"`
	Specialisation string `json:"specialisation,omitempty"` // its name in the system Base; "": it is none
	Base           string `json:"base,omitempty"`           // the store path of that system
}

// System is the store path of the system itself, also of a specialisation.
func (t Toplevel) System() string { return cmp.Or(t.Base, t.Path) }

// System is what a host is and runs.
type System struct {
	NixOS        bool     `json:"nixos"`
	OSName       string   `json:"osName"` // PRETTY_NAME of os-release
	Hostname     string   `json:"hostname"`
	Arch         string   `json:"arch"` // uname -m
	Kernel       string   `json:"kernel"`
	Running      Toplevel `json:"running"` // /run/current-system
	Default      Toplevel `json:"default"` // the system profile
	Booted       Toplevel `json:"booted"`  // /run/booted-system
	RebootNeeded bool     `json:"rebootNeeded"`
	RebootWhy    []string `json:"rebootWhy,omitempty"` // "kernel", "initrd", "kernel-modules", "systemd"
	NixOSVersion string   `json:"nixosVersion,omitempty"`
	Revision     string   `json:"revision,omitempty"` // configurationRevision, where the flake sets it
	Manager      string   `json:"manager"`            // systemctl is-system-running, or "none"
	Uptime       Seconds  `json:"uptime"`             // seconds
	BootID       string   `json:"bootId,omitempty"`
	MachineID    string   `json:"machineId,omitempty"`
	UID          int      `json:"uid"`              // who asked
	Unseen       []string `json:"unseen,omitempty"` // what could not be seen, and why
	ClockSkew    Seconds  `json:"clockSkew"`        // host's clock minus ours, at the time of reading
}

// Differs tells whether the running system is not the default one. A
// specialisation of the default is no other system.
func (s System) Differs() bool {
	return s.Running.Path != "" && s.Default.Path != "" && s.Running.System() != s.Default.Path
}

// Seconds is a duration in machine output: a number of seconds.
type Seconds float64

// Duration gives s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Generation is one generation of the system profile.
type Generation struct {
	Number          int       `json:"generation"`
	Path            string    `json:"path"`
	Date            time.Time `json:"date,omitzero"` // mtime of the profile link
	NixOSVersion    string    `json:"nixosVersion"`
	Kernel          string    `json:"kernel"` // empty: the toplevel has none (container) or it could not be read
	Revision        string    `json:"revision"`
	Running         bool      `json:"running"`
	Default         bool      `json:"default"`
	Booted          bool      `json:"booted"`
	BootEntry       *bool     `json:"bootEntry"`             // has an entry in the boot menu; null: could not be read
	BootMissing     []string  `json:"bootMissing,omitempty"` // what that entry starts and is not there, or is empty: it does not boot
	Specialisations []string  `json:"specialisations"`
}

// Unit is a systemd unit.
type Unit struct {
	Name        string    `json:"unit"`
	User        string    `json:"user,omitempty"` // whose own systemd it belongs to; "" the system's
	Load        string    `json:"load"`
	Active      string    `json:"active"`
	Sub         string    `json:"sub"`
	Description string    `json:"description"`
	Result      string    `json:"result,omitempty"`     // of its last run; only for units asked in detail
	ExitStatus  int       `json:"exitStatus,omitempty"` // of the main process of its last run
	Forgotten   bool      `json:"forgotten,omitempty"`  // that run failed, and systemd was made to forget it: "reset-failed", as switching does
	Started     time.Time `json:"started,omitzero"`     // main process of the last run since boot
	Exited      time.Time `json:"exited,omitzero"`
	Restarts    int       `json:"restarts,omitempty"`
	Type        string    `json:"type,omitempty"`
	Invocation  string    `json:"invocation,omitempty"`
	Triggers    []string  `json:"triggers,omitempty"` // timers that start it
	Source      string    `json:"source,omitempty"`   // SourcePath: the quadlet file, if any
	FileState   string    `json:"fileState,omitempty"`
	Since       time.Time `json:"since,omitzero"`    // when it came into its state; only where all units were asked
	Memory      *uint64   `json:"memory,omitempty"`  // bytes in use now; null: not told
	Skipped     bool      `json:"skipped,omitempty"` // its conditions were not met when it was last started
}

// Failed tells whether systemd calls the unit failed.
func (u Unit) Failed() bool { return u.Active == "failed" }

// LastExit is how the unit's last run ended: "exit-code 1", "timeout", "0"; ""
// where none has ended that systemd knows of.
func (u Unit) LastExit() string {
	switch {
	case u.Result != "" && u.Result != "success" && u.ExitStatus != 0:
		return u.Result + " " + strconv.Itoa(u.ExitStatus)
	case u.Result != "" && u.Result != "success":
		return u.Result
	case !u.Exited.IsZero():
		return strconv.Itoa(u.ExitStatus)
	}
	return ""
}

// Listed tells whether the unit is listed where nobody asks for units of every
// kind: what runs, what starts it, and what failed; but none in which Podman checks
// a container's health, of which the container tells.
func (u Unit) Listed() bool {
	if healthCheck.MatchString(u.Name) {
		return false
	}
	if u.Failed() {
		return true
	}
	for _, kind := range []string{".service", ".timer", ".socket", ".path"} {
		if strings.HasSuffix(u.Name, kind) {
			return u.Load != "not-found"
		}
	}
	return false
}

// Label is the unit's name, with the user's in front where it belongs to a
// user's own systemd: "ada: notes.service".
func (u Unit) Label() string {
	if u.User == "" {
		return u.Name
	}
	return u.User + ": " + u.Name
}

// UnitLabelled gives the name of a unit and its user out of its label.
func UnitLabelled(label string) (name, user string) {
	if user, name, ok := strings.Cut(label, ": "); ok {
		return name, user
	}
	return label, ""
}

// OfSystem gives those units that belong to the system, not to a user: one of
// theirs may be called like one of the system's and is another.
func OfSystem(list []Unit) []Unit {
	return slices.DeleteFunc(slices.Clone(list), func(u Unit) bool { return u.User != "" })
}

// Timer is a systemd timer.
type Timer struct {
	Name      string    `json:"unit"`
	Activates string    `json:"activates"`
	Next      time.Time `json:"next,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	Period    Seconds   `json:"period,omitempty"` // distance between two runs where it can be told, seconds
	User      string    `json:"user,omitempty"`   // whose own systemd it belongs to; "" the system's
	Active    string    `json:"active,omitempty"` // active, inactive, failed; only where all units were asked
	FileState string    `json:"fileState,omitempty"`
	Skipped   bool      `json:"skipped,omitempty"` // it is not active because its conditions were not met
}

// Label is the timer's name, as [Unit.Label] gives a unit's.
func (t Timer) Label() string { return Unit{Name: t.Name, User: t.User}.Label() }

// Idle tells whether the timer is enabled and yet will start nothing, because it
// is not active. One whose conditions were not met is meant to be so.
func (t Timer) Idle() bool {
	return (t.FileState == "enabled" || t.FileState == "enabled-runtime") && (t.Active == "inactive" || t.Active == "failed") && !t.Skipped
}

// UnitList is all that a host's systemds tell of their units: the system's and
// those of users.
type UnitList struct {
	Units  []Unit   `json:"units"`
	Timers []Timer  `json:"timers"`
	Unseen []string `json:"unseen,omitempty"` // what could not be seen, and why
}

// UnitDetail is what systemd tells of one unit.
type UnitDetail struct {
	Unit       Unit         `json:"unit"`
	Properties [][2]string  `json:"properties"`   // name and value, as systemctl show tells them
	File       string       `json:"file"`         // systemctl cat; unless Secrets, with all that it puts into the environment hidden, and what looks secret in its commands
	Hidden     int          `json:"hidden"`       // how many values of File are hidden
	Secrets    bool         `json:"secrets"`      // nothing is hidden: it was asked for
	As         string       `json:"as,omitempty"` // who read it: root, or the login user; "" not known
	Broken     []Dependency `json:"broken"`       // what it needs and that is broken
	Unseen     []string     `json:"unseen,omitempty"`
	At         time.Time    `json:"at"`
	Source     string       `json:"source"`
}

// Dependency is a unit that another one needs, over others where it does so.
type Dependency struct {
	Name  string   `json:"unit"`
	Kind  string   `json:"kind"` // Requires, BindsTo, Requisite, Wants
	Via   []string `json:"via"`  // from the unit that was asked about to the one that needs it
	State string   `json:"state"`
}

// Inventory is which programs, sockets and files a host has; the keys are the
// names the probe uses.
type Inventory struct {
	Programs map[string]string `json:"programs,omitempty"` // name → path
	Sockets  []Socket          `json:"sockets,omitempty"`
	Rootless []Rootless        `json:"rootless,omitempty"` // users with containers of Podman's of their own
	Ports    []int             `json:"ports,omitempty"`    // TCP ports listened on at a loopback or any address
	Files    []string          `json:"files,omitempty"`    // of the probe's list of telling files, those that exist
	Deploys  string            `json:"deploys,omitempty"`  // another as soon as anything was written down of a deploy; "" without root
	Deployed DeployState       `json:"deployed,omitempty"` // how the newest deploy ended; "?" one is not over, "" none is seen
	Pulled   *Pulled           `json:"pulled,omitempty"`   // what comin deployed last; nil: nothing of it is seen
}

// Unsettled tells whether the newest deploy needs somebody: it is not over, or did not
// end well.
func (i Inventory) Unsettled() bool {
	switch i.Deployed {
	case "", Confirmed, Cancelled, Refused:
		return false
	}
	return true
}

// Socket is a unix socket of interest, and whether we may open it.
type Socket struct {
	Path  string `json:"path"`
	Real  string `json:"real,omitempty"` // where Path leads, through links: /run/docker.sock may be Podman's
	Owner string `json:"owner"`
	Open  bool   `json:"open"` // the user we are may read and write it
}

// Rootless is a user who has containers, whether Podman listens for that user
// or not.
type Rootless struct {
	User    string `json:"user"`
	Home    string `json:"home"`
	Runtime string `json:"runtime,omitempty"` // XDG_RUNTIME_DIR, where the user has one now
}

// Has tells whether the host has the program.
func (i Inventory) Has(program string) bool { return i.Programs[program] != "" }

// Disk is a mounted file system. Sizes are bytes.
type Disk struct {
	Mount  string `json:"mount"`
	Source string `json:"source"`
	Type   string `json:"type,omitempty"`
	Used   uint64 `json:"used"`
	Total  uint64 `json:"total"`
	Avail  uint64 `json:"avail"` // for ordinary users: Used+Avail may be less than Total
}

// Fraction is how full the disk is, 0…1, as df counts it.
func (d Disk) Fraction() float64 {
	if d.Used+d.Avail == 0 {
		return 0
	}
	return float64(d.Used) / float64(d.Used+d.Avail)
}

// Memory is a host's memory in bytes; Used excludes what can be freed.
type Memory struct {
	Used  uint64 `json:"used"`
	Total uint64 `json:"total"`
}

// Metrics is how busy a host is. CPU is -1 when it is not known.
type Metrics struct {
	CPU      float64            `json:"cpu"` // share of all cores in use, 0…1
	Load1    float64            `json:"load1"`
	Load5    float64            `json:"load5,omitempty"`
	Load15   float64            `json:"load15,omitempty"`
	Cores    int                `json:"cores,omitempty"`
	Memory   Memory             `json:"memory"`
	Swap     Memory             `json:"swap,omitzero"`
	Disks    []Disk             `json:"disks"`
	NetIn    float64            `json:"netIn,omitempty"`  // bytes per second
	NetOut   float64            `json:"netOut,omitempty"` // bytes per second
	DiskIn   float64            `json:"diskRead,omitempty"`
	DiskOut  float64            `json:"diskWrite,omitempty"`
	Pressure map[string]float64 `json:"pressure,omitempty"` // "cpu", "memory", "io": share of time some task waited, 10 s average, 0…1
	Temps    []Temperature      `json:"temperatures,omitempty"`
}

// Temperature of one sensor in °C.
type Temperature struct {
	Sensor  string  `json:"sensor"`
	Celsius float64 `json:"celsius"`
}

// Alarm is something a monitoring system calls wrong.
type Alarm struct {
	Name   string    `json:"name"`
	Status string    `json:"status"` // "WARNING" or "CRITICAL"
	Value  string    `json:"value"`  // with its unit
	Since  time.Time `json:"since,omitzero"`
	Info   string    `json:"info,omitempty"`
	Chart  string    `json:"chart,omitempty"`

	On       string   `json:"on,omitempty"`       // the machine that a monitor says it is of; "" its own
	URL      string   `json:"url,omitempty"`      // where more is told of it: http or https
	Silenced bool     `json:"silenced,omitempty"` // somebody has said that it is known
	Labels   []string `json:"labels,omitempty"`   // "instance=storage:9100", as monitors tell them
}

// Series is one measured line over time, oldest point first. A point whose
// value is NaN was not measured.
type Series struct {
	Name   string  `json:"name"` // "cpu", "memory", "net in", …
	Unit   string  `json:"unit"` // "%", "B", "B/s", "°C", ""
	Source string  `json:"source"`
	Points []Point `json:"points"`
}

// Point of a series.
type Point struct {
	At    time.Time
	Value float64
}

// MarshalJSON writes {"at","value"}; what was not measured is null.
func (p Point) MarshalJSON() ([]byte, error) {
	out := struct {
		At    jsonUTC  `json:"at"`
		Value *float64 `json:"value"`
	}{At: jsonUTC(p.At)}
	if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
		out.Value = &p.Value
	}
	return json.Marshal(out)
}
