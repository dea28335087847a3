package fleet

import (
	"fmt"
	"strconv"
	"strings"
)

// maxWebLink bounds an address of a page, in bytes.
const maxWebLink = 2000

// WebLink is an address that may be offered as a link: http or https, printable
// ASCII, not too long, and without a login that would pass for a host. "" where it
// is none.
func WebLink(address string) string {
	rest, ok := strings.CutPrefix(address, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(address, "http://")
	}
	where, _, _ := strings.Cut(rest, "/")
	if !ok || len(address) > maxWebLink || where == "" || strings.ContainsAny(where, "@?#\\") {
		return ""
	}
	for i := range len(address) {
		if address[i] <= ' ' || address[i] > '~' {
			return ""
		}
	}
	return address
}

// NetdataLink is where a person can look at a host in Netdata, its own or its
// parent's: "" where none tells of it, or nobody outside of that host can.
func (s Snapshot) NetdataLink(st State) string {
	at, path := st, "/"
	source := st.Metrics.Source
	if !strings.HasPrefix(source, "netdata") && st.Alarms.HasValue() {
		source = st.Alarms.Source
	}
	if !strings.HasPrefix(source, "netdata") {
		return ""
	}
	if _, from, _ := strings.Cut(source, " on "); from != "" {
		parent, ok := s.Named(from)
		if !ok {
			return ""
		}
		name := st.System.Value.Hostname
		if name == "" {
			name = st.Host.Name
		}
		at, path = parent, "/host/"+name+"/"
	}
	return s.linkTo(at, netdataPort, path)
}

const netdataPort = 19999

// MonitorLink is where a person can look at a monitoring server of a host.
func (s Snapshot) MonitorLink(st State, m Monitor) string {
	if m.Port == 0 {
		return ""
	}
	return s.linkTo(st, m.Port, "/")
}

// linkTo is the address of a page at a port of a host: the site that leads there,
// else the host's own address where it listens for others.
func (s Snapshot) linkTo(at State, port uint16, path string) string {
	if site := s.siteTo(at, port); site != "" {
		return WebLink(site + path)
	}
	if len(at.Host.Addresses) == 0 && !at.Host.Local {
		return ""
	}
	seen, open := false, at.Host.Local
	for _, l := range at.Listens.Value {
		if l.Proto == "tcp" && l.Port == port {
			seen, open = true, open || !l.Loopback()
		}
	}
	if at.Listens.HasValue() && (!seen || !open) {
		return "" // nobody, or only the host itself, reaches it
	}
	where := "127.0.0.1"
	if !at.Host.Local {
		if where = at.Host.Addresses[0].bare(); loopback(where) {
			return "" // another machine's: the way there is a forwarded port
		}
	}
	return WebLink(fmt.Sprintf("http://%s:%d%s", where, port, path))
}

// bare is the address without a port, as it stands in a URL.
func (a Address) bare() string {
	if strings.Contains(a.Host, ":") {
		return "[" + a.Host + "]"
	}
	return a.Host
}

// siteTo is the site of a proxy whose every page leads to a port of a host.
func (s Snapshot) siteTo(at State, port uint16) string {
	who := namesOf(s.Hosts)
	for _, st := range s.Hosts {
		for _, p := range st.Sites.Value {
			for _, site := range p.Sites {
				if site.leadsTo(st, at, port, who) {
					if site.TLS {
						return "https://" + site.Name
					}
					return "http://" + site.Name
				}
			}
		}
	}
	return ""
}

// leadsTo tells whether a site of one host leads to a port of another.
func (s Site) leadsTo(from, to State, port uint16, who roster) bool {
	if strings.Contains(s.Name, "*") {
		return false
	}
	for _, r := range s.Routes {
		for _, u := range r.Upstreams {
			host, at, ok := cutPort(u.Dial)
			if !ok || at != port || len(r.When) > 0 {
				continue
			}
			if loopback(host) || host == "localhost" {
				if from.Host.ID == to.Host.ID {
					return true
				}
			} else if who.ids[nameKey(host)] == to.Host.ID {
				return true
			}
		}
	}
	return false
}

// cutPort divides "storage:3000".
func cutPort(dial string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(dial, ':')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(dial[i+1:], 10, 16)
	return strings.Trim(dial[:i], "[]"), uint16(n), err == nil
}

// AlarmLink is where a person can look at an alarm: where its monitor says, else
// the monitor, else its host in Netdata.
func (s Snapshot) AlarmLink(a HostAlarm) string {
	if link := WebLink(a.URL); link != "" {
		return link
	}
	for _, source := range a.Sources {
		kind, host, ok := strings.Cut(source, " on ")
		st, known := s.Named(host)
		if !ok || !known {
			continue
		}
		for _, m := range st.Monitors.Value {
			if m.Kind == kind {
				return s.MonitorLink(st, m)
			}
		}
	}
	if st, ok := s.Host(a.HostID); ok && a.Chart != "" && len(a.Labels) == 0 {
		return s.NetdataLink(st)
	}
	return ""
}
