package main

import (
	"net/netip"
	"strings"
	"time"

	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
)

// fake is a node with no tailscaled behind it: a line in everyone's netmap.
type fake struct {
	id        tailcfg.NodeID
	name      string
	host      string // its own idea of its name, where that differs
	os        string
	tags      []string
	offline   time.Duration // last seen so long ago; 0 is online
	expired   time.Duration // key expired so long ago
	age       time.Duration // in the tailnet since
	ephemeral bool
	exitNode  bool
	shared    bool // belongs to somebody else's tailnet
}

const day = 24 * time.Hour

// fakes are what a real tailnet holds beside the machines one manages.
var fakes = []fake{
	{id: 101, name: "phone", os: "iOS", age: 400 * day},
	{id: 102, name: "tablet", os: "android", age: 300 * day, offline: 5 * time.Hour},
	{id: 103, name: "jellyfin", os: "linux", tags: []string{"tag:service"}, ephemeral: true, age: 3 * day},
	{id: 104, name: "grafana", os: "linux", tags: []string{"tag:service"}, ephemeral: true, age: 3 * day},
	{id: 105, name: "photos", os: "linux", tags: []string{"tag:service"}, ephemeral: true, age: 9 * day, offline: 2 * day},
	{id: 106, name: "storage-1", host: "storage", os: "linux", tags: []string{"tag:server"}, age: 200 * day, offline: 40 * day},
	{id: 107, name: "cottage", os: "linux", tags: []string{"tag:server"}, age: 500 * day, offline: 6 * day},
	{id: 108, name: "octopi", os: "linux", age: 190 * day, offline: 11 * day, expired: 10 * day},
	{id: 109, name: "brazil-exit", os: "linux", tags: []string{"tag:exit"}, exitNode: true, age: 60 * day},
	{id: 110, name: "nas.neighbour.ts.net", os: "linux", shared: true, age: 90 * day},
}

func (t *tailnet) addFake(f fake) {
	host, _, _ := strings.Cut(f.name, ".")
	if f.host != "" {
		host = f.host
	}
	m := &member{fake: true, Ephemeral: f.ephemeral, Created: time.Now().Add(-f.age).UTC().Truncate(time.Second)}
	on := f.offline == 0
	m.forced, m.seen = &on, time.Now().Add(-f.offline)
	hi := &tailcfg.Hostinfo{
		Hostname: host, OS: f.os, IPNVersion: "1.102.5", RequestTags: f.tags,
		NetInfo: &tailcfg.NetInfo{PreferredDERP: 1},
	}
	n := &tailcfg.Node{
		Name: t.fqdn(f.name), Machine: key.NewMachine().Public(), Key: key.NewNode().Public(), DiscoKey: key.NewDisco().Public(),
		MachineAuthorized: true, HomeDERP: 1, Cap: tailcfg.CurrentCapabilityVersion, Tags: f.tags,
	}
	address(n, f.id)
	if f.exitNode {
		hi.RoutableIPs = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		n.AllowedIPs = append(n.AllowedIPs, hi.RoutableIPs...)
	}
	if f.shared {
		n.Sharer = userNeighbour
	}
	if f.expired > 0 {
		n.KeyExpiry = time.Now().Add(-f.expired).UTC().Truncate(time.Second)
	} else if len(f.tags) == 0 {
		n.KeyExpiry = time.Now().Add(90 * day).UTC().Truncate(time.Second)
	}
	n.Hostinfo = hi.View()
	n.User = owner(n, m)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members[n.Key] = m
	t.srv.UpdateNode(n)
	t.tell()
}
