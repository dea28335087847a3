package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web/webtest"
)

// stand are the links of a host that has them all: public, a LAN, the tailnet, and
// bridges for containers.
func stand() []fleet.FirewallLink {
	at := func(name string, zone fleet.Zone, addresses ...string) fleet.FirewallLink {
		l := fleet.FirewallLink{Name: name, Zone: zone}
		for _, a := range addresses {
			l.Addresses = append(l.Addresses, netip.MustParsePrefix(a))
		}
		return l
	}
	return []fleet.FirewallLink{
		at("lo", fleet.ToOthers, "127.0.0.1/8", "::1/128"),
		at("eth0", fleet.FromInternet, "203.0.113.3/24", "2001:db8:1::3/64", "fe80::3/64"),
		at("eth1", fleet.FromLAN, "192.168.1.10/24", "fe80::4/64"),
		at("tailscale0", fleet.FromTailnet, "100.64.0.3/32", "fd7a:115c:a1e0::3/128"),
		at("podman0", fleet.ToContainers, "10.88.0.1/16"),
		at("docker0", fleet.ToContainers, "172.17.0.1/16"),
	}
}

// check has a rule set judged. An expectation reads "internet tcp/22 yes", perhaps
// with "@address" behind the port: where it listens, at all of IPv4 where not said.
func check(t *testing.T, rs *ruleset, want ...string) {
	t.Helper()
	rs.settle()
	for _, w := range want {
		f := strings.Fields(w)
		var l fleet.Listener
		port, at, placed := strings.Cut(f[1], "@")
		l.Address = "0.0.0.0"
		if placed {
			l.Address = at
		}
		proto, n, _ := strings.Cut(port, "/")
		l.Proto = proto
		if _, err := fmt.Sscan(n, &l.Port); err != nil {
			t.Fatal(err)
		}
		fw := fleet.Firewall{Links: stand(), Forwards: true}
		rs.judge(&fw, []fleet.Listener{l})
		got := fw.Listeners[0].From(fleet.Zone(f[0]))
		if string(got.State) != f[2] {
			t.Errorf("%s: %s (%s)", w, got.State, got.Why)
		}
		if got.Why == "" {
			t.Errorf("%s: no reason is given", w)
		}
	}
}

// recorded reads what nft said of one of the rule sets in testdata, with what is in
// its sets.
func recorded(t testing.TB, name string) *ruleset {
	t.Helper()
	rs := newRuleset()
	if err := rs.readNFT([]byte(sample(t, "firewall/"+name+".json"))); err != nil {
		t.Fatal(err)
	}
	for _, set := range rs.wanted {
		b, err := os.ReadFile("testdata/firewall/" + name + "." + set.name + ".set")
		if err != nil {
			t.Fatal(err)
		}
		rs.readSet(set, b)
	}
	return rs
}

// TestNFT: rule sets as nft 1.0.6 tells them, NixOS' own above all.
func TestNFT(t *testing.T) {
	for name, want := range map[string][]string{
		"empty": {"internet tcp/22 yes", "lan udp/53 yes", "tailnet tcp/1 yes", "internet tcp/22@2001:db8:1::3 yes"},
		"plain": {"internet tcp/22 yes", "internet tcp/80 no", "internet udp/22 no", "lan tcp/80 yes", "tailnet tcp/80 no", "tailnet tcp/443 yes"},
		"open": {
			"internet tcp/22 yes", "internet tcp/3306 no", "lan tcp/8005 no", "internet tcp/8011 yes", "internet tcp/9999 yes",
			"internet tcp/9999@2001:db8:1::3 no", "internet tcp/85@2001:db8:1::3 yes",
		},
		"nixos": {
			"internet tcp/22 yes", "internet tcp/443@* yes", "internet tcp/8096 no", "internet udp/41641 yes", "internet udp/60500 yes", "internet udp/22 no",
			"lan tcp/8096 no", "tailnet tcp/8096 yes", "tailnet udp/1 yes", "internet udp/546@2001:db8:1::3 no", "lan udp/546@fe80::4 yes", "internet tcp/5555 no", "internet udp/68 no",
		},
		"nixos-temp":   {"internet tcp/5555 yes", "internet udp/150 yes", "internet tcp/150 no", "tailnet tcp/8096 no"},
		"nixos-link":   {"internet tcp/3000 no", "lan tcp/3000 yes", "tailnet tcp/3000 no", "lan tcp/9100 yes"},
		"nixos-reject": {"internet tcp/8096 no", "internet tcp/22 yes", "internet udp/8096 no"},
		"nixos-extra": {
			"lan tcp/9100 yes", "internet tcp/9100 no", "tailnet tcp/9100 no", "internet tcp/5432 unknown", "lan tcp/5432 no",
			"lan tcp/8888 yes", "internet tcp/8888 no",
		},
		"nixos-router":    {"internet tcp/22 yes", "internet tcp/53 no", "lan tcp/53 yes", "internet tcp/8443 no", "lan tcp/8443 yes", "internet udp/51820 no"},
		"nixos-tailscale": {"tailnet tcp/22 yes", "tailnet tcp/8096 no", "internet tcp/22 yes", "internet udp/41641 yes", "lan tcp/8096 no"},
		"sets": {
			"internet tcp/22 yes", "lan tcp/22 yes", "internet tcp/8050 yes", "internet tcp/9000 no", "lan tcp/9000 yes", "lan tcp/5000 unknown", "internet tcp/5000 no",
		},
		"jumps": {
			"internet tcp/22 yes", "internet tcp/80 yes", "internet tcp/81 no", "internet tcp/7000 unknown", "internet tcp/25 no", "internet tcp/26 yes", "internet tcp/27 no",
			"lan tcp/80 yes", "lan tcp/25 no", "lan tcp/12345 yes", "tailnet tcp/12345 no", "internet tcp/82 no", "lan tcp/82 yes",
		},
		"odd": {
			"internet tcp/22 yes", "internet tcp/23 yes", "internet tcp/25 unknown", "internet tcp/26 unknown", "internet tcp/27 unknown", "internet tcp/28 unknown",
			"internet tcp/29 unknown", "internet tcp/30 yes", "internet tcp/31 no", "internet tcp/32 yes", "internet tcp/33 no", "internet tcp/34 no", "internet tcp/35 yes",
			"internet tcp/36 yes", "internet tcp/60001 yes", "internet tcp/60000 no", "internet tcp/37 yes", "internet tcp/37@2001:db8:1::3 no", "internet udp/38 yes", "internet tcp/38 yes",
			"internet tcp/39 unknown", "internet tcp/40 yes", "tailnet tcp/40 no", "internet tcp/41 unknown", "internet tcp/42 unknown", "internet tcp/43 no",
		},
		"unmarked": {"internet tcp/25 no", "internet tcp/26 yes"},
		"redirect": {
			"internet tcp/80 no", "internet tcp/8080 yes", "lan tcp/80 yes", "lan tcp/8080 no", "internet tcp/53 unknown", "lan tcp/53 yes", "internet tcp/5000 no", "lan tcp/5000 no",
		},
		"netavark": {"internet tcp/8096 yes", "lan tcp/8096 yes", "internet tcp/22 yes", "internet tcp/8097 no", "lan tcp/8097 yes", "internet tcp/23 no"},
		"ingress":  {"internet tcp/22 unknown", "internet tcp/23 yes"},
	} {
		t.Run(name, func(t *testing.T) { check(t, recorded(t, name), want...) })
	}
}

// TestUnreadSets: what is in a set that was not told may decide, except where it only
// says who of many is refused.
func TestUnreadSets(t *testing.T) {
	rs := newRuleset()
	if err := rs.readNFT([]byte(sample(t, "firewall/sets.json"))); err != nil {
		t.Fatal(err)
	}
	check(t, rs, "internet tcp/22 unknown", "lan tcp/9000 unknown", "internet tcp/5000 unknown", "internet udp/22 no")
	if len(rs.wanted) != 4 {
		t.Errorf("wanted are %v", rs.wanted)
	}
}

// TestSent: ports that are sent on are told with where they lead and from where they
// are reached.
func TestSent(t *testing.T) {
	told := func(rs *ruleset) (out []string) {
		rs.settle()
		fw := fleet.Firewall{Links: stand(), Forwards: true}
		rs.judge(&fw, nil)
		for _, s := range fw.Sent {
			out = append(out, fmt.Sprintf("%s/%d to %s:%d own=%v %s %s %s", s.Proto, s.Port, s.To, s.ToPort, s.Own, s.Internet.State, s.LAN.State, s.Tailnet.State))
		}
		slices.Sort(out)
		return out
	}
	for name, want := range map[string][]string{
		"nixos-router": {"tcp/8443 to 192.168.1.50:443 own=false yes no no", "udp/51820 to 192.168.1.60:51820 own=false yes no no"},
		"netavark":     {"tcp/8096 to 10.88.0.5:80 own=true yes yes yes", "tcp/8097 to 10.88.0.6:80 own=true no yes no"},
		"redirect": {
			"tcp/5000 to 192.168.1.20:5000 own=false yes no no", "tcp/5001 to 192.168.1.20:5001 own=false no no no", "tcp/5002 to 192.168.1.20:5002 own=false no no no",
		},
		"nixos": nil,
	} {
		if got := told(recorded(t, name)); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestThrough6: what a router lets in by IPv6 to those behind it.
func TestThrough6(t *testing.T) {
	for name, want := range map[string]fleet.Passage{"nixos-router": fleet.Stopped, "redirect": fleet.PassesUnknown, "nixos": fleet.Passes, "netavark": fleet.Passes} {
		rs := recorded(t, name)
		rs.settle()
		fw := fleet.Firewall{Links: stand(), Forwards: true}
		rs.judge(&fw, nil)
		if fw.Through6.State != want {
			t.Errorf("%s: %+v", name, fw.Through6)
		}
		fw.Forwards = false
		if rs.judge(&fw, nil); fw.Through6.State != fleet.Stopped {
			t.Errorf("%s: a host that forwards nothing lets in %+v", name, fw.Through6)
		}
	}
}

// TestWhy: the rule that decides is the one a person would look for.
func TestWhy(t *testing.T) {
	for _, c := range []struct{ name, zone, port, want string }{
		{"nixos", "internet", "tcp/22", "input-allow: tcp dport { 22, 443 } accept"},
		{"nixos", "internet", "tcp/1", "policy drop of chain input in table inet nixos-fw"},
		{"nixos", "tailnet", "tcp/1", "input: iifname { lo, tailscale0 } accept (trusted interfaces)"},
		{"nixos-extra", "internet", "tcp/5432", "input-allow: ip saddr 198.51.100.7 tcp dport 5432 accept"},
		{"odd", "internet", "tcp/27", "input: tcp dport 27 skuid 0 accept"},
		{"jumps", "internet", "tcp/81", "services: tcp dport 81 goto deny"},
	} {
		rs := recorded(t, c.name)
		rs.settle()
		fw := fleet.Firewall{Links: stand(), Forwards: true}
		proto, n, _ := strings.Cut(c.port, "/")
		var port uint16
		_, _ = fmt.Sscan(n, &port)
		rs.judge(&fw, []fleet.Listener{{Proto: proto, Address: "0.0.0.0", Port: port}})
		if got := fw.Listeners[0].From(fleet.Zone(c.zone)).Why; got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.name, c.zone, c.port, got, c.want)
		}
	}
}

// TestAddresses: where it listens decides before any rule.
func TestAddresses(t *testing.T) {
	rs := recorded(t, "empty")
	check(t, rs, "internet tcp/22@192.168.1.10 no", "lan tcp/22@192.168.1.10 yes", "tailnet tcp/22@192.168.1.10 no", "tailnet tcp/22@100.64.0.3 yes", "lan tcp/22@100.64.0.3 no",
		"tailnet tcp/22@fd7a:115c:a1e0::3 yes", "internet tcp/22@10.88.0.1 no", "lan tcp/22@10.88.0.1 no", "internet tcp/22@203.0.113.3 yes", "internet tcp/22@:: yes", "lan udp/5353@224.0.0.251 yes", "internet udp/5353@224.0.0.251 no")
	fw := fleet.Firewall{Links: stand()}
	rs.judge(&fw, []fleet.Listener{{Proto: "tcp", Address: "0.0.0.0", Device: "eth1", Port: 80}, {Proto: "tcp", Address: "127.0.0.1", Port: 81}, {Proto: "tcp", Address: "::1", Port: 81}})
	if len(fw.Listeners) != 1 || fw.Listeners[0].Internet.State != fleet.Stopped || fw.Listeners[0].LAN.State != fleet.Passes {
		t.Errorf("%+v", fw.Listeners)
	}
}

// TestBounds: rule sets that lead in circles or have no end are unknown, and soon.
func TestBounds(t *testing.T) {
	item := func(s string) string { return `{"nftables":[` + s + `]}` }
	base := `{"chain":{"family":"inet","table":"t","name":"input","type":"filter","hook":"input","prio":0,"policy":"drop"}},{"chain":{"family":"inet","table":"t","name":"a"}},{"chain":{"family":"inet","table":"t","name":"b"}}`
	jump := func(from, to string) string {
		return fmt.Sprintf(`,{"rule":{"family":"inet","table":"t","chain":%q,"expr":[{"jump":{"target":%q}}]}}`, from, to)
	}
	wide := "" // each chain leads to the next twice: a thousand million ways
	for i := range 31 {
		wide += fmt.Sprintf(`,{"chain":{"family":"inet","table":"t","name":"c%d"}}`, i)
		if i > 0 {
			from, to := fmt.Sprint("c", i-1), fmt.Sprint("c", i)
			wide += jump(from, to) + jump(from, to)
		}
	}
	for name, text := range map[string]string{
		"circle":   item(base + jump("input", "a") + jump("a", "b") + jump("b", "a")),
		"wide":     item(base + wide + jump("input", "c0")),
		"nowhere":  item(base + jump("input", "missing")),
		"queue":    item(base + `,{"rule":{"family":"inet","table":"t","chain":"input","expr":[{"queue":{"num":0}}]}}`),
		"xt null":  item(base + `,{"rule":{"family":"inet","table":"t","chain":"input","expr":[{"xt":null},{"counter":{}},{"xt":null}]}}`),
		"odd expr": item(base + `,{"rule":{"family":"inet","table":"t","chain":"input","expr":7}}`),
		"odd vmap": item(base + `,{"rule":{"family":"inet","table":"t","chain":"input","expr":[{"vmap":{"key":{"ct":{"key":"state"}},"data":"@map"}}]}}`),
		"new word": item(base + `,{"rule":{"family":"inet","table":"t","chain":"input","expr":[{"newword":{}}, {"accept":null}]}}`),
	} {
		t.Run(name, func(t *testing.T) {
			rs := newRuleset()
			if err := rs.readNFT([]byte(text)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			check(t, rs, "internet tcp/22 unknown")
			if took := time.Since(began); took > 60*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	var many strings.Builder
	many.WriteString(base)
	for i := range 49_000 {
		fmt.Fprintf(&many, `,{"rule":{"family":"inet","table":"t","chain":"input","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":%d}},{"accept":null}]}}`, i+10_000)
	}
	rs := newRuleset()
	if err := rs.readNFT([]byte(item(many.String()))); err != nil {
		t.Fatal(err)
	}
	check(t, rs, "internet tcp/58999 yes", "internet tcp/22 no")
	if err := newRuleset().readNFT([]byte(item(base + strings.Repeat(jump("a", "b"), maxRules+1)))); err == nil {
		t.Error("any number of rules is taken")
	}
	for _, text := range []string{"", "<html>", "null", "[]", `{"nftables":null}`, `{"nftables":7}`, strings.Repeat("[", 20_000)} {
		if err := newRuleset().readNFT([]byte(text)); err == nil {
			t.Errorf("%.20q is taken for a rule set", text)
		}
	}
}

// says is a host on which firewall.sh says something; sections are parted by lines
// that begin with MARK.
func says(text string) *webtest.Link {
	return &webtest.Link{Name: "cloud", Do: func(_ context.Context, cmd link.Command) (link.Result, error) {
		i := slices.Index(cmd.Args, "sextant")
		return link.Result{Stdout: []byte(strings.ReplaceAll(text, "MARK", cmd.Args[i+1]))}, nil
	}}
}

// TestFirewall: a whole reading, from what the script says to the doors.
func TestFirewall(t *testing.T) {
	addr := `[{"ifname":"lo","link_type":"loopback","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},{"ifname":"eth0","link_type":"ether","addr_info":[{"local":"203.0.113.3","prefixlen":24}]}]`
	rest := "\nMARK forwards\n1\n\nMARK addr\n" + addr + "\n\nMARK route\n" + `[{"dst":"default","gateway":"203.0.113.1","dev":"eth0"}]` + "\n\nMARK end\n"
	listeners := []fleet.Listener{{Proto: "tcp", Address: "*", Port: 22}, {Proto: "tcp", Address: "127.0.0.1", Port: 80}, {Proto: "tcp", Address: "*", Port: 22, PID: 7}}
	f := Firewall(t.Context(), says("\nMARK uid\n0\n\nMARK nft\n"+sample(t, "firewall/nixos.json")+rest), listeners)
	if !f.Current() || f.Value.Kind != "nftables" || !f.Value.Forwards || len(f.Value.Listeners) != 1 || f.Value.Listeners[0].Internet.State != fleet.Passes || f.Value.Listeners[0].LAN.State != fleet.Stopped || !slices.Equal(f.Value.Gateways, []string{"203.0.113.1"}) {
		t.Errorf("%+v", f)
	}
	for why, text := range map[string]string{
		"root's to see":            "\nMARK uid\n1000\n" + rest,
		"neither nft":              "\nMARK uid\n0\n" + rest,
		"not its JSON":             "\nMARK uid\n0\n\nMARK nft\n<html>" + rest,
		"no end":                   "\nMARK uid\n0\n",
		"what ip says of addresse": "\nMARK uid\n0\n\nMARK nft\n" + sample(t, "firewall/nixos.json") + "\nMARK addr\nrubbish\n\nMARK end\n",
	} {
		if f := Firewall(t.Context(), says(text), listeners); !strings.Contains(f.Err, why) || f.HasValue() {
			t.Errorf("%s: %+v", why, f)
		}
	}
	broken := &webtest.Link{Name: "cloud", Do: func(context.Context, link.Command) (link.Result, error) { return link.Result{}, errors.New("gone") }}
	if f := Firewall(t.Context(), broken, nil); f.Err == "" {
		t.Error("a host that is gone has a firewall")
	}
}

// TestLinks: where links lead is told by their names and addresses.
func TestLinks(t *testing.T) {
	text := `[{"ifname":"lo","link_type":"loopback","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},
{"ifname":"wan","addr_info":[{"local":"203.0.113.9","prefixlen":24}]},{"ifname":"lan","addr_info":[{"local":"192.168.1.1","prefixlen":24},{"local":"2001:db8:2::1","prefixlen":64}]},
{"ifname":"tailscale0","addr_info":[{"local":"100.64.0.9","prefixlen":32}]},{"ifname":"cgnat","addr_info":[{"local":"100.70.0.9","prefixlen":24}]},
{"ifname":"br-0123456789ab","addr_info":[{"local":"172.18.0.1","prefixlen":16}]},{"ifname":"br-lan","addr_info":[{"local":"10.0.0.1","prefixlen":8}]},
{"ifname":"wg0","addr_info":[{"local":"10.100.0.1","prefixlen":24}]},{"ifname":"v6only","addr_info":[{"local":"2001:db8:3::1","prefixlen":64},{"local":"fe80::1","prefixlen":64}]},
{"ifname":"none","addr_info":[]},{"ifname":"bad","addr_info":[{"local":"x","prefixlen":99}]}]`
	links, gateways := readRoutes(`[{"dst":"default","gateway":"100.70.0.1","dev":"cgnat"},{"dst":"10.0.0.0/8","dev":"br-lan"}]`, "rubbish")
	if !slices.Equal(links, []string{"cgnat"}) || !slices.Equal(gateways, []string{"100.70.0.1"}) {
		t.Errorf("%v %v", links, gateways)
	}
	got, err := readLinks([]byte(text), links)
	if err != nil {
		t.Fatal(err)
	}
	var zones []string
	for _, l := range got {
		zones = append(zones, l.Name+"="+string(l.Zone))
	}
	if want := "lo=other wan=internet lan=lan tailscale0=tailnet cgnat=lan br-0123456789ab=containers br-lan=lan wg0=other v6only=internet none=other bad=other"; strings.Join(zones, " ") != want {
		t.Errorf("%s\nwant %s", strings.Join(zones, " "), want)
	}
}

func FuzzNFT(f *testing.F) {
	for _, name := range []string{"nixos", "nixos-router", "odd", "jumps", "netavark", "redirect"} {
		f.Add(sample(f, "firewall/"+name+".json"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		rs := newRuleset()
		if rs.readNFT([]byte(text)) != nil {
			return
		}
		rs.readSet(chainName{name: "x"}, []byte(text))
		fuzzed(t, rs)
	})
}

// fuzzed has a rule set judged of which anything may have been read.
func fuzzed(t *testing.T, rs *ruleset) {
	rs.settle()
	fw := fleet.Firewall{Links: stand(), Forwards: true}
	rs.judge(&fw, []fleet.Listener{{Proto: "tcp", Address: "*", Port: 22}, {Proto: "udp", Address: "100.64.0.3", Port: 53}})
	for _, d := range fw.Listeners {
		for _, z := range []fleet.Zone{fleet.FromInternet, fleet.FromLAN, fleet.FromTailnet} {
			if door := d.From(z); door.State == "" || door.Why != fleet.Clean(door.Why) {
				t.Errorf("%+v", door)
			}
		}
	}
}
