package metrics

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// rowCharts are the charts of one host's row: one call gives them all, a few
// kilobytes. A chart that a version does not have is left out by it.
var rowCharts = strings.Join([]string{
	"system.cpu", "system.load", "system.ram", "mem.available", "mem.swap", "system.swap",
	"system.net", "system.io", "system.uptime",
	"system.cpu_some_pressure", "system.memory_some_pressure", "system.io_some_pressure",
}, " ")

// maxSilence is how old the newest value of a row may be. Netdata collects
// every one to ten seconds, and answers for ever for a child that has gone.
const maxSilence = 60 * time.Second

// chart is one chart of /api/v1/allmetrics, which /api/v3/allmetrics repeats.
type chart struct {
	Family      string `json:"family"`
	Context     string `json:"context"`
	Units       string `json:"units"`
	LastUpdated int64  `json:"last_updated"` // seconds since 1970, Netdata's clock
	Dimensions  map[string]struct {
		Name  string   `json:"name"`
		Value *float64 `json:"value"`
	} `json:"dimensions"`
}

// row is the newest values of one host.
type row map[string]chart

// parseRow reads the answer of allmetrics.
func parseRow(body []byte) (row, error) {
	var r row
	if err := decode(body, &r, "allmetrics"); err != nil {
		return nil, err
	}
	if len(r) == 0 {
		return nil, errors.New("netdata has none of the system's charts")
	}
	return r, nil
}

// newest is when the row was collected.
func (r row) newest() time.Time {
	var last int64
	for _, c := range r {
		last = max(last, c.LastUpdated)
	}
	return time.Unix(last, 0)
}

// age is how old the row is by the clock of the Netdata that gave it, or an
// error when that is too old, cannot be told, or is nonsense.
func (r row) age(clock time.Time) (time.Duration, error) {
	if clock.IsZero() {
		return 0, errors.New("netdata does not tell its time: the age of its values is unknown")
	}
	switch age := clock.Sub(r.newest()); {
	case age > maxSilence:
		return 0, fmt.Errorf("netdata has heard nothing of it for %s", age.Round(time.Second))
	case age < -maxSilence:
		return 0, errors.New("netdata's values are from the future")
	default:
		return max(0, age), nil
	}
}

// value gives a dimension by its id or name, where it is a number.
func (c chart) value(names ...string) (float64, bool) {
	for id, d := range c.Dimensions {
		for _, n := range names {
			if (id == n || d.Name == n) && d.Value != nil && finite(*d.Value) {
				return *d.Value, true
			}
		}
	}
	return 0, false
}

// finite tells whether a number means anything.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Units of Netdata, in bytes.
const (
	mib     = 1 << 20
	kib     = 1 << 10
	kilobit = 1000 / 8.0
)

// overlay puts what the row tells over what is known. What it does not tell,
// or what cannot be, is left as it was.
func (r row) overlay(m *fleet.Metrics) {
	if v, ok := r.cpu(); ok {
		m.CPU = v
	}
	load := r["system.load"]
	for name, into := range map[string]*float64{"load1": &m.Load1, "load5": &m.Load5, "load15": &m.Load15} {
		if v, ok := load.value(name); ok && v >= 0 {
			*into = v
		}
	}
	if mem, ok := r.memory(); ok {
		m.Memory = mem
	}
	if swap, ok := r.swap(); ok {
		m.Swap = swap
	}
	rate := func(name string, in, out *float64, factor float64, dims ...string) {
		c := r[name]
		if v, ok := c.value(dims[0], dims[1]); ok && v >= 0 {
			*in = v * factor
		}
		if v, ok := c.value(dims[2], dims[3]); ok && v <= 0 { // Netdata draws what goes out below the line
			*out = -v * factor
		}
	}
	if r["system.net"].Units == "kilobits/s" {
		rate("system.net", &m.NetIn, &m.NetOut, kilobit, "received", "InOctets", "sent", "OutOctets")
	}
	if r["system.io"].Units == "KiB/s" {
		rate("system.io", &m.DiskIn, &m.DiskOut, kib, "in", "in", "out", "out")
	}
	r.pressure(m)
}

// cpu is the share of all cores in use: all dimensions but those in which the
// cores do nothing. Waiting for a disk is doing nothing, as in fleet.Proc.
func (r row) cpu() (float64, bool) {
	sum, any := 0.0, false
	for id, d := range r["system.cpu"].Dimensions {
		if id == "idle" || id == "iowait" || d.Value == nil {
			continue
		}
		if !finite(*d.Value) || *d.Value < 0 {
			return 0, false
		}
		sum, any = sum+*d.Value, true
	}
	if !any || sum > 101 { // a little more than all is rounding
		return 0, false
	}
	return min(sum/100, 1), true
}

// memory is total and what cannot be freed.
func (r row) memory() (fleet.Memory, bool) {
	total, parts := 0.0, 0
	for _, d := range r["system.ram"].Dimensions {
		if d.Value == nil || !finite(*d.Value) || *d.Value < 0 {
			return fleet.Memory{}, false
		}
		total, parts = total+*d.Value, parts+1
	}
	avail, ok := r["mem.available"].value("avail", "MemAvailable")
	if !ok { // kernels before 3.14
		used, known := r["system.ram"].value("used")
		avail, ok = total-used, known
	}
	if !ok || r["system.ram"].Units != "MiB" || parts < 2 || total <= 0 || avail < 0 || avail > total || total > 1<<40 {
		return fleet.Memory{}, false
	}
	return fleet.Memory{Used: inBytes(total - avail), Total: inBytes(total)}, true
}

func (r row) swap() (fleet.Memory, bool) {
	for _, name := range []string{"mem.swap", "system.swap"} {
		free, ok1 := r[name].value("free")
		used, ok2 := r[name].value("used")
		if ok1 && ok2 && free >= 0 && used >= 0 && free+used < 1<<40 {
			return fleet.Memory{Used: inBytes(used), Total: inBytes(free + used)}, true
		}
	}
	return fleet.Memory{}, false
}

// pressure is told in percent, as an average of 10 seconds.
func (r row) pressure(m *fleet.Metrics) {
	m.Pressure = maps.Clone(m.Pressure)
	for _, kind := range []string{"cpu", "memory", "io"} {
		v, ok := r["system."+kind+"_some_pressure"].value("some 10")
		if !ok || v < 0 || v > 100 {
			continue
		}
		if m.Pressure == nil {
			m.Pressure = map[string]float64{}
		}
		m.Pressure[kind] = v / 100
	}
}

// uptime is how long the machine of the row runs.
func (r row) uptime() (time.Duration, bool) {
	v, ok := r["system.uptime"].value("uptime")
	if !ok || v <= 0 || v > 1e9 {
		return 0, false
	}
	return time.Duration(v * float64(time.Second)), true
}

// inBytes turns mebibytes into bytes: Netdata rounds to seven digits.
func inBytes(m float64) uint64 { return uint64(math.Round(m * mib)) }
