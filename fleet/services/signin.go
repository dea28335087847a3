package services

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// kind is a kind of service that can be asked how it is.
type kind struct {
	name  string
	port  uint16                                                    // where it listens, if nothing says otherwise
	not   []uint16                                                  // ports of its that are not asked
	check func(context.Context, *web.Client) (fleet.Health, string) // and why it is so

	units, images []string                                           // what it is called there, where not by its name
	alarms        func(context.Context, asker, *fleet.Monitor) error // of a monitoring server
}

// kinds are those by which people sign in.
var kinds = []kind{
	{name: "authelia", port: 9091, not: []uint16{9959}, check: checkAuthelia},
	{name: "dex", port: 5556, not: []uint16{5557, 5558}, check: checkDex},
	{name: "lldap", port: 17170, not: []uint16{3890, 6360}, check: checkLLDAP},
}

// Bounds of asking one service.
var askLimits = web.Limits{Time: 3 * time.Second, Body: 64 << 10}

// place is a service that was found on a host.
type place struct {
	kind
	unit, container string
	ports           []uint16
}

// readServices asks each service of the host that is known how it is.
func readServices(ctx context.Context, l link.Link, st fleet.State) fleet.Fact[[]fleet.Service] {
	places := find(st, kinds)
	if len(places) == 0 {
		return fleet.Nothing[[]fleet.Service]("no service that can be asked how it is (Authelia, Dex, LLDAP)", time.Now(), "probe")
	}
	list := make([]fleet.Service, len(places))
	done := make(chan struct{}, len(places))
	for i, p := range places {
		go func() {
			list[i] = p.ask(ctx, l)
			done <- struct{}{}
		}()
	}
	for range places {
		<-done
	}
	return fleet.Known(list, time.Now(), "their health checks")
}

// find gives those services of a host that are of some kinds by its units and
// containers; at most one of each kind is told of each of them.
func find(st fleet.State, of []kind) []place {
	var out []place
	for _, k := range of {
		owned := map[string]bool{}
		for _, c := range st.Containers.Value {
			if k.isContainer(c) && c.State == "running" {
				owned[c.Unit] = true
				out = append(out, place{kind: k, unit: c.Unit, container: c.Name, ports: k.published(st, c)})
			}
		}
		for _, u := range st.Units.Value {
			if u.User == "" && u.Active == "active" && k.isUnit(u.Name) && !owned[u.Name] {
				out = append(out, place{kind: k, unit: u.Name, ports: k.listened(st, u.Name)})
			}
		}
	}
	return out[:min(len(out), 30)]
}

// isUnit tells whether a unit is the service's: "authelia.service",
// "authelia-main.service".
func (k kind) isUnit(name string) bool {
	name, ok := strings.CutSuffix(name, ".service")
	if k.units != nil {
		return ok && slices.Contains(k.units, name)
	}
	return ok && (name == k.name || strings.HasPrefix(name, k.name+"-"))
}

// isContainer tells whether a container is made of the service's image.
func (k kind) isContainer(c fleet.Container) bool {
	image, _, _ := strings.Cut(path.Base(c.Image), "@")
	image, _, _ = strings.Cut(image, ":")
	return image == k.name || slices.Contains(k.images, image)
}

// published are the ports of the host at which a container's service may be asked:
// those it publishes, or on the host's own network those at which it listens.
func (k kind) published(st fleet.State, c fleet.Container) []uint16 {
	var ports []uint16
	for _, p := range c.Ports {
		if p.Protocol == "tcp" && !slices.Contains(k.not, p.Container) && p.Host != 0 {
			ports = append(ports, p.Host)
		}
	}
	for _, l := range st.Listens.Value {
		if l.Container == c.ID && c.ID != "" && l.Process != "conmon" {
			ports = k.add(ports, l)
		}
	}
	return ports
}

func (k kind) listened(st fleet.State, unit string) []uint16 {
	var ports []uint16
	for _, l := range st.ListensOf(unit, "") {
		ports = k.add(ports, l)
	}
	return ports
}

// add takes in a port that may be asked.
func (k kind) add(ports []uint16, l fleet.Listener) []uint16 {
	if l.Proto != "tcp" || slices.Contains(k.not, l.Port) || slices.Contains(ports, l.Port) {
		return ports
	}
	return append(ports, l.Port)
}

// ask asks a service at the places where it listens, at most three.
func (p place) ask(ctx context.Context, l link.Link) fleet.Service {
	v := fleet.Service{Kind: p.name, Unit: p.unit, Container: p.container, Health: fleet.HealthUnknown}
	ports := p.ports
	if len(ports) == 0 {
		if p.container != "" {
			v.Why = "its container publishes no port at which it could be asked"
			return v
		}
		ports = []uint16{p.port}
	}
	for _, port := range ports[:min(len(ports), 3)] {
		c := web.New(l, web.TCP(int(port)), askLimits)
		v.Address = fmt.Sprintf("127.0.0.1:%d", port)
		v.Health, v.Why = p.check(ctx, c)
		c.Close()
		if v.Health == fleet.HealthOK {
			break
		}
	}
	return v
}

// failed is what an answer that is none says of a service: that nothing answers, or
// that it says itself that it is broken, is known; anything else is not.
func failed(err error, status int) (fleet.Health, string) {
	if errors.Is(err, web.ErrNone) || errors.Is(err, web.ErrLate) || status >= 500 {
		return fleet.HealthBroken, err.Error()
	}
	return fleet.HealthUnknown, err.Error()
}

// get asks for a path.
func get(ctx context.Context, c *web.Client, path string) (web.Answer, error) {
	a, err := c.Ask(ctx, web.Request{Path: path})
	if err != nil {
		return a, err
	}
	return a, a.Err()
}

// checkAuthelia asks /api/health, which looks at nothing behind it.
func checkAuthelia(ctx context.Context, c *web.Client) (fleet.Health, string) {
	a, err := get(ctx, c, "/api/health")
	if err != nil {
		return failed(err, a.Status)
	}
	var in struct {
		Status string `json:"status"`
	}
	switch err := a.JSON(&in, "/api/health"); {
	case err != nil:
		return fleet.HealthUnknown, err.Error()
	case in.Status != "OK":
		return fleet.HealthUnknown, "/api/health does not say OK: what listens there may be something else"
	}
	return fleet.HealthOK, "it answers; whether it reaches its users is not in its health check"
}

// checkDex asks /healthz, which stands under the path of its issuer.
func checkDex(ctx context.Context, c *web.Client) (fleet.Health, string) {
	a, err := get(ctx, c, "/healthz")
	if errors.Is(err, web.ErrNotFound) {
		a, err = get(ctx, c, "/dex/healthz")
	}
	if err != nil {
		return failed(err, a.Status)
	}
	if !strings.Contains(a.Text(200), "Health check passed") {
		return fleet.HealthUnknown, "/healthz does not say that its check passed: what listens there may be something else"
	}
	return fleet.HealthOK, ""
}

// checkLLDAP asks /health, which answers with nothing and looks at nothing.
func checkLLDAP(ctx context.Context, c *web.Client) (fleet.Health, string) {
	a, err := get(ctx, c, "/health")
	if err != nil {
		return failed(err, a.Status)
	}
	if len(a.Body) > 0 || a.Type != "" {
		return fleet.HealthUnknown, "/health answers with a text: what listens there may be something else"
	}
	return fleet.HealthOK, "it answers; its health check looks at nothing behind it"
}
