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
	changeTime   = 8 * time.Second
	refreshAsked = 25 * time.Second // its server cuts an answer off after 20 s; the refresh goes on
	queryTime    = 8 * time.Second
	maxRefresh   = 15 * time.Minute
)

// Times of watching a refresh; tests have shorter ones.
var (
	refreshEvery = 2 * time.Second
	refreshQuiet = 20 * time.Second // nothing has moved for so long: it is over
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

// change sends a request that changes something, once, and gives how blocking stands
// then, as Blocky tells it. In Blocky such requests are GET: nothing may send one
// ahead or again.
func change(ctx context.Context, l link.Link, d fleet.DNSServer, path string, q url.Values) (fleet.Blocking, error) {
	c, err := apiOf(l, d, web.Limits{Time: changeTime})
	if err != nil {
		return fleet.Blocking{}, err
	}
	defer c.Close()
	a, err := c.Ask(ctx, web.Request{Path: path, Query: q})
	switch {
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
	if err == nil && b.Enabled && length > 2*lastSecond {
		err = errors.New("it was asked to, and still blocks")
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
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		return out, err
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

// RefreshLists has a server read its lists anew, and says how it ends. Where its own
// answer comes too late, that is seen by its metrics; where there are none it is not
// known, and said so. It goes on when nobody waits any more.
func RefreshLists(ctx context.Context, l link.Link, d fleet.DNSServer, say func(string)) (string, error) {
	r := refresh{link: l, d: d, say: say, began: time.Now()}
	before, err := r.counters(ctx)
	if err != nil {
		return "", err
	}
	r.before, r.last, r.moved = before, before, time.Now()
	answered := make(chan error, 1)
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { answered <- r.ask(asking) }()
	say("asked to; how long it takes depends on the lists")
	return r.watch(ctx, answered)
}

// refresh is one that is under way.
type refresh struct {
	link   link.Link
	d      fleet.DNSServer
	say    func(string)
	began  time.Time
	before *fleet.DNSLists // nil: its metrics are off
	last   *fleet.DNSLists
	moved  time.Time // when something of it last did
}

// errCut is that the answer did not come while a refresh went on.
var errCut = errors.New("it did not answer so far")

// ask sends the request, once.
func (r *refresh) ask(ctx context.Context) error {
	c, err := apiOf(r.link, r.d, web.Limits{Time: refreshAsked})
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := c.Ask(ctx, web.Request{Method: "POST", Path: "/api/lists/refresh"})
	switch {
	case errors.Is(err, web.ErrNone):
		return err
	case err != nil:
		return errCut
	case a.Status == 500:
		return errors.New("it says: " + cmp.Or(a.Text(300), "it failed"))
	}
	return a.Err()
}

// counters are what the metrics say of the lists; nil where they are off.
func (r *refresh) counters(ctx context.Context) (*fleet.DNSLists, error) {
	if r.d.MetricsPath == "" {
		return nil, nil
	}
	if r.d.Address == "" || r.d.Err != "" {
		return nil, fmt.Errorf("%w: %s", errNoAPI, cmp.Or(r.d.Err, "not asked yet"))
	}
	s := server{DNSServer: r.d, metrics: r.d.MetricsPath}
	s.Lists, s.NoLists = nil, ""
	if err := s.ask(ctx, r.link); err != nil {
		return nil, err
	}
	if s.Lists == nil || s.Lists.Unread != "" {
		return nil, errors.New(cmp.Or(s.NoLists, fleet.NoMetrics))
	}
	return s.Lists, nil
}

// watch waits for the answer, or for its metrics to say that it is over.
func (r *refresh) watch(ctx context.Context, answered <-chan error) (string, error) {
	turn := time.NewTicker(refreshEvery)
	defer turn.Stop()
	cut := false
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("not waited for any more: it goes on in Blocky: %w", context.Cause(ctx))
		case err := <-answered:
			answered = nil
			switch cut = errors.Is(err, errCut); {
			case !cut && err != nil:
				return "", err
			case !cut:
				return r.ended(ctx)
			case r.before == nil:
				return "", fleet.WithCure(errors.New("it goes on, and how it ends is not known: "+fleet.NoMetrics), "turn them on (prometheus.enable), or see its log")
			}
			r.say("its own answer is cut off after 20 s; its metrics are watched")
		case <-turn.C:
			r.look(ctx)
			quiet := time.Since(r.moved) >= refreshQuiet
			switch {
			case time.Since(r.began) > maxRefresh:
				return "", fmt.Errorf("nothing tells that it has ended, for %s", maxRefresh)
			case cut && quiet && (r.last.Refreshed.After(r.before.Refreshed) || r.last.Failed > r.before.Failed):
				return r.ended(ctx)
			}
		}
	}
}

// look reads the counters, and says what has moved.
func (r *refresh) look(ctx context.Context) {
	now, err := r.counters(ctx)
	if err != nil || now == nil || r.last == nil {
		return // it is busy; asked again soon
	}
	if now.Refreshed.Equal(r.last.Refreshed) && now.Failed == r.last.Failed && now.Entries() == r.last.Entries() {
		return
	}
	r.last, r.moved = now, time.Now()
	line := fmt.Sprintf("%d entries after %s", now.Entries(), time.Since(r.began).Round(time.Second))
	if n := now.Failed - min(now.Failed, r.before.Failed); n > 0 {
		line += fmt.Sprintf(", %d downloads failed", n)
	}
	r.say(line)
}

// ended says how it went.
func (r *refresh) ended(ctx context.Context) (string, error) {
	if r.before == nil {
		return "Blocky says that its lists were refreshed; whether downloads failed is not known: " + fleet.NoMetrics, nil
	}
	now, err := r.counters(ctx)
	if err != nil || now == nil {
		return "", fmt.Errorf("it says that its lists were refreshed; how they are now is not known: %w", cmp.Or(err, errors.New(fleet.NoMetrics)))
	}
	same := now.Started.Sub(r.before.Started).Abs() <= 2*time.Second
	switch {
	case !same:
		return "", errors.New("it was started anew meanwhile: whether its lists were refreshed is not known")
	case now.Failed > r.before.Failed:
		return "", fmt.Errorf("%d downloads failed; the lists have %d entries", now.Failed-r.before.Failed, now.Entries())
	}
	return fmt.Sprintf("the lists were refreshed: %d entries in %d groups", now.Entries(), len(now.Groups)), nil
}
