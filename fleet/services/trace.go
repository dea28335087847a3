package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Bounds of a trace.
const (
	traceTime = 30 * time.Second
	hopTime   = 5 * time.Second
)

// Tracer follows a name to what answers.
type Tracer struct {
	Snap fleet.Snapshot
	Link func(fleet.HostID) (link.Link, error)
	Host string          // go on at this host, where several serve the name; "": as the name leads
	Step func(fleet.Hop) // is told each hop as it ends; may be nil
	Out  Outside         // what is asked beyond the hosts
	Now  func() time.Time
}

// walk is one trace under way.
type walk struct {
	Tracer
	trace fleet.Trace
	url   *url.URL
	port  uint16
	path  string

	addresses []string // of the name, in public
	st        fleet.State
	link      link.Link
	proxy     fleet.Proxy
	site      fleet.Site
	route     fleet.Route
	upstream  string
}

// ParseURL reads what a person types: a URL, or a name with or without a path.
func ParseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || fleet.Clean(text) != text || len(text) > 2000 {
		return nil, fmt.Errorf("%q is no http or https address", fleet.Short(fleet.Clean(text), 80))
	}
	u.User, u.Fragment = nil, ""
	return u, nil
}

// steps of the way, in order. A step that finds it broken ends it.
var steps = []struct {
	kind string
	do   func(*walk, context.Context, *fleet.Hop)
}{
	{"name", (*walk).name}, {"dns", (*walk).dns}, {"cloudflare", (*walk).cloudflare}, {"address", (*walk).address},
	{"proxy", (*walk).proxied}, {"certificate", (*walk).certificate}, {"sign-in", (*walk).signIn},
	{"upstream", (*walk).dialled}, {"service", (*walk).service}, {"answer", (*walk).answer},
}

// Trace goes the way as far as it goes.
func (t Tracer) Trace(ctx context.Context, u *url.URL) fleet.Trace {
	ctx, cancel := context.WithTimeout(ctx, traceTime)
	defer cancel()
	w := &walk{Tracer: t, url: u, path: u.EscapedPath(), port: 443}
	if u.Scheme == "http" {
		w.port = 80
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		w.port = uint16(n)
	}
	if w.path == "" {
		w.path = "/"
	}
	w.trace = fleet.Trace{URL: u.String(), At: t.Now()}
	broken := false
	for _, s := range steps {
		h := fleet.Hop{Kind: s.kind, Skipped: broken, State: fleet.HealthUnknown}
		if !broken {
			began := time.Now()
			w.step(ctx, &h, s.do)
			h.Took = fleet.Seconds(time.Since(began).Seconds())
			broken = h.State == fleet.HealthBroken
		}
		w.trace.Hops = append(w.trace.Hops, h)
		if t.Step != nil {
			t.Step(h)
		}
	}
	w.trace.Conclude()
	return w.trace
}

func (w *walk) step(ctx context.Context, h *fleet.Hop, do func(*walk, context.Context, *fleet.Hop)) {
	ctx, cancel := context.WithTimeout(ctx, 2*hopTime)
	defer cancel()
	do(w, ctx, h)
}

// at says on which host a hop is.
func (w *walk) at(h *fleet.Hop, st fleet.State) { h.Host, h.HostID = st.Host.Name, st.Host.ID }

func ok(h *fleet.Hop, format string, args ...any) {
	h.State, h.What = fleet.HealthOK, fmt.Sprintf(format, args...)
}

func broken(h *fleet.Hop, cure, format string, args ...any) {
	h.State, h.Cure, h.Why = fleet.HealthBroken, cure, fmt.Sprintf(format, args...)
}

func unsure(h *fleet.Hop, format string, args ...any) {
	h.State, h.Why = fleet.HealthUnknown, fmt.Sprintf(format, args...)
}

// serving are the hosts whose proxies have a site for the name; of hosts whose
// sites are not known it is told why.
func (w *walk) serving() (hosts []fleet.State, unknown []string) {
	for _, st := range w.Snap.Hosts {
		if !st.Sites.Usable(w.Now()) {
			if !st.Sites.None {
				unknown = append(unknown, st.Host.Name)
			}
			continue
		}
		for _, p := range st.Sites.Value {
			if site, found := p.Answers(w.url.Hostname(), w.port); found && site.Name != "" {
				hosts = append(hosts, st)
				break
			}
		}
	}
	return hosts, unknown
}

// name finds which hosts serve the name.
func (w *walk) name(_ context.Context, h *fleet.Hop) {
	hosts, unknown := w.serving()
	h.What = w.url.Hostname()
	if len(unknown) > 0 {
		h.Seen = append(h.Seen, "not known what they serve: "+strings.Join(unknown, ", "))
	}
	if len(hosts) == 0 {
		if len(unknown) > 0 {
			unsure(h, "no host whose sites are known serves it")
			return
		}
		broken(h, "is the name right? `sextant sites` lists those that are served", "no host serves %s at port %d", w.url.Hostname(), w.port)
		return
	}
	names := make([]string, len(hosts))
	for i, st := range hosts {
		names[i] = st.Host.Name
	}
	w.st = hosts[0]
	ok(h, "%s is served by %s", w.url.Hostname(), strings.Join(names, ", "))
}

// address tells whose the public address is, and with it at which host to go on.
func (w *walk) address(_ context.Context, h *fleet.Hop) {
	hosts, _ := w.serving()
	if w.Host != "" {
		i := slices.IndexFunc(w.Snap.Hosts, func(st fleet.State) bool { return st.Has(w.Host) })
		if i < 0 {
			broken(h, "", "there is no host %s", w.Host)
			return
		}
		w.st = w.Snap.Hosts[i]
		w.at(h, w.st)
		ok(h, "going on at %s, as asked for", w.st.Host.Name)
		return
	}
	for _, a := range w.addresses {
		for _, st := range w.Snap.Hosts {
			if st.Has(a) {
				w.st = st
				w.at(h, st)
				ok(h, "%s is %s", a, st.Host.Name)
				return
			}
		}
	}
	if w.st.Host.ID == "" {
		unsure(h, "it is not known which host the name leads to")
		return
	}
	w.at(h, w.st)
	h.What = "going on at " + w.st.Host.Name + ", which serves the name"
	if len(hosts) > 1 {
		h.Seen = append(h.Seen, "others serve it too: --host chooses")
	}
	unsure(h, "it is not known whether the public address leads there")
}

// restart is the action that mends a unit.
func restart(h *fleet.Hop, verb, host, unit string) {
	h.Help = &fleet.Help{Action: "unit-" + verb, Unit: unit, Command: "sextant unit " + verb + " " + host + " " + unit}
}

// proxied finds the route that takes the path.
func (w *walk) proxied(_ context.Context, h *fleet.Hop) {
	if w.st.Host.ID == "" {
		unsure(h, "no host is known to serve the name")
		return
	}
	w.at(h, w.st)
	if w.st.Reach.Err != "" && w.st.Reach.Err != fleet.Remembered {
		broken(h, w.st.Reach.Cure, "%s is not reached: %s", w.st.Host.Name, w.st.Reach.Err)
		return
	}
	l, err := w.Link(w.st.Host.ID)
	if err != nil {
		unsure(h, "%s", err)
		return
	}
	w.link = l
	name := w.url.Hostname()
	for _, p := range w.st.Sites.Value {
		site, found := p.Answers(name, w.port)
		if !found {
			continue
		}
		w.proxy, w.site = p, site
		route, perhaps, taken := site.Route(name, w.path)
		for _, r := range perhaps {
			h.Seen = append(h.Seen, "taken instead where "+fleet.Condition(r.When)+": "+r.Leads())
		}
		if p.ReloadOK != nil && !*p.ReloadOK {
			h.Seen = append(h.Seen, "it runs an older configuration: the last one was refused")
		}
		if !taken && len(perhaps) > 0 {
			unsure(h, "whether a route of %s takes %s depends on more than its name and path", site.Label(), w.path)
			return
		}
		if !taken {
			broken(h, "add a route for it to the site", "no route of %s takes %s", site.Label(), w.path)
			return
		}
		w.route = route
		for _, x := range route.Through {
			h.Seen = append(h.Seen, "through "+x+", which Sextant does not know")
		}
		ok(h, "%s: %s %s leads to %s", p.Kind, site.Label(), w.path, route.Leads())
		if !route.Known {
			unsure(h, "what the handler %s does is not known", route.Handler)
		}
		return
	}
	if !w.st.Sites.Usable(w.Now()) && !w.st.Sites.None {
		unsure(h, "%s", cmp.Or(w.st.Sites.Err, fleet.ErrNotAsked.Error()))
		h.Cure = w.st.Sites.Cure
		return
	}
	broken(h, "", "%s does not serve %s at port %d", w.st.Host.Name, name, w.port)
}

// certificate has the proxy show its certificate now.
func (w *walk) certificate(ctx context.Context, h *fleet.Hop) {
	switch {
	case w.link == nil:
		unsure(h, "no proxy is known")
		return
	case w.url.Scheme != "https":
		ok(h, "none: it is plain HTTP")
		return
	}
	w.at(h, w.st)
	c := Show(ctx, w.link, w.url.Hostname(), w.port, nil)
	switch sev, why := c.Judge(w.Now()); sev {
	case fleet.SeverityFail:
		broken(h, "its issuer or its challenge does not work: the log of "+w.proxy.Kind+" says why", "the certificate %s", why)
		h.Help = &fleet.Help{Unit: w.proxy.Unit, Command: "sextant logs " + w.st.Host.Name + " " + strings.TrimSuffix(w.proxy.Unit, ".service")}
	case fleet.SeverityUnknown:
		w.silent(h, why)
	default:
		ok(h, "%s, by %s", c.Word(w.Now()), c.Issuer)
		if why != "" {
			h.Seen = append(h.Seen, why)
		}
		if c.Trusted != nil && !*c.Trusted {
			h.Seen = append(h.Seen, "not trusted by this machine: "+c.Untrusted)
		}
	}
}

// silent is of a proxy that does not do its part: that is broken where it does not
// run, or nothing listens there.
func (w *walk) silent(h *fleet.Hop, why string) {
	unit, known := unitOf(w.st, w.proxy.Unit)
	if known && unit.Active != "active" {
		broken(h, "", "%s is %s", unit.Name, unit.Active)
		restart(h, "start", w.st.Host.Name, unit.Name)
		return
	}
	if !strings.Contains(why, errNobody.Error()) { // it may be we who are not let through
		unsure(h, "%s", why)
		return
	}
	broken(h, "", "%s", why)
	if w.proxy.Unit != "" {
		restart(h, "restart", w.st.Host.Name, w.proxy.Unit)
	}
}

func unitOf(st fleet.State, name string) (fleet.Unit, bool) {
	for _, u := range st.Units.Value {
		if u.Name == name && u.User == "" {
			return u, st.Units.HasValue()
		}
	}
	return fleet.Unit{}, false
}

// signIn asks who is asked before whether this very request may pass.
func (w *walk) signIn(ctx context.Context, h *fleet.Hop) {
	if w.link == nil {
		unsure(h, "no proxy is known")
		return
	}
	a := w.route.Auth
	w.at(h, w.st)
	if a == nil || a.Guards(w.url.Hostname(), w.path) == fleet.No {
		ok(h, "none is asked for")
		return
	}
	h.What = a.Kind
	if a.Kind != "forward_auth" {
		ok(h, "%s: the proxy itself asks", a.Kind)
		return
	}
	if a.Guards(w.url.Hostname(), w.path) == fleet.Maybe {
		h.Seen = append(h.Seen, "only where "+fleet.Condition(a.When))
	}
	w.ask(ctx, h, *a)
}

// ask puts the question that the proxy would.
func (w *walk) ask(ctx context.Context, h *fleet.Hop, a fleet.ForwardAuth) {
	if err := askable(a); err != nil {
		unsure(h, "%s", err)
		return
	}
	got, err := askAuth(ctx, w.link, a, w.url, "")
	h.What = "forward_auth at " + a.Upstream[0]
	_, port, _ := (fleet.Upstream{Dial: a.Upstream[0]}).Address()
	pass, known := passes(got.Status)
	switch {
	case errors.Is(err, link.ErrForbidden):
		unsure(h, "who is asked whether the request may pass was not asked: %s", err)
	case err != nil:
		broken(h, "", "who is asked whether the request may pass does not answer: %s", err)
		w.blame(h, w.st, "localhost", port)
	case pass:
		ok(h, "%s lets it pass without signing in", h.What)
	case known && got.Status == 403:
		ok(h, "%s: denied to everybody who is not signed in", h.What)
	case known:
		ok(h, "%s: sign-in is needed, and the way to it is shown", h.What)
	default:
		broken(h, "", "who is asked whether the request may pass answers HTTP %d: %s", got.Status, got.Text(100))
		w.blame(h, w.st, "localhost", port)
	}
	w.chain(h)
}

// chain tells of the services of signing in that are not well, where the proxy is.
func (w *walk) chain(h *fleet.Hop) {
	for _, v := range w.st.Services.Value {
		if v.Health == fleet.HealthBroken && h.State != fleet.HealthBroken && w.st.Services.Usable(w.Now()) {
			h.Seen = append(h.Seen, v.Kind+" is broken: "+v.Why)
		}
	}
}

// blame finds whose an address of a host is, and what mends that.
func (w *walk) blame(h *fleet.Hop, st fleet.State, host string, port uint16) {
	o := ownerAt(st, host, port)
	if o.what == "" {
		return
	}
	h.Seen = append(h.Seen, o.what+": "+o.state)
	if o.unit != "" {
		restart(h, o.verb(), st.Host.Name, o.unit)
	}
	h.Changed = w.changed(st, o)
}

// dialled connects to where the route leads, from the host of the proxy.
func (w *walk) dialled(ctx context.Context, h *fleet.Hop) {
	switch {
	case w.link == nil:
		unsure(h, "no proxy is known")
		return
	case len(w.route.Upstreams) == 0 && w.route.Dynamic != "":
		unsure(h, "upstreams are found anew for each request, by %s", w.route.Dynamic)
		return
	case len(w.route.Upstreams) == 0:
		ok(h, "none: %s answers itself (%s)", w.proxy.Kind, w.route.Leads())
		return
	}
	w.at(h, w.st)
	var whys []string
	certain := true
	for _, u := range w.route.Upstreams {
		took, err := w.dial(ctx, u)
		if err == nil {
			w.upstream = u.Dial
			ok(h, "%s takes connections, from %s (%s)", u.Dial, w.st.Host.Name, took.Round(time.Millisecond))
			if u.Healthy != nil && !*u.Healthy {
				h.Seen = append(h.Seen, u.By+" calls it down")
			}
			return
		}
		whys, certain = append(whys, err.Error()), certain && !errors.Is(err, errUntried) && !errors.Is(err, link.ErrForbidden)
	}
	u := w.route.Upstreams[0]
	if !certain { // the proxy may be let through where we are not
		unsure(h, "%s", strings.Join(whys, "; "))
		return
	}
	broken(h, "", "%s", strings.Join(whys, "; "))
	if host, port, known := u.Address(); known {
		if st, there := w.hostOf(host); there {
			w.at(h, st)
			w.blame(h, st, host, port)
		}
	}
}

var (
	errNobody  = errors.New("nothing listens there")
	errUntried = errors.New("its address is made up for each request")
)

func (w *walk) dial(ctx context.Context, u fleet.Upstream) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, hopTime)
	defer cancel()
	var network, at string
	if path, isSocket := strings.CutPrefix(u.Dial, "unix/"); isSocket {
		network, at = "unix", path
	} else if host, port, known := u.Address(); known {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		network, at = "tcp", fmt.Sprintf("%s:%d", host, port)
	} else {
		return 0, fmt.Errorf("upstream %s: %w", u.Dial, errUntried)
	}
	began := time.Now()
	conn, err := w.link.Dial(ctx, network, at)
	switch {
	case err == nil:
		conn.Close()
		return time.Since(began), nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("upstream %s does not answer within %s", u.Dial, hopTime)
	}
	return 0, fmt.Errorf("upstream %s: %w", u.Dial, nobody(err))
}

// nobody tells that nobody listens from that we are not let through: a server says
// both when it forwards nothing.
func nobody(err error) error {
	if link.Refused(err) {
		return errNobody
	}
	return err
}

// hostOf is the host that an address leads to, from that of the proxy.
func (w *walk) hostOf(host string) (fleet.State, bool) {
	if w.st.Owns(host) {
		return w.st, true
	}
	for _, st := range w.Snap.Hosts {
		if st.Has(host) {
			return st, true
		}
	}
	return fleet.State{}, false
}

// service finds what is behind the upstream, and how it is.
func (w *walk) service(_ context.Context, h *fleet.Hop) {
	if w.upstream == "" {
		if w.link != nil && len(w.route.Upstreams) == 0 && w.route.Dynamic == "" && w.route.Known {
			ok(h, "none behind it")
			return
		}
		unsure(h, "no upstream is known")
		return
	}
	host, port, known := (fleet.Upstream{Dial: w.upstream}).Address()
	st, there := w.hostOf(host)
	if !known || !there {
		unsure(h, "%s is on no host of the fleet that is known", w.upstream)
		return
	}
	w.at(h, st)
	o := ownerAt(st, host, port)
	if o.what == "" {
		unsure(h, "who listens at %s on %s is not known", w.upstream, st.Host.Name)
		return
	}
	h.What = o.what + ": " + o.state
	h.Changed = w.changed(st, o)
	switch {
	case o.broken:
		broken(h, "", "%s is %s", o.what, o.state)
		if o.unit != "" {
			restart(h, o.verb(), st.Host.Name, o.unit)
		}
	default:
		h.State = fleet.HealthOK
	}
}

// answer asks for the URL as the public does, at the proxy.
func (w *walk) answer(ctx context.Context, h *fleet.Hop) {
	if w.link == nil {
		unsure(h, "no proxy is known")
		return
	}
	w.at(h, w.st)
	at := web.Address{Network: "tcp", At: fmt.Sprintf("127.0.0.1:%d", w.port), URL: w.url.Scheme + "://" + w.url.Host, AnyCertificate: true}
	c := web.New(w.link, at, web.Limits{Time: hopTime, Body: 256 << 10})
	defer c.Close()
	got, err := c.Ask(ctx, web.Request{Method: "GET", Path: w.url.EscapedPath(), Query: w.url.Query()})
	switch {
	case errors.Is(err, web.ErrTooLarge):
		ok(h, "%s answers, at length", w.proxy.Kind)
	case err != nil:
		w.silent(h, err.Error())
	case got.Status >= 502 && got.Status <= 504:
		broken(h, "", "%s answers HTTP %d: its upstream did not", w.proxy.Kind, got.Status)
		if w.upstream != "" {
			if host, port, known := (fleet.Upstream{Dial: w.upstream}).Address(); known {
				if st, there := w.hostOf(host); there {
					w.blame(h, st, host, port)
				}
			}
		}
	case got.Status >= 500:
		broken(h, "", "it answers HTTP %d", got.Status)
	default:
		ok(h, "HTTP %d in %s", got.Status, got.Took.Round(time.Millisecond))
		if got.Location != "" {
			h.Seen = append(h.Seen, "to "+fleet.Short(fleet.Clean(got.Location), 100))
		}
	}
}
