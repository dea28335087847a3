package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/themes"
)

// Cell is what a column says of a host.
type Cell struct {
	Text string
	Role themes.Role
	Age  string // of a value that could not be renewed although its host answers
}

// Teller tells facts in the signs of a glyph set, at a time.
type Teller struct {
	Now    time.Time
	Glyphs themes.Glyphs
}

// blank is what is said of a fact without a value: asking, unknown or none.
func blank[T any](w Teller, st fleet.State, f fleet.Fact[T]) Cell {
	switch {
	case f.None:
		return Cell{Text: w.Glyphs.None, Role: themes.Dim}
	case !f.Asked() && st.Asking:
		return Cell{Text: w.Glyphs.Asking, Role: themes.Dim}
	}
	return Cell{Text: w.Glyphs.Unknown, Role: themes.Unknown}
}

// tell says a fact: its value, with its age where the value is old.
func tell[T any](w Teller, st fleet.State, f fleet.Fact[T], of func(T) Cell) Cell {
	if !f.HasValue() {
		return blank(w, st, f)
	}
	c := of(f.Value)
	switch {
	case f.Err != "" && st.Reach.Err == "":
		c.Role, c.Age = themes.Unknown, Age(w.Now.Sub(f.At))
	case f.Err != "" || st.Reach.Err != "" || w.Now.Sub(f.At) > staleAfter:
		c.Role = themes.Dim // the row's own age says the rest
	}
	return c
}

// Path is how the host was reached: "direct", "relay", "LAN", "local", …
func (w Teller) Path(st fleet.State) Cell {
	if !st.Reach.HasValue() {
		return blank(w, st, st.Reach)
	}
	r, role := st.Reach.Value, themes.Text
	if st.Reach.Err != "" {
		role = themes.Dim
	}
	switch {
	case r.Via == fleet.ViaLocal:
		return Cell{Text: "local", Role: role}
	case r.Via == fleet.ViaTailnet && r.Path != "":
		return Cell{Text: r.Path, Role: role}
	case r.Via == fleet.ViaTailnet:
		return Cell{Text: "tailnet", Role: role}
	case r.Via == fleet.ViaLAN:
		return Cell{Text: "LAN", Role: role}
	case r.Via == fleet.ViaMDNS:
		return Cell{Text: "mDNS", Role: role}
	case r.Via == fleet.ViaConfig:
		return Cell{Text: "config", Role: role}
	}
	return Cell{Text: w.Glyphs.Unknown, Role: themes.Unknown}
}

// Generation is the running generation and how long ago it was made, or that it
// waits to be confirmed and how long it still does.
func (w Teller) Generation(st fleet.State) Cell {
	if left, ok := Waits(st, w.Now); ok && st.Reach.Err == "" {
		return Cell{Text: "waits " + Until(left), Role: themes.Warn}
	}
	return tell(w, st, st.System, func(s fleet.System) Cell {
		if !s.NixOS {
			return Cell{Text: w.Glyphs.None, Role: themes.Dim}
		}
		n := s.Running.Generation
		if n == 0 {
			return Cell{Text: w.Glyphs.Unknown, Role: themes.Unknown}
		}
		text := strconv.Itoa(n)
		for _, g := range st.Generations.Value {
			if g.Number == n && !g.Date.IsZero() {
				text += " " + Ago(g.Date, w.Now)
			}
		}
		return Cell{Text: text, Role: themes.Text}
	})
}

// Marks are the signs beside a generation: running is not the default, reboot.
func (w Teller) Marks(st fleet.State) Cell {
	var s string
	if sys := st.System.Value; st.System.HasValue() {
		if sys.Differs() {
			s += w.Glyphs.Differs
		}
		if sys.RebootNeeded {
			s += w.Glyphs.Reboot
		}
	}
	return Cell{Text: s, Role: themes.Warn}
}

// Failed is how many units failed.
func (w Teller) Failed(st fleet.State) Cell {
	return tell(w, st, st.FailedUnits(), func(names []string) Cell {
		if len(names) == 0 {
			return Cell{Text: "0", Role: themes.Dim}
		}
		return Cell{Text: strconv.Itoa(len(names)), Role: themes.Fail}
	})
}

// Containers is running/all, with "!" and how many are broken.
func (w Teller) Containers(st fleet.State) Cell {
	return tell(w, st, st.Containers, func(list []fleet.Container) Cell {
		up, broken := 0, 0
		for _, c := range list {
			if c.Running() {
				up++
			}
			if c.Broken() {
				broken++
			}
		}
		cell := Cell{Text: fmt.Sprintf("%d/%d", up, len(list)), Role: themes.Text}
		if broken > 0 {
			cell = Cell{Text: cell.Text + "!" + strconv.Itoa(broken), Role: themes.Fail}
		}
		return cell
	})
}

// backupWords are the states of jobs, the worst first.
var backupWords = []struct {
	state fleet.BackupState
	word  string
	role  themes.Role
}{
	{fleet.BackupFailed, "FAIL", themes.Fail}, {fleet.BackupStale, "stale", themes.Warn},
	{fleet.BackupNever, "never", themes.Warn}, {fleet.BackupUnknown, "?", themes.Unknown},
	{fleet.BackupFresh, "ok", themes.Text},
}

// BackupRank is the place of a state among them, the worst first.
func BackupRank(s fleet.BackupState) int {
	for i, w := range backupWords {
		if w.state == s {
			return i
		}
	}
	return len(backupWords)
}

// Backups counts the jobs by state: "1stale 3ok".
func (w Teller) Backups(st fleet.State) Cell {
	return w.backups(st, func(parts []string, _ int) string { return strings.Join(parts, " ") })
}

// BackupsWorst counts the jobs in the worst state, of all: "1stale/4", "4ok".
func (w Teller) BackupsWorst(st fleet.State) Cell {
	return w.backups(st, func(parts []string, all int) string {
		if len(parts) == 1 {
			return parts[0]
		}
		return parts[0] + "/" + strconv.Itoa(all)
	})
}

// backups tells the jobs by the counts of their states, in the role of the worst.
func (w Teller) backups(st fleet.State, say func(parts []string, all int) string) Cell {
	return tell(w, st, st.Backups, func(jobs []fleet.BackupJob) Cell {
		if len(jobs) == 0 {
			return Cell{Text: w.Glyphs.None, Role: themes.Dim}
		}
		count := map[fleet.BackupState]int{}
		for _, j := range jobs {
			count[j.State]++
		}
		role, parts := themes.Text, []string{}
		for _, s := range backupWords {
			if n := count[s.state]; n > 0 {
				parts = append(parts, strconv.Itoa(n)+s.word)
				if role == themes.Text {
					role = s.role
				}
			}
		}
		return Cell{Text: say(parts, len(jobs)), Role: role}
	})
}

// BackupState is the word and role of a job's state.
func BackupState(s fleet.BackupState) Cell {
	switch s {
	case fleet.BackupFresh:
		return Cell{Text: "ok", Role: themes.OK}
	case fleet.BackupFailed:
		return Cell{Text: "FAIL", Role: themes.Fail}
	case fleet.BackupStale, fleet.BackupNever:
		return Cell{Text: string(s), Role: themes.Warn}
	}
	return Cell{Text: "?", Role: themes.Unknown}
}

// CPU is the share of all cores in use.
func (w Teller) CPU(st fleet.State) Cell {
	return tell(w, st, st.Metrics, func(m fleet.Metrics) Cell {
		if m.CPU < 0 {
			return Cell{Text: w.Glyphs.Unknown, Role: themes.Unknown}
		}
		return Cell{Text: Percent(m.CPU), Role: themes.Text}
	})
}

// Memory is the share of memory in use.
func (w Teller) Memory(st fleet.State) Cell {
	return tell(w, st, st.Metrics, func(m fleet.Metrics) Cell {
		if m.Memory.Total == 0 {
			return Cell{Text: w.Glyphs.Unknown, Role: themes.Unknown}
		}
		return full(float64(m.Memory.Used)/float64(m.Memory.Total), 0.95, 2)
	})
}

// Disk is how full the fullest disk is.
func (w Teller) Disk(st fleet.State) Cell {
	return tell(w, st, st.Metrics, func(m fleet.Metrics) Cell {
		if len(m.Disks) == 0 {
			return Cell{Text: w.Glyphs.Unknown, Role: themes.Unknown}
		}
		worst := 0.0
		for _, d := range m.Disks {
			worst = max(worst, d.Fraction())
		}
		return full(worst, 0.90, 0.97)
	})
}

// full is a share, with the role it has against its limits.
func full(f, warn, fail float64) Cell {
	c := Cell{Text: Percent(f), Role: themes.Text}
	switch {
	case f >= fail:
		c.Role = themes.Fail
	case f >= warn:
		c.Role = themes.Warn
	}
	return c
}

// Fullness is the role of a disk's share in use.
func Fullness(f float64) themes.Role { return full(f, 0.90, 0.97).Role }

// Alarms is how many alarms are up.
func (w Teller) Alarms(st fleet.State) Cell {
	return tell(w, st, st.Alarms, func(list []fleet.Alarm) Cell {
		role := themes.Dim
		for _, a := range list {
			if a.Status == "CRITICAL" {
				role = themes.Fail
			} else if role != themes.Fail {
				role = themes.Warn
			}
		}
		return Cell{Text: strconv.Itoa(len(list)), Role: role}
	})
}

// Age is the age of the facts on a host's row.
func (w Teller) Age(st fleet.State, j Judgement) Cell {
	text, role := Ago(j.Oldest, w.Now), themes.Dim
	if text == "" && !st.Asking {
		text = w.Glyphs.None
	}
	if st.Asking && text != Age(0) { // fresh facts that are asked again are no news
		text += w.Glyphs.Asking
	}
	if j.Old {
		role = themes.Unknown
	}
	return Cell{Text: text, Role: role}
}
