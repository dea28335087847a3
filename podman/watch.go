package podman

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
)

// settleTime is how long events are gathered before they are told as one: a
// container that is replaced makes half a dozen.
const settleTime = 100 * time.Millisecond

// event is something that happened to a container.
type event struct {
	action string // "start", "died", "health_status", …; "": only now listening
	id     string
	health string // with health_status
}

// Errors of Watch that say why it must be begun again.
var errOthers = errors.New("the host has other container engines now")

// Watch calls changed when containers are created, start, end, are removed,
// paused or renamed, or become healthy or unhealthy: when Read would tell
// something new. It calls it once when it has begun to listen, because what
// happened before is not told, and at most every 100 ms.
//
// It watches the engines that answered the last Read, and returns when one of
// their streams breaks, when a Read finds other engines, or when the context
// ends. The caller tries again.
func (e *Engines) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	engines, others := e.there()
	if len(engines) == 0 {
		return errNotRead
	}
	happened := make(chan struct{}, 1)
	notice := func() {
		select {
		case happened <- struct{}{}:
		default:
		}
	}
	broken := make(chan error, len(engines))
	var wg sync.WaitGroup
	for _, eng := range engines {
		wg.Go(func() { broken <- eng.watch(ctx, notice) })
	}
	err := gather(ctx, happened, broken, others, changed)
	cancel()
	wg.Wait()
	return err
}

// gather calls changed for what happened until something ends it.
func gather(ctx context.Context, happened <-chan struct{}, broken <-chan error, others <-chan struct{}, changed func()) error {
	var wake <-chan time.Time
	for {
		select {
		case <-happened:
			if wake == nil {
				wake = time.After(settleTime)
			}
		case <-wake:
			wake = nil
			changed()
		case err := <-broken:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		case <-others:
			return errOthers
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch calls notice for every event that matters, until the stream breaks.
func (e *engine) watch(ctx context.Context, notice func()) error {
	api, err := e.connect(ctx, nil)
	if err != nil {
		return e.wrong(err)
	}
	err = api.events(ctx, func(event) { notice() })
	if errors.Is(err, errBusy) { // the list is still read regularly
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("the stream of events ended")
	}
	return e.wrong(err)
}

// telling are the events after which the list is another. health_status is
// among them only when the health is another: every health check emits one,
// and an exec_died.
var telling = []string{"create", "init", "start", "died", "stop", "remove", "pause", "unpause", "rename", "restart", healthStatus}

const healthStatus = "health_status"

// matters tells whether an event changes what list gives, and keeps the
// health it tells.
func (p *podmanAPI) matters(ev event) bool {
	if ev.action != healthStatus {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.health[ev.id]
	if p.health == nil {
		p.health = map[string]string{}
	}
	p.health[ev.id] = ev.health
	return !known || before != ev.health
}

// events follows GET /libpod/events, one JSON object a line.
func (p *podmanAPI) events(ctx context.Context, seen func(event)) error {
	want, _ := json.Marshal(map[string][]string{"type": {"container"}, "event": telling})
	body, err := p.open(flowing(ctx, lines), "/events", url.Values{"stream": {"true"}, "filters": {string(want)}})
	if err != nil {
		return err
	}
	defer body.Close()
	seen(event{})
	return messages(body, func(line []byte) error {
		ev, err := parseEvent(line)
		if err == nil && ev.action != "" && p.matters(ev) {
			seen(ev)
		}
		return err
	})
}

// messages calls do with every line of a stream until its end or an error.
func messages(r io.Reader, do func(line []byte) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 2*maxLine)          // the stream itself ends sooner
	for in.Scan() && in.Err() == nil { // with an error comes half a line
		if err := do(in.Bytes()); err != nil {
			return err
		}
	}
	return in.Err()
}

// parseEvent reads one event of GET /libpod/events, or the zero event where
// it is none that matters.
func parseEvent(b []byte) (event, error) {
	var in struct {
		Type, Action, HealthStatus string
		Actor                      struct{ ID string }
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return event{}, fmt.Errorf("this is no event: %w", jsonError(err))
	}
	if in.Type != "container" || !slices.Contains(telling, in.Action) {
		return event{}, nil
	}
	ev := event{action: in.Action, id: in.Actor.ID}
	if ev.action == healthStatus {
		ev.health = health("running", in.HealthStatus)
	}
	return ev, nil
}

// events follows Docker's events. It emits health_status only on changes.
func (d *dockerAPI) events(ctx context.Context, seen func(event)) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(flowing(ctx, lines))
	defer cancel()
	want := filters.NewArgs(filters.Arg("type", "container"))
	for _, a := range []string{"create", "start", "die", "stop", "destroy", "pause", "unpause", "rename", "restart", "health_status"} {
		want.Add("event", a)
	}
	in, errs := d.cli.Events(ctx, events.ListOptions{Filters: want})
	seen(event{})
	for {
		select {
		case ev := <-in:
			seen(event{action: string(ev.Action), id: ev.Actor.ID})
		case err := <-errs:
			return err
		}
	}
}
