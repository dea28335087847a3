package discover

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tailscale.com/ipn/ipnstate"
	"tailscale.com/tailcfg"

	"github.com/sextant-fleet/sextant/fleet"
)

// fromStatus makes sightings of what tailscaled says of its tailnet, by name.
func fromStatus(st *ipnstate.Status, now time.Time, serviceTags []string) []Sighting {
	r := statusReader{status: st, now: now, serviceTags: serviceTags}
	if t := st.CurrentTailnet; t != nil {
		r.suffix = t.MagicDNSSuffix
	}
	var list []Sighting
	if st.Self != nil {
		self := r.sighting(st.Self)
		self.Local = true
		self.Presence.Value.Online = true // it says so of itself late
		list = append(list, self)
	}
	for _, p := range st.Peer {
		if p != nil {
			list = append(list, r.sighting(p))
		}
	}
	slices.SortFunc(list, func(a, b Sighting) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.NodeID, b.NodeID))
	})
	return list
}

type statusReader struct {
	status      *ipnstate.Status
	suffix      string
	now         time.Time
	serviceTags []string
}

func (r statusReader) sighting(p *ipnstate.PeerStatus) Sighting {
	short, full := tailnetName(p.DNSName, r.suffix, p.HostName)
	s := Sighting{
		Source: SourceTailscale, Name: short, HostName: clean(p.HostName), NodeID: clean(string(p.ID)),
		OS: clean(p.OS), TailscaleOK: len(p.SSH_HostKeys) > 0,
		Presence: fleet.Known(presence(p), r.now, "tailscaled"), Joined: p.Created,
	}
	if full != short {
		s.Aliases = []string{full}
	}
	for _, k := range p.SSH_HostKeys {
		s.HostKeys = add(s.HostKeys, hostKey(fleet.Clean(k)))
	}
	for _, ip := range p.TailscaleIPs {
		if ip.IsValid() {
			s.Addresses = append(s.Addresses, fleet.Address{Via: fleet.ViaTailnet, Host: ip.String()})
		}
	}
	if p.Tags != nil {
		s.Tags = tagNames(p.Tags.AsSlice())
	}
	n := node{
		name: short, os: s.OS, tags: s.Tags, exit: p.ExitNodeOption, ssh: s.TailscaleOK,
		mullvad: strings.HasSuffix(full, ".mullvad.ts.net"), foreign: r.foreign(p, full),
	}
	s.NotHost, s.Guess = n.notHost(r.serviceTags)
	s.Node, s.Tailnet = r.nodeOf(p, s, n.foreign != ""), canon(clean(r.suffix))
	return s
}

// foreign says whose a node is that is not of this tailnet.
func (r statusReader) foreign(p *ipnstate.PeerStatus, full string) string {
	switch {
	case p == r.status.Self:
		return ""
	case p.ShareeNode:
		return "of somebody a machine here is shared with"
	case p.AltSharerUserID != 0:
		return "shared in" + r.by(p.AltSharerUserID)
	case r.suffix != "" && full != "" && !strings.HasSuffix(full, "."+canon(r.suffix)) && strings.Contains(full, "."):
		return "shared in from another tailnet"
	}
	return ""
}

func (r statusReader) by(id tailcfg.UserID) string {
	if u, ok := r.status.User[id]; ok && u.LoginName != "" {
		return " by " + clean(u.LoginName)
	}
	return ""
}

// presence is what the tailnet knows of a node without asking it.
func presence(p *ipnstate.PeerStatus) fleet.Presence {
	out := fleet.Presence{Online: p.Online, Expired: p.Expired, Relay: clean(p.Relay)}
	if !p.Online {
		out.LastSeen = p.LastSeen
	}
	if p.KeyExpiry != nil {
		out.KeyExpiry = *p.KeyExpiry
	}
	switch {
	case p.CurAddr != "":
		out.Path = "direct"
	case p.Active && (p.Relay != "" || p.PeerRelay != ""):
		out.Path = "relay"
	}
	return out
}
