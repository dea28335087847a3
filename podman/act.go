package podman

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/docker/docker/api/types/container"
)

// Verb is what an engine does to a container.
type Verb string

// Verbs.
const (
	Start   Verb = "start"
	Stop    Verb = "stop" // SIGTERM, and SIGKILL after the container's own stop timeout
	Restart Verb = "restart"
	Kill    Verb = "kill" // SIGKILL
	Pause   Verb = "pause"
	Unpause Verb = "unpause"
	Remove  Verb = "remove" // only one that does not run
)

// Act does something to a container that was read before, and waits until the
// engine has. user is whose engine; "" is root's. Where a unit owns the container,
// act on the unit: systemd undoes the rest.
func (e *Engines) Act(ctx context.Context, verb Verb, name, user string) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	err := e.ask(ctx, name, user, func(api api, id string) error { return api.act(ctx, verb, id) })
	if err != nil {
		return fmt.Errorf("%s %s on %s: %w", verb, name, e.link.Host().Name, told{err})
	}
	return nil
}

// act sends POST /libpod/containers/ID/VERB. What is so already is no error (304).
func (p *podmanAPI) act(ctx context.Context, verb Verb, id string) error {
	method, endpoint, params := http.MethodPost, "/containers/%s/"+string(verb), url.Values{}
	if verb == Remove {
		method, endpoint = http.MethodDelete, "/containers/%s"
	}
	resp, err := p.conn.DoRequest(flowing(ctx, slow), nil, method, endpoint, params, nil, id)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.IsSuccess() || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return err
	}
	return refusal(resp.StatusCode, b)
}

func (d *dockerAPI) act(ctx context.Context, verb Verb, id string) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	ctx = flowing(ctx, slow)
	switch verb {
	case Start:
		return d.cli.ContainerStart(ctx, id, container.StartOptions{})
	case Stop:
		return d.cli.ContainerStop(ctx, id, container.StopOptions{})
	case Restart:
		return d.cli.ContainerRestart(ctx, id, container.StopOptions{})
	case Kill:
		return d.cli.ContainerKill(ctx, id, "KILL")
	case Pause:
		return d.cli.ContainerPause(ctx, id)
	case Unpause:
		return d.cli.ContainerUnpause(ctx, id)
	case Remove:
		return d.cli.ContainerRemove(ctx, id, container.RemoveOptions{})
	}
	return fmt.Errorf("an engine cannot %s a container", verb)
}
