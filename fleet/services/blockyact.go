package services

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Bounds of what is done with a Blocky.
const (
	changeTime = 8 * time.Second
	queryTime  = 8 * time.Second
)

// errNoAPI is why nothing can be done with a DNS server.
var errNoAPI = errors.New("its HTTP API was not reached")

// apiOf is the API of a server, where it answered when the host was read.
func apiOf(l link.Link, d fleet.DNSServer, limits web.Limits) (api, error) {
	if d.Address == "" || d.Err != "" {
		return api{}, fmt.Errorf("%w: %s", errNoAPI, cmp.Or(d.Err, "not asked yet"))
	}
	return apiAt(l, d.Address, limits), nil
}

// stillThere asks, over a connection of its own, whether a Blocky answers where one did
// when the host was read: nothing is changed at an address that has become another's.
func stillThere(ctx context.Context, l link.Link, d fleet.DNSServer) error {
	c, err := apiOf(l, d, blockyLimits)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, _, err := c.status(ctx); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return nil
}

// change sends a request that changes something, once, and gives how blocking stands
// then, as Blocky tells it. In Blocky such requests are GET: nothing may send one
// ahead or again.
func change(ctx context.Context, l link.Link, d fleet.DNSServer, path string, q url.Values) (fleet.Blocking, error) {
	if err := stillThere(ctx, l, d); err != nil {
		return fleet.Blocking{}, err
	}
	c, err := apiOf(l, d, web.Limits{Time: changeTime})
	if err != nil {
		return fleet.Blocking{}, err
	}
	defer c.Close()
	a, err := c.Ask(ctx, web.Request{Path: path, Query: q})
	switch {
	case errors.Is(err, web.ErrNone):
		return fleet.Blocking{}, fmt.Errorf("nothing was sent: %w", err)
	case err != nil:
		return fleet.Blocking{}, fmt.Errorf("it is not known whether that was done: %w", err)
	case a.Status == 400:
		return fleet.Blocking{}, errors.New("it refuses: " + cmp.Or(a.Text(200), "bad request"))
	case a.Err() != nil:
		return fleet.Blocking{}, a.Err()
	}
	b, _, err := c.blocking(ctx)
	if err != nil {
		return b, fmt.Errorf("it was asked to, and how blocking stands now is not known: %w", err)
	}
	return b, nil
}

// PauseBlocking turns blocking off for a time, of some groups of lists or, where none
// are named, of all.
func PauseBlocking(ctx context.Context, l link.Link, d fleet.DNSServer, length time.Duration, groups []string) (fleet.Blocking, error) {
	if length < time.Second {
		return fleet.Blocking{}, errors.New("a pause has an end: one second or more") // without one Blocky would never block again
	}
	q := url.Values{"duration": {length.Truncate(time.Second).String()}}
	if len(groups) > 0 {
		q.Set("groups", strings.Join(groups, ","))
	}
	b, err := change(ctx, l, d, "/api/blocking/disable", q)
	switch {
	case err != nil:
	case b.Enabled && length > 2*lastSecond:
		err = errors.New("it was asked to, and still blocks")
	case !b.Enabled && b.Until.IsZero():
		err = fleet.WithCure(errors.New("it is off, and nothing turns it on again"), "sextant dns resume "+l.Host().Name+" --server "+d.Key())
	}
	if d.Lists != nil && wholly(b.Groups, d.Lists.Groups) {
		b.Groups = nil
	}
	return b, err
}

// ResumeBlocking turns blocking on.
func ResumeBlocking(ctx context.Context, l link.Link, d fleet.DNSServer) (fleet.Blocking, error) {
	b, err := change(ctx, l, d, "/api/blocking/enable", nil)
	if err == nil && !b.Enabled {
		err = errors.New("it was asked to, and does not block")
	}
	return b, err
}

// dnsName and dnsType are what may be asked for.
var (
	dnsName = regexp.MustCompile(`^[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*\.?$`)
	dnsType = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,9}$`)
)

// WrongQuestion is why a name cannot be asked for; "" it can.
func WrongQuestion(name, kind string) string {
	switch {
	case len(name) > 254 || !dnsName.MatchString(name):
		return "no name of DNS: " + fleet.Short(fleet.Clean(name), 60)
	case !dnsType.MatchString(kind):
		return "no type of DNS (A, AAAA, MX, …): " + fleet.Short(fleet.Clean(kind), 20)
	}
	return ""
}

// AskName asks a server for a name, and why it answers so.
func AskName(ctx context.Context, l link.Link, d fleet.DNSServer, name, kind string) (fleet.DNSAnswer, error) {
	out := fleet.DNSAnswer{Name: name, Type: kind}
	if why := WrongQuestion(name, kind); why != "" {
		return out, errors.New(why)
	}
	c, err := apiOf(l, d, web.Limits{Time: queryTime, Body: 256 << 10})
	if err != nil {
		return out, err
	}
	defer c.Close()
	body, err := json.Marshal(map[string]string{"query": name, "type": kind})
	if err != nil {
		return out, err
	}
	a, err := c.Ask(ctx, web.Request{Method: "POST", Path: "/api/query", Type: "application/json", Body: body, Header: map[string]string{"Accept": "application/json"}})
	switch {
	case err != nil:
		return out, err
	case a.Status == 500: // no upstream answers, and why, at length
		return out, errors.New("it says: " + cmp.Or(a.Text(400), "it failed"))
	case a.Err() != nil:
		return out, a.Err()
	}
	var in struct {
		Reason   *string `json:"reason"`
		Response string  `json:"response"`
		Kind     string  `json:"responseType"`
		Code     string  `json:"returnCode"`
	}
	if err := a.JSON(&in, "/api/query"); err != nil {
		return out, err
	}
	if in.Reason == nil || in.Kind == "" {
		return out, errors.New("/api/query gives no reason: what listens there may be something else")
	}
	out.Reason, out.Response, out.Kind, out.Code, out.At = word(*in.Reason), text(in.Response, 2000), word(in.Kind), word(in.Code), time.Now().UTC()
	return out, nil
}
