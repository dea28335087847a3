package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Message IDs of systemd's catalog, with which it says how a unit's run goes.
const (
	msgStarting = "7d4958e842da4a758f6c1cdc7b36dcc5"
	msgStarted  = "39f53479d3a045ac8e11786248231fbf"
	msgExit     = "98e322203f7a4ed290d09fe03c09fe15"
	msgBad      = "d9b373ed55a64feb8242e02dbe79a49c"
	msgFailed   = "be02cf6855d2428ba40df7e9d022f03d"
	msgWell     = "7ad2d189f7e94e70a38c781354912448"
)

// at is the source's line number k since 1970.
func (s *source) at(m *machine, k int64) entry {
	seed := fmt.Sprint(k)
	shift := time.Duration(share(m.seed, s.ident, seed) * float64(s.every))
	text, priority := chatter(m, s.ident, seed)
	return entry{
		at: time.Unix(0, k*int64(s.every)).Add(shift), unit: s.unit.name, ident: s.ident, box: s.box, text: text, priority: priority,
		run: s.unit.invocation(m.seed),
	}
}

// pastRuns is how many runs of a timed unit the journal remembers.
const pastRuns = 20

// runs is what systemd and the program said about the unit's runs. Of those a
// timer started there are some; all but the last went well.
func (s *source) runs(m *machine) []entry {
	u := s.unit
	if u.started.IsZero() {
		return nil
	}
	var out []entry
	for k := pastRuns; k > 0 && u.timer != ""; k-- {
		past := u
		past.active, past.result, past.status = "inactive", "success", 0
		past.started = u.started.Add(-time.Duration(k) * u.every)
		past.exited = past.started.Add(u.exited.Sub(u.started))
		out = append(out, s.run(m, past)...)
	}
	return append(out, s.run(m, u)...)
}

// run is what was said about one run.
func (s *source) run(m *machine, u unit) []entry {
	var out []entry
	say := func(at time.Time, priority int, text string) {
		out = append(out, entry{at: at, unit: u.name, ident: s.ident, box: s.box, text: text, priority: priority, run: u.invocation(m.seed)})
	}
	pid1 := func(at time.Time, priority int, id, text string, more ...string) {
		e := entry{at: at, unit: u.name, ident: "systemd", text: text, priority: priority, ofUnit: true, run: u.invocation(m.seed), more: map[string]string{"MESSAGE_ID": id}}
		for i := 0; i+1 < len(more); i += 2 {
			e.more[more[i]] = more[i+1]
		}
		out = append(out, e)
	}
	pid1(u.started, 6, msgStarting, "Starting "+u.about+"...", "JOB_TYPE", "start")
	if u.kind != "oneshot" {
		pid1(u.started.Add(800*time.Millisecond), 6, msgStarted, "Started "+u.about+".", "JOB_TYPE", "start", "JOB_RESULT", "done")
	}
	switch {
	case u.exited.IsZero():
	case u.active == "failed":
		say(u.exited.Add(-time.Second), 6, failure(u))
		pid1(u.exited, 5, msgExit, fmt.Sprintf("%s: Main process exited, code=exited, status=%d/n/a", u.name, u.status),
			"EXIT_CODE", "exited", "EXIT_STATUS", strconv.Itoa(u.status))
		pid1(u.exited.Add(time.Millisecond), 4, msgBad, u.name+": Failed with result 'exit-code'.", "UNIT_RESULT", "exit-code")
		if u.kind == "oneshot" {
			pid1(u.exited.Add(2*time.Millisecond), 3, msgFailed, "Failed to start "+u.about+".", "JOB_TYPE", "start", "JOB_RESULT", "failed")
		}
	default:
		for i, text := range success(m, u) {
			say(u.exited.Add(time.Duration(i-5)*time.Second), 6, text)
		}
		pid1(u.exited, 6, msgWell, u.name+": Deactivated successfully.")
		if u.kind == "oneshot" {
			pid1(u.exited.Add(time.Millisecond), 6, msgStarted, "Finished "+u.about+".", "JOB_TYPE", "start", "JOB_RESULT", "done")
		}
	}
	return out
}

// success are the last words of a program that did its work.
func success(m *machine, u unit) []string {
	if !strings.HasPrefix(u.name, "restic") && !strings.HasPrefix(u.name, "rustic") {
		return nil
	}
	files := 2000 + dice(m.seed, u.name)%600000
	return []string{
		fmt.Sprintf("Files:         %4d new,  %4d changed, %d unmodified", files%700, files%97, files),
		fmt.Sprintf("Added to the repository: %.3f GiB (%.3f GiB stored)", float64(files%4000)/1000, float64(files%4000)/1400),
		fmt.Sprintf("processed %d files in 3:41", files),
		"snapshot " + hexID(m.seed, 8, u.name, u.exited.String()) + " saved",
	}
}

// failure is the last word of a program that failed.
func failure(u unit) string {
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
