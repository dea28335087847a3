package metrics

import (
	"maps"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of the time between two readings of the counters that make a rate: a
// shorter one says little, a longer one is no longer now.
const (
	minGap = fleet.Seconds(1)
	maxGap = fleet.Seconds(300)
)

// FromProc makes measurements of the kernel's own counters. Rates are over the
// time since the previous reading where there is one of the same boot and not
// too long ago, which is steadier, else over the moment the probe took. The
// zero prev is no reading. What cannot be told stays: CPU -1, rates 0.
func FromProc(prev, cur fleet.Proc) fleet.Metrics {
	m := fleet.Metrics{
		CPU: -1, Cores: max(0, cur.Cores), Memory: sane(cur.Memory), Swap: sane(cur.Swap),
		Disks: slices.Clone(cur.Disks), Temps: slices.Clone(cur.Temps), Pressure: maps.Clone(cur.Pressure),
	}
	for i, into := range []*float64{&m.Load1, &m.Load5, &m.Load15} {
		if v := cur.Load[i]; finite(v) && v >= 0 {
			*into = v
		}
	}
	from := cur.Before
	if follows(prev.After, cur.After) {
		from = prev.After
	}
	rates(&m, from, cur.After)
	return m
}

// sane drops memory that holds more than there is: a Total of 0 is unknown.
func sane(m fleet.Memory) fleet.Memory {
	if m.Used > m.Total {
		return fleet.Memory{}
	}
	return m
}

// follows tells whether b was read after a, in the same boot, and at a
// distance that makes a rate.
func follows(a, b fleet.Counters) bool {
	gap := b.Uptime - a.Uptime
	return a.Uptime > 0 && gap >= minGap && gap <= maxGap && a.CPUTotal > 0 && b.CPUTotal > a.CPUTotal && b.CPUBusy >= a.CPUBusy
}

// rates fills what two readings tell. Counters that ran backwards, such as of
// an interface that has gone, tell nothing.
func rates(m *fleet.Metrics, a, b fleet.Counters) {
	if a.CPUTotal > 0 && b.CPUTotal > a.CPUTotal && b.CPUBusy >= a.CPUBusy {
		if busy, total := b.CPUBusy-a.CPUBusy, b.CPUTotal-a.CPUTotal; busy <= total {
			m.CPU = float64(busy) / float64(total)
		}
	}
	gap := float64(b.Uptime - a.Uptime)
	if !finite(gap) || gap <= 0 || a.Uptime <= 0 {
		return
	}
	for _, r := range []struct {
		into *float64
		a, b uint64
	}{
		{&m.NetIn, a.NetIn, b.NetIn}, {&m.NetOut, a.NetOut, b.NetOut},
		{&m.DiskIn, a.DiskIn, b.DiskIn}, {&m.DiskOut, a.DiskOut, b.DiskOut},
	} {
		if r.b >= r.a {
			*r.into = float64(r.b-r.a) / gap
		}
	}
}
