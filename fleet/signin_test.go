package fleet

import (
	"slices"
	"testing"
	"time"
)

func TestSigningInIsAChain(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	host := func(name string, services ...Service) State {
		return State{Host: Host{ID: HostID(name), Name: name}, Services: Known(services, now, "test")}
	}
	cloud := host("cloud", Service{Kind: "lldap", Health: HealthOK}, Service{Kind: "authelia", Health: HealthOK}, Service{Kind: "redis", Health: HealthBroken})
	cloud.Sites = Known([]Proxy{{Sites: []Site{
		{Name: "photos.example.org", Routes: []Route{{}, {Auth: &ForwardAuth{Kind: "forward_auth"}}}},
		{Name: "open.example.org", Routes: []Route{{Auth: &ForwardAuth{Kind: "http_basic"}}}},
	}}}, now, "test")
	away := State{Host: Host{Name: "away"}}
	bare := State{Host: Host{Name: "bare"}, Services: Nothing[[]Service]("none", now, "test")}
	for name, c := range map[string]struct {
		states []State
		want   Health
		links  []string
	}{
		"none at all":        {[]State{bare}, "", nil},
		"all well":           {[]State{cloud, host("auth", Service{Kind: "dex", Health: HealthOK}), bare}, HealthOK, []string{"authelia", "dex", "lldap"}},
		"one broken":         {[]State{cloud, host("auth", Service{Kind: "dex", Health: HealthBroken}), away}, HealthBroken, []string{"authelia", "dex", "lldap"}},
		"one unknown":        {[]State{cloud, host("auth", Service{Kind: "dex", Health: HealthUnknown})}, HealthUnknown, []string{"authelia", "dex", "lldap"}},
		"a host is not read": {[]State{cloud, away}, HealthUnknown, []string{"authelia", "lldap"}},
	} {
		in := SignInOf(c.states, now)
		var links []string
		for _, l := range in.Links {
			links = append(links, l.Kind)
		}
		if in.Health != c.want || !slices.Equal(links, c.links) {
			t.Errorf("%s: %q %v", name, in.Health, links)
		}
		if c.want != "" && !slices.Equal(in.Sites, []string{"cloud/photos.example.org"}) {
			t.Errorf("%s: sites %v", name, in.Sites)
		}
	}
}
