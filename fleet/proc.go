package fleet

// Proc is what the kernel of a host tells of itself under /proc and /sys, as
// the probe read it. Rates come from two readings of [Counters].
type Proc struct {
	Before   Counters           `json:"before"` // at the probe's beginning
	After    Counters           `json:"after"`  // at its end
	Load     [3]float64         `json:"load"`
	Cores    int                `json:"cores"`
	Memory   Memory             `json:"memory"`
	Swap     Memory             `json:"swap"`
	Disks    []Disk             `json:"disks"`
	Pressure map[string]float64 `json:"pressure,omitempty"` // as in Metrics
	Temps    []Temperature      `json:"temperatures,omitempty"`
}

// Counters only grow, until the host boots again.
type Counters struct {
	Uptime   Seconds `json:"uptime"`   // when they were read: seconds since boot
	CPUBusy  uint64  `json:"cpuBusy"`  // ticks of all cores doing something
	CPUTotal uint64  `json:"cpuTotal"` // ticks of all cores
	NetIn    uint64  `json:"netIn"`    // bytes, all interfaces but loopback and virtual ones
	NetOut   uint64  `json:"netOut"`
	DiskIn   uint64  `json:"diskIn"` // bytes read from whole disks
	DiskOut  uint64  `json:"diskOut"`
}
