package fleet

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Meant is a line of the configuration: something that is meant to be reached from
// the internet.
type Meant struct {
	Host string // "" any
	Port string // "tcp/443", "udp/60000-61000", "ipv6" for what a router lets in to those behind it; "" any, of a name
	Name string // a public name, in which a label may be a star; "": the port itself
	Why  string
}

// IPv6 is the port of [Meant] for what a router lets in to all behind it.
const IPv6 = "ipv6"

// ParsePorts reads "tcp/443" or "udp/60000-61000".
func ParsePorts(s string) (proto string, from, to uint16, ok bool) {
	proto, ports, _ := strings.Cut(s, "/")
	lo, hi, several := strings.Cut(ports, "-")
	if !several {
		hi = lo
	}
	first, err := strconv.ParseUint(lo, 10, 16)
	last, errTo := strconv.ParseUint(hi, 10, 16)
	return proto, uint16(first), uint16(last), err == nil && errTo == nil && first > 0 && first <= last && (proto == "tcp" || proto == "udp")
}

// ofPort tells whether a line is for a port of a host.
func (m Meant) ofPort(s State, proto string, port uint16) bool {
	p, from, to, ok := ParsePorts(m.Port)
	return m.of(s) && ok && p == proto && from <= port && port <= to
}

// of tells whether a line is for a host.
func (m Meant) of(s State) bool {
	return m.Host == "" || strings.EqualFold(m.Host, s.Host.Name) || slices.ContainsFunc(s.Host.Aliases, func(a string) bool { return strings.EqualFold(a, m.Host) })
}

// ofName tells whether a line is for a name that a host serves at a port.
func (m Meant) ofName(s State, name string, port uint16) bool {
	return m.Name != "" && m.of(s) && (m.Port == "" || m.ofPort(s, "tcp", port)) && (strings.EqualFold(m.Name, name) || MatchName(m.Name, name))
}

// ExposedName is a name under which something is reached.
type ExposedName struct {
	Name       string `json:"name"`
	Proxy      string `json:"proxy"`             // the host whose proxy serves it
	SignIn     *bool  `json:"signIn"`            // whether all of it is behind a sign-in; null: not known
	Cloudflare *bool  `json:"cloudflare"`        // whether public DNS leads to Cloudflare; null: not asked
	Meant      string `json:"meant,omitempty"`   // why it is meant to be reached without
	Problem    bool   `json:"problem,omitempty"` // it is reached without sign-in and is not meant to be
}

// Exposure is something of a host that others may reach, and from where they do.
type Exposure struct {
	Host   string `json:"host"`
	HostID HostID `json:"hostId"`
	Listener
	To string `json:"to,omitempty"` // where the port is sent on to, where nothing on the host itself listens
	Doors
	Names    []ExposedName `json:"names"`
	Meant    string        `json:"meant,omitempty"` // why it is meant to be reached
	Problem  bool          `json:"problem,omitempty"`
	Severity Severity      `json:"severity,omitempty"`
	Why      string        `json:"why,omitempty"` // why it is a problem
	Cure     string        `json:"cure,omitempty"`
}

// alone is why nobody reaches a loopback address.
const alone = "only the host itself"

// Exposures are what of the host others may reach, as far as it decides itself: its
// listeners, and the ports that it sends on.
func (s State) Exposures(now time.Time) []Exposure {
	fw := s.Firewall.Value
	var list []Exposure
	add := func(e Exposure) {
		e.Host, e.HostID, e.Names = s.Host.Name, s.Host.ID, s.namesAt(e.Listener, now)
		s.judge(&e)
		list = append(list, e)
	}
	for _, l := range s.Listens.Value {
		if slices.ContainsFunc(list, func(e Exposure) bool {
			return e.Proto == l.Proto && e.Port == l.Port && e.Address == l.Address && e.Device == l.Device
		}) {
			continue
		}
		doors, known := fw.Of(l)
		switch {
		case l.Loopback():
			doors = Doors{Door{Stopped, alone}, Door{Stopped, alone}, Door{Stopped, alone}}
		case !known:
			why := Door{PassesUnknown, cmp.Or(s.Firewall.Err, "the firewall was not asked since it listens")}
			doors = Doors{why, why, why}
		}
		add(Exposure{Listener: l, Doors: doors})
	}
	for _, f := range fw.Sent {
		if _, held := s.ListenerAt(f.Proto, "0.0.0.0", f.Port); held && f.Own {
			continue // who holds the port stands for the container
		}
		to := netip.AddrPortFrom(addrOf(f.To), f.ToPort).String()
		add(Exposure{Listener: Listener{Proto: f.Proto, Address: "*", Port: f.Port}, To: to, Doors: f.Doors})
	}
	return list
}

func addrOf(s string) netip.Addr { a, _ := netip.ParseAddr(s); return a }

// namesAt are the names that a proxy serves at a listener.
func (s State) namesAt(l Listener, now time.Time) []ExposedName {
	names := []ExposedName{}
	if !s.Sites.Usable(now) {
		return names
	}
	for _, p := range s.Sites.Value {
		if p.Unit != l.Unit && p.Kind != l.Process && l.Container == "" {
			continue
		}
		for _, site := range p.Sites {
			if site.Port != l.Port || site.redirects() || slices.ContainsFunc(names, func(n ExposedName) bool { return n.Name == site.Label() }) {
				continue
			}
			n := ExposedName{Name: site.Label(), Proxy: s.Host.Name, SignIn: site.signedIn()}
			for _, m := range s.Meant {
				if m.ofName(s, site.Name, site.Port) || site.Name == "" && m.Name == "" && m.ofPort(s, "tcp", site.Port) {
					n.Meant = cmp.Or(m.Why, "listed as meant")
				}
			}
			names = append(names, n)
		}
	}
	return names
}

// redirects tells whether a site does nothing but send people elsewhere.
func (s Site) redirects() bool {
	return len(s.Routes) > 0 && !slices.ContainsFunc(s.Routes, func(r Route) bool { return r.Status < 300 || r.Status > 399 })
}

// signedIn tells whether all of a site that answers with more than a fixed answer is
// behind a sign-in; nil: not known.
func (s Site) signedIn() *bool {
	yes, no := true, false
	known := true
	for _, r := range s.Routes {
		switch {
		case r.Auth.Bypassed():
			return &no
		case r.Auth != nil && len(r.Auth.When) == 0, r.Status != 0 && len(r.Upstreams) == 0:
		case r.Auth != nil, !r.Known, r.Handler == "" && len(r.Through) > 0, len(r.Through) > 0:
			known = false
		case r.Handler != "":
			return &no
		}
	}
	if !known {
		return nil
	}
	return &yes
}

// builtInMeant are the processes that are meant to be reached from anywhere by what
// they are, and why.
var builtInMeant = map[string]string{"tailscaled": "Tailscale's own way between nodes"}

// signsIn are processes that ask everyone who comes to sign in.
var signsIn = []string{"sshd", "sshd-session", "dropbear"}

// judge tells whether an exposure is meant, and how bad it is where it is not.
func (s State) judge(e *Exposure) {
	if why, ok := builtInMeant[e.Process]; ok && e.Proto == "udp" {
		e.Meant = why
	}
	for _, m := range s.Meant {
		if m.Name == "" && (m.ofPort(s, e.Proto, e.Port) || e.Proto == "udp" && len(e.Names) > 0 && m.ofPort(s, "tcp", e.Port)) {
			e.Meant = cmp.Or(m.Why, "listed as meant")
		}
	}
	if e.Internet.State != Passes || s.behind() {
		return
	}
	open := 0
	for i := range e.Names {
		n := &e.Names[i]
		if n.SignIn == nil || !*n.SignIn {
			open++
			n.Problem = n.Meant == ""
		}
	}
	if e.Meant != "" {
		return
	}
	e.Problem, e.Severity = true, SeverityFail
	switch {
	case slices.Contains(signsIn, e.Process):
		e.Severity, e.Why = SeverityWarn, "it asks for a sign-in, and is not listed as meant"
	case len(e.Names) > 0 && open == 0:
		e.Severity, e.Why = SeverityWarn, "all its names are behind a sign-in, and are reached past Cloudflare"
	case s.redirectsAt(e.Listener):
		e.Severity, e.Why = SeverityWarn, "it only sends people elsewhere, and is not listed as meant"
	default:
		e.Why = "without sign-in, and not listed as meant"
	}
	e.Cure = s.closing(*e)
}

// redirectsAt tells whether all that a proxy serves at a listener sends people
// elsewhere.
func (s State) redirectsAt(l Listener) bool {
	some := false
	for _, p := range s.Sites.Value {
		if p.Unit != l.Unit && p.Kind != l.Process {
			continue
		}
		for _, site := range p.Sites {
			switch {
			case site.Port == l.Port && !site.redirects():
				return false
			case site.Port == l.Port, site.TLS && l.Port == 80: // Caddy sends people from there to HTTPS by itself
				some = true
			}
		}
	}
	return some
}

// behind tells whether what reaches the host from the internet comes through
// somebody else's router first: it has no IPv4 address of the internet's, and one of a
// LAN.
func (s State) behind() bool {
	v4, _ := s.Firewall.Value.Public()
	return !v4 && slices.ContainsFunc(s.Firewall.Value.Links, func(l FirewallLink) bool {
		return l.Zone == FromLAN && slices.ContainsFunc(l.Addresses, func(a netip.Prefix) bool { return a.Addr().Is4() })
	})
}

// closing is what a person can do about something that is reached.
func (s State) closing(e Exposure) string {
	port := strconv.Itoa(int(e.Port))
	meant := ", or say in config.toml that it is meant: [[meant]] with host = " + strconv.Quote(s.Host.Name) + ", port = " + strconv.Quote(ProtoPort(e.Proto, e.Port)) + " (sextant exposure --suggest prints it)"
	switch {
	case e.To != "":
		return "take it out of networking.nat.forwardPorts" + meant
	case e.Container != "" || e.Process == "conmon" || e.Process == "docker-proxy":
		return "publish it for the host alone (127.0.0.1:" + port + ")" + meant
	case s.Firewall.Value.Kind == "none":
		return "set networking.firewall.enable = true, or bind it to 127.0.0.1" + meant
	}
	return "take " + port + " out of networking.firewall.allowed" + strings.ToUpper(e.Proto) + "Ports" + meant
}

// exposureProblems are what of the host the internet reaches and is not meant to.
func (s State) exposureProblems(now time.Time, b *bench) {
	if !s.Firewall.Usable(now) || !s.Listens.Usable(now) {
		return
	}
	var unknown []string
	why, told := "", map[string]bool{}
	for _, e := range s.Exposures(now) {
		port := ProtoPort(e.Proto, e.Port)
		if e.Problem && !told[port] {
			told[port] = true
			b.add(Object{Kind: KindExposure, Name: port}, e.Severity, time.Time{}, "the internet reaches %s: %s", e.label(), e.Why).Cure = e.Cure
		}
		s.nameProblems(e, told, b)
		if e.Internet.State == PassesUnknown && !s.behind() && e.Meant == "" && !slices.Contains(unknown, port) {
			unknown, why = append(unknown, port), cmp.Or(why, e.Internet.Why)
		}
	}
	if len(unknown) > 0 {
		more := ""
		if n := len(unknown) - maxNamed; n > 0 {
			more = " and " + strconv.Itoa(n) + " more"
		}
		b.add(Object{Kind: KindExposure, Name: "unknown"}, SeverityUnknown, time.Time{}, "whether the internet reaches %s%s is not known: %s", strings.Join(unknown[:min(len(unknown), maxNamed)], ", "), more, why)
	}
	s.through6Problem(b)
}

// maxNamed is how many ports one problem names.
const maxNamed = 5

// nameProblems are the names without sign-in at a port that is meant to be open.
func (s State) nameProblems(e Exposure, told map[string]bool, b *bench) {
	for _, n := range e.Names {
		if !n.Problem || told[n.Name] || e.Problem && e.Severity == SeverityFail {
			continue
		}
		told[n.Name] = true
		what, sev := "without sign-in", SeverityFail
		if n.SignIn == nil {
			what, sev = "perhaps without sign-in", SeverityUnknown
		}
		b.add(Object{Kind: KindExposure, Name: n.Name}, sev, time.Time{}, "the internet reaches %s %s, and it is not listed as meant", n.Name, what).Cure =
			"put a sign-in before it (forward_auth), or say in config.toml that it is meant: [[meant]] with host = " + strconv.Quote(s.Host.Name) + ", name = " + strconv.Quote(n.Name) + " (sextant exposure --suggest prints it)"
	}
}

// through6Problem is that a router lets in to those behind it whatever comes by IPv6.
func (s State) through6Problem(b *bench) {
	fw := s.Firewall.Value
	meant := slices.ContainsFunc(s.Meant, func(m Meant) bool { return m.Port == IPv6 && m.of(s) })
	behind := slices.ContainsFunc(fw.Links, func(l FirewallLink) bool {
		return l.Zone == FromLAN && slices.ContainsFunc(l.Addresses, func(a netip.Prefix) bool { return a.Addr().Is6() && PublicAddress(a.Addr()) })
	})
	if fw.Through6.State != Passes || !behind || meant {
		return
	}
	b.add(Object{Kind: KindExposure, Name: IPv6}, SeverityWarn, time.Time{}, "by IPv6 the internet reaches every host behind it: no rule of its forward chain forbids it").Cure =
		"set networking.firewall.filterForward = true (with networking.nftables.enable), or say in config.toml that it is meant: [[meant]] with host = " + strconv.Quote(s.Host.Name) + `, port = "ipv6"`
}

// label is what an exposure is, for people: "tcp/8096 (jellyfin)".
func (e Exposure) label() string {
	of := cmp.Or(strings.TrimSuffix(e.Unit, ".service"), e.Process)
	if e.To != "" {
		of = "sent on to " + e.To
	}
	if of == "" {
		return ProtoPort(e.Proto, e.Port)
	}
	return ProtoPort(e.Proto, e.Port) + " (" + of + ")"
}
