package discover

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/mdns"

	"github.com/sextant-fleet/sextant/fleet"
)

// Times of asking the local network. There is nothing to watch: the library
// asks once and listens for a while.
const (
	mdnsEvery  = time.Minute
	mdnsListen = time.Second
	mdnsKeep   = 200 * time.Second // an answer may be lost three times
	mdnsLinks  = 8                 // interfaces asked at most
)

// service is what machines with an SSH server announce.
const service = "_ssh._tcp"

// mdnsNet is the local network. Anybody there can say anything: what it tells
// adds an address to a host another source knows, and makes no host by itself.
// It does not cross routers or the tailnet.
type mdnsNet struct {
	ask   func(context.Context) ([]*mdns.ServiceEntry, error)
	every time.Duration
}

func newMDNS() *mdnsNet { return &mdnsNet{ask: askLinks, every: mdnsEvery} }

// Name is "mdns".
func (*mdnsNet) Name() string { return SourceMDNS }

// Slow is true: answers are waited for.
func (*mdnsNet) Slow() bool { return true }

// Watch asks once a minute and forgets what has not answered for a while.
func (m *mdnsNet) Watch(ctx context.Context, emit func([]Sighting, error)) {
	type heard struct {
		sighting Sighting
		at       time.Time
	}
	known := map[string]heard{}
	for ctx.Err() == nil {
		entries, err := m.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		for _, s := range fromMDNS(entries) {
			known[canon(s.Name)] = heard{s, now}
		}
		maps.DeleteFunc(known, func(_ string, h heard) bool { return now.Sub(h.at) > mdnsKeep })
		list := make([]Sighting, 0, len(known))
		for _, name := range slices.Sorted(maps.Keys(known)) {
			list = append(list, known[name].sighting)
		}
		if err != nil {
			emit(nil, &Trouble{err, "turn it off with mdns = false under [sources]"})
		} else {
			emit(list, nil)
		}
		pause(ctx, m.every)
	}
}

// askLinks asks on every interface that leads to a local network, at the same time.
func askLinks(ctx context.Context) ([]*mdns.ServiceEntry, error) {
	links, err := localLinks()
	if err != nil || len(links) == 0 {
		return nil, cmp.Or(err, errors.New("no local network to ask"))
	}
	var mu sync.Mutex
	var all []*mdns.ServiceEntry
	var errs []error
	var wg sync.WaitGroup
	for _, l := range links {
		wg.Go(func() {
			entries, err := askLink(ctx, l)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, entries...)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if len(errs) == len(links) {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

func askLink(ctx context.Context, l link) ([]*mdns.ServiceEntry, error) {
	found := make(chan *mdns.ServiceEntry, 256)
	err := mdns.QueryContext(ctx, &mdns.QueryParam{
		Service: service, Timeout: mdnsListen, Interface: &l.iface, DisableIPv4: !l.v4, DisableIPv6: !l.v6,
		Entries: found, Logger: log.New(io.Discard, "", 0),
	})
	close(found)
	// Read only now: the library goes on writing to entries it has sent.
	var entries []*mdns.ServiceEntry
	for e := range found {
		entries = append(entries, e)
	}
	return entries, err
}

// link is an interface and what it speaks.
type link struct {
	iface  net.Interface
	v4, v6 bool
}

// virtual are interfaces behind which no neighbour lives.
var virtual = regexp.MustCompile(`^(docker\d*|br-[0-9a-f]{12}|veth.*|podman\d*|cni.*|virbr.*|tailscale.*|ts-.*|wg.*|tun.*|utun.*|flannel.*|cali.*)$`)

func localLinks() ([]link, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var links []link
	for _, i := range ifaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 || virtual.MatchString(i.Name) {
			continue
		}
		l := link{iface: i}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				l.v4 = l.v4 || p.Addr().Is4()
				l.v6 = l.v6 || p.Addr().Is6()
			}
		}
		if (l.v4 || l.v6) && len(links) < mdnsLinks {
			links = append(links, l)
		}
	}
	return links, nil
}

// fromMDNS makes sightings of answers, one for each host name, by name.
func fromMDNS(entries []*mdns.ServiceEntry) []Sighting {
	byName := map[string]Sighting{}
	for _, e := range entries {
		if e == nil || !strings.HasSuffix(canon(e.Name), "."+service+".local") {
			continue // the library passes on answers to other people's questions
		}
		name := strings.TrimSuffix(canon(e.Host), ".local")
		if !validHostName(name) || e.Port < 1 || e.Port > 65535 {
			continue
		}
		s, ok := byName[name]
		if !ok {
			s = Sighting{Source: SourceMDNS, Name: name, Weak: true}
		}
		port := e.Port
		if port == 22 {
			port = 0
		}
		for _, ip := range entryAddresses(e) {
			if a := (fleet.Address{Via: fleet.ViaMDNS, Host: ip, Port: port}); !slices.Contains(s.Addresses, a) {
				s.Addresses = append(s.Addresses, a)
			}
		}
		if len(s.Addresses) > 0 {
			byName[name] = s
		}
	}
	list := make([]Sighting, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[name])
	}
	return list
}

// tailnetRanges are Tailscale's own: a neighbour who claims one of these lies.
var tailnetRanges = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fd7a:115c:a1e0::/48")}

// entryAddresses are the addresses of an answer that a neighbour can have.
func entryAddresses(e *mdns.ServiceEntry) []string {
	var out []string
	for _, candidate := range []struct {
		ip   net.IP
		zone string
	}{{e.AddrV4, ""}, {v6(e).IP, v6(e).Zone}} {
		a, ok := netip.AddrFromSlice(candidate.ip)
		if a = a.Unmap(); !ok || a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() ||
			slices.ContainsFunc(tailnetRanges, func(p netip.Prefix) bool { return p.Contains(a) }) {
			continue
		}
		if a.Is6() && a.IsLinkLocalUnicast() {
			a = a.WithZone(clean(candidate.zone))
		}
		out = append(out, a.String())
	}
	return out
}

func v6(e *mdns.ServiceEntry) net.IPAddr {
	if e.AddrV6IPAddr == nil {
		return net.IPAddr{}
	}
	return *e.AddrV6IPAddr
}
