package simulate

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// journalDays is how far back the journal of every host goes.
const journalDays = 90 * day

// entry is a line of the journal.
type entry struct {
	at       time.Time
	unit     string
	ident    string
	box      string
	text     string
	priority int
	run      string            // the invocation it belongs to
	ofUnit   bool              // PID 1 says it about the unit
	more     map[string]string // what PID 1 adds: MESSAGE_ID, JOB_RESULT, …
}

// field gives a field by the journal's name.
func (e entry) field(name string) string {
	switch {
	case name == "UNIT" && e.ofUnit, name == "_SYSTEMD_UNIT" && !e.ofUnit:
		return e.unit
	case name == "INVOCATION_ID" && e.ofUnit, name == "_SYSTEMD_INVOCATION_ID" && !e.ofUnit:
		return e.run
	case name == "CONTAINER_NAME":
		return e.box
	case name == "_UID":
		return "0" // nobody has units or containers of their own here
	case name == "SYSLOG_IDENTIFIER":
		return e.ident
	case name == "PRIORITY":
		return strconv.Itoa(e.priority)
	}
	return e.more[name]
}

// journalctl prints the journal of units and containers, and with --follow
// what they say from now on. Each says something every few seconds, always the
// same at the same time: what was read once reads the same again.
func journalctl(c Call) int {
	if c.fault().NoSystemd {
		return c.notFound("journalctl")
	}
	words, flags := c.split("-u", "--unit", "-n", "--lines", "-o", "--output", "--since", "-S", "-t", "-p", "--until", "-U", "--grep", "-g")
	q, err := c.query(words, flags)
	if err != nil {
		fmt.Fprintln(c.Stderr, err)
		return 1
	}
	form := cut(first(flags, "--output", "-o"), ",")
	now := c.now()
	if !q.until.IsZero() && q.until.Before(now) {
		now = q.until
	}
	old := q.back(now)
	if given(flags, "-r", "--reverse") {
		slices.Reverse(old)
	}
	for i, e := range old {
		if n := c.fault().Long; n > 0 && i == len(old)/2 && !c.endless(n) {
			return 1
		}
		if c.print(e, form) != nil {
			return 1
		}
	}
	for given(flags, "--follow", "-f") {
		next := q.after(now)
		select {
		case <-time.After(max(10*time.Millisecond, next.at.Sub(c.now()))):
		case <-c.Context.Done():
			return 130
		}
		if now = next.at; next.unit != "" && c.print(next, form) != nil {
			return 1
		}
	}
	return 0
}

// endless prints an entry whose text has so many bytes.
func (c Call) endless(n int64) bool {
	if _, err := fmt.Fprintf(c.Stdout, `{"__REALTIME_TIMESTAMP":"%d","PRIORITY":"6","MESSAGE":"`, c.now().UnixMicro()); err != nil {
		return false
	}
	if !pour(c.Context, c.Stdout, "all work and no play makes a dull host ", n) {
		return false
	}
	_, err := io.WriteString(c.Stdout, "\"}\n")
	return err == nil
}

// cut gives what stands before a separator.
func cut(text, sep string) string {
	before, _, _ := strings.Cut(text, sep)
	return before
}

func first(flags map[string]string, names ...string) string {
	for _, n := range names {
		if flags[n] != "" {
			return flags[n]
		}
	}
	return ""
}

func given(flags map[string]string, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, ok := flags[n]; return ok })
}

// query is what of the journal is wanted.
type query struct {
	m       *machine
	sources []*source
	match   map[string][]string // field → values of which one must be
	lines   int
	since   time.Time
	until   time.Time // zero: now
	grep    *regexp.Regexp
	hostile bool
}

func (c Call) query(words []string, flags map[string]string) (query, error) {
	m := c.machine()
	q := query{m: m, lines: 1000, since: m.began.Add(-journalDays), hostile: c.fault().Hostile, match: map[string][]string{}}
	if n, err := strconv.Atoi(first(flags, "--lines", "-n")); err == nil {
		q.lines = n
	}
	if at, ok := moment(first(flags, "--since", "-S")); ok {
		q.since = at
	}
	q.until, _ = moment(first(flags, "--until", "-U"))
	if text := first(flags, "--grep", "-g"); text != "" {
		if flags["--case-sensitive"] == "false" {
			text = "(?i)" + text
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return q, err
		}
		q.grep = re
	}
	for _, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok {
			q.match[name] = append(q.match[name], value)
		}
	}
	units := strings.Split(first(flags, "--unit", "-u"), ",")
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range m.sorted() {
		if q.wants(u, units) {
			q.sources = append(q.sources, newSource(m, u))
		}
	}
	return q, nil
}

// moment reads a time as "@seconds.micro".
func moment(text string) (time.Time, bool) {
	sec, frac, _ := strings.Cut(strings.TrimPrefix(text, "@"), ".")
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	us, _ := strconv.ParseInt((frac + "000000")[:6], 10, 64)
	return time.Unix(s, us*1000), true
}

// tellUserJournal reads what a user's units and containers wrote, of which
// there are none here.
func tellUserJournal(Call) int { return 0 }

// wants tells whether a unit can have anything to say to the query.
func (q query) wants(u *unit, units []string) bool {
	if units[0] != "" {
		return slices.Contains(units, u.name) || slices.Contains(units, strings.TrimSuffix(u.name, ".service"))
	}
	for _, field := range []string{"UNIT", "_SYSTEMD_UNIT"} {
		if want := q.match[field]; want != nil {
			return slices.Contains(want, u.name)
		}
	}
	if want := q.match["CONTAINER_NAME"]; want != nil {
		return u.box != nil && slices.Contains(want, u.box.name)
	}
	return true
}

// fits tells whether an entry has what the query asks of its fields.
func (q query) fits(e entry) bool {
	for field, want := range q.match {
		if !slices.Contains(want, e.field(field)) {
			return false
		}
	}
	return !e.at.Before(q.since) && (q.grep == nil || q.grep.MatchString(e.text))
}

// source is a unit that says something now and then. It is a copy: what is
// read of the journal does not hold up the host.
type source struct {
	unit  unit
	ident string
	box   string
	every time.Duration // 0: it speaks only when it runs
}

func newSource(m *machine, u *unit) *source {
	s := &source{unit: *u, ident: strings.TrimSuffix(u.name, ".service")}
	s.every = time.Duration(3+dice(m.seed, m.name, s.ident, "talks")%20) * time.Second
	if u.box != nil {
		s.box, s.ident = u.box.name, u.box.name
	}
	if u.kind == "oneshot" || u.active != "active" {
		s.every = 0
	}
	return s
}

// back are the last lines before a time, oldest first.
func (q query) back(now time.Time) []entry {
	var all []entry
	take := func(e entry) {
		if !e.at.After(now) && q.fits(e) {
			all = append(all, e)
		}
	}
	for _, s := range q.sources {
		for _, e := range s.runs(q.m) {
			take(e)
		}
		if s.every == 0 {
			continue
		}
		k := now.UnixNano() / int64(s.every)
		for range q.depth() {
			e := s.at(q.m, k)
			if e.at.Before(q.since) || e.at.Before(s.unit.started) {
				break
			}
			take(e)
			k--
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	all = all[max(0, len(all)-q.lines):]
	for i := range all {
		all[i] = q.poison(all[i])
	}
	return all
}

// depth is how many lines of a source are looked at: where only some fit, more
// than are wanted.
func (q query) depth() int {
	if q.grep != nil {
		return 20_000
	}
	return q.lines + 1
}

// after is the next line behind a time; one without a unit where for long
// nobody says anything.
func (q query) after(now time.Time) entry {
	best := entry{at: now.Add(time.Minute)}
	for _, s := range q.sources {
		for k := now.UnixNano() / max(1, int64(s.every)); s.every > 0; k++ {
			if e := s.at(q.m, k); e.at.After(now) {
				if e.at.Before(best.at) && q.fits(e) {
					best = e
				}
				break
			}
		}
	}
	return q.poison(best)
}

// poison makes an entry hostile where the host is.
func (q query) poison(e entry) entry {
	if q.hostile {
		e.text = hostileText + e.text
	}
	return e
}

// print writes an entry: as -o json and -o short-unix do, or as people read it.
func (c Call) print(e entry, form string) error {
	switch form {
	case "json":
		b, err := json.Marshal(c.fields(e))
		if err == nil {
			_, err = io.WriteString(c.Stdout, string(b)+"\n")
		}
		return err
	case "short-unix":
		_, err := fmt.Fprintf(c.Stdout, "%d.%06d %s %s[1234]: %s\n", e.at.Unix(), e.at.Nanosecond()/1000, c.Host, e.ident, e.text)
		return err
	case "cat":
		_, err := fmt.Fprintln(c.Stdout, e.text)
		return err
	}
	_, err := fmt.Fprintf(c.Stdout, "%s %s %s[1234]: %s\n", e.at.UTC().Format("Jan 02 15:04:05"), c.Host, e.ident, e.text)
	return err
}

// fields are those of the journal's JSON: all values are text.
func (c Call) fields(e entry) map[string]any {
	m := c.machine()
	fields := map[string]any{
		"__CURSOR":             "s=" + hexID(m.seed, 32, m.name, "journal") + ";i=" + strconv.FormatInt(e.at.UnixNano(), 16),
		"__REALTIME_TIMESTAMP": strconv.FormatInt(e.at.UnixMicro(), 10), "__MONOTONIC_TIMESTAMP": strconv.FormatInt(e.at.Sub(m.boot()).Microseconds(), 10),
		"_BOOT_ID": hexID(m.seed, 32, m.name, "boot", m.boot().String()), "PRIORITY": strconv.Itoa(e.priority), "SYSLOG_IDENTIFIER": e.ident,
		"MESSAGE": message(e.text),
	}
	for k, v := range e.more {
		fields[k] = v
	}
	if e.ofUnit {
		fields["_SYSTEMD_UNIT"], fields["UNIT"], fields["INVOCATION_ID"] = "init.scope", e.unit, e.run
	} else {
		fields["_SYSTEMD_UNIT"], fields["_SYSTEMD_INVOCATION_ID"] = e.unit, e.run
	}
	if e.box != "" {
		fields["CONTAINER_NAME"] = e.box
	}
	return fields
}

// message is a text as the journal's JSON has it: a list of byte numbers where
// it holds what is not printable.
func message(text string) any {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == 0xfffd }) < 0 {
		return text
	}
	numbers := make([]int, len(text))
	for i := range len(text) {
		numbers[i] = int(text[i])
	}
	return numbers
}
