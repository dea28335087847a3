package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
)

// ruleset is what decides over packets on a host, from nft and iptables alike.
type ruleset struct {
	chains    map[chainName]*chain
	bases     []*chain                // those that packets come to by themselves, in their order; see settle
	sets      map[chainName][][]value // what is in named sets, as far as it was asked
	wanted    []chainName             // the named sets that rules look into
	marks     bool                    // some rule sets a mark: then what rules ask of marks is not known
	untracked bool                    // likewise of tracking
	rules     int
	blind     string // why what it lets through may be stopped by what could not be read; "" nothing
	unread    []string
	steps     int // how many rules were gone through
}

// chainName names a chain or a set: family, table, name.
type chainName struct{ family, table, name string }

type chain struct {
	chainName
	kind, hook, policy string
	devs               []string // of ingress: the links; none: older nft does not tell them
	prio               int
	rules              []rule
}

// rule is what is done with the packets for which all conditions hold.
type rule struct {
	when []cond
	act  action
	text string // as people know it
}

// kinds of actions.
type act int

const (
	actNone act = iota
	actAccept
	actDrop
	actReturn
	actJump
	actGoto
	actSend    // to another address or port
	actUnknown // it is not known what it does
)

type action struct {
	act   act
	chain string
	to    []target // of actSend: the first whose port fits
}

// target is where packets are sent on to. Of a map of ports: which one it is for.
type target struct {
	proto string // "" any
	from  uint16 // 0 any
	addr  netip.Addr
	port  uint16 // 0: as it was
}

// Bounds against rule sets that are made to keep us busy.
const (
	maxDepth = 32      // of jumps; the kernel allows 16
	maxSteps = 200_000 // of one packet
	allSteps = 20_000_000
)

func newRuleset() *ruleset {
	return &ruleset{chains: map[chainName]*chain{}, sets: map[chainName][][]value{}}
}

// outcome is a way a chain may end, and by which rule.
type outcome struct {
	act  act
	to   target
	text string
}

// walk is one packet on its way through a chain and what it jumps to.
type walk struct {
	s       *ruleset
	p       packet
	left    int
	outs    []outcome
	perhaps string // the first rule of which it is not known whether it holds
	some    int    // how many jumps deep it is about some of the sources only
}

// through takes the packet through a chain; ended tells whether it surely does not
// come back from it.
func (w *walk) through(c *chain, via string, depth int) (ended bool) {
	if depth > maxDepth {
		w.add(outcome{act: actUnknown, text: "chains that lead to each other"})
		return true
	}
	sure := true // the packet surely comes to this rule
	for i := range c.rules {
		if w.left--; w.left < 0 {
			w.add(outcome{act: actUnknown, text: "more rules than Sextant goes through"})
			return true
		}
		r := &c.rules[i]
		holds := w.s.all(r.when, &w.p)
		if holds == no {
			continue
		}
		some := holds == maybe && w.s.ofSome(r.when, &w.p)
		before := len(w.outs)
		if some {
			w.some++
		}
		over, back := w.do(c, r, via, depth)
		if some {
			w.some--
		}
		if holds == maybe && w.perhaps == "" && (back || len(w.outs) > before) {
			w.perhaps = r.text
		}
		if over && holds == yes {
			return sure && !back
		}
		if back && holds == maybe {
			sure = false
		}
	}
	return false
}

// do does what a rule says. Over: the packet goes no further in this chain; back: it
// goes back to where this one was called from.
func (w *walk) do(c *chain, r *rule, via string, depth int) (over, back bool) {
	text := r.text
	if len(r.when) == 0 && via != "" {
		text = via // "accept" alone says nothing: why one came here does
	}
	switch r.act.act {
	case actAccept, actDrop, actUnknown:
		w.add(outcome{act: r.act.act, text: text})
		return true, false
	case actSend:
		to, ok := w.target(r.act.to)
		if !ok {
			return false, false
		}
		w.add(outcome{act: actSend, to: to, text: text})
		return true, false
	case actReturn:
		return true, true
	case actJump, actGoto:
		next := w.s.chains[chainName{c.family, c.table, r.act.chain}]
		if next == nil {
			w.add(outcome{act: actUnknown, text: "a chain that is not told: " + r.act.chain})
			return true, false
		}
		ended := w.through(next, text, depth+1)
		if r.act.act == actGoto {
			return true, !ended
		}
		return ended, false
	}
	return false, false
}

// target is where the packet is sent by one of several targets.
func (w *walk) target(all []target) (target, bool) {
	for _, t := range all {
		if (t.proto == "" || t.proto == w.p.proto) && (t.from == 0 || t.from == w.p.port) {
			return t, true
		}
	}
	return target{}, false
}

// add notes how the packet may end. That some of those who may come are refused says
// nothing of the others: a list of who is blocked closes no door.
func (w *walk) add(o outcome) {
	if w.some == 0 || o.act != actDrop {
		w.outs = append(w.outs, o)
	}
}

// base takes a packet through a base chain, and gives how it may end. The policy is
// among that where no rule surely ends it.
func (s *ruleset) base(c *chain, p packet) *walk {
	w := &walk{s: s, p: p, left: min(maxSteps, allSteps-s.steps)}
	if !w.through(c, "", 0) {
		o := outcome{act: actAccept}
		if c.policy == "drop" {
			o = outcome{act: actDrop, text: fmt.Sprintf("policy drop of chain %s in table %s %s", c.name, c.family, c.table)}
		}
		w.add(o)
	}
	s.steps += min(maxSteps, allSteps-s.steps) - w.left
	return w
}

// settle puts the base chains in their order, when all are read.
func (s *ruleset) settle() {
	s.bases = nil
	for _, c := range s.chains {
		if c.hook != "" {
			s.bases = append(s.bases, c)
		}
	}
	slices.SortFunc(s.bases, func(a, b *chain) int {
		return cmp.Or(cmp.Compare(a.prio, b.prio), cmp.Compare(a.family, b.family), cmp.Compare(a.table, b.table), cmp.Compare(a.name, b.name))
	})
}

// hooked are the base chains that a packet goes through at a hook, in their order.
func (s *ruleset) hooked(kind, hook string, p packet) []*chain {
	var out []*chain
	for _, c := range s.bases {
		if c.hook == hook && c.kind == kind && (len(c.devs) == 0 || slices.Contains(c.devs, p.iif)) && (c.family == p.family || c.family == "inet" || c.family == "netdev") {
			out = append(out, c)
		}
	}
	return out
}

// pass tells whether a packet passes the filters at hooks. Every one has to let it.
func (s *ruleset) pass(p packet, hooks ...string) fleet.Door {
	d := fleet.Door{State: fleet.Passes}
	for _, hook := range hooks {
		for _, c := range s.hooked("filter", hook, p) {
			w := s.base(c, p)
			accepted, stopped, unknown := "", "", ""
			yes, no := false, false
			for _, o := range w.outs {
				switch o.act {
				case actDrop:
					no, stopped = true, cmp.Or(stopped, o.text)
					if hook == "ingress" && len(c.devs) == 0 { // perhaps of another link
						yes, unknown = true, o.text
					}
				case actUnknown:
					yes, no, unknown = true, true, cmp.Or(unknown, o.text)
				default:
					yes, accepted = true, o.text // the last is the one that surely holds
				}
			}
			switch {
			case no && !yes:
				return fleet.Door{State: fleet.Stopped, Why: stopped}
			case no && d.State == fleet.Passes:
				d = fleet.Door{State: fleet.PassesUnknown, Why: cmp.Or(w.perhaps, unknown)}
			case d.State == fleet.Passes && accepted != "":
				d.Why = accepted
			}
		}
	}
	return d
}

// sent is where a packet is sent on to before it is routed. Surely tells whether that
// is so of every such packet; why is the rule.
func (s *ruleset) sent(p packet) (to *target, surely bool, why string) {
	for _, c := range s.hooked("nat", "prerouting", p) {
		w := s.base(c, p)
		first := w.outs[0]
		if len(w.outs) == 1 {
			switch first.act {
			case actSend:
				return &first.to, true, first.text
			case actDrop, actUnknown:
				return nil, false, first.text
			}
			continue
		}
		for _, o := range w.outs {
			switch o.act {
			case actSend:
				return &o.to, false, o.text
			case actUnknown:
				return nil, false, cmp.Or(w.perhaps, o.text)
			}
		}
	}
	return nil, true, ""
}
