package probe

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// procFact reads what the kernel tells; without /proc there is nothing.
func procFact(s sections, now time.Time) fleet.Fact[fleet.Proc] {
	p := fleet.Proc{Before: Counters(s.lines("before")), After: Counters(s.lines("after")), Disks: disks(s.lines("disks"))}
	if p.After.CPUTotal == 0 {
		return fleet.Unknown[fleet.Proc](errors.New("/proc tells nothing: not Linux, or not readable"), now, source)
	}
	load := s.lines("load")
	if len(load) > 0 {
		f := strings.Fields(load[0])
		p.Load = [3]float64{number(f, 0), number(f, 1), number(f, 2)}
	}
	if len(load) > 1 {
		p.Cores = int(number(load, 1))
	}
	p.Memory, p.Swap = memory(s.lines("memory"))
	p.Pressure = pressure(s.lines("pressure"))
	for _, f := range s.fields("temperatures", 3) {
		name := fleet.Clean(strings.TrimSpace(f[1] + " " + f[2]))
		if c := number(f, 0) / 1000; c > -50 && c < 200 {
			p.Temps = append(p.Temps, fleet.Temperature{Sensor: name, Celsius: c})
		}
	}
	return fleet.Known(p, now, source)
}

// number gives field i as a number, 0 where there is none.
func number(f []string, i int) float64 {
	if i >= len(f) {
		return 0
	}
	v, err := strconv.ParseFloat(f[i], 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func count(f []string, i int) uint64 {
	if i >= len(f) {
		return 0
	}
	v, _ := strconv.ParseUint(f[i], 10, 64)
	return v
}

// Counters reads /proc/uptime, the first line of /proc/stat, /proc/net/dev and
// /proc/diskstats, one after the other, as proc(5) and the kernel's
// Documentation/admin-guide/iostats.rst have them.
func Counters(lines []string) fleet.Counters {
	var c fleet.Counters
	for i, l := range lines {
		f := strings.Fields(strings.Replace(l, ":", ": ", 1))
		switch {
		case i == 0:
			c.Uptime = fleet.Seconds(number(f, 0))
		case len(f) > 4 && f[0] == "cpu":
			c.CPUBusy, c.CPUTotal = ticks(f[1:])
		case len(f) == 17 && strings.HasSuffix(f[0], ":"):
			if !virtualNet(f[0]) {
				c.NetIn += count(f, 1)
				c.NetOut += count(f, 9)
			}
		case len(f) >= 14 && wholeDisk(f[2]):
			c.DiskIn += count(f, 5) * 512 // sectors are 512 bytes whatever the disk
			c.DiskOut += count(f, 9) * 512
		}
	}
	return c
}

// ticks are user nice system idle iowait irq softirq steal; guest time is in
// user already.
func ticks(f []string) (busy, total uint64) {
	for i := range min(8, len(f)) {
		v := count(f, i)
		total += v
		if i != 3 && i != 4 {
			busy += v
		}
	}
	return busy, total
}

// virtualNet tells interfaces whose bytes pass a real one as well.
func virtualNet(name string) bool {
	for _, p := range []string{"lo:", "veth", "podman", "docker", "br-", "virbr", "tailscale", "wg", "cni", "ifb", "dummy"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// wholeDisk tells sda, vda, nvme0n1, mmcblk0 from their partitions and from
// what lies on top of them.
func wholeDisk(name string) bool {
	last := name[len(name)-1]
	digit := last >= '0' && last <= '9'
	switch {
	case strings.HasPrefix(name, "nvme"), strings.HasPrefix(name, "mmcblk"):
		return !strings.Contains(name[4:], "p") && digit
	case strings.HasPrefix(name, "sd"), strings.HasPrefix(name, "vd"), strings.HasPrefix(name, "hd"), strings.HasPrefix(name, "xvd"):
		return !digit
	}
	return false
}

// memory reads /proc/meminfo, kilobytes; used is what cannot be freed.
func memory(lines []string) (mem, swap fleet.Memory) {
	kb := map[string]uint64{}
	for _, l := range lines {
		if k, v, ok := strings.Cut(l, ":"); ok {
			kb[k] = count(strings.Fields(v), 0) * 1024
		}
	}
	less := func(total, free uint64) fleet.Memory {
		return fleet.Memory{Total: total, Used: total - min(free, total)}
	}
	return less(kb["MemTotal"], kb["MemAvailable"]), less(kb["SwapTotal"], kb["SwapFree"])
}

// pressure reads the "some" lines of /proc/pressure: "cpu some avg10=1.23 …".
func pressure(lines []string) map[string]float64 {
	out := map[string]float64{}
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) < 3 || f[1] != "some" {
			continue
		}
		if v, ok := strings.CutPrefix(f[2], "avg10="); ok {
			out[fleet.Clean(f[0])] = number([]string{v}, 0) / 100
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// pseudo are kinds of file systems that hold no data of their own; as the root
// they count all the same.
var pseudo = map[string]bool{
	"tmpfs": true, "devtmpfs": true, "overlay": true, "efivarfs": true, "squashfs": true, "ramfs": true, "fuse.lxcfs": true,
}

// inside tells mounts that are the business of a container or of the system.
func inside(mount string) bool {
	for _, p := range []string{"/run/", "/dev/", "/sys/", "/proc/", "/var/lib/containers/", "/var/lib/docker/"} {
		if strings.HasPrefix(mount, p) && !strings.HasPrefix(mount, "/run/media/") {
			return true
		}
	}
	return false
}

// disks reads `df -P -T -B1`: source, type, size, used, available, use%, mount;
// or `df -P -k` without the type. A file system that is mounted in several
// places counts once, at its shortest mount.
func disks(lines []string) []fleet.Disk {
	out := []fleet.Disk{}
	at := map[string]int{}
	for i, l := range lines {
		f := strings.Fields(fleet.Clean(l))
		if i == 0 || len(f) < 6 {
			continue
		}
		unit, kind := uint64(1024), ""
		if _, err := strconv.ParseUint(f[1], 10, 64); err != nil {
			unit, kind = 1, f[1]
			f = append(f[:1:1], f[2:]...)
		}
		if len(f) < 6 || count(f, 1) == 0 {
			continue
		}
		if mount := strings.Join(f[5:], " "); pseudo[kind] && mount != "/" || inside(mount) {
			continue
		}
		d := fleet.Disk{
			Source: f[0], Type: kind, Total: count(f, 1) * unit, Used: count(f, 2) * unit, Avail: count(f, 3) * unit,
			Mount: strings.Join(f[5:], " "),
		}
		if j, seen := at[d.Source]; seen && strings.HasPrefix(d.Source, "/") {
			if len(d.Mount) < len(out[j].Mount) {
				out[j] = d
			}
			continue
		}
		at[d.Source] = len(out)
		out = append(out, d)
	}
	return out
}
