package fleet

import (
	"slices"
	"time"
)

// SignIn is how signing in stands in the whole fleet: a chain of services, each of
// which may keep everybody out.
type SignIn struct {
	Health Health       `json:"health"` // of the link that is worst; "" where there is none
	Links  []SignInLink `json:"links"`  // in the order in which a request comes by
	Sites  []string     `json:"sites"`  // that ask before they let somebody in: "storage/photos.example.org"
	Unread []string     `json:"unread"` // hosts whose services are not known
}

// SignInLink is one of the services, on its host.
type SignInLink struct {
	Host   string `json:"host"`
	HostID HostID `json:"-"`
	Service
}

// signInOrder are the kinds of services that people are signed in by: who is asked
// by the proxy, who says who somebody is, and where that is kept.
var signInOrder = []string{"authelia", "dex", "lldap"}

// SignInOf puts together what hosts tell of signing in.
func SignInOf(states []State, now time.Time) SignIn {
	in := SignIn{Links: []SignInLink{}, Sites: []string{}, Unread: []string{}}
	for _, s := range states {
		if !s.Services.Usable(now) {
			if !s.Services.None {
				in.Unread = append(in.Unread, s.Host.Name)
			}
			continue
		}
		for _, v := range s.Services.Value {
			if slices.Contains(signInOrder, v.Kind) {
				in.Links = append(in.Links, SignInLink{s.Host.Name, s.Host.ID, v})
			}
		}
		in.Sites = append(in.Sites, s.signedIn(now)...)
	}
	slices.SortStableFunc(in.Links, func(a, b SignInLink) int {
		return slices.Index(signInOrder, a.Kind) - slices.Index(signInOrder, b.Kind)
	})
	for _, h := range []Health{HealthBroken, HealthUnknown, HealthOK} {
		if in.Health == "" && slices.ContainsFunc(in.Links, func(l SignInLink) bool { return l.Health == h }) {
			in.Health = h
		}
	}
	if in.Health == HealthOK && len(in.Unread) > 0 {
		in.Health = HealthUnknown // a link may be on a host that does not tell
	}
	return in
}

// signedIn are the host's sites of which a route asks whether somebody may pass.
func (s State) signedIn(now time.Time) []string {
	var names []string
	if !s.Sites.Usable(now) {
		return nil
	}
	for _, p := range s.Sites.Value {
		for _, site := range p.Sites {
			if slices.ContainsFunc(site.Routes, func(r Route) bool { return r.Auth != nil && r.Auth.Kind == "forward_auth" && !r.Auth.Bypassed() }) {
				names = append(names, s.Host.Name+"/"+site.Label())
			}
		}
	}
	return names
}
