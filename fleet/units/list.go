package units

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/internal/systemd"
	"github.com/sextant-fleet/sextant/fleet/link"
)

//go:embed list.sh
var listScript string

// Read asks all systemds of a host for all of their units and timers: too much
// for every round, but what somebody who looks wants to know.
func Read(ctx context.Context, l link.Link) (fleet.UnitList, error) {
	mark := newMark()
	cmd := link.Script(listScript, mark)
	cmd.IfRoot = true
	res, err := l.Run(ctx, cmd)
	if err != nil {
		return fleet.UnitList{}, fmt.Errorf("units of %s: %w", l.Host().Name, err)
	}
	list, err := parseList(res.Stdout, mark)
	if err != nil {
		return list, fmt.Errorf("units of %s: %w", l.Host().Name, err)
	}
	return list, nil
}

// manager is what one systemd told.
type manager struct {
	user                       string
	units, show, timers, files []byte
	told                       bool // it told its units to the end
}

// parseList reads what list.sh prints.
func parseList(out []byte, mark string) (fleet.UnitList, error) {
	var list fleet.UnitList
	of, order, whole := map[string]*manager{"system": {}}, []string{"system"}, false
	for _, s := range parts(out, mark) {
		switch s.name {
		case "none":
			return list, errors.New("systemd does not run there")
		case "end":
			whole = true
		case "closed":
			list.Unseen = append(list.Unseen, "units of user "+userOf(s)+": not root")
		case "user":
			of[s.of] = &manager{user: userOf(s)}
			order = append(order, s.of)
		default:
			if m := of[s.of]; m != nil {
				m.take(s)
			}
		}
	}
	if !whole {
		list.Unseen = append(list.Unseen, "units: the answer has no end")
	}
	for _, o := range order {
		of[o].add(&list)
	}
	if m := of["system"]; len(m.units) == 0 { // PID 1 is systemd: it has units
		return list, errors.New("systemctl tells no units")
	}
	return list, nil
}

// userOf is the name of the user that a section is about, or the number.
func userOf(s section) string {
	name := fleet.Clean(strings.TrimSpace(string(s.text)))
	if name == "" || name == "UNKNOWN" { // so stat calls whom /etc/passwd does not
		return fleet.Clean(s.of)
	}
	return name
}

func (m *manager) take(s section) {
	switch s.name {
	case "units":
		m.units = s.text
	case "told":
		m.told = true
	case "show":
		m.show = s.text
	case "timers":
		m.timers = s.text
	case "files":
		m.files = s.text
	}
}

// add joins what a systemd told of its units.
func (m *manager) add(list *fleet.UnitList) {
	whose := "the system"
	if m.user != "" {
		whose = "user " + m.user
	}
	lacks := func(what string) { list.Unseen = append(list.Unseen, what+" of "+whose+": not told by systemctl") }
	if !m.told || len(m.units) == 0 {
		lacks("units")
	}
	shown := map[string]map[string]string{}
	for _, p := range blocks(m.show) {
		shown[p["Id"]] = p
	}
	if len(shown) == 0 {
		lacks("since, memory and last exit")
	}
	units := parseUnits(m.units)
	for i := range units {
		units[i].User = m.user
		if p := shown[units[i].Name]; p != nil {
			detail(&units[i], p)
		}
	}
	timers, err := parseTimers(m.timers)
	if err != nil {
		lacks("next and last runs of timers")
	}
	list.Units = append(list.Units, units...)
	list.Timers = append(list.Timers, joinTimers(timers, units, fileStates(m.files), shown, m.user)...)
}

// parseUnits reads `systemctl list-units --all --plain --no-legend`: name, load,
// active, sub, description.
func parseUnits(text []byte) []fleet.Unit {
	var list []fleet.Unit
	for l := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(fleet.Clean(l)); len(f) >= 4 {
			list = append(list, fleet.Unit{Name: f[0], Load: f[1], Active: f[2], Sub: f[3], Description: strings.Join(f[4:], " ")})
		}
	}
	return list
}

// detail adds what systemctl show tells.
func detail(u *fleet.Unit, p map[string]string) {
	u.Since, u.Memory = systemd.Stamp(p["StateChangeTimestamp"]), memory(p["MemoryCurrent"])
	u.Result, u.Type, u.Source, u.FileState = p["Result"], p["Type"], p["SourcePath"], p["UnitFileState"]
	u.Started, u.Exited = systemd.Stamp(p["ExecMainStartTimestamp"]), systemd.Stamp(p["ExecMainExitTimestamp"])
	u.Triggers = strings.Fields(p["TriggeredBy"])
	u.ExitStatus, _ = strconv.Atoi(p["ExecMainStatus"])
	u.Restarts, _ = strconv.Atoi(p["NRestarts"])
	u.Skipped = p["ConditionResult"] == "no" && !systemd.Stamp(p["ConditionTimestamp"]).IsZero()
}

// memory reads a size of systemd, which says "[not set]" or the highest number
// where it does not know.
func memory(v string) *uint64 {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n == math.MaxUint64 {
		return nil
	}
	return &n
}

// parseTimers reads `systemctl list-timers --all --output=json`. Times are
// microseconds since 1970; what is called left and passed is neither.
func parseTimers(text []byte) ([]fleet.Timer, error) {
	var rows []struct {
		Next, Last      *uint64
		Unit, Activates *string
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, err
	}
	var list []fleet.Timer
	for _, r := range rows {
		if r.Unit == nil {
			continue
		}
		t := fleet.Timer{Name: fleet.Clean(*r.Unit), Next: micro(r.Next), Last: micro(r.Last)}
		if r.Activates != nil {
			t.Activates = fleet.Clean(*r.Activates)
		}
		list = append(list, t)
	}
	return list, nil
}

// micro is a time in microseconds; 0 and the highest number stand for never.
func micro(us *uint64) time.Time {
	if us == nil || *us == 0 || *us > math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMicro(int64(*us)).UTC()
}

// fileStates reads `systemctl list-unit-files`: name, state, preset.
func fileStates(text []byte) map[string]string {
	states := map[string]string{}
	for l := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(fleet.Clean(l)); len(f) >= 2 {
			states[f[0]] = f[1]
		}
	}
	return states
}

// joinTimers gives the timers with their states, and besides those that are
// enabled and of which systemd has loaded nothing.
func joinTimers(timers []fleet.Timer, units []fleet.Unit, files map[string]string, shown map[string]map[string]string, user string) []fleet.Timer {
	at := map[string]int{}
	for i, t := range timers {
		at[t.Name] = i
	}
	have := func(name string) int {
		i, ok := at[name]
		if !ok {
			i = len(timers)
			timers = append(timers, fleet.Timer{Name: name, Activates: cmp.Or(shown[name]["Unit"], strings.TrimSuffix(name, ".timer")+".service"), Last: systemd.Stamp(shown[name]["LastTriggerUSec"])})
			at[name] = i
		}
		return i
	}
	for _, u := range units {
		if strings.HasSuffix(u.Name, ".timer") && u.Load != "not-found" {
			t := &timers[have(u.Name)]
			t.Active, t.Skipped, t.FileState = u.Active, u.Skipped, u.FileState
		}
	}
	for name, state := range files {
		if strings.HasPrefix(state, "enabled") && !strings.Contains(name, "@.") {
			if t := &timers[have(name)]; t.Active == "" {
				t.Active = "inactive"
			}
		}
	}
	for i := range timers {
		t := &timers[i]
		t.User, t.FileState = user, cmp.Or(files[t.Name], t.FileState)
	}
	slices.SortFunc(timers, func(a, b fleet.Timer) int { return strings.Compare(a.Name, b.Name) })
	return timers
}
