package simulate

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// wall is what stands around a host: its addresses, and what its firewall opens to
// all, as NixOS writes it.
type wall struct {
	public   string // on eth0, with its length; "": it is behind the router
	tcp, udp []int
	lan      string // the address in the LAN, whose router it is; "": one of its own
}

// walls are those of hosts that are not like the others, which are behind the router
// and open SSH and what they serve.
var walls = map[string]wall{
	"cloud":   {public: "203.0.113.3/24", tcp: []int{22, 80, 443}, udp: []int{41641}},
	"cottage": {public: "198.51.100.7/24", tcp: []int{80, 443}, udp: []int{41641}},
	"router":  {public: "203.0.113.2/24", lan: "192.168.1.1/24", udp: []int{41641, wireGuardPort}},
}

// inner is the link to the LAN: that of a router is a bridge.
func (w wall) inner() string {
	if w.public != "" && w.lan != "" {
		return "br-lan"
	}
	return "eth1"
}

// wallOf is what stands around the machine.
func (m *machine) wallOf() wall {
	if w, ok := walls[m.name]; ok {
		return w
	}
	return wall{tcp: append([]int{22}, m.ports...), udp: []int{41641}}
}

// Meant is what of this world is meant to be reached from the internet.
func (f *Fleet) Meant() []fleet.Meant {
	return []fleet.Meant{
		{Host: "cloud", Port: "tcp/22", Why: "the way in when Tailscale is down"},
		{Host: "cloud", Port: "tcp/80", Why: "sends people to HTTPS"},
		{Host: "cloud", Port: "tcp/443", Why: "the fleet's front door"},
		{Host: "router", Port: "udp/51820", Why: "WireGuard"},
		{Name: "auth.fleet.example", Why: "the sign-in itself"},
		{Name: "vault.fleet.example", Why: "Vaultwarden has a sign-in of its own"},
		{Name: "ntfy.fleet.example", Why: "ntfy has a sign-in of its own"},
	}
}

// tellFirewall prints what firewall.sh does of a host whose rules are NixOS' own.
func tellFirewall(c Call) int {
	m, mark := c.machine(), c.arg(1)
	begin := func(name, text string) { fmt.Fprintf(c.Stdout, "\n%s %s\n%s\n", mark, name, text) }
	if len(c.Args) > 2 { // what is in sets: nothing
		for at := 2; at+2 < len(c.Args); at += 3 {
			begin("set "+strings.Join(c.Args[at:at+3], " "), asJSON(object{"nftables": []object{{"set": object{"family": c.Args[at], "table": c.Args[at+1], "name": c.Args[at+2], "type": []string{"inet_proto", "inet_service"}}}}}))
		}
		begin("end", "")
		return 0
	}
	w := m.wallOf()
	begin("uid", fmt.Sprint(c.uid()))
	if c.uid() == 0 {
		begin("nft", asJSON(m.nixosRules(w)))
	}
	forwards := "0"
	if m.name == "router" {
		forwards = "1"
	}
	begin("forwards", forwards)
	addr, route := m.addresses(w)
	begin("addr", asJSON(addr))
	begin("route", asJSON(route))
	begin("end", "")
	return 0
}

func asJSON(v any) string { b, _ := json.Marshal(v); return string(b) }

// addresses are what ip says of the links and the default route.
func (m *machine) addresses(w wall) (addr, route []object) {
	link := func(name, kind, address string) object {
		ip, bits, _ := strings.Cut(address, "/")
		n := 0
		_, _ = fmt.Sscan(bits, &n)
		return object{"ifname": name, "link_type": kind, "addr_info": []object{{"family": "inet", "local": ip, "prefixlen": n}}}
	}
	last := 10 + dice(m.seed, m.name, "address")%200
	addr = []object{link("lo", "loopback", "127.0.0.1/8"), link("tailscale0", "none", fmt.Sprintf("100.64.0.%d/32", last))}
	if w.public != "" {
		addr = append(addr, link("eth0", "ether", w.public))
		route = []object{{"dst": "default", "gateway": w.public[:strings.LastIndexByte(w.public, '.')] + ".1", "dev": "eth0"}}
	}
	if w.public == "" || w.lan != "" {
		if w.lan == "" {
			w.lan = fmt.Sprintf("192.168.1.%d/24", last)
			route = []object{{"dst": "default", "gateway": "192.168.1.1", "dev": "eth1"}}
		}
		addr = append(addr, link(w.inner(), "ether", w.lan))
	}
	return addr, route
}

// nixosRules is NixOS' firewall as nft tells it.
func (m *machine) nixosRules(w wall) object {
	const family, table = "inet", "nixos-fw"
	items := []object{{"metainfo": object{"json_schema_version": 1}}}
	chain := func(name, hook string) {
		c := object{"family": family, "table": table, "name": name}
		if hook != "" {
			c["type"], c["hook"], c["prio"], c["policy"] = "filter", hook, 0, "drop"
		}
		items = append(items, object{"chain": c})
	}
	rule := func(chain string, expr ...object) {
		items = append(items, object{"rule": object{"family": family, "table": table, "chain": chain, "expr": expr}})
	}
	is := func(left object, right any) object {
		return object{"match": object{"op": "==", "left": left, "right": right}}
	}
	meta := func(key string) object { return object{"meta": object{"key": key}} }
	port := func(proto string) object { return object{"payload": object{"protocol": proto, "field": "dport"}} }
	accept := object{"accept": nil}
	chain("input", "input")
	chain("input-allow", "")
	trusted := []string{"lo", "tailscale0"}
	if w.lan != "" {
		trusted = append(trusted, w.inner())
	}
	rule("input", is(meta("iifname"), object{"set": trusted}), accept)
	rule("input", object{"vmap": object{"key": object{"ct": object{"key": "state"}}, "data": object{"set": []any{
		[]any{"invalid", object{"drop": nil}}, []any{"established", accept}, []any{"new", object{"jump": object{"target": "input-allow"}}},
	}}}})
	if len(w.tcp) > 0 {
		rule("input-allow", is(port("tcp"), object{"set": w.tcp}), accept)
	}
	rule("input-allow", is(port("udp"), object{"set": w.udp}), accept)
	rule("input-allow", is(object{"concat": []object{meta("l4proto"), port("th")}}, "@temp-ports"), accept)
	if m.name == "router" {
		chain("forward", "forward")
		rule("forward", is(meta("iifname"), w.inner()), accept)
	}
	return object{"nftables": items}
}
