package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/words"
)

// fresh is a snapshot and what it amounts to, which is worked out beside the
// event loop.
type fresh struct {
	snap  fleet.Snapshot
	fleet words.Fleet
}

// freshMsg brings a new snapshot.
type freshMsg fresh

// freshEvery is how often at most the screen follows the store. View runs
// after every message, so many changes must come as one.
const freshEvery = 75 * time.Millisecond

func look(store *fleet.Store, now time.Time) fresh {
	snap := store.Snapshot()
	return fresh{snap: snap, fleet: words.JudgeAll(snap.Hosts, now)}
}

// waitStore waits for the store to change. While a shell has the terminal the
// event loop stands still, and with it only this; those who write to the
// store never wait for us.
func (m *Model) waitStore() tea.Cmd {
	ctx, notice, store, now := m.ctx, m.notice, m.opts.Store, m.opts.Now
	return func() tea.Msg {
		select {
		case <-ctx.Done():
			return nil
		case <-notice:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(freshEvery):
		}
		select {
		case <-notice: // what came meanwhile is in the snapshot too
		default:
		}
		return freshMsg(look(store, now()))
	}
}

// fresh takes a new snapshot in and waits for the next.
func (m *Model) fresh(msg freshMsg) {
	m.take(fresh(msg))
	m.apply(m.nav.top().Fresh(m.c))
	m.tellNew()
	m.saw()
	m.later(m.waitStore())
}

func (m *Model) take(f fresh) { m.c.Snap, m.c.Fleet = f.snap, f.fleet }
