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

	"github.com/sextant-fleet/sextant/fleet/link"
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

// Watch keeps what [Engines.Fact] tells live until the context ends, and calls
// changed whenever it tells something else or something newer: when containers
// are created, start, end, are removed, paused or renamed, or become healthy or
// unhealthy; when an engine answers no more, and when it does again. It calls it
// once when it has begun to listen, and at most every 100 ms for each engine.
//
// Of the engine in which something happened only the containers concerned are
// read again. It watches the engines that the last Read asked, and returns when
// a Read finds others: it is begun again then.
func (e *Engines) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	engines, others := e.there()
	if len(engines) == 0 {
		return ErrNotRead
	}
	var wg sync.WaitGroup
	var one sync.Mutex // changed is called by one at a time
	for _, eng := range engines {
		wg.Go(func() {
			eng.follow(ctx, func() {
				one.Lock()
				defer one.Unlock()
				changed()
			})
		})
	}
	defer wg.Wait()
	defer cancel()
	select {
	case <-others:
		return ErrOthers
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Errors of Watch that say why it must be begun again, after a Read.
var (
	ErrNotRead = errors.New("no container engine of this host is known yet")
	ErrOthers  = errors.New("the host has other container engines now")
)

// How an engine is followed.
const (
	retry     = 1500 * time.Millisecond // between tries to reach an engine that is away
	retryLate = 5 * time.Second         // and once it has been away for awayLong
	awayLong  = 2 * time.Minute
	restMax   = time.Minute      // between tries that cost more: a person's answer, or the whole list
	heartbeat = 30 * time.Second // after this time without a word it is asked whether it is there
	safety    = 30 * time.Minute // after this time the whole list is read, for what an event missed
	maxSome   = 20               // containers that are read by themselves; of more, the whole list is
)

// follow keeps the engine's list live until the context ends.
func (e *engine) follow(ctx context.Context, notice func()) {
	for at := (pacing{rest: retry}); ; {
		began := time.Now()
		e.listen(ctx, notice)
		if ctx.Err() != nil {
			return
		}
		e.disconnect()
		err := e.reading().err
		if err == nil { // the stream has ended; what about the engine?
			err = e.read(ctx, nil)
		}
		notice()
		select {
		case <-ctx.Done():
			return
		case <-time.After(at.pause(err, time.Since(began))):
		}
	}
}

// pacing is how long is waited before an engine is followed again.
type pacing struct {
	rest time.Duration // the next time, where a try costs more than a connection
	lost time.Time     // when the engine went away; zero: it is there
}

// pause is the next wait, after the engine was followed for so long and then
// told this error, or was there all the same (nil).
func (p *pacing) pause(err error, followed time.Duration) time.Duration {
	if err == nil || errors.Is(err, link.ErrNoRoot) {
		if p.lost = (time.Time{}); followed > restMax {
			p.rest = retry
		}
		now := p.rest
		p.rest = min(2*p.rest, restMax)
		return now
	}
	if p.rest = retry; p.lost.IsZero() {
		p.lost = time.Now()
	}
	if time.Since(p.lost) > awayLong {
		return retryLate
	}
	return retry
}

// listen follows the engine's events, and lists what they concern, until either
// fails.
func (e *engine) listen(ctx context.Context, notice func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	api, err := e.connect(ctx, nil)
	if err != nil {
		_ = e.fail(ctx, unreached{err})
		return
	}
	heard := &gathered{some: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer cancel() // ends the stream
		e.relist(ctx, api, heard, notice)
	})
	if err := api.events(ctx, heard.add); errors.Is(err, errBusy) { // it is read now and then
		heard.regularly(ctx)
	}
}

// relist lists what was heard of, until that fails; and after a while without a
// word asks whether the engine is still there.
func (e *engine) relist(ctx context.Context, api api, heard *gathered, notice func()) {
	for {
		select {
		case <-heard.some:
			select {
			case <-time.After(settleTime):
			case <-ctx.Done():
				return
			}
		case <-time.After(heartbeat):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		if e.relistOnce(ctx, api, heard) != nil {
			return
		}
		e.seen(began)
		notice()
	}
}

// relistOnce lists what was heard of since the last time; where nothing was, it
// only asks whether the engine is there.
func (e *engine) relistOnce(ctx context.Context, api api, heard *gathered) error {
	ids, whole := heard.take()
	switch {
	case whole || len(ids) > maxSome || time.Since(e.reading().whole) > safety:
		return e.read(ctx, nil)
	case len(ids) > 0:
		return e.renew(ctx, api, ids)
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return api.ping(ctx)
}

// gathered are the containers of which something was heard.
type gathered struct {
	mu    sync.Mutex
	ids   []string
	whole bool
	some  chan struct{} // holds one while there is something to take
}

func (g *gathered) add(ev event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !containerID.MatchString(ev.id): // it only listens now, or cannot be asked for
		g.whole = true
	case !slices.Contains(g.ids, ev.id) && len(g.ids) <= maxSome:
		g.ids = append(g.ids, ev.id)
	}
	select {
	case g.some <- struct{}{}:
	default:
	}
}

// regularly has the whole list read again and again.
func (g *gathered) regularly(ctx context.Context) {
	for {
		g.add(event{})
		select {
		case <-ctx.Done():
			return
		case <-time.After(heartbeat):
		}
	}
}

func (g *gathered) take() (ids []string, whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids, whole = g.ids, g.whole
	g.ids, g.whole = nil, false
	select {
	case <-g.some: // it is taken, all of it
	default:
	}
	return ids, whole
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
