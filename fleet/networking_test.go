package fleet

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var networkNow = time.Date(2026, 11, 29, 16, 0, 0, 0, time.UTC)

// ofRouter is a router with everything in order.
func ofRouter() State {
	st := State{Host: Host{ID: "r", Name: "router"}.Told()}
	st.Networking = Known(Networking{
		Links: []NetLink{
			{Name: "eth0", Kind: "ethernet", State: LinkUp, Zone: FromInternet, Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.2/24")}},
			{Name: "lan", Kind: "bridge", State: LinkUp, Zone: FromLAN, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24")}},
			{Name: "docker0", Kind: "bridge", State: LinkNoCarrier, Zone: ToContainers, Addresses: []netip.Prefix{netip.MustParsePrefix("172.17.0.1/16")}},
			{Name: "lan3", Kind: "ethernet", State: LinkNoCarrier, Zone: ToOthers},
			{Name: "wg0", Kind: "wireguard", State: LinkUp, Zone: ToOthers},
		},
		Uplinks: []Uplink{{Link: "eth0", Gateway: "203.0.113.1", Family: "IPv4", State: UplinkUp}},
		Tunnels: []WGTunnel{{Link: "wg0", Peers: []WGPeer{
			{Key: "phone", Never: true, KeepAlive: 25},                                                             // it has to come by itself
			{Key: "laptop", Endpoint: "192.0.2.7:51820", Handshake: networkNow.Add(-40 * time.Hour)},               // asleep, and nobody keeps it alive
			{Key: "fresh", Endpoint: "192.0.2.8:51820", Never: true, KeepAlive: 25, Tx: 5 * initiation},            // it has just been set up
			{Key: "well", Endpoint: "192.0.2.9:51820", Handshake: networkNow.Add(-2 * time.Minute), KeepAlive: 25}, //
			{Key: "odd", Endpoint: "192.0.2.10:51820", KeepAlive: 25},                                              // when it was is not known
		}}},
		DHCP: []DHCPServer{{Unit: "kea-dhcp4-server.service", Program: "kea", Port: 67, UpFor: 3600, Leases: []Lease{{Address: "192.168.1.5", State: LeaseActive}}, Active: 1}},
	}, networkNow, "ip")
	st.Networking.Value.TakeListens([]Listener{{Proto: "udp", Address: "192.168.1.1", Port: 67, Unit: "kea-dhcp4-server.service"}})
	return st
}

// networkKeys are the problems of a host that are of its networks.
func networkKeys(st State, now time.Time) string {
	var keys []string
	var b bench
	st.networkProblems(now, &b)
	for _, p := range b {
		keys = append(keys, string(p.Severity)+" "+p.Key)
	}
	return strings.Join(keys, ", ")
}

// heard changes who listens on a router.
func heard(list ...Listener) func(*State) {
	return func(s *State) { s.Networking.Value.TakeListens(list) }
}

// TestNetworkProblems: an ordinary router has none, and what is wrong is told where it
// is known alone.
func TestNetworkProblems(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*State)
		want   string
	}{
		"in order": {func(*State) {}, ""},
		"WAN down": {func(s *State) { s.Networking.Value.Uplinks[0].State = UplinkDown }, "fail network:wan"},
		"no route": {func(s *State) { s.Networking.Value.Uplinks = nil }, "fail network:wan"},
		"no route, of a desktop": {func(s *State) {
			s.Host = Host{ID: "d", Name: "desktop"}.Told()
			s.Networking.Value.Uplinks = nil
		}, ""},
		"routes not told": {func(s *State) {
			s.Networking.Value.Uplinks, s.Networking.Value.Unread = nil, []NetGap{{Part: PartRoutes, Why: "x"}}
		}, ""},
		"WAN not known": {func(s *State) { s.Networking.Value.Uplinks[0].State = UplinkUnknown }, ""},
		"WAN down before": {func(s *State) {
			s.Networking.Value.Uplinks[0].State = UplinkDown
			s.Networking = s.Networking.Remember(networkNow)
		}, ""},
		"WAN down, then away": {func(s *State) {
			s.Networking.Value.Uplinks = nil
			s.Networking = s.Networking.Refresh(Unknown[Networking](errors.New("away"), networkNow, "ip"))
		}, ""},
		"LAN without carrier":     {func(s *State) { s.Networking.Value.Links[1].State = LinkNoCarrier }, "warn network:link lan"},
		"LAN switched off":        {func(s *State) { s.Networking.Value.Links[1].State = LinkOff }, ""},
		"DHCP listens nowhere":    {heard(), "fail network:dhcp kea-dhcp4-server.service"},
		"others listen there":     {heard(Listener{Proto: "udp", Address: "192.168.122.1", Port: 67, Unit: "libvirtd.service"}, Listener{Proto: "udp", Port: 67, Unit: "kea-dhcp4-server.service", Container: "x"}), "fail network:dhcp kea-dhcp4-server.service"},
		"whose it is is not told": {heard(Listener{Proto: "udp", Address: "0.0.0.0", Port: 67}), ""},
		"it has just started":     {func(s *State) { heard()(s); s.Networking.Value.DHCP[0].UpFor = 20 }, ""},
		"who listens is not known": {func(s *State) {
			s.Networking.Value.DHCP[0].Bound = nil
		}, ""},
		"dnsmasq of which nobody knows whether it leases": {func(s *State) {
			s.Networking.Value.DHCP[0] = DHCPServer{Unit: "dnsmasq.service", Program: "dnsmasq", Port: 67, UpFor: 3600, Unread: "root's to see"}
			heard(Listener{Proto: "udp", Address: "0.0.0.0", Port: 53})(s)
		}, ""},
		"dnsmasq of IPv6 alone": {func(s *State) {
			s.Networking.Value.DHCP[0] = DHCPServer{Unit: "dnsmasq.service", Program: "dnsmasq", Port: 67, UpFor: 3600}
			heard(Listener{Proto: "udp", Address: "::", Port: 547, Unit: "dnsmasq.service"})(s)
		}, ""},
		"dnsmasq that leases, nowhere": {func(s *State) {
			s.Networking.Value.DHCP[0] = DHCPServer{Unit: "dnsmasq.service", Program: "dnsmasq", Port: 67, UpFor: 3600}
			heard(Listener{Proto: "udp", Address: "0.0.0.0", Port: 53, Unit: "dnsmasq.service"})(s)
		}, "fail network:dhcp dnsmasq.service"},
		"preferred way down": {func(s *State) {
			s.Networking.Value.Uplinks = []Uplink{{Link: "eth0", Family: "IPv4", Metric: 10, State: UplinkDown}, {Link: "lte0", Family: "IPv4", Metric: 20, State: UplinkUp}}
		}, "warn network:wan IPv4"},
		"preferred way passed over": {func(s *State) {
			s.Networking.Value.Uplinks = []Uplink{{Link: "eth0", Family: "IPv4", Metric: 10, State: UplinkDown, Unused: true}, {Link: "lte0", Family: "IPv4", Metric: 20, State: UplinkUp}}
		}, ""},
		"IPv6 way down": {func(s *State) {
			s.Networking.Value.Uplinks = append(s.Networking.Value.Uplinks, Uplink{Link: "eth0", Family: "IPv6", State: UplinkDown})
		}, "warn network:wan IPv6"},
		"all ways down": {func(s *State) {
			s.Networking.Value.Uplinks = []Uplink{{Link: "eth0", Family: "IPv4", State: UplinkDown}, {Link: "lte0", Family: "IPv6", State: UplinkDown}}
		}, "fail network:wan"},
		"tunnel switched off": {func(s *State) {
			s.Networking.Value.Links[4].State = LinkOff
			s.Networking.Value.Tunnels[0].Peers[3].Handshake = networkNow.Add(-time.Hour)
		}, ""},
		"declined, of a cut journal": {func(s *State) {
			s.Networking.Value.DHCP[0].Declined, s.Networking.Value.DHCP[0].Cut = 1, true
		}, ""},
		"declined": {func(s *State) {
			d := &s.Networking.Value.DHCP[0]
			d.Declined, d.Leases = 1, append(d.Leases, Lease{Address: "192.168.1.9", State: LeaseDeclined})
		}, "warn network:declined kea-dhcp4-server.service"},
		"peer lost":     {func(s *State) { s.Networking.Value.Tunnels[0].Peers[3].Handshake = networkNow.Add(-time.Hour) }, "warn network:peer wg0 well"},
		"never answers": {func(s *State) { s.Networking.Value.Tunnels[0].Peers[2].Tx = 100 * initiation }, "warn network:peer wg0 fresh"},
	} {
		st := ofRouter()
		c.change(&st)
		if got := networkKeys(st, networkNow.Add(time.Second)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestBound: where a DHCP server listens, by the links' addresses.
func TestBound(t *testing.T) {
	st := ofRouter()
	n := st.Networking.Value
	for _, c := range []struct {
		at   []Listener
		want string
	}{
		{[]Listener{{Proto: "udp", Address: "192.168.1.1", Port: 67}}, "listens on lan"},
		{[]Listener{{Proto: "udp", Address: "0.0.0.0", Device: "lan", Port: 67}}, "listens on lan"},
		{[]Listener{{Proto: "udp", Address: "0.0.0.0", Port: 67}}, "listens on all links"},
		{[]Listener{{Proto: "udp", Address: "0.0.0.0", Port: 53}, {Proto: "tcp", Address: "0.0.0.0", Port: 67}}, "listens nowhere"},
	} {
		n.TakeListens(c.at)
		if got := n.BoundWord(n.DHCP[0]); got != c.want {
			t.Errorf("%+v: %s, want %s", c.at, got, c.want)
		}
	}
	n.DHCP[0].Bound = nil
	if got := n.BoundWord(n.DHCP[0]); got != "where it listens is not known" {
		t.Error(got)
	}
}

// TestRateOfALink: what is measured just now stands before what was read.
func TestRateOfALink(t *testing.T) {
	st := ofRouter()
	st.Networking.Value.Links[0].LinkRate = LinkRate{Rx: 5, Tx: 6}
	if r := st.Rate("eth0"); r.Rx != 5 {
		t.Error(r)
	}
	st.Rates = map[string]LinkRate{"eth0": {Rx: 9, Tx: 1}}
	if r := st.Rate("eth0"); r.Rx != 9 {
		t.Error(r)
	}
	if r := st.Rate("eth7"); r.Rx != -1 || r.Tx != -1 {
		t.Error(r)
	}
	for bytes, want := range map[uint64]string{0: "0 bit/s", 1_250_000: "10 Mbit/s", 117_187_500: "937.5 Mbit/s"} {
		if got := Bits(bytes); got != want {
			t.Errorf("%d: %s", bytes, got)
		}
	}
}
