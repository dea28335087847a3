package discover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	api "tailscale.com/client/tailscale/v2"

	"github.com/sextant-fleet/sextant/fleet"
)

// ErrMayNot is a credential that may not change the tailnet: nothing more of the kind
// will work.
var ErrMayNot = errors.New("the credential may not change devices")

// errKept is a node that was kept, because it is not as it was when that was planned.
var errKept = errors.New("it was kept")

// noAPI is why nothing can be changed where there is no credential.
func noAPI() error {
	return fleet.WithCure(errors.New("no key for Tailscale's API is configured"),
		"name one in [tailscale] of the configuration: api_key_file, or oauth_client_id with the scope devices:core")
}

// change does something by way of the API.
func (c *Control) change(ctx context.Context, do func(context.Context, *api.DevicesResource) error) error {
	if c.api == nil {
		return noAPI()
	}
	ctx, cancel := context.WithTimeout(ctx, controlAnswer)
	defer cancel()
	client, end, err := c.api.client(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = do(ctx, client.Devices())
	var status api.APIError
	switch {
	case err == nil, errors.Is(err, errKept):
		return err
	case errors.As(err, &status) && status.Status == http.StatusForbidden:
		return fleet.WithCure(fmt.Errorf("%s: %w", c.api.url.Host, ErrMayNot), "give it the scope devices:core, with write access")
	}
	why := c.api.explain(err)
	return fleet.WithCure(why, why.Help)
}

// Remove takes a node out of the tailnet. It is looked at once more before: one that
// came online meanwhile, or was seen since, is kept.
func (c *Control) Remove(ctx context.Context, n fleet.Node) error {
	if why := n.Keeps(); why != "" {
		return fmt.Errorf("%w: %s", errKept, why)
	}
	return c.change(ctx, func(ctx context.Context, devices *api.DevicesResource) error {
		now, err := devices.Get(ctx, n.ID)
		switch {
		case err != nil:
			return err
		case now.NodeID != n.ID:
			return fmt.Errorf("%w: the control plane has another node under its ID", errKept)
		case now.ConnectedToControl:
			return fmt.Errorf("%w: it came online", errKept)
		case now.IsExternal:
			return fmt.Errorf("%w: it is not of this tailnet", errKept)
		case now.LastSeen != nil && now.LastSeen.After(n.LastSeen.Add(time.Minute)):
			return fmt.Errorf("%w: it was seen since", errKept)
		}
		return devices.Delete(ctx, n.ID)
	})
}

// Rename gives a node another name.
func (c *Control) Rename(ctx context.Context, id, name string) error {
	return c.change(ctx, func(ctx context.Context, devices *api.DevicesResource) error { return devices.SetName(ctx, id, name) })
}
