package podman

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// reading is what one engine told.
type reading struct {
	engine *engine
	list   []fleet.Container
	at     time.Time // when it was told; zero: never
	whole  time.Time // when all of it was told at once
	err    error
	guess  bool // asked before a probe had seen the socket
}

// Read reads the containers of all engines of the host. Root's Podman is
// asked at once, unless the host is known to have none; probed waits for the
// host's probe and gives what it saw, which tells of the other engines and of why there may be none.
//
// Where one engine of several fails, the fact has both a value and an error:
// the value is what the others tell, with what the failed one last told, and
// as old as that is. Such a list is not whole, and not [fleet.Fact.Current].
func (e *Engines) Read(ctx context.Context, probed func(context.Context) (fleet.State, error)) fleet.Fact[[]fleet.Container] {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	early, known := make(chan reading, 1), make(chan struct{})
	if e.skipRoot() {
		early <- reading{engine: e.root, err: unreached{errNoSocket}, guess: true}
	} else {
		go func() { early <- e.read(ctx, e.root, known) }()
	}
	ahead := e.readAhead(ctx, known)
	state, probeErr := probed(ctx)
	close(known)
	if probeErr == nil && !state.Inventory.HasValue() {
		probeErr = errors.New(cmp.Or(state.Inventory.Err, "the host was not probed"))
	}
	all := e.readRest(ctx, state, probeErr == nil, early, ahead)
	e.keep(all, state, probeErr)
	return e.Fact()
}

// Fact is what is known of the containers now: what the engines told last,
// those that the last Read asked.
func (e *Engines) Fact() fleet.Fact[[]fleet.Container] {
	e.mu.Lock()
	engines, state, probeErr := slices.Clone(e.present), e.state, e.probeErr
	e.mu.Unlock()
	all := make([]reading, len(engines))
	for i, eng := range engines {
		all[i] = eng.reading()
	}
	return conclude(all, state, probeErr)
}

// readRest reads what the probe tells of, and takes in root's Podman.
func (e *Engines) readRest(ctx context.Context, state fleet.State, sure bool, early <-chan reading, ahead map[*engine]<-chan reading) []reading {
	if !sure { // nothing new is known: ask the same as before
		return e.unalias(ctx, append([]reading{<-early}, e.readAll(ctx, e.met(), ahead)...))
	}
	at := places(state)
	all := e.readAll(ctx, e.meet(at), ahead)
	there := slices.ContainsFunc(at, func(p place) bool { return p.path == rootSocket })
	root := <-early
	var un unreached
	switch {
	case root.err == nil || !errors.As(root.err, &un):
		all = append(all, root)
	case there && root.guess: // now the way is known
		all = append(all, e.read(ctx, e.root, nil))
	case hidden(state) && root.guess: // it may be there
		e.root.move(place{
			kind: kindPodman, user: rootUser, path: rootSocket, seen: true,
			login: state.Reach.Value.User, programs: state.Inventory.Value.Programs,
		})
		all = append(all, e.read(ctx, e.root, nil))
	case there, hidden(state):
		all = append(all, root)
	default: // what is not there does not fail
		e.mu.Lock()
		e.noRoot = true
		e.mu.Unlock()
	}
	return e.unalias(ctx, all)
}

// hidden tells whether root's Podman may be there unseen: its folder is closed
// to all but root, and the probe was not root.
func hidden(state fleet.State) bool {
	return state.System.HasValue() && state.System.Value.UID != 0 && state.Inventory.Value.Has("podman")
}

// skipRoot tells whether the last probe known of saw no socket of root's Podman; then
// nothing is guessed until a probe sees one.
func (e *Engines) skipRoot() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.noRoot
}

// unreached is an error of the way to an engine, not of the engine.
type unreached struct{ error }

// Unwrap gives the error itself.
func (u unreached) Unwrap() error { return u.error }

// errNoSocket is the reading of a socket that is not there.
var errNoSocket = errors.New("no socket")

// read reads one engine; where that fails, it gives what is last known.
func (e *Engines) read(ctx context.Context, eng *engine, known <-chan struct{}) reading {
	guess := !eng.where().seen
	err := eng.read(ctx, known)
	r := eng.reading()
	r.err, r.guess = err, guess
	return r
}

// readAhead asks the Podmans that have to be started for us, where an earlier run
// knew of some: starting one takes as long as a probe.
func (e *Engines) readAhead(ctx context.Context, known <-chan struct{}) map[*engine]<-chan reading {
	e.mu.Lock()
	expected := e.expected
	e.begun, e.expected = true, nil
	e.mu.Unlock()
	if len(expected) == 0 {
		return nil
	}
	ahead := map[*engine]<-chan reading{}
	for _, eng := range e.meet(expected) {
		told := make(chan reading, 1)
		go func() { told <- e.read(ctx, eng, known) }()
		ahead[eng] = told
	}
	return ahead
}

// readAll reads several engines at the same time. What was read ahead is not read
// again, unless that failed.
func (e *Engines) readAll(ctx context.Context, engines []*engine, ahead map[*engine]<-chan reading) []reading {
	out := make([]reading, len(engines))
	var wg sync.WaitGroup
	for i, eng := range engines {
		wg.Go(func() {
			if told := ahead[eng]; told != nil {
				if out[i] = <-told; out[i].err == nil {
					return
				}
			}
			out[i] = e.read(ctx, eng, nil)
		})
	}
	wg.Wait()
	return out
}

// unalias leaves out the sockets named after Docker behind which Podman
// listens (dockerSocket.enable) where that Podman was read by its own socket,
// and else reads it there.
func (e *Engines) unalias(ctx context.Context, all []reading) []reading {
	var out []reading
	for _, r := range all {
		if !errors.Is(r.err, errPodman) {
			out = append(out, r)
		}
	}
	own := slices.Clone(out)
	for _, r := range all {
		at := r.engine.where()
		read := slices.ContainsFunc(own, func(o reading) bool {
			o2 := o.engine.where()
			return o.err == nil && o2.kind == kindPodman && o2.user == at.user
		})
		if errors.Is(r.err, errPodman) && !read {
			r.engine.asPodman()
			out = append(out, e.read(ctx, r.engine, nil))
		}
	}
	return out
}

// conclude makes the fact of what all engines told.
func conclude(all []reading, state fleet.State, probeErr error) fleet.Fact[[]fleet.Container] {
	now := time.Now()
	slices.SortFunc(all, func(a, b reading) int { return a.engine.order(b.engine) })
	var wrong, source []string
	if probeErr != nil {
		wrong = append(wrong, "which container engines there are is not known: "+told{probeErr}.Error())
	}
	oldest, list := now, []fleet.Container{}
	known := false
	for _, r := range all {
		if r.err != nil && (probeErr == nil || !errors.As(r.err, &unreached{})) { // the host is off: once is enough
			wrong = append(wrong, r.engine.wrong(r.err).Error())
		}
		if r.at.IsZero() {
			continue
		}
		known = true
		source = append(source, r.engine.version())
		if r.at.Before(oldest) {
			oldest = r.at
		}
		list = append(list, r.list...)
	}
	if len(all) == 0 && probeErr == nil {
		return nothing(state, now)
	}
	f := fleet.Fact[[]fleet.Container]{Source: strings.Join(source, ", ")}
	if known {
		f.Value, f.At = tidy(list), oldest
	}
	if len(wrong) > 0 {
		f.Err, f.ErrAt = strings.Join(wrong, "; "), now
	}
	return f
}

// tidy sorts the list, root's first, and leaves out what two sockets told of.
func tidy(list []fleet.Container) []fleet.Container {
	seen := map[string]bool{}
	list = slices.DeleteFunc(list, func(c fleet.Container) bool {
		twice := c.ID != "" && seen[c.ID]
		seen[c.ID] = true
		return twice
	})
	sortContainers(list)
	return list
}

func sortContainers(list []fleet.Container) {
	slices.SortStableFunc(list, func(a, b fleet.Container) int {
		return cmp.Or(userOrder(a.User, b.User), cmp.Compare(a.Name, b.Name), -cmp.Compare(a.Engine, b.Engine))
	})
}

// userOrder puts root first.
func userOrder(a, b string) int {
	if (a == rootUser) != (b == rootUser) {
		if a == rootUser {
			return -1
		}
		return 1
	}
	return cmp.Compare(a, b)
}

// nothing says that there is no engine to ask, and what to do where there
// seems to be one without a socket.
func nothing(state fleet.State, now time.Time) fleet.Fact[[]fleet.Container] {
	inv := state.Inventory.Value
	nixos := state.System.HasValue() && state.System.Value.NixOS
	var err error
	switch {
	case inv.Has("podman") && nixos:
		err = errors.New("no Podman socket: set virtualisation.podman.enable = true, which starts podman.socket (a user's own: systemctl --user enable --now podman.socket)")
	case inv.Has("podman"):
		err = errors.New("no Podman socket: systemctl enable --now podman.socket")
	case inv.Has("docker"):
		err = errors.New("no Docker socket: docker.socket is not active")
	case nixos:
		return fleet.Nothing[[]fleet.Container]("no container engine: set virtualisation.podman.enable or virtualisation.docker.enable to have one", now, "probe")
	default:
		return fleet.Nothing[[]fleet.Container]("no container engine", now, "probe")
	}
	return fleet.Unknown[[]fleet.Container](err, now, "probe")
}

// closed says what to do about a socket that the login user may not open.
func closed(at place, err error) error {
	if !errors.Is(err, link.ErrNoRoot) || at.user != rootUser {
		return err
	}
	login := cmp.Or(at.login, "the login user")
	return fmt.Errorf("closed to %s: %w; or put %s in the group %s", login, err, login, at.kind)
}
