package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usable is how long facts that are asked seldom are judged by after they were
// read by an earlier process.
const usable = time.Hour

// Usable tells whether a fact that is asked seldom may be judged by: it is current,
// or what an earlier process read not long ago.
func (f Fact[T]) Usable(now time.Time) bool {
	return f.Current() || f.HasValue() && f.Err == Remembered && f.Age(now) <= usable
}

// unreadSeldom is as unread, of facts that are asked seldom: that nobody has asked
// again yet is no problem.
func unreadSeldom[T any](b *bench, name string, f Fact[T]) {
	if f.Err != Remembered {
		unread(b, name, f)
	}
}

// siteProblems are what is wrong with what the host serves to others.
func (s State) siteProblems(now time.Time, b *bench) {
	if !s.Sites.Usable(now) {
		return
	}
	for _, p := range s.Sites.Value {
		if p.ReloadOK != nil && !*p.ReloadOK {
			b.add(Object{Kind: KindService, Name: p.Kind}, SeverityWarn, time.Time{}, "%s runs an older configuration: the last one was refused", p.Kind)
		}
		for _, site := range p.Sites {
			if site.Cert != nil {
				if sev, why := site.Cert.Judge(now); sev != "" {
					b.add(Object{Kind: KindCertificate, Name: site.Name}, sev, time.Time{}, "certificate of %s: %s", site.Name, why)
				}
			}
			var whys, down []string
			for _, r := range site.Routes {
				if is, why := s.routeDown(r); is && !slices.Contains(whys, why) {
					whys, down = append(whys, why), append(down, strings.Split(r.Leads(), ", ")...)
				}
			}
			if len(whys) > 0 { // another upstream that falls is another problem; another reason is not
				slices.Sort(down)
				of := Object{Kind: KindSite, Name: site.Label() + "/" + strings.Join(slices.Compact(down), ",")}
				b.add(of, SeverityFail, time.Time{}, "site %s: %s", site.Label(), strings.Join(whys, ", "))
			}
		}
	}
}

// Label is the site's name, or where it listens where it is for any name.
func (s Site) Label() string {
	if s.Name == "" {
		return "any name at " + strings.Join(s.Listen, ", ")
	}
	return s.Name
}

// routeDown tells whether nothing behind a route can answer, and why.
func (s State) routeDown(r Route) (bool, string) {
	if len(r.Upstreams) == 0 {
		return false, ""
	}
	var whys []string
	for _, u := range r.Upstreams {
		healthy, by := s.UpstreamHealth(u)
		if healthy == nil || *healthy {
			return false, ""
		}
		whys = append(whys, "upstream "+u.Dial+" is down ("+by+")")
	}
	return true, strings.Join(slices.Compact(whys), ", ")
}

// UpstreamHealth tells whether an upstream of a proxy on this host can answer, by
// whom: the proxy where it checks it; else by who listens, where the upstream is on
// this host. Nil: it is not known.
func (s State) UpstreamHealth(u Upstream) (healthy *bool, by string) {
	if u.Healthy != nil {
		return u.Healthy, u.By
	}
	host, port, ok := u.Address()
	if !ok || !s.Owns(host) {
		return nil, ""
	}
	if !s.Listens.HasValue() || s.Listens.Err != "" && s.Listens.Err != Remembered {
		return nil, ""
	}
	_, there := s.ListenerAt("tcp", host, port)
	if there {
		return &there, "something listens there"
	}
	return &there, "nothing listens there"
}

// Address is the host and port that an upstream is dialled at; not of sockets and
// of what is made up for each request.
func (u Upstream) Address() (host string, port uint16, ok bool) {
	dial := u.Dial
	for _, scheme := range []string{"http://", "https://", "h2c://", "tcp/", "tcp4/", "tcp6/"} {
		dial = strings.TrimPrefix(dial, scheme)
	}
	colon := strings.LastIndexByte(dial, ':')
	if colon < 0 {
		return "", 0, false
	}
	host = strings.Trim(dial[:colon], "[]")
	n, err := strconv.ParseUint(dial[colon+1:], 10, 16)
	if err != nil || strings.ContainsAny(host, "{}/") {
		return "", 0, false
	}
	if host == "" {
		host = "localhost"
	}
	return host, uint16(n), true
}

// Owns tells whether an address is the host's own, as the host itself would dial it.
func (s State) Owns(host string) bool {
	if host == "localhost" || loopback(host) {
		return true
	}
	return s.Has(host)
}

// Has tells whether others reach the host at an address or by a name.
func (s State) Has(host string) bool {
	if strings.EqualFold(host, s.Host.Name) {
		return true
	}
	if slices.ContainsFunc(s.Host.Aliases, func(a string) bool { return strings.EqualFold(a, host) }) {
		return true
	}
	return slices.ContainsFunc(s.Host.Addresses, func(a Address) bool { return a.Host != "" && strings.EqualFold(a.Host, host) })
}

// siteEvents are what is known of when in what the host serves.
func (s State) siteEvents() []Event {
	var list []Event
	for _, p := range s.Sites.Value {
		list = append(list, Event{At: p.Reloaded, Kind: EventReload, Level: Info, Text: p.Kind + " took up its configuration", Source: s.Sites.Source})
		told := map[string]bool{}
		for _, site := range p.Sites {
			if c := site.Cert; c != nil && !c.NotBefore.IsZero() && !told[site.Name] {
				told[site.Name] = true
				list = append(list, Event{At: c.NotBefore, Kind: EventCertificate, Level: Info,
					Text: fmt.Sprintf("certificate of %s issued by %s, until %s", site.Name, c.Issuer, c.NotAfter.UTC().Format("2006-01-02")), Source: s.Sites.Source})
			}
		}
	}
	return list
}

// SeenSites are the host's sites with what is known of their upstreams beyond what
// the proxy told.
func (s State) SeenSites() Fact[[]Proxy] {
	return Derive(s.Sites, func(list []Proxy) []Proxy {
		list = slices.Clone(list)
		for i, p := range list {
			list[i].Sites = make([]Site, len(p.Sites))
			for j, site := range p.Sites {
				list[i].Sites[j] = s.seen(site)
			}
		}
		return list
	})
}

func (s State) seen(site Site) Site {
	site.Routes = slices.Clone(site.Routes)
	for i, r := range site.Routes {
		r.Upstreams = slices.Clone(r.Upstreams)
		for j, u := range r.Upstreams {
			r.Upstreams[j].Healthy, r.Upstreams[j].By = s.UpstreamHealth(u)
		}
		site.Routes[i] = r
	}
	return site
}

// RouteWord is how what a route leads to is: "ok", "down", "?", or "-" where it
// leads nowhere else.
func (s State) RouteWord(r Route) string {
	if len(r.Upstreams) == 0 {
		if r.Dynamic != "" || !r.Known {
			return "?"
		}
		return "-"
	}
	known := false
	for _, u := range r.Upstreams {
		healthy, _ := s.UpstreamHealth(u)
		if healthy == nil {
			return "?"
		}
		known = known || *healthy
	}
	if known {
		return "ok"
	}
	return "down"
}

// SiteWord is how a site stands: the worst of its routes and its certificate; why
// is of what is not well.
func (s State) SiteWord(site Site, now time.Time) (word, why string) {
	word = "ok"
	for _, r := range site.Routes {
		switch s.RouteWord(r) {
		case "down":
			_, why := s.routeDown(r)
			return "down", why
		case "?":
			word = "?"
		}
	}
	if site.Cert == nil {
		return word, ""
	}
	switch sev, why := site.Cert.Judge(now); sev {
	case SeverityFail, SeverityWarn:
		return "certificate", "certificate " + why
	case SeverityUnknown:
		return "?", why
	}
	return word, ""
}

// SignIn is who is asked before the route is taken, in a word; "-" nobody, as far
// as the proxy's configuration says.
func (r Route) SignIn() string {
	switch {
	case r.Auth == nil:
		return "-"
	case len(r.Auth.When) > 0:
		return r.Auth.Kind + " for " + Condition(r.Auth.When)
	case r.Auth.Bypassed():
		return r.Auth.Kind + ", which lets everybody pass:"
	}
	return r.Auth.Kind
}

// Word is a certificate in a word: how long it lasts, or what is wrong with it.
func (c Certificate) Word(now time.Time) string {
	if _, why := c.Judge(now); why != "" {
		return why
	}
	return "ends in " + span(c.NotAfter.Sub(now))
}

// WayBroken tells whether something that the host serves to others does not work,
// or soon will not.
func (s State) WayBroken(now time.Time) bool {
	var b bench
	s.siteProblems(now, &b)
	s.serviceProblems(now, &b)
	return slices.ContainsFunc(b, func(p Problem) bool { return p.Severity != SeverityUnknown })
}
