package discover

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/mdns"
)

func entry(name, host, ip string, port int) *mdns.ServiceEntry {
	return &mdns.ServiceEntry{Name: name + "._ssh._tcp.local.", Host: host, AddrV4: net.ParseIP(ip).To4(), Port: port}
}

func TestMDNSEntries(t *testing.T) {
	six := entry("six", "six.local.", "", 22)
	six.AddrV6IPAddr = &net.IPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}
	lied := entry("lied", "lied.local.", "100.64.0.11", 22)
	lied.AddrV6IPAddr = &net.IPAddr{IP: net.ParseIP("fd7a:115c:a1e0::1")}
	list := fromMDNS([]*mdns.ServiceEntry{
		nil,
		entry(`storage\ \[aa\]`, "storage.local.", "192.168.1.4", 22),
		entry("storage", "storage.local.", "192.168.2.4", 22),
		entry("storage", "Storage.local.", "192.168.1.4", 22),
		entry("port", "port.local.", "192.168.1.5", 2222),
		six, lied,
		entry("option", "-oProxyCommand=x.local.", "192.168.1.6", 22),
		entry("escape", "\x1b]0;x\x07.local.", "192.168.1.6", 22),
		entry("ip", "192.168.1.1.", "192.168.1.6", 22),
		entry("empty", "", "192.168.1.6", 22),
		entry("loop", "loop.local.", "127.0.0.1", 22),
		entry("group", "group.local.", "224.0.0.251", 22),
		entry("noport", "noport.local.", "192.168.1.7", 0),
		entry("noip", "noip.local.", "", 22),
		{Name: "printer._ipp._tcp.local.", Host: "printer.local.", AddrV4: net.IPv4(192, 168, 1, 8), Port: 631},
	})
	checkClean(t, list)
	hosts, others := Merge(list, Rules{Include: []string{"*"}}, nil)
	want := `port id=name:port from=mdns at=mdns:192.168.1.5#2222
six id=name:six from=mdns at=mdns:fe80::1%eth0
storage id=name:storage from=mdns at=mdns:192.168.1.4,mdns:192.168.2.4
`
	if got := render(hosts, others); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestMDNSWatch(t *testing.T) {
	leaks(t)
	answers := make(chan []*mdns.ServiceEntry)
	told := watch(t, &mdnsNet{every: time.Millisecond, ask: func(ctx context.Context) ([]*mdns.ServiceEntry, error) {
		select {
		case a := <-answers:
			if a == nil {
				return nil, errors.New("network is unreachable")
			}
			return a, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
	answers <- []*mdns.ServiceEntry{entry("a", "a.local.", "192.168.1.4", 22)}
	if e := next(t, told); len(e.list) != 1 {
		t.Errorf("%+v", e)
	}
	answers <- []*mdns.ServiceEntry{entry("b", "b.local.", "192.168.1.5", 22)}
	if e := next(t, told); len(e.list) != 2 {
		t.Errorf("an answer that was lost once took the host away: %+v", e)
	}
	answers <- nil
	if e := next(t, told); e.err == nil {
		t.Error("no network and no trouble")
	}
}

// TestMDNSQuestion asks the networks this machine really has, whatever they are.
func TestMDNSQuestion(t *testing.T) {
	leaks(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	began := time.Now()
	_, err := askLinks(ctx)
	t.Logf("after %v: %v", time.Since(began), err)
	if time.Since(began) > 4*time.Second {
		t.Error("it takes too long")
	}
}

func TestVirtualInterfaces(t *testing.T) {
	for name, want := range map[string]bool{
		"eth0": false, "enp3s0": false, "wlan0": false, "br0": false, "br-lan": false, "br-lab": false, "bond0": false,
		"docker0": true, "br-0123456789ab": true, "veth12ab": true, "podman0": true, "tailscale0": true, "wg0": true, "virbr0": true, "utun3": true, "ts-operator": true,
	} {
		if virtual.MatchString(name) != want {
			t.Errorf("%s: virtual is %v", name, !want)
		}
	}
}
