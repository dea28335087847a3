package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/simulate"
)

// TestNetworkOfTheDemo: the router of the simulated fleet has a WAN, two peers of which
// one is silent, a queue that holds its uplink to a rate, and leases; the others have
// their links.
func TestNetworkOfTheDemo(t *testing.T) {
	o := options{json: true, timeout: 30 * time.Second}
	err := withDemo(t.Context(), o, &discover.Config{}, 5, func(a *app) error {
		if err := a.find(t.Context(), false); err != nil {
			return err
		}
		a.ask(t.Context(), a.store.Snapshot().Hosts, networkScope)
		states := a.store.Snapshot().Hosts
		var out bytes.Buffer
		if err := printNetworking(&out, o, states, nil); !errors.Is(err, exitCode(exitProblem)) {
			t.Errorf("%v\n%s", err, &out)
		}
		var got struct {
			Networks []networkingRow
			Problems []fleet.Finding
			Errors   []hostError
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Networks) != 5 || len(got.Errors) != 0 {
			t.Fatalf("%d networks, errors %v", len(got.Networks), got.Errors)
		}
		for _, n := range got.Networks {
			if n.WAN.State != fleet.UplinkUp || len(n.Links) < 3 || n.Links[0].Rx < 0 {
				t.Errorf("%s: %+v, %+v", n.Host, n.WAN, n.Links)
			}
		}
		i := slices.IndexFunc(got.Networks, func(n networkingRow) bool { return n.Host == "router" })
		r := got.Networks[i]
		if r.WAN.Link != "eth0" || r.WAN.Gateway != "203.0.113.1" || r.Hidden != 2 || len(r.Peers()) != 2 || r.DHCP[0].Active != 8 || r.DHCP[0].Expired != 1 {
			t.Errorf("%+v", r)
		}
		if len(got.Problems) != 1 || got.Problems[0].Key != "network:peer wg0 Bp2dqNKRVjMU" {
			t.Errorf("%+v", got.Problems)
		}
		if got := r.BoundWord(r.DHCP[0]); got != "listens on br-lan" {
			t.Error(got)
		}
		checkNetworkLists(t, states)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkNetworkLists: each choice prints its list.
func checkNetworkLists(t *testing.T, states []fleet.State) {
	t.Helper()
	for flag, want := range map[string]string{
		"": "router   up", "interfaces": "br-lan", "peers": "198.51.100.7:51820", "leases": "thermostat.lan", "queues": "40 Mbit/s", "firewall": "inet nixos-fw input",
	} {
		lists := networkLists()
		for _, l := range lists {
			l.show = l.flag == flag
		}
		var out bytes.Buffer
		err := printNetworking(&out, options{}, states, lists)
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "does not answer any more") {
			t.Errorf("%s: %v\n%s", flag, err, &out)
		}
		if flag != "" {
			t.Logf("\n%s", &out)
		}
	}
}

// TestNetworkExitCodes: what is not known ends with 3, also where it is a part, and a
// firewall that was read is told where the rest was not.
func TestNetworkExitCodes(t *testing.T) {
	now := time.Now()
	up := fleet.Networking{Uplinks: []fleet.Uplink{{Link: "eth0", Family: "IPv4", State: fleet.UplinkUp}}}
	wall := fleet.Known(fleet.Firewall{Kind: "nftables", Chains: []fleet.FirewallChain{{Hook: "input", Family: "inet", Table: "fw", Name: "in"}}}, now, "nft")
	with := func(n fleet.Networking) fleet.State {
		return fleet.State{Host: fleet.Host{ID: "h", Name: "h"}, Networking: fleet.Known(n, now, "ip"), Firewall: wall}
	}
	well, noWall, noNet, part, dhcp := with(up), with(up), with(up), with(up), with(up)
	noWall.Firewall = fleet.Unknown[fleet.Firewall](errors.New("no nft"), now, "nft")
	noNet.Networking = fleet.Unknown[fleet.Networking](errors.New("no ip"), now, "ip")
	part.Networking.Value.Unread = []fleet.NetGap{{Part: fleet.PartWireGuard, Why: "x"}}
	dhcp.Networking.Value.DHCP = []fleet.DHCPServer{{Unit: "dnsmasq.service", Program: "dnsmasq", Unread: "x"}}
	for name, c := range map[string]struct {
		st   fleet.State
		list string
		code error
		want string
	}{
		"well": {well, "", nil, "eth0"}, "part": {part, "", exitCode(exitUnknown), "eth0"}, "leases": {dhcp, "leases", exitCode(exitUnknown), "h"},
		"no firewall": {noWall, "firewall", exitCode(exitUnknown), "no nft"}, "no firewall, first list": {noWall, "", exitCode(exitUnknown), "eth0"}, "no firewall, links": {noWall, "interfaces", nil, "LINK"},
		"firewall alone": {noNet, "firewall", nil, "inet fw in"}, "no network": {noNet, "", exitCode(exitUnknown), "no ip"},
	} {
		lists := networkLists()
		for _, l := range lists {
			l.show = l.flag == c.list
		}
		var out bytes.Buffer
		if err := printNetworking(&out, options{}, []fleet.State{c.st}, lists); !errors.Is(err, c.code) || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %v, want %v\n%s", name, err, c.code, &out)
		}
	}
}

// TestRatesFollowTheScreen: what passes through links is measured while a network is on
// the screen, of its host or of all, and forgotten when it closes.
func TestRatesFollowTheScreen(t *testing.T) {
	i := imagine(t, simulate.Options{Hosts: 3}, options{})
	i.follow()
	i.eventually("networks are read", func() bool { return i.state("router").Networking.Current() && i.state("cloud").Networking.Current() })
	measured := func(host string) bool { r, ok := i.state(host).Rates["eth0"]; return ok && r.Rx > 0 }
	i.watcher.Look(fleet.Focus{Host: i.Host("router").ID, Tab: fleet.TabNetwork})
	i.eventually("the rates of router", func() bool { return measured("router") })
	if measured("cloud") {
		t.Error("nobody looks at cloud")
	}
	i.watcher.Look(fleet.Focus{Tab: fleet.TabNetwork})
	i.eventually("the rates of all", func() bool { return measured("router") && measured("cloud") })
	i.watcher.Look(fleet.Focus{})
	i.eventually("no rates", func() bool { return i.state("router").Rates == nil && i.state("cloud").Rates == nil })
}
