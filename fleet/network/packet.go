package network

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// tri is whether something holds for all packets of a kind, for some, or for none.
type tri int

const (
	no tri = iota
	maybe
	yes
)

func sure(b bool) tri {
	if b {
		return yes
	}
	return no
}

// span is a range of addresses.
type span struct{ lo, hi netip.Addr }

func spanOf(p netip.Prefix) span {
	p = p.Masked()
	hi := p.Addr().AsSlice()
	for i := range hi {
		for bit := range 8 {
			if i*8+bit >= p.Bits() {
				hi[i] |= 1 << (7 - bit)
			}
		}
	}
	last, _ := netip.AddrFromSlice(hi)
	return span{p.Addr(), last}
}

func (s span) covers(o span) bool {
	return s.lo.BitLen() == o.lo.BitLen() && s.lo.Compare(o.lo) <= 0 && s.hi.Compare(o.hi) >= 0
}

func (s span) meets(o span) bool {
	return s.lo.BitLen() == o.lo.BitLen() && s.lo.Compare(o.hi) <= 0 && s.hi.Compare(o.lo) >= 0
}

// packet is the first packet of new connections of one kind: from anywhere in a zone,
// at any port of theirs, to one address and port of the host.
type packet struct {
	family string     // "ip", "ip6"
	proto  string     // "tcp", "udp"
	port   uint16     // to which; 0: any
	iif    string     // by which link it comes
	oif    string     // by which it leaves; "": it is for the host itself
	dst    netip.Addr // not valid: any
	src    []span
	sent   bool // it was sent on by a rule for that
}

// value is what a rule compares with: a word, or a range of numbers or addresses.
type value struct {
	word   string
	lo, hi uint64
	number bool
	addr   span
}

// cond is a condition of a rule: one of the rows holds, each of whose values holds of
// the key at its place.
type cond struct {
	keys  []string // as nft calls them: "tcp.dport", "iifname"
	not   bool
	rows  [][]value
	set   string  // a named set in place of rows
	mask  []value // what is looked at of the key; nil: all
	owner chainName
}

// vague is a condition that is not understood.
var vague = cond{keys: []string{"?"}}

// never is one that holds of no new connection.
var never = cond{keys: []string{"never"}}

// all tells whether all conditions hold.
func (s *ruleset) all(when []cond, p *packet) tri {
	holds := yes
	for i := range when {
		if holds = min(holds, s.holds(&when[i], p)); holds == no {
			return no
		}
	}
	return holds
}

// ofSome tells whether conditions that may hold are only of who it is that comes, and
// so hold of some and not of others.
func (s *ruleset) ofSome(when []cond, p *packet) bool {
	for i := range when {
		c := &when[i]
		if s.holds(c, p) == maybe && (c.not || len(c.keys) != 1 || c.keys[0] != "ip.saddr" && c.keys[0] != "ip6.saddr") {
			return false
		}
	}
	return true
}

func (s *ruleset) holds(c *cond, p *packet) tri {
	for _, k := range c.keys { // what the packet has not is neither so nor otherwise
		if !p.has(k) {
			return no
		}
	}
	rows := c.rows
	if c.set != "" {
		known, ok := s.sets[chainName{c.owner.family, c.owner.table, c.set}]
		if !ok {
			return maybe
		}
		rows = known
	}
	best := no
	for _, row := range rows {
		holds := yes
		for i, k := range c.keys {
			if i >= len(row) {
				return maybe
			}
			holds = min(holds, s.is(k, row[i], c.mask, p))
		}
		best = max(best, holds)
	}
	if len(rows) == 0 && (c.keys[0] == "?" || c.set == "") {
		return maybe
	}
	if c.not {
		return yes - best
	}
	return best
}

// has tells whether the packet has what a key is of.
func (p *packet) has(key string) bool {
	of, _, _ := strings.Cut(key, ".")
	switch of {
	case "tcp", "udp":
		return p.proto == of
	case "ip", "ip6":
		return p.family == of
	case "icmp", "icmpv6", "sctp", "dccp", "udplite", "ah", "esp", "comp", "igmp", "arp", "never":
		return false
	case "oifname", "oif":
		return p.oif != ""
	}
	return true
}

// is tells whether a key of the packet is a value.
func (s *ruleset) is(key string, v value, mask []value, p *packet) tri {
	switch key {
	case "iifname", "iif":
		return sure(named(v.word, p.iif))
	case "oifname", "oif":
		return sure(named(v.word, p.oif))
	case "nfproto":
		return sure(v.word == map[string]string{"ip": "ipv4", "ip6": "ipv6"}[p.family])
	case "l4proto", "ip.protocol", "ip6.nexthdr":
		return sure(v.word == p.proto || v.number && v.lo <= protoNumber[p.proto] && protoNumber[p.proto] <= v.hi)
	case "tcp.dport", "udp.dport", "th.dport":
		return isPort(v, p.port)
	case "tcp.sport", "udp.sport", "th.sport":
		return isPort(v, 0)
	case "ip.saddr", "ip6.saddr":
		return from(v.addr, p.src)
	case "ip.daddr", "ip6.daddr":
		if !p.dst.IsValid() || !v.addr.lo.IsValid() {
			return maybe
		}
		return sure(v.addr.covers(span{p.dst, p.dst}))
	case "pkttype":
		return sure(v.word == "host" && !p.dst.IsMulticast() || v.word == "multicast" && p.dst.IsMulticast())
	case "tcp.flags":
		return flags(v, mask)
	}
	return s.isOfTracking(key, v, p)
}

// isOfTracking is as is, of what is known of a connection and its way.
func (s *ruleset) isOfTracking(key string, v value, p *packet) tri {
	switch key {
	case "ct.state":
		if s.untracked {
			return maybe
		}
		return sure(v.word == "new" || v.word == "dnat" && p.sent)
	case "ct.status":
		if v.word != "dnat" {
			return maybe
		}
		return sure(p.sent)
	case "ct.direction":
		return sure(v.word == "original" || v.number && v.lo == 0 && v.hi == 0)
	case "mark", "ct.mark":
		if s.marks || !v.number {
			return maybe
		}
		return sure(v.lo == 0)
	case "fib.type":
		if p.oif != "" || p.dst.IsMulticast() {
			return maybe
		}
		return sure(v.word == "local")
	case "fib.oif": // there is a way back to who asks, or he would get no answer
		return sure(v.word == "true")
	}
	return maybe
}

// protoNumber are the protocols as the kernel counts them.
var protoNumber = map[string]uint64{"tcp": 6, "udp": 17}

// named tells whether a link is called so; a star or a plus ends the start of a name.
func named(pattern, name string) bool {
	if front, ok := strings.CutSuffix(strings.TrimSuffix(pattern, "+")+strings.Repeat("*", strings.Count(pattern, "+")), "*"); ok {
		return strings.HasPrefix(name, front)
	}
	return pattern == name
}

// isPort tells whether a port is a value; 0 is any port.
func isPort(v value, port uint16) tri {
	switch {
	case !v.number:
		return maybe
	case port == 0 && v.lo <= 1 && v.hi >= 65535:
		return yes
	case port == 0:
		return maybe
	}
	return sure(v.lo <= uint64(port) && uint64(port) <= v.hi)
}

// from tells whether all, some or none of the sources are in a range.
func from(r span, sources []span) tri {
	if !r.lo.IsValid() {
		return maybe
	}
	in, out := 0, 0
	for _, s := range sources {
		switch {
		case r.covers(s):
			in++
		case !r.meets(s):
			out++
		}
	}
	switch {
	case in == len(sources):
		return yes
	case out == len(sources):
		return no
	}
	return maybe
}

// synFlag is SYN as a number.
const synFlag = 2

// flags tells whether the flags of a first packet, which has SYN alone, are a value: a
// list of flags, words with commas between.
func flags(v value, mask []value) tri {
	if len(mask) == 0 { // any of them
		if v.number {
			return sure(v.lo&synFlag != 0)
		}
		return sure(slices.Contains(strings.Split(v.word, ","), "syn"))
	}
	if mask[0].number || v.number && v.lo != 0 {
		return maybe
	}
	if slices.Contains(strings.Split(mask[0].word, ","), "syn") {
		return sure(v.word == "syn")
	}
	return sure(v.word == "" || v.number)
}

// number reads a number as iptables and nft write it.
func number(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 0, 64)
	return n, err == nil
}
