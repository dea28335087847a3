package fleet

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNetChanges: what is another than in the reading before is in the timeline, once,
// and what is not known or comes and goes by itself is not.
func TestNetChanges(t *testing.T) {
	net := func(s *State) *Networking { return &s.Networking.Value }
	for name, c := range map[string]struct {
		change func(*State)
		want   string
	}{
		"nothing": {func(*State) {}, ""},
		"WAN down": {func(s *State) {
			net(s).Uplinks = []Uplink{{Link: "eth0", Family: "IPv4", State: UplinkDown, Why: "no carrier"}}
		}, "error the WAN (eth0) is lost: no carrier"},
		"no route":  {func(s *State) { net(s).Uplinks = nil }, "error the WAN (eth0) is lost: there is no default route"},
		"other way": {func(s *State) { net(s).Uplinks = []Uplink{{Link: "lte0", Family: "IPv4", State: UplinkUp}} }, "warn the WAN goes by lte0, and not by eth0 203.0.113.1"},
		"routes not told": {func(s *State) {
			net(s).Uplinks, net(s).Unread = nil, []NetGap{{Part: PartRoutes, Why: "x"}}
		}, ""},
		"carrier":       {func(s *State) { net(s).Links = relinked(s, 1, func(l *NetLink) { l.State = LinkNoCarrier }) }, "warn lan is no carrier, and was up"},
		"of containers": {func(s *State) { net(s).Links = relinked(s, 2, func(l *NetLink) { l.State = LinkUp }) }, ""},
		"plugged in":    {func(s *State) { net(s).Links = relinked(s, 3, func(l *NetLink) { l.State = LinkUp }) }, "info lan3 is up, and was no carrier"},
		"address": {func(s *State) {
			net(s).Links = relinked(s, 0, func(l *NetLink) { l.Addresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.9/24")} })
		}, "info eth0 has the address 203.0.113.9/24, and had 203.0.113.2/24"},
		"IPv6": {func(s *State) {
			net(s).Links = relinked(s, 0, func(l *NetLink) {
				l.Addresses = append(slices.Clone(l.Addresses), netip.MustParsePrefix("2001:db8::7/64"))
			})
		}, ""},
		"gone and new": {func(s *State) { net(s).Links = relinked(s, 4, func(l *NetLink) { l.Name = "wg1" }) }, "warn wg0 is gone, info wg1 is new"},
		"cut":          {func(s *State) { net(s).Links, net(s).Cut = net(s).Links[:2], []string{"only 2 links are kept"} }, ""},
		"peer lost": {func(s *State) {
			peers := slices.Clone(net(s).Tunnels[0].Peers)
			peers[3].Handshake, peers[3].Allowed = networkNow.Add(-time.Hour), []netip.Prefix{netip.MustParsePrefix("10.9.0.4/32")}
			net(s).Tunnels = []WGTunnel{{Link: "wg0", Peers: peers}}
		}, "warn wg0: the peer 10.9.0.4/32 does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			st := ofRouter()
			after := ofRouter()
			c.change(&after)
			next := Known(after.Networking.Value, networkNow.Add(time.Minute), "ip")
			st.Networking = st.Networking.Remember(networkNow) // what was kept from a former run counts
			for range 2 {
				st.TakeNetworking(next)
			}
			if got := networkEventsOf(st); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// relinked are a host's links, one of them changed.
func relinked(s *State, i int, change func(*NetLink)) []NetLink {
	links := slices.Clone(s.Networking.Value.Links)
	change(&links[i])
	return links
}

func networkEventsOf(st State) string {
	var list []string
	for _, e := range Timeline([]State{st}, nil, time.Time{}) {
		if e.Kind == EventNetwork {
			list = append(list, string(e.Level)+" "+e.Text)
		}
	}
	return strings.Join(list, ", ")
}

// TestAWANThatIsNotAlwaysCertain: between two readings of it that are, others tell
// nothing; a way that is lost in one way and then in another is lost once.
func TestAWANThatIsNotAlwaysCertain(t *testing.T) {
	up := []Uplink{{Link: "eth0", Gateway: "203.0.113.1", Family: "IPv4", State: UplinkUp}}
	silent := []Uplink{{Link: "eth0", Gateway: "203.0.113.1", Family: "IPv4", State: UplinkUnknown}}
	down := []Uplink{{Link: "eth0", Gateway: "203.0.113.1", Family: "IPv4", State: UplinkDown, Why: "no carrier"}}
	ppp := []Uplink{{Link: "ppp0", Family: "IPv4", State: UplinkUnknown}}
	for name, c := range map[string]struct {
		seen [][]Uplink
		want string
	}{
		"by an unknown one": {[][]Uplink{silent, down, silent, up}, "info the WAN (eth0) is back, error the WAN (eth0) is lost: no carrier"},
		"lost once":         {[][]Uplink{down, nil, down, nil}, "error the WAN (eth0) is lost: no carrier"},
		"never certain":     {[][]Uplink{silent, silent}, ""},
		"PPP": {[][]Uplink{ppp, nil, ppp}, "info the WAN (ppp0) is back, error the WAN (ppp0) is lost: there is no default route, " +
			"warn the WAN goes by ppp0, and not by eth0 203.0.113.1"},
	} {
		t.Run(name, func(t *testing.T) {
			st := ofRouter()
			for i, uplinks := range c.seen {
				next := ofRouter().Networking.Value
				next.Uplinks = uplinks
				st.TakeNetworking(Known(next, networkNow.Add(time.Duration(i+1)*time.Minute), "ip"))
			}
			if got := networkEventsOf(st); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestAPeerThatAnswersAgain has been heard of: one that only does not count as lost any
// more, because its tunnel was made anew, does not answer.
func TestAPeerThatAnswersAgain(t *testing.T) {
	at := func(p WGPeer, at time.Time) Fact[Networking] {
		n := ofRouter().Networking.Value
		n.Tunnels = []WGTunnel{{Link: "wg0", Peers: []WGPeer{p}}}
		return Known(n, at, "ip")
	}
	lost := WGPeer{Key: "site", Endpoint: "192.0.2.9:51820", KeepAlive: 25, Handshake: networkNow.Add(-time.Hour)}
	anew, heard := lost, lost
	anew.Handshake, anew.Never = time.Time{}, true
	heard.Handshake = networkNow
	for _, c := range []struct {
		after WGPeer
		want  string
	}{{anew, ""}, {heard, "info wg0: the peer site answers again"}} {
		st := ofRouter()
		st.Networking = at(lost, networkNow)
		st.TakeNetworking(at(c.after, networkNow.Add(time.Minute)))
		if got := networkEventsOf(st); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	st := ofRouter()
	well := lost
	well.Handshake = networkNow.Add(-time.Minute)
	st.Networking = at(well, networkNow)
	for i, p := range []WGPeer{lost, anew, anew, heard, heard} {
		st.TakeNetworking(at(p, networkNow.Add(time.Duration(i+1)*time.Minute)))
	}
	if got, want := networkEventsOf(st), "info wg0: the peer site answers again, warn wg0: the peer site does not answer"; got != want {
		t.Errorf("by a tunnel that was made anew: %q, want %q", got, want)
	}
}

// TestNetChangesAreBounded: also of a host that changes at every reading, and a reading
// that failed changes nothing.
func TestNetChangesAreBounded(t *testing.T) {
	st := ofRouter()
	for i := range 3 * MaxNetChanges {
		at := networkNow.Add(time.Duration(i+1) * time.Minute)
		st.TakeNetworking(Unknown[Networking](errors.New("away"), at, "ip"))
		next := ofRouter().Networking.Value
		next.Uplinks[0].State = []UplinkState{UplinkDown, UplinkUp}[i%2]
		st.TakeNetworking(Known(next, at, "ip"))
	}
	if n := len(st.NetChanges); n != MaxNetChanges {
		t.Errorf("%d are kept", n)
	}
	if last := st.NetChanges[MaxNetChanges-1]; last.Text != "the WAN (eth0) is back" || !last.At.Equal(networkNow.Add(3*MaxNetChanges*time.Minute)) {
		t.Errorf("the last is %+v", last)
	}
}
