package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Timeline is what happened to hosts since a time, newest first: what they tell
// of themselves, and what was written down of what we did (audit). Where both
// tell of one deploy, the host is believed.
func Timeline(states []State, audit []Event, since time.Time) []Event {
	var list []Event
	told := map[string]bool{} // deploys that a host tells of
	for _, s := range states {
		for _, e := range s.events() {
			e.Host, e.HostID = s.Host.Name, s.Host.ID
			list = append(list, e)
			if e.ID != "" {
				told[e.ID] = true
			}
		}
	}
	list = append(list, unfold(audit, told)...)
	list = slices.DeleteFunc(list, func(e Event) bool { return e.At.IsZero() || e.At.Before(since) })
	slices.SortStableFunc(list, func(a, b Event) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.Host, b.Host), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Text, b.Text))
	})
	return list
}

// unfold leaves the last that the audit has of each deploy, and none that a host
// tells of itself. Answers to a deploy are events of their own.
func unfold(audit []Event, told map[string]bool) []Event {
	var out []Event
	seen := map[string]bool{}
	for _, e := range slices.Backward(audit) {
		answer := e.Kind == EventConfirm || e.Kind == EventCancel
		if e.ID != "" && !answer && (told[e.ID] || seen[e.ID]) {
			continue
		}
		seen[e.ID] = seen[e.ID] || !answer
		out = append(out, e)
	}
	return out
}

// events are what a host tells of itself.
func (s State) events() []Event {
	list := s.deployEvents()
	if sys := s.System.Value; s.System.HasValue() && sys.Uptime > 0 {
		text := "started"
		if sys.Booted.Generation > 0 {
			text = fmt.Sprintf("started with generation %d", sys.Booted.Generation)
		}
		list = append(list, Event{At: s.System.At.Add(-sys.Uptime.Duration()).Round(time.Second), Kind: EventBoot, Level: Info, Text: text, Source: s.System.Source})
	}
	for _, u := range s.Units.Value {
		if u.Failed() && !healthCheck.MatchString(u.Name) {
			list = append(list, Event{At: later(u.Exited, u.Started), Kind: EventUnit, Level: Error, Text: strings.TrimSpace(u.Label() + " failed " + u.Result), Source: "systemd"})
		}
	}
	list = append(list, s.containerEvents()...)
	list = append(list, s.backupEvents()...)
	list = append(list, s.siteEvents()...)
	list = append(list, s.secretEvents()...)
	list = append(list, s.dnsEvents()...)
	list = append(list, s.networkEvents()...)
	for _, a := range s.Alarms.Value {
		list = append(list, Event{At: a.Since, Kind: EventAlarm, Level: alarmLevel(a), Text: strings.TrimSpace(a.Name + " " + a.Value), Source: s.Alarms.Source})
	}
	for _, a := range s.Raised {
		list = append(list, Event{At: a.Since, Kind: EventAlarm, Level: alarmLevel(a.Alarm), Text: strings.TrimSpace(a.Name + " " + a.Value), Source: strings.Join(a.Sources, ", ")})
	}
	return list
}

func alarmLevel(a Alarm) Level {
	if a.Status == "CRITICAL" {
		return Error
	}
	return Warn
}

// deployEvents are the deploys that the guard wrote down, and the generations
// that something else made.
func (s State) deployEvents() []Event {
	var list []Event
	for _, d := range s.Deploys.Value {
		d.From, d.To = s.Numbered(d.From), s.Numbered(d.To)
		list = append(list, EventOf(s.Host, d, s.Deploys.Source))
	}
	for _, g := range s.Generations.Value {
		if !slices.ContainsFunc(s.Deploys.Value, func(d Deploy) bool { return d.made(g) }) {
			text := strings.TrimSpace(fmt.Sprintf("generation %d was made: %s", g.Number, g.NixOSVersion))
			list = append(list, Event{At: g.Date, Kind: EventGeneration, Level: Info, Text: text, Source: "profile", To: Toplevel{Path: g.Path, Generation: g.Number}, Revision: g.Revision})
		}
	}
	return list
}

// made tells whether a generation is what the deploy left.
func (d Deploy) made(g Generation) bool {
	const slack = 5 * time.Second // both are told by the second, and clocks are read apart
	return d.State == Confirmed && d.To.Path == g.Path && !g.Date.Before(d.Started.Add(-slack)) && !g.Date.After(d.Changed.Add(slack))
}

// EventOf is a deploy of a host as an event.
func EventOf(h Host, d Deploy, source string) Event {
	e := Event{
		At: d.Started, Host: h.Name, HostID: h.ID, Kind: EventKind(d.Kind), Level: Info, Source: source, ID: d.ID, Who: d.Who, Client: d.Client,
		From: d.From, To: d.To, Revision: d.Revision, Result: d.Result,
	}
	word := cmp.Or(d.State.Words(), "failed")
	e.Text = strings.TrimSuffix(word+": "+d.From.Of(h.Name)+" to "+d.To.Of(h.Name)+"; "+d.Why, "; ")
	switch {
	case d.State == RollbackFailed, d.State == Conflict:
		e.Level = Error
	case d.State == RolledBack, d.State == NeedsReboot, !d.State.Over():
		e.Level = Warn
	}
	if d.State.Over() && d.Changed.After(d.Started) {
		e.Duration = Seconds(d.Changed.Sub(d.Started).Seconds())
	}
	return e
}

// Numbered is a system with its generation on this host, where it has one.
func (s State) Numbered(t Toplevel) Toplevel {
	for _, g := range s.Generations.Value {
		if t.Generation == 0 && t.Path != "" && g.Path == t.Path {
			t.Generation = g.Number
		}
	}
	return t
}

// Short is a system in one word: its generation, with the specialisation that it
// is of that, or the name in its path.
func (t Toplevel) Short() string {
	if t.Generation > 0 {
		return strings.TrimSuffix(fmt.Sprint(t.Generation)+"+"+t.Specialisation, "+")
	}
	_, name, _ := strings.Cut(strings.TrimPrefix(t.Path, "/nix/store/"), "-")
	return cmp.Or(name, "?")
}

// Of is a system of a host in one word, which does not name the host again.
func (t Toplevel) Of(host string) string {
	return strings.TrimPrefix(strings.TrimPrefix(t.Short(), "nixos-system-"), host+"-")
}

func (s State) containerEvents() []Event {
	var list []Event
	for _, c := range s.Containers.Value {
		e := Event{At: c.Started, Kind: EventContainer, Level: Info, Source: c.Engine, Text: c.Name + " started"}
		if c.Restarts != nil && *c.Restarts > 0 {
			e.Level, e.Text = Warn, c.Name+" was restarted, "+Count(*c.Restarts, "time")+" so far"
		}
		if c.Started.IsZero() { // it never ran
			e.At, e.Text = c.Created, c.Name+" created"
		}
		list = append(list, e)
	}
	return list
}

func (s State) backupEvents() []Event {
	var list []Event
	for _, j := range s.Backups.Value {
		list = append(list, Event{At: j.LastSuccess, Kind: EventBackup, Level: Info, Text: "backup " + j.Name + " well", Source: s.Backups.Source})
		if j.State == BackupFailed && j.LastRun.After(j.LastSuccess) {
			list = append(list, Event{At: j.LastRun, Kind: EventBackup, Level: Error, Text: strings.TrimSpace("backup " + j.Name + " failed: " + j.Error), Source: s.Backups.Source})
		}
	}
	return list
}
