package fleet

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Exposures are those of all hosts, with what other hosts decide: the router before
// a host, and the proxies whose sites lead to it. Of public names cloudflare tells
// whether they lead there; those that it does not name were not asked.
func (s Snapshot) Exposures(now time.Time, cloudflare map[string]bool) []Exposure {
	var all []Exposure
	for _, st := range s.Hosts {
		all = append(all, s.ExposuresOf(st, now, cloudflare)...)
	}
	return all
}

// ExposuresOf are those of one host.
func (s Snapshot) ExposuresOf(st State, now time.Time, cloudflare map[string]bool) []Exposure {
	list := st.Exposures(now)
	if len(list) == 0 {
		return nil
	}
	router, gateway := s.routerOf(st)
	names := s.namesTo(st, now)
	for i := range list {
		e := &list[i]
		if st.behind() && !e.Loopback() {
			e.Internet = st.throughRouter(*e, router, gateway, now)
		}
		for _, n := range names[ProtoPort(e.Proto, e.Port)] {
			if st.takesAt(e.Listener, n.at) && !slices.ContainsFunc(e.Names, func(o ExposedName) bool { return o.Name == n.Name && o.Proxy == n.Proxy }) {
				e.Names = append(e.Names, n.ExposedName)
			}
		}
		for k, n := range e.Names {
			if is, asked := cloudflare[n.Name]; asked {
				e.Names[k].Cloudflare = &is
			}
		}
	}
	return list
}

// ExposedNames are the names of all sites, without those with a star.
func (s Snapshot) ExposedNames(now time.Time) []string {
	var names []string
	for _, e := range s.Exposures(now, nil) {
		for _, n := range e.Names {
			if strings.Contains(n.Name, ".") && !strings.ContainsAny(n.Name, "* ") && !slices.Contains(names, n.Name) {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// leading is a name whose site leads to an address of a host.
type leading struct {
	ExposedName
	at string // as the proxy dials it
}

// namesTo are the names of all proxies' sites that lead to ports of a host, by port.
func (s Snapshot) namesTo(st State, now time.Time) map[string][]leading {
	names := map[string][]leading{}
	for _, other := range s.Hosts {
		if !other.Sites.Usable(now) {
			continue
		}
		for _, p := range other.Sites.Value {
			for _, site := range p.Sites {
				for _, r := range site.Routes {
					for _, u := range r.Upstreams {
						host, port, ok := u.Address()
						own := other.Host.ID == st.Host.ID && other.Owns(host)
						if !ok || !own && !st.Has(host) && !st.Firewall.Value.Has(host) {
							continue
						}
						key := ProtoPort("tcp", port)
						names[key] = append(names[key], leading{ExposedName{Name: site.Label(), Proxy: other.Host.Name, SignIn: site.signedIn()}, host})
					}
				}
			}
		}
	}
	return names
}

// takesAt tells whether a listener takes what a proxy sends to an address or a name of
// the host.
func (s State) takesAt(l Listener, at string) bool {
	if at == "localhost" {
		at = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(at); err == nil {
		return l.takes(at)
	}
	return !l.Loopback() // a name: one of its addresses that others reach
}

// routerOf is the host of the fleet that is a host's gateway. Gateway is the first,
// where none is of the fleet.
func (s Snapshot) routerOf(st State) (router *State, gateway string) {
	for _, g := range st.Firewall.Value.Gateways {
		for i, other := range s.Hosts {
			if other.Host.ID != st.Host.ID && other.Firewall.Value.Has(g) {
				return &s.Hosts[i], g
			}
		}
	}
	if g := st.Firewall.Value.Gateways; len(g) > 0 {
		return nil, g[0]
	}
	return nil, ""
}

// throughRouter is whether the internet reaches a listener of a host behind a router.
func (s State) throughRouter(e Exposure, router *State, gateway string, now time.Time) Door {
	switch {
	case gateway == "":
		return Door{Stopped, "the host has no way to the internet"}
	case router == nil:
		return Door{PassesUnknown, "it is behind " + gateway + ", which is no host of the fleet"}
	case !router.Firewall.Usable(now):
		return Door{PassesUnknown, "it is behind " + router.Host.Name + ", whose firewall is not known"}
	}
	name := router.Host.Name
	doors := []Door{{Stopped, name + " sends nothing on to it"}}
	if router.behind() {
		doors[0] = Door{PassesUnknown, name + " is behind another router"}
	}
	for _, f := range router.Firewall.Value.Sent {
		if f.Proto == e.Proto && f.ToPort == e.Port && s.Firewall.Value.Has(f.To) && e.takes(f.To) {
			doors = append(doors, inRow(f.Internet, e.LAN, name))
		}
	}
	if e.Internet.State != Stopped { // by IPv6, as far as the host itself decides
		doors = append(doors, inRow(router.Firewall.Value.Through6, e.Internet, name+", by IPv6"))
	}
	return MostOpen(doors)
}

// inRow is the door of two behind each other: the router's and the host's own.
func inRow(first, own Door, router string) Door {
	switch {
	case own.State == Stopped:
		return own
	case first.State != Passes:
		return Door{first.State, router + ": " + first.Why}
	case own.State == Passes:
		return Door{Passes, "through " + router + ": " + first.Why}
	}
	return own
}
