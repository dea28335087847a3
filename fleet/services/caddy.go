package services

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Caddy's admin API: https://caddyserver.com/docs/api.
const (
	caddyPort   = 2019
	caddyUnit   = "caddy.service"
	caddySocket = "/run/caddy/admin.sock"
	caddyTime   = 5 * time.Second
	caddyBody   = 8 << 20
)

// cureAdmin is what makes Caddy's sites known.
const cureAdmin = `leave its admin API on ("admin localhost:2019", which only the host itself reaches, or "admin unix//run/caddy/admin.sock")`

// errNoAdmin is of a Caddy that runs and tells nothing.
var errNoAdmin = fleet.WithCure(errors.New("its admin API is off, or listens where it was not looked for"), cureAdmin)

// caddyPlaces are the addresses at which a host's Caddy may be asked, likeliest
// first, and whether there is one at all.
func caddyPlaces(st fleet.State) (places []web.Address, unit string, there bool) {
	for _, u := range st.Units.Value {
		if u.Name == caddyUnit && u.User == "" && u.Active == "active" {
			unit, there = caddyUnit, true
		}
	}
	if slices.Contains(st.Inventory.Value.Ports, caddyPort) {
		places = append(places, caddyAt(caddyPort))
	}
	for _, s := range st.Inventory.Value.Sockets {
		if s.Path == caddySocket {
			places, there = append(places, web.Unix(s.Path)), true
		}
	}
	if unit != "" {
		for _, l := range st.ListensOf(unit, "") {
			if l.Proto == "tcp" && l.Loopback() && l.Port != caddyPort {
				places = append(places, caddyAt(int(l.Port)))
			}
		}
	}
	return places[:min(len(places), 3)], unit, there || len(places) > 0
}

// caddyAt is an admin API on a loopback port. It answers only to names that it
// knows to be its own.
func caddyAt(port int) web.Address {
	a := web.TCP(port)
	a.URL = fmt.Sprintf("http://localhost:%d", port)
	return a
}

// readCaddy asks a host's Caddy for what it serves.
func readCaddy(ctx context.Context, l link.Link, st fleet.State) fleet.Fact[[]fleet.Proxy] {
	places, unit, there := caddyPlaces(st)
	if !there {
		return fleet.Nothing[[]fleet.Proxy]("no proxy that is known (Caddy)", time.Now(), "probe")
	}
	why := errNoAdmin
	for _, at := range places {
		p, err := askCaddy(ctx, l, at)
		if err == nil {
			p.Unit = unit
			return fleet.Known([]fleet.Proxy{p}, time.Now(), "caddy's admin API")
		}
		if !errors.Is(err, web.ErrNone) {
			why = err
		}
	}
	return fleet.Unknown[[]fleet.Proxy](fmt.Errorf("caddy on %s: %w", l.Host().Name, why), time.Now(), "caddy's admin API")
}

// askCaddy reads the configuration, and what is told of upstreams.
func askCaddy(ctx context.Context, l link.Link, at web.Address) (fleet.Proxy, error) {
	c := web.New(l, at, web.Limits{Time: caddyTime, Body: caddyBody})
	defer c.Close()
	p := fleet.Proxy{Kind: "caddy", Admin: at.At, Sites: []fleet.Site{}}
	a, err := c.Get(ctx, "/config/", nil)
	if errors.Is(err, web.ErrProtected) {
		return p, fleet.WithCure(errors.New("its admin API refuses to answer us (HTTP 403)"), `leave "origins" out of its admin settings, or have them hold localhost:2019`)
	}
	if err != nil {
		return p, err
	}
	if err := a.CalledJSON(); err != nil {
		return p, err
	}
	if p.Sites, err = parseCaddy(a.Body); err != nil {
		return p, err
	}
	if a, err = c.Get(ctx, "/reverse_proxy/upstreams", nil); err == nil {
		err = addUpstreams(&p, a)
	}
	if err != nil {
		p.Unread = append(p.Unread, "upstreams: "+err.Error())
	}
	if a, err = c.Get(ctx, "/metrics", nil); err != nil {
		p.Unread = append(p.Unread, "metrics: "+err.Error())
		return p, nil
	}
	addMetrics(&p, a.Body)
	return p, nil
}

// addUpstreams takes in what /reverse_proxy/upstreams tells. It says nothing of
// health: only what fails while requests are handed on is counted.
func addUpstreams(p *fleet.Proxy, a web.Answer) error {
	var list []struct {
		Address  string `json:"address"`
		Requests int    `json:"num_requests"`
		Fails    int    `json:"fails"`
	}
	if err := a.JSON(&list, "/reverse_proxy/upstreams"); err != nil {
		return err
	}
	for _, u := range list[:min(len(list), maxSites)] {
		eachUpstream(p, func(up *fleet.Upstream) {
			if up.Dial == u.Address {
				up.Requests, up.Fails = max(0, u.Requests), max(0, u.Fails)
			}
		})
	}
	return nil
}

// eachUpstream lets do change every upstream of a proxy.
func eachUpstream(p *fleet.Proxy, do func(*fleet.Upstream)) {
	for i := range p.Sites {
		for j := range p.Sites[i].Routes {
			for k := range p.Sites[i].Routes[j].Upstreams {
				do(&p.Sites[i].Routes[j].Upstreams[k])
			}
		}
	}
}

// addMetrics takes in what Caddy's metrics say: how upstreams that it checks are
// (brought up to date about every ten seconds), and how its last reload went. An
// upstream that it does not check is always "healthy" there, which says nothing;
// "unhealthy" always does.
func addMetrics(p *fleet.Proxy, body []byte) {
	healthy := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil || strings.HasPrefix(name, "#") {
			continue
		}
		switch {
		case name == "caddy_config_last_reload_successful":
			well := v == 1
			p.ReloadOK = &well
		case name == "caddy_config_last_reload_success_timestamp_seconds" && v > 0 && v < math.MaxInt32*4:
			p.Reloaded = time.Unix(int64(v), 0)
		case strings.HasPrefix(name, `caddy_reverse_proxy_upstreams_healthy{upstream="`):
			at := strings.TrimSuffix(strings.TrimPrefix(name, `caddy_reverse_proxy_upstreams_healthy{upstream="`), `"}`)
			healthy[word(at)] = v == 1
		}
	}
	eachUpstream(p, func(u *fleet.Upstream) {
		if well, ok := healthy[u.Dial]; ok && (u.Checked || !well) {
			u.Healthy, u.By = &well, "caddy's health check"
		}
	})
}
