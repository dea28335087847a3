package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

var readAt = time.Date(2026, 11, 29, 16, 0, 0, 0, time.UTC)

// host is what networking.sh prints on a host, section by section.
type host map[string]string

// plain is a host with one link, as ip told it.
func plain() host {
	dev := func(rx, tx uint64) string {
		return fmt.Sprintf("Inter-| Receive | Transmit\n face |bytes packets |bytes packets\n  eth0: %d 7 0 0 0 0 0 0 %d 9 0 0 0 0 0 0\n", rx, tx)
	}
	return host{
		"uid": "0", "clock": fmt.Sprint(readAt.Unix()),
		"before": "1000.00 1\n" + dev(1000, 2000), "after": "1002.00 1\n" + dev(5000, 2600),
		"links": `[{"ifname":"eth0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"operstate":"UP","link_type":"ether","address":"02:00:5e:10:00:01","stats64":{"rx":{"bytes":5000,"errors":1,"dropped":2},"tx":{"bytes":2600,"errors":0,"dropped":3}}}]`,
		"addr":  `[{"ifname":"eth0","link_type":"ether","addr_info":[{"family":"inet","local":"192.168.1.9","prefixlen":24}]}]`,
		"route": `[{"dst":"default","gateway":"192.168.1.1","dev":"eth0","flags":[]}]`, "route6": "[]",
		"pings": "eth0 192.168.1.1 yes", "neighbours": `eth0 192.168.1.1 [{"dst":"192.168.1.1","state":["REACHABLE"]}]`, "queues": "[]",
	}
}

func (h host) String() string {
	var b strings.Builder
	for _, name := range []string{
		"uid", "clock", "before", "links", "addr", "route", "route6", "get", "pings", "neighbours", "queues", "failed queues", "wg links", "wg ports", "failed wg ports", "wg endpoints", "wg allowed-ips", "wg latest-handshakes", "wg transfer", "wg persistent-keepalive",
	} {
		if text, ok := h[name]; ok {
			fmt.Fprintf(&b, "\nM %s\n%s\n", name, text)
		}
	}
	for name, text := range h {
		if strings.HasPrefix(name, "dhcp ") || strings.HasPrefix(name, "leases ") || strings.HasPrefix(name, "cut ") {
			fmt.Fprintf(&b, "\nM %s\n%s\n", name, text)
		}
	}
	if text, ok := h["after"]; ok {
		fmt.Fprintf(&b, "\nM after\n%s\n", text)
	}
	return b.String() + "\nM end\n"
}

func (h host) read(t *testing.T) fleet.Networking {
	t.Helper()
	n, err := parseNetworking(h.String(), "M", readAt)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPlainHost: rates are by the host's own clock, and its gateway has answered.
func TestPlainHost(t *testing.T) {
	n := plain().read(t)
	l := n.Links[0]
	if l.Rx != 2000 || l.Tx != 300 || l.State != fleet.LinkUp || l.Kind != "ethernet" || l.RxErrors != 1 || l.TxDropped != 3 || l.Addresses[0].String() != "192.168.1.9/24" {
		t.Errorf("%+v", l)
	}
	if wan := n.WAN(); wan.State != fleet.UplinkUp || wan.Link != "eth0" || wan.Gateway != "192.168.1.1" || len(n.Unread) != 0 {
		t.Errorf("%+v %v", wan, n.Unread)
	}
}

// TestRecordedLinks: links, routes and queues of a machine of which nothing has carrier,
// as iproute2 6.1 told them.
func TestRecordedLinks(t *testing.T) {
	h := plain()
	h["links"], h["addr"], h["route"], h["queues"] = sample(t, "networking/ip-j-s-link.json"), sample(t, "networking/ip-j-addr.json"), sample(t, "networking/ip-j-route.json"), sample(t, "networking/tc-j-s-qdisc.json")
	delete(h, "pings")
	n := h.read(t)
	for name, want := range map[string]fleet.LinkState{"lo": fleet.LinkUp, "veth0": "", "wan": fleet.LinkNoCarrier, "lan": fleet.LinkNoCarrier} {
		if l, ok := n.Link(name); ok != (want != "") || l.State != want {
			t.Errorf("%s: %+v, want %q", name, l, want)
		}
	}
	if wan := n.WAN(); wan.State != fleet.UplinkDown || wan.Why != "wan has no carrier" {
		t.Errorf("%+v", wan)
	}
	if len(n.Queues) != 2 || n.Queues[0].Kind != "tbf" || n.Queues[0].Rate != 1_250_000 || fleet.Bits(n.Queues[0].Rate) != "10 Mbit/s" {
		t.Errorf("%+v", n.Queues)
	}
}

// TestUplink: up is said only where a gateway has answered, down only where there is
// surely nothing.
func TestUplink(t *testing.T) {
	for name, c := range map[string]struct {
		change func(host)
		state  fleet.UplinkState
		why    string
	}{
		"silent gateway that is there": {func(h host) { h["pings"] = "eth0 192.168.1.1 no" }, fleet.UplinkUp, "REACHABLE"},
		"silent and stale": {func(h host) {
			h["pings"] = "eth0 192.168.1.1 no"
			h["neighbours"] = `eth0 192.168.1.1 [{"state":["STALE"]}]`
		}, fleet.UplinkUnknown, "does not answer a ping (the kernel calls it STALE)"},
		"nobody there": {func(h host) {
			h["pings"] = "eth0 192.168.1.1 no"
			h["neighbours"] = `eth0 192.168.1.1 [{"state":["FAILED"]}]`
		}, fleet.UplinkDown, "nobody answers"},
		"no ping there": {func(h host) { delete(h, "pings"); h["neighbours"] = "eth0 192.168.1.1 []" }, fleet.UplinkUnknown, "was not asked"},
		"switched off":  {func(h host) { h["links"] = strings.Replace(h["links"], `"UP","LOWER_UP"`, `"M-DOWN"`, 1) }, fleet.UplinkDown, "switched off"},
		"link down": {func(h host) {
			h["route"] = `[{"dst":"default","gateway":"192.168.1.1","dev":"eth0","flags":["linkdown"]}]`
		}, fleet.UplinkDown, "no carrier"},
		"FAILED, but not asked": {func(h host) {
			h["pings"], h["neighbours"] = "", `eth0 192.168.1.1 [{"state":["FAILED"]}]`
		}, fleet.UplinkUnknown, "was not asked"},
		"leads nowhere": {func(h host) {
			h["route"] = `[{"type":"unreachable","dst":"default","dev":"lo","metric":4278198272,"flags":[]}]`
		}, fleet.UplinkNone, "no default route"},
		"in another table": {func(h host) {
			h["route"], h["get"] = "", `[{"dst":"1.1.1.1","gateway":"10.0.0.1","dev":"ppp0","table":"100","prefsrc":"10.0.0.2","flags":[],"uid":0,"cache":[]}]`
		}, fleet.UplinkUnknown, "another table"},
		"ppp":      {func(h host) { h["route"] = `[{"dst":"default","dev":"eth0","scope":"link","flags":[]}]` }, fleet.UplinkUnknown, "no gateway"},
		"no route": {func(h host) { h["route"] = "" }, fleet.UplinkNone, "no default route"},
		"ip fails": {func(h host) { h["route"], h["route6"] = "rubbish", "<html>" }, fleet.UplinkUnknown, "does not tell"},
		"preferred of two is down": {func(h host) {
			h["route"] = `[{"dst":"default","gateway":"10.0.0.1","dev":"lte0","metric":10,"flags":["linkdown"]},{"dst":"default","gateway":"192.168.1.1","dev":"eth0","metric":20,"flags":[]}]`
		}, fleet.UplinkDown, "lte0 has no carrier"},
		"and passed over": {func(h host) {
			h["route"] = `[{"dst":"default","gateway":"10.0.0.1","dev":"lte0","metric":10,"flags":["dead","linkdown"]},{"dst":"default","gateway":"192.168.1.1","dev":"eth0","metric":20,"flags":[]}]`
		}, fleet.UplinkUp, "answers a ping"},
		"several ways": {func(h host) {
			h["route"] = `[{"dst":"default","flags":[],"nexthops":[{"gateway":"192.168.1.1","dev":"eth0","weight":1,"flags":[]},{"via":{"family":"inet6","host":"fe80::1"},"dev":"eth0","flags":[]}]}]`
		}, fleet.UplinkUp, "answers a ping"},
	} {
		h := plain()
		c.change(h)
		if wan := h.read(t).WAN(); wan.State != c.state || !strings.Contains(wan.Why, c.why) {
			t.Errorf("%s: %+v, want %s, %s", name, wan, c.state, c.why)
		}
	}
}

// TestHiddenLinks: the ends of links to containers are counted, not told.
func TestHiddenLinks(t *testing.T) {
	h := plain()
	var links, addr []string
	for i := range 200 {
		links = append(links, fmt.Sprintf(`{"ifname":"veth%d","flags":["UP","LOWER_UP"],"operstate":"UP","link_type":"ether","master":"podman0","linkinfo":{"info_kind":"veth"}}`, i))
		addr = append(addr, fmt.Sprintf(`{"ifname":"veth%d","link_type":"ether","addr_info":[{"local":"fe80::%x","prefixlen":64}]}`, i, i+1))
	}
	h["links"] = `[{"ifname":"host0","flags":["UP","LOWER_UP"],"operstate":"UP","link_type":"ether","linkinfo":{"info_kind":"veth"}},` + strings.Join(links, ",") + "," + strings.TrimPrefix(h["links"], "[")
	h["addr"] = "[" + strings.Join(addr, ",") + "," + strings.TrimPrefix(h["addr"], "[")
	h["queues"] = `[{"kind":"fq_codel","dev":"veth3","options":{}},{"kind":"fq_codel","dev":"eth0","options":{},"drops":2},{"kind":"fq_codel","dev":"eth0","options":{},"drops":3},{"kind":"cake","dev":"eth0","options":{"bandwidth":"unlimited"}}]`
	n := h.read(t)
	if len(n.Links) != 2 || n.Hidden != 200 || n.Links[0].Name != "eth0" {
		t.Errorf("%d links, %d hidden", len(n.Links), n.Hidden)
	}
	if len(n.Queues) != 2 || n.Queues[0].Count != 2 || n.Queues[0].Drops != 5 || n.Queues[1].Rate != 0 {
		t.Errorf("%+v", n.Queues)
	}
}

// guarded is a host with WireGuard as wg told it, its keys cut.
func guarded(handshake string) host {
	h := plain()
	h["links"] = `[{"ifname":"wg0","flags":["POINTOPOINT","NOARP","UP","LOWER_UP"],"operstate":"UNKNOWN","link_type":"none","linkinfo":{"info_kind":"wireguard"}},` + strings.TrimPrefix(h["links"], "[")
	h["wg links"], h["wg ports"] = "wg0", "wg0\t51820"
	h["wg endpoints"] = "wg0\t8HtQWQpwBcsW\t(none)\nwg0\tBp2dqNKRVjMU\t192.0.2.77:51820"
	h["wg allowed-ips"] = "wg0\t8HtQWQpwBcsW\t10.0.0.2/32 fd00::2/128\nwg0\tBp2dqNKRVjMU\t10.0.0.3/32"
	h["wg latest-handshakes"] = "wg0\t8HtQWQpwBcsW\t0\nwg0\tBp2dqNKRVjMU\t" + handshake
	h["wg transfer"] = "wg0\t8HtQWQpwBcsW\t0\t0\nwg0\tBp2dqNKRVjMU\t0\t148"
	h["wg persistent-keepalive"] = "wg0\t8HtQWQpwBcsW\t25\nwg0\tBp2dqNKRVjMU\toff"
	return h
}

// TestWireGuard: peers, with when they last shook hands by our clock, also where the
// host's is off by hours.
func TestWireGuard(t *testing.T) {
	for _, off := range []time.Duration{0, -5 * time.Hour, 30 * 24 * time.Hour} {
		h := guarded(fmt.Sprint(readAt.Add(off - 3*time.Minute).Unix()))
		h["clock"] = fmt.Sprint(readAt.Add(off).Unix())
		n := h.read(t)
		peers := n.Peers()
		if len(peers) != 2 || n.Tunnels[0].Port != 51820 || !peers[0].Never || peers[0].KeepAlive != 25 || peers[0].Endpoint != "" || len(peers[0].Allowed) != 2 {
			t.Fatalf("%+v", n.Tunnels)
		}
		if p := peers[1]; !p.Handshake.Equal(readAt.Add(-3*time.Minute)) || p.Endpoint != "192.0.2.77:51820" || p.Tx != 148 || p.KeepAlive != 0 {
			t.Errorf("clock off by %s: %+v", off, p)
		}
		if w := n.PeersWord(readAt); w != "1 of 2" {
			t.Error(w)
		}
	}
	h := guarded(fmt.Sprint(readAt.Add(time.Hour).Unix())) // the clock was set back since
	if p := h.read(t).Peers()[1]; p.Never || !p.Handshake.IsZero() || p.Lost(readAt) {
		t.Errorf("%+v", p)
	}
	delete(h, "clock")
	if p := h.read(t).Peers()[1]; !p.Handshake.IsZero() {
		t.Errorf("%+v", p)
	}
}

// TestWireGuardUnread: what is not told is not known, and never "no peers".
func TestWireGuardUnread(t *testing.T) {
	h := guarded("0")
	h["uid"], h["failed wg ports"] = "1000", ""
	n := h.read(t)
	if g, ok := n.Gap(fleet.PartWireGuard); !ok || !strings.Contains(g.Why, "root's to see") || n.PeersWord(readAt) != "?" {
		t.Errorf("%+v", n)
	}
	h = guarded("0")
	for name := range h {
		if strings.HasPrefix(name, "wg ") {
			delete(h, name)
		}
	}
	if g, ok := h.read(t).Gap(fleet.PartWireGuard); !ok || !strings.Contains(g.Cure, "wireguard-tools") {
		t.Errorf("%+v", g)
	}
	h = guarded("0")
	h["wg links"], h["wg ports"] = "", ""
	if n := h.read(t); n.PeersWord(readAt) != "?" {
		t.Errorf("wg does not list a link of the kernel: %+v", n.Unread)
	}
}

// TestKeysStayThere: what the script lets out of what wg says holds no key in full, and
// it asks for none that is secret.
func TestKeysStayThere(t *testing.T) {
	bin := t.TempDir()
	key := "8HtQWQpwBcsWxE7Ox3m2pEdgkdbrqEQWi9lYOVjIJ2Q="
	wg := "#!/bin/sh\n[ \"$*\" = 'show interfaces' ] && echo wg0 && exit\ncase $3 in dump | private-key | preshared-keys) echo ASKED-FOR-SECRETS ;; listen-port) echo 51820 ;; *) printf '" + key + "\\t42\\n' ;; esac\n"
	for name, text := range map[string]string{"wg": wg, "sleep": "#!/bin/sh\n", "systemctl": "#!/bin/sh\nexit 1\n", "ping": "#!/bin/sh\nexit 1\n"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", networkingScript, "sextant", "M")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(out); strings.Contains(s, key[:13]) || strings.Contains(s, "SECRETS") || !strings.Contains(s, "M wg endpoints\nwg0\t"+key[:12]+"\t42\n") {
		t.Errorf("%s", s)
	}
}

// TestThisMachine: the script runs where the tests do, and what it says is read.
func TestThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it is for Linux")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip here")
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", networkingScript, "sextant", "M").Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := parseNetworking(string(out), "M", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lo, ok := n.Link("lo")
	if !ok || lo.Kind != "loopback" || lo.Rx < 0 || lo.MTU == 0 {
		t.Errorf("%+v", n.Links)
	}
}

// leasing is a host with a DHCP server and its file.
func leasing(unit, file string) host {
	h := plain()
	h["dhcp "+unit] = "Id=" + unit + "\nMainPID=690\nActiveEnterTimestampMonotonic=400000000"
	h["leases "+unit+" /var/lib/x/leases"] = file
	return h
}

const kea = "kea-dhcp4-server.service"

// TestKea: of an address the last row counts; what Kea 2.2 wrote, and what newer
// versions and its clean-up add.
func TestKea(t *testing.T) {
	h := leasing(kea, sample(t, "networking/kea-leases4.csv"))
	h["clock"] = fmt.Sprint(1795379991 - 600)
	d := h.read(t).DHCP[0]
	if l := d.Leases[0]; d.Active != 1 || l.Address != "192.168.1.120" || l.MAC != "1a:1b:1c:1d:1e:1f" || l.Name != "raider.lan" || !l.Expires.Equal(readAt.Add(10*time.Minute)) || d.UpFor < 599 || d.UpFor > 603 {
		t.Errorf("%+v", d)
	}
	soon, past := readAt.Unix()+900, readAt.Unix()-900
	h = leasing(kea, strings.Join([]string{
		"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context", // of the side file
		fmt.Sprintf("10.0.0.10,aa:01,,4000,%d,1,0,0,old.lan,0,", soon),
		fmt.Sprintf("10.0.0.11,aa:02,,4000,%d,1,0,0,left.lan,0,", soon),
		"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id",
		fmt.Sprintf("10.0.0.10,aa:01,,4000,%d,1,0,0,new.lan,0,{ \"comment\": \"a&#x2cb\" },0", soon),
		fmt.Sprintf("10.0.0.11,aa:02,,4000,%d,1,0,0,left.lan,2,,0", past),
		fmt.Sprintf("10.0.0.12,aa:03,,4000,%d,1,0,0,over.lan,0,,0", past),
		fmt.Sprintf("10.0.0.9,,,86400,%d,1,0,0,,1,,0", soon),
		fmt.Sprintf("10.0.0.13,aa:04,,4294967295,%d,1,0,0,a&#x2cb.lan.,0,,0", soon),
		fmt.Sprintf("10.0.0.14,aa:05,,0,%d,1,0,0,deleted.lan,0,,0", soon),
		"10.0.0", "nonsense,,,,,,,", "",
	}, "\n"))
	d = h.read(t).DHCP[0]
	var got []string
	for _, l := range d.Leases {
		got = append(got, l.Address+" "+l.Name+" "+string(l.State))
	}
	if want := "10.0.0.9  declined; 10.0.0.10 new.lan active; 10.0.0.13 a,b.lan active"; strings.Join(got, "; ") != want || d.Active != 2 || d.Declined != 1 || d.Expired != 3 {
		t.Errorf("%v %+v", got, d)
	}
	if !d.Leases[2].Expires.IsZero() {
		t.Error("it never ends")
	}
}

// TestKeaClocks: whether a lease is over is judged by the host's own clock.
func TestKeaClocks(t *testing.T) {
	for _, off := range []time.Duration{0, 26 * time.Hour, -400 * 24 * time.Hour} {
		then := readAt.Add(off)
		h := leasing(kea, fmt.Sprintf("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n10.0.0.1,aa,,4000,%d,1,0,0,x,0,\n", then.Unix()+60))
		h["clock"] = fmt.Sprint(then.Unix())
		if d := h.read(t).DHCP[0]; d.Active != 1 || !d.Leases[0].Expires.Equal(readAt.Add(time.Minute)) {
			t.Errorf("off by %s: %+v", off, d)
		}
	}
}

// TestDNSMasq: its rows, of IPv6 too; one that holds no leases is no DHCP server.
func TestDNSMasq(t *testing.T) {
	h := leasing("dnsmasq.service", sample(t, "networking/dnsmasq.leases")+"0 aa:bb:cc:dd:ee:ff 192.168.1.5 fixed *\n1 aa:bb:cc:dd:ee:00 192.168.1.6 over *\nduid 00:01:00:01\n1795462100 123 fd00::55 six 00:01:00:02\nrubbish\n")
	h["clock"] = "1795461000"
	d := h.read(t).DHCP[0]
	var got []string
	for _, l := range d.Leases {
		got = append(got, l.Address+" "+l.MAC+" "+l.Name)
	}
	if want := "192.168.1.5 aa:bb:cc:dd:ee:ff fixed; 192.168.1.120 1a:1b:1c:1d:1e:1f raider; 192.168.1.121 2a:1b:1c:1d:1e:1f ; fd00::55 00:01:00:02 six"; strings.Join(got, "; ") != want || d.Expired != 1 || !d.Leases[0].Expires.IsZero() {
		t.Errorf("%v %+v", got, d)
	}
	delete(h, "leases dnsmasq.service /var/lib/x/leases")
	if n := h.read(t); len(n.DHCP) != 0 {
		t.Errorf("%+v", n.DHCP)
	}
	h["uid"] = "1000"
	if n := h.read(t); len(n.DHCP) != 1 || n.DHCP[0].Unread == "" || n.LeasesWord() != "?" {
		t.Errorf("%+v", n.DHCP)
	}
}

// TestBadNetworking: answers that are none give a reason, in bounded time, and what is
// taken of them is fit for a terminal.
func TestBadNetworking(t *testing.T) {
	evil := "\x1b]0;owned\a\u202eevil\x1b[2J"
	for name, out := range map[string]string{
		"nothing": "", "no end": strings.TrimSuffix(plain().String(), "M end\n"), "no ip": "\nM uid\n0\n\nM end\n",
		"html": strings.ReplaceAll(plain().String(), `[{"ifname"`, "<html>"), "failed": "\nM links\nx\n\nM failed links\n\nM addr\n[]\n\nM end\n",
	} {
		l := &webtest.Link{Name: "x", Do: func(_ context.Context, cmd link.Command) (link.Result, error) {
			return link.Result{Stdout: []byte(strings.ReplaceAll(out, "M ", cmd.Args[len(cmd.Args)-1]+" "))}, nil
		}}
		if f := Networking(t.Context(), l); f.Err == "" || f.HasValue() {
			t.Errorf("%s: %+v", name, f)
		}
	}
	h := guarded("99999999999999999999")
	for name, text := range h {
		h[name] = strings.NewReplacer("192.0.2.77:51820", "[fe80::1%"+evil+"]:51820", "eth0", evil, "wg0", evil, "8HtQWQpwBcsW", evil, "02:00:5e:10:00:01", evil).Replace(text)
	}
	h["dhcp "+kea] = "Id=" + evil + "\nActiveEnterTimestampMonotonic=-1"
	h["leases "+kea+" /"+evil] = "address,hwaddr,valid_lifetime,expire,hostname,state\n10.0.0.1," + evil + ",4294967295,1," + evil + ",0\n"
	h["leases "+kea+" /"+evil] += "fe80::1%" + evil + ",aa,4294967295,1,x,0\n"
	h["dhcp dnsmasq.service"], h["leases dnsmasq.service /x"] = "", "0 aa fe80::2%"+strings.ReplaceAll(evil, " ", "")+" x *"
	h["queues"] = `[{"kind":"` + "evil" + `","dev":"eth0","options":[1,2]},{"kind":"cake","options":null}]`
	h["links"], h["addr"] = strings.ReplaceAll(h["links"], evil, `\u001b]0;owned\u0007evil`), strings.ReplaceAll(h["addr"], evil, "x")
	h["route"] = strings.ReplaceAll(h["route"], evil, `\u001b[2Jevil`)
	n, err := parseNetworking(h.String(), "M", readAt)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", n); strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		t.Errorf("%q", text)
	}
	if len(n.DHCP) != 2 || len(n.DHCP[0].Leases) != 1 || len(n.DHCP[1].Leases) != 2 || n.Tunnels[0].Peers[1].Endpoint != "[fe80::1]:51820" {
		t.Errorf("it was not tried: %+v %+v", n.DHCP, n.Tunnels)
	}
}

// TestOddRates: times that cannot be give no rate, and all of it is JSON.
func TestOddRates(t *testing.T) {
	for _, uptimes := range [][2]string{{"1e-300", "2e-300"}, {"5", "5.01"}, {"inf", "nan"}, {"9", "3"}, {"1", "2"}} {
		h := plain()
		h["before"] = strings.Replace(h["before"], "1000.00", uptimes[0], 1)
		h["after"] = strings.NewReplacer("1002.00", uptimes[1], " 5000 ", " 18446744073709551615 ").Replace(h["after"])
		n := h.read(t)
		if _, err := json.Marshal(n); err != nil || n.Links[0].Rx != -1 {
			t.Errorf("%v: %v %v", uptimes, n.Links[0].LinkRate, err)
		}
	}
}

// TestDropsCountOnce: a queue of classes counts what those below it drop.
func TestDropsCountOnce(t *testing.T) {
	h := plain()
	h["queues"] = `[{"kind":"htb","handle":"1:","dev":"eth0","root":true,"drops":7},{"kind":"fq_codel","handle":"10:","dev":"eth0","parent":"1:10","drops":7}]`
	n := h.read(t)
	if drops, ok := n.Drops("eth0"); drops != 7 || !ok || len(n.Queues) != 2 {
		t.Errorf("%d %+v", drops, n.Queues)
	}
	h["queues"] = `[{"kind":"mq","handle":"0:","dev":"eth0","root":true},{"kind":"fq_codel","handle":"0:","dev":"eth0","parent":":1","drops":3},{"kind":"fq_codel","handle":"0:","dev":"eth0","parent":":2","drops":4}]`
	n = h.read(t)
	if drops, _ := n.Drops("eth0"); drops != 7 || len(n.Queues) != 1 || n.Queues[0].Count != 2 {
		t.Errorf("%d %+v", drops, n.Queues)
	}
}

// silent is a process that never tells anything, and ends with its context.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, io.EOF }
func (silent) Close() error               { return nil }
func (silent) Wait() (link.Result, error) { return link.Result{}, nil }

type silentLink struct{ *webtest.Link }

func (silentLink) Start(ctx context.Context, _ link.Command) (link.Process, error) {
	return silent{ctx}, nil
}

// TestRatesEnd: a host that tells nothing any more ends what is measured.
func TestRatesEnd(t *testing.T) {
	err := Rates(t.Context(), silentLink{&webtest.Link{Name: "x"}}, time.Second, func(map[string]fleet.LinkRate) { t.Error("it told nothing") })
	if !errors.Is(err, errRatesLate) {
		t.Error(err)
	}
}

// TestManyOfAll: there are bounds, and what is above them is told to be.
func TestManyOfAll(t *testing.T) {
	rows := []string{"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context"}
	for i := range 5000 {
		rows = append(rows, fmt.Sprintf("10.0.%d.%d,aa,,4294967295,1,1,0,0,n%d,0,", i/250, i%250+1, i))
	}
	h := leasing(kea, strings.Join(rows, "\n"))
	h["cut "+kea] = ""
	links := []string{}
	for i := range 3000 {
		links = append(links, fmt.Sprintf(`{"ifname":"vlan%d","flags":["UP","LOWER_UP"],"operstate":"UP","link_type":"ether","linkinfo":{"info_kind":"vlan"}}`, i))
	}
	h["links"] = "[" + strings.Join(links, ",") + "]"
	n := h.read(t)
	if len(n.DHCP[0].Leases) != maxLeases || n.DHCP[0].Active != 5000 || n.LeasesWord() != "5000+" || len(n.Links) != maxLinks || len(n.Cut) != 3 {
		t.Errorf("%d leases of %d, %d links, %q", len(n.DHCP[0].Leases), n.DHCP[0].Active, len(n.Links), n.Cut)
	}
}
