package services

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Bounds of asking who is let in.
const (
	authTime   = 3 * time.Second
	authAtOnce = 4
	maxAuths   = 200       // routes of one host
	authKept   = time.Hour // how long an answer is believed: each one is a line in a log
)

// anybody is from where the requests are said to come that are asked about: an address
// of the internet that nobody has (RFC 5737), so that no rule for a network applies.
const anybody = "192.0.2.1"

// askable tells why who is asked before a route cannot be asked by us.
func askable(a fleet.ForwardAuth) error {
	switch {
	case len(a.Upstream) == 0:
		return errors.New("who is asked is found anew for each request")
	case strings.HasPrefix(a.Upstream[0], "unix/") || strings.ContainsAny(a.Upstream[0], "{}"):
		return fmt.Errorf("who is asked answers on %s, which is not asked from here", a.Upstream[0])
	case strings.Contains(a.URI, cut):
		return fmt.Errorf("what is asked of %s is not known whole: %s", a.Upstream[0], a.URI)
	}
	return nil
}

// askAuth puts the question that the proxy would put for a GET of somebody who has not
// signed in; from is the address that the request is said to come from, "" none.
func askAuth(ctx context.Context, l link.Link, a fleet.ForwardAuth, u *url.URL, from string) (web.Answer, error) {
	path, query, _ := strings.Cut(a.URI, "?")
	values, err := url.ParseQuery(query)
	if err != nil || strings.ContainsAny(a.URI, "{}") {
		values = nil
	}
	header := map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Proto": u.Scheme, "X-Forwarded-Host": u.Host, "X-Forwarded-Uri": u.RequestURI(), "Accept": "text/html",
	}
	if from != "" {
		header["X-Forwarded-For"] = from
	}
	c := web.New(l, web.Address{Network: "tcp", At: a.Upstream[0], URL: "http://" + a.Upstream[0]}, web.Limits{Time: authTime, Body: 64 << 10})
	defer c.Close()
	return c.Ask(ctx, web.Request{Path: path, Query: values, Header: header})
}

// passes tells what an answer means for who has not signed in.
func passes(status int) (pass, known bool) {
	switch {
	case status >= 200 && status < 300:
		return true, true
	case status == 401, status == 403, status >= 300 && status < 400:
		return false, true
	}
	return false, false
}

// auths keeps what was answered, by host and question.
type auths struct{ kept[fleet.AuthAnswer] }

// add has who is asked before each route say whether it lets somebody of the internet
// pass who has not signed in, where it has not said so lately.
func (c *auths) add(ctx context.Context, l link.Link, sites []fleet.Site) {
	var group errgroup.Group
	group.SetLimit(authAtOnce)
	asked := 0
	for i := range sites {
		for j := range sites[i].Routes {
			s, r := sites[i], &sites[i].Routes[j]
			if r.Auth == nil || r.Auth.Kind != "forward_auth" {
				continue
			}
			a := *r.Auth // routes may share one
			a.Nobody, a.Unasked = nil, ""
			r.Auth = &a
			if asked++; asked > maxAuths {
				a.Unasked = fmt.Sprintf("of one host it is asked for %d routes", maxAuths)
				continue
			}
			group.Go(func() error {
				c.of(ctx, l, s, *r, &a)
				return nil
			})
		}
	}
	_ = group.Wait()
}

// of puts an answer, or why there is none, into what a route asks.
func (c *auths) of(ctx context.Context, l link.Link, s fleet.Site, r fleet.Route, a *fleet.ForwardAuth) {
	u, err := example(s, r)
	if err == nil {
		err = askable(*a)
	}
	if err != nil {
		a.Unasked = err.Error()
		return
	}
	key := keyOf(l.Host().ID, a.Upstream[0], a.URI, u)
	if before, ok := c.get(key); ok && time.Since(before.At) < authKept {
		a.Nobody = &before
		return
	}
	got, err := askAuth(ctx, l, *a, u, anybody)
	pass, known := passes(got.Status)
	switch {
	case err != nil:
		a.Unasked = err.Error()
		return
	case !known:
		a.Unasked = fmt.Sprintf("%s answers HTTP %d", a.Upstream[0], got.Status)
		return
	}
	a.Nobody = &fleet.AuthAnswer{Passes: pass, URL: u.String(), Status: got.Status, At: time.Now()}
	c.put(key, *a.Nobody)
}

// example is an address for which a route is taken, and who may pass is asked.
func example(s fleet.Site, r fleet.Route) (*url.URL, error) {
	if s.Name == "" || strings.ContainsAny(s.Name, "*{}") {
		return nil, errors.New("the site is for more than one name")
	}
	// Authelia refuses whatever does not come by https. A site without TLS may stand
	// behind somebody who ends it, as a tunnel does: asked of as it is, it would look closed.
	u := &url.URL{Scheme: "https", Host: s.Name}
	if s.Port != 443 && s.Port != 80 && s.Port != 0 {
		u.Host = fmt.Sprintf("%s:%d", s.Name, s.Port)
	}
	for _, path := range append([]string{"/"}, paths(r)...) {
		if r.Takes(s.Name, path) == fleet.Yes && r.Auth.Guards(s.Name, path) == fleet.Yes {
			u.Path = path
			return u, nil
		}
	}
	return nil, errors.New("for what addresses the route is taken is not known")
}

// paths are those that a route's conditions name, without their stars.
func paths(r fleet.Route) []string {
	var out []string
	for _, any := range r.When {
		for _, set := range any {
			for _, m := range set {
				if m.Kind != "path" || m.Not {
					continue
				}
				for _, p := range m.Values {
					if p = strings.TrimSuffix(p, "*"); strings.HasPrefix(p, "/") && !strings.ContainsAny(p, "*{}") {
						out = append(out, p)
					}
				}
			}
		}
	}
	return out[:min(len(out), 20)]
}
