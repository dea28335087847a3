package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
)

// unitFacts reads systemd's services and timers, and failed units of any kind.
func unitFacts(s sections, now time.Time) (fleet.Fact[[]fleet.Unit], fleet.Fact[[]fleet.Timer]) {
	if _, ok := s["manager"]; !ok {
		const why = "systemd does not run here"
		return fleet.Nothing[[]fleet.Unit](why, now, source), fleet.Nothing[[]fleet.Timer](why, now, source)
	}
	units := Units(s["units"])
	if len(units) == 0 { // PID 1 is systemd: it has services
		err := errors.New("systemctl tells no units")
		return fleet.Unknown[[]fleet.Unit](err, now, source), fleet.Unknown[[]fleet.Timer](err, now, source)
	}
	units = addFailed(units, s.lines("failed"))
	timers, err := Timers(s["timers"])
	if err != nil {
		return fleet.Known(units, now, source), fleet.Unknown[[]fleet.Timer](err, now, source)
	}
	return fleet.Known(units, now, source), fleet.Known(withPeriods(timers, s["calendars"]), now, source)
}

// Units reads `systemctl show` of several units: blocks of Property=value,
// parted by an empty line, in systemd's own order.
func Units(b []byte) []fleet.Unit {
	var units []fleet.Unit
	for block := range strings.SplitSeq(string(b), "\n\n") {
		if u := unit(properties(block)); u.Name != "" {
			units = append(units, u)
		}
	}
	return units
}

// properties reads one block; a value may hold "=".
func properties(block string) map[string]string {
	p := map[string]string{}
	for l := range strings.SplitSeq(block, "\n") {
		if k, v, ok := strings.Cut(l, "="); ok {
			p[k] = fleet.Clean(v)
		}
	}
	return p
}

func unit(p map[string]string) fleet.Unit {
	u := fleet.Unit{
		Name: p["Id"], Description: p["Description"], Load: p["LoadState"], Active: p["ActiveState"], Sub: p["SubState"],
		Result: p["Result"], Started: stamp(p["ExecMainStartTimestamp"]), Exited: stamp(p["ExecMainExitTimestamp"]),
		Type: p["Type"], Invocation: p["InvocationID"], Triggers: strings.Fields(p["TriggeredBy"]),
		Source: p["SourcePath"], FileState: p["UnitFileState"],
	}
	u.ExitStatus, _ = strconv.Atoi(p["ExecMainStatus"])
	u.Restarts, _ = strconv.Atoi(p["NRestarts"])
	return u
}

// stamp reads a time of systemctl: "@1795375729" where --timestamp=unix is
// known, else "Sun 2026-11-22 19:28:48 UTC"; zero where there is none.
func stamp(v string) time.Time {
	if sec, ok := strings.CutPrefix(v, "@"); ok {
		if n, err := strconv.ParseInt(sec, 10, 64); err == nil && n > 0 {
			return time.Unix(n, 0).UTC()
		}
		return time.Time{}
	}
	t, err := time.Parse("Mon 2006-01-02 15:04:05 MST", v)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// addFailed adds the failed units that are no services: name, load, active,
// sub, description.
func addFailed(units []fleet.Unit, lines []string) []fleet.Unit {
	have := map[string]bool{}
	for _, u := range units {
		have[u.Name] = true
	}
	for _, l := range lines {
		f := strings.Fields(fleet.Clean(l))
		if len(f) > 0 && f[0] == "●" {
			f = f[1:]
		}
		if len(f) < 4 || have[f[0]] {
			continue
		}
		units = append(units, fleet.Unit{Name: f[0], Load: f[1], Active: f[2], Sub: f[3], Description: strings.Join(f[4:], " ")})
	}
	return units
}

// Timers reads `systemctl list-timers --output=json`: microseconds since 1970;
// its "left" and "passed" are no durations and are not used.
func Timers(b []byte) ([]fleet.Timer, error) {
	var rows []struct {
		Next, Last      *float64
		Unit, Activates string
	}
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("reading systemctl list-timers: %w", err)
	}
	var timers []fleet.Timer
	for _, r := range rows {
		timers = append(timers, fleet.Timer{
			Name: fleet.Clean(r.Unit), Activates: fleet.Clean(r.Activates), Next: micros(r.Next), Last: micros(r.Last),
		})
	}
	return timers, nil
}

func micros(v *float64) time.Time {
	if v == nil || *v <= 0 || *v > 1e17 {
		return time.Time{}
	}
	return time.UnixMicro(int64(*v)).UTC()
}

// withPeriods adds how often each timer runs, from its calendar expression
// where that is one of the usual ones, else from its last and next run.
func withPeriods(timers []fleet.Timer, calendars []byte) []fleet.Timer {
	period := map[string]time.Duration{}
	for block := range strings.SplitSeq(string(calendars), "\n\n") {
		p := properties(block)
		period[p["Id"]] = Period(p["TimersCalendar"])
	}
	for i, t := range timers {
		d := period[t.Name]
		if d == 0 && !t.Last.IsZero() && t.Next.After(t.Last) {
			d = t.Next.Sub(t.Last)
		}
		timers[i].Period = fleet.Seconds(d.Seconds())
	}
	return timers
}

// Period tells how often a calendar expression of systemd.time(7) elapses, in
// its normalised form as systemctl shows it, such as
// "{ OnCalendar=*-*-* 03:00:00 ; next_elapse=… }"; 0 where it is not one of
// the usual shapes: weekly, monthly, yearly, daily, hourly, every minute.
func Period(calendar string) time.Duration {
	_, expr, ok := strings.Cut(calendar, "OnCalendar=")
	if !ok || strings.Contains(expr, "OnCalendar=") {
		return 0
	}
	expr, _, _ = strings.Cut(expr, " ;")
	f := strings.Fields(expr)
	const day = 24 * time.Hour
	switch {
	case len(f) == 3 && !strings.ContainsAny(f[0], ",.-"): // "Mon *-*-* 00:00:00"
		return 7 * day
	case len(f) != 2:
		return 0
	}
	date, clock := f[0], strings.Split(f[1], ":")
	plainNumber := func(s string) bool { _, err := strconv.Atoi(s); return err == nil }
	parts := strings.Split(date, "-")
	if len(parts) != 3 || len(clock) != 3 || !plainNumber(clock[2]) {
		return 0
	}
	switch {
	case parts[1] != "*" && plainNumber(parts[1]):
		return 365 * day
	case parts[2] != "*" && plainNumber(parts[2]):
		return 30 * day
	case date != "*-*-*":
		return 0
	case plainNumber(clock[0]) && plainNumber(clock[1]):
		return day
	case clock[0] == "*" && plainNumber(clock[1]):
		return time.Hour
	case clock[0] == "*" && clock[1] == "*":
		return time.Minute
	}
	return 0
}
