package probe

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/internal/systemd"
)

// unitFacts reads systemd's services and timers, and failed units of any kind.
func unitFacts(s sections, now time.Time) (fleet.Fact[[]fleet.Unit], fleet.Fact[[]fleet.Timer]) {
	if _, ok := s["units"]; !ok {
		const why = "systemd does not run here"
		return fleet.Nothing[[]fleet.Unit](why, now, source), fleet.Nothing[[]fleet.Timer](why, now, source)
	}
	units, timers := Units(s["units"], s["details"])
	if len(units) == 0 { // PID 1 is systemd: it has services
		err := errors.New("systemctl tells no units")
		return fleet.Unknown[[]fleet.Unit](err, now, source), fleet.Unknown[[]fleet.Timer](err, now, source)
	}
	files := s.lines("quadlets")
	for i, u := range units {
		for _, f := range files {
			if u.Source == "" && u.Name == strings.TrimSuffix(path.Base(f), ".container")+".service" {
				units[i].Source = fleet.Clean(f)
			}
		}
	}
	return fleet.Known(units, now, source), fleet.Known(timers, now, source)
}

// Units reads `systemctl list-units --plain --no-legend` (name, load, active,
// sub, description) and `systemctl show` of some of them, which adds what it
// tells. Services count, and failed units of any kind; of timers those that
// were shown.
func Units(list, details []byte) ([]fleet.Unit, []fleet.Timer) {
	shown, timers := map[string]fleet.Unit{}, []fleet.Timer{}
	for block := range strings.SplitSeq(string(details), "\n\n") {
		p := systemd.Properties(block)
		switch {
		case strings.HasSuffix(p["Id"], ".timer"):
			timers = append(timers, timer(p))
		case p["Id"] != "" && p["LoadState"] != "not-found":
			shown[p["Id"]] = unit(p)
		}
	}
	var units []fleet.Unit
	for l := range strings.SplitSeq(string(list), "\n") {
		f := strings.Fields(fleet.Clean(l))
		if len(f) < 4 || f[1] == "not-found" && f[2] != "failed" || !strings.HasSuffix(f[0], ".service") && f[2] != "failed" {
			continue
		}
		u, ok := shown[f[0]]
		if !ok {
			u = fleet.Unit{Name: f[0], Load: f[1], Active: f[2], Sub: f[3], Description: strings.Join(f[4:], " ")}
		}
		delete(shown, f[0])
		units = append(units, u)
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) { // begun between the two
		units = append(units, shown[name])
	}
	return units, timers
}

func unit(p map[string]string) fleet.Unit {
	u := fleet.Unit{
		Name: p["Id"], Description: p["Description"], Load: p["LoadState"], Active: p["ActiveState"], Sub: p["SubState"],
		Result: p["Result"], Started: systemd.Stamp(p["ExecMainStartTimestamp"]), Exited: systemd.Stamp(p["ExecMainExitTimestamp"]),
		Type: p["Type"], Invocation: p["InvocationID"], Triggers: strings.Fields(p["TriggeredBy"]),
		Source: p["SourcePath"], FileState: p["UnitFileState"],
	}
	u.ExitStatus, _ = strconv.Atoi(p["ExecMainStatus"])
	u.Restarts, _ = strconv.Atoi(p["NRestarts"])
	u.Forgotten = forgotten(p)
	return u
}

// forgotten tells of a unit that systemd calls well, though its main process exited
// with a status that the unit does not accept.
func forgotten(p map[string]string) bool {
	const exited = "1" // CLD_EXITED, of waitid(2)
	accepts, told := p["SuccessExitStatus"]
	return told && p["Result"] == "success" && p["ExecMainCode"] == exited && p["ExecMainStatus"] != "0" &&
		!slices.Contains(strings.Fields(accepts), p["ExecMainStatus"])
}

// timer reads a timer's properties. How often it runs is told by its calendar
// expression where that is one of the usual ones, else by its last and next run.
func timer(p map[string]string) fleet.Timer {
	t := fleet.Timer{
		Name: p["Id"], Activates: p["Unit"], Next: systemd.Stamp(p["NextElapseUSecRealtime"]), Last: systemd.Stamp(p["LastTriggerUSec"]),
	}
	period := Period(p["TimersCalendar"])
	if period == 0 && !t.Last.IsZero() && t.Next.After(t.Last) {
		period = t.Next.Sub(t.Last)
	}
	t.Period = fleet.Seconds(period.Seconds())
	return t
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
