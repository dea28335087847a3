package simulate

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// file is the content of one of the few files there are.
func (m *machine) file(name string, now time.Time) (string, bool) {
	switch name {
	case "/etc/machine-id":
		return hexID(m.seed, 32, m.name, "machine-id") + "\n", true
	case "/proc/sys/kernel/random/boot_id":
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.bootID() + "\n", true
	case "/etc/hostname":
		return m.name + "\n", true
	case "/etc/services.json":
		return m.services(), true
	case "/proc/uptime":
		return m.uptime(now), true
	case "/proc/loadavg":
		return m.loadAvg(now), true
	case "/proc/stat":
		return m.stat(now), true
	case "/proc/meminfo":
		return m.memInfo(now), true
	case "/proc/net/dev":
		return m.netDev(now), true
	case "/proc/diskstats":
		return m.diskStats(now), true
	}
	return "", false
}

// services is the registry of the reference fleet: name, port, published port.
func (m *machine) services() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, b := range m.boxes {
		if len(b.ports) > 0 {
			list = append(list, fmt.Sprintf("%q:{\"listenPort\":%d,\"exposePort\":%d,\"portMapping\":null}", b.name, b.ports[0].inside, b.ports[0].host))
		}
	}
	return "{" + strings.Join(append(list, extraEntries[m.name]...), ",") + "}\n"
}

// ticks are hundredths of seconds that all cores were busy, and idle.
func (m *machine) ticks(at time.Time) (busy, idle float64) {
	all := 100 * float64(m.cores)
	busy = all * m.busy.sum(m.boot(), at)
	return busy, max(0, all*at.Sub(m.boot()).Seconds()-busy)
}

func (m *machine) uptime(at time.Time) string {
	_, idle := m.ticks(at)
	return fmt.Sprintf("%.2f %.2f\n", at.Sub(m.boot()).Seconds(), idle/100)
}

// stat has the sum of all cores first, then each.
func (m *machine) stat(at time.Time) string {
	busy, idle := m.ticks(at)
	line := func(name string, part float64) string {
		return fmt.Sprintf("%s %.0f 0 %.0f %.0f %.0f 0 0 0 0 0\n", name, busy*0.7*part, busy*0.3*part, idle*0.99*part, idle*0.01*part)
	}
	var b strings.Builder
	b.WriteString(line("cpu ", 1))
	for i := range m.cores {
		b.WriteString(line(fmt.Sprintf("cpu%d", i), 1/float64(m.cores)))
	}
	return b.String()
}

func (m *machine) netDev(at time.Time) string {
	in, out := m.netIn.sum(m.boot(), at), m.netOut.sum(m.boot(), at)
	text := "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	for _, dev := range []string{"lo", "enp1s0", "tailscale0"} {
		text += fmt.Sprintf("%6s: %.0f %.0f    0    0    0     0          0         0 %.0f %.0f    0    0    0     0       0          0\n",
			dev, in, in/900, out, out/700)
	}
	return text
}

// diskStats are of the disk that holds the root file system.
func (m *machine) diskStats(at time.Time) string {
	disk := strings.TrimRight(path.Base(m.disks[0].source), "0123456789")
	if strings.HasPrefix(disk, "nvme") || strings.HasPrefix(disk, "mmcblk") {
		disk = strings.TrimSuffix(disk, "p")
	}
	read, written := m.diskIn.sum(m.boot(), at)/512, m.diskOut.sum(m.boot(), at)/512
	return fmt.Sprintf(" 259       0 %s %.0f 0 %.0f 0 %.0f 0 %.0f 0 0 0 0 0 0 0 0 0 0\n", disk, read/16, read, written/16, written)
}

func (m *machine) loadAvg(at time.Time) string {
	load := func(v float64) float64 { return v * float64(m.cores) }
	return fmt.Sprintf("%.2f %.2f %.2f 2/%d 31337\n", load(m.busy.at(at)), load(m.busy.at(at.Add(-2*time.Minute))), load(m.busy.at(at.Add(-7*time.Minute))), 200+20*len(m.boxes))
}

func (m *machine) memInfo(at time.Time) string {
	total := float64(m.memory) / kib
	used := m.used.at(at) * total
	return fmt.Sprintf("MemTotal:       %.0f kB\nMemFree:        %.0f kB\nMemAvailable:   %.0f kB\nBuffers:        %.0f kB\nCached:         %.0f kB\n",
		total, (total-used)*0.3, total-used, total*0.01, (total-used)*0.6) +
		fmt.Sprintf("SwapTotal:      %d kB\nSwapFree:       %.0f kB\n", m.swap/kib, float64(m.swap)/kib*(1-m.swapUsed(at)))
}

// swapUsed is how much of the swap is in use, 0…1.
func (m *machine) swapUsed(at time.Time) float64 { return m.used.at(at) / 8 }

// pressure is the first line of /proc/pressure/KIND.
func (m *machine) pressure(kind string, at time.Time) string {
	p := m.busy.at(at) * map[string]float64{"cpu": 18, "memory": 0.6, "io": 5}[kind]
	return fmt.Sprintf("some avg10=%.2f avg60=%.2f avg300=%.2f total=%.0f", p, p*0.9, p*0.8, p*1e6)
}
