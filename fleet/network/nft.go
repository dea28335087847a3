package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of what is kept of a rule set.
const (
	maxRules   = 50_000
	maxRows    = 4096 // of one set
	maxText    = 160  // runes of a rule as it is shown
	maxSets    = 16   // that are asked
	maxUnread  = 20
	maxForward = 300 // ports that are sent on
)

// object is a JSON object as nft writes it.
type object = map[string]any

// readNFT reads what "nft -j list ruleset" says.
func (s *ruleset) readNFT(text []byte) error {
	var all struct {
		Items []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(text, &all); err != nil || all.Items == nil {
		return errors.New("what nft says is not its JSON")
	}
	for _, item := range all.Items {
		if raw, ok := item["chain"]; ok {
			s.nftChain(raw)
		}
	}
	for _, item := range all.Items {
		if raw, ok := item["rule"]; ok {
			if s.rules++; s.rules > maxRules {
				return fmt.Errorf("more than %d rules", maxRules)
			}
			s.nftRule(raw)
		}
	}
	return nil
}

func (s *ruleset) nftChain(raw json.RawMessage) {
	var c struct {
		Family, Table, Name, Type, Hook, Policy string
		Dev                                     any // a name, or several
		Prio                                    int
	}
	if json.Unmarshal(raw, &c) != nil || c.Name == "" {
		s.blinded("a chain of nft that is not understood")
		return
	}
	name := chainName{c.Family, c.Table, c.Name}
	out := &chain{chainName: name, kind: c.Type, hook: c.Hook, policy: c.Policy, prio: c.Prio}
	devs, several := c.Dev.([]any)
	if !several && c.Dev != nil {
		devs = []any{c.Dev}
	}
	for _, d := range devs {
		out.devs = append(out.devs, str(d))
	}
	s.chains[name] = out
}

// blinded notes that something may stop packets that is not known.
func (s *ruleset) blinded(why string) {
	if s.blind == "" {
		s.blind = why
	}
	s.missed(why)
}

func (s *ruleset) missed(why string) {
	if len(s.unread) < maxUnread && !slices.Contains(s.unread, why) {
		s.unread = append(s.unread, why)
	}
}

func (s *ruleset) nftRule(raw json.RawMessage) {
	var r struct {
		Family, Table, Chain, Comment string
		Handle                        int
		Expr                          []object
	}
	err := json.Unmarshal(raw, &r)
	c := s.chains[chainName{r.Family, r.Table, r.Chain}]
	if c == nil {
		s.blinded("a rule of nft that is in no chain")
		return
	}
	if err != nil {
		c.rules = append(c.rules, rule{act: action{act: actUnknown}, text: "a rule that is not understood in chain " + fleet.Clean(r.Chain)})
		return
	}
	b := building{s: s, c: c, comment: r.Comment}
	for _, statement := range r.Expr {
		b.statement(statement)
	}
	b.end()
}

// building is one rule while it is read. A rule with a map in it becomes several.
type building struct {
	s       *ruleset
	c       *chain
	when    []cond
	words   []string // the conditions as people write them
	comment string
	decided bool // something was done with the packet
	odd     bool // there was a statement that is not understood
}

// text is the rule as people know it.
func (b *building) text(does string) string {
	text := strings.Join(append(slices.Clone(b.words), does), " ")
	if b.comment != "" {
		text += " (" + b.comment + ")"
	}
	return fleet.Short(fleet.Clean(strings.TrimSpace(b.c.name+": "+text)), maxText)
}

func (b *building) add(a action, does string, more ...cond) {
	b.decided = true
	b.c.rules = append(b.c.rules, rule{when: append(slices.Clone(b.when), more...), act: a, text: b.text(does)})
}

// end adds a rule for a statement that is not understood and after which nothing was
// decided: it may decide.
func (b *building) end() {
	if b.odd && !b.decided {
		b.add(action{act: actUnknown}, "?")
	}
}

// quiet are statements that decide nothing.
var quiet = []string{"counter", "log", "last", "dup", "flow", "set", "secmark", "ct helper", "ct timeout", "ct expectation"}

func (b *building) statement(st object) {
	for name, arg := range st { // there is one
		switch name {
		case "match":
			c, words := b.match(arg)
			b.when, b.words = append(b.when, c), append(b.words, words)
		case "accept":
			b.add(action{act: actAccept}, "accept")
		case "drop", "reject":
			b.add(action{act: actDrop}, name)
		case "return":
			b.add(action{act: actReturn}, name)
		case "continue":
		case "jump", "goto":
			b.add(jump(name, arg), name+" "+str(field(arg, "target")))
		case "vmap":
			b.vmap(arg)
		case "dnat", "redirect":
			b.send(name, arg)
		case "limit", "ct count":
			if asObject(arg) == nil { // one by its name
				b.doubt(name)
			}
			if field(arg, "inv") == true { // more than so many: not one alone
				b.when = append(b.when, never)
			}
			b.words = append(b.words, name)
		case "mangle":
			if key, _ := b.key(field(arg, "key")); slices.Contains(key, "mark") || slices.Contains(key, "ct.mark") {
				b.s.marks = true
			}
		case "notrack":
			b.s.untracked = true
		case "snat", "masquerade":
			b.decided = true
		case "queue", "tproxy", "synproxy", "fwd":
			b.add(action{act: actUnknown}, name)
		case "xt":
			b.extension(arg)
		default:
			if !slices.Contains(quiet, name) {
				b.doubt(name)
			}
		}
	}
}

// doubt is for what is not understood: it may be a condition, and it may decide.
func (b *building) doubt(name string) {
	b.odd = true
	b.when, b.words = append(b.when, vague), append(b.words, "["+name+"?]")
}

// extension is a part of iptables, of which nft tells no more than its name.
func (b *building) extension(arg any) {
	name := str(field(arg, "name"))
	if field(arg, "type") == "target" {
		if !slices.Contains(goOn, name) {
			b.add(action{act: actUnknown}, name)
		}
		return
	}
	b.doubt("xt " + name)
}

func jump(name string, arg any) action {
	a := action{act: actJump, chain: str(field(arg, "target"))}
	if name == "goto" {
		a.act = actGoto
	}
	return a
}

// match reads a condition.
func (b *building) match(arg any) (cond, string) {
	op, left, right := str(field(arg, "op")), field(arg, "left"), field(arg, "right")
	var c cond
	var ok bool
	c.owner = b.c.chainName
	if masked, is := field(left, "&").([]any); is && len(masked) == 2 {
		left = masked[0]
		if c.mask, ok = oneValue(masked[1]); !ok {
			return vague, "[?]"
		}
	}
	if c.keys, ok = b.key(left); !ok {
		return vague, "[" + strings.Join(append(c.keys, "?"), " ") + "]"
	}
	c.not = op == "!="
	if name, is := right.(string); is && strings.HasPrefix(name, "@") {
		c.set = name[1:]
		b.s.want(chainName{c.owner.family, c.owner.table, c.set})
	} else if c.rows, ok = rowsOf(c.keys, op, right); !ok {
		return vague, "[" + strings.Join(c.keys, " . ") + " " + op + " ?]"
	}
	if strings.HasPrefix(op, "<") || strings.HasPrefix(op, ">") {
		return c, spoken(c.keys) + " " + op + " " + show(right)
	}
	words := spoken(c.keys)
	if c.not {
		words += " !="
	}
	return c, words + " " + show(right)
}

// spoken are keys as people write them.
func spoken(keys []string) string {
	var words []string
	for _, k := range keys {
		words = append(words, strings.ReplaceAll(k, ".", " "))
	}
	return strings.Join(words, " . ")
}

// want notes that a set is looked into.
func (s *ruleset) want(name chainName) {
	if len(s.wanted) < maxSets && !slices.Contains(s.wanted, name) {
		s.wanted = append(s.wanted, name)
	}
}

// key reads what of a packet is looked at.
func (b *building) key(of any) ([]string, bool) {
	for kind, arg := range asObject(of) {
		switch kind {
		case "meta":
			return []string{str(field(arg, "key"))}, true
		case "payload":
			p, f := str(field(arg, "protocol")), str(field(arg, "field"))
			return []string{p + "." + f}, p != "" && f != ""
		case "ct":
			return []string{"ct." + str(field(arg, "key"))}, field(arg, "dir") == nil
		case "fib":
			return fibKey(arg)
		case "concat":
			var keys []string
			parts, _ := arg.([]any)
			for _, part := range parts {
				if _, deeper := asObject(part)["concat"]; deeper {
					return keys, false
				}
				k, ok := b.key(part)
				if !ok {
					return keys, false
				}
				keys = append(keys, k...)
			}
			return keys, len(keys) > 0
		}
		return []string{kind}, false
	}
	return nil, false
}

// fibKey is what the routes say of a packet: whose its address is, and whether there
// is a way back.
func fibKey(arg any) ([]string, bool) {
	parts, _ := field(arg, "flags").([]any)
	switch result := str(field(arg, "result")); {
	case result == "type" && slices.Contains(parts, any("daddr")):
		return []string{"fib.type"}, true
	case result == "oif" && slices.Contains(parts, any("saddr")):
		return []string{"fib.oif"}, true
	}
	return []string{"fib"}, false
}

// vmap reads a map from values to what is done, as a rule each.
func (b *building) vmap(arg any) {
	keys, ok := b.key(field(arg, "key"))
	pairs, listed := field(field(arg, "data"), "set").([]any)
	if !ok || !listed || len(pairs) > maxRows {
		b.add(action{act: actUnknown}, "vmap ?", vague)
		return
	}
	for _, pair := range pairs {
		kv, is := pair.([]any)
		if !is || len(kv) != 2 {
			b.add(action{act: actUnknown}, "vmap ?", vague)
			continue
		}
		words := spoken(keys) + " " + show(kv[0])
		if kv[0] == "*" { // all others; nft tells it last
			b.verdictOf(kv[1], words)
			continue
		}
		c := vague
		if row, ok := rowOf(keys, kv[0]); ok {
			c = cond{keys: keys, rows: [][]value{row}}
		}
		b.verdictOf(kv[1], words, c)
	}
	b.decided = true
}

// verdictOf adds a rule for one pair of a map.
func (b *building) verdictOf(does any, words string, c ...cond) {
	for name, arg := range asObject(does) {
		switch name {
		case "accept":
			b.add(action{act: actAccept}, words+" accept", c...)
		case "drop":
			b.add(action{act: actDrop}, words+" drop", c...)
		case "return":
			b.add(action{act: actReturn}, words+" return", c...)
		case "continue":
		case "jump", "goto":
			b.add(jump(name, arg), words+" "+name+" "+str(field(arg, "target")), c...)
		default:
			b.add(action{act: actUnknown}, words+" "+name, c...)
		}
		return
	}
	b.add(action{act: actUnknown}, words+" ?", c...)
}

// send reads where packets are sent on to.
func (b *building) send(name string, arg any) {
	does := name
	var to []target
	addr, port := field(arg, "addr"), field(arg, "port")
	if m := asObject(field(addr, "map")); m != nil {
		to = b.sendMap(m)
	} else if t, ok := targetOf(addr, port); ok {
		to, does = []target{t}, name+" to "+t.String()
	}
	if len(to) == 0 {
		b.add(action{act: actUnknown}, name+" ?")
		return
	}
	b.add(action{act: actSend, to: to}, does)
}

// sendMap reads a map from ports to addresses: "tcp . 8080 : 192.168.1.5 . 80".
func (b *building) sendMap(m object) []target {
	keys, ok := b.key(m["key"])
	pairs, listed := field(m["data"], "set").([]any)
	if !ok || !listed || len(pairs) > maxForward {
		return nil
	}
	var all []target
	for _, pair := range pairs {
		kv, is := pair.([]any)
		if !is || len(kv) != 2 {
			return nil
		}
		row, ok := rowOf(keys, kv[0])
		if !ok {
			return nil
		}
		addr, port := kv[1], any(nil)
		if both, is := field(kv[1], "concat").([]any); is && len(both) == 2 {
			addr, port = both[0], both[1]
		}
		t, ok := targetOf(addr, port)
		if !ok {
			return nil
		}
		for i, k := range keys {
			switch k {
			case "l4proto":
				t.proto = row[i].word
			case "tcp.dport", "udp.dport", "th.dport":
				if row[i].lo != row[i].hi || row[i].lo == 0 || row[i].lo > 65535 {
					return nil
				}
				t.from = uint16(row[i].lo)
				if proto := strings.TrimSuffix(k, ".dport"); proto != "th" {
					t.proto = proto
				}
			default:
				return nil
			}
		}
		all = append(all, t)
	}
	return all
}

// targetOf reads an address and a port; either may be missing.
func targetOf(addr, port any) (target, bool) {
	var t target
	if addr != nil {
		a, err := netip.ParseAddr(str(addr))
		if err != nil {
			return t, false
		}
		t.addr = a
	}
	if port != nil {
		n, ok := port.(float64)
		if !ok || n < 1 || n > 65535 {
			return t, false
		}
		t.port = uint16(n)
	}
	return t, t.addr.IsValid() || t.port != 0
}

// String is a target as people write it.
func (t target) String() string {
	switch {
	case !t.addr.IsValid():
		return fmt.Sprintf("port %d", t.port)
	case t.port == 0:
		return t.addr.String()
	}
	return netip.AddrPortFrom(t.addr, t.port).String()
}
