package tuitest

import (
	"net/netip"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// netLink is a link of a host as it is shown.
func netLink(name, kind string, state fleet.LinkState, rx, tx float64, addresses ...string) fleet.NetLink {
	l := fleet.NetLink{
		Name: name, Kind: kind, State: state, Zone: fleet.FromLAN, MTU: 1500, Addresses: []netip.Prefix{}, RxBytes: 918_223_112_034, TxBytes: 102_331_872_113,
		LinkRate: fleet.LinkRate{Rx: rx, Tx: tx},
	}
	if kind == "ethernet" {
		l.MAC = "02:00:5e:10:00:01"
	}
	for _, a := range addresses {
		l.Addresses = append(l.Addresses, netip.MustParsePrefix(a))
	}
	return l
}

// Networked adds to a host that it leads a LAN to the internet: a WAN, two peers of
// which one is silent, a queue, leases and the chains of its firewall.
func Networked(st fleet.State) fleet.State {
	at, yes := ago(40*time.Second), true
	wan := netLink("eth0", "ethernet", fleet.LinkUp, 9.4e6, 1.2e6, "203.0.113.9/24", "2001:db8:7::9/64")
	wan.Zone, wan.RxDropped = fleet.FromInternet, 12
	n := fleet.Networking{
		Links: []fleet.NetLink{
			wan, netLink("br-lan", "bridge", fleet.LinkUp, 1.1e6, 9.2e6, "192.168.1.1/24"), netLink("wg0", "wireguard", fleet.LinkUp, 52_000, 910_000, "10.9.0.1/24"),
			netLink("lan1", "ethernet", fleet.LinkUp, 1.1e6, 9.2e6), netLink("lan2", "ethernet", fleet.LinkNoCarrier, 0, 0), netLink("lo", "loopback", fleet.LinkUp, -1, -1, "127.0.0.1/8", "::1/128"),
		},
		Hidden: 14,
		Uplinks: []fleet.Uplink{
			{Link: "eth0", Gateway: "203.0.113.1", Family: "IPv4", Neighbour: "REACHABLE", Answers: &yes, State: fleet.UplinkUp, Why: "its gateway answers a ping"},
			{Link: "eth0", Gateway: "fe80::1", Family: "IPv6", Metric: 1024, Neighbour: "STALE", State: fleet.UplinkUnknown, Why: "its gateway does not answer a ping (the kernel calls it STALE)"},
		},
		Tunnels: []fleet.WGTunnel{{Link: "wg0", Port: 51820, Peers: []fleet.WGPeer{
			{Key: "8HtQWQpwBcsW", Endpoint: "198.51.100.23:40112", Allowed: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/32")}, Handshake: ago(74 * time.Second), Rx: 48_210_233, Tx: 911_203_441},
			{Key: "Bp2dqNKRVjMU", Endpoint: "198.51.100.7:51820", Allowed: []netip.Prefix{netip.MustParsePrefix("10.9.0.3/32"), netip.MustParsePrefix("192.168.7.0/24")}, Handshake: ago(3 * time.Hour), Rx: 1_203_344, Tx: 8_812_230, KeepAlive: 25},
			{Key: "nVx5ppdSfJGc", Allowed: []netip.Prefix{netip.MustParsePrefix("10.9.0.4/32")}, Never: true},
		}}},
		Queues: []fleet.Queue{
			{Link: "eth0", Kind: "cake", Count: 1, Rate: 5_000_000, Bytes: 102_331_872_113, Packets: 147_000_000, Drops: 367_812, Overlimits: 16_331_220, Backlog: 4542},
			{Link: "lan1", Kind: "fq_codel", Count: 4, Bytes: 918_223_112_034, Packets: 960_000_000, Drops: 31},
		},
		DHCP: []fleet.DHCPServer{{
			Unit: "kea-dhcp4-server.service", Program: "kea", Port: 67, File: "/var/lib/kea/kea-leases4.csv", Active: 2, Expired: 5, UpFor: 86_400,
			Leases: []fleet.Lease{
				{Address: "192.168.1.120", MAC: "1a:1b:1c:1d:1e:1f", Name: "raider.lan", Expires: Now.Add(52 * time.Minute), State: fleet.LeaseActive},
				{Address: "192.168.1.121", MAC: "2a:1b:1c:1d:1e:1f", Expires: Now.Add(12 * time.Minute), State: fleet.LeaseActive},
			},
		}},
	}
	st.Networking = fleet.Known(n, at, "ip")
	st.Listens = fleet.Known([]fleet.Listener{{Proto: "udp", Address: "192.168.1.1", Port: 67, Process: "kea-dhcp4", PID: 690, Unit: "kea-dhcp4-server.service"}}, at, "ss")
	st.Networking.Value.TakeListens(st.Listens.Value)
	sent := fleet.PortForward{Proto: "tcp", Port: 8443, To: "192.168.1.10", ToPort: 443}
	sent.Internet = fleet.Door{State: fleet.Stopped, Why: "policy drop of chain forward in table inet nixos-fw"}
	sent.LAN, sent.Tailnet = sent.Internet, sent.Internet
	st.Firewall = fleet.Known(fleet.Firewall{Kind: "nftables", Rules: 14, Forwards: true, Chains: []fleet.FirewallChain{
		{Family: "ip", Table: "nixos-nat", Name: "pre", Type: "nat", Hook: "prerouting", Priority: -100, Policy: "accept", Rules: 1},
		{Family: "inet", Table: "nixos-fw", Name: "input", Type: "filter", Hook: "input", Policy: "drop", Rules: 4},
		{Family: "inet", Table: "nixos-fw", Name: "forward", Type: "filter", Hook: "forward", Policy: "drop", Rules: 2},
		{Family: "ip", Table: "nixos-nat", Name: "post", Type: "nat", Hook: "postrouting", Priority: 100, Policy: "accept", Rules: 1},
	}, Sent: []fleet.PortForward{sent}}, at, "nft")
	return st
}

// PlainlyNetworked adds to a host an uplink of which nobody knows whether it is up, and
// a tunnel whose peers could not be read.
func PlainlyNetworked(st fleet.State) fleet.State {
	no := false
	st.Networking = fleet.Known(fleet.Networking{
		Links: []fleet.NetLink{netLink("enp1s0", "ethernet", fleet.LinkUp, 4.1e6, 220_000, "192.168.1.10/24"), netLink("wg0", "wireguard", fleet.LinkUp, 0, 0, "10.9.0.5/32")}, Hidden: 41,
		Uplinks: []fleet.Uplink{{Link: "enp1s0", Gateway: "192.168.1.1", Family: "IPv4", Metric: 100, Neighbour: "STALE", Answers: &no, State: fleet.UplinkUnknown, Why: "its gateway does not answer a ping (the kernel calls it STALE)"}},
		Queues:  []fleet.Queue{{Link: "enp1s0", Kind: "fq_codel", Count: 1, Packets: 1000}},
		Unread:  []fleet.NetGap{{Part: fleet.PartWireGuard, Why: "peers are root's to see, and the login there is not root's", Cure: "log in as root"}},
	}, ago(5*time.Second), "ip")
	return st
}
