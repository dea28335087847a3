package podman

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Kinds of engine, as in [fleet.Container.Engine].
const (
	kindPodman = "podman"
	kindDocker = "docker"
)

// rootUser is who owns the system's engines.
const rootUser = "root"

// How long a host's engine is waited for.
const (
	dialPatience  = 10 * time.Second // to open a connection
	readPatience  = 20 * time.Second // to list everything; a laden host takes seconds
	imagePatience = 2 * time.Second  // for the images, once the containers are known
)

// errSilent is a socket that takes requests and does not answer.
var errSilent = fmt.Errorf("no answer within %s", readPatience)

// api is one kind of engine, spoken to over a wire.
type api interface {
	// list gives the containers with these IDs, or all where none is named,
	// running or not.
	list(ctx context.Context, ids []string) ([]fleet.Container, error)
	// ping tells whether somebody still answers.
	ping(ctx context.Context) error
	// events calls seen with every event that changes what list gives, after
	// one call with the zero event when it has begun to listen.
	events(ctx context.Context, seen func(event)) error
	// stats calls out with readings of these containers until it fails, or
	// gives nil when none of them is left.
	stats(ctx context.Context, ids []string, every time.Duration, out func([]fleet.ContainerStats)) error
	// logs opens a container's log; framed tells whether it is multiplexed.
	logs(ctx context.Context, id string, q logQuery) (body io.ReadCloser, framed bool, err error)
	// logDriver says where a container's log goes: "journald", "k8s-file", …
	logDriver(ctx context.Context, id string) (string, error)
	// inspect gives all that is told of a container, as JSON.
	inspect(ctx context.Context, id string) ([]byte, error)
	// top gives the processes of a container that runs, and what each column is.
	top(ctx context.Context, id string) (titles []string, rows [][]string, err error)
	// act does something to a container and waits until the engine has.
	act(ctx context.Context, verb Verb, id string) error
	imageAPI
	execer
	copier
	// shared gives the pods, networks and volumes, and who uses them.
	shared(ctx context.Context) (fleet.Shared, error)
}

// engine is one engine of the host and the connections to it.
type engine struct {
	link    link.Link
	streams chan struct{}   // places for streams through commands, all engines' together
	life    context.Context // ends when Engines is closed
	turn    chan struct{}   // holds who lists: what is told later is of later

	mu    sync.Mutex
	at    place
	alias bool  // Podman behind a socket named after Docker
	way   way   // how it is reached, while it is
	plea  *plea // a person is being asked
	wire  *wire // nil: not connected
	api   api
	last  []fleet.Container // what it last told
	lastT time.Time         // when; zero: never
	whole time.Time         // when it last told all of it
	err   error             // why it tells no more; nil: it did
}

// name is what an engine is called towards people.
func (e *engine) name() string {
	at := e.where()
	if at.kind == kindDocker {
		return "Docker"
	}
	if at.user == rootUser {
		return "Podman"
	}
	return at.user + "'s Podman"
}

func (e *engine) where() place {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at
}

// read lists the engine's containers and keeps them as the last known, or why
// they are not. known is closed when waiting for more knowledge of the way is
// over.
func (e *engine) read(ctx context.Context, known <-chan struct{}) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	began := time.Now()
	api, err := e.connect(ctx, known)
	if err != nil {
		return e.fail(ctx, unreached{err})
	}
	list, err := e.list(ctx, api, nil)
	if err != nil {
		return e.fail(ctx, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.lastT, e.whole, e.err = list, began, began, nil
	return nil
}

// renew lists only the containers with these IDs, in place of what is known of
// them: those that are gone are dropped.
func (e *engine) renew(ctx context.Context, api api, ids []string) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	began := time.Now()
	list, err := e.list(ctx, api, ids)
	if err != nil {
		return e.fail(ctx, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(e.last), func(c fleet.Container) bool { return slices.Contains(ids, c.ID) })
	list = slices.DeleteFunc(list, func(c fleet.Container) bool { return !slices.Contains(ids, c.ID) })
	e.last, e.lastT, e.err = slices.Concat(kept, list), began, nil
	return nil
}

// list asks for containers, says whose they are, and takes the connection back
// where that fails.
func (e *engine) list(ctx context.Context, api api, ids []string) ([]fleet.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	list, err := api.list(ctx, ids)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errSilent
		}
		if !e.disconnect().direct() { // which says only now that it does not work
			err = unreached{err}
		}
		return nil, err
	}
	sick(ctx, api, list)
	user := e.where().user
	for i := range list {
		list[i].User = user
		list[i].UserUnit = list[i].Unit != "" && user != rootUser // Join knows better
	}
	return list, nil
}

// enter takes the turn to list.
func (e *engine) enter(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *engine) leave() { <-e.turn }

// fail keeps why the engine tells nothing now, and gives it. That nobody wants to
// know any more says nothing about the engine.
func (e *engine) fail(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
	return err
}

// seen keeps that what is known is so now: events are told as they come, and
// somebody still answers.
func (e *engine) seen(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil && !e.lastT.IsZero() && at.After(e.lastT) {
		e.lastT = at
	}
}

// reading is what the engine told, as it stands now.
func (e *engine) reading() reading {
	e.mu.Lock()
	defer e.mu.Unlock()
	return reading{engine: e, list: slices.Clone(e.last), at: e.lastT, whole: e.whole, err: e.err}
}

// lastKnown is what the engine last told, and when.
func (e *engine) lastKnown() ([]fleet.Container, time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.last), e.lastT
}

// connect finds the way to the engine's socket and gives its API. The first
// connection is opened here and not by the HTTP clients, so that a closed
// socket is told apart from a bad answer, and costs one try.
func (e *engine) connect(ctx context.Context, known <-chan struct{}) (api, error) {
	e.mu.Lock()
	if e.api != nil {
		defer e.mu.Unlock()
		return e.api, nil
	}
	at := e.at
	e.mu.Unlock()
	conn, way, err := e.find(ctx, at, known)
	if err != nil {
		return nil, err
	}
	return e.attach(conn, way, at), nil
}

// attach makes the clients over a first connection.
func (e *engine) attach(conn net.Conn, way way, at place) api {
	// An open connection keeps Podman's service from ending on the host, so
	// none is kept for long. One through a command is a process there besides,
	// and takes one of the few sessions that sshd gives: one at a time.
	conns, idle := 4, 10*time.Second
	if !way.direct() {
		conns, idle = 1, 2*time.Second
	}
	if at.lent != nil { // to begin one costs a second's work there
		idle = 15 * time.Second
	}
	w := newWire(conn, func(ctx context.Context, stream bool) (net.Conn, error) {
		return e.redial(ctx, way, at.path, stream)
	}, conns, idle)
	var a api = newPodmanAPI(w, at.path)
	if at.kind == kindDocker {
		a = newDockerAPI(w)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.api != nil { // another was quicker
		w.close()
		return e.api
	}
	e.wire, e.api, e.way = w, a, way
	return a
}

// disconnect forgets the way, which may have changed, closes its connections,
// and gives it.
func (e *engine) disconnect() way {
	e.mu.Lock()
	w, before := e.wire, e.way
	if p := e.plea; p != nil && e.life.Err() != nil {
		e.plea = nil
		go func() { // it ends with life
			if <-p.done; p.conn != nil {
				p.conn.Close()
			}
		}()
	}
	e.wire, e.api, e.way = nil, nil, way{}
	e.mu.Unlock()
	if w != nil {
		w.close()
	}
	return before
}

// version is the engine with its version, for [fleet.Fact.Source].
func (e *engine) version() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wire == nil {
		return e.at.kind
	}
	return strings.TrimSpace(e.at.kind + " " + e.wire.version())
}

// wrong says which engine an error is of, and what can be done about it.
func (e *engine) wrong(err error) error {
	at := e.where()
	if at.lent != nil {
		return told{unlent(at, err)}
	}
	return told{fmt.Errorf("%s (%s): %w", e.name(), at.path, closed(at, err))}
}

// move takes over what a newer probe saw of the engine's place.
func (e *engine) move(at place) {
	e.mu.Lock()
	listens := e.at.lent != nil && at.lent == nil // by now
	if e.alias {
		at.kind = kindPodman
	}
	e.at = at
	e.mu.Unlock()
	if listens {
		e.disconnect()
	}
}

// asPodman keeps that Podman listens on this socket, whatever its name.
func (e *engine) asPodman() {
	e.mu.Lock()
	e.alias, e.at.kind = true, kindPodman
	e.mu.Unlock()
	e.disconnect()
}

// order sorts engines: root's first, Podman before Docker.
func (e *engine) order(o *engine) int {
	a, b := e.where(), o.where()
	return cmp.Or(userOrder(a.user, b.user), -cmp.Compare(a.kind, b.kind), cmp.Compare(a.path, b.path))
}
