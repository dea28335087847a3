package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// Outside is what is asked of others than hosts, from this machine.
type Outside struct {
	// Lookup asks a public name server for the addresses of a name, and the name
	// it stands for (itself where it stands for none).
	Lookup func(ctx context.Context, name string) (addresses []string, canonical string, err error)
	Server string // that name server, for people
	Cloud  *Cloud // nil: there is no token
}

// maxAddresses is how many addresses of a name are looked at.
const maxAddresses = 50

// PublicDNS asks one name server, and not the one of this machine: that may have
// other answers for the people at home.
func PublicDNS(server string) func(context.Context, string) ([]string, string, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "53")
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, network, server)
	}}
	return func(ctx context.Context, name string) ([]string, string, error) {
		ctx, cancel := context.WithTimeout(ctx, hopTime)
		defer cancel()
		name = strings.TrimSuffix(name, ".") + "."
		addresses, err := r.LookupHost(ctx, name)
		if err != nil {
			return nil, "", err
		}
		canonical, err := r.LookupCNAME(ctx, name)
		return addresses[:min(len(addresses), maxAddresses)], canonical, err
	}
}

// dns asks what the public is told of the name.
func (w *walk) dns(ctx context.Context, h *fleet.Hop) {
	name := w.url.Hostname()
	switch {
	case net.ParseIP(name) != nil:
		w.addresses = []string{name}
		ok(h, "it is an address")
		return
	case fleet.PrivateName(name):
		ok(h, "%s is no public name", name)
		return
	case w.Out.Lookup == nil:
		unsure(h, "no public name server is asked")
		return
	}
	addresses, canonical, err := w.Out.Lookup(ctx, name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		broken(h, "add a record for it where its zone is kept", "public DNS (%s) does not know the name", w.Out.Server)
	case err != nil:
		unsure(h, "public DNS (%s) does not answer: %s", w.Out.Server, word(err.Error()))
	default:
		w.addresses = words(addresses)
		ok(h, "%s → %s", name, strings.Join(w.addresses[:min(len(w.addresses), 4)], ", "))
		if c := strings.TrimSuffix(canonical, "."); c != "" && !strings.EqualFold(c, name) {
			h.Seen = append(h.Seen, "it stands for "+word(c))
		}
	}
}

// cloudflare tells whether Cloudflare stands before, and how it has the name.
func (w *walk) cloudflare(ctx context.Context, h *fleet.Hop) {
	behind := slices.ContainsFunc(w.addresses, OfCloudflare)
	switch {
	case fleet.PrivateName(w.url.Hostname()):
		ok(h, "not before it")
		return
	case w.Out.Cloud == nil && len(w.addresses) > 0 && !behind:
		ok(h, "not before it: the address is none of Cloudflare's")
		return
	case w.Out.Cloud == nil:
		if behind {
			h.What = "it stands before: the address is Cloudflare's"
		}
		unsure(h, "not asked: no token")
		h.Cure = cureNoToken
		return
	}
	got, err := w.Out.Cloud.Look(ctx, w.url.Hostname())
	if err != nil {
		unsure(h, "Cloudflare: %s", err)
		h.Cure = fleet.Cure(err)
		return
	}
	w.recorded(h, got, behind)
}

// recorded judges what Cloudflare has of the name against what the public is told.
func (w *walk) recorded(h *fleet.Hop, got fleet.CloudName, behind bool) {
	if len(got.Records) == 0 && !behind {
		ok(h, "it has no record of the name")
		return
	}
	var texts []string
	proxied := false
	for _, r := range got.Records {
		text := r.Type + " " + r.Content
		if proxied = proxied || r.Proxied; r.Proxied {
			text += " (proxied)"
		}
		texts = append(texts, text)
	}
	if len(texts) > 0 {
		h.What = fmt.Sprintf("zone %s: %s", got.Zone, strings.Join(texts, ", "))
	}
	n := fleet.PublicName{Addresses: w.addresses, Behind: behind, CloudName: got, Asked: true}
	switch state, why, cure := n.Judge(); state {
	case fleet.HealthBroken:
		broken(h, cure, "%s", why)
	case fleet.HealthUnknown:
		unsure(h, "%s", why)
	default:
		h.State = fleet.HealthOK
	}
	if got.Tunnel != nil {
		h.Seen = append(h.Seen, fmt.Sprintf("tunnel %s is %s", got.Tunnel.Name, got.Tunnel.Status))
		w.tunnelHost(h, *got.Tunnel)
	}
	if proxied { // behind the proxy it is the record that leads to the host
		w.addresses = nil
		for _, r := range got.Records {
			w.addresses = append(w.addresses, r.Content)
		}
	}
}

// tunnelHost tells of the host that runs the tunnel's cloudflared.
func (w *walk) tunnelHost(h *fleet.Hop, t fleet.CloudTunnel) {
	st, u, found := w.Snap.TunnelHost(t)
	if !found {
		return
	}
	w.at(h, st)
	if h.State == fleet.HealthBroken && t.Down() {
		verb := "restart"
		if u.Active != "active" {
			verb = "start"
		}
		restart(h, verb, st.Host.Name, u.Name)
	}
	h.Seen = append(h.Seen, u.Name+" on "+st.Host.Name+" is "+u.Active)
}
