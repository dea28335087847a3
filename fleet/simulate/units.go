package simulate

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// tellUnits plays fleet/units/list.sh: all units and timers of the host's
// systemds, behind marks.
func tellUnits(c Call) int {
	m, mark := c.machine(), c.arg(1)
	if c.fault().NoSystemd {
		fmt.Fprintf(c.Stdout, "\n%s none\n", mark)
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.tellManager(m, mark, "system", slices.Concat(m.sorted(), m.others))
	for _, p := range m.people {
		if !c.Root {
			fmt.Fprintf(c.Stdout, "\n%s closed %d\n%s\n", mark, p.uid, p.name)
			continue
		}
		fmt.Fprintf(c.Stdout, "\n%s user %d\n%s\n", mark, p.uid, p.name)
		c.tellManager(m, mark, fmt.Sprint(p.uid), p.units)
	}
	fmt.Fprintf(c.Stdout, "\n%s end\n", mark)
	return 0
}

// tellManager is what one systemd tells of its units.
func (c Call) tellManager(m *machine, mark, of string, list []*unit) {
	begin := func(name string) { fmt.Fprintf(c.Stdout, "\n%s %s %s\n", mark, name, of) }
	begin("units")
	for _, u := range list {
		fmt.Fprintf(c.Stdout, "%s loaded %s %s %s\n", u.name, u.active, u.sub, u.about)
		if u.timer != "" {
			active, sub := u.waits()
			fmt.Fprintf(c.Stdout, "%s loaded %s %s %s\n", u.timer, active, sub, u.about)
		}
	}
	begin("told")
	begin("show")
	for _, u := range list {
		fmt.Fprintf(c.Stdout, "%s\n", u.showAll(m))
	}
	begin("timers")
	rows, _ := json.Marshal(timersOf(list))
	fmt.Fprintf(c.Stdout, "%s\n", rows)
	begin("files")
	for _, u := range list {
		if u.timer != "" {
			fmt.Fprintf(c.Stdout, "%s enabled enabled\n", u.timer)
		}
	}
}

// waits is how the timer of a unit stands.
func (u *unit) waits() (active, sub string) {
	if u.idle {
		return "inactive", "dead"
	}
	return "active", "waiting"
}

// showAll is a unit as `systemctl show` prints it, with what only those ask who
// look at one host.
func (u *unit) showAll(m *machine) string {
	since, memory := u.started, "[not set]"
	if u.active != "active" && !u.exited.IsZero() {
		since = u.exited
	}
	if u.active == "active" && u.sub == "running" {
		memory = fmt.Sprint(uint64(2 * mib * math.Pow(2, 7*share(m.seed, u.name, "memory"))))
	}
	return u.show(m.seed, nil) + fmt.Sprintf("StateChangeTimestamp=%s\nMemoryCurrent=%s\nConditionResult=yes\n", stamp(since), memory)
}

// tellUnit plays fleet/units/show.sh: one unit, its file, and what it needs.
func tellUnit(c Call) int {
	m, mark, name := c.machine(), c.arg(1), c.arg(2)
	m.mu.Lock()
	defer m.mu.Unlock()
	u := c.unitOf(m, name, c.arg(3) == "user")
	fmt.Fprintf(c.Stdout, "\n%s show\n", mark)
	switch t := m.timer(name); {
	case u != nil:
		fmt.Fprint(c.Stdout, u.showAll(m))
	case t != nil && c.arg(3) == "":
		active, sub := t.waits()
		fmt.Fprint(c.Stdout, strings.Replace(t.showTimer(), "ActiveState=active\nSubState=waiting\n", "ActiveState="+active+"\nSubState="+sub+"\n", 1))
		u = &unit{name: t.timer, about: t.about, kind: "timer", calendar: t.calendar}
	default:
		fmt.Fprintf(c.Stdout, "Id=%s\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n", name)
	}
	if u != nil {
		fmt.Fprintf(c.Stdout, "\n%s who\n%s\n", mark, c.name())
		fmt.Fprintf(c.Stdout, "\n%s file\n%s\n%s needs 1\nId=%s\nLoadState=loaded\nActiveState=%s\nSubState=%s\nRequires=%s\n", mark, u.text(m), mark, u.name, u.active, u.sub, u.needs)
		if need := m.unit(u.needs); u.needs != "" && need != nil {
			fmt.Fprintf(c.Stdout, "\n%s needs 2\n%s", mark, need.show(m.seed, nil))
		}
	}
	fmt.Fprintf(c.Stdout, "\n%s end\n", mark)
	return 0
}

// text is the file of a unit.
func (u *unit) text(m *machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# /etc/systemd/system/%s\n[Unit]\nDescription=%s\n", u.name, u.about)
	if u.needs != "" {
		fmt.Fprintf(&b, "Requires=%s\nAfter=%s\n", u.needs, u.needs)
	}
	if u.kind == "timer" {
		fmt.Fprintf(&b, "\n[Timer]\nOnCalendar=%s\nPersistent=true\n", u.calendar)
		return b.String()
	}
	fmt.Fprintf(&b, "\n[Service]\nType=%s\nEnvironment=\"PATH=/run/current-system/sw/bin\"\nEnvironment=\"API_TOKEN=%s\"\nExecStart=/run/current-system/sw/bin/%s\n",
		u.kind, hexID(m.seed, 24, u.name, "token"), strings.TrimSuffix(u.name, ".service"))
	return b.String()
}

// unitOf finds a unit of the system, or of the systemd of who asks.
func (c Call) unitOf(m *machine, name string, own bool) *unit {
	if !own {
		return m.unit(name)
	}
	for _, p := range m.people {
		for _, u := range p.units {
			if p.name == c.name() && u.name == name {
				return u
			}
		}
	}
	return nil
}

// actOnUnit plays what fleet/units sends to start and stop: $1 is the verb, $2
// the unit, $3 "user" where it is one of who asks.
func actOnUnit(c Call) int {
	m, verb, name, own := c.machine(), c.arg(1), c.arg(2), c.arg(3) == "user"
	if !own {
		code := c.with([]string{"systemctl", "--no-ask-password", verb, "--", name}).run()
		c.with([]string{"systemctl", "show", "-p", "LoadState", "-p", "ActiveState", "-p", "SubState", "-p", "Result", "--", name}).run()
		return code
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := c.unitOf(m, name, true)
	if u == nil {
		fmt.Fprintf(c.Stderr, "Failed to %s %s: Unit %s not found.\n", verb, name, name)
		fmt.Fprint(c.Stdout, "LoadState=not-found\nActiveState=inactive\nSubState=dead\n")
		return 5
	}
	m.turn(u, verb, c.now())
	fmt.Fprint(c.Stdout, u.show(m.seed, []string{"LoadState", "ActiveState", "SubState", "Result"}))
	return 0
}

// turnTimer starts or stops the timer of a unit.
func (u *unit) turnTimer(verb string, now time.Time) {
	switch verb {
	case "stop":
		u.idle = true
	case "start", "restart":
		if u.idle = false; u.next.Before(now) && u.every > 0 {
			u.next = now.Add(u.every)
		}
	}
}
