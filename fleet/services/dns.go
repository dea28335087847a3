package services

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed dns.sh
var dnsScript string

// Bounds of asking a host about DNS.
const (
	dnsTime      = 20 * time.Second
	dnsAskTime   = 8 * time.Second // the script
	dnsBytes     = 64 << 10
	maxNameLinks = 40
)

// blockyKind is how a Blocky is found. Its other ports are those of DNS: plain, by
// TLS and by HTTPS.
var blockyKind = kind{name: "blocky", units: []string{"blocky"}, images: []string{"blocky"}, not: []uint16{53, 853, 443}}

// responders are the units that answer for names of the local network, and what the
// script calls them.
var responders = [][2]string{{"avahi-daemon.service", "avahi"}, {"systemd-resolved.service", "resolved"}}

// HasDNS tells whether a host has a DNS server that can be asked, as far as its units
// and containers tell.
func HasDNS(st fleet.State) bool { return len(findBlocky(st)) > 0 }

// server is a Blocky that was found on a host.
type server struct {
	fleet.DNSServer
	at      []string // "127.0.0.1:4000": where its API may be
	metrics string   // the path of its metrics; "" they are off
	period  fleet.Seconds
}

// stopped are states of units and containers that do not run, and are not about to.
var stopped = []string{"inactive", "failed", "exited", "stopped", "created", "configured", "paused", "dead", fleet.Absent}

// active tells whether a unit runs.
func active(u fleet.Unit) bool { return u.Active == "active" || u.Active == "reloading" }

func unreadContainers(st fleet.State) error {
	return fmt.Errorf("containers could not be read: %s", cmp.Or(st.Containers.Err, "not asked yet"))
}

// findBlocky gives the Blockys of a host: containers of its image, and its unit.
func findBlocky(st fleet.State) []server {
	var out []server
	owned := map[string]bool{}
	for _, c := range st.Containers.Value {
		if !blockyKind.isContainer(c) {
			continue
		}
		if !c.UserUnit {
			owned[c.Unit] = true
		}
		v := server{metrics: defaultMetrics, DNSServer: fleet.DNSServer{Kind: blockyKind.name, Unit: c.Unit, Container: c.Name}}
		if c.User != "root" {
			v.User = c.User
		}
		switch {
		case !st.Containers.Current(): // it may be gone since, or another be in its place
			v.Err = unreadContainers(st).Error()
		case !c.Running():
			v.Err, v.None = "its container does not run: "+c.State, slices.Contains(stopped, c.State)
		}
		out = append(out, v)
	}
	for _, u := range st.Units.Value {
		if u.User != "" || !blockyKind.isUnit(u.Name) || owned[u.Name] {
			continue
		}
		v := server{metrics: defaultMetrics, DNSServer: fleet.DNSServer{Kind: blockyKind.name, Unit: u.Name}}
		if !active(u) {
			v.Err, v.None = "it does not run: its unit is "+u.Active, slices.Contains(stopped, u.Active)
		}
		out = append(out, v)
	}
	return out[:min(len(out), 10)]
}

// DNS reads the DNS servers of a host and its names in the local network. Of what the
// host is, st tells; who listens there should be known where it has a DNS server.
func DNS(ctx context.Context, l link.Link, st fleet.State) (fleet.Fact[[]fleet.DNSServer], fleet.Fact[[]fleet.MDNS]) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	if !st.Units.Current() && !st.Units.None {
		err := fmt.Errorf("units could not be read: %s", cmp.Or(st.Units.Err, "not asked yet"))
		return fleet.Unknown[[]fleet.DNSServer](err, time.Now(), "probe"), fleet.Unknown[[]fleet.MDNS](err, time.Now(), "probe")
	}
	servers, told := findBlocky(st), askDNS(ctx, l, st)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() { servers[i].read(ctx, l, st, told) })
	}
	wg.Wait()
	return dnsFact(st, servers), namesFact(st, told)
}

func dnsFact(st fleet.State, servers []server) fleet.Fact[[]fleet.DNSServer] {
	now := time.Now()
	switch c := st.Containers; {
	case len(servers) > 0:
		list := make([]fleet.DNSServer, len(servers))
		for i, s := range servers {
			list[i] = s.DNSServer
		}
		return fleet.Known(list, now, "its HTTP API")
	case !c.Current() && !c.None: // one may run in a container
		return fleet.Unknown[[]fleet.DNSServer](unreadContainers(st), now, "probe")
	}
	return fleet.Nothing[[]fleet.DNSServer]("no DNS server that can be asked (Blocky)", now, "probe")
}

// dnsTold is what the script tells, by the first word of each line.
type dnsTold struct {
	lines map[string][]string
	err   error
}

// one is the only line of a kind, "" where there is none.
func (t dnsTold) one(kind string) string {
	if l := t.lines[kind]; len(l) > 0 {
		return l[0]
	}
	return ""
}

// askDNS runs the script, where there is anything to ask.
func askDNS(ctx context.Context, l link.Link, st fleet.State) dnsTold {
	var what []string
	if runs(st, "blocky.service") {
		what = append(what, "blocky")
	}
	for _, r := range responders {
		if runs(st, r[0]) {
			what = append(what, r[1])
		}
	}
	if len(what) == 0 {
		return dnsTold{}
	}
	ctx, cancel := context.WithTimeout(ctx, dnsAskTime)
	defer cancel()
	mark := rand.Text()
	cmd := link.Script(dnsScript, append([]string{mark}, what...)...)
	cmd.IfRoot, cmd.Limit = true, dnsBytes
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return dnsTold{err: err}
	}
	return parseDNS(string(res.Stdout), mark)
}

func parseDNS(out, mark string) dnsTold {
	t := dnsTold{lines: map[string][]string{}}
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, dnsBytes)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), mark+" "); ok {
			name, text, _ := strings.Cut(rest, " ")
			t.lines[name] = append(t.lines[name], text)
		}
	}
	if t.lines["end"] == nil {
		return dnsTold{err: errors.New("the answer has no end")}
	}
	return t
}

// runs tells whether a unit of the system does.
func runs(st fleet.State, unit string) bool {
	return slices.ContainsFunc(st.Units.Value, func(u fleet.Unit) bool { return u.User == "" && u.Name == unit && active(u) })
}

// namesFact is what those that answer for names of the local network tell of theirs.
func namesFact(st fleet.State, t dnsTold) fleet.Fact[[]fleet.MDNS] {
	var list []fleet.MDNS
	if runs(st, responders[0][0]) {
		list = append(list, t.avahi())
	}
	if runs(st, responders[1][0]) {
		if m, on := t.resolved(); on {
			list = append(list, m)
		}
	}
	now := time.Now()
	switch {
	case t.err != nil:
		return fleet.Unknown[[]fleet.MDNS](t.err, now, "systemd")
	case len(list) == 0:
		return fleet.Nothing[[]fleet.MDNS]("nothing answers for a name in the local network (avahi, systemd-resolved)", now, "probe")
	}
	return fleet.Known(list, now, "avahi, systemd-resolved")
}

// avahi tells its state and its name in the title of its process: "avahi-daemon:
// running [storage.local]".
func (t dnsTold) avahi() fleet.MDNS {
	m, conf := fleet.MDNS{Responder: "avahi"}, map[string]string{}
	for _, line := range t.lines["avahi"] {
		key, value, _ := strings.Cut(line, "=")
		conf[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	_, title, _ := strings.Cut(word(t.one("avahi-title")), "avahi-daemon: ")
	state, rest, ok := strings.Cut(title, " [")
	if name, _, closed := strings.Cut(rest, "]"); ok && closed {
		m.State, m.Name = state, name
	}
	domain := cmp.Or(conf["domain-name"], "local")
	m.Wanted = word(firstLabel(cmp.Or(conf["host-name"], t.one("hostname"))) + "." + domain)
	if links := conf["allow-interfaces"]; links != "" {
		for l := range strings.SplitSeq(links, ",") {
			m.Links = append(m.Links, word(strings.TrimSpace(l)))
		}
		m.Links = m.Links[:min(len(m.Links), maxNameLinks)]
	}
	yes, no := true, false
	switch {
	case t.one("avahi-file") == "":
		m.Why = "its configuration could not be read"
	case conf["disable-publishing"] == "yes":
		m.Publishes, m.Why = &no, "disable-publishing (NixOS: services.avahi.publish.enable)"
	case conf["publish-addresses"] == "no":
		m.Publishes, m.Why = &no, "publish-addresses=no"
	case m.Name == "":
		m.Why = "its process does not tell its name"
	default:
		m.Publishes = &yes
	}
	m.Judge()
	return m
}

func firstLabel(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return name
}

// resolved tells on which links it answers: "Link 2 (eth0): yes". Where it answers on
// none, mDNS is not its work. Its own name is that of LLMNR, which it changes where
// another machine has it.
func (t dnsTold) resolved() (fleet.MDNS, bool) {
	m, global, yes := fleet.MDNS{Responder: "resolved"}, false, true
	for _, line := range t.lines["resolved"] {
		of, value, ok := strings.Cut(word(line), ": ")
		switch {
		case !ok:
		case of == "Global":
			global = value == "yes"
		case value == "yes" && len(m.Links) < maxNameLinks:
			_, name, _ := strings.Cut(of, "(")
			m.Links = append(m.Links, strings.TrimSuffix(name, ")"))
		}
	}
	if len(t.lines["resolved"]) > 0 && (!global || len(m.Links) == 0) {
		return m, false
	}
	m.Wanted = word(firstLabel(t.one("hostname"))) + ".local"
	if parts := strings.SplitN(word(t.one("resolved-name")), `"`, 3); len(parts) == 3 && parts[1] != "" {
		m.Name = parts[1] + ".local"
	}
	switch {
	case len(t.lines["resolved"]) == 0:
		m.Why = "it did not tell whether it answers"
	default:
		m.Publishes = &yes
	}
	m.Judge()
	return m, true
}
