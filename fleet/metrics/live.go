package metrics

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// loop prints the kernel's counters again and again: one cat a turn. It ends
// when nobody reads what it prints any more. Kernels without /proc/pressure
// leave that out.
const loop = `
while :; do
	cat /proc/uptime /proc/loadavg /proc/stat /proc/meminfo /proc/net/dev /proc/diskstats 2>/dev/null
	for p in cpu memory io; do
		read -r line </proc/pressure/$p && echo "pressure $p $line"
	done 2>/dev/null
	echo "$2" || exit
	sleep "$1" || exit
done
`

// endOfTurn stands behind each turn. No line of /proc begins like it.
const endOfTurn = "-- sextant: end of turn"

// maxTurn bounds what one turn may print: a machine of a thousand cores and
// disks stays below.
const maxTurn = 4 << 20

// Bounds of the interval of Live.
const (
	minEvery = time.Second
	maxEvery = time.Hour
)

// Live tells how busy a host is from now on, for hosts whose past nobody keeps:
// cpu, memory, load, network and disks every so often, until ctx ends or the
// connection breaks, which is the error it returns. One command runs on the
// host all the time, which costs less than one for each reading. Disks' fill
// and temperatures are not in it.
func Live(ctx context.Context, l link.Link, every time.Duration, out func(at time.Time, m fleet.Metrics)) error {
	every = min(max(every, minEvery), maxEvery)
	seconds := strconv.FormatFloat(every.Round(time.Second).Seconds(), 'f', 0, 64)
	p, err := l.Start(ctx, link.Script(loop, seconds, endOfTurn))
	if err != nil {
		return fmt.Errorf("measuring %s: %w", l.Host().Name, err)
	}
	defer p.Close()
	var prev fleet.Proc
	err = link.Turns(p, endOfTurn, maxTurn, func(text []byte) {
		cur := parseTurn(text)
		if cur.After.Uptime == 0 {
			return // not a turn
		}
		if prev.After.Uptime > 0 {
			out(time.Now(), FromProc(prev, cur))
		}
		prev = cur
	})
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("measuring %s: %w", l.Host().Name, err)
}

// Point gives one live reading in the form and under the names of
// [Reader.Series], so that it can be put behind them.
func Point(at time.Time, m fleet.Metrics) []fleet.Series {
	var out []fleet.Series
	add := func(name, unit string, v float64) {
		out = append(out, fleet.Series{Name: name, Unit: unit, Source: "/proc", Points: []fleet.Point{{At: at, Value: v}}})
	}
	if m.CPU >= 0 {
		add(seriesCPU, "%", m.CPU*100)
	}
	if m.Memory.Total > 0 {
		add(seriesMemory, "B", float64(m.Memory.Used))
	}
	add(seriesLoad, "", m.Load1)
	add(seriesNetIn, "B/s", m.NetIn)
	add(seriesNetOut, "B/s", m.NetOut)
	add(seriesDiskRead, "B/s", m.DiskIn)
	add(seriesDiskWrite, "B/s", m.DiskOut)
	for _, kind := range []string{"cpu", "memory", "io"} {
		if share, ok := m.Pressure[kind]; ok {
			add("pressure "+kind, "%", share*100)
		}
	}
	return out
}

// Follow is [Live] as lines that grow: from the first reading on, the last few
// minutes. What out is given is not changed any more.
func Follow(ctx context.Context, l link.Link, every time.Duration, out func([]fleet.Series)) error {
	var lines []fleet.Series
	return Live(ctx, l, every, func(at time.Time, m fleet.Metrics) {
		lines = behind(lines, Point(at, m))
		out(lines)
	})
}

// behind puts readings behind lines, in new ones.
func behind(lines, readings []fleet.Series) []fleet.Series {
	out := slices.Clone(lines)
	for _, r := range readings {
		i := slices.IndexFunc(out, func(s fleet.Series) bool { return s.Name == r.Name })
		if i < 0 {
			out = append(out, r)
			continue
		}
		old := out[i].Points[max(0, len(out[i].Points)-maxPoints+1):]
		out[i].Points = append(slices.Clone(old), r.Points...)
	}
	return out
}

// parseTurn reads the files of one turn, told apart by the shape of their
// lines: proc(5), and Documentation/admin-guide/iostats.rst of the kernel.
func parseTurn(text []byte) fleet.Proc {
	var p fleet.Proc
	c, memory, pressure := &p.After, map[string]uint64{}, map[string]float64{}
	i := -1
	for line := range strings.Lines(string(text)) {
		i++
		name, rest, colon := strings.Cut(line, ":")
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case i == 0 && len(f) == 2:
			c.Uptime = fleet.Seconds(float(f[0]))
		case i == 1 && len(f) >= 3:
			p.Load = [3]float64{float(f[0]), float(f[1]), float(f[2])}
		case f[0] == "pressure" && len(f) > 3 && f[2] == "some":
			if share, ok := strings.CutPrefix(f[3], "avg10="); ok {
				pressure[f[1]] = min(1, float(share)/100)
			}
		case f[0] == "cpu" && len(f) > 4:
			c.CPUBusy, c.CPUTotal = ticks(f[1:])
		case strings.HasPrefix(f[0], "cpu") && !colon:
			p.Cores++
		case colon && len(strings.Fields(rest)) == 16:
			traffic(c, strings.TrimSpace(name), strings.Fields(rest))
		case colon && strings.HasSuffix(strings.TrimSpace(line), " kB"):
			memory[name] = natural(strings.Fields(rest)[0]) * kib
		case len(f) >= 14 && wholeDisk(f[2]):
			c.DiskIn += natural(f[5]) * sector
			c.DiskOut += natural(f[9]) * sector
		}
	}
	p.Memory = less(memory, "MemTotal", "MemAvailable")
	p.Swap = less(memory, "SwapTotal", "SwapFree")
	if len(pressure) > 0 {
		p.Pressure = pressure
	}
	return p
}

// sector is 512 bytes in /proc/diskstats, whatever the disk.
const sector = 512

// less is what is used of a total, where both are told.
func less(memory map[string]uint64, total, free string) fleet.Memory {
	all, ok1 := memory[total]
	left, ok2 := memory[free]
	if !ok1 || !ok2 {
		return fleet.Memory{}
	}
	return fleet.Memory{Used: all - min(left, all), Total: all}
}

// ticks adds up user nice system idle iowait irq softirq steal; guests' time is
// in user already, and waiting for a disk is doing nothing.
func ticks(f []string) (busy, total uint64) {
	for i, s := range f[:min(8, len(f))] {
		v := natural(s)
		total += v
		if i != 3 && i != 4 {
			busy += v
		}
	}
	return busy, total
}

// traffic adds up an interface, but for those whose bytes pass a real one too.
func traffic(c *fleet.Counters, name string, f []string) {
	if name == "lo" {
		return
	}
	for _, virtual := range []string{"veth", "podman", "docker", "br-", "virbr", "tailscale", "wg", "cni", "ifb", "dummy"} {
		if strings.HasPrefix(name, virtual) {
			return
		}
	}
	c.NetIn += natural(f[0])
	c.NetOut += natural(f[8])
}

// wholeDisk tells disks from their partitions and from what lies on top.
func wholeDisk(name string) bool {
	digit := strings.ContainsAny(name[len(name)-1:], "0123456789")
	for _, letters := range []string{"sd", "vd", "hd", "xvd"} {
		if strings.HasPrefix(name, letters) {
			return !digit
		}
	}
	for _, numbered := range []string{"nvme", "mmcblk"} {
		if rest, ok := strings.CutPrefix(name, numbered); ok {
			return digit && !strings.Contains(rest, "p")
		}
	}
	return false
}

// natural reads a counter; 0 where it is none.
func natural(s string) uint64 {
	v, _ := strconv.ParseUint(s, 10, 64)
	return v
}

// float reads a number that is not negative; 0 where it is none.
func float(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !finite(v) || v < 0 {
		return 0
	}
	return v
}
