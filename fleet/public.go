package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CloudRecord is a DNS record that Cloudflare has.
type CloudRecord struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // A, AAAA, CNAME: those that lead somewhere
	Content string `json:"content"`
	Proxied bool   `json:"proxied"` // people reach Cloudflare, which reaches the host
}

// CloudTunnel is a tunnel from Cloudflare to cloudflared on a host.
type CloudTunnel struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"` // healthy, degraded, down, inactive (it never was up)
}

// Down tells whether nothing comes through the tunnel.
func (t CloudTunnel) Down() bool { return t.Status == "down" || t.Status == "inactive" }

// CloudName is what Cloudflare has of a name.
type CloudName struct {
	Zone    string        `json:"zone"` // "": the token sees no zone of it
	Records []CloudRecord `json:"records"`
	Tunnel  *CloudTunnel  `json:"tunnel,omitempty"` // to which the name leads
}

// PublicName is a name as the public finds it.
type PublicName struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`           // by public DNS; empty: it does not know the name
	Canonical string   `json:"canonical,omitempty"` // the name it stands for, where that is another
	Behind    bool     `json:"cloudflare"`          // all addresses are Cloudflare's
	Err       string   `json:"error"`               // why public DNS did not tell
	CloudName
	Asked bool `json:"cloudflareAsked"` // whether Cloudflare's records of it are known
}

// Judge tells how public DNS, Cloudflare's records and its tunnel agree. A name that
// only people at home are to know is neither here nor there.
func (n PublicName) Judge() (state Health, why, cure string) {
	const wait = "wait for the old answer to expire, or look for another zone of the name"
	var direct []string
	proxied := false
	for _, r := range n.Records {
		if proxied = proxied || r.Proxied; !r.Proxied && (r.Type == "A" || r.Type == "AAAA") {
			direct = append(direct, r.Content)
		}
	}
	known := len(n.Addresses) > 0
	switch t := n.Tunnel; {
	case t != nil && t.Down():
		return HealthBroken, fmt.Sprintf("its tunnel %s is %s", t.Name, t.Status), "start cloudflared on the host of the tunnel"
	case t != nil && t.Status != "healthy" && t.Status != "degraded":
		return HealthUnknown, "its tunnel's state is " + cmp.Or(t.Status, "not told"), ""
	case n.Err != "":
		return HealthUnknown, n.Err, ""
	case n.Asked && len(n.Records) == 0 && n.Behind && n.Zone == "":
		return HealthUnknown, "the token sees no zone of the name", ""
	case n.Asked && len(n.Records) == 0 && n.Behind:
		return HealthBroken, "Cloudflare has no record of the name in " + n.Zone, "add a record for it at Cloudflare"
	case known && proxied && !n.Behind:
		return HealthBroken, "public DNS has " + strings.Join(n.Addresses, ", ") + ", which are none of Cloudflare's, though the record is proxied", wait
	case known && !proxied && len(direct) > 0 && !slices.ContainsFunc(direct, func(a string) bool { return slices.Contains(n.Addresses, a) }):
		return HealthBroken, "public DNS has " + strings.Join(n.Addresses, ", ") + ", Cloudflare's record " + strings.Join(direct, ", "), wait
	}
	return HealthOK, "", ""
}

// Way is how the public comes to the name, in a word: "proxied", "tunnel", "direct",
// "-" where it does not, "?" where that is not known.
func (n PublicName) Way() string {
	switch {
	case n.Tunnel != nil:
		return "tunnel"
	case n.Err != "":
		return "?"
	case len(n.Addresses) == 0:
		return "-"
	case n.Behind:
		return "proxied"
	}
	return "direct"
}

// Public is how the public finds what the fleet serves.
type Public struct {
	Server  string        `json:"server"`  // the public name server that was asked
	Names   []PublicName  `json:"names"`   // of the fleet's sites, and those that Cloudflare's records lead to its hosts and tunnels by
	Tunnels []CloudTunnel `json:"tunnels"` // all that the token sees
	Zones   []string      `json:"zones"`   // likewise
	Cloud   string        `json:"cloud"`   // why Cloudflare told nothing; "" it did
	Cure    string        `json:"cure,omitempty"`
}

// Name finds a name.
func (p Public) Name(name string) (PublicName, bool) {
	i := slices.IndexFunc(p.Names, func(n PublicName) bool { return strings.EqualFold(n.Name, name) })
	if i < 0 {
		return PublicName{}, false
	}
	return p.Names[i], true
}

// SiteNames are the names of all sites that may be public: without those with a star,
// and those that no public name server knows.
func (s Snapshot) SiteNames(now time.Time) []string {
	var names []string
	for _, st := range s.Hosts {
		if !st.Sites.Usable(now) {
			continue
		}
		for _, p := range st.Sites.Value {
			for _, site := range p.Sites {
				name := strings.ToLower(site.Name)
				if !strings.ContainsAny(name, "* ") && !PrivateName(name) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// ServedBy are the hosts that have a site of a name, or of the wildcard for it.
func (s Snapshot) ServedBy(name string) []string {
	var hosts []string
	for _, st := range s.Hosts {
		serves := slices.ContainsFunc(st.Sites.Value, func(p Proxy) bool {
			return slices.ContainsFunc(p.Sites, func(site Site) bool { return site.Name != "" && MatchName(site.Name, name) })
		})
		if serves {
			hosts = append(hosts, st.Host.Name)
		}
	}
	return hosts
}

// private are the ends of names that no public name server knows.
var private = []string{".ts.net", ".local", ".lan", ".internal", ".home.arpa", ".localhost", ".home"}

// PrivateName tells whether no public name server knows of a name: it is not asked.
func PrivateName(name string) bool {
	return !strings.Contains(name, ".") || slices.ContainsFunc(private, func(end string) bool { return strings.HasSuffix(strings.ToLower(name), end) })
}

// TunnelHost finds the host that runs a tunnel's cloudflared, as NixOS names its unit.
func (s Snapshot) TunnelHost(t CloudTunnel) (State, Unit, bool) {
	for _, st := range s.Hosts {
		for _, u := range st.Units.Value {
			if u.Name == "cloudflared-tunnel-"+t.ID+".service" || u.Name == "cloudflared-tunnel-"+t.Name+".service" {
				return st, u, true
			}
		}
	}
	return State{}, Unit{}, false
}

// publicFindings are what is wrong between the public and the fleet. Where Cloudflare
// is not asked, for want of a token, nothing is held against anybody.
func (s Snapshot) publicFindings(now time.Time) []Finding {
	if !s.Public.Usable(now) {
		return nil
	}
	var list []Finding
	add := func(st State, of Object, sev Severity, cure, format string, args ...any) *Finding {
		list = append(list, Finding{Host: st.Host.Name, HostID: st.Host.ID, Problem: Problem{Key: of.Key(), Of: of, Severity: sev, What: fmt.Sprintf(format, args...), Cure: cure}})
		return &list[len(list)-1]
	}
	p := s.Public.Value
	if p.Cloud != "" {
		add(State{}, Object{Kind: KindPublic, Name: "cloudflare"}, SeverityUnknown, p.Cure, "Cloudflare: %s", p.Cloud)
	}
	through := map[string][]string{} // names by tunnel
	for _, n := range p.Names {
		if n.Tunnel != nil {
			through[n.Tunnel.ID] = append(through[n.Tunnel.ID], n.Name)
		}
		state, why, cure := n.Judge()
		if state == HealthBroken && (n.Tunnel == nil || !n.Tunnel.Down()) {
			add(State{}, Object{Kind: KindPublic, Name: n.Name}, SeverityWarn, cure, "%s: %s", n.Name, why)
		}
	}
	for _, t := range p.Tunnels {
		st, u, ok := s.TunnelHost(t)
		names := through[t.ID]
		if !t.Down() || !ok && len(names) == 0 {
			continue // nobody of the fleet is concerned
		}
		f := add(st, Object{Kind: KindPublic, Name: "tunnel " + t.Name}, SeverityFail, "start cloudflared on the host of the tunnel", "Cloudflare's tunnel %s is %s", t.Name, t.Status)
		if len(names) > 0 {
			f.What += ": " + few(names)
		}
		if ok {
			f.Cure = "sextant unit restart " + st.Host.Name + " " + u.Name
			f.Because = []string{Object{Kind: KindUnit, Name: u.Name}.Key(), Object{Kind: KindHost}.Key()}
		}
	}
	return list
}
