package simulate

import (
	"fmt"
	"strings"
	"time"
)

// deploying is a deploy on a simulated host. Where it stands is computed from
// the time that has passed; what was answered is kept.
type deploying struct {
	id, kind, action, number, nonce, revision, who, client string

	to, from, link int // generations: what it activates, what ran, what was the default
	refuses        string
	breaks         string // the unit that does not start anew with it
	window         time.Duration
	began          time.Time
	until          time.Time // the deadline that somebody set; zero: nobody did
	answered       time.Time // zero: nobody has
	word, by       string    // "confirm" or "cancel", and who
	before         *unit     // what it breaks, as that was before
	landed         bool      // the host runs what it came to
}

// How long the steps of a simulated deploy take.
const (
	simulatedStart      = 200 * time.Millisecond
	simulatedActivation = 2 * time.Second
	simulatedCommit     = time.Second
	guardPause          = 200 * time.Millisecond // how often the guard looks for an answer
)

// standing is where a deploy stands: the state, why, and since when.
type standing struct {
	state, why string
	since      time.Time
}

// over tells whether nothing more comes after a state.
func over(state string) bool {
	switch state {
	case "CONFIRMED", "REFUSED", "ROLLED_BACK", "CANCELLED":
		return true
	}
	return false
}

// activates tells whether it comes to run before it is confirmed.
func (d *deploying) activates() bool { return d.action != "boot" && d.refuses == "" }

// runs is when what it activates runs.
func (d *deploying) runs() time.Time { return d.began.Add(simulatedActivation) }

// deadline is when it goes back by itself.
func (d *deploying) deadline() time.Time {
	if !d.until.IsZero() {
		return d.until
	}
	return d.runs().Add(d.window)
}

// heard is when the guard obeys the answer that was given.
func (d *deploying) heard() time.Time {
	if at := d.answered.Add(guardPause); at.After(d.runs()) {
		return at
	}
	return d.runs()
}

// story is the whole way of a deploy, as far as it is settled what will come.
func (d *deploying) story(m *machine) []standing {
	to := m.path(m.generation(d.to))
	start := d.began.Add(simulatedStart)
	steps := []standing{{"STAGED", "", d.began}}
	add := func(at time.Time, state, why string) { steps = append(steps, standing{state, why, at}) }
	switch {
	case d.action == "boot":
		add(start, "COMMITTING", to)
		add(start.Add(simulatedCommit), "CONFIRMED", "")
		return steps
	case d.refuses != "":
		add(start, "ACTIVATING", to)
		add(start.Add(simulatedCommit), "REFUSED", "switch-to-configuration ended with 11 and changed nothing")
		return steps
	}
	add(start, "ACTIVATING", to)
	add(d.runs(), "AWAITING", map[bool]string{true: "it runs, with failed units", false: "it runs"}[d.breaks != ""])
	switch d.word {
	case "confirm":
		add(d.heard(), "COMMITTING", to+" confirmed by "+d.by)
		add(d.heard().Add(simulatedCommit), "CONFIRMED", "by "+d.by)
	case "cancel":
		add(d.heard(), "ROLLING_BACK", "by "+d.by)
		add(d.heard().Add(simulatedCommit), "CANCELLED", "by "+d.by)
	default:
		add(d.deadline(), "ROLLING_BACK", "nobody confirmed in time")
		add(d.deadline().Add(simulatedCommit), "ROLLED_BACK", "nobody confirmed in time")
	}
	return steps
}

// at is where it stands at a time.
func (d *deploying) at(m *machine, now time.Time) standing {
	story := d.story(m)
	is := story[0]
	for _, s := range story {
		if !s.since.After(now) {
			is = s
		}
	}
	return is
}

// land has the host run what its deploys came to. The machine is locked.
func (m *machine) land(now time.Time) {
	for _, d := range m.deploys {
		if d.landed {
			continue
		}
		switch is := d.at(m, now); is.state {
		case "AWAITING", "COMMITTING":
			m.activate(d)
		case "CONFIRMED":
			m.activate(d)
			if d.landed = true; d.action != "test" {
				m.standard = d.to
			}
		case "ROLLED_BACK", "CANCELLED":
			m.running, d.landed = d.from, true
			if u := m.unit(d.breaks); d.before != nil {
				*u = *d.before
			}
		case "REFUSED":
			d.landed = true
		}
	}
}

// activate has a system run; a unit that it breaks fails.
func (m *machine) activate(d *deploying) {
	if !d.activates() || d.before != nil {
		return
	}
	m.running = d.to
	if u := m.unit(d.breaks); d.breaks != "" && u != nil {
		before := *u
		d.before = &before
		u.fail(d.runs().Add(-simulatedActivation/4), 1)
	}
}

// log is what the guard, and NixOS under it, have written until a time.
func (d *deploying) log(m *machine, now time.Time) string {
	var b strings.Builder
	line := func(at time.Time, format string, args ...any) {
		if !at.After(now) {
			fmt.Fprintf(&b, format+"\n", args...)
		}
	}
	for _, s := range d.story(m)[1:] { // the first is said before there is a log
		line(s.since, "== %s %s", s.state, s.why)
		switch s.state {
		case "ACTIVATING":
			d.sayActivation(m, s.since, line)
		case "COMMITTING":
			d.sayRun(m, d.to, "boot", s.since, line, 0, "updating the boot menu: generation "+fmt.Sprint(d.to)+" is the default")
		case "ROLLING_BACK":
			d.sayRun(m, d.from, "test", s.since, line, 0, "activating the configuration...", "setting up /etc...", "restarting the following units: "+m.restarted(d.to, d.from))
		}
	}
	return b.String()
}

type sayAt func(at time.Time, format string, args ...any)

// sayActivation is what switch-to-configuration says, part by part.
func (d *deploying) sayActivation(m *machine, at time.Time, line sayAt) {
	switch {
	case d.refuses != "":
		d.sayRun(m, d.to, "test", at, line, 11, d.refuses)
	case d.breaks != "":
		about := m.unit(d.breaks)
		d.sayRun(m, d.to, "test", at, line, 4, "stopping the following units: "+d.breaks, "activating the configuration...", "setting up /etc...",
			"restarting the following units: "+m.restarted(d.from, d.to), "the following new units were started: "+d.breaks,
			"warning: the following units failed: "+d.breaks, "× "+d.breaks+" - "+about.about, "     Active: failed (Result: exit-code)", "    Process: (code=exited, status=1/FAILURE)")
	default:
		d.sayRun(m, d.to, "test", at, line, 0, "stopping the following units: "+m.restarted(d.from, d.to), "activating the configuration...", "setting up /etc...",
			"reloading the following units: dbus.service", "starting the following units: "+m.restarted(d.from, d.to))
	}
}

// sayRun is a run of a system's switch-to-configuration: its lines, spread over
// the time that it takes, and how it ended.
func (d *deploying) sayRun(m *machine, number int, action string, at time.Time, line sayAt, code int, says ...string) {
	took := simulatedCommit
	if action == "test" && number == d.to && d.refuses == "" {
		took = simulatedActivation - simulatedStart
	}
	line(at, "== %s/bin/switch-to-configuration %s", m.path(m.generation(number)), action)
	for i, text := range says {
		line(at.Add(took*time.Duration(i+1)/time.Duration(len(says)+2)), "%s", text)
	}
	line(at.Add(took*time.Duration(len(says)+1)/time.Duration(len(says)+2)), "== ended with %d", code)
}

// restarted are the units that the change to another system restarts.
func (m *machine) restarted(from, to int) string {
	_, changed, come := m.unitsBetween(m.generation(from), m.generation(to))
	if len(changed)+len(come) == 0 {
		return "nix-daemon.service"
	}
	return strings.Join(append(changed, come...), ", ")
}

// past gives a machine the deploy that made its newest generation, and before it
// one that went back by itself.
func (m *machine) past() {
	newest := len(m.gens) - 1
	for i, ago := range []time.Duration{20 * time.Minute, 0} {
		d := &deploying{
			kind: "deploy", action: "switch", who: "ada", client: "laptop", window: 2 * time.Minute, landed: true,
			began: m.began.Add(-m.gens[newest].age - ago), nonce: hexID(m.seed, 26, m.name, "nonce", fmt.Sprint(i)),
			from: m.gens[newest-1].number, link: m.gens[newest-1].number, to: m.gens[newest].number,
		}
		d.id = d.began.UTC().Format("20060102T150405") + "-" + hexID(m.seed, 6, m.name, "deploy", fmt.Sprint(i))
		if ago == 0 {
			d.word, d.by, d.answered = "confirm", "ada@laptop", d.runs().Add(4*time.Second)
		}
		m.keep(d)
	}
}
