package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// CloudflareAPI is where Cloudflare's API is: https://developers.cloudflare.com/api.
const CloudflareAPI = "https://api.cloudflare.com/client/v4"

// Bounds of asking Cloudflare.
const (
	cloudTime  = 8 * time.Second
	cloudBody  = 8 << 20
	cloudPages = 20
)

// cureToken is what makes Cloudflare answer.
const cureToken = "give a token with Zone:Read, DNS:Read and Cloudflare Tunnel:Read"

// Token is a secret that no print shows.
type Token string

// String hides it.
func (Token) String() string { return "(token)" }

// GoString hides it.
func (Token) GoString() string { return "(token)" }

// Cloud asks Cloudflare's API, only to read.
type Cloud struct {
	Token Token
	Base  string    // "": CloudflareAPI
	Link  link.Link // by which it is dialled; nil: from this machine
}

// CloudRecord is a DNS record that Cloudflare has.
type CloudRecord struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Content string `json:"content"`
	Proxied bool   `json:"proxied"`
}

// CloudTunnel is a tunnel to cloudflared on a host.
type CloudTunnel struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"` // healthy, degraded, down, inactive
}

// CloudName is what Cloudflare has of a name.
type CloudName struct {
	Zone    string        `json:"zone"` // "": the token sees no zone of it
	Records []CloudRecord `json:"records"`
	Tunnel  *CloudTunnel  `json:"tunnel,omitempty"` // to which the name leads
}

// here is this machine, as far as a client needs it.
type here struct{ link.Link }

// Dial dials from here.
func (here) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// envelope is around each answer.
type envelope struct {
	Success bool `json:"success"`
	Errors  []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
	Result json.RawMessage `json:"result"`
	Info   struct {
		Pages int `json:"total_pages"`
	} `json:"result_info"`
}

// client is one for the API, and the path under which it stands.
func (c Cloud) client() (*web.Client, string, error) {
	base := c.Base
	if base == "" {
		base = CloudflareAPI
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, "", errors.New("the address of its API in the configuration is none")
	}
	at := u.Host
	if u.Port() == "" {
		at = net.JoinHostPort(u.Hostname(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	var l link.Link = here{}
	if c.Link != nil {
		l = c.Link
	}
	return web.New(l, web.Address{Network: "tcp", At: at, URL: u.Scheme + "://" + u.Host}, web.Limits{Time: cloudTime, Body: cloudBody}), u.Path, nil
}

// get reads one page into a value, and tells how many there are.
func (c Cloud) get(ctx context.Context, cl *web.Client, path string, q url.Values, into any) (pages int, err error) {
	a, err := cl.Ask(ctx, web.Request{Path: path, Query: q, Header: map[string]string{"Authorization": "Bearer " + string(c.Token), "Accept": "application/json"}})
	if err != nil {
		return 0, err
	}
	if a.Status == 401 || a.Status == 403 {
		return 0, fleet.WithCure(fmt.Errorf("it refuses the token (HTTP %d)", a.Status), cureToken)
	}
	var e envelope
	if jsonErr := a.JSON(&e, "its answer"); jsonErr != nil {
		if err := a.Err(); err != nil {
			return 0, err
		}
		return 0, jsonErr
	}
	if !e.Success {
		if len(e.Errors) > 0 {
			return 0, fleet.WithCure(fmt.Errorf("%s (code %d)", word(e.Errors[0].Message), e.Errors[0].Code), cureToken)
		}
		return 0, errors.New("it answers without success and without saying why")
	}
	if err := json.Unmarshal(e.Result, into); err != nil {
		return 0, web.Unreadable("its answer", err)
	}
	return e.Info.Pages, nil
}

type cloudZone struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Account struct {
		ID string `json:"id"`
	} `json:"account"`
}

// zone finds the zone of a name among those that the token sees.
func (c Cloud) zone(ctx context.Context, cl *web.Client, base, name string) (best cloudZone, err error) {
	for page, pages := 1, 1; page <= min(pages, cloudPages); page++ {
		var zones []cloudZone
		pages, err = c.get(ctx, cl, base+"/zones", url.Values{"per_page": {"50"}, "page": {strconv.Itoa(page)}}, &zones)
		if err != nil {
			return best, err
		}
		for _, z := range zones {
			if (strings.EqualFold(z.Name, name) || strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(z.Name))) && len(z.Name) > len(best.Name) {
				best = z
			}
		}
	}
	return best, nil
}

// Look reads what Cloudflare has of a name: its records, or those of the wildcard
// that stands for it, and the tunnel that they lead to.
func (c Cloud) Look(ctx context.Context, name string) (CloudName, error) {
	cl, base, err := c.client()
	if err != nil {
		return CloudName{}, err
	}
	defer cl.Close()
	z, err := c.zone(ctx, cl, base, name)
	if err != nil || z.ID == "" {
		return CloudName{}, err
	}
	out := CloudName{Zone: word(z.Name)}
	_, rest, _ := strings.Cut(name, ".")
	for _, n := range []string{name, "*." + rest} {
		if _, err := c.get(ctx, cl, base+"/zones/"+url.PathEscape(z.ID)+"/dns_records", url.Values{"name": {n}, "per_page": {"100"}}, &out.Records); err != nil {
			return CloudName{}, err
		}
		if len(out.Records) > 0 {
			break
		}
	}
	out.Records = clean(out.Records)
	for _, r := range out.Records {
		if id, ok := strings.CutSuffix(r.Content, ".cfargotunnel.com"); ok {
			out.Tunnel, err = c.tunnel(ctx, cl, base, z.Account.ID, id)
			return out, err
		}
	}
	return out, nil
}

// clean leaves the records that lead somewhere, as they may be shown.
func clean(list []CloudRecord) []CloudRecord {
	var out []CloudRecord
	for _, r := range list[:min(len(list), maxAddresses)] {
		if r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" {
			out = append(out, CloudRecord{word(r.Name), r.Type, word(r.Content), r.Proxied})
		}
	}
	return out
}

// tunnel reads how a tunnel is.
func (c Cloud) tunnel(ctx context.Context, cl *web.Client, base, account, id string) (*CloudTunnel, error) {
	var t CloudTunnel
	if _, err := c.get(ctx, cl, base+"/accounts/"+url.PathEscape(account)+"/cfd_tunnel/"+url.PathEscape(id), nil, &t); err != nil {
		return nil, fmt.Errorf("tunnel %s: %w", id, err)
	}
	return &CloudTunnel{word(t.ID), word(t.Name), word(t.Status)}, nil
}
