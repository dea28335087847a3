package fleet

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// NetChange is something about the networks of a host that was another in the reading
// before. A host keeps no record of it: it is known as far as somebody looked.
type NetChange struct {
	At    time.Time `json:"at"` // of the reading that saw it; it was so for at most as long as the one before is older
	Level Level     `json:"level"`
	Text  string    `json:"text"`
}

// MaxNetChanges bounds the changes that are kept of a host, the newest.
const MaxNetChanges = 100

// TakeNetworking takes in a newer reading of the host's networks, and keeps what has
// changed since the one before.
func (s *State) TakeNetworking(f Fact[Networking]) {
	before := s.Networking
	s.Networking = s.Networking.Refresh(f)
	if !before.HasValue() || !f.Current() || !f.At.After(before.At) {
		return
	}
	if s.WAN == nil {
		s.WAN = before.Value.WAN().certain()
	}
	list := slices.Clone(s.NetChanges)
	for _, c := range slices.Concat(wanChanges(s.WAN, f.Value.WAN()), linkChanges(before.Value, f.Value), s.peerChanges(before, f)) {
		c.At = f.At
		list = append(list, c)
	}
	s.NetChanges = list[max(0, len(list)-MaxNetChanges):]
	if is := f.Value.WAN().certain(); is != nil {
		s.WAN = is
	}
}

// certain is the uplink where it is known whether it leads anywhere; nil: it is not. One
// without a gateway, such as PPP, is there for as long as its link is.
func (u Uplink) certain() *Uplink {
	if u.State == UplinkUnknown && (u.Link == "" || u.Gateway != "") {
		return nil
	}
	return &u
}

// lost tells of an uplink that is certain that it leads nowhere.
func (u Uplink) lost() bool { return u.State == UplinkDown || u.State == UplinkNone }

// wanChanges tell of the way to the internet: that it is lost, that it is back, that it
// is another, against how it was when that was last certain.
func wanChanges(was *Uplink, is Uplink) []NetChange {
	switch {
	case was == nil || is.certain() == nil, was.lost() && is.lost():
		return nil
	case is.lost():
		return []NetChange{{Level: Error, Text: "the WAN" + ofLink(cmp.Or(is.Link, was.Link)) + " is lost: " + cmp.Or(is.Why, "no reason is known")}}
	case was.lost():
		return []NetChange{{Level: Info, Text: "the WAN" + ofLink(is.Link) + " is back"}}
	case was.Link != is.Link || was.Gateway != is.Gateway:
		return []NetChange{{Level: Warn, Text: "the WAN goes by " + strings.TrimSpace(is.Link+" "+is.Gateway) + ", and not by " + strings.TrimSpace(was.Link+" "+was.Gateway)}}
	}
	return nil
}

func ofLink(link string) string {
	if link == "" {
		return ""
	}
	return " (" + link + ")"
}

// linkChanges tell of links that came, went, or lost what is at their other end, and of
// their IPv4 addresses. Those of IPv6 come and go by themselves, and so do the bridges
// of containers with these.
func linkChanges(before, now Networking) []NetChange {
	var list []NetChange
	for _, was := range before.Links {
		is, ok := now.Link(was.Name)
		switch {
		case was.Zone == ToContainers || is.Zone == ToContainers:
			continue
		case !ok && len(now.Cut) == 0:
			list = append(list, NetChange{Level: Warn, Text: was.Name + " is gone"})
			continue
		case !ok:
			continue // it may be among those that are not kept
		case was.State == LinkUp && is.State != LinkUp:
			list = append(list, NetChange{Level: Warn, Text: was.Name + " is " + string(is.State) + ", and was up"})
		case was.State != LinkUp && is.State == LinkUp:
			list = append(list, NetChange{Level: Info, Text: was.Name + " is up, and was " + string(was.State)})
		}
		if a, b := ipv4Of(was), ipv4Of(is); a != b {
			list = append(list, NetChange{Level: Info, Text: was.Name + " has the address " + cmp.Or(b, "none") + ", and had " + cmp.Or(a, "none")})
		}
	}
	for _, is := range now.Links {
		if _, ok := before.Link(is.Name); !ok && is.Zone != ToContainers && len(before.Cut) == 0 {
			list = append(list, NetChange{Level: Info, Text: is.Name + " is new"})
		}
	}
	return list
}

// ipv4Of are the IPv4 addresses of a link in one text.
func ipv4Of(l NetLink) string {
	var list []string
	for _, a := range l.Addresses {
		if a.Addr().Is4() {
			list = append(list, a.String())
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Ends of what is told of a peer.
const (
	peerSilent = " does not answer"
	peerBack   = " answers again"
)

// silent tells whether the last that was told of a peer is that it does not answer.
func (s *State) silent(who string) bool {
	for _, c := range slices.Backward(s.NetChanges) {
		switch c.Text {
		case who + peerSilent:
			return true
		case who + peerBack:
			return false
		}
	}
	return false
}

// peerChanges tell of peers of WireGuard that do not answer any more, or do again.
func (s *State) peerChanges(before, now Fact[Networking]) []NetChange {
	var list []NetChange
	for _, t := range now.Value.Tunnels {
		i := slices.IndexFunc(before.Value.Tunnels, func(o WGTunnel) bool { return o.Link == t.Link })
		if i < 0 {
			continue
		}
		for _, p := range t.Peers {
			j := slices.IndexFunc(before.Value.Tunnels[i].Peers, func(o WGPeer) bool { return o.Key == p.Key })
			if j < 0 {
				continue
			}
			who := t.Link + ": the peer " + cmp.Or(allowed(p.Allowed), p.Key)
			was := before.Value.Tunnels[i].Peers[j].Lost(before.At) || s.silent(who)
			heard := !p.Handshake.IsZero() && now.At.Sub(p.Handshake) <= handshakeLate
			switch {
			case p.Lost(now.At) && !was:
				list = append(list, NetChange{Level: Warn, Text: who + peerSilent})
			case was && heard:
				list = append(list, NetChange{Level: Info, Text: who + peerBack})
			}
		}
	}
	return list
}

// allowed is the first of the addresses that are a peer's.
func allowed(list []netip.Prefix) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].String()
}

// networkEvents are the changes of the host's networks that somebody saw.
func (s State) networkEvents() []Event {
	list := make([]Event, 0, len(s.NetChanges))
	for _, c := range s.NetChanges {
		list = append(list, Event{At: c.At, Kind: EventNetwork, Level: c.Level, Text: c.Text, Source: "seen by Sextant"})
	}
	return list
}
