package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adrg/xdg"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/discover"
	"github.com/sextant-fleet/sextant/fleet/history"
	"github.com/sextant-fleet/sextant/fleet/link"
	"github.com/sextant-fleet/sextant/fleet/services"
	"github.com/sextant-fleet/sextant/fleet/watch"
	"github.com/sextant-fleet/sextant/nixops"
	"github.com/sextant-fleet/sextant/podman"
)

// app is the product without its face: what finds hosts, reaches them, asks
// them, and remembers. Screens and commands stand on it.
type app struct {
	opts      options
	cfg       *discover.Config
	store     *fleet.Store
	history   *history.History // nil: nothing can be remembered
	links     *link.Dialer
	watcher   *watch.Watcher
	questions *watch.Questions
	readers   *readers
	outside   *services.Outside // in place of the public, in the demo
	finder    finder
	door      door   // to the tailnet
	flake     string // whose systems are the fleet's; "": none is known
	secretsIn string // the folder of the demo's secrets, in place of the flake's
	changed   changedFlake

	differences *nixops.Differences

	registries *podman.Registries
	failures   registryFailures
}

// openApp reads the configuration and what was known before; nothing is asked yet.
func openApp(o options) (*app, error) {
	cfg, err := discover.LoadConfig(o.config)
	if err == nil {
		err = checkUI(cfg.UI)
	}
	if err != nil {
		return nil, usageError{err}
	}
	a := newApp(o, cfg)
	if a.history, err = history.Open(filepath.Join(xdg.StateHome, "sextant")); err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "nothing will be remembered: " + err.Error()})
	}
	if a.history != nil {
		a.links.Remember, a.links.Remembered = a.history.Remember, a.history.Remembered
		a.recallRegistries()
		a.recallAcks()
	}
	a.finder, a.flake = newDiscovery(a), flakeOf(cfg)
	return a, nil
}

// flakeOf is the flake whose systems are the fleet's: the configuration's, or the
// one in this folder; "" where there is none.
func flakeOf(cfg *discover.Config) string {
	if ref := cfg.FlakeRef(); ref != "" {
		return ref
	}
	if _, err := os.Stat("flake.nix"); err == nil {
		return "."
	}
	return ""
}

// newApp makes an app that remembers nothing and finds nobody yet.
func newApp(o options, cfg *discover.Config) *app {
	a := &app{opts: o, cfg: cfg, store: fleet.NewStore(), readers: newReaders(cfg), differences: &nixops.Differences{}, registries: &podman.Registries{}}
	a.door = discover.NewControl(discover.Options{Config: cfg, TailscaleSocket: o.socket})
	a.questions = &watch.Questions{Store: a.store}
	a.store.SetMeant(cfg.MeantList())
	a.links = a.dialer()
	a.watcher = &watch.Watcher{
		Store: a.store, Links: a.links, Probe: a.readers.probe, Due: a.readers.due, Left: a.readers.forget,
		Collectors: a.readers.collectors(), Lives: a.readers.lives(),
	}
	return a
}

// dialer reaches hosts as this person's ssh would.
func (a *app) dialer() *link.Dialer {
	home, _ := os.UserHomeDir()
	dir := filepath.Join(home, ".ssh")
	return &link.Dialer{
		Asker: a.asker(), SSHDir: dir, AgentSocket: os.Getenv("SSH_AUTH_SOCK"),
		ConfigFiles: []string{filepath.Join(dir, "config"), "/etc/ssh/ssh_config"},
		KnownHosts:  []string{filepath.Join(dir, "known_hosts"), filepath.Join(dir, "known_hosts2"), "/etc/ssh/ssh_known_hosts"},
		Note:        a.store.Note, DialLimit: a.cfg.Deploy.Connect.Or(0),
		KeepAlive: a.cfg.Deploy.KeepAlive.Or(0), LostAfter: a.cfg.Deploy.LostAfter.Or(0),
		Find: func(name string) (fleet.Host, bool) {
			s, ok := a.store.Snapshot().Named(name)
			return s.Host, ok
		},
	}
}

// start finds and watches hosts after a while, until stop is called. The wait
// is before both: hosts that are remembered need not be found to be asked.
func (a *app) start(ctx context.Context, after time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-time.After(after):
			wg.Go(func() { a.watcher.Run(ctx) })
		case <-ctx.Done():
			return
		}
		if err := a.finder.follow(ctx, a.store.SetHosts); err != nil && ctx.Err() == nil {
			a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Error, Text: "finding hosts: " + err.Error()})
		}
	})
	wg.Go(func() { a.remember(ctx) })
	wg.Go(func() { a.followRepository(ctx) })
	wg.Go(func() { a.followSealed(ctx) })
	wg.Go(func() { a.followPublic(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// rememberEvery is how often what is known goes to disk while it changes.
const rememberEvery = time.Minute

// remember saves what is known, now and then and at the end.
func (a *app) remember(ctx context.Context) {
	if a.history == nil {
		return
	}
	saved := a.store.Snapshot().Version
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-time.After(rememberEvery):
			a.recallAcks() // another process may know more
		}
		if snap := a.store.Snapshot(); snap.Version != saved {
			saved = snap.Version
			a.save(snap)
		}
	}
}

// record writes down what was done to a host, or is begun there. What cannot be
// written is said; the host has its own record.
func (a *app) record(e fleet.Event) {
	a.store.Record(e)
	if a.history == nil {
		return
	}
	if err := a.history.Record(e); err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Error, Host: e.Host, Text: err.Error()})
	}
}

func (a *app) save(snap fleet.Snapshot) {
	if a.history == nil {
		return
	}
	err := a.history.Save(snap.Hosts)
	if ids := a.finder.identities(snap); ids != nil {
		err = errors.Join(err, a.history.SaveIdentities(ids))
	}
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "not remembered: " + err.Error()})
	}
}

func (a *app) close() {
	a.readers.close()
	a.links.Close()
	if a.history != nil {
		a.history.Close()
	}
}

// pick gives the states of the hosts that selectors name.
func (a *app) pick(sel []string) ([]fleet.State, error) {
	snap := a.store.Snapshot()
	hosts := make([]fleet.Host, len(snap.Hosts))
	for i, s := range snap.Hosts {
		hosts[i] = s.Placed()
	}
	picked, err := fleet.Select(hosts, sel)
	if err != nil {
		return nil, usageError{err}
	}
	var states []fleet.State
	for _, s := range snap.Hosts {
		if slices.ContainsFunc(picked, func(h fleet.Host) bool { return h.ID == s.Host.ID }) {
			states = append(states, s)
		}
	}
	return states, nil
}

// anew are the states of the same hosts as they are now, with what others raise of
// them: what they told may change whom a selector names, not who was asked.
func (a *app) anew(states []fleet.State) []fleet.State {
	var out []fleet.State
	snap := a.store.Snapshot()
	for _, s := range states {
		if now, ok := snap.Host(s.Host.ID); ok {
			out = append(out, now)
		}
	}
	return out
}

// hostsOf gives the hosts of states.
func hostsOf(states []fleet.State) []fleet.Host {
	hosts := make([]fleet.Host, len(states))
	for i, s := range states {
		hosts[i] = s.Host
	}
	return hosts
}

// scope is what a command wants asked of its hosts.
type scope func(watch.Collector) bool

func quick(c watch.Collector) bool    { return !c.Slow }
func everything(watch.Collector) bool { return true }
func probeOnly(watch.Collector) bool  { return false }
func only(name string) scope          { return func(c watch.Collector) bool { return c.Name == name } }

// nothing asks no host at all.
var nothing scope

// withHosts finds the hosts, asks those selected what is in scope, once, and
// hands their states on.
func withHosts(ctx context.Context, o options, sel []string, ask scope, then func(*app, []fleet.State) error) error {
	return withApp(o, func(a *app) error {
		a.recall()
		if err := a.find(ctx, false); err != nil {
			return err
		}
		states, err := a.pick(sel)
		if err != nil && slices.ContainsFunc(sel, func(s string) bool { return strings.HasPrefix(strings.TrimPrefix(s, "!"), "@") }) {
			if found := a.find(ctx, true); found != nil { // the flake has tags and tiers too, and answers slowly
				return found
			}
			states, err = a.pick(sel)
		}
		if snap := a.store.Snapshot(); len(snap.Hosts) == 0 {
			return nobody(snap.Sources, sel, err, func() error { return then(a, states) })
		}
		if err != nil {
			return err
		}
		if ask == nil {
			return then(a, states)
		}
		a.ask(ctx, states, ask)
		if ctx.Err() != nil {
			return errInterrupted // what was asked so far would be told as if it were all
		}
		return then(a, a.anew(states))
	})
}

// withApp opens the app for one command, and tells its messages at the end.
func withApp(o options, then func(*app) error) error {
	a, err := openApp(o)
	if err != nil {
		return err
	}
	defer a.close()
	err = then(a)
	for _, m := range a.store.Snapshot().Messages {
		if o.verbose || m.Level == fleet.Error {
			fmt.Fprintf(os.Stderr, "sextant: %s: %s %s\n", m.Level, m.Host, m.Text)
		}
	}
	return err
}

// ask asks the hosts once, for no longer than the time allowed. A host that
// has not answered by then is unknown, and says so.
func (a *app) ask(ctx context.Context, states []fleet.State, what scope) {
	late := fmt.Errorf("no answer within %s (--timeout)", a.opts.timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, a.opts.timeout, late)
	defer cancel()
	a.watcherFor(what).Once(ctx, hostsOf(states), true)
	a.save(a.store.Snapshot())
}

// askOpen asks for what a first look leaves open, and gives all states anew: for the
// deploys of those hosts whose newest one is not over or did not end well, as the probe
// has seen, and for what their monitoring servers raise where hosts have some.
func (a *app) askOpen(ctx context.Context, states []fleet.State) []fleet.State {
	var open, monitors []fleet.State
	for _, s := range states {
		if s.Inventory.Value.Unsettled() {
			open = append(open, s)
		}
		if services.HasMonitors(s) {
			monitors = append(monitors, s)
		}
	}
	var wg sync.WaitGroup
	for _, more := range []struct {
		of   []fleet.State
		what string
	}{{open, "deploys"}, {monitors, "monitors"}} {
		if len(more.of) > 0 {
			wg.Go(func() { a.ask(ctx, more.of, only(more.what)) })
		}
	}
	wg.Wait()
	return a.anew(states)
}

// watcherFor is the watcher with the collectors in scope.
func (a *app) watcherFor(what scope) *watch.Watcher {
	w := &watch.Watcher{Store: a.store, Links: a.links, Probe: a.readers.probe, Due: a.readers.due}
	for _, c := range a.watcher.Collectors {
		if what(c) {
			w.Collectors = append(w.Collectors, c)
		}
	}
	return w
}

// find waits until the sources have told who is there: those that answer at
// once, or all.
func (a *app) find(ctx context.Context, thorough bool) error {
	return a.finder.once(ctx, a.store.SetHosts, thorough)
}
