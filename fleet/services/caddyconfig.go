package services

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of what is taken in of one configuration.
const (
	maxSites  = 500
	maxRoutes = 200   // of one site
	maxLeaves = 2000  // routes to their ends, of one server
	maxKept   = 20000 // the same at all the names that they are for
	maxDepth  = 32    // of routes in routes
	maxText   = 200   // runes of one word
)

// caddyConfig is the part of Caddy's configuration that is read:
// https://caddyserver.com/docs/json/.
type caddyConfig struct {
	Apps struct {
		HTTP struct {
			HTTPSPort int                    `json:"https_port"`
			Servers   map[string]caddyServer `json:"servers"`
		} `json:"http"`
	} `json:"apps"`
}

type caddyServer struct {
	Listen  []string          `json:"listen"`
	Routes  []caddyRoute      `json:"routes"`
	TLS     []json.RawMessage `json:"tls_connection_policies"`
	AutoTLS struct {
		Disable bool `json:"disable"`
	} `json:"automatic_https"`
}

type caddyRoute struct {
	Match    []map[string]json.RawMessage `json:"match"`
	Handle   []caddyHandler               `json:"handle"`
	Terminal bool                         `json:"terminal"`
}

// caddyHandler has the fields of those handlers that are known.
type caddyHandler struct {
	Handler   string       `json:"handler"`
	Routes    []caddyRoute `json:"routes"`
	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	Dynamic *struct {
		Source string `json:"source"`
	} `json:"dynamic_upstreams"`
	Transport struct {
		TLS *struct{} `json:"tls"`
	} `json:"transport"`
	HealthChecks *struct {
		Active  *struct{} `json:"active"`
		Passive *struct{} `json:"passive"`
	} `json:"health_checks"`
	HandleResponse []struct{} `json:"handle_response"`
	Rewrite        *struct {
		Method string `json:"method"`
		URI    string `json:"uri"`
	} `json:"rewrite"`
	Status    json.RawMessage      `json:"status_code"` // a number, or a text of one
	Headers   map[string]anyHeader `json:"headers"`
	Root      string               `json:"root"`
	Strip     string               `json:"strip_path_prefix"`
	Providers map[string]struct{}  `json:"providers"`
}

// anyHeader is a header's values where they are a list; other handlers have other
// things under that name.
type anyHeader []string

// UnmarshalJSON reads a list of texts, and nothing out of anything else.
func (h *anyHeader) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil {
		*h = list
	}
	return nil
}

// errNoHTTP is of a Caddy whose configuration has no HTTP in it.
var errNoHTTP = errors.New("its configuration has no HTTP servers")

// parseCaddy gives the sites of a configuration.
func parseCaddy(body []byte) ([]fleet.Site, error) {
	if strings.TrimSpace(string(body)) == "null" {
		return nil, errors.New("it runs without a configuration")
	}
	var cfg caddyConfig
	if err := json.Unmarshal(body, &cfg); err != nil {
		return nil, unreadable(err)
	}
	if len(cfg.Apps.HTTP.Servers) == 0 {
		return nil, errNoHTTP
	}
	sites := []fleet.Site{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Apps.HTTP.Servers)) {
		sites = append(sites, sitesOf(cfg.Apps.HTTP.Servers[name], cfg.Apps.HTTP.HTTPSPort)...)
	}
	return sites[:min(len(sites), maxSites)], nil
}

// unreadable says where a configuration is not as it should be, and nothing of what
// stands there: it may be a secret.
func unreadable(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return errors.New("its configuration cannot be read: " + word(kind.Field) + " is of another kind than is known")
	}
	return errors.New("its configuration cannot be read: it is not JSON")
}

func word(s string) string { return fleet.Short(fleet.Clean(s), maxText) }

func words(list []string) []string {
	out := []string{}
	for _, s := range list[:min(len(list), maxRoutes)] {
		out = append(out, word(s))
	}
	return out
}

// leaf is a route to its end, with the names it is for; "" any.
type leaf struct {
	hosts []string
	route fleet.Route
}

// sitesOf gives the sites of one server, in the order of the configuration.
func sitesOf(srv caddyServer, httpsPort int) []fleet.Site {
	if httpsPort == 0 {
		httpsPort = 443
	}
	site := fleet.Site{Listen: words(srv.Listen), Routes: []fleet.Route{}}
	for _, l := range srv.Listen {
		if port := portOf(l); port != 0 && site.Port == 0 {
			site.Port = port
		}
	}
	site.TLS = len(srv.TLS) > 0 || !srv.AutoTLS.Disable && int(site.Port) == httpsPort
	w := walker{}
	w.routes(srv.Routes, chain{}, 0)
	byName, order := map[string]*fleet.Site{}, []string{}
	kept := 0
	for _, l := range w.leaves {
		for _, h := range l.hosts[:min(len(l.hosts), maxRoutes)] {
			if kept++; kept > maxKept || byName[h] == nil && len(order) == maxSites {
				continue
			}
			if byName[h] == nil {
				s := site
				s.Name = h
				byName[h], order = &s, append(order, h)
			}
			if s := byName[h]; len(s.Routes) < maxRoutes {
				s.Routes = append(s.Routes, l.route)
			}
		}
	}
	sites := make([]fleet.Site, 0, len(order))
	for _, h := range order {
		sites = append(sites, *byName[h])
	}
	return sites
}

// portOf is the port of a listener: ":443", "tcp/127.0.0.1:8080", "[::]:80-90".
func portOf(listen string) uint16 {
	text := listen[strings.LastIndexByte(listen, ':')+1:]
	text, _, _ = strings.Cut(text, "-")
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// chain is what a request has passed on its way to a handler.
type chain struct {
	hosts   []string
	when    []fleet.AnyOf
	through []string
	strip   string
	root    string
	auth    *fleet.ForwardAuth
}

// walker goes through routes in the order in which Caddy tries them.
type walker struct{ leaves []leaf }

// routes walks a list. What one route of it does to requests and hands on (asking
// whether they may pass) also holds for those after it.
func (w *walker) routes(list []caddyRoute, c chain, depth int) {
	if depth > maxDepth {
		w.end(c, fleet.Route{Handler: "routes nested too deep"})
		return
	}
	for _, r := range list {
		in := c
		in.take(r.Match)
		out, ended := w.handlers(r.Handle, in, depth)
		switch {
		case r.Terminal && !ended:
			w.end(out, fleet.Route{Known: true})
		case len(r.Match) == 0:
			c = out
		case out.auth != in.auth && out.auth != nil:
			if c.auth = out.auth; !slices.Equal(in.hosts, c.hosts) {
				c.auth = of(*out.auth, in.hosts)
			}
		case len(out.through) > len(in.through):
			c.through = out.through
		}
	}
}

// wild tells whether names are none, or not yet those of sites: inside of
// "*.example.org" there often stands a route for each name.
func wild(hosts []string) bool {
	return !slices.ContainsFunc(hosts, func(h string) bool { return !strings.Contains(h, "*") })
}

// take adds a route's matchers. The innermost that is for names decides which sites
// the route belongs to.
func (c *chain) take(sets []map[string]json.RawMessage) {
	if len(sets) == 0 {
		return
	}
	var any fleet.AnyOf
	var hosts []string
	for _, set := range sets[:min(len(sets), maxRoutes)] {
		list := []fleet.Matcher{}
		for _, kind := range slices.Sorted(maps.Keys(set)) {
			if kind == "host" && wild(c.hosts) {
				hosts = append(hosts, names(set[kind])...)
				if len(sets) == 1 {
					continue
				}
			}
			list = append(list, matchers(kind, set[kind])...)
		}
		any = append(any, list)
	}
	if hosts != nil {
		slices.Sort(hosts)
		c.hosts = slices.Compact(hosts)
	}
	if len(any) == 1 && len(any[0]) == 0 {
		return
	}
	c.when = append(slices.Clone(c.when), any)
}

// of is who is asked only for some names, where the routes after it are for others
// too.
func of(a fleet.ForwardAuth, hosts []string) *fleet.ForwardAuth {
	a.When = append(slices.Clone(a.When), fleet.AnyOf{{{Kind: "host", Values: hosts}}})
	return &a
}

// names reads a list of texts.
func names(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return words(list)
}

// matchers reads one matcher; "not" has sets of its own, and is read where it has
// one of one kind.
func matchers(kind string, raw json.RawMessage) []fleet.Matcher {
	if kind != "not" {
		return []fleet.Matcher{{Kind: word(kind), Values: names(raw)}}
	}
	var sets []map[string]json.RawMessage
	if json.Unmarshal(raw, &sets) != nil || len(sets) != 1 || len(sets[0]) != 1 {
		return []fleet.Matcher{{Kind: "not", Values: []string{"…"}}}
	}
	for k, v := range sets[0] {
		if k != "not" {
			return []fleet.Matcher{{Kind: word(k), Values: names(v), Not: true}}
		}
	}
	return []fleet.Matcher{{Kind: "not", Values: []string{"…"}}}
}

// passing are handlers that hand every request on.
var passing = []string{"encode", "headers", "vars", "map", "tracing", "request_body", "templates", "push", "log_append", "intercept", "invoke", "metrics"}

// handlers walks a chain of handlers; ended tells that none is left behind it.
func (w *walker) handlers(list []caddyHandler, c chain, depth int) (out chain, ended bool) {
	for _, h := range list {
		switch name := h.Handler; {
		case name == "subroute":
			before := len(w.leaves)
			w.routes(h.Routes, c, depth+1)
			ended = len(w.leaves) > before && len(w.leaves[len(w.leaves)-1].route.When) == len(c.when)
		case name == "reverse_proxy" && h.asks():
			c.auth = h.forwardAuth(c.when)
		case name == "authentication":
			c.auth = &fleet.ForwardAuth{Kind: strings.Join(slices.Sorted(maps.Keys(h.Providers)), ", "), When: c.when}
			c.auth.Kind = word(c.auth.Kind)
		case name == "rewrite":
			if h.Strip != "" {
				c.strip = word(h.Strip)
			}
		case name == "vars" && h.Root != "":
			c.root = word(h.Root)
		case slices.Contains(passing, name):
		default:
			r, last := h.route(c)
			w.end(c, r)
			if last {
				return c, true
			}
			c.through = append(slices.Clone(c.through), word(name))
		}
	}
	return c, ended
}

// end notes a route to its end.
func (w *walker) end(c chain, r fleet.Route) {
	r.When, r.Through, r.Strip, r.Auth = c.when, c.through, c.strip, c.auth
	hosts := c.hosts
	if hosts == nil {
		hosts = []string{""}
	}
	if len(w.leaves) < maxLeaves {
		w.leaves = append(w.leaves, leaf{hosts, r})
	}
}

// asks tells whether the proxy only asks whether the request may pass: what
// "forward_auth" stands for.
func (h caddyHandler) asks() bool {
	return len(h.HandleResponse) > 0 && h.Rewrite != nil && h.Rewrite.Method == http.MethodGet && h.Rewrite.URI != ""
}

// cut stands in an URI for what is not kept of it.
const cut = "…"

// authURI is what is asked, without what may be a token: of the query only what
// Authelia documents, where to sign in and how to come back.
func authURI(uri string) string {
	path, query, _ := strings.Cut(uri, "?")
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, named := strings.Cut(part, "=")
		switch {
		case part == "":
		case name == "rd" || name == "rm" || name == "authelia_url":
			kept = append(kept, part)
		case named:
			kept = append(kept, word(name)+"="+cut)
		default:
			kept = append(kept, cut)
		}
	}
	if len(kept) > 0 {
		path += "?" + strings.Join(kept, "&")
	}
	return word(path)
}

func (h caddyHandler) forwardAuth(when []fleet.AnyOf) *fleet.ForwardAuth {
	a := &fleet.ForwardAuth{Kind: "forward_auth", URI: authURI(h.Rewrite.URI), When: when}
	for _, u := range h.Upstreams[:min(len(h.Upstreams), maxRoutes)] {
		a.Upstream = append(a.Upstream, word(u.Dial))
	}
	return a
}

// route is what a handler that answers does; last tells that nothing comes after
// it. Of a handler that is not known neither is.
func (h caddyHandler) route(c chain) (r fleet.Route, last bool) {
	r = fleet.Route{Handler: word(h.Handler), Known: true}
	switch h.Handler {
	case "reverse_proxy":
		checked := h.HealthChecks != nil && h.HealthChecks.Active != nil
		for _, u := range h.Upstreams[:min(len(h.Upstreams), maxRoutes)] {
			r.Upstreams = append(r.Upstreams, fleet.Upstream{Dial: word(u.Dial), TLS: h.Transport.TLS != nil, Checked: checked})
		}
		if h.Dynamic != nil {
			r.Dynamic = word(h.Dynamic.Source)
		}
	case "file_server":
		if r.To = word(h.Root); r.To == "" {
			r.To = c.root
		}
	case "static_response", "error":
		r.Status = status(h.Status)
		for name, values := range h.Headers {
			if strings.EqualFold(name, "Location") && len(values) > 0 {
				r.To = word(values[0])
			}
		}
	case "acme_server":
	default:
		r.Known = false
		return r, false
	}
	return r, true
}

// status reads a status that may be written as a text.
func status(raw json.RawMessage) int {
	n, err := strconv.Atoi(strings.Trim(string(raw), `"`))
	if err != nil || n < 100 || n > 999 {
		return 0
	}
	return n
}
