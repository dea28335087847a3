package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"tailscale.com/ipn/ipnstate"
	"tailscale.com/tailcfg"

	"github.com/sextant-fleet/sextant/fleet"
)

// Bounds of asking how nodes are reached.
const (
	pingAnswer  = 3 * time.Second
	pingsAtOnce = 8
)

// Control is what can be asked of the tailnet, and changed there, beyond who is in it.
type Control struct {
	local *tailnet
	api   *control // nil: no credential is configured
}

// NewControl makes it as the options say. Nothing is asked yet.
func NewControl(o Options) *Control {
	c := o.Config
	if c == nil {
		c = &Config{}
	}
	return &Control{local: &tailnet{socket: o.socket(c)}, api: newControl(c)}
}

// Ping asks the daemon how traffic from this machine gets to nodes, several at a time,
// and tells each as it is known. It does nothing to them but to answer.
func (c *Control) Ping(ctx context.Context, nodes []fleet.Node, tell func(id string, path fleet.Fact[fleet.Path])) {
	client, end := c.local.client()
	defer end()
	var wg sync.WaitGroup
	var mu sync.Mutex
	turn := make(chan struct{}, pingsAtOnce)
	for _, n := range nodes {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			path, err := pinged(ctx, n, client.Ping)
			f := fleet.Known(path, time.Now(), "tailscale ping")
			if err != nil {
				f = fleet.Unknown[fleet.Path](c.unpinged(err), time.Now(), "tailscale ping")
			}
			mu.Lock()
			defer mu.Unlock()
			tell(n.ID, f)
		})
	}
	wg.Wait()
}

// unpinged is why a ping told nothing.
func (c *Control) unpinged(err error) error {
	if errors.Is(err, errSilent) {
		return err
	}
	why := c.local.explain(err)
	return fleet.WithCure(why, why.Help)
}

// errSilent is a node that the daemon got no answer of.
var errSilent = errors.New("no answer")

type pinger func(context.Context, netip.Addr, tailcfg.PingType) (*ipnstate.PingResult, error)

func pinged(ctx context.Context, n fleet.Node, ping pinger) (fleet.Path, error) {
	if len(n.Addresses) == 0 {
		return fleet.Path{}, fmt.Errorf("%w: it has no address", errSilent)
	}
	addr, err := netip.ParseAddr(n.Addresses[0])
	if err != nil {
		return fleet.Path{}, fmt.Errorf("%w: it has no address", errSilent)
	}
	within, cancel := context.WithTimeout(ctx, pingAnswer)
	defer cancel()
	res, err := ping(within, addr, tailcfg.PingDisco)
	switch {
	case ctx.Err() != nil:
		return fleet.Path{}, ctx.Err()
	case errors.Is(within.Err(), context.DeadlineExceeded):
		return fleet.Path{}, fmt.Errorf("%w within %s", errSilent, pingAnswer)
	case err != nil:
		return fleet.Path{}, err
	case res == nil:
		return fleet.Path{}, errSilent
	case res.Err != "":
		return fleet.Path{}, fmt.Errorf("%w: %s", errSilent, fleet.Short(fleet.Clean(res.Err), 200))
	}
	p := fleet.Path{Direct: res.Endpoint != "", Endpoint: clean(res.Endpoint), Latency: fleet.Seconds(res.LatencySeconds)}
	if !p.Direct {
		p.Relay = cmp.Or(clean(res.DERPRegionCode), clean(res.PeerRelay))
	}
	return p, nil
}
