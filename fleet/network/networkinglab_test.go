//go:build lab

package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/test/labtest"
)

func networkingOf(t *testing.T, l link.Link) fleet.Networking {
	t.Helper()
	f := Networking(t.Context(), l)
	if !f.Current() {
		t.Fatal(f.Err)
	}
	return f.Value
}

// TestNetworkingOfTheLab: links, addresses, default routes and queues of all hosts are
// those that the hosts' own commands tell.
func TestNetworkingOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	for _, h := range lab.Hosts {
		t.Run(h.Name, func(t *testing.T) {
			l := lab.Link(t, h.Name)
			n := networkingOf(t, l)
			rows := strings.Split(strings.TrimSpace(labtest.Output(t, l, "sh", "-c", "ip -br addr")), "\n")
			for _, row := range rows {
				f := strings.Fields(row)
				name, _, _ := strings.Cut(f[0], "@")
				got, ok := n.Link(name)
				if !ok && !ends.MatchString(name) {
					t.Errorf("%s is not there", name)
				}
				if !ok {
					continue
				}
				var want, have []string
				for _, a := range f[2:] {
					if strings.Contains(a, "/") {
						want = append(want, a)
					}
				}
				for _, a := range got.Addresses {
					have = append(have, a.String())
				}
				up := f[1] == "UP" || f[1] == "UNKNOWN"
				if !slices.Equal(want, have) || up != (got.State == fleet.LinkUp) {
					t.Errorf("%s: %s %q, the host says %s %q", name, got.State, have, f[1], want)
				}
				if told := labtest.Output(t, l, "ip", "-o", "link", "show", "dev", name); !strings.Contains(told, fmt.Sprintf(" mtu %d ", got.MTU)) {
					t.Errorf("%s: MTU %d, the host says %s", name, got.MTU, told)
				}
			}
			if len(rows) != len(n.Links)+n.Hidden {
				t.Errorf("%d links and %d of containers, the host has %d", len(n.Links), n.Hidden, len(rows))
			}
			routes := strings.Count(labtest.Output(t, l, "sh", "-c", "ip route show default; ip -6 route show default"), "default")
			if routes != len(n.Uplinks) {
				t.Errorf("%+v, the host has %d", n.Uplinks, routes)
			}
			for _, line := range strings.Split(labtest.Output(t, l, "sh", "-c", "tc qdisc show | grep root || true"), "\n") {
				f := strings.Fields(line)
				if len(f) < 5 || slices.Contains(noQueues, f[1]) {
					continue
				}
				if !slices.ContainsFunc(n.Queues, func(q fleet.Queue) bool { return q.Kind == f[1] && q.Link == f[4] }) && shown(n, f[4]) {
					t.Errorf("%v has no %s", n.Queues, line)
				}
			}
		})
	}
}

// TestRouterOfTheLab: its way out is up because its gateway answers, and down or not
// known where it does not; Kea leases, and is seen where it listens nowhere.
func TestRouterOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "router")
	n := networkingOf(t, l)
	if wan := n.WAN(); wan.State != fleet.UplinkUp || wan.Gateway != "10.77.0.1" || wan.Link != "eth0" {
		t.Errorf("%+v", wan)
	}
	t.Cleanup(func() { back(t, l, "ip route replace default via 10.77.0.1 dev eth0") })
	labtest.Output(t, l, "ip", "route", "replace", "default", "via", "10.77.0.254", "dev", "eth0")
	if wan := networkingOf(t, l).WAN(); wan.State != fleet.UplinkDown {
		t.Errorf("nobody is at 10.77.0.254: %+v", wan)
	}
	labtest.Output(t, l, "ip", "route", "replace", "default", "via", "10.77.0.1", "dev", "eth0")

	labtest.Output(t, lab.Link(t, "vault"), "sh", "-c", "busybox udhcpc -i eth0 -n -q -t 5 -T 2 -s /bin/true -x hostname:vault-by-dhcp 2>&1")
	n = networkingOf(t, l)
	file := labtest.Output(t, l, "cat", "/var/lib/kea/kea-leases4.csv")
	if len(n.DHCP) != 1 || n.DHCP[0].Active == 0 || n.DHCP[0].Unread != "" {
		t.Fatalf("%+v\n%s", n.DHCP, file)
	}
	for _, lease := range n.DHCP[0].Leases {
		if !strings.Contains(file, lease.Address+","+lease.MAC+",") || !strings.HasPrefix(lease.Address, "10.78.0.1") || lease.Expires.Before(time.Now()) || lease.Expires.After(time.Now().Add(4100*time.Second)) {
			t.Errorf("%+v\n%s", lease, file)
		}
	}
	bound(t, l, n, "listens on eth1")
	labtest.Output(t, l, "sh", "-ec", "cp -p /etc/kea/kea-dhcp4.conf /run/kea-lab.conf; sed -i 's/\"eth1\"//' /etc/kea/kea-dhcp4.conf; systemctl restart kea-dhcp4-server; sleep 2")
	t.Cleanup(func() {
		back(t, l, "cp -p /run/kea-lab.conf /etc/kea/kea-dhcp4.conf; systemctl restart kea-dhcp4-server")
	})
	bound(t, l, networkingOf(t, l), "listens nowhere")
}

// back puts something back on a host, whatever became of the test.
func back(t *testing.T, l link.Link, script string) {
	t.Helper()
	if _, err := l.Run(context.WithoutCancel(t.Context()), link.Script(script)); err != nil {
		t.Error(err)
	}
}

// bound holds where the DHCP server of a host listens.
func bound(t *testing.T, l link.Link, n fleet.Networking, want string) {
	t.Helper()
	n.TakeListens(Listens(t.Context(), l).Value)
	if got := n.BoundWord(n.DHCP[0]); got != want {
		t.Errorf("Kea %s, want %s: %+v", got, want, n.DHCP[0].Bound)
	}
}

// tunnels makes two real tunnels on a host, which answer each other, and on the first a
// peer behind which nobody is. It prints the private keys.
const tunnels = `set -e
cd /run
for i in 0 1; do
	systemctl stop labwg$i 2>/dev/null || true
	systemd-run --quiet --unit=labwg$i wireguard-go -f labwg$i
	for n in $(seq 50); do wg show labwg$i >/dev/null 2>&1 && break; sleep 0.1; done
	wg genkey >labwg$i.key
	wg set labwg$i listen-port $((51990 + i)) private-key labwg$i.key
	ip addr add 10.79.$i.1/24 dev labwg$i
	ip link set labwg$i up
done
wg set labwg0 peer "$(wg pubkey <labwg1.key)" allowed-ips 10.79.1.0/24 endpoint 127.0.0.1:51991 persistent-keepalive 1
wg set labwg1 peer "$(wg pubkey <labwg0.key)" allowed-ips 10.79.0.0/24 endpoint 127.0.0.1:51990
wg set labwg0 peer "$(wg genkey | wg pubkey)" allowed-ips 10.79.9.0/24 endpoint 127.0.0.1:51999 persistent-keepalive 1
for i in $(seq 50); do
	[ "$(wg show labwg0 latest-handshakes | awk '$2 > 0' | wc -l)" -gt 0 ] && break
	sleep 0.2
done
cat labwg0.key labwg1.key
wg show labwg0 peers`

// TestWireGuardOfTheLab: a real tunnel, in user space where the kernel has none: its
// peers are as wg tells them, and nothing that is sent holds a key in full.
func TestWireGuardOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "router")
	t.Cleanup(func() { back(t, l, "systemctl stop labwg0 labwg1; rm -f /run/labwg?.key") })
	keys := strings.Fields(labtest.Output(t, l, "sh", "-c", tunnels))
	if len(keys) != 4 {
		t.Fatalf("%q", keys)
	}
	n := networkingOf(t, l)
	i := slices.IndexFunc(n.Tunnels, func(w fleet.WGTunnel) bool { return w.Link == "labwg0" })
	if i < 0 || len(n.Tunnels[i].Peers) != 2 || n.Tunnels[i].Port != 51990 {
		t.Fatalf("%+v %+v", n.Tunnels, n.Unread)
	}
	for _, p := range n.Tunnels[i].Peers {
		answers := p.Endpoint == "127.0.0.1:51991"
		if answers == p.Never || answers && time.Since(p.Handshake) > time.Minute || p.KeepAlive != 1 || len(p.Allowed) != 1 || !slices.ContainsFunc(keys[2:], func(k string) bool { return strings.HasPrefix(k, p.Key) }) {
			t.Errorf("%+v", p)
		}
	}
	res, err := l.Run(t.Context(), link.Script(networkingScript, "M"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if strings.Contains(string(res.Stdout), k) {
			t.Error("a key leaves the host in full")
		}
	}
	if l, ok := n.Link("labwg0"); !ok || l.State != fleet.LinkUp {
		t.Errorf("%+v", l)
	}
}

// TestRatesOfTheLab: what is measured live is what passes, and ends with who looks.
func TestRatesOfTheLab(t *testing.T) {
	lab := labtest.Load(t)
	l := lab.Link(t, "router")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			_, _ = l.Run(ctx, link.Command{Args: []string{"head", "-c", "3000000", "/dev/zero"}})
		}
	}()
	most := 0.0
	err := Rates(ctx, l, time.Second, func(rates map[string]fleet.LinkRate) {
		if most = max(most, rates["eth0"].Tx, rates["tailscale0"].Tx); most > 200_000 {
			cancel()
		}
	})
	if most < 200_000 || !errors.Is(err, context.Canceled) {
		t.Errorf("at most %.0f B/s: %v", most, err)
	}
}
