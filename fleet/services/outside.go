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

// private are the ends of names that no public name server knows.
var private = []string{".ts.net", ".local", ".lan", ".internal", ".home.arpa", ".localhost", ".home"}

func isPrivate(name string) bool {
	return !strings.Contains(name, ".") || slices.ContainsFunc(private, func(end string) bool { return strings.HasSuffix(strings.ToLower(name), end) })
}

// PrivateName tells whether no public name server knows of a name: it is not asked.
func PrivateName(name string) bool { return isPrivate(name) }

// dns asks what the public is told of the name.
func (w *walk) dns(ctx context.Context, h *fleet.Hop) {
	name := w.url.Hostname()
	switch {
	case net.ParseIP(name) != nil:
		w.addresses = []string{name}
		ok(h, "it is an address")
		return
	case isPrivate(name):
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
	case isPrivate(w.url.Hostname()):
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
		h.Cure = "set CLOUDFLARE_API_TOKEN, or token_file under [cloudflare] in config.toml (Zone:Read, DNS:Read, Cloudflare Tunnel:Read)"
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
func (w *walk) recorded(h *fleet.Hop, got CloudName, behind bool) {
	if len(got.Records) == 0 {
		if behind && got.Zone == "" {
			unsure(h, "the token sees no zone of the name")
			return
		}
		if behind {
			broken(h, "add a record for it at Cloudflare", "Cloudflare has no record of the name in %s", got.Zone)
			return
		}
		ok(h, "it has no record of the name")
		return
	}
	var texts, direct []string
	proxied := false
	for _, r := range got.Records {
		text := r.Type + " " + r.Content
		if proxied = proxied || r.Proxied; r.Proxied {
			text += " (proxied)"
		} else if r.Type == "A" || r.Type == "AAAA" {
			direct = append(direct, r.Content)
		}
		texts = append(texts, text)
	}
	h.What = fmt.Sprintf("zone %s: %s", got.Zone, strings.Join(texts, ", "))
	if t := got.Tunnel; t != nil {
		h.Seen = append(h.Seen, fmt.Sprintf("tunnel %s is %s", t.Name, t.Status))
		switch t.Status {
		case "down", "inactive":
			broken(h, "start cloudflared on the host of the tunnel", "its tunnel %s is %s", t.Name, t.Status)
			w.tunnelHost(h, *t)
			return
		case "degraded", "healthy":
		default:
			unsure(h, "its tunnel's state is %s", t.Status)
			return
		}
		w.tunnelHost(h, *t)
	}
	switch {
	case len(w.addresses) > 0 && proxied && !behind:
		broken(h, "wait for the old answer to expire, or look for another zone of the name", "public DNS has %s, which are none of Cloudflare's, though the record is proxied", strings.Join(w.addresses, ", "))
	case len(w.addresses) > 0 && !proxied && len(direct) > 0 && !slices.ContainsFunc(direct, func(a string) bool { return slices.Contains(w.addresses, a) }):
		broken(h, "wait for the old answer to expire, or look for another zone of the name", "public DNS has %s, Cloudflare's record %s", strings.Join(w.addresses, ", "), strings.Join(direct, ", "))
	default:
		h.State = fleet.HealthOK
	}
	if proxied { // behind the proxy it is the record that leads to the host
		w.addresses = nil
		for _, r := range got.Records {
			w.addresses = append(w.addresses, r.Content)
		}
	}
}

// tunnelHost finds the host that runs the tunnel's cloudflared.
func (w *walk) tunnelHost(h *fleet.Hop, t CloudTunnel) {
	for _, st := range w.Snap.Hosts {
		for _, u := range st.Units.Value {
			if u.Name == "cloudflared-tunnel-"+t.ID+".service" || u.Name == "cloudflared-tunnel-"+t.Name+".service" {
				w.at(h, st)
				if h.State == fleet.HealthBroken {
					verb := "restart"
					if u.Active != "active" {
						verb = "start"
					}
					restart(h, verb, st.Host.Name, u.Name)
				}
				h.Seen = append(h.Seen, u.Name+" on "+st.Host.Name+" is "+u.Active)
				return
			}
		}
	}
}
