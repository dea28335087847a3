package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tailscale.com/net/tsaddr"
	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
)

// Owners of nodes. Tailscale files tagged nodes under a user of its own.
const (
	userLab       = tailcfg.UserID(123)
	userTagged    = tailcfg.UserID(124)
	userNeighbour = tailcfg.UserID(456)
)

var users = []tailcfg.UserProfile{
	{ID: userLab, LoginName: "lab@example.com", DisplayName: "Lab Admin"},
	{ID: userTagged, LoginName: "tagged-devices", DisplayName: "Tagged Devices"},
	{ID: userNeighbour, LoginName: "neighbour@example.org", DisplayName: "Neighbour"},
}

// member is what the lab knows of a node beside testcontrol's own record.
type member struct {
	Node      *tailcfg.Node // only filled in the state file
	Ephemeral bool          `json:",omitempty"`
	Created   time.Time
	fake      bool      // no tailscaled behind it
	streams   int       // open map streams
	seen      time.Time // last contact
	forced    *bool     // online as a test wants it, else by streams
}

func (m *member) online() bool {
	if m.forced != nil {
		return *m.forced
	}
	return m.streams > 0
}

// tailnet wraps testcontrol. It answers map requests itself: testcontrol
// cannot take a node away, keeps all in memory, and tells neither who is
// online nor the right time (so that no key would ever expire).
type tailnet struct {
	srv    *testcontrol.Server
	domain string
	state  string
	ids    map[string]tailcfg.NodeID // by name: machines with a fixed address

	mu      sync.Mutex
	members map[key.NodePublic]*member
	changed chan struct{} // closed at every change
	nextID  tailcfg.NodeID
	noSSH   bool // nobody may come in by Tailscale SSH
}

func newTailnet(url, domain, state, hosts string, dm *tailcfg.DERPMap) (*tailnet, error) {
	t := &tailnet{
		domain: domain, state: state, ids: map[string]tailcfg.NodeID{},
		members: map[key.NodePublic]*member{}, changed: make(chan struct{}), nextID: 300,
	}
	if err := t.readHosts(hosts); err != nil {
		return nil, err
	}
	t.srv = &testcontrol.Server{
		Logf: func(string, ...any) {}, DERPMap: dm, ExplicitBaseURL: url,
		MagicDNSDomain: domain, AllNodesSameUser: true,
		DNSConfig: &tailcfg.DNSConfig{Proxied: true, Domains: []string{domain}},
		TagOwners: map[string][]string{}, // not nil: requested tags are granted
		// Everyone may come in by Tailscale SSH as any user, where a host has it on.
		SSHPolicy: &tailcfg.SSHPolicy{Rules: []*tailcfg.SSHRule{{
			Principals: []*tailcfg.SSHPrincipal{{Any: true}},
			SSHUsers:   map[string]string{"*": "=", "root": "root"},
			Action: &tailcfg.SSHAction{
				Accept: true, AllowLocalPortForwarding: true, AllowRemotePortForwarding: true, AllowAgentForwarding: true,
			},
		}}},
		AltMapStream: t.serveMap,
	}
	// testcontrol makes its table of nodes with the first one; nobody sees this one.
	t.srv.AddFakeNode()
	if err := t.load(); err != nil {
		return nil, err
	}
	for _, f := range fakes {
		t.addFake(f)
	}
	return t, nil
}

// readHosts takes name and address of each line of the table.
func (t *tailnet) readHosts(file string) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		a, err := netip.ParseAddr(f[1])
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		t.ids[f[0]] = tailcfg.NodeID(a.As4()[3])
	}
	return nil
}

func (t *tailnet) load() error {
	b, err := os.ReadFile(t.state)
	if t.state == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var ms []*member
	if err := json.Unmarshal(b, &ms); err != nil {
		return fmt.Errorf("%s: %w", t.state, err)
	}
	for _, m := range ms {
		m.seen = time.Now()
		t.nextID = max(t.nextID, m.Node.ID+1)
		t.members[m.Node.Key] = m
		t.srv.UpdateNode(m.Node)
		m.Node = nil
	}
	return nil
}

// save writes the real nodes; t.mu is held.
func (t *tailnet) save() {
	if t.state == "" {
		return
	}
	var ms []member
	for k, m := range t.members {
		if m.fake {
			continue
		}
		c := *m
		c.Node = t.srv.Node(k)
		ms = append(ms, c)
	}
	b, err := json.Marshal(ms)
	if err == nil {
		if err = os.WriteFile(t.state+".new", b, 0o600); err == nil {
			err = os.Rename(t.state+".new", t.state)
		}
	}
	if err != nil {
		log.Printf("state: %v", err)
	}
}

// tell wakes every open stream; t.mu is held.
func (t *tailnet) tell() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func address(n *tailcfg.Node, id tailcfg.NodeID) {
	v4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, byte(id >> 8), byte(id)}), 32)
	v6 := netip.PrefixFrom(tsaddr.Tailscale4To6(v4.Addr()), 128)
	n.ID, n.StableID = id, tailcfg.StableNodeID(fmt.Sprintf("nlab%dCNTRL", id))
	n.Addresses, n.AllowedIPs = []netip.Prefix{v4, v6}, []netip.Prefix{v4, v6}
}

func short(n *tailcfg.Node) string {
	name, _, _ := strings.Cut(n.Name, ".")
	return name
}

// adopt gives a node that has just registered its fixed number, and so its
// address. A machine that comes back with a new key takes the old one's place.
func (t *tailnet) adopt(n *tailcfg.Node) *member {
	m := t.members[n.Key]
	if m != nil {
		return m
	}
	n.Name = strings.ToLower(n.Name)
	id, known := t.ids[short(n)]
	if !known {
		id = t.nextID
		t.nextID++
	}
	for k := range t.members {
		if o := t.srv.Node(k); o == nil || o.ID == id {
			delete(t.members, k)
		}
	}
	address(n, id)
	m = &member{Created: time.Now().UTC()}
	t.members[n.Key] = m
	log.Printf("joined: %s %s", short(n), n.Addresses[0].Addr())
	return m
}

// serveMap is testcontrol's AltMapStream: one map request, which may be a
// node's report about itself, the stream of changes it waits on, or both.
func (t *tailnet) serveMap(ctx context.Context, w testcontrol.MapStreamWriter, req *tailcfg.MapRequest) {
	t.mu.Lock()
	n := t.srv.Node(req.NodeKey)
	if n == nil {
		t.mu.Unlock()
		log.Printf("map request of an unknown node: restart its tailscaled")
		return
	}
	m := t.adopt(n)
	m.seen = time.Now()
	if !req.Stream {
		n.Endpoints, n.DiscoKey, n.Cap = req.Endpoints, req.DiscoKey, req.Version
		if req.Hostinfo != nil {
			n.Hostinfo = req.Hostinfo.View()
			n.Tags = req.Hostinfo.RequestTags
			if ni := req.Hostinfo.NetInfo; ni != nil && ni.PreferredDERP != 0 {
				n.HomeDERP = ni.PreferredDERP
			}
		}
	}
	n.User = owner(n, m)
	t.srv.UpdateNode(n)
	if req.Stream {
		m.streams++
		defer func() {
			t.mu.Lock()
			m.streams--
			m.seen = time.Now()
			t.tell()
			t.mu.Unlock()
		}()
	}
	t.save()
	t.tell()
	t.mu.Unlock()

	keepAlive := time.NewTicker(50 * time.Second)
	defer keepAlive.Stop()
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		res, err := t.mapResponse(req)
		if err != nil || res == nil || w.SendMapMessage(res) != nil || !req.Stream {
			return
		}
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return
			case <-keepAlive.C:
				if w.SendMapMessage(&tailcfg.MapResponse{KeepAlive: true}) != nil {
					return
				}
			case <-changed:
				// Changes come in bursts when the lab starts.
				select {
				case <-ctx.Done():
					return
				case <-time.After(100 * time.Millisecond):
				}
				wait = false
			}
		}
	}
}

func owner(n *tailcfg.Node, m *member) tailcfg.UserID {
	switch {
	case m.fake && n.Sharer != 0:
		return n.Sharer
	case len(n.Tags) > 0:
		return userTagged
	}
	return userLab
}

// mapResponse is testcontrol's, made true: who is there, who is online, and
// what time it is.
func (t *tailnet) mapResponse(req *tailcfg.MapRequest) (*tailcfg.MapResponse, error) {
	res, err := t.srv.MapResponse(req)
	if err != nil || res == nil {
		return nil, err
	}
	now := time.Now().UTC()
	res.ControlTime, res.Domain, res.UserProfiles = &now, "lab.example.com", users
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.noSSH {
		res.SSHPolicy = &tailcfg.SSHPolicy{}
	}
	peers := res.Peers[:0]
	for _, p := range res.Peers {
		m := t.members[p.Key]
		if m == nil {
			continue
		}
		on := m.online()
		p.Online = &on
		if !on {
			seen := m.seen.UTC().Truncate(time.Second)
			p.LastSeen = &seen
		}
		p.Created = m.Created
		peers = append(peers, p)
	}
	res.Peers = peers
	return res, nil
}

func (t *tailnet) fqdn(name string) string {
	if strings.Contains(name, ".") {
		return name + "."
	}
	return name + "." + t.domain + "."
}

// find returns the node of that name, by its full or short name or its number; t.mu is held.
func (t *tailnet) find(name string) (*tailcfg.Node, *member) {
	for k, m := range t.members {
		n := t.srv.Node(k)
		if n != nil && (short(n) == name || strings.TrimSuffix(n.Name, ".") == name || strconv.FormatInt(int64(n.ID), 10) == name || string(n.StableID) == name) {
			return n, m
		}
	}
	return nil, nil
}
