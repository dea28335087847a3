package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	maxRecords = 2000 // of a zone
)

// cureToken is what makes Cloudflare answer.
const (
	cureToken   = "give a token with Zone:Read, DNS:Read and Cloudflare Tunnel:Read"
	cureNoToken = "set CLOUDFLARE_API_TOKEN, or token_file under [cloudflare] in config.toml (Zone:Read, DNS:Read, Cloudflare Tunnel:Read)"
)

// Token is a secret that no print shows.
type Token string

// String hides it.
func (Token) String() string { return "(token)" }

// GoString hides it.
func (Token) GoString() string { return "(token)" }

// Cloud asks Cloudflare's API, only to read.
type Cloud struct {
	Token Token
	Base  string // "": CloudflareAPI
	// Dial connects to it; nil: from this machine.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// here is this machine, as far as a client needs it.
type here struct {
	link.Link
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial dials from here.
func (h here) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dial(ctx, network, address)
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
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return web.New(here{dial: dial}, web.Address{Network: "tcp", At: at, URL: u.Scheme + "://" + u.Host}, web.Limits{Time: cloudTime, Body: cloudBody}), u.Path, nil
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

// pages reads all pages of a list.
func pages[T any](ctx context.Context, c Cloud, cl *web.Client, path string, q url.Values, size int) (all []T, err error) {
	q = maps.Clone(q)
	q.Set("per_page", strconv.Itoa(size))
	for page, last := 1, 1; page <= min(last, cloudPages); page++ {
		var some []T
		q.Set("page", strconv.Itoa(page))
		if last, err = c.get(ctx, cl, path, q, &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// zoneOf is the zone of a name: the longest that it ends with.
func zoneOf(name string, zones []cloudZone) (best cloudZone) {
	for _, z := range zones {
		if (strings.EqualFold(z.Name, name) || strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(z.Name))) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	return best
}

// wildcard is the name of the record that stands for a name.
func wildcard(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return "*." + rest
}

// Look reads what Cloudflare has of a name: its records, or those of the wildcard
// that stands for it, and the tunnel that they lead to.
func (c Cloud) Look(ctx context.Context, name string) (fleet.CloudName, error) {
	cl, base, err := c.client()
	if err != nil {
		return fleet.CloudName{}, err
	}
	defer cl.Close()
	zones, err := pages[cloudZone](ctx, c, cl, base+"/zones", url.Values{}, 50)
	z := zoneOf(name, zones)
	if err != nil || z.ID == "" {
		return fleet.CloudName{}, err
	}
	out := fleet.CloudName{Zone: word(z.Name)}
	for _, n := range []string{name, wildcard(name)} {
		if _, err := c.get(ctx, cl, base+"/zones/"+url.PathEscape(z.ID)+"/dns_records", url.Values{"name": {n}, "per_page": {"100"}}, &out.Records); err != nil {
			return fleet.CloudName{}, err
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
func clean(list []fleet.CloudRecord) []fleet.CloudRecord {
	var out []fleet.CloudRecord
	for _, r := range list[:min(len(list), maxRecords)] {
		if r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" {
			out = append(out, fleet.CloudRecord{Name: word(r.Name), Type: r.Type, Content: word(r.Content), Proxied: r.Proxied})
		}
	}
	return out
}

// tunnel reads how a tunnel is.
func (c Cloud) tunnel(ctx context.Context, cl *web.Client, base, account, id string) (*fleet.CloudTunnel, error) {
	var t fleet.CloudTunnel
	if _, err := c.get(ctx, cl, base+"/accounts/"+url.PathEscape(account)+"/cfd_tunnel/"+url.PathEscape(id), nil, &t); err != nil {
		return nil, fmt.Errorf("tunnel %s: %w", id, err)
	}
	return &fleet.CloudTunnel{ID: word(t.ID), Name: word(t.Name), Status: word(t.Status)}, nil
}
