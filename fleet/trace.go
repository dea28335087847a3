package fleet

import (
	"strings"
	"time"
)

// Help is what a person can do about something, as an action or a command.
type Help struct {
	Action  string `json:"action,omitempty"` // the ID of an action
	Unit    string `json:"unit,omitempty"`
	Command string `json:"command,omitempty"` // "sextant unit restart storage podman-x.service"
}

// Hop is one step of the way from a public name to what answers.
type Hop struct {
	Kind    string   `json:"kind"` // name, dns, cloudflare, address, proxy, certificate, sign-in, upstream, service, answer
	Host    string   `json:"host,omitempty"`
	HostID  HostID   `json:"hostId,omitempty"`
	What    string   `json:"what"` // what is there: "photos.example.org → 203.0.113.3"
	State   Health   `json:"state"`
	Why     string   `json:"why,omitempty"` // why it is not ok
	Cure    string   `json:"cure,omitempty"`
	Help    *Help    `json:"help,omitempty"`
	Seen    []string `json:"seen,omitempty"` // what was seen besides
	Changed *Event   `json:"changed,omitempty"`
	Took    Seconds  `json:"took,omitempty"`
	Skipped bool     `json:"skipped,omitempty"` // not asked: the way is broken before it
}

// Trace is the way from a public name to what answers, as far as it goes.
type Trace struct {
	URL     string    `json:"url"`
	At      time.Time `json:"at"`
	Hops    []Hop     `json:"hops"`
	Broken  int       `json:"broken"` // the first hop that is broken; -1: none
	Verdict string    `json:"verdict"`
	State   Health    `json:"state"` // ok where all hops are; unknown where one could not be judged
	Cure    string    `json:"cure,omitempty"`
	Help    *Help     `json:"help,omitempty"`
}

// Conclude says what the hops amount to.
func (t *Trace) Conclude() {
	t.Broken, t.State, t.Verdict = -1, HealthOK, "the whole way is well"
	var unknown []string
	for i, h := range t.Hops {
		switch {
		case h.Skipped:
		case h.State == HealthBroken:
			t.Broken, t.State, t.Cure, t.Help = i, HealthBroken, h.Cure, h.Help
			t.Verdict = "broken at " + h.Kind + on(h) + ": " + h.Why
			return
		case h.State == HealthUnknown:
			unknown = append(unknown, h.Kind+on(h))
		}
	}
	if len(unknown) > 0 {
		t.State, t.Verdict = HealthUnknown, "nothing on the way is seen to be broken; not known: "+strings.Join(unknown, ", ")
	}
}

func on(h Hop) string {
	if h.Host == "" {
		return ""
	}
	return " on " + h.Host
}
