package main

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// hostError is a fact that could not be read, in a list of several hosts.
type hostError struct {
	Host  string `json:"host"`
	Error string `json:"error"`
	Cure  string `json:"cure,omitempty"`
}

// holeOf makes one of an error.
func holeOf(host string, err error) hostError { return hostError{host, err.Error(), fleet.Cure(err)} }

// hostFact says of each host in a list how old its part is and who told, or why
// it has none now; rows are of current facts only.
type hostFact struct {
	Host   string     `json:"host"`
	At     *time.Time `json:"at,omitempty"` // when it was read, or could not be
	Source string     `json:"source,omitempty"`
	Error  string     `json:"error,omitempty"`
	Cure   string     `json:"cure,omitempty"`   // what a person can do about it
	None   bool       `json:"none,omitempty"`   // there is nothing to read: Error says so, and it is no problem
	Sleeps bool       `json:"sleeps,omitempty"` // it is a desktop that is switched off: Error is no problem
	Last   *lastKnown `json:"last,omitempty"`   // what was known before it could not be read
}

// lastKnown are rows that could not be renewed.
type lastKnown struct {
	At   time.Time `json:"at"`
	Rows any       `json:"value"`
}

// gather joins a fact of several hosts into one list, and says of each how it
// came by it. One that has nothing to tell (None) is no error, nor one that sleeps.
func gather[T, U any](states []fleet.State, fact func(fleet.State) fleet.Fact[[]T], row func(fleet.State, T) U) (rows []U, hosts []hostFact, errs []hostError) {
	rows, hosts, errs = []U{}, []hostFact{}, []hostError{}
	for _, s := range states {
		f := fact(s)
		told := []U{}
		for _, v := range f.Value {
			told = append(told, row(s, v))
		}
		h := hostFact{Host: s.Host.Name, Source: f.Source, Error: f.Err, Cure: f.Cure, None: f.None, Sleeps: s.Sleeps()}
		switch {
		case f.Current():
			h.At = utc(f.At)
			rows = append(rows, told...)
		case !f.Asked():
			h.Error = "not asked yet"
			if s.Reach.Err != "" {
				h.Error, h.Cure = "not reachable: "+s.Reach.Err, s.Reach.Cure
			}
		default:
			h.At = utc(f.ErrAt)
			if f.HasValue() {
				h.Last = &lastKnown{f.At.UTC(), told}
			}
		}
		if h.Error != "" && !f.None && !h.Sleeps {
			errs = append(errs, hostError{s.Host.Name, h.Error, h.Cure})
		}
		hosts = append(hosts, h)
	}
	return rows, hosts, errs
}

func utc(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}

// aged gives the age of each host's part of a list, in a word.
func aged(hosts []hostFact, now time.Time) map[string]string {
	ages := map[string]string{}
	for _, h := range hosts {
		if h.At != nil && h.Error == "" {
			ages[h.Host] = age(*h.At, now)
		}
	}
	return ages
}

// unknown gives the exit code of a list with holes.
func unknown(errs []hostError) error {
	if len(errs) > 0 {
		return exitCode(exitUnknown)
	}
	return nil
}

// notes tells people about the holes in a list.
func notes(t *table, errs []hostError) {
	for _, e := range errs {
		t.note("? " + e.Host + ": " + e.Error)
		cureNote(t, e.Cure)
	}
}

// cureNote tells people what they can do about the line before.
func cureNote(t *table, cure string) {
	if cure != "" {
		t.note("  -> " + cure)
	}
}

// holes tells people about the holes in a list, and how old what was known is.
func holes(t *table, hosts []hostFact, now time.Time) {
	for _, h := range hosts {
		if h.Error == "" || h.None {
			continue
		}
		line := "? " + h.Host + ": " + h.Error
		if h.Sleeps {
			line, h.Cure = "off "+h.Host+": it is switched off, as a desktop may be", ""
		}
		if h.Last != nil {
			line += "; last known " + age(h.Last.At, now) + " ago (--json has it)"
		}
		t.note(line)
		cureNote(t, h.Cure)
	}
}

// ofEach asks all of some hosts at once for a fact, for as long as people want to wait.
func ofEach[T any](ctx context.Context, a *app, states []fleet.State, ask func(context.Context, fleet.State) fleet.Fact[T]) map[fleet.HostID]fleet.Fact[T] {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.opts.timeout, time.Minute))
	defer cancel()
	facts := make([]fleet.Fact[T], len(states))
	var wg sync.WaitGroup
	for i, s := range states {
		wg.Go(func() { facts[i] = ask(ctx, s) })
	}
	wg.Wait()
	out := map[fleet.HostID]fleet.Fact[T]{}
	for i, s := range states {
		out[s.Host.ID] = facts[i]
	}
	return out
}
