package simulate

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// systemd tells of the manager, the units and the timers.
func (t *teller) systemd() {
	m := t.m
	t.begin("units")
	for _, u := range m.sorted() {
		t.line("%s loaded %s %s %s", u.name, u.active, u.sub, u.about)
	}
	t.begin("details")
	for _, u := range m.sorted() {
		t.WriteString(u.show(m.seed, nil) + "\n")
		if u.timer != "" {
			t.WriteString(u.showTimer() + "\n")
		}
	}
}

// showTimer is the timer of a unit as `systemctl show` prints it.
func (u *unit) showTimer() string {
	runs := "TimersMonotonic={ OnUnitActiveUSec=1d ; next_elapse=0 }"
	next := ""
	if !u.next.IsZero() {
		next = u.next.UTC().Format("Mon 2006-01-02 15:04:05 MST")
	}
	if u.calendar != "" {
		runs = fmt.Sprintf("TimersCalendar={ OnCalendar=%s ; next_elapse=%s }", u.calendar, next)
	}
	return fmt.Sprintf("Unit=%s\n%s\nNextElapseUSecRealtime=%s\nLastTriggerUSec=%s\nId=%s\nLoadState=loaded\nActiveState=active\nSubState=waiting\n",
		u.name, runs, next, stamp(u.started), u.timer)
}

// manager is what `systemctl is-system-running` prints.
func (m *machine) manager() string {
	if slices.ContainsFunc(m.units, func(u *unit) bool { return u.active == "failed" }) {
		return "degraded"
	}
	return "running"
}

// show is a unit as `systemctl show` prints it, in systemd's order; only the
// wanted properties, all where none is named.
func (u *unit) show(seed uint64, want []string) string {
	var b strings.Builder
	code := 0
	if !u.exited.IsZero() {
		code = 1
	}
	for _, p := range [][2]string{
		{"Type", u.kind}, {"Result", u.result}, {"NRestarts", fmt.Sprint(u.restarts)},
		{"ExecMainStartTimestamp", stamp(u.started)}, {"ExecMainExitTimestamp", stamp(u.exited)},
		{"ExecMainCode", fmt.Sprint(code)}, {"ExecMainStatus", fmt.Sprint(u.status)}, {"Id", u.name}, {"TriggeredBy", u.timer},
		{"Description", u.about}, {"LoadState", "loaded"}, {"ActiveState", u.active}, {"SubState", u.sub},
		{"SourcePath", u.source}, {"UnitFileState", u.file}, {"InvocationID", u.invocation(seed)}, {"SuccessExitStatus", ""},
	} {
		if len(want) == 0 || slices.Contains(want, p[0]) {
			b.WriteString(p[0] + "=" + p[1] + "\n")
		}
	}
	return b.String()
}

// invocation is the ID of the unit's last run.
func (u *unit) invocation(seed uint64) string {
	if u.started.IsZero() {
		return ""
	}
	return hexID(seed, 32, u.name, u.started.String())
}

// stamp is a time as systemctl --timestamp=unix prints it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("@%d", t.Unix())
}

// timerRow is one of `systemctl list-timers --output=json`: microseconds.
type timerRow struct {
	Next      *int64 `json:"next"`
	Left      *int64 `json:"left"`
	Last      int64  `json:"last"`
	Passed    int64  `json:"passed"`
	Unit      string `json:"unit"`
	Activates string `json:"activates"`
}

func (m *machine) timers() []timerRow { return timersOf(m.sorted()) }

func timersOf(list []*unit) []timerRow {
	rows := []timerRow{}
	for _, u := range list {
		if u.timer == "" {
			continue
		}
		r := timerRow{Unit: u.timer, Activates: u.name}
		if !u.next.IsZero() && !u.idle {
			next := u.next.UnixMicro()
			r.Next, r.Left = &next, &next
		}
		if !u.started.IsZero() {
			r.Last = u.started.UnixMicro()
		}
		rows = append(rows, r)
	}
	return rows
}

// systemctl answers what is asked most, and starts and stops what exists.
func systemctl(c Call) int {
	if c.fault().NoSystemd {
		fmt.Fprintln(c.Stderr, "System has not been booted with systemd as init system (PID 1). Can't operate.")
		return 1
	}
	m := c.machine()
	words, flags := c.split("-p", "--property", "-n", "-M", "--machine", "-o", "--output", "-t", "--type", "--state")
	if len(words) == 0 {
		words = []string{"list-units"}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch verb := words[0]; verb {
	case "is-system-running":
		fmt.Fprintln(c.Stdout, m.manager())
		if m.manager() != "running" {
			return 1
		}
		return 0
	case "list-timers":
		return c.json(m.timers())
	case "show":
		return c.show(m, words[1:], flags)
	case "is-active", "is-failed", "status":
		return c.unitState(m, verb, words[1:])
	case "list-units":
		return c.listUnits(m, flags)
	case "start", "stop", "restart", "try-restart", "reset-failed", "reload":
		return c.change(m, verb, words[1:])
	case "daemon-reload":
		return 0
	case "reboot":
		return c.reboot(m)
	}
	fmt.Fprintf(c.Stderr, "Unknown command verb '%s'. (this host does not exist: sextant demo)\n", words[0])
	return 1
}

// reboot has the machine come up again at once, with its default system: what ends
// every connection of a real one goes unnoticed here.
func (c Call) reboot(m *machine) int {
	if !c.Root {
		fmt.Fprintln(c.Stderr, "Call to Reboot failed: Interactive authentication required.")
		return 1
	}
	m.running, m.booted = m.standard, m.standard
	m.up.Store(int64(m.began.Sub(c.now())))
	return 0
}

// match are the units whose names fit one of the patterns.
func (m *machine) match(patterns []string) []*unit {
	var out []*unit
	for _, u := range m.sorted() {
		if slices.ContainsFunc(patterns, func(p string) bool {
			if !strings.Contains(p, ".") && !strings.Contains(p, "*") {
				p += ".service"
			}
			ok, err := path.Match(p, u.name)
			return err == nil && ok
		}) {
			out = append(out, u)
		}
	}
	return out
}

func (c Call) show(m *machine, names []string, flags map[string]string) int {
	var want []string
	for _, f := range []string{"-p", "--property"} {
		if flags[f] != "" {
			want = append(want, strings.Split(flags[f], ",")...)
		}
	}
	found := m.match(names)
	for i, u := range found {
		if i > 0 {
			fmt.Fprintln(c.Stdout)
		}
		text := u.show(m.seed, want)
		if _, ok := flags["--value"]; ok {
			text = u.values(m.seed, want)
		}
		_, _ = io.WriteString(c.Stdout, text)
	}
	for _, name := range names {
		switch {
		case m.unit(name) != nil, strings.Contains(name, "*"):
		case m.timer(name) != nil:
			c.showTimer(m.timer(name), want, flags)
		default:
			fmt.Fprintf(c.Stdout, "Id=%s\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n", name)
		}
	}
	return 0
}

// timer finds the unit that a timer starts, or nil.
func (m *machine) timer(name string) *unit {
	i := slices.IndexFunc(m.units, func(u *unit) bool { return u.timer == name })
	if i < 0 {
		return nil
	}
	return m.units[i]
}

func (c Call) showTimer(u *unit, want []string, flags map[string]string) {
	_, bare := flags["--value"]
	active, sub := u.waits()
	for _, p := range [][2]string{
		{"Unit", u.name}, {"Persistent", "yes"}, {"LastTriggerUSec", stamp(u.started)}, {"NextElapseUSecRealtime", stamp(u.next)},
		{"Id", u.timer}, {"Description", u.about}, {"LoadState", "loaded"}, {"ActiveState", active}, {"SubState", sub},
	} {
		switch {
		case len(want) > 0 && !slices.Contains(want, p[0]):
		case bare:
			fmt.Fprintln(c.Stdout, p[1])
		default:
			fmt.Fprintf(c.Stdout, "%s=%s\n", p[0], p[1])
		}
	}
}

func (u *unit) values(seed uint64, want []string) string {
	var b strings.Builder
	for l := range strings.Lines(u.show(seed, want)) {
		_, v, _ := strings.Cut(l, "=")
		b.WriteString(v)
	}
	return b.String()
}

func (c Call) unitState(m *machine, verb string, names []string) int {
	status := 3
	for _, name := range names {
		state := "inactive"
		if u := m.unit(name); u != nil {
			state = u.active
		}
		fmt.Fprintln(c.Stdout, state)
		if state == "active" && verb != "is-failed" || state == "failed" && verb == "is-failed" {
			status = 0
		}
	}
	return status
}

func (c Call) listUnits(m *machine, flags map[string]string) int {
	type row struct {
		Unit        string `json:"unit"`
		Load        string `json:"load"`
		Active      string `json:"active"`
		Sub         string `json:"sub"`
		Description string `json:"description"`
	}
	_, failed := flags["--failed"]
	rows := []row{}
	for _, u := range m.sorted() {
		if !failed || u.active == "failed" {
			rows = append(rows, row{u.name, "loaded", u.active, u.sub, u.about})
		}
	}
	if flags["--output"] == "json" || flags["-o"] == "json" {
		return c.json(rows)
	}
	for _, r := range rows {
		fmt.Fprintln(c.Stdout, r.Unit, r.Load, r.Active, r.Sub, r.Description)
	}
	return 0
}

// change starts, stops or restarts units. Nothing runs, but the facts change
// as they would.
func (c Call) change(m *machine, verb string, names []string) int {
	if !c.Root {
		fmt.Fprintf(c.Stderr, "Failed to %s %s: Interactive authentication required.\n", verb, strings.Join(names, " "))
		return 1
	}
	for _, name := range names {
		u := m.unit(name)
		if t := m.timer(name); t != nil {
			t.turnTimer(verb, c.now())
			continue
		}
		if u == nil {
			fmt.Fprintf(c.Stderr, "Failed to %s %s: Unit %s not found.\n", verb, name, name)
			return 5
		}
		m.turn(u, verb, c.now())
	}
	return 0
}

// turn is what a verb does to a unit and to the container it runs.
func (m *machine) turn(u *unit, verb string, now time.Time) {
	switch verb {
	case "stop":
		u.active, u.sub, u.exited = "inactive", "dead", now
		if u.box != nil {
			m.vanish(u.box, now)
		}
		return
	case "reset-failed":
		if u.active == "failed" {
			u.active, u.sub = "inactive", "dead"
		}
		return
	case "reload":
		return
	}
	u.result, u.status, u.started, u.exited = "success", 0, now, time.Time{}
	u.active, u.sub = "active", "running"
	if u.kind == "oneshot" {
		u.active, u.sub, u.exited = "inactive", "dead", now
	}
	if u.box != nil {
		m.vanish(u.box, now)
		m.appear(u.box, now)
	}
}
