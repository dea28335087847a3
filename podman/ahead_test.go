package podman

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// withBea is a host where bea has containers and no podman.socket.
func withBea(s fleet.State) fleet.State {
	s.Inventory.Value.Rootless = []fleet.Rootless{{User: "bea", Home: "/home/bea", Runtime: "/run/user/1001"}}
	return s
}

// TestAPodmanThatMustBeStartedIsAskedBeforeTheProbeIsDone, where an earlier run knew
// of it, and once.
func TestAPodmanThatMustBeStartedIsAskedBeforeTheProbeIsDone(t *testing.T) {
	h := newHost(t)
	root, bea := newPodman(t, "5.4.2"), newPodman(t, "4.3.1")
	h.sockets[rootSocket], h.sockets["lent by bea"] = root, bea
	e := h.engines()
	e.Expect(withBea(state(rootSock)))
	f := e.Read(t.Context(), func(context.Context) (fleet.State, error) {
		for range 500 {
			if bea.count("/containers/json") > 0 {
				return withBea(state(rootSock)), nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		return fleet.State{}, errors.New("bea's Podman was not asked")
	})
	if !f.Current() || !slices.ContainsFunc(f.Value, func(c fleet.Container) bool { return c.User == "bea" }) {
		t.Fatalf("%q %q", names(f.Value), f.Err)
	}
	if n := bea.count("/containers/json"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestWhatWasExpectedWronglyIsNotTold: bea has no containers any more.
func TestWhatWasExpectedWronglyIsNotTold(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket], h.mute["lent by bea"] = newPodman(t, "5.4.2"), true
	e := h.engines()
	e.Expect(withBea(state(rootSock)))
	if f := read(t, e, state(rootSock)); !f.Current() || names(f.Value) != lab {
		t.Errorf("%q %q", names(f.Value), f.Err)
	}
}

// TestNoEngineIsLookedForWhereThereWasNone: on hosts where a command stands between,
// that would be a whole session each time. One that is there by now is read.
func TestNoEngineIsLookedForWhereThereWasNone(t *testing.T) {
	h := newHost(t)
	h.sockets[rootSocket] = newPodman(t, "5.4.2")
	e := h.engines()
	e.Expect(state())
	f := e.Read(t.Context(), func(context.Context) (fleet.State, error) {
		time.Sleep(50 * time.Millisecond)
		if d := h.dialled(); len(d) > 0 {
			t.Errorf("before the probe was done: %q", d)
		}
		return state(rootSock), nil
	})
	if !f.Current() || names(f.Value) != lab {
		t.Errorf("%q %q", names(f.Value), f.Err)
	}
}
