package nixops

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// finding is one thing that is worse on a host than before.
type finding struct {
	of  string // what: "web.service failed"; it stays the same while that lasts
	how string // more of it, which may be another with each look; may be ""
}

func (f finding) String() string { return strings.TrimSuffix(f.of+": "+f.how, ": ") }

// texts are findings as they are told.
func texts(findings []finding) []string {
	var out []string
	for _, x := range findings {
		out = append(out, x.String())
	}
	return out
}

// watch is what is known of a host that waits, and what is done about it.
type watch struct {
	looks    int            // so many have ended
	next     time.Time      // when the next begins
	began    time.Time      // when the last one did
	got      chan []finding // of the one under way; nil: none is
	stop     context.CancelFunc
	busy     sync.WaitGroup
	green    time.Time            // since when all looks found nothing; zero: the last one did not
	red      time.Time            // since when all looks found something; zero: the last one did not
	findings []finding            // of the last look
	since    map[string]time.Time // since when each of them is there, by what it is

	lasting  time.Duration   // from when on a finding is asked about
	asked    map[string]bool // what the last question told of; nil: nothing was asked yet
	open     bool            // that question waits for its answer
	decided  chan string     // that answer; "": none is given
	withdraw context.CancelFunc

	word     string // the answer to the host, until it has it: "confirm" or "cancel"
	byChecks bool   // nobody has said that word, the looks did
	answered bool   // the host has it, or refuses it
}

// end lets go of what is under way: the host waits no longer, or nobody follows it.
func (w *watch) end() {
	w.takeBack()
	w.endLook()
}

func (w *watch) endLook() {
	if w.stop != nil {
		w.stop()
		w.busy.Wait()
	}
	w.got, w.stop = nil, nil
}

// takeBack takes back a question that is no longer anybody's.
func (w *watch) takeBack() {
	if w.withdraw != nil {
		w.withdraw()
	}
	w.open, w.decided, w.withdraw = false, nil, nil
}

// hear takes what a person has said; "" leaves it to the looks, and to the host.
func (w *watch) hear(word string) {
	w.takeBack()
	w.word = word
}

// forget begins anew to see what lasts: the host was out of sight.
func (w *watch) forget() {
	w.green, w.red, w.since = time.Time{}, time.Time{}, nil
	if w.byChecks {
		w.word, w.byChecks = "", false
	}
}

// take takes in what a look found, and tells whether that is other than before. What
// it found was there since it began, as one that takes its time has waited for it.
func (w *watch) take(found []finding, now time.Time) (changed bool) {
	before := w.since
	w.looks++
	w.findings, w.since = found, map[string]time.Time{}
	for _, x := range found {
		at, known := before[x.of]
		if !known {
			at, changed = w.began, true
		}
		w.since[x.of] = at
	}
	switch {
	case len(found) == 0 && w.green.IsZero():
		w.green, w.red = now, time.Time{}
	case len(found) > 0 && w.red.IsZero():
		w.green, w.red = time.Time{}, w.began
	}
	return changed || len(w.since) != len(before)
}

// news tells whether something has lasted that the last question did not tell of.
func (w *watch) news(now time.Time) bool {
	return slices.ContainsFunc(w.findings, func(x finding) bool { return !w.asked[x.of] && now.Sub(w.since[x.of]) >= w.lasting })
}

// firstLooks are those that follow each other sooner: much of what an activation
// leaves behind is gone after seconds.
const firstLooks = 5

// plan sets when the next look begins, and tells whether none is needed any more:
// all was well for long enough.
func (w *watch) plan(at paces, now time.Time) (settled bool) {
	w.next = now.Add(at.look)
	if w.looks < firstLooks {
		w.next = now.Add(at.soon)
	}
	if w.green.IsZero() {
		return false
	}
	sure := w.green.Add(at.settle)
	if sure.After(now) && sure.Before(w.next) {
		w.next = sure
	}
	return !now.Before(sure) && w.looks > 1
}

// waiting reaches the host anew and has it looked at again and again, until it is
// answered.
func (f *follower) waiting(ctx context.Context) {
	w := &f.watch
	if f.fresh == nil {
		f.fresh = f.d.Links.Apart(f.host)
		w.lasting = cmp.Or(f.d.Lasting, 10*time.Second)
		if until := f.last.Deadline; !until.IsZero() {
			w.lasting = min(w.lasting, max(0, time.Until(until)/4))
		}
	}
	switch {
	case w.answered:
	case w.word != "":
		w.end()
		f.reply(ctx)
	case w.got == nil && !time.Now().Before(w.next):
		f.look(ctx)
	}
}

// look begins a look at the host. It is not waited for: a person's answer, or the
// end of it all, may come before its own.
func (f *follower) look(ctx context.Context) {
	ctx, f.watch.stop = context.WithCancel(ctx)
	got, l, id := make(chan []finding, 1), f.fresh, f.last.ID
	f.watch.got, f.watch.began = got, time.Now()
	f.watch.busy.Go(func() {
		if found := f.worse(ctx, l, id); ctx.Err() == nil {
			got <- found
		}
	})
}

// judge makes of a look what is to be made of it: the host is confirmed, a person is
// asked, or it is looked at once more.
func (f *follower) judge(ctx context.Context, found []finding) {
	w, now := &f.watch, time.Now()
	w.endLook()
	wasRed := !w.red.IsZero()
	changed := w.take(found, now)
	f.last.Findings = texts(found)
	settled := w.plan(f.at, now)
	switch {
	case len(found) > 0 && changed:
		f.note("found: " + strings.Join(f.last.Findings, ", ") + "; looking again")
	case len(found) == 0 && wasRed:
		f.note("what was found is gone; looking once more")
	case len(found) == 0 && w.looks == 1:
		f.note("reached anew, the checks find nothing; looking once more")
	}
	select {
	case word := <-w.decided: // it counts for more than what was found
		if w.hear(word); word != "" {
			return
		}
	default:
	}
	switch auto := f.change.Confirm == ConfirmAuto; {
	case settled && auto:
		if w.open {
			f.note("all is well now: nobody is asked any more")
		}
		w.takeBack()
		w.word, w.byChecks = "confirm", true
	case settled && len(w.asked) > 0, // the question told of what is gone
		w.asked == nil && !auto && len(found) == 0,
		w.asked == nil && len(found) > 0 && now.Sub(w.red) >= w.lasting,
		w.asked != nil && w.news(now):
		f.ask(ctx)
	}
}

// ask has a person decide, while the deploy is followed and looked at on. A question
// that was asked before is withdrawn: it told of other findings.
func (f *follower) ask(ctx context.Context) {
	w := &f.watch
	w.takeBack()
	w.asked = map[string]bool{}
	for _, x := range w.findings {
		w.asked[x.of] = true
	}
	f.note("it waits to be confirmed" + colon(f.last.Findings))
	if f.d.Ask == nil {
		f.note("nobody can be asked here: unless it becomes well it goes back by itself" + until(f.last.Deadline) + "; to keep it all the same: sextant confirm " + f.host.Name)
		return
	}
	q := fleet.Question{
		Host: f.host.Name, Kind: fleet.AskConfirm, Text: "keep the new system of " + f.host.Name + "?", Detail: f.last.Findings, At: time.Now(),
	}
	ctx, w.withdraw = context.WithCancel(ctx) // it is withdrawn when the host waits no longer
	w.open, w.decided = true, make(chan string, 1)
	go func(decided chan<- string) {
		reply, err := f.d.Ask.Ask(ctx, q)
		switch {
		case err != nil, reply.Later: // nobody answered in time: the host goes back by itself
			decided <- ""
		case reply.Refuse:
			decided <- "cancel"
		default:
			decided <- "confirm"
		}
	}(w.decided)
}

// until is a time of the day, where it is known.
func until(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " at " + at.Local().Format("15:04:05")
}

// reply answers over the new connection. What fails on the way is tried again
// with the next turn; what the host refuses is its answer.
func (f *follower) reply(ctx context.Context) {
	a, err := reply(ctx, f.fresh, f.watch.word, f.last.ID, f.nonce, f.d.by())
	var no *Refusal
	switch {
	case errors.As(err, &no):
		f.note(no.Error())
	case err != nil:
		return
	default:
		f.d.answered(f.host, f.last, f.watch.word, a, nil)
		if !a.Taken && a.Why != "" {
			f.note(a.Why)
		}
	}
	f.watch.answered = true
}

// note tells a line of how it stands.
func (f *follower) note(line string) { f.tell(Progress{Deploy: f.told, Line: line}) }

func colon(findings []string) string {
	if len(findings) == 0 {
		return ""
	}
	return ": " + strings.Join(findings, ", ")
}
