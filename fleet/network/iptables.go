package network

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// goOn are targets of iptables after which a packet goes on through the chain.
var goOn = []string{
	"LOG", "NFLOG", "ULOG", "TRACE", "TCPMSS", "TCPOPTSTRIP", "MARK", "CONNMARK", "CONNSECMARK", "SECMARK", "CLASSIFY", "DSCP", "TOS", "TTL", "HL",
	"CHECKSUM", "AUDIT", "RATEEST", "SET", "CT", "NOTRACK", "LED", "IDLETIMER", "TEE", "ECN",
}

// builtin are the chains of iptables to which packets come by themselves, by table.
var builtin = map[string]struct {
	prio  int
	kind  string
	hooks map[string]string
}{
	"raw":      {-300, "filter", map[string]string{"PREROUTING": "prerouting"}},
	"mangle":   {-150, "filter", map[string]string{"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward"}},
	"nat":      {-100, "nat", map[string]string{"PREROUTING": "prerouting"}},
	"filter":   {0, "filter", map[string]string{"INPUT": "input", "FORWARD": "forward"}},
	"security": {50, "filter", map[string]string{"INPUT": "input", "FORWARD": "forward"}},
}

// readIPTables reads what iptables-save says of a family, "ip" or "ip6"; only of the
// tables that are wanted.
func (s *ruleset) readIPTables(family, text string, wanted func(table string) bool) {
	table, take := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "# Table `"):
			if name, _, ok := strings.Cut(line[len("# Table `"):], "'"); ok && wanted(name) {
				s.blinded("table " + fleet.Clean(name) + ", which iptables does not understand")
			}
		case line == "" || line[0] == '#' || line == "COMMIT":
		case line[0] == '*':
			table = fleet.Clean(line[1:])
			take = wanted(table)
		case !take:
		case line[0] == ':':
			s.iptablesChain(family, table, line[1:])
		default:
			if s.rules++; s.rules > maxRules {
				s.blinded("there are more than " + strconv.Itoa(maxRules) + " rules")
				return
			}
			s.iptablesRule(family, table, line)
		}
	}
}

// iptablesChain reads ":INPUT ACCEPT [0:0]".
func (s *ruleset) iptablesChain(family, table, line string) {
	f := strings.Fields(line)
	if len(f) < 2 {
		return
	}
	c := &chain{chainName: chainName{family, table, fleet.Clean(f[0])}}
	if b := builtin[table]; f[1] != "-" {
		c.kind, c.hook, c.prio = b.kind, b.hooks[f[0]], b.prio
		if f[1] == "DROP" {
			c.policy = "drop"
		}
	}
	s.chains[c.chainName] = c
}

// iptablesRule reads "-A nixos-fw -p tcp -m tcp --dport 22 -j nixos-fw-accept".
func (s *ruleset) iptablesRule(family, table, line string) {
	w, ok := splitWords(line)
	if len(w) > 0 && strings.HasPrefix(w[0], "[") { // counters
		w = w[1:]
	}
	if len(w) < 2 || w[0] != "-A" {
		s.blinded("a line of iptables-save that is not understood")
		return
	}
	c := s.chains[chainName{family, table, fleet.Clean(w[1])}]
	if c == nil {
		s.blinded("a rule of iptables in a chain that is not told")
		return
	}
	text := strings.TrimPrefix(line[max(0, strings.Index(line, "-A ")):], "-A ")
	r := option{s: s, c: c, family: family, rule: rule{text: fleet.Short(fleet.Clean(text), maxText)}}
	if !ok {
		r.rule.act = action{act: actUnknown}
		c.rules = append(c.rules, r.rule)
		return
	}
	r.read(w[2:])
	if r.rule.act.act != actNone {
		c.rules = append(c.rules, r.rule)
	}
}

// option is a rule of iptables while its options are read.
type option struct {
	s      *ruleset
	c      *chain
	family string
	proto  string
	rule   rule
}

func (o *option) read(w []string) {
	not := false
	for len(w) > 0 {
		name := w[0]
		w = w[1:]
		if name == "!" {
			not = true
			continue
		}
		if name == "-j" || name == "-g" {
			if len(w) == 0 {
				o.rule.act = action{act: actUnknown}
				return
			}
			o.target(name == "-g", w[0], w[1:])
			return
		}
		n := 0 // arguments end where the next option begins
		for n < len(w) && !strings.HasPrefix(w[n], "-") && w[n] != "!" {
			n++
		}
		if name == "--comment" || strings.HasSuffix(name, "-prefix") {
			n = min(1, len(w))
		}
		o.option(name, w[:n], not)
		w, not = w[n:], false
	}
}

// idle are options that are no conditions, or such as always hold of a first packet
// that comes alone.
var idle = []string{
	"--comment", "--limit", "--limit-burst", "--hashlimit-burst", "--hashlimit-mode", "--hashlimit-name", "--hashlimit-upto", "--hashlimit-htable-expire",
	"--hashlimit-htable-size", "--hashlimit-htable-max", "--hashlimit-htable-gcinterval", "--hashlimit-srcmask", "--hashlimit-dstmask", "--connlimit-upto", "--connlimit-mask",
	"--connlimit-saddr", "--connlimit-daddr", "--validmark", "--loose", "--accept-local", "--limit-iface-in", "--limit-iface-out",
}

// option reads a condition.
func (o *option) option(name string, args []string, not bool) {
	arg := ""
	if len(args) > 0 {
		arg = args[0]
	}
	words := func(key string, list ...string) {
		c := cond{keys: []string{key}, not: not}
		for _, w := range list {
			c.rows = append(c.rows, []value{{word: strings.ToLower(fleet.Clean(w))}})
		}
		o.when(c)
	}
	switch name {
	case "-m", "--match":
		if arg == "socket" || arg == "set" || arg == "recent" || arg == "bpf" || arg == "u32" || arg == "string" || arg == "time" || arg == "statistic" {
			o.when(vague)
		}
	case "-i":
		o.when(cond{keys: []string{"iifname"}, not: not, rows: [][]value{{{word: fleet.Clean(arg)}}}})
	case "-o":
		o.when(cond{keys: []string{"oifname"}, not: not, rows: [][]value{{{word: fleet.Clean(arg)}}}})
	case "-s", "-d", "--src-range", "--dst-range":
		o.addresses(name, arg, not)
	case "-p":
		o.proto = arg
		if n, ok := number(arg); ok {
			o.when(cond{keys: []string{"l4proto"}, not: not, rows: [][]value{{{lo: n, hi: n, number: true}}}})
		} else if arg != "all" {
			words("l4proto", arg)
		}
	case "--dport", "--dports", "--sport", "--sports":
		o.ports(name, arg, not)
	case "--ports":
		o.when(vague)
	case "--ctstate", "--state":
		words("ct.state", strings.Split(arg, ",")...)
	case "--ctdir":
		words("ct.direction", arg)
	case "--dst-type":
		words("fib.type", strings.Split(arg, ",")...)
	case "--pkt-type":
		words("pkttype", strings.ReplaceAll(arg, "unicast", "host"))
	case "--mark":
		o.mark(arg, not)
	case "--syn":
		words("tcp.flags", "syn")
	case "--tcp-flags":
		o.flags(args, not)
	case "--icmp-type", "--icmpv6-type":
		o.when(cond{keys: []string{"icmp.type"}})
	case "--hashlimit-above", "--connlimit-above", "--invert": // more than so many, or no way back: not one alone
		if !not {
			o.when(never)
		}
	default:
		if !slices.Contains(idle, name) || not {
			o.when(vague)
		}
	}
}

func (o *option) when(c cond) { o.rule.when = append(o.rule.when, c) }

func (o *option) addresses(name, arg string, not bool) {
	key := o.family + ".saddr"
	if name == "-d" || name == "--dst-range" {
		key = o.family + ".daddr"
	}
	var at span
	lo, hi, isRange := strings.Cut(arg, "-")
	from, err := netip.ParseAddr(lo)
	to, errTo := netip.ParseAddr(hi)
	if p, ok := maskedPrefix(arg); ok {
		at = spanOf(p)
	} else if isRange && err == nil && errTo == nil {
		at = span{from, to}
	} else {
		o.when(vague)
		return
	}
	o.when(cond{keys: []string{key}, not: not, rows: [][]value{{{addr: at}}}})
}

// maskedPrefix reads "10.0.0.0/8", "10.0.0.0/255.0.0.0" and "10.0.0.1".
func maskedPrefix(s string) (netip.Prefix, bool) {
	addr, mask, masked := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := a.BitLen()
	if masked {
		n, err := strconv.Atoi(mask)
		if err != nil {
			m, isAddr := netip.ParseAddr(mask)
			if isAddr != nil {
				return netip.Prefix{}, false
			}
			if n = ones(m); n < 0 {
				return netip.Prefix{}, false
			}
		}
		bits = n
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// ones counts the ones at the start of a mask; -1 where others follow.
func ones(m netip.Addr) int {
	n, over := 0, false
	for _, b := range m.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			one := b>>bit&1 == 1
			if one && over {
				return -1
			}
			if over = !one; one {
				n++
			}
		}
	}
	return n
}

// ports reads "22", "80,443", "8000:8010".
func (o *option) ports(name, arg string, not bool) {
	key := "th.dport"
	if strings.HasPrefix(name, "--s") {
		key = "th.sport"
	}
	if o.proto == "tcp" || o.proto == "udp" {
		key = o.proto + key[2:]
	}
	c := cond{keys: []string{key}, not: not}
	for part := range strings.SplitSeq(arg, ",") {
		lo, hi, isRange := strings.Cut(part, ":")
		if !isRange {
			hi = lo
		}
		if lo == "" {
			lo = "0"
		}
		if hi == "" {
			hi = "65535"
		}
		from, okLo := number(lo)
		to, okHi := number(hi)
		if !okLo || !okHi {
			o.when(vague)
			return
		}
		c.rows = append(c.rows, []value{{lo: from, hi: to, number: true}})
	}
	o.when(c)
}

// mark reads "0x40000/0xff0000".
func (o *option) mark(arg string, not bool) {
	v, mask, _ := strings.Cut(arg, "/")
	n, ok := number(v)
	m := n
	if mask != "" {
		if m, ok = number(mask); !ok {
			o.when(vague)
			return
		}
	}
	if !ok {
		o.when(vague)
		return
	}
	c := cond{keys: []string{"mark"}, not: not, rows: [][]value{{{lo: n, hi: n, number: true}}}}
	if m != n {
		c.mask = []value{{lo: m, hi: m, number: true}}
	}
	o.when(c)
}

func (o *option) flags(args []string, not bool) {
	if len(args) != 2 {
		o.when(vague)
		return
	}
	all := func(s string) string {
		s = strings.ToLower(fleet.Clean(s))
		switch s {
		case "none":
			return ""
		case "all":
			return "fin,syn,rst,psh,ack,urg"
		}
		return s
	}
	o.when(cond{keys: []string{"tcp.flags"}, not: not, mask: []value{{word: all(args[0])}}, rows: [][]value{{{word: all(args[1])}}}})
}

// target reads what is done, with the options behind it.
func (o *option) target(isGoto bool, name string, rest []string) {
	name = fleet.Clean(name)
	a := &o.rule.act
	switch {
	case name == "ACCEPT":
		a.act = actAccept
	case name == "DROP" || name == "REJECT":
		a.act = actDrop
	case name == "RETURN":
		a.act = actReturn
	case name == "DNAT" || name == "REDIRECT":
		o.send(name, rest)
	case name == "MARK" || name == "CONNMARK":
		o.s.marks = true
	case name == "NOTRACK" || name == "CT":
		o.s.untracked = o.s.untracked || name == "NOTRACK" || slices.Contains(rest, "--notrack")
	case slices.Contains(goOn, name):
	case o.s.chains[chainName{o.c.family, o.c.table, name}] != nil:
		a.act, a.chain = actJump, name
		if isGoto {
			a.act = actGoto
		}
	default:
		a.act = actUnknown
	}
}

func (o *option) send(name string, rest []string) {
	o.rule.act.act = actUnknown
	if len(rest) == 0 && name == "REDIRECT" { // to the same port of the host itself
		o.rule.act = action{act: actSend, to: []target{{}}}
		return
	}
	if len(rest) < 2 {
		return
	}
	var t target
	switch rest[0] {
	case "--to-destination":
		if ap, err := netip.ParseAddrPort(rest[1]); err == nil {
			t.addr, t.port = ap.Addr(), ap.Port()
		} else if a, err := netip.ParseAddr(strings.Trim(rest[1], "[]")); err == nil {
			t.addr = a
		} else {
			return
		}
	case "--to-ports":
		n, ok := number(rest[1])
		if !ok || n < 1 || n > 65535 {
			return
		}
		t.port = uint16(n)
	default:
		return
	}
	o.rule.act = action{act: actSend, to: []target{t}}
}

// splitWords cuts a line as iptables-save writes it: words with spaces are in quotes.
func splitWords(line string) (words []string, ok bool) {
	var b strings.Builder
	quoted, within := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quoted && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case c == '"':
			quoted, within = !quoted, true
		case c == ' ' && !quoted:
			if within {
				words = append(words, b.String())
			}
			b.Reset()
			within = false
		default:
			b.WriteByte(c)
			within = true
		}
	}
	if within {
		words = append(words, b.String())
	}
	return words, !quoted
}
