package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Bounds of asking a Blocky.
const (
	maxTop         = 10
	maxGroups      = 100
	maxAPIs        = 3 // addresses at which it is looked for
	defaultMetrics = "/metrics"
	// lastSecond is how long a pause may be over and still be told as one without an
	// end: Blocky tells whole seconds that are left, and none of less than one.
	lastSecond = 1200 * time.Millisecond
)

var blockyLimits = web.Limits{Time: 4 * time.Second, Body: 4 << 20}

// errHTTPOff is why a Blocky that runs tells nothing.
var errHTTPOff = fleet.WithCure(errors.New("its HTTP API is off (ports.http)"), "set ports.http in its configuration (NixOS: services.blocky.settings.ports.http), on an address that only the host itself reaches: it asks nobody for a password")

// read asks a Blocky how it does.
func (s *server) read(ctx context.Context, l link.Link, st fleet.State, told dnsTold) {
	if s.At = time.Now(); s.Err != "" {
		return
	}
	err := s.place(st, told)
	for _, at := range s.at[:min(len(s.at), maxAPIs)] {
		got := *s
		got.Address = at
		if e := got.ask(ctx, l); e == nil {
			*s = got
			return
		} else if err == nil || errors.Is(err, web.ErrNone) {
			err, s.Address = e, at
		}
	}
	s.Err, s.Cure = err.Error(), fleet.Cure(err)
	s.None = errors.Is(err, errHTTPOff) || errors.Is(err, errNoPort)
	s.Silent = errors.Is(err, web.ErrNone)
}

// blockyConfig is what of a configuration of Blocky's is read.
type blockyConfig struct {
	Ports struct {
		HTTP any `yaml:"http"`
	} `yaml:"ports"`
	HTTPPort   any `yaml:"httpPort"` // before 0.20
	Prometheus struct {
		Enable bool   `yaml:"enable"`
		Path   string `yaml:"path"`
	} `yaml:"prometheus"`
	RefreshPeriod any `yaml:"refreshPeriod"`
}

// errNoPort is why a container is not asked.
var errNoPort = errors.New("its container publishes no port at which its HTTP API could be asked")

// place finds out where a Blocky has its HTTP API: by the configuration of its unit,
// by who listens for it where that cannot be read, by what its container publishes.
// Nobody else is ever asked.
func (s *server) place(st fleet.State, told dnsTold) error {
	if s.Container != "" {
		return s.ofContainer(st)
	}
	if told.one("blocky-file") == "" {
		for _, l := range st.ListensOf(s.Unit, "") {
			s.listens(l)
		}
		why := cmp.Or(word(told.one("blocky-unread")), "the host did not tell of it")
		switch {
		case len(s.at) > 0:
			return nil
		case told.err != nil:
			why = told.err.Error()
		}
		return fmt.Errorf("where its HTTP API is, is not known: its configuration: %s; and nothing tells at which ports it listens", why)
	}
	var c blockyConfig
	if err := yaml.Unmarshal([]byte(strings.Join(told.lines["blocky"], "\n")), &c); err != nil {
		return web.Unreadable(word(told.one("blocky-file")), err)
	}
	if s.metrics = ""; c.Prometheus.Enable {
		s.metrics = cmp.Or(safePath(c.Prometheus.Path), defaultMetrics)
	}
	s.period = period(c.RefreshPeriod)
	in := c.Ports.HTTP
	if in == nil {
		in = c.HTTPPort
	}
	return s.configured(st, in)
}

// configured takes the addresses that the configuration names.
func (s *server) configured(st fleet.State, in any) error {
	list := addresses(in)
	switch in.(type) {
	case nil, int, string, []any:
		if len(list) == 0 {
			return errHTTPOff
		}
	default:
		return fmt.Errorf("%q is no address of an HTTP API (ports.http)", word(fmt.Sprint(in)))
	}
	var err error
	for _, text := range list {
		at, e := address(text)
		if e != nil {
			err = e
			continue
		}
		if l, ok := st.ListenerAt("tcp", at.Addr().String(), at.Port()); ok && l.Unit != "" && l.Unit != s.Unit {
			err = fmt.Errorf("at %s, where its configuration has its HTTP API, %s listens: it was not asked", at, l.Unit)
			continue
		}
		s.at = append(s.at, at.String())
	}
	if len(s.at) > 0 {
		return nil
	}
	return err
}

// listens takes a port of its own, unless it is one of DNS.
func (s *server) listens(l fleet.Listener) {
	if l.Proto == "tcp" && !slices.Contains(blockyKind.not, l.Port) {
		s.add(l.Address, l.Port)
	}
}

func (s *server) add(host string, port uint16) {
	at, err := address(net.JoinHostPort(strings.Trim(host, "*"), strconv.Itoa(int(port))))
	if err == nil && !slices.Contains(s.at, at.String()) {
		s.at = append(s.at, at.String())
	}
}

// addresses are those of a setting: a port, "address:port", several with commas, or a list.
func addresses(in any) (list []string) {
	switch v := in.(type) {
	case int:
		return []string{strconv.Itoa(v)}
	case string:
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	case []any:
		for _, one := range v[:min(len(v), 10)] {
			if _, nested := one.([]any); !nested {
				list = append(list, addresses(one)...)
			}
		}
	}
	return list
}

// address is where a setting of Blocky's is reached from the host itself.
func address(text string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = "", text
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of an HTTP API (ports.http)", word(text))
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of an HTTP API (ports.http)", word(text))
	}
	return loopbackOfAll(netip.AddrPortFrom(ip.Unmap(), uint16(n))), nil
}

// loopbackOfAll is an address at which what listens at all of them is reached.
func loopbackOfAll(at netip.AddrPort) netip.AddrPort {
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
	}
	return at
}

// safePath is the path of metrics, where it is one.
func safePath(path string) string {
	if !strings.HasPrefix(path, "/") || len(path) > 200 || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || r == '?' || r == '#' }) {
		return ""
	}
	return path
}

// period is how often lists are refreshed: a duration, or minutes as a number; 0 where
// it is not told, below 0 where they never are.
func period(in any) fleet.Seconds {
	var d time.Duration
	switch v := in.(type) {
	case nil:
		return fleet.Seconds((4 * time.Hour).Seconds()) // as Blocky does without
	case int:
		d = time.Duration(v) * time.Minute
	case string:
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			n, err := strconv.Atoi(v)
			if err != nil {
				return 0
			}
			d = time.Duration(n) * time.Minute
		}
	default:
		return 0
	}
	if d <= 0 {
		return -1
	}
	return fleet.Seconds(d.Seconds())
}

// api is a Blocky to ask.
type api struct{ *web.Client }

// apiAt asks at an address with connections of its own: a request that changes
// something is never sent twice, as it may be over a connection that was used before.
func apiAt(l link.Link, at string, limits web.Limits) api {
	return api{web.New(l, web.Address{Network: "tcp", At: at, URL: "http://" + at}, limits)}
}

// ask asks a Blocky at its address everything that it tells.
func (s *server) ask(ctx context.Context, l link.Link) error {
	c := apiAt(l, s.Address, blockyLimits)
	defer c.Close()
	b, clock, err := c.blocking(ctx)
	if err != nil {
		return err
	}
	s.Blocking, s.At = &b, time.Now()
	defer func() {
		if s.Lists != nil && wholly(b.Groups, s.Lists.Groups) {
			s.Blocking.Groups = nil
		}
	}()
	var groups []fleet.ListGroup
	s.Stats, groups, s.NoStats = c.stats(ctx)
	none := fleet.NoMetrics
	if s.metrics != "" {
		m, err := c.metrics(ctx, s.metrics)
		if err == nil {
			s.MetricsPath = s.metrics
			m.join(groups)
			m.take(&s.DNSServer, clock, s.period)
			return nil
		}
		none = "it has no metrics at " + s.metrics
		if !errors.Is(err, web.ErrNotFound) {
			s.MetricsPath, s.NoLists = s.metrics, "its metrics: "+err.Error()
			return nil
		}
	}
	if s.NoLists = none; len(groups) > 0 { // without any, it is not known whether it has lists
		s.NoLists, s.Lists = "", &fleet.DNSLists{Groups: groups, Unread: none, Period: s.period, At: s.At}
	}
	return nil
}

// blocking asks how blocking stands, once more where it may be in the last second of a
// pause, and what time the host has; zero where it does not tell.
func (c api) blocking(ctx context.Context) (fleet.Blocking, time.Time, error) {
	b, clock, err := c.status(ctx)
	if err != nil || b.Enabled || !b.Until.IsZero() {
		return b, clock, err
	}
	select {
	case <-ctx.Done():
		return b, clock, nil
	case <-time.After(lastSecond):
	}
	return c.status(ctx)
}

// wholly tells whether the groups that are off are all that block anything: where all
// are turned off Blocky names each of them, and one "default" that need not be there.
func wholly(off []string, groups []fleet.ListGroup) bool {
	blocks := func(g fleet.ListGroup) bool { return g.Deny > 0 || g.Allow > 0 } // with an allowlist alone it blocks everything else
	stays := func(g fleet.ListGroup) bool { return blocks(g) && !slices.Contains(off, g.Name) }
	return slices.ContainsFunc(groups, blocks) && !slices.ContainsFunc(groups, stays)
}

func (c api) status(ctx context.Context) (b fleet.Blocking, clock time.Time, err error) {
	const path = "/api/blocking/status"
	a, err := c.Get(ctx, path, nil)
	if err != nil {
		return b, clock, err
	}
	var in struct {
		Enabled *bool    `json:"enabled"`
		Left    float64  `json:"autoEnableInSec"`
		Groups  []string `json:"disabledGroups"`
	}
	if err := a.JSON(&in, path); err != nil {
		return b, clock, err
	}
	if in.Enabled == nil {
		return b, clock, errors.New(path + " does not say whether blocking is on: what listens there may be something else")
	}
	b.Enabled = *in.Enabled
	if b.Enabled {
		return b, a.Clock, nil
	}
	if in.Left > 0 {
		b.Until = time.Now().Add(fleet.Seconds(min(in.Left, 1e8)).Duration()).UTC().Round(time.Second)
	}
	b.Groups = words(in.Groups)
	return b, a.Clock, nil
}

// blockyStats is what /api/stats tells, of the last 24 hours.
type blockyStats struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Summary *struct {
		Queries uint64  `json:"queries"`
		Cached  uint64  `json:"cached"`
		Blocked uint64  `json:"blocked"`
		Errors  uint64  `json:"errors"`
		Average float64 `json:"avgResponseMs"`
		HitRate float64 `json:"cacheHitRate"` // 0…1; 0 where nothing was looked up
	} `json:"summary"`
	Domains []fleet.NameCount `json:"topDomains"`
	Blocked []fleet.NameCount `json:"topBlockedDomains"`
	Clients []fleet.NameCount `json:"topClients"`
	Lists   struct {
		Deny  map[string]uint64 `json:"denylist"`
		Allow map[string]uint64 `json:"allowlist"`
	} `json:"lists"`
}

// stats asks for the statistics of the last 24 hours, and how many entries the groups
// of lists have; why says why there are none.
func (c api) stats(ctx context.Context) (st *fleet.DNSStats, groups []fleet.ListGroup, why string) {
	const path = "/api/stats"
	a, err := c.Ask(ctx, web.Request{Path: path, Header: map[string]string{"Accept": "application/json"}})
	switch {
	case err != nil:
		return nil, nil, "its statistics: " + err.Error()
	case a.Status == 404:
		return nil, nil, "this version has no statistics"
	case a.Status == 503:
		return nil, nil, "its statistics are off (statistics.enable)"
	case a.Err() != nil:
		return nil, nil, "its statistics: " + a.Err().Error()
	}
	var in blockyStats
	if err := a.JSON(&in, path); err != nil {
		return nil, nil, "its statistics: " + err.Error()
	}
	n := in.Summary
	if n == nil {
		return nil, nil, "its statistics: " + path + " has no summary"
	}
	st = &fleet.DNSStats{
		Source: "stats", Start: in.Start, End: in.End, Queries: n.Queries, Cached: n.Cached, Blocked: n.Blocked, Errors: n.Errors,
		AverageMs: n.Average, TopDomains: top(in.Domains), TopBlocked: top(in.Blocked), TopClients: top(in.Clients),
	}
	if n.HitRate > 0 && n.HitRate <= 1 {
		st.CacheHitRate = &n.HitRate
	}
	m := blockyMetrics{groups: map[string]*fleet.ListGroup{}}
	for name, count := range in.Lists.Deny {
		m.group(name).Deny = count
	}
	for name, count := range in.Lists.Allow {
		m.group(name).Allow = count
	}
	return st, m.list(), ""
}

func top(in []fleet.NameCount) []fleet.NameCount {
	in = in[:min(len(in), maxTop)]
	for i := range in {
		in[i].Name = word(in[i].Name)
	}
	return in
}
