package simulate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// routerName is the host that leads to the internet, and wireGuardPort where it takes
// its tunnels.
const (
	routerName    = "router"
	wireGuardPort = 51820
)

// nic is a link of a machine, and the share of its traffic that passes there.
type nic struct {
	name, kind, kernel string // kernel: the kind as the kernel calls it, "" of hardware
	master             string
	share              float64
	down               bool // without carrier
	drops              int
}

// nics are the links of a machine, of which tellFirewall tells the addresses.
func (m *machine) nics(w wall) []nic {
	all := []nic{{name: "lo", kind: "loopback", share: 0.1}}
	if w.public != "" {
		all = append(all, nic{name: "eth0", kind: "ether", share: 1, drops: 12})
	}
	switch {
	case w.inner() == "br-lan":
		all = append(all, nic{name: "lan1", kind: "ether", master: "br-lan", share: 0.7}, nic{name: "lan2", kind: "ether", master: "br-lan", share: 0.2}, nic{name: "lan3", kind: "ether", master: "br-lan", down: true},
			nic{name: "br-lan", kind: "ether", kernel: "bridge", share: 0.9}, nic{name: "wg0", kind: "none", kernel: "wireguard", share: 0.05})
	case w.public == "":
		all = append(all, nic{name: "eth1", kind: "ether", share: 1})
	}
	all = append(all, nic{name: "tailscale0", kind: "none", kernel: "tun", share: 0.2})
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.boxes) > 0 {
		all = append(all, nic{name: "podman0", kind: "ether", kernel: "bridge", share: 0.1})
	}
	for i := range m.boxes {
		all = append(all, nic{name: fmt.Sprintf("veth%d", i), kind: "ether", kernel: "veth", master: "podman0", share: 0.01})
	}
	return all
}

// through is what has passed through the link.
func (m *machine) through(n nic, at time.Time) (rx, tx float64) {
	if n.down {
		return 0, 0
	}
	return n.share * m.netIn.sum(m.boot(), at), n.share * m.netOut.sum(m.boot(), at)
}

// devTable is /proc/uptime with /proc/net/dev behind it, of these links.
func (m *machine) devTable(nics []nic, at time.Time) string {
	text := m.uptime(at) + "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	for _, n := range nics {
		rx, tx := m.through(n, at)
		text += fmt.Sprintf("%6s: %.0f %.0f    0    %d    0     0          0         0 %.0f %.0f    0    0    0     0       0          0\n", n.name, rx, rx/900, n.drops, tx, tx/700)
	}
	return text
}

// tellNetworking prints what networking.sh does.
func tellNetworking(c Call) int {
	m, mark, now := c.machine(), c.arg(1), c.now()
	begin := func(name, text string) { fmt.Fprintf(c.Stdout, "\n%s %s\n%s\n", mark, name, text) }
	w := m.wallOf()
	nics := m.nics(w)
	begin("uid", strconv.Itoa(c.uid()))
	begin("clock", strconv.FormatInt(now.Unix(), 10))
	begin("before", m.devTable(nics, now.Add(-time.Second)))
	begin("links", asJSON(m.linkTable(nics, now)))
	addr, route := m.addresses(w)
	if m.name == routerName {
		addr = append(addr, object{"ifname": "wg0", "link_type": "none", "addr_info": []object{{"family": "inet", "local": "10.9.0.1", "prefixlen": 24}}})
	}
	begin("addr", asJSON(addr))
	begin("route", asJSON(route))
	begin("route6", "[]")
	for _, r := range route {
		begin("pings", fmt.Sprint(r["dev"], " ", r["gateway"], " yes"))
		begin("neighbours", fmt.Sprint(r["dev"], " ", r["gateway"], ` [{"dst":"`, r["gateway"], `","lladdr":"02:00:5e:00:53:01","state":["REACHABLE"]}]`))
	}
	begin("queues", asJSON(m.queueTable(nics, now)))
	if m.name == routerName {
		m.tellWireGuard(c.uid() == 0, now, begin)
		m.tellLeases(c.uid() == 0, now, begin)
	}
	begin("after", m.devTable(nics, now))
	begin("end", "")
	return 0
}

// linkTable is what ip says of the links.
func (m *machine) linkTable(nics []nic, now time.Time) []object {
	list := []object{}
	for i, n := range nics {
		rx, tx := m.through(n, now)
		flags, state, mtu := []string{"BROADCAST", "MULTICAST", "UP", "LOWER_UP"}, "UP", 1500
		switch {
		case n.down:
			flags, state = []string{"NO-CARRIER", "BROADCAST", "MULTICAST", "UP"}, "DOWN"
		case n.kind != "ether":
			state, mtu = "UNKNOWN", 1420
		}
		counter := func(v float64, dropped int) object {
			return object{"bytes": uint64(v), "packets": uint64(v / 900), "errors": 0, "dropped": dropped}
		}
		link := object{
			"ifindex": i + 1, "ifname": n.name, "flags": flags, "mtu": mtu, "operstate": state, "link_type": n.kind, "stats64": object{"rx": counter(rx, n.drops), "tx": counter(tx, 0)},
		}
		if n.kind == "ether" {
			link["address"] = fmt.Sprintf("02:00:5e:10:%02x:%02x", dice(m.seed, m.name, "mac")%256, i)
		}
		if n.kernel != "" {
			link["linkinfo"] = object{"info_kind": n.kernel}
		}
		if n.master != "" {
			link["master"] = n.master
		}
		list = append(list, link)
	}
	return list
}

// queueTable is what tc says: the router holds its way out to a rate with cake.
func (m *machine) queueTable(nics []nic, now time.Time) []object {
	list := []object{}
	for _, n := range nics {
		_, tx := m.through(n, now)
		q := object{"kind": "fq_codel", "handle": "0:", "dev": n.name, "root": true, "options": object{"limit": 10240, "target": 4999}, "bytes": uint64(tx), "packets": uint64(tx / 700), "drops": 0, "overlimits": 0, "backlog": 0}
		switch {
		case m.name == routerName && n.name == "eth0":
			q["kind"], q["drops"], q["overlimits"], q["backlog"] = "cake", uint64(tx/700/400), uint64(tx/700/9), 4542
			q["options"] = object{"bandwidth": 5_000_000, "diffserv": "diffserv3", "nat": true}
			q["tins"] = []object{{"threshold_rate": 312_500}, {"threshold_rate": 5_000_000}, {"threshold_rate": 1_250_000}}
		case n.kind != "ether" || n.kernel != "" || n.down:
			q["kind"], q["options"] = "noqueue", object{}
		}
		list = append(list, q)
	}
	return list
}

// tellWireGuard prints what wg says of two peers, one of which has been silent for
// hours, with keys as they are cut.
func (m *machine) tellWireGuard(root bool, now time.Time, begin func(name, text string)) {
	begin("wg links", "wg0")
	begin("wg ports", "")
	if !root {
		begin("failed wg ports", "")
		return
	}
	begin("wg ports", "wg0\t"+strconv.Itoa(wireGuardPort))
	phone, cottage := "8HtQWQpwBcsW", "Bp2dqNKRVjMU"
	rows := func(name, of, other string) { begin("wg "+name, "wg0\t"+phone+"\t"+of+"\nwg0\t"+cottage+"\t"+other) }
	rows("endpoints", "198.51.100.23:40112", "198.51.100.7:51820")
	rows("allowed-ips", "10.9.0.2/32", "10.9.0.3/32 192.168.7.0/24")
	rows("latest-handshakes", strconv.FormatInt(now.Add(-74*time.Second).Unix(), 10), strconv.FormatInt(m.began.Add(-3*time.Hour).Unix(), 10))
	rows("transfer", "48210233\t911203441", "1203344\t8812230")
	rows("persistent-keepalive", "off", "25")
}

// lan are the machines of the LAN that ask for addresses.
var lan = []string{"raider", "tv", "printer", "phone-ada", "", "thermostat", "camera-door", "tablet"}

// tellLeases prints Kea's journal of leases: rows of machines that have renewed theirs,
// and one of a machine that has left.
func (m *machine) tellLeases(root bool, now time.Time, begin func(name, text string)) {
	const unit, life = "kea-dhcp4-server.service", 4000
	begin("dhcp "+unit, "Id="+unit+"\nMainPID=690\nActiveEnterTimestampMonotonic=21000000")
	if !root {
		return
	}
	var b strings.Builder
	b.WriteString("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n")
	row := func(i int, name string, ago time.Duration, state int) {
		fmt.Fprintf(&b, "192.168.1.%d,1a:1b:1c:1d:1e:%02x,,%d,%d,1,0,0,%s,%d,,0\n", 120+i, i, life, now.Add(-ago).Unix()+life, name, state)
	}
	row(len(lan), "guest", 26*time.Hour, 0)
	for i, name := range lan {
		if name != "" {
			name += ".lan"
		}
		row(i, name, time.Hour, 0)
		row(i, name, time.Duration(3+7*i)*time.Minute, 0)
	}
	row(len(lan), "guest", 26*time.Hour, 2)
	begin("leases "+unit+" /var/lib/kea/kea-leases4.csv", b.String())
}

// tellRates prints the counters of the links every $1 seconds, with $2 behind each turn.
func tellRates(c Call) int {
	pause, err := strconv.ParseFloat(c.arg(1), 64)
	if err != nil || pause <= 0 {
		return 1
	}
	m := c.machine()
	for {
		if _, err := io.WriteString(c.Stdout, m.devTable(m.nics(m.wallOf()), c.now())+c.arg(2)+"\n"); err != nil {
			return 1
		}
		select {
		case <-time.After(time.Duration(pause * float64(time.Second))):
		case <-c.Context.Done():
			return 130
		}
	}
}
