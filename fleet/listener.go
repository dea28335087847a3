package fleet

import (
	"slices"
	"strings"
	"time"
)

// Listener is an address of a host at which a process takes connections or
// datagrams.
type Listener struct {
	Proto     string `json:"proto"`             // tcp, udp
	Address   string `json:"address"`           // "0.0.0.0", "::", "*" for both, "127.0.0.1"
	Device    string `json:"device,omitempty"`  // the interface it is bound to, where it is
	Port      uint16 `json:"port"`              //
	Process   string `json:"process,omitempty"` // its name; "" not told
	PID       int    `json:"pid,omitempty"`     //
	Unit      string `json:"unit,omitempty"`    // the systemd unit it runs in
	Scope     string `json:"scope,omitempty"`   // the scope it runs in, where it is in no unit: of a session, an app, a machine
	User      string `json:"user,omitempty"`    // whose systemd or session that is, as a number; "" the system's
	Container string `json:"container,omitempty"`
}

// Loopback tells whether only the host itself reaches it.
func (l Listener) Loopback() bool { return loopback(l.Address) }

func loopback(addr string) bool { return addr == "::1" || strings.HasPrefix(addr, "127.") }

// takes tells whether what is sent to an address of the host arrives there.
func (l Listener) takes(addr string) bool {
	switch l.Address {
	case "*":
		return true
	case "0.0.0.0":
		return !strings.Contains(addr, ":")
	case "::": // what has no socket of its own for IPv4 is sent there by Linux, unless told otherwise
		return true
	}
	return strings.EqualFold(l.Address, addr)
}

// ListenerAt gives who takes what is sent to an address of the host: one that is
// bound to that address alone before one that takes all.
func (s State) ListenerAt(proto, addr string, port uint16) (Listener, bool) {
	if addr == "localhost" {
		addr = "127.0.0.1"
	}
	best, found := Listener{}, false
	for _, l := range s.Listens.Value {
		if l.Proto != proto || l.Port != port || !l.takes(addr) {
			continue
		}
		if !found || strings.EqualFold(l.Address, addr) {
			best, found = l, true
		}
	}
	return best, found
}

// Left is a listener that was there at an earlier reading and is not any more.
type Left struct {
	Listener
	Seen time.Time `json:"seen"` // when it was last there
}

// maxLeft is how many of them are known of a host.
const maxLeft = 200

// TakeListens takes in a newer reading of who listens, and keeps who has left: what
// does not run does not tell any more where it listened.
func (s *State) TakeListens(f Fact[[]Listener]) {
	old := s.Listens
	s.Listens = s.Listens.Refresh(f)
	if !s.Listens.Current() {
		return
	}
	there := func(l Listener) bool {
		return slices.ContainsFunc(s.Listens.Value, func(n Listener) bool { return n.Proto == l.Proto && n.Port == l.Port && n.Address == l.Address })
	}
	left := slices.DeleteFunc(slices.Clone(s.Left), func(l Left) bool { return there(l.Listener) })
	for _, l := range old.Value {
		known := slices.ContainsFunc(left, func(o Left) bool { return o.Proto == l.Proto && o.Port == l.Port && o.Address == l.Address })
		if l.Unit != "" && !there(l) && !known {
			left = append(left, Left{l, old.At})
		}
	}
	s.Left = left[max(0, len(left)-maxLeft):]
}

// LeftAt is who took what was sent to an address of the host, when somebody last did.
func (s State) LeftAt(proto, addr string, port uint16) (Left, bool) {
	for _, l := range slices.Backward(s.Left) {
		if l.Proto == proto && l.Port == port && l.takes(addr) {
			return l, true
		}
	}
	return Left{}, false
}

// ListensOf are the listeners of a unit; user is whose it is, "" the system's.
func (s State) ListensOf(unit, user string) []Listener {
	var out []Listener
	for _, l := range s.Listens.Value {
		if l.Unit == unit && l.User == user {
			out = append(out, l)
		}
	}
	return out
}
