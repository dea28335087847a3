package podman

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/sextant-fleet/sextant/fleet"
)

// maxCommands is how many connections may be handed on through commands at once:
// of the ten sessions that sshd gives, two stay for questions and two for others.
const maxCommands = 6

// Forward is the way to one engine of the host, for programs of this machine that
// speak to it themselves. It is safe for concurrent use.
type Forward struct {
	eng    *engine
	places chan struct{} // for connections through commands
}

// Forward finds an engine among those that the last Read asked. kind is "podman"
// or "docker", and "" is Podman where there is one; user is whose it is, and "" is
// root, or who else has one where root has none and only one other does.
func (e *Engines) Forward(kind, user string) (*Forward, error) {
	engines, _ := e.there()
	if len(engines) == 0 {
		return nil, ErrNotRead
	}
	slices.SortFunc(engines, func(a, b *engine) int { return a.order(b) })
	fits := slices.DeleteFunc(slices.Clone(engines), func(eng *engine) bool {
		at := eng.where()
		return kind != "" && at.kind != kind || user != "" && at.user != user
	})
	var names, users []string
	for _, eng := range engines {
		names = append(names, eng.name())
	}
	for _, eng := range fits {
		if at := eng.where(); !slices.Contains(users, at.user) {
			users = append(users, at.user)
		}
	}
	switch {
	case len(fits) == 0:
		return nil, fleet.WithCure(fmt.Errorf("%s has no such engine", e.link.Host().Name), "there is "+strings.Join(names, ", "))
	case len(users) > 1 && users[0] != rootUser:
		return nil, fleet.WithCure(fmt.Errorf("%s each have an engine on %s", strings.Join(users, " and "), e.link.Host().Name), "say whose is meant: --user "+users[0])
	}
	return &Forward{eng: fits[0], places: make(chan struct{}, maxCommands)}, nil
}

// Kind is "podman" or "docker".
func (f *Forward) Kind() string { return f.eng.where().kind }

// User is whose engine it is.
func (f *Forward) User() string { return f.eng.where().user }

// Engine is the engine in words, with its version once it has answered: "podman 5.4.2".
func (f *Forward) Engine() string { return f.eng.version() }

// Dial opens a connection to the engine. Where the way that is known does not
// work any more, it is looked for anew: the connection to the host may have been
// lost, and who may open the socket may have changed.
func (f *Forward) Dial(ctx context.Context) (net.Conn, error) {
	for again := false; ; again = true {
		conn, err := f.dial(ctx)
		if err == nil {
			return conn, nil
		}
		if again || ctx.Err() != nil {
			return nil, f.eng.wrong(err)
		}
		f.eng.disconnect()
	}
}

func (f *Forward) dial(ctx context.Context) (net.Conn, error) {
	e := f.eng
	if _, err := e.connect(ctx, nil); err != nil {
		return nil, err
	}
	e.mu.Lock()
	w, way, path := e.wire, e.way, e.at.path
	e.mu.Unlock()
	if w == nil { // it was lost just now
		return nil, errBrokenOff
	}
	release := func() {}
	if !way.direct() {
		soon, cancel := context.WithTimeout(ctx, dialPatience)
		defer cancel()
		select {
		case f.places <- struct{}{}:
		case <-soon.Done():
			return nil, errBusy
		}
		release = sync.OnceFunc(func() { <-f.places })
	}
	conn, err := w.fresh(), error(nil)
	if conn == nil {
		conn, err = e.redial(ctx, way, path, false)
	}
	if err != nil {
		release()
		return nil, err
	}
	return &counted{Conn: conn, release: release}, nil
}
