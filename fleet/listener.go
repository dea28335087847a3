package fleet

import "strings"

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
	User      string `json:"user,omitempty"`    // whose systemd that is, as a number; "" the system's
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
