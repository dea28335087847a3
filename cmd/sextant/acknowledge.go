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

// acknowledge says that a problem of a host is known, for so long; 0 takes that back.
func (a *app) acknowledge(st fleet.State, p fleet.Problem, long time.Duration, why string) (fleet.Ack, error) {
	now := time.Now().UTC()
	who, client := whoAmI()
	ack := fleet.Ack{Who: who, Client: client, Why: fleet.Clean(why), At: now, Until: now.Add(long), Severity: p.Severity}
	if err := a.keepAck(fleet.FullKey(st.Host.ID, p.Key), ack); err != nil {
		return ack, err
	}
	e := fleet.Event{
		At: now, Host: st.Host.Name, HostID: st.Host.ID, Kind: fleet.EventAck, Level: fleet.Info, Source: "sextant", Who: ack.Who, Client: ack.Client,
		Text: strings.TrimSuffix(p.What+": "+ack.Why, ": "), Result: "until " + ack.Until.Format(time.RFC3339),
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

// problemOf finds a problem of a host by its key.
func problemOf(st fleet.State, key string) (fleet.Problem, error) {
	var keys []string
	for _, p := range st.Problems(time.Now()) {
		if p.Key == key {
			return p, nil
		}
		keys = append(keys, p.Key)
	}
	if near := fleet.Nearest(key, keys); near != "" {
		return fleet.Problem{}, fmt.Errorf("%s has no problem %q; the nearest key is %q", st.Host.Name, key, near)
	}
	return fleet.Problem{}, fmt.Errorf("%s has no problem %q; `sextant health %[1]s` tells the keys", st.Host.Name, key)
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
			ID: "unacknowledge", Title: "Take back", Scope: fleet.ScopeFinding, Disabled: offAcked,
			Help: "the problem counts again",
			Run: func(_ context.Context, t fleet.Target, say func(string)) error {
				return a.acknowledgeAt(t, 0, "", say)
			},
		},
	}
}

// offAcked is why there is nothing to take back.
func offAcked(t fleet.Target) string {
	if len(t.Hosts) != 1 {
		return "no problem is selected"
	}
	if p, err := problemOf(t.Hosts[0], t.Finding); err != nil || p.Acked == nil {
		return "it is not acknowledged"
	}
	return ""
}

func (a *app) acknowledgeAt(t fleet.Target, long time.Duration, why string, say func(string)) error {
	p, err := problemOf(t.Hosts[0], t.Finding)
	if err != nil {
		return err
	}
	ack, err := a.acknowledge(t.Hosts[0], p, long, why)
	if err == nil {
		say(ackLine(p, ack, long))
	}
	return err
}

func ackLine(p fleet.Problem, ack fleet.Ack, long time.Duration) string {
	if long == 0 {
		return p.What + ": counts again"
	}
	return p.What + ": counts for nothing until " + ack.Until.Local().Format("01-02 15:04")
}
