package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/link/web"
)

// Netdata's web server as the host itself sees it.
const (
	port    = 19999
	address = "127.0.0.1:19999"
)

// Bounds of one call.
const (
	callTimeout = 5 * time.Second
	maxBody     = 8 << 20
)

// Reasons why Netdata tells nothing.
var (
	errNone      = errors.New("nothing answers on " + address)
	errProtected = errors.New("netdata gives data only with a bearer token of Netdata Cloud (bearer token protection is on)")
	errNotFound  = errors.New("netdata does not know that")
)

// client asks one Netdata over the link to its host.
type client struct {
	web  *web.Client
	host string
}

func newClient(l link.Link) *client {
	return &client{web: web.New(l, web.TCP(port), web.Limits{Time: callTimeout, Body: maxBody}), host: l.Host().Name}
}

// close ends the connections that wait for another call.
func (c *client) close() { c.web.Close() }

// answer is what Netdata said.
type answer struct {
	body    []byte
	clock   time.Time // Netdata's own clock when it answered; zero: not told
	version string    // "v1.37.1"; "" not told
}

// get asks for a path and its parameters, and accepts nothing but JSON.
func (c *client) get(ctx context.Context, path string, query url.Values) (answer, error) {
	got, err := c.web.Get(ctx, path, query)
	if err == nil {
		err = got.CalledJSON()
	}
	switch {
	case errors.Is(err, web.ErrNone):
		return answer{}, fmt.Errorf("%w on %s", errNone, c.host)
	case errors.Is(err, web.ErrProtected):
		err = errProtected
	case errors.Is(err, web.ErrNotFound):
		err = errNotFound
	}
	if err != nil {
		return answer{}, fmt.Errorf("netdata on %s: %w", c.host, err)
	}
	a := answer{body: got.Body, clock: got.Clock}
	if v, ok := strings.CutPrefix(got.Server, "Netdata Embedded HTTP Server "); ok && v != "" {
		a.version = fleet.Short(fleet.Clean(strings.TrimSpace(v)), 40)
	}
	return a, nil
}

// decode reads the JSON of an answer.
func decode(body []byte, into any, what string) error {
	if err := json.Unmarshal(body, into); err != nil {
		return web.Unreadable(what, err)
	}
	return nil
}
