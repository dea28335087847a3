package nixops

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// Confirmation is who says that a deploy is well.
type Confirmation string

// Confirmations.
const (
	ConfirmAuto Confirmation = "auto" // the checks alone, when they find nothing; else a person is asked
	ConfirmAsk  Confirmation = "ask"  // a person, always
	ConfirmNone Confirmation = "none" // somebody else, from elsewhere: we leave when it waits
	ConfirmElse Confirmation = "else" // somebody else: we stay and look on
)

// Change is one change of a host's system.
type Change struct {
	Kind     string         // "deploy" or "rollback"
	Action   string         // "switch" (also "" ), "boot" or "test"
	To       fleet.Toplevel // Generation 0: it becomes a new generation
	Run      string         // the specialisation of To to activate, a store path; "": To itself
	As       string         // the host name of a toplevel that is of another host, typed by a person
	Confirm  Confirmation
	Limits   Limits
	Reboot   bool // allowed as the last step back
	Revision string
}

// Deployer changes systems of hosts, under guard.
type Deployer struct {
	Links  *link.Dialer
	Ask    link.Asker // nil: nobody can be asked
	Who    string     // the person, and the machine, for the hosts' own records
	Client string
	Limits Limits // where a change sets none

	// Lasting is how long the checks must have found something, without a look that
	// found nothing, before a person is asked about it. 0: 10 s; never more than a
	// quarter of the time that a host waits, so that there is time to answer.
	Lasting time.Duration

	MayReboot bool // hosts may be restarted as the last step back
	NeverHere bool // nothing is built on this machine

	// Show is told how far what is done to a host is; with no state that it is over.
	// May be nil.
	Show func(fleet.Host, fleet.Doing)

	Differences *Differences
	Flake       Flake // what is deployed on a key, where nothing else is typed; Ref "": none is known
	// Fleet gives the hosts that can be built on, by name. nil: none.
	Fleet func() fleet.Snapshot
	// Broken names the containers of a host that are broken now, each with how.
	// nil: containers are not looked at.
	Broken func(context.Context, fleet.Host) ([]string, error)
	// Record writes down what is done to a host: when it begins, and again, with
	// the same ID, how it ended. nil: nothing is written down here.
	Record func(fleet.Event)
	// Learn is told which system a commit of the flake declares for each
	// attribute, where that was built. May be nil.
	Learn func(revision string, systems map[string]string)

	paces paces

	mu       sync.Mutex
	prepared map[string]*planned // by the hosts a plan was made for, until it is run or declined
}

// paces are how often a host is asked, and how long it is waited for.
type paces struct {
	poll   time.Duration // while a deploy is under way
	soon   time.Duration // between the first looks at a host that waits
	look   time.Duration // between those that follow
	settle time.Duration // between two looks that both must find nothing
	lost   time.Duration // a host that cannot be reached is tried for so long beyond its own limits
	begin  time.Duration // for a deploy to be there of which it was not heard that it began
}

var usual = paces{
	poll: 200 * time.Millisecond, soon: time.Second, look: 2 * time.Second, settle: 3 * time.Second, lost: time.Minute, begin: 10 * time.Second,
}

// Progress is how a change is getting on.
type Progress struct {
	Deploy fleet.Deploy
	Line   string // something to tell; "" only the state has changed
}

// Do changes a host's system and follows it to its end, or until ctx ends: then
// the host goes on, and back by itself unless somebody confirms. The error is
// for what was not even begun, or can no longer be told.
func (d *Deployer) Do(ctx context.Context, h fleet.Host, c Change, tell func(Progress)) (fleet.Deploy, error) {
	began := time.Now()
	dep, err := d.do(ctx, h, c, tell)
	d.over(h, c, began, dep, err)
	return dep, err
}

func (d *Deployer) do(ctx context.Context, h fleet.Host, c Change, tell func(Progress)) (fleet.Deploy, error) {
	l := d.Links.Open(h)
	if err := asRoot(ctx, l); errors.Is(err, link.ErrNoRoot) {
		return fleet.Deploy{State: fleet.Refused, Why: err.Error()}, err
	} else if err != nil {
		return fleet.Deploy{}, err
	}
	c.Limits = c.Limits.under(d.Limits)
	p, err := look(ctx, l, c.To.Path, c.Limits)
	if err != nil {
		return fleet.Deploy{}, err
	}
	if c.Action == "" {
		c.Action = "switch"
	}
	if no := p.refusal(h, c); no != nil {
		return fleet.Deploy{State: fleet.Refused, Why: no.Why}, no
	}
	c.Run = cmp.Or(c.Run, p.Run)
	r := request{
		id: time.Now().UTC().Format("20060102T150405") + "-" + strings.ToLower(rand.Text()[:6]), nonce: rand.Text(),
		kind: c.Kind, action: c.Action, to: c.To, run: c.Run, limits: p.window(c.Limits), reboot: c.Reboot || d.MayReboot,
		who: d.Who, client: d.Client, revision: c.Revision,
	}
	f := d.follower(h, c, tell)
	f.kept.Checks = h.Checks
	for _, line := range slices.Concat(p.tellSpecial(), p.tellWays()) {
		f.tell(Progress{Line: line})
	}
	if len(p.Pull) > 0 {
		f.tell(Progress{Line: strings.Join(p.Pull, ", ") + " deploys to this host by itself: stop it, or it may undo this"})
	}
	if d.Broken != nil {
		f.kept.Broken, err = d.Broken(ctx, h)
		if f.kept.Unread = err != nil; f.kept.Unread {
			f.tell(Progress{Line: "containers cannot be read before: those that are broken after count, and that they cannot be read does not: " + err.Error()})
		}
	}
	r.kept, f.nonce = f.kept, r.nonce
	err = stage(ctx, l, r)
	var no *Refusal
	if errors.As(err, &no) {
		return fleet.Deploy{ID: r.id, State: fleet.Refused, Why: no.Why}, no
	}
	// Any other error says nothing of the host, where it may have begun: that it is asked.
	f.unsure = err
	d.begun(h, r)
	return f.follow(ctx, r.id)
}

// Attach follows a deploy that is under way, whoever began it; "" is the newest.
func (d *Deployer) Attach(ctx context.Context, h fleet.Host, id string, confirm Confirmation, tell func(Progress)) (fleet.Deploy, error) {
	dep, nonce, kept, err := d.find(ctx, h, id)
	if err != nil {
		return dep, err
	}
	f := d.follower(h, Change{Kind: dep.Kind, Confirm: confirm, Limits: d.Limits}, tell)
	f.nonce, f.kept = nonce, kept
	return f.follow(ctx, dep.ID)
}

// Confirm makes what waits on a host its default, over a connection that is
// made for it: that the host can be reached is what it proves.
func (d *Deployer) Confirm(ctx context.Context, h fleet.Host, id string) (Answer, error) {
	return d.answer(ctx, h, "confirm", id)
}

// Cancel sends a host back to the system before.
func (d *Deployer) Cancel(ctx context.Context, h fleet.Host, id string) (Answer, error) {
	return d.answer(ctx, h, "cancel", id)
}

// Extend gives a host more time from now on until it goes back by itself.
func (d *Deployer) Extend(ctx context.Context, h fleet.Host, id string, by time.Duration) error {
	dep, _, _, err := d.find(ctx, h, id)
	if err != nil {
		return err
	}
	_, err = guard(ctx, d.Links.Open(h), "extend", dep.ID, fmt.Sprint(int(by.Seconds())))
	d.answered(h, dep, "extend", Answer{Taken: true}, err)
	return err
}

func (d *Deployer) answer(ctx context.Context, h fleet.Host, word, id string) (Answer, error) {
	dep, nonce, _, err := d.find(ctx, h, id)
	if err != nil {
		return Answer{}, err
	}
	if id == "" && dep.State.Over() && !dep.Unsettled {
		return Answer{}, &Refusal{Host: h.Name, Why: "no deploy is under way; the newest, " + dep.From.Of(h.Name) + " to " + dep.To.Of(h.Name) + ", is over since " + dep.Changed.Local().Format("2006-01-02 15:04") + ": " + string(dep.State)}
	}
	l := d.Links.Apart(h)
	defer l.Close()
	var findings []string
	if word == "confirm" && dep.State == fleet.Awaiting { // a person accepts what is worse; one that cannot look says so all the same
		if findings, err = check(ctx, l, dep.ID); err != nil {
			findings = []string{"what is worse could not be told: " + err.Error()}
		}
	}
	a, err := reply(ctx, l, word, dep.ID, nonce, d.by())
	a.Findings = findings
	d.answered(h, dep, word, a, err)
	return a, err
}

func (d *Deployer) by() string { return d.Who + "@" + d.Client }

// find reads one deploy of a host: the one named, or the newest.
func (d *Deployer) find(ctx context.Context, h fleet.Host, id string) (fleet.Deploy, string, kept, error) {
	got, err := list(ctx, d.Links.Open(h), id, 0)
	if err != nil {
		return fleet.Deploy{}, "", kept{}, err
	}
	if len(got.Deploys) == 0 {
		return fleet.Deploy{}, "", kept{}, &Refusal{Host: h.Name, Why: "it knows of no deploy" + map[bool]string{true: "s", false: " " + id}[id == ""]}
	}
	dep := got.Deploys[0]
	k, ok := got.kept[dep.ID]
	if !ok {
		k.Checks = h.Checks
	}
	return dep, got.nonces[dep.ID], k, nil
}

func (d *Deployer) follower(h fleet.Host, c Change, tell func(Progress)) *follower {
	if tell == nil {
		tell = func(Progress) {}
	}
	at := d.paces
	if at == (paces{}) {
		at = usual
	}
	return &follower{d: d, host: h, change: c, tell: tell, at: at}
}

// follower stays with a deploy.
type follower struct {
	d      *Deployer
	host   fleet.Host
	change Change
	tell   func(Progress)
	at     paces
	nonce  string

	last   fleet.Deploy
	told   fleet.Deploy      // as it was told last, by its log or its state
	part   string            // the beginning of a line of its log
	known  fleet.DeployState // the host's own, when it last answered
	offset int64
	heard  time.Time // when the host last answered
	first  time.Time // when the host first answered that it knows of no such deploy
	silent string    // why the host did not answer when it was last asked; "": it did
	kept   kept      // what is known from before it began
	unsure error     // why it is not known whether it began; nil: it did
	fresh  link.Link // the connection made since it waits
	watch  watch     // of a host that waits
}

// follow reads the deploy again and again until it is over.
func (f *follower) follow(ctx context.Context, id string) (fleet.Deploy, error) {
	defer f.leave()
	tell, shown := f.tell, f.d.shows(f.host, f.change.Kind, fleet.Staged)
	defer shown.over()
	f.tell = func(p Progress) {
		shown.progress(p)
		tell(p)
	}
	f.heard = time.Now()
	f.last, f.known = fleet.Deploy{ID: id, State: fleet.Staged}, fleet.Staged
	f.told = f.last
	for {
		if over, err := f.turn(ctx, id); over || err != nil {
			return f.last, err
		}
		select {
		case <-ctx.Done():
			return f.last, fmt.Errorf("%s: no longer followed: %w; the host goes on by itself: sextant attach %s", f.host.Name, context.Cause(ctx), f.host.Name)
		case got := <-f.watch.got:
			f.judge(ctx, got)
		case word := <-f.watch.decided:
			f.watch.hear(word)
		case <-time.After(f.at.poll):
		}
	}
}

// leave lets go of what was held for the deploy.
func (f *follower) leave() {
	f.watch.end()
	if f.fresh != nil {
		f.fresh.Close()
	}
}

// turn asks the host once.
func (f *follower) turn(ctx context.Context, id string) (over bool, err error) {
	got, err := list(ctx, f.link(), id, f.offset)
	if err != nil {
		return f.missed(ctx, err)
	}
	f.heard, f.silent = time.Now(), ""
	if len(got.Deploys) == 0 {
		return f.absent(id)
	}
	f.unsure = nil
	f.offset += int64(len(got.Log))
	behind := len(got.Log) > 0 && f.offset < got.LogSize // of a long log a part is read at a time
	before := f.last
	f.last = got.Deploys[0]
	f.last.Findings, f.known = before.Findings, f.last.State
	told := f.say(got.Log, behind)
	if behind {
		return false, nil
	}
	if !told || f.last.State.Over() { // a log is read after the state, and may be ahead of it
		f.state(f.last)
	}
	switch {
	case f.last.State.Over():
		return true, nil
	case f.last.State == fleet.Awaiting && f.change.Confirm == ConfirmNone:
		return true, nil
	case f.last.State != fleet.Awaiting:
		f.watch.end()
	case f.change.Confirm != ConfirmElse:
		f.waiting(ctx)
	}
	return false, nil
}

// absent is a deploy that the host does not know. One of which it was not heard that
// it began may still be beginning.
func (f *follower) absent(id string) (bool, error) {
	switch {
	case f.unsure == nil:
		return true, fmt.Errorf("%s: deploy %s is no longer there", f.host.Name, id)
	case f.first.IsZero():
		f.first = time.Now()
	case time.Since(f.first) > f.at.begin:
		f.last.State, f.last.Why = fleet.Refused, f.unsure.Error()
		return true, &Refusal{Host: f.host.Name, Why: "it did not begin: " + f.unsure.Error()}
	}
	return false, nil
}

// link is the connection that is used: a new one from when the host waits on.
func (f *follower) link() link.Link {
	if f.fresh != nil {
		return f.fresh
	}
	return f.d.Links.Open(f.host)
}

// missed is a host that does not answer: that says nothing about the deploy, which
// goes on there, and what was found before says nothing of it any more. It is given
// up long after its own limits have passed.
func (f *follower) missed(ctx context.Context, err error) (bool, error) {
	var no *Refusal
	if errors.As(err, &no) {
		return true, err
	}
	f.watch.forget()
	if f.silent != err.Error() {
		f.silent = err.Error()
		f.last.Why = f.silent
		f.told = f.unknown()
		f.tell(Progress{Deploy: f.unknown(), Line: "not reachable just now: " + f.silent})
	}
	if ctx.Err() == nil && time.Since(f.heard) > f.patience() {
		f.last = f.unknown()
		return true, fmt.Errorf("%s has not answered for %s: %w", f.host.Name, time.Since(f.heard).Round(time.Second), err)
	}
	return false, nil
}

// patience is how long the host may take to come to an end by itself, from when it
// last answered.
func (f *follower) patience() time.Duration {
	c := f.change.Limits.or()
	if !f.last.Deadline.IsZero() {
		return f.at.lost + max(0, f.last.Deadline.Sub(f.heard)) + c.RollBack
	}
	switch f.known {
	case fleet.Staged, fleet.Activating:
		return f.at.lost + c.Activation + max(c.Confirm, longConfirm) + c.RollBack
	case fleet.Committing:
		return f.at.lost + c.Commit + c.RollBack
	}
	return f.at.lost + c.RollBack
}

func (f *follower) unknown() fleet.Deploy {
	d := f.last
	d.State = fleet.Unreachable
	return d
}

// maxLine is how much of a line of the log is waited for, in bytes.
const maxLine = 64 << 10

// say tells the lines of the log, and the states where they stand between them; told is
// whether there were any. What else the guard notes there for itself is not told; nor is an end: what is activated
// writes into the same log.
func (f *follower) say(log []byte, behind bool) (told bool) {
	text := f.part + string(log)
	f.part = ""
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") && (behind || !f.last.State.Over()) && len(line) < maxLine {
			f.part = line
			break
		}
		note, own := strings.CutPrefix(line, "== ")
		word, why, _ := strings.Cut(strings.TrimSpace(fleet.Clean(note)), " ")
		switch {
		case own && fleet.DeployState(word).UnderWay():
			is := f.last
			is.State, is.Why = fleet.DeployState(word), why
			f.state(is)
			told = true
		case own:
		default:
			if line = strings.TrimSpace(fleet.Clean(line)); line != "" {
				f.tell(Progress{Deploy: f.told, Line: line})
			}
		}
	}
	return told
}

// state tells the state of the deploy, where it is another one than was told last.
func (f *follower) state(is fleet.Deploy) {
	if is.Why = strings.TrimSpace(is.Why); is.State != f.told.State || is.Why != f.told.Why {
		f.tell(Progress{Deploy: is})
	}
	f.told = is
}
