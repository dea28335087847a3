package podman

import (
	"context"
	"slices"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxSick is how many containers that are not healthy are asked, each by itself
// while the list is read, what their check said.
const maxSick = 20

// Checks gives the containers with what the last run of their health check said,
// of those that have one. The list tells it only of those that are not healthy.
func (e *Engines) Checks(ctx context.Context, list []fleet.Container) []fleet.Container {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	list = slices.Clone(list)
	var ask []int
	for i, c := range list {
		if c.Health != "" && c.Check == nil {
			ask = append(ask, i)
		}
	}
	each(len(ask), 3, func(k int) {
		c := &list[ask[k]]
		_ = e.ask(ctx, c.ID, c.User, func(api api, id string) error { // what is not told stays unknown
			var err error
			c.Check, err = lastCheck(ctx, api, id)
			return err
		})
	})
	return list
}

// sick fills in what the checks of containers said that are not healthy. A list
// without it is better than none.
func sick(ctx context.Context, api api, list []fleet.Container) {
	ctx, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	var ask []int
	for i, c := range list {
		if c.Health != "" && c.Health != "healthy" && containerID.MatchString(c.ID) && len(ask) < maxSick {
			ask = append(ask, i)
		}
	}
	each(len(ask), 3, func(k int) {
		if run, err := lastCheck(ctx, api, list[ask[k]].ID); err == nil {
			list[ask[k]].Check = run
		}
	})
}

// lastCheck asks for the newest run of a container's health check; nil: there was
// none yet. What looks secret in what it said is hidden.
func lastCheck(ctx context.Context, api api, id string) (*fleet.HealthRun, error) {
	b, err := api.inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	d, err := parseInspect(b, veil{})
	if err != nil || d.Health == nil || len(d.Health.Runs) == 0 {
		return nil, err
	}
	return &d.Health.Runs[0], nil
}
