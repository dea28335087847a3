package network

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// servers are the units of DHCP servers that are asked for: what they are, and where
// they should listen.
var servers = map[string]struct {
	program string
	port    uint16
}{
	"kea-dhcp4-server.service": {"kea", 67}, "kea-dhcp4.service": {"kea", 67},
	"kea-dhcp6-server.service": {"kea", 547}, "kea-dhcp6.service": {"kea", 547},
	"dnsmasq.service": {"dnsmasq", 67},
}

// leases are the DHCP servers that run, with what they have leased. A dnsmasq that
// holds no such file only answers names.
func (a answer) leases(n *fleet.Networking, c clock) {
	units := []string{}
	for name := range a {
		if unit, ok := strings.CutPrefix(name, "dhcp "); ok && servers[unit].program != "" {
			units = append(units, unit)
		}
	}
	slices.Sort(units)
	_, uptime := counters(a["before"])
	for _, unit := range units {
		d := fleet.DHCPServer{Unit: unit, Program: servers[unit].program, Port: servers[unit].port, Leases: []fleet.Lease{}}
		shown := a.properties("dhcp " + unit)
		if id := fleet.Clean(shown["Id"]); id != unit && servers[id].program != "" && a["dhcp "+id] != nil {
			continue // another name of one that is told, too
		} else if unitName.MatchString(id) {
			d.Unit = id // so it is called where its processes are told
		}
		if us, err := strconv.ParseUint(shown["ActiveEnterTimestampMonotonic"], 10, 64); err == nil && us > 0 {
			d.UpFor = fleet.Seconds(max(0, uptime-float64(us)/1e6))
		}
		file, rows, open := a.file(unit)
		switch {
		case open && d.Program == "dnsmasq":
			d.File = file
			dnsmasqLeases(&d, rows, c)
		case open:
			d.File = file
			keaLeases(&d, rows, c)
		case a.text("uid") != "0":
			d.Unread = "its leases are root's to see, and the login there is not root's"
		case d.Program == "dnsmasq":
			continue
		default:
			d.Unread = "it holds no file of leases open: it keeps them elsewhere"
		}
		if d.Cut = a["cut "+unit] != nil; d.Cut {
			n.Cut = append(n.Cut, "only the newest MiB of the leases of "+unit+" was read")
		}
		if sum(&d); len(d.Leases) > maxLeases {
			n.Cut = append(n.Cut, "only "+strconv.Itoa(maxLeases)+" leases of "+unit+" are kept")
			d.Leases = d.Leases[:maxLeases]
		}
		n.DHCP = append(n.DHCP, d)
	}
}

// unitName is how a service may be called.
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.@-]{1,100}\.service$`)

// sum counts the leases and puts them in the order of their addresses, the declined
// ones first: they are what is to be seen where not all are kept.
func sum(d *fleet.DHCPServer) {
	slices.SortStableFunc(d.Leases, func(a, b fleet.Lease) int {
		x, _ := netip.ParseAddr(a.Address)
		y, _ := netip.ParseAddr(b.Address)
		declined := func(l fleet.Lease) int {
			if l.State == fleet.LeaseDeclined {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(declined(a), declined(b)), x.Compare(y), strings.Compare(a.Address, b.Address))
	})
	for _, l := range d.Leases {
		if l.State == fleet.LeaseDeclined {
			d.Declined++
		} else {
			d.Active++
		}
	}
}

// properties reads what "systemctl show" says.
func (a answer) properties(section string) map[string]string {
	all := map[string]string{}
	for _, line := range a[section] {
		if key, value, ok := strings.Cut(line, "="); ok {
			all[key] = value
		}
	}
	return all
}

// file is the file of leases that a unit holds open, with its rows.
func (a answer) file(unit string) (name string, rows []string, ok bool) {
	for section, lines := range a {
		if file, is := strings.CutPrefix(section, "leases "+unit+" "); is {
			return fleet.Short(fleet.Clean(file), 200), lines, true
		}
	}
	return "", nil, false
}

// States of leases in Kea's files. Others than these two hold for nobody any more.
const (
	keaAssigned = "0"
	keaDeclined = "1"
)

// Bounds of one row of a file of leases: longer ones are none.
const (
	maxRow     = 64 << 10
	maxColumns = 64
)

// keaColumns are where the columns are that are wanted; -1 it is not there.
type keaColumns struct{ mac, duid, name, state, expire, lifetime int }

// readColumns reads the first row of one of Kea's files.
func readColumns(f []string) *keaColumns {
	at := func(name string) int { return slices.Index(f, name) }
	return &keaColumns{at("hwaddr"), at("duid"), at("hostname"), at("state"), at("expire"), at("valid_lifetime")}
}

// keaRow is how an address stands by the last row of it.
type keaRow struct {
	columns *keaColumns
	row     string
}

// keaLeases reads the rows of Kea's files: a journal, in which the last row of an
// address is how it stands; which column is which is in the first row of each file, as
// versions have more. See "Lease File Cleanup" of Kea's manual for the files.
func keaLeases(d *fleet.DHCPServer, rows []string, c clock) {
	var columns *keaColumns
	last := map[netip.Addr]keaRow{}
	for _, row := range rows {
		if commas := strings.Count(row, ","); len(row) > maxRow || commas >= maxColumns {
			continue
		} else if first, _, _ := strings.Cut(row, ","); first == "address" {
			columns = readColumns(strings.Split(row, ","))
		} else if a, err := netip.ParseAddr(first); err == nil && columns != nil && commas >= 4 {
			last[a.WithZone("")] = keaRow{columns, row}
		}
	}
	for a, r := range last {
		r.lease(d, a, c)
	}
}

// lease puts what a row says into the list.
func (r keaRow) lease(d *fleet.DHCPServer, a netip.Addr, c clock) {
	f := strings.Split(r.row, ",")
	of := func(i int) string {
		if i < 0 || i >= len(f) {
			return ""
		}
		return f[i]
	}
	state, lifetime := of(r.columns.state), of(r.columns.lifetime)
	l := fleet.Lease{
		Address: a.String(), MAC: text(cmp.Or(of(r.columns.mac), of(r.columns.duid))), Name: strings.TrimSuffix(text(of(r.columns.name)), "."), State: fleet.LeaseActive,
	}
	if state == keaDeclined {
		l.State = fleet.LeaseDeclined
	}
	over := state != keaAssigned && state != keaDeclined || lifetime == "0"
	take(d, l, of(r.columns.expire), lifetime == forever, over, c)
}

// forever is a lifetime without end; see RFC 2131, 3.3.
const forever = "4294967295"

// escaped is a character as Kea writes those that would part its columns.
var escaped = regexp.MustCompile(`&#x[0-9a-fA-F]{2}`)

// text is a column of Kea's files, for people.
func text(s string) string {
	s = escaped.ReplaceAllStringFunc(s, func(e string) string {
		b, _ := strconv.ParseUint(e[3:], 16, 8)
		return string([]byte{byte(b)})
	})
	return fleet.Short(fleet.Clean(s), 100)
}

// take puts a lease into the list where it holds now; of what does not, the number is
// kept. When it ends is told by the host's clock, and judged by it.
func take(d *fleet.DHCPServer, l fleet.Lease, expire string, endless, over bool, c clock) {
	end, err := strconv.ParseInt(strings.TrimSpace(expire), 10, 64)
	switch {
	case over, !endless && (err != nil || c.host > 0 && end <= c.host):
		d.Expired++
		return
	case !endless:
		l.Expires = c.at(end)
	}
	d.Leases = append(d.Leases, l)
}

// dnsmasqLeases reads the rows of dnsmasq's file: when it ends (0 never), who, address,
// name and client, "*" where that is not known; those of IPv6 stand behind a row "duid".
func dnsmasqLeases(d *fleet.DHCPServer, rows []string, c clock) {
	six := false
	for _, row := range rows {
		if len(row) > maxRow {
			continue
		}
		f := strings.Fields(row)
		if len(f) > 0 && f[0] == "duid" {
			six = true
			continue
		}
		if len(f) < 4 {
			continue
		}
		a, err := netip.ParseAddr(f[2])
		if err != nil {
			continue
		}
		l := fleet.Lease{Address: a.WithZone("").String(), MAC: star(f[1]), Name: star(f[3]), State: fleet.LeaseActive}
		if six {
			l.MAC = ""
			if len(f) > 4 {
				l.MAC = star(f[4])
			}
		}
		take(d, l, f[0], f[0] == "0", false, c)
	}
}

// star is a word of dnsmasq's file, "" where it is not known.
func star(s string) string {
	if s == "*" {
		return ""
	}
	return fleet.Short(fleet.Clean(s), 100)
}
