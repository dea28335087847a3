package simulate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is a line of the journal.
type entry struct {
	at       time.Time
	unit     string
	ident    string
	box      string
	text     string
	priority int
	ofUnit   bool // PID 1 says it about the unit
}

// journalctl prints the journal of units and containers, and with --follow
// what they say from now on. Each says something every few seconds, always the
// same at the same time: what was read once reads the same again.
func journalctl(c Call) int {
	if c.fault().NoSystemd {
		return c.notFound("journalctl")
	}
	words, flags := c.split("-u", "--unit", "-n", "--lines", "-o", "--output", "--since", "-S", "--user-unit", "-t", "-p", "--until")
	q := c.query(words, flags)
	_, follow := flags["--follow"]
	if _, short := flags["-f"]; short {
		follow = true
	}
	asJSON := first(flags, "--output", "-o") == "json"
	now := c.now()
	for _, e := range q.back(now) {
		if c.print(e, asJSON) != nil {
			return 1
		}
	}
	for follow {
		next := q.after(now)
		select {
		case <-time.After(max(10*time.Millisecond, next.at.Sub(c.now()))):
		case <-c.Context.Done():
			return 130
		}
		now = next.at
		if c.print(next, asJSON) != nil {
			return 1
		}
	}
	return 0
}

func first(flags map[string]string, names ...string) string {
	for _, n := range names {
		if flags[n] != "" {
			return flags[n]
		}
	}
	return ""
}

// query is what of the journal is wanted.
type query struct {
	m       *machine
	sources []*source
	lines   int
	since   time.Time
	hostile bool
}

// source is a unit that says something now and then.
type source struct {
	unit  *unit
	ident string
	box   string
	every time.Duration
}

func (c Call) query(words []string, flags map[string]string) query {
	m := c.machine()
	q := query{m: m, lines: 1000, since: m.boot(), hostile: c.fault().Hostile}
	if n, err := strconv.Atoi(first(flags, "--lines", "-n")); err == nil {
		q.lines = n
	}
	if s, ok := strings.CutPrefix(first(flags, "--since", "-S"), "@"); ok {
		if sec, err := strconv.ParseInt(s, 10, 64); err == nil {
			q.since = time.Unix(sec, 0)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	want := strings.Split(first(flags, "--unit", "-u"), ",")
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "CONTAINER_NAME="); ok {
			want = append(want, "podman-"+name+".service")
		}
	}
	all := len(words) == 0 && len(want) == 1 && want[0] == "" && first(flags, "--user-unit") == ""
	for _, u := range m.sorted() {
		name := strings.TrimSuffix(u.name, ".service")
		if all && u.active == "active" && u.sub == "running" || slices.Contains(want, u.name) || slices.Contains(want, name) {
			q.sources = append(q.sources, newSource(m, u, name))
		}
	}
	return q
}

func newSource(m *machine, u *unit, name string) *source {
	s := &source{unit: u, ident: name, every: time.Duration(3+dice(m.seed, m.name, name, "talks")%20) * time.Second}
	if u.box != nil {
		s.box, s.ident = u.box.name, u.box.name
	}
	if u.kind == "oneshot" || u.active != "active" {
		s.every = 0 // it speaks when it runs
	}
	return s
}

// back are the last lines before a time, oldest first.
func (q query) back(now time.Time) []entry {
	var all []entry
	for _, s := range q.sources {
		all = append(all, s.runs(q.m, now)...)
		if s.every == 0 {
			continue
		}
		k := now.UnixNano() / int64(s.every)
		for range q.lines {
			e := s.at(q.m, k)
			if e.at.Before(q.since) || e.at.Before(s.unit.started) {
				break
			}
			if !e.at.After(now) {
				all = append(all, e)
			}
			k--
		}
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return e.at.Before(q.since) })
	slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	all = all[max(0, len(all)-q.lines):]
	if q.hostile {
		for i := range all {
			all[i].text = hostileText + all[i].text
		}
	}
	return all
}

// after is the next line behind a time.
func (q query) after(now time.Time) entry {
	best := entry{at: now.Add(time.Hour), text: "nothing", unit: "init.scope"}
	for _, s := range q.sources {
		if s.every == 0 {
			continue
		}
		for k := now.UnixNano() / int64(s.every); ; k++ {
			if e := s.at(q.m, k); e.at.After(now) {
				if e.at.Before(best.at) {
					best = e
				}
				break
			}
		}
	}
	if q.hostile {
		best.text = hostileText + best.text
	}
	return best
}

// at is the source's line number k since 1970.
func (s *source) at(m *machine, k int64) entry {
	seed := fmt.Sprint(k)
	shift := time.Duration(share(m.seed, s.ident, seed) * float64(s.every))
	text, priority := chatter(m, s.ident, seed)
	return entry{at: time.Unix(0, k*int64(s.every)).Add(shift), unit: s.unit.name, ident: s.ident, box: s.box, text: text, priority: priority}
}

// runs is what systemd and the program said about the unit's last run.
func (s *source) runs(m *machine, now time.Time) []entry {
	u := s.unit
	var out []entry
	say := func(at time.Time, priority int, ofUnit bool, text string) {
		if !at.IsZero() && !at.After(now) {
			e := entry{at: at, unit: u.name, ident: s.ident, box: s.box, text: text, priority: priority, ofUnit: ofUnit}
			if ofUnit {
				e.ident, e.box = "systemd", ""
			}
			out = append(out, e)
		}
	}
	say(u.started, 6, true, "Starting "+u.about+"...")
	if u.kind != "oneshot" && u.active == "active" {
		say(u.started.Add(800*time.Millisecond), 6, true, "Started "+u.about+".")
	}
	switch {
	case u.exited.IsZero():
	case u.active == "failed":
		say(u.exited.Add(-time.Second), 6, false, failure(u))
		say(u.exited, 5, true, fmt.Sprintf("%s: Main process exited, code=exited, status=%d/n/a", u.name, u.status))
		say(u.exited, 4, true, u.name+": Failed with result 'exit-code'.")
		say(u.exited, 3, true, "Failed to start "+u.about+".")
	default:
		if strings.HasPrefix(u.name, "restic") {
			say(u.exited.Add(-2*time.Second), 6, false, "processed 652113 files, 3.120 GiB in 3:41")
			say(u.exited.Add(-time.Second), 6, false, "snapshot "+hexID(m.seed, 8, u.name, u.exited.String())+" saved")
		}
		say(u.exited, 6, true, u.name+": Deactivated successfully.")
		say(u.exited, 6, true, "Finished "+u.about+".")
	}
	return out
}

// failure is the last word of a program that failed.
func failure(u *unit) string {
	switch {
	case strings.HasPrefix(u.name, "restic"):
		return "Fatal: repository does not exist: unable to open config file: Get \"http://cottage:8000/config\": dial tcp 100.64.0.8:8000: i/o timeout"
	case strings.HasPrefix(u.name, "postgresqlBackup"):
		return "pg_dump: error: connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed: FATAL: role \"vaultwarden\" does not exist"
	}
	return "error: configuration is not valid: unknown field \"authority.claims\""
}

// phrases are what programs say when nothing is wrong.
var phrases = []string{
	"GET /api/health 200 %dms", "GET /api/v1/items?limit=50 200 %dms", "request completed in %d ms", "cache hit ratio %d%%",
	"checkpoint complete: wrote %d buffers", "session opened for user #%d", "job %d finished", "scanned %d files, nothing new",
	"connection from 100.64.0.%d accepted", "refreshing metadata of library %d",
}

// chatter is a line of a program that does its work; now and then it warns.
func chatter(m *machine, ident, seed string) (string, int) {
	d := dice(m.seed, m.name, ident, seed)
	text := fmt.Sprintf(phrases[d%uint64(len(phrases))], 1+d/16%90)
	switch {
	case d%41 == 0:
		return "slow answer: " + text + " (limit 250 ms)", 4
	case d%97 == 0:
		return "upstream closed the connection, trying again", 3
	}
	return text, 6
}

// print writes an entry, as -o json does or as people read it.
func (c Call) print(e entry, asJSON bool) error {
	if !asJSON {
		_, err := fmt.Fprintf(c.Stdout, "%s %s %s[1234]: %s\n", e.at.UTC().Format("Jan 02 15:04:05"), c.Host, e.ident, e.text)
		return err
	}
	m := c.machine()
	fields := map[string]any{
		"__CURSOR": "s=" + hexID(m.seed, 32, m.name, "journal") + ";i=" + strconv.FormatInt(e.at.UnixNano(), 16), "__REALTIME_TIMESTAMP": strconv.FormatInt(e.at.UnixMicro(), 10),
		"__MONOTONIC_TIMESTAMP": strconv.FormatInt(e.at.Sub(m.boot()).Microseconds(), 10), "_BOOT_ID": hexID(m.seed, 32, m.name, "boot", m.boot().String()),
		"PRIORITY": strconv.Itoa(e.priority), "SYSLOG_IDENTIFIER": e.ident, "MESSAGE": message(e.text),
	}
	switch {
	case e.ofUnit:
		fields["_SYSTEMD_UNIT"], fields["UNIT"] = "init.scope", e.unit
	default:
		fields["_SYSTEMD_UNIT"] = e.unit
	}
	if e.box != "" {
		fields["CONTAINER_NAME"] = e.box
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.Stdout, string(b)+"\n")
	return err
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
