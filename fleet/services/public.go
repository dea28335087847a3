package services

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Bounds of asking the public.
const (
	maxPublicNames = 300
	publicAtOnce   = 8
	publicTime     = 10 * time.Second // public DNS, all names
	cloudAllTime   = 30 * time.Second // Cloudflare, everything
)

// Public asks public DNS of names and, where there is a token, Cloudflare for all that
// the token sees. What was not told is said in the answer.
func (o Outside) Public(ctx context.Context, names []string) fleet.Public {
	p := fleet.Public{Server: o.Server, Cloud: "not asked: no token", Cure: cureNoToken}
	var records []fleet.CloudRecord
	if o.Cloud != nil {
		var err error
		if records, p.Tunnels, p.Zones, err = o.Cloud.All(ctx); err != nil {
			p.Cloud, p.Cure = err.Error(), fleet.Cure(err)
		} else {
			p.Cloud, p.Cure = "", ""
		}
	}
	for _, r := range records { // what leads through a tunnel, though no site that is known has the name
		if tunnelOf(r, p.Tunnels) != nil && !strings.Contains(r.Name, "*") && !slices.Contains(names, strings.ToLower(r.Name)) {
			names = append(names, strings.ToLower(r.Name))
		}
	}
	p.Names = o.Names(ctx, names)
	for i := range p.Names {
		if n := &p.Names[i]; p.Cloud == "" {
			n.Asked, n.CloudName = true, nameIn(n.Name, records, p.Tunnels, p.Zones)
		}
	}
	return p
}

// Names asks public DNS of names, several at once. Those that it cannot know are left
// out, and so is what is beyond the first 300.
func (o Outside) Names(ctx context.Context, names []string) []fleet.PublicName {
	names = slices.DeleteFunc(slices.Clone(names), fleet.PrivateName)
	list := make([]fleet.PublicName, min(len(names), maxPublicNames))
	ctx, cancel := context.WithTimeoutCause(ctx, publicTime, errors.New("no answer in time"))
	defer cancel()
	slots := make(chan struct{}, publicAtOnce)
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[i] = o.lookupName(ctx, names[i])
		})
	}
	wg.Wait()
	return list
}

func (o Outside) lookupName(ctx context.Context, name string) fleet.PublicName {
	n := fleet.PublicName{Name: name}
	if o.Lookup == nil {
		n.Err = "no public name server is asked"
		return n
	}
	addresses, canonical, err := o.Lookup(ctx, name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
	case err != nil:
		n.Err = "public DNS does not answer: " + word(err.Error())
	default:
		n.Addresses = words(addresses)
		n.Behind = len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !OfCloudflare(a) })
		if c := strings.TrimSuffix(canonical, "."); c != "" && !strings.EqualFold(c, name) {
			n.Canonical = word(c)
		}
	}
	return n
}

// All reads every record that leads somewhere, every tunnel, and the zones.
func (c Cloud) All(ctx context.Context) (records []fleet.CloudRecord, tunnels []fleet.CloudTunnel, zones []string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cloudAllTime, errors.New("no answer in time"))
	defer cancel()
	cl, base, err := c.client()
	if err != nil {
		return nil, nil, nil, err
	}
	defer cl.Close()
	found, err := pages[cloudZone](ctx, c, cl, base+"/zones", url.Values{}, 50)
	if err != nil {
		return nil, nil, nil, err
	}
	var accounts []string
	for _, z := range found {
		zones = append(zones, word(z.Name))
		some, err := c.zoneRecords(ctx, cl, base, z)
		if err != nil {
			return nil, nil, nil, err
		}
		records = append(records, some...)
		if z.Account.ID != "" && !slices.Contains(accounts, z.Account.ID) {
			accounts = append(accounts, z.Account.ID)
		}
	}
	for _, id := range accounts {
		some, err := pages[fleet.CloudTunnel](ctx, c, cl, base+"/accounts/"+url.PathEscape(id)+"/cfd_tunnel", url.Values{"is_deleted": {"false"}}, 50)
		if err != nil {
			return nil, nil, nil, err
		}
		for _, t := range some {
			tunnels = append(tunnels, fleet.CloudTunnel{ID: word(t.ID), Name: word(t.Name), Status: word(t.Status)})
		}
	}
	return records, tunnels, zones, nil
}

// zoneRecords are the records of a zone that lead somewhere.
func (c Cloud) zoneRecords(ctx context.Context, cl *web.Client, base string, z cloudZone) ([]fleet.CloudRecord, error) {
	all, err := pages[fleet.CloudRecord](ctx, c, cl, base+"/zones/"+url.PathEscape(z.ID)+"/dns_records", url.Values{}, 100)
	return clean(all), err
}

// nameIn is what Cloudflare has of a name: its own records, or those of the wildcard
// that stands for it.
func nameIn(name string, records []fleet.CloudRecord, tunnels []fleet.CloudTunnel, zones []string) fleet.CloudName {
	var list []cloudZone
	for _, z := range zones {
		list = append(list, cloudZone{Name: z})
	}
	out := fleet.CloudName{Zone: zoneOf(name, list).Name}
	for _, n := range []string{name, wildcard(name)} {
		for _, r := range records {
			if strings.EqualFold(r.Name, n) {
				out.Records = append(out.Records, r)
				if t := tunnelOf(r, tunnels); t != nil {
					out.Tunnel = t
				}
			}
		}
		if len(out.Records) > 0 {
			break
		}
	}
	return out
}

// tunnelOf is the tunnel that a record leads to; nil: none, or one that the token does
// not see.
func tunnelOf(r fleet.CloudRecord, tunnels []fleet.CloudTunnel) *fleet.CloudTunnel {
	id, ok := strings.CutSuffix(r.Content, ".cfargotunnel.com")
	for _, t := range tunnels {
		if ok && t.ID == id {
			return &t
		}
	}
	return nil
}
