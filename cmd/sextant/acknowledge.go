package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// recallAcks takes up which problems are acknowledged, by this process and others.
func (a *app) recallAcks() {
	if a.history == nil {
		return
	}
	acks, err := a.history.Acks()
	if err != nil {
		a.store.Note(fleet.Message{At: time.Now(), Level: fleet.Warn, Text: "not remembered: " + err.Error()})
	}
	a.store.SetAcks(acks)
}

// acknowledge says that a problem is known, for so long; 0 takes that back.
func (a *app) acknowledge(f fleet.Finding, long time.Duration, why string) (fleet.Ack, error) {
	now := time.Now().UTC()
	who, client := whoAmI()
	ack := fleet.Ack{Who: who, Client: client, Why: fleet.Clean(why), At: now, Until: now.Add(long), Severity: f.Severity}
	if err := a.keepAck(f.FullKey(), ack); err != nil {
		return ack, err
	}
	e := fleet.Event{
		At: now, Host: f.Host, HostID: f.HostID, Kind: fleet.EventAck, Level: fleet.Info, Source: "sextant", Who: ack.Who, Client: ack.Client,
		Text: strings.TrimSuffix(f.What+": "+ack.Why, ": "), Result: "until " + ack.Until.Format(time.RFC3339),
	}
	if long == 0 {
		e.Result = "taken back"
	}
	a.record(e)
	return ack, nil
}

// keepAck has all processes know of an acknowledgement; where nothing can be
// remembered it is this one's alone.
func (a *app) keepAck(full string, ack fleet.Ack) error {
	if a.history == nil {
		a.store.Acknowledge(full, ack)
		return nil
	}
	if err := a.history.SaveAcks(fleet.Acks{full: ack}); err != nil {
		return err
	}
	a.recallAcks()
	return nil
}

// findingOf finds a problem by the host that has it, "" the fleet, and its key.
func findingOf(snap fleet.Snapshot, host fleet.HostID, key string) (fleet.Finding, error) {
	var keys []string
	of, sel := "the fleet", ""
	if st, ok := snap.Host(host); ok {
		of, sel = st.Host.Name, " "+st.Host.Name
	}
	for _, f := range snap.Listed(time.Now()) {
		if f.HostID != host {
			continue
		}
		if f.Key == key {
			return f, nil
		}
		keys = append(keys, f.Key)
	}
	if near := fleet.Nearest(key, keys); near != "" {
		return fleet.Finding{}, fmt.Errorf("%s has no problem %q; the nearest key is %q", of, key, near)
	}
	return fleet.Finding{}, fmt.Errorf("%s has no problem %q; `sextant health%s` tells the keys", of, key, sel)
}

// ackSpan reads for how long a problem is acknowledged: "8h", "7d".
func ackSpan(text string) (time.Duration, error) {
	switch long, err := span(text); {
	case err != nil:
		return 0, fmt.Errorf("--for: %w", err)
	case long > fleet.MaxAck:
		return 0, fmt.Errorf("--for %s: at most %d days", text, int(fleet.MaxAck.Hours()/24))
	default:
		return long, nil
	}
}

// What can be chosen of an acknowledgement.
var (
	ackFor = fleet.Choice{ID: "for", Title: "for", Values: []string{"8h", "1h", "1d", "7d", "30d"}}
	ackWhy = fleet.Choice{ID: "why", Title: "why", Values: []string{""}, Typed: true, Optional: true, Hint: "nothing is said"}
)

// findingActions are what can be done about a problem as such.
func (a *app) findingActions() []fleet.Action {
	return []fleet.Action{
		{
			ID: "acknowledge", Title: "Acknowledge", Keys: []string{"a"}, Scope: fleet.ScopeFinding, Choices: []fleet.Choice{ackFor, ackWhy},
			Help: "the problem is known: it counts for nothing for a while, unless it becomes worse",
			Run: func(_ context.Context, t fleet.Target, say func(string)) error {
				long, err := ackSpan(t.Chose(ackFor))
				if err != nil {
					return err
				}
				return a.acknowledgeAt(t, long, t.Chose(ackWhy), say)
			},
		},
		{
			ID: "unacknowledge", Title: "Take back", Scope: fleet.ScopeFinding, Disabled: a.offAcked,
			Help: "the problem counts again",
			Run: func(_ context.Context, t fleet.Target, say func(string)) error {
				return a.acknowledgeAt(t, 0, "", say)
			},
		},
	}
}

// offAcked is why there is nothing to take back.
func (a *app) offAcked(t fleet.Target) string {
	const none = "it is not acknowledged"
	if t.Finding == "" {
		return none
	}
	if f, err := a.findingAt(t); err != nil || f.Acked == nil {
		return none
	}
	return ""
}

// findingAt is the problem that a person has chosen.
func (a *app) findingAt(t fleet.Target) (fleet.Finding, error) {
	host := fleet.HostID("")
	if len(t.Hosts) > 0 {
		host = t.Hosts[0].Host.ID
	}
	return findingOf(a.store.Snapshot(), host, t.Finding)
}

func (a *app) acknowledgeAt(t fleet.Target, long time.Duration, why string, say func(string)) error {
	f, err := a.findingAt(t)
	if err != nil {
		return err
	}
	ack, err := a.acknowledge(f, long, why)
	if err == nil {
		say(ackLine(f.Problem, ack, long))
	}
	return err
}

func ackLine(p fleet.Problem, ack fleet.Ack, long time.Duration) string {
	if long == 0 {
		return p.What + ": counts again"
	}
	return p.What + ": counts for nothing until " + ack.Until.Local().Format("01-02 15:04")
}
