package podman

import (
	"context"
	"encoding/json"
	"maps"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
)

// restarts is how often Podman has restarted a container, and the run of which
// that was told: it does not change within one.
type restarts struct {
	started int64
	pid     int
	state   string
	n       int
}

// count fills in the restarts that the list does not tell (Podman before 4.4):
// each such container is asked by itself, once for each of its runs. ids are
// those of which something was heard: what is known of them is of before. What
// is not told soon enough stays unknown until the next list.
func (p *podmanAPI) count(ctx context.Context, rows []listed, list []fleet.Container, ids []string) {
	ctx, cancel := context.WithTimeout(ctx, imagePatience)
	defer cancel()
	p.mu.Lock()
	for _, id := range ids {
		delete(p.counts, id)
	}
	known := p.counts
	p.mu.Unlock()
	var mu sync.Mutex
	next, ask := map[string]restarts{}, []int{}
	for i, l := range rows {
		c := &list[i]
		was, ok := known[c.ID]
		switch {
		case c.Restarts != nil:
		case l.AutoRemove, l.StartedAt <= 0: // --rm goes with no restart policy; and who never began
			c.Restarts = new(int)
		case ok && was.started == l.StartedAt && was.pid == l.Pid && was.state == l.State:
			next[c.ID], c.Restarts = was, &was.n
		case containerID.MatchString(c.ID):
			ask = append(ask, i)
		}
	}
	each(len(ask), 3, func(k int) {
		i := ask[k]
		n, err := p.restartCount(ctx, list[i].ID)
		if err != nil {
			return // it is gone, or it takes too long
		}
		list[i].Restarts = &n
		mu.Lock()
		defer mu.Unlock()
		next[list[i].ID] = restarts{rows[i].StartedAt, rows[i].Pid, rows[i].State, n}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ids) == 0 {
		p.counts = next // those that are gone are forgotten
		return
	}
	if p.counts == nil {
		p.counts = map[string]restarts{}
	}
	maps.Copy(p.counts, next)
}

// restartCount asks GET /libpod/containers/ID/json.
func (p *podmanAPI) restartCount(ctx context.Context, id string) (int, error) {
	b, err := p.get(ctx, "/containers/%s/json", nil, id)
	if err != nil {
		return 0, err
	}
	var in struct{ RestartCount *int }
	switch err := json.Unmarshal(b, &in); {
	case err != nil:
		return 0, jsonError(err)
	case in.RestartCount == nil:
		return 0, errNotTold
	}
	return *in.RestartCount, nil
}
