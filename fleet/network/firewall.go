package network

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed firewall.sh
var firewallScript string

// Bounds of one reading of a firewall.
const (
	firewallTime  = 15 * time.Second
	firewallBytes = 8 << 20
)

// errFirewallOfRoot is why a firewall is not known where we are not root.
var errFirewallOfRoot = fleet.WithCure(errors.New("the rules of a firewall are root's to see, and the login there is not root's"),
	`log in as root (user = "root" for this host in config.toml), or let the user's sudo ask nothing (NOPASSWD)`)

// errNoFirewallTool is why it is not known where nothing can tell.
var errNoFirewallTool = fleet.WithCure(errors.New("neither nft nor iptables-save is there to tell the rules"),
	"put one of them into environment.systemPackages: pkgs.nftables tells all")

// Firewall reads what a host lets through, and judges it for each of its listeners.
func Firewall(ctx context.Context, l link.Link, listeners []fleet.Listener) fleet.Fact[fleet.Firewall] {
	ctx, cancel := context.WithTimeout(ctx, firewallTime)
	defer cancel()
	f, err := readFirewall(ctx, l, listeners)
	source := "nft"
	if f.Kind == "iptables" {
		source = "iptables-save"
	}
	if err != nil {
		return fleet.Unknown[fleet.Firewall](fmt.Errorf("the firewall of %s: %w", l.Host().Name, err), time.Now(), source)
	}
	return fleet.Known(f, time.Now(), source)
}

func readFirewall(ctx context.Context, l link.Link, listeners []fleet.Listener) (fleet.Firewall, error) {
	told, err := askFirewall(ctx, l)
	if err != nil {
		return fleet.Firewall{}, err
	}
	if id := told.text("uid"); id != "0" {
		return fleet.Firewall{}, errFirewallOfRoot
	}
	rs, kind, err := told.rules()
	if err != nil {
		return fleet.Firewall{}, err
	}
	if err := rs.askSets(ctx, l); err != nil {
		return fleet.Firewall{}, err
	}
	defaults, gateways := readRoutes(told.text("route"), told.text("route6"))
	links, err := readLinks([]byte(told.text("addr")), defaults)
	if err != nil {
		return fleet.Firewall{}, err
	}
	f := fleet.Firewall{Kind: kind, Rules: rs.rules, Forwards: told.text("forwards") == "1", Links: links, Gateways: gateways}
	f.Chains = rs.told()
	rs.judge(&f, listeners)
	f.Unread = rs.unread
	return f, nil
}

// maxChains is how many chains are told of a host.
const maxChains = 100

// told are the chains that packets come to by themselves, by their hooks.
func (s *ruleset) told() []fleet.FirewallChain {
	hooks := []string{"ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"}
	short := func(s string) string { return fleet.Short(fleet.Clean(s), 80) }
	all := []fleet.FirewallChain{}
	for _, c := range s.chains {
		if c.hook != "" {
			all = append(all, fleet.FirewallChain{
				Family: short(c.family), Table: short(c.table), Name: short(c.name), Type: short(c.kind), Hook: short(c.hook),
				Priority: c.prio, Policy: cmp.Or(short(c.policy), "accept"), Rules: len(c.rules),
			})
		}
	}
	slices.SortFunc(all, func(a, b fleet.FirewallChain) int {
		return cmp.Or(cmp.Compare(slices.Index(hooks, a.Hook), slices.Index(hooks, b.Hook)), cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Table, b.Table), strings.Compare(a.Family, b.Family), strings.Compare(a.Name, b.Name))
	})
	return all[:min(len(all), maxChains)]
}

// answer is what firewall.sh says, by its sections.
type answer map[string][]string

func (a answer) text(name string) string { return strings.TrimSpace(strings.Join(a[name], "\n")) }

// ok tells whether a program was there and did not fail.
func (a answer) ok(name string) bool { return a[name] != nil && a["failed "+name] == nil }

// askFirewall runs firewall.sh.
func askFirewall(ctx context.Context, l link.Link, args ...string) (answer, error) {
	mark := rand.Text()
	cmd := link.Script(firewallScript, append([]string{mark}, args...)...)
	cmd.IfRoot, cmd.Limit = true, firewallBytes
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	told := answer(sections(string(res.Stdout), mark))
	if told["end"] == nil {
		return nil, errors.New("the answer has no end")
	}
	return told, nil
}

// ofIPTables are the tables that iptables keeps in nft.
func ofIPTables(table string) bool { _, ok := builtin[table]; return ok }

// rules reads the rules out of what was told.
func (a answer) rules() (*ruleset, string, error) {
	rs, kind := newRuleset(), "none"
	saved := a.ok("iptables") || a.ok("legacy4")
	switch {
	case a.ok("nft"):
		if err := rs.readNFT([]byte(a.text("nft"))); err != nil {
			return nil, "", err
		}
		if len(rs.chains) > 0 {
			kind = "nftables"
		}
		if rs.replace(a) {
			kind = "nftables and iptables"
		}
	case !saved:
		return nil, "", errNoFirewallTool
	default:
		kind = "iptables"
		all := func(string) bool { return true }
		rs.readIPTables("ip", a.text("iptables"), all)
		rs.readIPTables("ip6", a.text("ip6tables"), all)
		if !a.ok("ip6tables") {
			rs.blinded("ip6tables, which does not tell its rules")
		}
		rs.missed("rules beside those of iptables: nft is not there to tell them")
	}
	if rs.legacy(a) {
		kind = strings.TrimPrefix(kind+" and iptables", "none and ")
	}
	rs.settle()
	return rs, kind, nil
}

// replace reads by iptables-save the tables in which nft tells no more than the names
// of what iptables put there.
func (s *ruleset) replace(a answer) (replaced bool) {
	for family, name := range map[string]string{"ip": "iptables", "ip6": "ip6tables"} {
		if !a.ok(name) {
			continue
		}
		wanted := func(table string) bool {
			is := ofIPTables(table) && s.foreign(family, table)
			replaced = replaced || is
			return is
		}
		text := a.text(name)
		tables := map[string]bool{}
		for t := range builtin {
			if wanted(t) && strings.Contains("\n"+text, "\n*"+t+"\n") {
				tables[t] = true
				s.drop(family, t)
			}
		}
		s.readIPTables(family, text, func(t string) bool { return tables[t] })
	}
	return replaced
}

// foreign tells whether a table has conditions or targets that nft does not tell.
func (s *ruleset) foreign(family, table string) bool {
	for name, c := range s.chains {
		if name.family != family || name.table != table {
			continue
		}
		for _, r := range c.rules {
			if r.act.act == actUnknown || slices.ContainsFunc(r.when, func(c cond) bool { return c.keys[0] == "?" }) {
				return true
			}
		}
	}
	return false
}

func (s *ruleset) drop(family, table string) {
	for name, c := range s.chains {
		if name.family == family && name.table == table {
			s.rules -= len(c.rules)
			delete(s.chains, name)
		}
	}
}

// legacy reads the tables of the older kind of iptables, beside nft's.
func (s *ruleset) legacy(a answer) bool {
	if a["legacy"] == nil {
		return false
	}
	v4, v6 := "legacy4", "legacy6"
	if !a.ok(v4) && !a.ok(v6) {
		switch {
		case !a.ok("iptables") || strings.Contains(a.text("iptables"), "nf_tables"):
			s.blinded("tables of the older kind of iptables, which iptables-legacy-save is not there to tell")
			return false
		case !a.ok("nft"):
			return false // they were read as the only ones
		}
		v4, v6 = "iptables", "ip6tables"
	}
	for family, name := range map[string]string{"ip": v4, "ip6": v6} {
		old := newRuleset()
		old.readIPTables(family, a.text(name), func(string) bool { return true })
		for n, c := range old.chains { // beside a table of nft of the same name
			n.table += " (legacy)"
			c.chainName = n
			s.chains[n] = c
		}
		s.rules, s.marks, s.untracked = s.rules+old.rules, s.marks || old.marks, s.untracked || old.untracked
		if old.blind != "" {
			s.blinded(old.blind)
		}
	}
	return true
}

// askSets asks what is in the named sets that rules look into.
func (s *ruleset) askSets(ctx context.Context, l link.Link) error {
	var args []string
	for _, n := range s.wanted {
		args = append(args, n.family, n.table, n.name)
	}
	if len(args) == 0 {
		return nil
	}
	told, err := askFirewall(ctx, l, args...)
	if err != nil {
		return err
	}
	for _, n := range s.wanted {
		s.readSet(n, []byte(told.text(strings.Join([]string{"set", n.family, n.table, n.name}, " "))))
	}
	return nil
}
