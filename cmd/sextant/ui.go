package main

import (
	"context"
	"slices"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/tui"
)

// actions are all that can be done, of every room.
func (a *app) actions() []fleet.Action { return a.actionsWith(a.deployer()) }

func (a *app) actionsWith(d *nixops.Deployer) []fleet.Action {
	return slices.Concat(
		d.Actions(), []fleet.Action{a.driftAction()},
		a.containerActions(d), a.copyActions(d), a.imageActions(d), a.imageHostActions(d), a.unitActions(d),
		a.backupActions(d), a.dnsActions(d),
		a.findingActions(), a.nodeActions(),
	)
}

// declared are the actions for their names and keys alone: nobody can do them.
func declared() []fleet.Action { return (&app{}).actionsWith(&nixops.Deployer{}) }

// firstFrame is how long hosts are not asked yet: what is remembered is drawn
// before logins take the processor.
const firstFrame = 50 * time.Millisecond

// runUI shows the terminal UI on what is remembered, and on what comes in.
func runUI(ctx context.Context, o options) error {
	if err := forPeople(o); err != nil {
		return err
	}
	o.interactive = true
	a, err := openApp(o)
	if err != nil {
		return err
	}
	defer a.close()
	a.recall()
	a.recallAudit()
	return a.show(ctx)
}

// recallAudit puts what was done from this machine into the store.
func (a *app) recallAudit() {
	if a.history == nil {
		return
	}
	events, err := a.history.Audit()
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: err.Error()})
	}
	a.store.Record(events...)
}

// recall puts what was known at the last end into the store.
func (a *app) recall() {
	if a.history == nil {
		return
	}
	states, err := a.history.Load()
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "not remembered: " + err.Error()})
	}
	a.store.Restore(states)
	f, err := a.history.Public()
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "not remembered: " + err.Error()})
	}
	a.store.SetPublic(f)
}

// show runs the UI with everything behind it, until the person leaves.
func (a *app) show(ctx context.Context) error {
	ui := a.cfg.UI
	keys, err := boundKeys(ui.Keys)
	if err != nil {
		return usageError{err}
	}
	stop := a.start(ctx, firstFrame)
	defer stop()
	return tui.Run(ctx, tui.Options{
		Store: a.store, Console: console{a}, Actions: a.actions(), Theme: ui.Theme, Glyphs: ui.Glyphs, Keys: keys,
		ReadOnly: a.readOnly(), NoMouse: ui.Mouse != nil && !*ui.Mouse, Version: version,
	})
}
