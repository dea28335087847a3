package fleet

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Proxy is a web server of a host that stands in front of others.
type Proxy struct {
	Kind     string    `json:"kind"`              // "caddy"
	Unit     string    `json:"unit,omitempty"`    // the systemd unit that runs it
	Admin    string    `json:"admin"`             // where it was asked: "127.0.0.1:2019", "/run/caddy/admin.sock"
	Reloaded time.Time `json:"reloaded,omitzero"` // when it last took up a configuration well; zero: not told
	ReloadOK *bool     `json:"reloadOk"`          // whether the last attempt went well; null: not told
	Sites    []Site    `json:"sites"`
	Unread   []string  `json:"unread,omitempty"` // what could not be asked, and why
}

// Site is a name under which a proxy answers.
type Site struct {
	Name   string       `json:"name"`   // "photos.example.org", "*.example.org"; "": any name that no other site has
	Listen []string     `json:"listen"` // as the configuration has it: ":443"
	Port   uint16       `json:"port"`   // the first of them
	TLS    bool         `json:"tls"`
	Cert   *Certificate `json:"certificate,omitempty"` // what it shows at a handshake; null: not asked
	Routes []Route      `json:"routes"`                // in the order in which they are tried
}

// Matcher is one condition of a route.
type Matcher struct {
	Kind   string   `json:"kind"` // "path", "host", "method", … as the proxy calls it
	Values []string `json:"values,omitempty"`
	Not    bool     `json:"not,omitempty"`
}

// AnyOf holds where all matchers of one of its sets hold.
type AnyOf [][]Matcher

// Route is what a proxy does with some of a site's requests.
type Route struct {
	When      []AnyOf      `json:"when,omitempty"` // all of them hold; the site's own name is left out
	Handler   string       `json:"handler"`        // "reverse_proxy", "file_server", "static_response", … ; "" nothing: an empty answer
	Known     bool         `json:"known"`          // what the handler does is known
	Through   []string     `json:"through,omitempty"`
	Strip     string       `json:"strip,omitempty"` // taken off the path before it is handed on
	Auth      *ForwardAuth `json:"auth,omitempty"`
	Upstreams []Upstream   `json:"upstreams,omitempty"`
	Dynamic   string       `json:"dynamic,omitempty"` // where upstreams are looked up for each request: "srv", "a"
	To        string       `json:"to,omitempty"`      // where a redirect leads, what folder is served
	Status    int          `json:"status,omitempty"`  // of a fixed answer
}

// ForwardAuth is who is asked whether a request may pass.
type ForwardAuth struct {
	Kind     string   `json:"kind"`               // "forward_auth", "http_basic", …
	Upstream []string `json:"upstream,omitempty"` // "127.0.0.1:9091"
	URI      string   `json:"uri,omitempty"`      // "/api/authz/forward-auth"
	When     []AnyOf  `json:"when,omitempty"`     // only of these requests

	// Nobody is what it says of a request of somebody on the internet who has not signed
	// in; nil: it has not said so, and Unasked is why, "" where it was not asked yet.
	Nobody  *AuthAnswer `json:"nobody,omitempty"`
	Unasked string      `json:"unasked,omitempty"`
}

// AuthAnswer is what who is asked whether a request may pass said of one.
type AuthAnswer struct {
	Passes bool      `json:"passes"` // without signing in
	URL    string    `json:"url"`    // of the request
	Status int       `json:"status"` // of HTTP
	At     time.Time `json:"at"`
}

// Bypassed tells whether it is asked and lets everybody pass.
func (a *ForwardAuth) Bypassed() bool { return a != nil && a.Nobody != nil && a.Nobody.Passes }

// Upstream is where a proxy hands requests on to.
type Upstream struct {
	Dial     string `json:"dial"`
	TLS      bool   `json:"tls,omitempty"`
	Checked  bool   `json:"checked"`      // the proxy checks its health
	Healthy  *bool  `json:"healthy"`      // null: not known
	By       string `json:"by,omitempty"` // who says so
	Fails    int    `json:"fails,omitempty"`
	Requests int    `json:"requests,omitempty"` // under way
}

// Certificate is what a site showed at a TLS handshake on its own host.
type Certificate struct {
	Names     []string  `json:"names"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Covers    bool      `json:"covers"`           // the site's name is among Names
	Trusted   *bool     `json:"trusted"`          // by the certificate authorities of the machine that asked; null: not known
	Error     string    `json:"error,omitempty"`  // why there is none
	At        time.Time `json:"at"`               // when it was shown
	Untrusted string    `json:"whyNot,omitempty"` // why it is not trusted
}

// Limits of what is left of a certificate's life, of one that lives 90 days. For
// others they are shorter or as long: an hour is much for one of half a day, and
// three days are for one of ten years.
const (
	certWarn = 14 * 24 * time.Hour
	certFail = 3 * 24 * time.Hour
	certLife = 90 * 24 * time.Hour
)

// Judge is how a certificate stands: "" well, or how bad it is and why.
func (c Certificate) Judge(now time.Time) (Severity, string) {
	left := c.NotAfter.Sub(now)
	share := min(1, float64(c.NotAfter.Sub(c.NotBefore))/float64(certLife))
	limit := func(d time.Duration) time.Duration { return time.Duration(share * float64(d)) }
	switch {
	case c.Error != "":
		return SeverityUnknown, c.Error
	case left <= 0:
		return SeverityFail, "expired " + c.NotAfter.UTC().Format("2006-01-02 15:04")
	case now.Before(c.NotBefore):
		return SeverityFail, "not valid before " + c.NotBefore.UTC().Format("2006-01-02 15:04")
	case !c.Covers:
		return SeverityFail, "is for other names: " + strings.Join(c.Names, ", ")
	case left < limit(certFail):
		return SeverityFail, "ends in " + span(left) + ": its renewal does not work"
	case left < limit(certWarn):
		return SeverityWarn, "ends in " + span(left) + ": its renewal does not work"
	}
	return "", ""
}

// span is a duration in one word.
func span(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Holds tells whether a condition holds. Maybe is of what cannot be told from the
// name and the path.
type Holds int

// Answers of [Route.Takes].
const (
	No Holds = iota
	Maybe
	Yes
)

// Takes tells whether the route is for a GET of a path under a name.
func (r Route) Takes(host, path string) Holds { return all(r.When, host, path) }

// Guards tells whether it is asked of a GET of a path under a name.
func (a ForwardAuth) Guards(host, path string) Holds { return all(a.When, host, path) }

func all(when []AnyOf, host, path string) Holds {
	holds := Yes
	for _, any := range when {
		holds = min(holds, any.holds(host, path))
	}
	return holds
}

func (a AnyOf) holds(host, path string) Holds {
	best := No
	for _, set := range a {
		holds := Yes
		for _, m := range set {
			holds = min(holds, m.holds(host, path))
		}
		best = max(best, holds)
	}
	return best
}

func (m Matcher) holds(host, path string) Holds {
	var yes bool
	switch m.Kind {
	case "path":
		yes = slices.ContainsFunc(m.Values, func(p string) bool { return matchPath(p, path) })
		if !yes && slices.ContainsFunc(m.Values, func(p string) bool { return strings.Contains(p, "{") }) {
			return Maybe
		}
	case "host":
		yes = slices.ContainsFunc(m.Values, func(h string) bool { return MatchName(h, host) })
	case "method":
		yes = slices.Contains(m.Values, "GET")
	default:
		return Maybe
	}
	if yes != m.Not {
		return Yes
	}
	return No
}

// matchPath tells whether a path is what Caddy's path matcher calls pattern: whole,
// in any case, with a star at an end for any text.
func matchPath(pattern, p string) bool {
	pattern, p = strings.ToLower(pattern), strings.ToLower(p)
	front, back := strings.HasPrefix(pattern, "*"), strings.HasSuffix(pattern, "*")
	switch {
	case pattern == "*":
		return true
	case front && back:
		return strings.Contains(p, strings.Trim(pattern, "*"))
	case front && strings.Count(pattern, "*") == 1:
		return strings.HasSuffix(p, pattern[1:])
	case back && strings.Count(pattern, "*") == 1:
		return strings.HasPrefix(p, pattern[:len(pattern)-1])
	}
	ok, err := path.Match(pattern, p)
	return err == nil && ok
}

// MatchName tells whether a name is what pattern says, in which a label may be a
// star.
func MatchName(pattern, name string) bool {
	p, n := strings.Split(strings.ToLower(pattern), "."), strings.Split(strings.ToLower(name), ".")
	if len(p) != len(n) {
		return false
	}
	for i := range p {
		if p[i] != n[i] && p[i] != "*" {
			return false
		}
	}
	return true
}

// Condition is what makes a route apply, in words: "path /api/*"; "" always.
func Condition(when []AnyOf) string {
	var parts []string
	for _, any := range when {
		var sets []string
		for _, set := range any {
			var words []string
			for _, m := range set {
				word := strings.TrimSpace(m.Kind + " " + strings.Join(m.Values, " "))
				if m.Not {
					word = "not " + word
				}
				words = append(words, word)
			}
			sets = append(sets, strings.Join(words, " and "))
		}
		parts = append(parts, strings.Join(sets, " or "))
	}
	return strings.Join(parts, ", ")
}

// Leads is where a route leads, in one word.
func (r Route) Leads() string {
	var dials []string
	for _, u := range r.Upstreams {
		dials = append(dials, u.Dial)
	}
	switch {
	case len(dials) > 0:
		return strings.Join(dials, ", ")
	case r.Dynamic != "":
		return "found by " + r.Dynamic
	case r.Handler == "":
		return "an empty answer"
	case !r.Known:
		return r.Handler + " (not known to Sextant)"
	case r.To != "":
		return r.To
	case r.Status != 0:
		return fmt.Sprintf("answer %d", r.Status)
	}
	return r.Handler
}

// Answers is the site that answers under a name: one of that name before one with
// a star; then the one for any name.
func (p Proxy) Answers(name string, port uint16) (Site, bool) {
	best, rank := Site{}, 0
	for _, s := range p.Sites {
		r := 0
		switch {
		case s.Port != port:
		case strings.EqualFold(s.Name, name):
			r = 3
		case s.Name != "" && MatchName(s.Name, name):
			r = 2
		case s.Name == "":
			r = 1
		}
		if r > rank {
			best, rank = s, r
		}
	}
	return best, rank > 0
}

// Route gives the route of a site that takes a path, and those before it that may
// take it instead.
func (s Site) Route(name, path string) (taken Route, perhaps []Route, ok bool) {
	for _, r := range s.Routes {
		switch r.Takes(name, path) {
		case Yes:
			return r, perhaps, true
		case Maybe:
			perhaps = append(perhaps, r)
		}
	}
	return Route{}, perhaps, false
}
